"""The Anthropic surface: POST /v1/messages and /v1/messages/count_tokens.

All that other rooms call is reachable here. What reads requests is in `facts`, what knows them without their
path in `outline`, what strips their history in `history`, what fits them to a model in `rules`, what reads
answers in `answer`, what changes them in `stream`, what translates requests in `request_reader` and
`request_writer`. Edits touch only the spans of what they change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pointsman.values import Adaptation, Changes, Credential, CredentialKind, Facts, Model
from pointsman.wire import marker, sse
from pointsman.wire.anthropic.answer import Observation, observe_body, rewrite_body
from pointsman.wire.anthropic.asked import set_parameters
from pointsman.wire.anthropic.disowning import disown
from pointsman.wire.anthropic.errors import error_body, error_frame, error_message, error_type
from pointsman.wire.anthropic.estrange import estrange
from pointsman.wire.anthropic.events_reader import read_answer, read_events
from pointsman.wire.anthropic.events_writer import opening, write_answer, write_events
from pointsman.wire.anthropic.facts import read_facts
from pointsman.wire.anthropic.history import strip
from pointsman.wire.anthropic.models import model_card, model_list, models_asked
from pointsman.wire.anthropic.outline import outline
from pointsman.wire.anthropic.rejoin import rejoin
from pointsman.wire.anthropic.repeating import is_plain, unrepeatable
from pointsman.wire.anthropic.request_losses import READING, WRITING
from pointsman.wire.anthropic.request_reader import read_request
from pointsman.wire.anthropic.request_writer import NAME_RULE, authorize, untranslatable, write_request
from pointsman.wire.anthropic.rules import adapt, ineligible
from pointsman.wire.anthropic.stream import StreamTransform
from pointsman.wire.credentials import bearer, credential_of, is_jwt
from pointsman.wire.json_spans import Body, encode

__all__ = [
    "HOSTS",
    "MODEL_HEADERS",
    "NAME_RULE",
    "PATH",
    "PROVIDER",
    "READING",
    "SURFACE",
    "WRITING",
    "Observation",
    "StreamTransform",
    "adapt",
    "ask",
    "authorize",
    "credential",
    "disown",
    "error_body",
    "error_frame",
    "error_message",
    "error_type",
    "estrange",
    "imitate",
    "ineligible",
    "is_plain",
    "marker_modes",
    "model_card",
    "model_list",
    "models_asked",
    "observe_body",
    "opening",
    "outline",
    "read_answer",
    "read_events",
    "read_facts",
    "read_request",
    "recognise",
    "rejoin",
    "remedy",
    "rewrite_body",
    "set_model",
    "set_parameters",
    "stream",
    "strip",
    "thinks",
    "unrepeatable",
    "untranslatable",
    "write_answer",
    "write_count",
    "write_events",
    "write_request",
]

SURFACE = "anthropic"
HOSTS = ("api.anthropic.com",)
PROVIDER = "anthropic"
PATH = "/v1/messages"
MODEL_HEADERS: tuple[str, ...] = ()

_ENDPOINTS = {PATH: "generate", "/v1/messages/count_tokens": "count_tokens"}
# Claude Code asks again when a stream breaks, but not once it has shown text of it; a marker is text.
_TEXT_ENDS_RETRIES = ("claude-code",)


# --- requests -----------------------------------------------------------------------------


def recognise(method: str, path: str) -> str | None:
    """The endpoint's name, "generate" or "count_tokens"; None for everything that is left alone."""
    return _ENDPOINTS.get(path.partition("?")[0]) if method.upper() == "POST" else None


def credential(headers: Mapping[str, str], path: str, salt: bytes) -> Credential:
    """Whose account pays. `headers` has lower-case names; `salt` is the installation's secret.

    An OAuth bearer of a personal plan is recognised by its prefix, by being a JWT, or by the beta
    header that comes with it. Other bearers are API keys: the SDKs send keys that way too.
    """
    token = bearer(headers)
    if token and (_is_oauth(token) or "oauth-" in (headers.get("anthropic-beta") or "")):
        return credential_of(token, CredentialKind.SUBSCRIPTION, salt)
    secret = (headers.get("x-api-key") or "").strip() or token
    kind = CredentialKind.SUBSCRIPTION if _is_oauth(secret) else CredentialKind.API_KEY
    return credential_of(secret, kind, salt)


def _is_oauth(secret: str) -> bool:
    return secret.startswith("sk-ant-oat") or is_jwt(secret)


def set_model(body: Body, path: str, name: str) -> str:
    """Name the model to serve; returns the path to send."""
    body.set("model", name)
    return path


def ask(body: Body, facts: Facts) -> list[Adaptation]:
    """What the router adds for itself: nothing, since every answer says what it cost."""
    return []


def remedy(body: Body, refusal: bytes) -> list[Adaptation]:
    """What removes the cause of a refusal from the client's own body: nothing is known."""
    return []


def marker_modes(body: Body, facts: Facts, model: Model | None) -> tuple[str, ...]:
    """How a marker may be shown in this action's answer, best first; `body` is what `model` gets.

    A text before thinking would break a transcript kept on disk once the router is gone, and ends Claude
    Code's own retries: then a comment is better, and a text only for who asks for it.
    """
    if not marker.may_stand(facts):
        return ()
    default = model.capabilities.get("thinking_default") if model else None
    quiet = facts.client in _TEXT_ENDS_RETRIES or thinks(body, default)
    return ("comment", "text") if quiet else ("text", "comment")


def thinks(body: Body, default: str | None) -> bool:
    """Whether the answer to this request, as it stands, may hold thinking.

    `default` is what leaving `thinking` out means on the model it goes to: "on", "off", None if unknown.
    """
    thinking = body.get("thinking")
    word = thinking.get("type") if isinstance(thinking, dict) else None
    if word == "between_tools":
        return body.raw("tools") not in (None, b"[]")
    return default == "on" if word is None else word != "disabled"


# --- answers ------------------------------------------------------------------------------


def stream(content_type: str, facts: Facts, changes: Changes) -> StreamTransform | None:
    """What follows a streamed answer; None for an answer that is read as a whole."""
    return StreamTransform(changes) if sse.is_event_stream(content_type, asked=facts.stream) else None


def imitate(body: Body, quirks: Collection[str]) -> list[Adaptation]:
    """Make a client's own request fit a copy of this API: `adapt` does, by the copy's capabilities."""
    return []


def write_count(tokens: int) -> bytes:
    """An answer to a request that asks for its length in tokens."""
    return encode({"input_tokens": tokens})
