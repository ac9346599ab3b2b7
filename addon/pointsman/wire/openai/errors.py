"""Errors in OpenAI's shape."""

from __future__ import annotations

from pointsman.errors import BodyError
from pointsman.wire.json_spans import decode, encode
from pointsman.wire.loose import as_dict

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_type(status: int) -> str:
    """The provider's word for an HTTP status."""
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")


def error_body(status: int, message: str) -> bytes:
    return encode({"error": {"message": message, "type": error_type(status), "param": None, "code": None}})


def error_message(data: bytes) -> str:
    """What an error body says to a person; "" where it is none of this shape.

    Gateways also send a bare text as `error`, and the ChatGPT backend one as `detail`.
    """
    try:
        body = as_dict(decode(data))
    except BodyError:
        return ""
    error = body.get("error")
    said = (as_dict(error).get("message"), error, body.get("detail"))
    return next((text for text in said if isinstance(text, str)), "")
