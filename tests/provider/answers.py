"""What the stand-in is told to say. Each family of APIs has its own way of putting it on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
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


class How(StrEnum):
    """What becomes of the connection, or of one stream of an HTTP/2 connection, where a delivery breaks."""

    RESET = "reset"  # TCP is reset; in HTTP/2 the stream alone, and the connection lives on
    REFUSE = "refuse"  # the same, but that HTTP/2 says: nothing was done, send it again
    CLOSE = "close"  # the connection ends without a word, amid a chunk or short of the promised length
    GOAWAY = "goaway"  # likewise, but that HTTP/2 says which streams it did not get to: this one
    STALL = "stall"  # nothing more comes, and the connection stays


@dataclass(frozen=True, slots=True)
class Break:
    """Where a delivery breaks, and how: before the head, or after so many events or bytes of the body sent.

    With `half` the event that is next is broken in its middle. A body that is no stream is one event, and is
    broken there whatever their number. A break after all there is comes before the end of the message.
    """

    how: How = How.RESET
    events: int | None = None
    size: int | None = None
    half: bool = False

    @property
    def before_head(self) -> bool:
        return self.events is None and self.size is None


Part = Text | Think | Call | Given
REALISTIC = Pace(head=0.3, first=0.1, between=0.02)

Mangle = Callable[[list[bytes]], list[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One good answer, and the ways in which its delivery may go wrong.

    `think` is prepended whenever the request has thinking on and no block of its own says so.
    Counts are of stream events: after `overload_after` of them an error event ends the stream.
    `stop_reason` and `overload_kind` (which error ends the stream) are in the family's own words.
    `cut_after` and `hang_after` are short for the commonest breaks. Header values of "" leave a header out.
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
    cut_after: int | None = None  # events, and half of the next; then a reset
    hang_after: int | None = None  # events; then nothing comes
    broken: Break | None = None
    streamed: bool | None = None  # a stream although none was asked for, or none although one was
    mangle: Mangle | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def where_broken(self) -> Break | None:
        if self.cut_after is not None:
            return Break(How.RESET, events=self.cut_after, half=True)
        if self.hang_after is not None:
            return Break(How.STALL, events=self.hang_after)
        return self.broken


@dataclass(frozen=True, slots=True)
class Fault:
    """An error instead of an answer; `kind` is the family's own name of it, where the status does not say.

    `headers` replace those that the family sends with this status; "" leaves one out.
    """

    status: int
    message: str = "Overloaded"
    kind: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = Pace()
    broken: Break | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Exact bytes, whatever was asked: an HTML page with status 200, say."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/html"})
    pace: Pace = Pace()
    broken: Break | None = None


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


def streams(answer: Answer, asked: bool) -> bool:
    """Is the answer sent as a stream?"""
    return asked if answer.streamed is None else answer.streamed


def big_headers(size: int, each: int = 8000) -> dict[str, str]:
    """Response headers of `size` bytes in all, `each` bytes long."""
    return {f"x-filler-{at // each}": "x" * min(each, size - at) for at in range(0, size, each)}
