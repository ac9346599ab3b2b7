"""Errors in OpenAI's shape."""

from __future__ import annotations

from typing import Any

from pointsman.errors import BodyError
from pointsman.wire.json_spans import decode, encode
from pointsman.wire.loose import as_dict, as_list, as_text, dicts

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_type(status: int) -> str:
    """The provider's word for an HTTP status."""
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")


def error_body(status: int, message: str) -> bytes:
    return encode({"error": {"message": message, "type": error_type(status), "param": None, "code": None}})


def error_frame(status: int, message: str) -> bytes:
    """The same inside a stream of chat completions."""
    return b"data: " + error_body(status, message) + b"\n\n"


def error_message(data: bytes) -> str:
    """What an error body says to a person; "" where it is none of this shape.

    Gateways also send a bare text as `error` or `message`, the ChatGPT backend one as `detail`, and what is
    built with FastAPI a list of places and complaints there (Mistral's inside `message`).
    """
    try:
        body = as_dict(decode(data))
    except BodyError:
        return ""
    error, message = body.get("error"), body.get("message")
    said = (as_dict(error).get("message"), error, message, body.get("detail"))
    details = (body.get("detail"), as_dict(message).get("detail"))
    return next((text for text in (*said, *map(_complaints, details)) if isinstance(text, str) and text), "")


def _complaints(details: Any) -> str:
    """One line for a list of `{"loc": ["body", "n"], "msg": "…"}`."""
    found = []
    for item in dicts(details):
        place = ".".join(str(part) for part in as_list(item.get("loc")))
        if text := as_text(item.get("msg")):
            found.append(f"{place}: {text}" if place else text)
    return "; ".join(found)
