"""An answer of one API as an answer of another: the reader of one joined to the writer of the other.

The client's format is what a writer makes, so its own stream transform can follow, as after a native answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

from pointsman.errors import BodyError
from pointsman.wire.json_spans import decode
from pointsman.wire.neutral import CallStart, End, Event, Failed, Request, Tool
from pointsman.wire.translation.failures import UNKNOWN_STATUS, read_failure
from pointsman.wire.translation.names import NameRule, tool_names
from pointsman.wire.translation.reading import EventReader, says
from pointsman.wire.translation.writing import EventWriter

CUT: Final = "The provider's answer ended too early."


class Reads(Protocol):
    """What is needed of the provider's surface."""

    @property
    def NAME_RULE(self) -> NameRule: ...

    def read_events(self, content_type: str) -> EventReader: ...

    def read_answer(self, data: bytes) -> list[Event]: ...


class Writes(Protocol):
    """What is needed of the client's surface."""

    def write_events(self, request: Request, answer_id: str, created: int) -> EventWriter: ...

    def write_answer(self, events: list[Event], request: Request, answer_id: str, created: int) -> bytes: ...

    def error_body(self, status: int, message: str) -> bytes: ...


class Translation:
    """A streamed answer on its way: the provider's bytes in, in any split, the client's out.

    What `feed` gives before `begun` is no more than a native stream's beginning, so it can be held back and
    dropped. `failed` is set as soon as the answer is known to be lost, and at its end if that is not the
    proper one; nothing has been written for it, since another provider may still answer: `fail` does. `ended`
    means that the answer is whole; if nothing has `begun` by then, it says nothing at all. `tools` says what
    the client calls the provider's names (`tool_names`).
    """

    def __init__(
        self, reader: EventReader, writer: EventWriter, tools: Mapping[str, Tool] = MappingProxyType({})
    ) -> None:
        self.failed: Failed | None = None
        self.ended = False
        self._reader = reader
        self._writer = writer
        self._tools = tools

    @property
    def begun(self) -> bool:
        """The first content, or a refusal, was seen."""
        return self._reader.begun

    @property
    def content_type(self) -> str:
        """Of the client's stream."""
        return self._writer.content_type

    def begin(self) -> bytes:
        """What the client's stream starts with, to be sent before anything has come; once."""
        return self._writer.begin()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bytes for the client, in no or one element."""
        return self._pass(self._reader.feed(chunk))

    def flush(self) -> list[bytes]:
        """The end of the provider's stream."""
        out = self._pass(self._reader.flush())
        if not self.ended and self.failed is None:
            self.failed = Failed(UNKNOWN_STATUS, CUT)
        return out

    def fail(self, status: int, message: str) -> bytes:
        """The error that ends the client's stream; nothing where it has ended."""
        return self._writer.fail(status, message)

    def _pass(self, events: list[Event]) -> list[bytes]:
        if events and isinstance(events[-1], Failed):
            self.failed = events.pop()  # type: ignore[assignment]
        elif events and isinstance(events[-1], End):
            self.ended = True
        data = self._writer.feed(renamed(events, self._tools))
        return [data] if data else []


def translation(
    reads: Reads, writes: Writes, request: Request, answer_id: str, created: int, content_type: str = ""
) -> Translation:
    """For one streamed answer. `request` is what was read from the client's, `created` is unix seconds."""
    tools = tool_names(request, reads.NAME_RULE)
    return Translation(
        reads.read_events(content_type), writes.write_events(request, answer_id, created), tools
    )


def renamed(events: Iterable[Event], tools: Mapping[str, Tool]) -> list[Event]:
    """The events with the client's names of its tools; a name that nobody offered stays."""
    return [_renamed(event, tools) if isinstance(event, CallStart) else event for event in events]


def _renamed(event: CallStart, tools: Mapping[str, Tool]) -> CallStart:
    tool = tools.get(event.name)
    return event if tool is None else replace(event, name=tool.name, namespace=tool.namespace)


def told(data: bytes, reads: Reads, request: Request) -> list[Event]:
    """A whole answer as neutral events, with the client's names of its tools."""
    return renamed(reads.read_answer(data), tool_names(request, reads.NAME_RULE))


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole answer in the client's format, or why there is none. `begun` False: it says nothing at all."""

    data: bytes = b""
    begun: bool = False
    failed: Failed | None = None


def translate_body(
    data: bytes, reads: Reads, writes: Writes, request: Request, answer_id: str, created: int
) -> Whole:
    """What becomes of a body that came with status 200."""
    events = told(data, reads, request)
    last = events[-1] if events else None
    if not isinstance(last, End):
        return Whole(failed=last if isinstance(last, Failed) else Failed(UNKNOWN_STATUS, CUT))
    return Whole(writes.write_answer(events, request, answer_id, created), begun=says(events))


def translate_error(data: bytes, status: int, writes: Writes) -> bytes:
    """A provider's error body, with the status it came with, in the client's shape; the message is kept."""
    return writes.error_body(status, error_of(data, status).message)


def error_of(data: bytes, status: int) -> Failed:
    """What a provider's error body says; a page or a bare text counts as far as it is short and no markup."""
    try:
        failed = read_failure(decode(data.strip()), status)
    except BodyError:
        text = data[:2_000].decode("utf-8", "replace").strip()
        failed = read_failure("" if text.startswith("<") else text[:500], status)
    return failed if failed.message else Failed(status, f"The provider answered with status {status}.")
