from __future__ import annotations

import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pointsman.errors import BodyError
from pointsman.wire.encoding import Decoder, decode, encode

LIMIT = 1 << 20
TEXT = b'{"model":"a","messages":[{"role":"user","content":"points, signals, points"}]}' * 40
CODINGS = ["gzip", "x-gzip", "deflate", "br", "zstd", "identity", "", "gzip, br", "zstd,identity, deflate"]


@pytest.mark.parametrize("coding", CODINGS)
def test_every_split_decodes_to_the_same(coding: str) -> None:
    coded = encode(TEXT, coding)
    assert decode(coded, coding, LIMIT) == TEXT
    for cut in range(len(coded) + 1):
        decoder = Decoder(coding.upper(), LIMIT)
        assert decoder.feed(coded[:cut]) + decoder.feed(coded[cut:]) + decoder.flush() == TEXT
    decoder = Decoder(coding, LIMIT)
    assert b"".join(decoder.feed(coded[i : i + 1]) for i in range(len(coded))) + decoder.flush() == TEXT


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding not in ("identity", "")])
def test_a_missing_end_is_an_error_and_an_empty_body_is_not(coding: str) -> None:
    coded = encode(TEXT, coding)
    for cut in range(1, len(coded)):
        with pytest.raises(BodyError):
            decode(coded[:cut], coding, LIMIT)
    assert decode(b"", coding, LIMIT) == b""


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_garbage_raises_nothing_else(data: bytes, coding: str) -> None:
    try:
        decode(data, coding, LIMIT)
    except BodyError:
        pass


@given(st.binary(max_size=3000), st.sampled_from(CODINGS))
def test_encode_is_undone(data: bytes, coding: str) -> None:
    assert decode(encode(data, coding), coding, LIMIT) == data


def bomb(coding: str, mebibytes: int) -> bytes:
    """Mebibytes of zeros, coded without ever holding them."""
    zeros = bytes(1 << 20)
    if coding == "br":
        compressor = brotli.Compressor(quality=5)
        return b"".join(compressor.process(zeros) for _ in range(mebibytes)) + compressor.finish()
    if coding == "zstd":
        stream = zstandard.ZstdCompressor(level=3).compressobj()
        return b"".join(stream.compress(zeros) for _ in range(mebibytes)) + stream.flush()
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(deflate.compress(zeros) for _ in range(mebibytes)) + deflate.flush()


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_bomb_is_refused_without_being_held(coding: str) -> None:
    coded = bomb(coding, 256)
    assert len(coded) < LIMIT
    tracemalloc.start()
    with pytest.raises(BodyError, match="larger than"):
        decode(coded, coding, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * LIMIT


def test_a_bomb_inside_a_bomb_is_refused() -> None:
    with pytest.raises(BodyError, match="larger than"):
        decode(encode(bomb("gzip", 64), "gzip"), "gzip, gzip", LIMIT)


def test_the_limit_itself_is_allowed() -> None:
    for coding in CODINGS:
        assert len(decode(encode(bytes(1000), coding), coding, 1000)) == 1000
        with pytest.raises(BodyError):
            decode(encode(bytes(1001), coding), coding, 1000)


def test_what_servers_really_send() -> None:
    raw = zlib.compressobj(wbits=-15)
    assert decode(raw.compress(TEXT) + raw.flush(), "deflate", LIMIT) == TEXT
    assert decode(encode(TEXT, "gzip") + encode(b"more", "gzip"), "gzip", LIMIT) == TEXT + b"more"
    assert decode(encode(TEXT, "zstd") + encode(b"more", "zstd"), "zstd", LIMIT) == TEXT + b"more"
    assert decode(encode(TEXT, "gzip") + bytes(8), "gzip", LIMIT) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_flushed_events_come_out_at_once(coding: str) -> None:
    if coding == "br":
        br = brotli.Compressor()
        first, last = br.process(b"one") + br.flush(), br.process(b"two") + br.finish()
    elif coding == "zstd":
        zs = zstandard.ZstdCompressor().compressobj()
        first = zs.compress(b"one") + zs.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        last = zs.compress(b"two") + zs.flush()
    else:
        zl = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        first, last = zl.compress(b"one") + zl.flush(zlib.Z_SYNC_FLUSH), zl.compress(b"two") + zl.flush()
    decoder = Decoder(coding)
    assert decoder.feed(first) == b"one"
    assert decoder.feed(last) + decoder.flush() == b"two"


@pytest.mark.parametrize("coding", ["compress", "gzip, rot13", "gzip,gzip,gzip,gzip,gzip", "\u20ac"])
def test_unknown_codings_are_refused(coding: str) -> None:
    with pytest.raises(BodyError):
        Decoder(coding)
    with pytest.raises(BodyError):
        encode(b"x", coding)


def test_bytes_after_the_end_of_a_brotli_body_are_an_error_however_they_are_split() -> None:
    data = brotli.compress(b"nine")
    for chunks in ([data + b"%"], [data, b"%"]):
        decoder = Decoder("br")
        with pytest.raises(BodyError):
            for chunk in chunks:
                decoder.feed(chunk)
