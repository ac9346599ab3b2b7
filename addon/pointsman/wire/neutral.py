"""What a conversation and an answer say, whatever API they are said in; only for translation.

A reader of one surface makes these values, a writer of another takes them: four of each make all pairs.
An answer is a sequence of events, streamed or whole, and always in this order:

    Start, then Text, Refusal, Thinking, CallStart and CallArguments as they come, then Stop, then End

with `Counts` anywhere between `Start` and `Stop`, later figures replacing earlier ones. `Failed` may take the
place of anything from the very first on, and nothing follows it. Arguments of parallel calls may interleave;
they belong to the `CallStart` with the same `index`, counted from 0 in the order in which calls begin. `Stop`
says CALLS if and only if there was a call and nothing worse ended the answer. No text is empty.

A reader leaves nothing out in silence: what has no place here is named in `Request.losses`, or, where a
client would notice, in `Request.refused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pointsman.values import EMPTY

# --- requests -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """`data` is base64; either it or `url` is given."""

    media_type: str = ""
    data: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """`data` is base64, `text` plain text; one of them or `url` is given."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """What a model thought, as far as it was shown. A writer drops it, unless its target wants it back.

    Readers pass on what a translated answer had made up for the client to keep, never what a provider signed.
    """

    text: str


@dataclass(frozen=True, slots=True)
class CallPart:
    """One tool call. `arguments` is JSON text, for a `custom` tool the free text that it takes.

    `name` and `namespace` are the client's own; what a target is told instead, `translation/names.py` says.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class ResultPart:
    """What a tool gave back for the call `id`."""

    id: str
    name: str
    parts: tuple[TextPart | ImagePart | DocumentPart, ...]
    error: bool = False
    custom: bool = False
    namespace: str = ""


Part = TextPart | ImagePart | DocumentPart | ThinkingPart | CallPart | ResultPart


@dataclass(frozen=True, slots=True)
class Message:
    """`role` is user, assistant, or system: instructions that came in the middle of the conversation.

    Results of tools are parts of a user's message. Readers keep the order in which things were said and mend
    nothing; `translation/conversation.py` does, for all writers.
    """

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a client offers. `schema` is JSON Schema; None where it is `custom`: takes text."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None
    custom: bool = False
    namespace: str = ""
    format: Mapping[str, Any] | None = None  # of a custom tool's text, as OpenAI says it


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tools the model may or must call: auto, none, any, or tool with its name."""

    mode: str = "auto"
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How much a model shall think: effort in OpenAI's words, a budget in tokens, or off. None: unsaid."""

    on: bool | None = None
    effort: str | None = None  # none, minimal, low, medium, high, xhigh, max
    budget_tokens: int | None = None
    shown: bool = False  # the client wants to see it, at least in summary


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """The answer must be JSON, by `schema` if there is one."""

    schema: Mapping[str, Any] | None = None
    name: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request for an answer. None is unsaid."""

    model: str
    messages: tuple[Message, ...]
    system: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: Choice | None = None
    parallel_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    reasoning: Reasoning = Reasoning()
    verbosity: str | None = None  # low, medium, high
    json: JsonAnswer | None = None
    stream: bool = False
    stream_usage: bool = True  # whether the client gets counts in a stream
    stream_array: bool = False  # a stream is one JSON array, Google's way without alt=sse
    cache_key: str = ""  # the same for all requests of a conversation, and nobody's name
    refused: tuple[str, ...] = ()
    """What only the API it was said in can do, in words: no translation may serve this request."""
    losses: tuple[str, ...] = ()
    """Parameters, by their paths, that no other API has and whose absence harms nobody."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a writer has to know of where its request goes.

    `max_tokens` is for APIs that demand one where the client names none, `most_tokens` bounds what it names;
    `quirks` are words for what a provider does otherwise than the API that it copies (see the writers).
    """

    model: str
    max_tokens: int = 32_000
    most_tokens: int | None = None
    images: bool = True
    documents: bool = True
    quirks: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    """Members that the provider or the config adds to the body, above all others."""


@dataclass(frozen=True, slots=True)
class Written:
    """A request as a target gets it. `path` goes behind the provider's base URL; `losses` are features that
    the target's API has no words for, out of the writer's own list of them."""

    path: str
    body: dict[str, Any]
    losses: tuple[str, ...] = ()


# --- answers ------------------------------------------------------------------------------


class StopReason(StrEnum):
    END = "end"
    MAX_TOKENS = "max_tokens"
    CONTEXT = "context"  # the context window is full
    STOP_SEQUENCE = "stop_sequence"
    CALLS = "calls"
    REFUSAL = "refusal"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Start:
    """`id` and `model` as the provider says them; writers have ids of their own."""

    id: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Words with which the model declines, where its API keeps them apart from others."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """`id` is the provider's, "" where it gives none; `custom`: the arguments are free text, not JSON.

    A reader gives the provider's name of the tool; what the client calls it, `translation/names.py` says.
    """

    index: int
    id: str
    name: str
    custom: bool = False
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A fragment of JSON text, or of the free text of a custom tool."""

    index: int
    fragment: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens; None while unknown. `input` excludes what was read from or written to a cache.

    `output` includes `reasoning`.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


COUNTS = ("input", "output", "cache_read", "cache_write", "reasoning")


@dataclass(frozen=True, slots=True)
class Stop:
    reason: StopReason
    sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An error inside an answer, with the HTTP status that would say the same."""

    status: int
    message: str
    kind: str = ""  # the provider's word for it


@dataclass(frozen=True, slots=True)
class End:
    """The answer ended as its API says that it must."""


Event = Start | Text | Refusal | Thinking | CallStart | CallArguments | Counts | Stop | Failed | End
