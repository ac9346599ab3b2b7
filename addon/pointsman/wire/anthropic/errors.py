"""Errors in Anthropic's shape."""

from __future__ import annotations

from pointsman.errors import BodyError
from pointsman.wire import sse
from pointsman.wire.json_spans import Body, encode

_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_type(status: int) -> str:
    """The provider's word for an HTTP status."""
    if status in _ERROR_TYPES:
        return _ERROR_TYPES[status]
    return "invalid_request_error" if status < 500 else "api_error"


def error_body(status: int, message: str) -> bytes:
    return encode({"type": "error", "error": {"type": error_type(status), "message": message}})


def error_message(data: bytes) -> str:
    """What an error body says to a person; "" where it is none of this surface's."""
    try:
        error = Body.parse(data).get("error")
    except BodyError:
        return ""
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else ""


def error_frame(status: int, message: str) -> bytes:
    """The same inside a stream that has begun."""
    return sse.write("error", error_body(status, message))
