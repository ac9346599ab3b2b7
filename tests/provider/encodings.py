"""Content encodings: request bodies are decoded, answers compressed piece by piece and flushed after each."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

ERRORS = (ValueError, zlib.error, brotli.error, zstandard.ZstdError)


class Compressor(Protocol):
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


@dataclass
class _Identity:
    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _Zlib:
    def __init__(self, bits: int) -> None:
        self.machine = zlib.compressobj(wbits=bits)

    def feed(self, data: bytes) -> bytes:
        return self.machine.compress(data) + self.machine.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self.machine.flush()


class _Brotli:
    def __init__(self) -> None:
        self.machine = brotli.Compressor(quality=4)

    def feed(self, data: bytes) -> bytes:
        return bytes(self.machine.process(data) + self.machine.flush())

    def finish(self) -> bytes:
        return bytes(self.machine.finish())


class _Zstd:
    def __init__(self) -> None:
        self.machine = zstandard.ZstdCompressor().compressobj()

    def feed(self, data: bytes) -> bytes:
        return self.machine.compress(data) + self.machine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self.machine.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


def compressor(encoding: str) -> Compressor:
    makers: dict[str, Callable[[], Compressor]] = {
        "": _Identity,
        "gzip": lambda: _Zlib(31),
        "deflate": lambda: _Zlib(15),
        "br": _Brotli,
        "zstd": _Zstd,
    }
    return makers[encoding]()


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Decode a request body as the provider would: ValueError if broken, OverflowError if too large."""
    if encoding in ("", "identity"):
        return data
    if encoding == "gzip" or encoding == "deflate":
        machine = zlib.decompressobj(31 if encoding == "gzip" else 15)
        out = machine.decompress(data, limit + 1)
        if len(out) > limit:
            raise OverflowError
        if not machine.eof:
            raise ValueError("truncated")
        return out
    if encoding == "br":
        out = brotli.decompress(data)
    elif encoding == "zstd":
        out = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    else:
        raise ValueError(f"unknown content-encoding {encoding}")
    if len(out) > limit:
        raise OverflowError
    return out


def compress(data: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(data)
    machine = compressor(encoding)
    return machine.feed(data) + machine.finish()
