"""A streamed Gemini answer that is one JSON array: what comes where server-sent events were not asked for.

    [{…}
    ,
    {…}
    ]

Each element is an answer as in an event. There is no place for a marker that all clients would take, so none
is given. An element is held until it is whole, and only where it is to be changed; nothing else is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire.gemini.answer import Observation, is_response
from pointsman.wire.gemini.stream import ChunkChange
from pointsman.wire.json_spans import decode

ELEMENT_CAP_BYTES = 16 << 20

_SIGN = re.compile(rb'[{}"]')
_IN_STRING = re.compile(rb'["\\]')


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of the stream. `element`: exactly one whole object; else what stands between them."""

    raw: bytes
    element: bool = False


class Reader:
    """Bytes in any split in, pieces out, which put together are the stream.

    Objects are found by their braces, at whatever depth of brackets, so a lone object counts too. One larger
    than `cap` bytes is not held: it leaves in pieces that are no element.
    """

    def __init__(self, cap: int = ELEMENT_CAP_BYTES) -> None:
        self._cap = cap
        self._buffer = bytearray()
        self._at = 0  # scanned up to here
        self._depth = 0
        self._string = False
        self._overflowing = False

    @property
    def pending(self) -> bytes:
        """What was fed and not yet handed out."""
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that `chunk` completes."""
        self._buffer += chunk
        pieces: list[Piece] = []
        start = 0  # of what has not been handed out
        while (sign := self._next_sign()) is not None:
            if sign == b"{":
                if self._depth == 0 and self._at - 1 > start:
                    pieces.append(Piece(bytes(self._buffer[start : self._at - 1])))
                    start = self._at - 1
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    pieces.append(Piece(bytes(self._buffer[start : self._at]), not self._overflowing))
                    start, self._overflowing = self._at, False
        if self._at > start and (self._depth == 0 or self._at - start > self._cap):
            self._overflowing = self._depth > 0
            pieces.append(Piece(bytes(self._buffer[start : self._at])))
            start = self._at
        del self._buffer[:start]
        self._at -= start
        return pieces

    def flush(self) -> list[Piece]:
        """The end of the stream: what is left of an object without its end."""
        rest, self._buffer, self._at = bytes(self._buffer), bytearray(), 0
        return [Piece(rest)] if rest else []

    def _next_sign(self) -> bytes | None:
        """The next brace outside strings, scanned over; None once all is scanned that can be."""
        while True:
            found = (_IN_STRING if self._string else _SIGN).search(self._buffer, self._at)
            if found is None:
                self._at = len(self._buffer)
                return None
            sign = found[0]
            if sign == b"\\":
                if found.end() == len(self._buffer):
                    self._at = found.start()  # what it escapes has yet to come
                    return None
                self._at = found.end() + 1
                continue
            self._at = found.end()
            if sign != b'"':
                return sign
            self._string = not self._string


class ArrayTransform:
    """A stream of array elements. For its contract see `wire/transform.py`."""

    def __init__(self, changes: Changes, choices: int = 1) -> None:
        self.observation = Observation(expected=choices)
        self.dirty = False
        self._reader = Reader()
        self._change_of = ChunkChange(replace(changes, marker_text=None), choices)
        self._passing = self._change_of.done

    @property
    def pending(self) -> bytes:
        """What was fed and has not been given back yet: the beginning of an element."""
        return b"" if self._passing else self._reader.pending

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bytes to send on for one chunk from upstream, in no or one element."""
        return self._send(self._reader.feed(chunk), chunk)

    def flush(self) -> list[bytes]:
        """The end of the stream: what was held back of an element without its end."""
        out = self._send(self._reader.flush(), b"")
        self.observation.end()
        self.dirty = True
        return out

    def _send(self, pieces: list[Piece], chunk: bytes) -> list[bytes]:
        if self._passing:
            for piece in pieces:
                self._answered(piece)
            return [chunk] if chunk else []
        out = [self._changed(piece) for piece in pieces]
        if self._passing:
            # From here on chunks pass whole: what has begun must not be held any longer.
            out.append(self._reader.pending)
        data = b"".join(out)
        return [data] if data else []

    def _answered(self, piece: Piece) -> bool:
        """Observe a piece; whether it is an answer, and no error."""
        if not piece.element:
            return False
        try:
            answer = decode(piece.raw)
            first = not self.observation.started
            seen = self.observation.see(answer)
        except Exception:
            return False  # the client gets it as it is and is the one to complain
        news = first or self.observation.stop_reason is not None or self.observation.error is not None
        self.dirty = self.dirty or (seen and news)
        return seen and is_response(answer)

    def _changed(self, piece: Piece) -> bytes:
        if self._passing or not self._answered(piece):
            return piece.raw
        raw = self._change_of.fast(piece.raw)
        if raw is None:
            try:
                raw = self._change_of.slow(piece.raw)
            except BodyError:
                raw = piece.raw
        self._passing = self._change_of.done
        return raw
