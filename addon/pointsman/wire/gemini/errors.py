"""Errors in Google's shape."""

from __future__ import annotations

from pointsman.errors import BodyError
from pointsman.wire.json_spans import decode, encode
from pointsman.wire.loose import as_dict, as_text, dicts

# google.rpc.Code by HTTP status (googleapis, google/rpc/code.proto).
_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",  # Anthropic's word for too much to do
}


def error_body(status: int, message: str) -> bytes:
    word = _STATUSES.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return encode({"error": {"code": status, "message": message, "status": word}})


def error_frame(status: int, message: str) -> bytes:
    """The same inside a stream."""
    return b"data: " + error_body(status, message) + b"\r\n\r\n"


def error_message(data: bytes) -> str:
    """What an error body says to a person, alone or as the one element of a list; "" where it is no error."""
    try:
        value = decode(data.strip())
    except BodyError:
        return ""
    found = value if isinstance(value, list) else [value]
    errors = (as_dict(item.get("error")) for item in dicts(found))
    return next((text for error in errors if (text := as_text(error.get("message")))), "")
