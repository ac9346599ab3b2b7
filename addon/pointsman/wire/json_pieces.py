"""The objects of a JSON text that comes in pieces: the elements of an array, or one object alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

ELEMENT_CAP_BYTES = 16 << 20

_SIGN = re.compile(rb'[{}"]')
_IN_STRING = re.compile(rb'["\\]')


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of the stream. `element`: exactly one whole object; else what stands between them."""

    raw: bytes
    element: bool = False


class PieceReader:
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

    @property
    def between(self) -> bool:
        """Nothing is held, and no object or string has begun."""
        return not (self._buffer or self._depth or self._string)

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
