"""Neutral events on their way to a client, streamed or whole: what all four writers share.

Texts, thoughts and calls become blocks, one after another, since most APIs know no two at once: the first one
that is not finished is written as it comes, and those behind it wait. A text is finished when anything else
follows, a call when its arguments are whole JSON; at the latest all are at the answer's end. A text of blanks
alone, as some models put before calls, is none: Anthropic refuses to get one back.

What a writer makes is what its provider would send: nothing in it tells of another format but ids and
signatures, by which they are known again (`made`). They are made of the answer's id and numbers, so the same
events give the same bytes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from pointsman.wire.neutral import (
    CallArguments,
    CallPart,
    CallStart,
    Counts,
    End,
    Event,
    Failed,
    Refusal,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
)
from pointsman.wire.translation.blocks import Block, Kind, id_of
from pointsman.wire.translation.free_text import arguments
from pointsman.wire.translation.reading import merged

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")  # what all APIs take back as the id of a call


class EventWriter(ABC):
    """Neutral events in, bytes of one API's stream out.

    `begin` gives what such a stream starts with, once, so that it can be sent before there is an answer;
    `fail` ends the stream with an error that fits what was written. `content_type` is that of the stream.
    """

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, request: Request, answer_id: str, created: int, *, thoughts: bool) -> None:
        self.counts = Counts()
        self.stop = Stop(StopReason.END)
        self._request = request
        self._answer_id = answer_id
        self._created = created  # unix seconds
        self._thoughts = thoughts  # whether the client is shown them
        self._custom = {(tool.namespace, tool.name) for tool in request.tools if tool.custom}
        parts = (part for message in request.messages for part in message.parts)
        self._ids = {part.id for part in parts if isinstance(part, CallPart)}  # calls that have been
        self._begun = False
        self._over = False
        self._made = 0  # blocks
        self._blanks = ""  # the beginning of a text, as long as that is all there is of it
        self._open: deque[Block] = deque()  # the first one is being written
        self._calls: dict[int, Block] = {}

    # --- for callers ----------------------------------------------------------------------

    def begin(self) -> bytes:
        """The first frames of a stream; nothing once they have been given."""
        if self._begun or self._over:
            return b""
        self._begun = True
        return self._opening()

    def feed(self, events: Iterable[Event]) -> bytes:
        """What these events are to the client."""
        return b"".join([piece for event in events for piece in self._write(event)])

    def fail(self, status: int, message: str) -> bytes:
        """An error in the stream, at whatever point it is; nothing after its end."""
        if self._over:
            return b""
        self._over = True
        return self._failure(status, message)

    # --- for subclasses -------------------------------------------------------------------

    def _begin_with(self, event: Event) -> Iterator[bytes]:
        """What is written before the very first event."""
        yield self.begin()

    @abstractmethod
    def _opening(self) -> bytes:
        """What `begin` gives."""

    @abstractmethod
    def _start(self, block: Block) -> bytes:
        """A block begins."""

    @abstractmethod
    def _more(self, block: Block, fragment: str) -> bytes:
        """It goes on. `fragment` is not empty, and part of `block.text` by now."""

    @abstractmethod
    def _finish(self, block: Block) -> bytes:
        """It is over."""

    @abstractmethod
    def _end(self) -> bytes:
        """The answer is over; `counts` and `stop` are final."""

    @abstractmethod
    def _failure(self, status: int, message: str) -> bytes:
        """An error in the stream; `_begun` tells whether anything was written."""

    # --- events ---------------------------------------------------------------------------

    def _write(self, event: Event) -> Iterator[bytes]:
        if self._over:
            return
        if isinstance(event, Failed):
            yield self.fail(event.status, event.message)
            return
        if not self._begun:
            yield from self._begin_with(event)
        if isinstance(event, Text):
            yield from self._text(event.text)
        elif isinstance(event, CallArguments):
            yield from self._argue(event)
        elif isinstance(event, Thinking):
            if self._thoughts:
                yield from self._say("thinking", event.text)
        elif isinstance(event, Refusal):
            yield from self._say("refusal", event.text)
        elif isinstance(event, CallStart):
            yield from self._call(event)
        elif isinstance(event, Counts):
            self.counts = merged(self.counts, event)
        elif isinstance(event, Stop):
            self.stop = event
        elif isinstance(event, End):
            yield from self._close_all()
            self._over = True
            yield self._end()

    def _text(self, text: str) -> Iterator[bytes]:
        if self._open and self._open[-1].kind == "text":
            yield from self._put(self._open[-1], text)
            return
        text = self._blanks + text
        if not text.strip():
            self._blanks = text
            return
        yield from self._say("text", text)

    def _say(self, kind: Kind, text: str) -> Iterator[bytes]:
        self._blanks = ""
        if not self._open or self._open[-1].kind != kind:
            yield from self._append(Block(kind, self._made))
        yield from self._put(self._open[-1], text)

    def _call(self, event: CallStart) -> Iterator[bytes]:
        self._blanks = ""
        wanted = (event.namespace, event.name) in self._custom
        block = Block(
            "call",
            self._made,
            id=self._call_id(event),
            name=event.name,
            namespace=event.namespace,
            custom=wanted,
            arguments=arguments(custom=event.custom, wanted=wanted),
        )
        self._calls[event.index] = block
        yield from self._append(block)

    def _call_id(self, event: CallStart) -> str:
        """The provider's id, unless it has none, or one that is taken or that not all APIs would take."""
        given = event.id
        if given in self._ids or not _PLAIN_ID.fullmatch(given):
            given = id_of("call", self._answer_id, event.index)
        self._ids.add(given)
        return given

    def _argue(self, event: CallArguments) -> Iterator[bytes]:
        block = self._calls.get(event.index)
        if block is None or block.arguments is None or block.closed:
            return
        if fragment := block.arguments.feed(event.fragment):
            yield from self._put(block, fragment)
        if block is self._open[0]:
            yield from self._advance()

    # --- one block after another ----------------------------------------------------------

    def _append(self, block: Block) -> Iterator[bytes]:
        self._made += 1
        self._open.append(block)
        if len(self._open) == 1:
            yield self._start(block)
        else:
            yield from self._advance()

    def _put(self, block: Block, fragment: str) -> Iterator[bytes]:
        if block is self._open[0]:
            block.pieces.append(fragment)
            yield self._more(block, fragment)
        else:
            block.waiting.append(fragment)

    def _advance(self) -> Iterator[bytes]:
        """Go on to the next block while there is one and the first is finished."""
        while len(self._open) > 1 and self._open[0].finished:
            yield from self._close()

    def _close(self) -> Iterator[bytes]:
        block = self._open[0]
        if block.arguments is not None and (rest := block.arguments.end()):
            yield from self._put(block, rest)
        yield self._finish(block)
        block.closed = True
        self._open.popleft()
        if self._open:
            successor = self._open[0]
            yield self._start(successor)
            waiting, successor.waiting = "".join(successor.waiting), []
            if waiting:
                yield from self._put(successor, waiting)

    def _close_all(self) -> Iterator[bytes]:
        while self._open:
            yield from self._close()


class Collector(EventWriter):
    """Gathers the blocks of an answer that is given whole."""

    def __init__(self, events: Iterable[Event], request: Request, answer_id: str, *, thoughts: bool) -> None:
        super().__init__(request, answer_id, 0, thoughts=thoughts)
        self.blocks: list[Block] = []
        self.feed(events)

    def _opening(self) -> bytes:
        return b""

    def _start(self, block: Block) -> bytes:
        self.blocks.append(block)
        return b""

    def _more(self, block: Block, fragment: str) -> bytes:
        return b""

    def _finish(self, block: Block) -> bytes:
        return b""

    def _end(self) -> bytes:
        return b""

    def _failure(self, status: int, message: str) -> bytes:
        return b""
