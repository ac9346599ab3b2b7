"""The Anthropic surface: POST /v1/messages and /v1/messages/count_tokens.

All that other rooms call is reachable here. What reads requests is in `anthropic_facts`, what
strips their history in `anthropic_history`, what reads answers in `anthropic_answer`, what
changes them in `anthropic_stream`. Edits touch only the spans of what they change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from pointsman.errors import BodyError
from pointsman.values import Credential, CredentialKind, Facts
from pointsman.wire import sse
from pointsman.wire.anthropic_answer import Observation, observe_body, rewrite_body
from pointsman.wire.anthropic_facts import read_facts
from pointsman.wire.anthropic_history import strip
from pointsman.wire.anthropic_rules import adapt, ineligible
from pointsman.wire.anthropic_stream import StreamTransform
from pointsman.wire.json_spans import Body, encode

__all__ = [
    "SURFACE",
    "Observation",
    "StreamTransform",
    "adapt",
    "credential",
    "error_body",
    "error_frame",
    "error_message",
    "error_type",
    "ineligible",
    "marker_allowed",
    "observe_body",
    "read_facts",
    "recognise",
    "rewrite_body",
    "set_model",
    "strip",
    "thinks",
]

SURFACE = "anthropic"

_ENDPOINTS = {"/v1/messages": "generate", "/v1/messages/count_tokens": "count_tokens"}
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
_JWT = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")


# --- requests -----------------------------------------------------------------------------


def recognise(method: str, path: str) -> str | None:
    """The endpoint's name, "generate" or "count_tokens"; None for everything that is left alone."""
    return _ENDPOINTS.get(path.partition("?")[0]) if method.upper() == "POST" else None


def credential(headers: Mapping[str, str], salt: bytes) -> Credential:
    """Whose account pays. `headers` looks names up in any case; `salt` is the installation's secret.

    An OAuth bearer of a personal plan is recognised by its prefix, by being a JWT, or by the beta
    header that comes with it. Other bearers are API keys: the SDKs send keys that way too.
    """
    key = (headers.get("x-api-key") or "").strip()
    bearer = _bearer(headers.get("authorization") or "")
    if bearer and (_is_oauth(bearer) or "oauth-" in (headers.get("anthropic-beta") or "")):
        return Credential(CredentialKind.SUBSCRIPTION, _fingerprint(bearer, salt))
    secret = key or bearer
    if not secret:
        return Credential(CredentialKind.NONE, "")
    kind = CredentialKind.SUBSCRIPTION if _is_oauth(secret) else CredentialKind.API_KEY
    return Credential(kind, _fingerprint(secret, salt))


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else authorization.strip()


def _is_oauth(secret: str) -> bool:
    return secret.startswith("sk-ant-oat") or _JWT.fullmatch(secret) is not None


def _fingerprint(secret: str, salt: bytes) -> str:
    data = secret.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=8, key=salt[:64]).hexdigest()


def set_model(body: Body, name: str) -> None:
    body.set("model", name)


def marker_allowed(facts: Facts) -> bool:
    """Whether a visible line may stand in this action's answer.

    Never where it would be continued, parsed, or read by no person. Thinking is the pipeline's
    concern: a marker before a thinking block is allowed but breaks once the router is gone.
    """
    return not (
        facts.endpoint != "generate"
        or facts.prefill
        or facts.forced_tool
        or facts.pure_json
        or facts.turn.background
        or (facts.max_tokens is not None and facts.max_tokens <= 1)
    )


def thinks(body: Body, default: str | None) -> bool:
    """Whether the answer to this request, as it stands, may hold thinking.

    `default` is what leaving `thinking` out means on the model it goes to: "on", "off", None if unknown.
    """
    thinking = body.get("thinking")
    word = thinking.get("type") if isinstance(thinking, dict) else None
    if word == "between_tools":
        return body.raw("tools") not in (None, b"[]")
    return default == "on" if word is None else word != "disabled"


# --- errors in this surface's shape -------------------------------------------------------


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
