"""The Gemini surface: POST /v1beta/models/{model}:generateContent, :streamGenerateContent and :countTokens.

All that other rooms call is reachable here. `route` reads paths, `facts` and `contents` requests, `turn` what
they are for; `history` strips them, `rules` and `signatures` fit them to a model; `answer` reads answers,
`stream` and `array` change streamed ones; `request_reader` and `request_writer` translate requests. Members
may be spelled in two ways (`spelling`). Edits touch only the spans of what they change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pointsman.values import Adaptation, Changes, Credential, CredentialKind, Facts, Model
from pointsman.wire import marker, sse
from pointsman.wire.credentials import bearer, credential_of, is_jwt
from pointsman.wire.gemini import route
from pointsman.wire.gemini.answer import Observation, observe_body, rewrite_body
from pointsman.wire.gemini.array import ArrayTransform
from pointsman.wire.gemini.asked import set_parameters
from pointsman.wire.gemini.errors import error_body, error_message
from pointsman.wire.gemini.events_reader import read_answer, read_events
from pointsman.wire.gemini.events_writer import opening, rejoin, write_answer, write_events
from pointsman.wire.gemini.facts import GeminiFacts, inner_request, modalities, read_facts
from pointsman.wire.gemini.history import strip
from pointsman.wire.gemini.models import model_card, model_list, models_asked
from pointsman.wire.gemini.repeating import is_plain, unrepeatable
from pointsman.wire.gemini.request_losses import READING, WRITING
from pointsman.wire.gemini.request_reader import read_request
from pointsman.wire.gemini.request_writer import NAME_RULE, authorize, untranslatable, write_request
from pointsman.wire.gemini.rules import adapt, ineligible, remedy
from pointsman.wire.gemini.signatures import disown, estrange
from pointsman.wire.gemini.spelling import spelled
from pointsman.wire.gemini.stream import StreamTransform
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.loose import as_dict

__all__ = [
    "HOSTS",
    "MODEL_HEADERS",
    "NAME_RULE",
    "PATH",
    "PROVIDER",
    "READING",
    "SURFACE",
    "WRITING",
    "ArrayTransform",
    "GeminiFacts",
    "Observation",
    "StreamTransform",
    "adapt",
    "ask",
    "authorize",
    "credential",
    "disown",
    "error_body",
    "error_message",
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
    "unrepeatable",
    "untranslatable",
    "write_answer",
    "write_count",
    "write_events",
    "write_request",
]

SURFACE = "gemini"
HOSTS = ("generativelanguage.googleapis.com",)
PROVIDER = "gemini"
PATH = "/v1beta/models/{model}:generateContent"
MODEL_HEADERS: tuple[str, ...] = ()
_OAUTH = "ya29."


# --- requests -----------------------------------------------------------------------------


def recognise(method: str, path: str) -> str | None:
    """The endpoint's name, "generate" or "count_tokens"; None for everything that is left alone."""
    found = route.parse(path) if method.upper() == "POST" else None
    return found.endpoint if found else None


def credential(headers: Mapping[str, str], path: str, salt: bytes) -> Credential:
    """Whose account pays. `headers` has lower-case names; `salt` is the installation's secret.

    A login is an OAuth token, in a header or in the query; a key is anything else, wherever it stands.
    """
    found = route.parse(path)
    tokens = [token for token in (bearer(headers), *(found.tokens if found else ())) if token]
    for token in tokens:
        if token.startswith(_OAUTH) or is_jwt(token):
            return credential_of(token, CredentialKind.SUBSCRIPTION, salt)
    header = (headers.get("x-goog-api-key") or "").strip()
    keys = [key for key in (header, *(found.keys if found else ()), *tokens) if key]
    return credential_of(keys[0] if keys else "", CredentialKind.API_KEY, salt)


def outline(body: Body) -> tuple[str, ...] | None:
    """What in the body only this API has; None for a body that is none of its requests."""
    return ("contents",) if body.has("contents") else None


def set_model(body: Body, path: str, name: str) -> str:
    """The path with the model to serve in it. A body that names the model too is made to agree."""
    found = route.parse(path)
    if found is None:
        return path
    _name_in(body, name)
    if inner := inner_request(body):
        _name_in(inner, name)
        body.set_raw(spelled(body, "generateContentRequest"), inner.render())
    return found.to(name)


def _name_in(request: Body, name: str) -> None:
    given = request.get("model")
    if isinstance(given, str) and given:
        request.set("model", f"models/{name}" if given.startswith("models/") else name)


def ask(body: Body, facts: Facts) -> list[Adaptation]:
    """What the router adds for itself: nothing, since every answer says what it cost."""
    return []


def imitate(body: Body, quirks: Collection[str]) -> list[Adaptation]:
    """Make a client's own request fit a copy of this API: none is known."""
    return []


def write_count(tokens: int) -> bytes:
    """An answer to a request that asks for its length in tokens."""
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return encode({"totalTokens": tokens, "promptTokensDetails": details})


def marker_modes(body: Body, facts: Facts, model: Model | None) -> tuple[str, ...]:
    """How a marker may be shown in this action's answer; `body` is what `model` gets.

    None where it would be spoken, and never as a comment: clients of this API fail on those.
    """
    config = as_dict(body.get(spelled(body, "generationConfig")))
    if (
        not marker.may_stand(facts)
        or (isinstance(facts, GeminiFacts) and facts.array)
        or modalities(config) - {"TEXT"}
    ):
        return ()
    return ("text",)


# --- answers ------------------------------------------------------------------------------


def stream(
    content_type: str, facts: Facts, changes: Changes
) -> StreamTransform | ArrayTransform | None:
    """What follows a streamed answer; None for an answer that is read as a whole."""
    array = isinstance(facts, GeminiFacts) and facts.array
    if sse.is_event_stream(content_type, asked=facts.stream and not array):
        return StreamTransform(changes, facts.choices)
    is_array = facts.stream and sse.media_type(content_type) in ("application/json", *sse.UNTOLD)
    return ArrayTransform(changes, facts.choices) if is_array else None
