"""Server-sent events (HTML Living Standard, 9.2): an incremental reader that loses no byte, and a writer.

Rules of the format: lines end in LF, CRLF or CR; an empty line ends an event; one BOM may
stand at the start; several `data` lines are joined by LF; a line that starts with a colon is
a comment; at the end of the stream an event without its empty line is never dispatched.

The reader cuts the stream into blocks, each up to and including its empty line. The blocks
put together are the stream, whatever the chunks were, and the cuts are always at the same
places: a CR at the very end of a chunk is held until it is known whether an LF follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EVENT_CAP_BYTES = 16 << 20
UNTOLD = ("", "application/octet-stream", "text/plain")
"""Types of answers that do not say what they are."""

_BOM = b"\xef\xbb\xbf"
_EOL = rb"(?:\r\n|\n|\r(?=[^\n]))"
_ONE_END = re.compile(_EOL)
_BLOCK_END = re.compile(_EOL + _EOL)
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")


@dataclass(frozen=True, slots=True)
class Event:
    """One block of the stream. `raw` is its exact bytes; it may hold no field at all.

    `whole` is False for a piece of an event that is larger than the cap: only `raw` counts then.
    """

    raw: bytes
    whole: bool = True

    @property
    def name(self) -> str:
        """The event's type, "" where none is given. The last `event` line counts."""
        values = self._values(b"event")
        return values[-1].decode("utf-8", "replace") if values else ""

    @property
    def data(self) -> bytes | None:
        """The data lines joined by LF; None where there is none: comments and empty lines."""
        values = self._values(b"data")
        return b"\n".join(values) if values else None

    def _values(self, field: bytes) -> list[bytes]:
        if not self.whole:
            return []
        lines = (match[1] for match in _LINE.finditer(self.raw.removeprefix(_BOM)))
        return [line[len(field) + 1 :].removeprefix(b" ") for line in lines if _is_field(line, field)]

    def with_data(self, data: bytes) -> bytes:
        """The bytes of this event with other data; all its other lines stay as they are."""
        bom = _BOM if self.raw.startswith(_BOM) else b""
        lines = list(_LINE.finditer(self.raw, len(bom)))
        # As the last data line ended: a CR in its place would take the LF of the empty line to itself.
        end = next((match[2] for match in reversed(lines) if _is_field(match[1], b"data")), b"\n")
        pieces: list[bytes] = [bom]
        written = False
        for match in lines:
            line = match[1]
            if not _is_field(line, b"data"):
                pieces.append(match[0])
            elif not written:
                head = b"data: " if line.startswith(b"data: ") else b"data:"
                pieces += [head + part + end for part in data.split(b"\n")]
                written = True
        return b"".join(pieces)


def _is_field(line: bytes, field: bytes) -> bool:
    return line.startswith(field) and line[len(field) : len(field) + 1] in (b":", b"")


class Reader:
    """Bytes in any split in, events out.

    An event larger than `cap` bytes is not held: it leaves in pieces that are not `whole`.
    """

    __slots__ = ("_buffer", "_cap", "_has_cr", "_overflowing", "_scanned")

    def __init__(self, cap: int = EVENT_CAP_BYTES) -> None:
        self._cap = cap
        self._buffer = bytearray()
        self._scanned = 0  # no block ends before this offset
        self._has_cr = False
        self._overflowing = False

    @property
    def pending(self) -> bytes:
        """What was fed and not yet handed out."""
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        self._has_cr = self._has_cr or b"\r" in chunk
        self._buffer += chunk
        events: list[Event] = []
        while (end := self._end_of_block()) >= 0:
            events.append(self._take(end, last=True))
        if self._overflowing or len(self._buffer) > self._cap:
            events += self._overflow()
        return events

    def flush(self) -> list[Event]:
        """The end of the stream: what is left, `whole` only if its last CR was an empty line."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        if not rest:
            return []
        ended = re.search(rb"(?:\A|\r|\n)\r\Z", rest) is not None
        return [Event(rest, whole=ended and not self._overflowing)]

    def _end_of_block(self) -> int:
        buffer = self._buffer
        if not self._has_cr:
            if buffer.startswith(b"\n") and not self._overflowing:
                return 1
            at = buffer.find(b"\n\n", self._scanned)
            self._scanned = max(0, len(buffer) - 1)
            return at + 2 if at >= 0 else -1
        if not self._overflowing and (match := _ONE_END.match(buffer)):
            return match.end()
        found = _BLOCK_END.search(buffer, self._scanned)
        self._scanned = max(0, len(buffer) - 3)
        return found.end() if found else -1

    def _take(self, end: int, *, last: bool) -> Event:
        event = Event(bytes(self._buffer[:end]), whole=last and not self._overflowing)
        del self._buffer[:end]
        self._scanned = 0
        self._overflowing = not last
        if not self._buffer:
            self._has_cr = False
        return event

    def _overflow(self) -> list[Event]:
        # Line ends at the tail stay: they may be the first half of the empty line.
        end = len(self._buffer.rstrip(b"\r\n"))
        return [self._take(end, last=False)] if end else []


def write(name: str, data: bytes) -> bytes:
    """One event. `data` must not hold a line end, as compact JSON never does."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """One comment; line ends in `text` become spaces."""
    return b": " + " ".join(text.splitlines()).encode() + b"\n\n"


def is_event_stream(content_type: str, *, asked: bool) -> bool:
    """Whether an answer is in this format.

    ChatGPT's heads do not say, and those of some gateways say nothing with many words: then it is if one was
    `asked` for. A stream that is taken for a whole answer would be held back until its end.
    """
    kind = media_type(content_type)
    return kind == "text/event-stream" or (asked and kind in UNTOLD)


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
