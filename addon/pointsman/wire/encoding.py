"""Content codings (RFC 9110, 8.4): gzip, deflate, br, zstd, identity, and lists of them.

Every stage hands out pieces of bounded size, so a decompression bomb is refused when its
output passes the limit, long before it would be held in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from pointsman.errors import BodyError, TooLargeError

_PIECE = 1 << 18  # bytes of output at a time
# zstandard cannot cap its output, so its input is fed in slices: 256 bytes hold at most
# 64 run-length blocks of 128 KiB, 8 MiB of output.
_ZSTD_SLICE = 256
_ZSTD_MAX_WINDOW = 8 << 20  # what RFC 9659 allows in HTTP
_MAX_CODINGS = 4


class _Stage(Protocol):
    """One coding being undone."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces, never empty."""

    def finished(self) -> bool:
        """False in the middle of a coded stream: its end is missing."""


class _Zlib:
    """gzip (of several members), zlib, and the bare deflate that some servers call "deflate"."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._head = b""
        self._inflate = zlib.decompressobj(31) if self._gzip else None
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            self._head += data
            if len(self._head) < 2:
                return
            self._inflate, data = zlib.decompressobj(_zlib_or_raw(self._head)), self._head
        while data:
            if self._inflate.eof and not (self._gzip and self._next_member(data)):
                return  # padding after the end is ignored, as clients do
            self._begun = True
            piece = self._inflate.decompress(data, _PIECE)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                yield piece
        yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        """What is still inside after all input is consumed and a piece came out full."""
        while self._inflate is not None and not self._inflate.eof:
            piece = self._inflate.decompress(b"", _PIECE)
            if not piece:
                return
            yield piece

    def _next_member(self, data: bytes) -> bool:
        if data[:1] != b"\x1f":
            return False
        self._inflate = zlib.decompressobj(31)
        return True

    def finished(self) -> bool:
        if self._inflate is None:
            return not self._head
        return self._inflate.eof or not self._begun


def _zlib_or_raw(head: bytes) -> int:
    """zlib's window argument, by the two header bytes of RFC 1950."""
    is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        if data and self._decompressor.is_finished():
            # In one piece with the end the decompressor says so itself.
            raise BodyError("The compressed body goes on after its end.")
        while not self._decompressor.is_finished():
            piece = self._decompressor.process(data, output_buffer_limit=_PIECE)
            data = b""
            if piece:
                yield piece
            elif self._decompressor.can_accept_more_data():
                return

    def finished(self) -> bool:
        return not self._begun or bool(self._decompressor.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._frame = self._new_frame()
        self._between = True

    @staticmethod
    def _new_frame() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            rest = data[start : start + _ZSTD_SLICE]
            while rest:
                self._between = False
                piece = self._frame.decompress(rest)
                rest = b""
                if self._frame.eof:
                    rest = self._frame.unused_data
                    self._frame, self._between = self._new_frame(), True
                if piece:
                    yield piece

    def finished(self) -> bool:
        return self._between


def _codings(content_encoding: str | None) -> list[str]:
    """The codings in the order in which they are to be undone, identity left out."""
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    names = [name.removeprefix("x-") for name in names if name not in ("", "identity", "none")]
    if len(names) > _MAX_CODINGS:
        raise BodyError("The body has too many content codings.")
    return names[::-1]


def _stage(coding: str) -> _Stage:
    if coding in ("gzip", "deflate"):
        return _Zlib(coding)
    if coding == "br":
        return _Brotli()
    if coding == "zstd":
        return _Zstd()
    raise BodyError(f"The content coding {coding[:40]!r} is not known.")


class Decoder:
    """Undoes content codings chunk by chunk; `limit` caps the decoded bytes of the whole body.

    Raises BodyError for an unknown coding (when made), broken data or too much of it (`feed`),
    and a missing end (`flush`). `identity` is True where chunks come out as they went in.
    """

    def __init__(self, content_encoding: str | None, limit: int | None = None) -> None:
        self._stages = [_stage(coding) for coding in _codings(content_encoding)]
        self._limit = limit
        self._total = 0
        self.identity = not self._stages

    def feed(self, chunk: bytes) -> bytes:
        """What can be decoded so far; may be empty."""
        if self.identity:
            self._count(chunk)
            return chunk
        try:
            return b"".join(self._through(chunk, 0))
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
            raise BodyError(f"The compressed body is broken: {error}.") from error

    def _through(self, data: bytes, stage: int) -> Iterator[bytes]:
        if stage == len(self._stages):
            yield data
            return
        for piece in self._stages[stage].feed(data):
            self._count(piece)
            yield from self._through(piece, stage + 1)

    def _count(self, piece: bytes) -> None:
        # Stages inside a list count too: their work is as dear as their output.
        self._total += len(piece)
        if self._limit is not None and self._total > self._limit * max(1, len(self._stages)):
            raise TooLargeError(f"The decoded body is larger than {self._limit} bytes.")

    def flush(self) -> bytes:
        """To be called at the end of the body; nothing is ever held back."""
        if not all(stage.finished() for stage in self._stages):
            raise BodyError("The compressed body ends too early.")
        return b""


def decode(data: bytes, content_encoding: str | None, limit: int) -> bytes:
    """The body without its content codings. Raises BodyError."""
    decoder = Decoder(content_encoding, limit)
    decoded = decoder.feed(data)
    decoder.flush()
    if len(decoded) > limit:
        raise TooLargeError(f"The decoded body is larger than {limit} bytes.")
    return decoded


def encode(data: bytes, content_encoding: str | None) -> bytes:
    """The body with the given codings, at the fastest level of each. Raises BodyError."""
    for coding in reversed(_codings(content_encoding)):
        data = _encode(data, coding)
    return data


def _encode(data: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return zlib.compress(data, level=1, wbits=31)
    if coding == "deflate":
        return zlib.compress(data, level=1)
    if coding == "br":
        return bytes(brotli.compress(data, quality=0))
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=1).compress(data)
    raise BodyError(f"The content coding {coding[:40]!r} is not known.")
