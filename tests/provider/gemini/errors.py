"""Errors as Google words them: JSON over several lines, with typed details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provider import refusal
from provider.gemini.shape import pretty

Detail = Mapping[str, Any]

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
SERVICE = "generativelanguage.googleapis.com"
GOOGLE_TYPES = "type.googleapis.com/google.rpc."


class Refusal(refusal.Refusal):
    """With the typed details that Google adds to some errors."""

    def __init__(self, message: str, status: int = 400, details: Sequence[Detail] = ()) -> None:
        super().__init__(message, status)
        self.details = tuple(details)


def error_value(status: int, message: str, details: Sequence[Detail] = (), name: str = "") -> dict[str, Any]:
    """The error as a JSON value; `name` is for a status of its own, such as FAILED_PRECONDITION."""
    error: dict[str, Any] = {"code": status, "message": message}
    error["status"] = name or STATUS_NAMES.get(status, "UNKNOWN")
    if details:
        error["details"] = [dict(detail) for detail in details]
    return {"error": error}


def error_body(value: Mapping[str, Any], *, array: bool = False) -> bytes:
    """Bytes of an error response; `array` where a stream without alt=sse was asked for."""
    text = pretty(value)
    return f"[{text}]\n".encode() if array else text.encode()


def bad_key() -> Refusal:
    message = "API key not valid. Please pass a valid API key."
    info = error_info("API_KEY_INVALID", {"service": SERVICE})
    local = {"@type": GOOGLE_TYPES + "LocalizedMessage", "locale": "en-US", "message": message}
    return Refusal(message, 400, [info, local])


def no_key() -> Refusal:
    return Refusal(
        "Method doesn't allow unregistered callers (callers without established identity). Please use API "
        "Key or other form of API consumer identity to call this API.",
        403,
    )


def bad_token() -> Refusal:
    return Refusal(
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
        "other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
        401,
        [error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", {"service": SERVICE})],
    )


def bad_request(problems: Sequence[tuple[str, str]]) -> Refusal:
    """`problems`: (field path, description) pairs of a body that does not fit the schema."""
    violations = [
        {"field": field, "description": text} if field else {"description": text} for field, text in problems
    ]
    detail = {"@type": GOOGLE_TYPES + "BadRequest", "fieldViolations": violations}
    return Refusal("\n".join(text for _, text in problems), 400, [detail])


def error_info(reason: str, metadata: Mapping[str, str]) -> Detail:
    return {
        "@type": GOOGLE_TYPES + "ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": dict(metadata),
    }


def quota_details(model: str, retry_seconds: float) -> list[Detail]:
    """What comes with a 429: which quota, where to read about it, and when to come back."""
    metric = f"{SERVICE}/generate_content_free_tier_requests"
    violation = {
        "quotaMetric": metric,
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "10",
    }
    learn = {
        "description": "Learn more about Gemini API quotas",
        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
    }
    return [
        {"@type": GOOGLE_TYPES + "QuotaFailure", "violations": [violation]},
        {"@type": GOOGLE_TYPES + "Help", "links": [learn]},
        {"@type": GOOGLE_TYPES + "RetryInfo", "retryDelay": f"{retry_seconds:g}s"},
    ]
