"""The Responses surface: POST /v1/responses, and the path that Codex uses with a ChatGPT plan.

What reads requests is in `facts` and `turn`, what strips their history in `history`, what fits them to a
model in `rules`, what mends a refused one in `remedy`, what reads answers in `answer`, what changes them in
`stream`, and what their items are in `items`; requests are translated in `request_reader` and
`request_writer`. Edits touch only the spans of what they change.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pointsman.values import Adaptation, Changes, Facts, Model
from pointsman.wire import marker, sse
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.loose import as_list
from pointsman.wire.openai.client import MODEL_HEADERS, PROVIDER, authorize, credential
from pointsman.wire.openai.errors import error_body, error_message
from pointsman.wire.openai.models import model_card, model_list, models_asked
from pointsman.wire.openai.parameters import drop
from pointsman.wire.openai_responses.answer import Observation, observe_body, rewrite_body
from pointsman.wire.openai_responses.asked import set_parameters
from pointsman.wire.openai_responses.disowning import disown
from pointsman.wire.openai_responses.events_reader import read_answer, read_events
from pointsman.wire.openai_responses.events_writer import opening, rejoin, write_answer, write_events
from pointsman.wire.openai_responses.facts import LOGPROBS, read_facts
from pointsman.wire.openai_responses.history import strip
from pointsman.wire.openai_responses.remedy import estrange, remedy
from pointsman.wire.openai_responses.repeating import is_plain, unrepeatable
from pointsman.wire.openai_responses.request_losses import READING, WRITING
from pointsman.wire.openai_responses.request_reader import read_request
from pointsman.wire.openai_responses.request_writer import NAME_RULE, untranslatable, write_request
from pointsman.wire.openai_responses.rules import adapt, ineligible
from pointsman.wire.openai_responses.stream import StreamTransform

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

SURFACE = "openai_responses"
HOSTS = ("api.openai.com", "chatgpt.com")
PATH = "/v1/responses"

# Gateways have the path under a prefix of their own. Nothing after it: not a stored response, not its
# items, not /input_tokens, and not /compact, whose answer is no response.
_PATH = re.compile(
    r"/backend-api/codex/responses|/responses"
    r"|(?!/backend-api/)(?:/[A-Za-z0-9._~-]+){0,4}/v\d[A-Za-z0-9.]*/responses"
)
_LEAST_OUTPUT = 16  # the API's lower bound of max_output_tokens


def recognise(method: str, path: str) -> str | None:
    """The endpoint's name, "generate"; None for everything that is left alone."""
    known = _PATH.fullmatch(path.partition("?")[0].removesuffix("/"))
    return "generate" if known and method.upper() == "POST" else None


def outline(body: Body) -> tuple[str, ...] | None:
    """What in the body only this API has; None for a body that is none of its requests."""
    return ("input",) if body.has("input") else None


def set_model(body: Body, path: str, name: str) -> str:
    """Name the model to serve; returns the path to send."""
    body.set("model", name)
    return path


def ask(body: Body, facts: Facts) -> list[Adaptation]:
    """What the router adds for itself: nothing, since every answer says what it cost."""
    return []


def imitate(body: Body, quirks: Collection[str]) -> list[Adaptation]:
    """Make a client's own request fit a copy of this API."""
    done: list[Adaptation] = []
    if "no_store" in quirks:
        drop(body, ("store",), "no_store", done)
    return done


def write_count(tokens: int) -> bytes:
    """What /v1/responses/input_tokens answers."""
    return encode({"object": "response.input_tokens", "input_tokens": tokens})


def marker_modes(body: Body, facts: Facts, model: Model | None) -> tuple[str, ...]:
    """How a marker may be shown in this action's answer, best first; `body` is what `model` gets.

    None where the answer is kept for later, where the client wants the probability of every token, or where a
    stored prompt may ask for what rules a marker out.
    """
    if (
        not marker.may_stand(facts, _LEAST_OUTPUT)
        or body.get("background") is True
        or body.get("prompt") is not None
        or body.get("top_logprobs")
        or LOGPROBS in as_list(body.get("include"))
    ):
        return ()
    return ("text", "comment")


def stream(content_type: str, facts: Facts, changes: Changes) -> StreamTransform | None:
    """What follows a streamed answer; None for an answer that is read as a whole."""
    return StreamTransform(changes) if sse.is_event_stream(content_type, asked=facts.stream) else None
