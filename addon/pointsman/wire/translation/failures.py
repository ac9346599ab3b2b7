"""Errors of providers, in whatever shape: as bodies, and in the middle of streams."""

from __future__ import annotations

from typing import Any, Final

from pointsman.wire.credentials import without_secrets
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, clean
from pointsman.wire.neutral import Failed

UNKNOWN_STATUS: Final = 502
MESSAGE_LIMIT: Final = 4_000  # characters

# The HTTP status that says the same as a provider's word.
_STATUSES: Final = {
    # Anthropic
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # OpenAI and those after it
    "invalid_api_key": 401,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "model_not_found": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
    # google.rpc.Code
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def holds_failure(content: dict[str, Any]) -> bool:
    """Whether a decoded object is an error and no answer."""
    return bool(content.get("error")) or content.get("type") == "error"


def read_failure(content: Any, status: int | None = None) -> Failed:
    """The error that a decoded value tells; `status` is that of its HTTP head, where it has one.

    A gateway may wrap it in a list, call it `error`, `message` or `detail`, and give a bare text for it.
    Secrets that it repeats are left out.
    """
    if isinstance(content, list) and content:
        content = content[0]
    outer = as_dict(content)
    error = outer.get("error")
    inner = as_dict(error) or outer
    message = next((text for text in _messages(content, error, inner, outer) if text), "")
    words = [as_text(inner.get(name)) for name in ("code", "status", "type")]
    known = [word for word in words if word in _STATUSES]
    kind = next((word for word in (*known, *words) if word and word != "error"), "")
    said = _status_in(inner) or (_STATUSES[known[0]] if known and known[0] else None)
    return Failed(
        status=status or said or UNKNOWN_STATUS,
        message=without_secrets(clean(message)[:MESSAGE_LIMIT]),
        kind=kind,
    )


def _messages(content: Any, error: Any, inner: dict[str, Any], outer: dict[str, Any]) -> list[str | None]:
    detail = outer.get("detail")
    first = as_dict(next(iter(as_list(detail)), None))
    given = (inner.get("message"), error, outer.get("message"), detail, first.get("msg"), content)
    return [as_text(value) for value in given]


def _status_in(error: dict[str, Any]) -> int | None:
    """A status as a number, where gateways put one."""
    given = (as_int(error.get(name)) for name in ("code", "status", "status_code"))
    return next((number for number in given if number is not None and 400 <= number < 600), None)
