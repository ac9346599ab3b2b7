"""Errors inside a stream of Responses events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.wire import sse
from pointsman.wire.edits import is_count
from pointsman.wire.json_spans import encode

# Codex 0.169 asks again after any code but those that say that it would be in vain.
_CODES: Final = {429: "rate_limit_exceeded", 400: "invalid_prompt"}


def error_code(status: int) -> str:
    """The provider's word for what went wrong with a response that has begun."""
    return _CODES.get(status, "server_error")


def failed_event(response: Mapping[str, Any], number: Any, status: int, message: str) -> bytes:
    """`response.failed` for a response that has begun as given; `number` is left out where there is none."""
    failed = {**response, "status": "failed", "error": {"code": error_code(status), "message": message}}
    counted = {"sequence_number": number} if is_count(number) else {}
    return sse.write("response.failed", encode({"type": "response.failed", **counted, "response": failed}))
