"""What the stand-in is told to say. Each family of APIs has its own way of putting it on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    piece: int = 13  # characters per delta


@dataclass(frozen=True, slots=True)
class Think:
    text: str = "Let me look at the timetable first."
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; its JSON arguments arrive in pieces that break inside words.

    A text as `input` is a call of one of OpenAI's custom tools, which take free text.
    """

    name: str
    input: Mapping[str, Any] | str
    piece: int = 7


@dataclass(frozen=True, slots=True)
class Given:
    """Any other block, part or item in the family's own shape, streamed whole."""

    block: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds before the response head, before the first event, and between events."""

    head: float = 0.0
    first: float = 0.0
    between: float = 0.0


Part = Text | Think | Call | Given
REALISTIC = Pace(head=0.3, first=0.1, between=0.02)

Mangle = Callable[[list[bytes]], list[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One good answer, and the ways in which its delivery may go wrong.

    `think` is prepended whenever the request has thinking on and no block of its own says so.
    Counts are of stream events: after `overload_after` of them an error event ends the stream,
    after `cut_after` the connection breaks in the middle of an event, after `hang_after` nothing comes.
    `stop_reason` and `overload_kind` (which error ends the stream) are in the family's own words.
    """

    blocks: tuple[Part, ...] = (Text("Hello from the stand-in provider."),)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    think: str | None = "Let me look at the timetable first."
    pace: Pace = Pace()
    encoding: str = ""  # sent compressed although nobody may have asked
    tear: int = 0  # bytes per write; 0 = one event per write
    overload_after: int | None = None
    overload_kind: str | None = None
    cut_after: int | None = None
    hang_after: int | None = None
    mangle: Mangle | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error instead of an answer; `kind` is the family's own name of it, where the status does not say."""

    status: int
    message: str = "Overloaded"
    kind: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class Page:
    """Exact bytes, whatever was asked: an HTML page with status 200, say."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/html"})
    pace: Pace = Pace()
    cut: bool = False  # the connection breaks in the middle


Step = Answer | Fault | Page


def overloaded(retry_after: int | None = None) -> Fault:
    return Fault(529, "Overloaded", headers={} if retry_after is None else {"retry-after": str(retry_after)})


def rate_limited(retry_after: int = 1) -> Fault:
    message = "This request would exceed your organization's rate limit of 50 requests per minute"
    return Fault(429, message, headers={"retry-after": str(retry_after)})


def parts_of(answer: Answer, thinks: bool) -> list[Part]:
    """What is said to one request: thinking only, and always, where the request has it on."""
    if not thinks:
        return [part for part in answer.blocks if not isinstance(part, Think)]
    if answer.think is None or any(isinstance(part, Think) for part in answer.blocks):
        return list(answer.blocks)
    return [Think(answer.think), *answer.blocks]


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
