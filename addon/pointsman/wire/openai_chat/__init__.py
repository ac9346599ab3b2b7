"""The Chat Completions surface: POST …/chat/completions, of OpenAI and of all gateways that speak like it.

All that other rooms call is reachable here. What reads requests is in `facts`, what knows them without their
path in `outline`, what strips their history in `history`, what fits them to a model in `rules`, what reads
answers in `answer`, what changes them in `stream`, what translates requests in `request_reader` and
`request_writer`; what Responses has as well is in `wire/openai`. Edits touch only the spans of what they
change.
"""

from __future__ import annotations

import re
from typing import Final

from pointsman.values import Adaptation, Changes, Facts, Model
from pointsman.wire import marker, sse
from pointsman.wire.edits import edit, short
from pointsman.wire.json_spans import Body
from pointsman.wire.openai.client import HOSTS, MODEL_HEADERS, PROVIDER, authorize, credential
from pointsman.wire.openai.errors import error_body, error_message
from pointsman.wire.openai.models import model_card, model_list, models_asked
from pointsman.wire.openai_chat.answer import Observation, observe_body, rewrite_body
from pointsman.wire.openai_chat.asked import set_parameters
from pointsman.wire.openai_chat.copies import imitate
from pointsman.wire.openai_chat.events_reader import read_answer, read_events
from pointsman.wire.openai_chat.events_writer import opening, write_answer, write_events
from pointsman.wire.openai_chat.facts import SURFACE, read_facts
from pointsman.wire.openai_chat.history import strip
from pointsman.wire.openai_chat.outline import outline
from pointsman.wire.openai_chat.rejoin import rejoin
from pointsman.wire.openai_chat.repeating import is_plain, unrepeatable
from pointsman.wire.openai_chat.request_losses import READING, WRITING
from pointsman.wire.openai_chat.request_reader import read_request
from pointsman.wire.openai_chat.request_writer import NAME_RULE, untranslatable, write_request
from pointsman.wire.openai_chat.rules import adapt, ineligible
from pointsman.wire.openai_chat.stream import ASKED_USAGE, StreamTransform

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

PATH: Final = "/v1/chat/completions"

# Gateways serve the API below a prefix that ends in its version, or in its name. Azure's older paths have the
# deployment in them, which names the model: they are left alone.
_PATH: Final = re.compile(r"(?:(?:/[\w.~-]+)*/(?:v\d+[a-z]*\d*|openai))?/chat/completions")
_DEPLOYMENT: Final = "/deployments/"


# --- requests -----------------------------------------------------------------------------


def recognise(method: str, path: str) -> str | None:
    """The endpoint's name, "generate"; None for everything that is left alone."""
    plain = path.partition("?")[0]
    if method.upper() != "POST" or _DEPLOYMENT in plain or not _PATH.fullmatch(plain):
        return None
    return "generate"


def estrange(body: Body) -> int:
    """What of the history belongs to one account: nothing, since Chat Completions show no reasoning."""
    return 0


def set_model(body: Body, path: str, name: str) -> str:
    """Name the model to serve; returns the path to send."""
    body.set("model", name)
    return path


def ask(body: Body, facts: Facts) -> list[Adaptation]:
    """Ask a stream for its usage where the client did not: it says what the answer cost."""
    options = body.get("stream_options")
    if not facts.stream or facts.endpoint != "generate" or not isinstance(options, dict | None):
        return []
    if options is None:
        body.set("stream_options", {"include_usage": True})
        return [Adaptation(ASKED_USAGE, "add", "", "true", "usage")]
    given = options.get("include_usage")
    if given is True:
        return []
    edit(body, "stream_options", {"include_usage": True})
    return [Adaptation(ASKED_USAGE, "add", short(given), "true", "usage")]


def disown(body: Body) -> int:
    """Nothing in a history says that a translation made it."""
    return 0


def write_count(tokens: int) -> bytes:
    """This API has no question about the length of a request."""
    return b""


def remedy(body: Body, refusal: bytes) -> list[Adaptation]:
    """What removes the cause of a refusal from the client's own body: nothing is known."""
    return []


def marker_modes(body: Body, facts: Facts, model: Model | None) -> tuple[str, ...]:
    """How a marker may be shown in this action's answer, best first.

    None where it would be spoken, beside log probabilities, which belong to the text token by token, or where
    the text was predicted.
    """
    if (
        not marker.may_stand(facts)
        or facts.needs & {"audio", "prediction"}
        or body.get("logprobs")
        or body.get("top_logprobs")
    ):
        return ()
    return ("text", "comment")


# --- answers ------------------------------------------------------------------------------


def stream(content_type: str, facts: Facts, changes: Changes) -> StreamTransform | None:
    """What follows a streamed answer; None for an answer that is read as a whole."""
    streams = sse.is_event_stream(content_type, asked=facts.stream)
    return StreamTransform(changes, facts.choices) if streams else None
