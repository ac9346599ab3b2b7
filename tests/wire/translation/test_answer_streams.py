"""Golden streams of all sixteen pairs, whatever the bytes come in; see tests/streams/translated/golden.py."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pointsman.surface import surfaces
from streams.translated.golden import SITUATIONS, SURFACES, golden, run, source

PAIRS = list(itertools.product(SURFACES, SURFACES))
TRANSLATED = [pair for pair in PAIRS if pair[0] != pair[1]]


def halves(data: bytes, cut: int) -> list[bytes]:
    return [data[:cut], data[cut:]]


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_a_client_gets_the_golden_stream(provider: str, client: str, situation: str) -> None:
    data, expected = source(provider, situation), golden(provider, client, situation).read_bytes()
    assert run(provider, client, [data]) == expected
    assert run(provider, client, [data[at : at + 1] for at in range(len(data))]) == expected
    for cut in range(0, len(data), 97):
        assert run(provider, client, halves(data, cut)) == expected


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_it_does_so_wherever_the_bytes_are_cut(provider: str, client: str) -> None:
    data, expected = source(provider, "cut"), golden(provider, client, "cut").read_bytes()
    for cut in range(len(data)):
        assert run(provider, client, halves(data, cut)) == expected


TRAILING = [b": late\n\n", b"\n\n\n", b"data: [DONE]\n\n", b"data: {", b"event: x\r\n"]


@pytest.mark.parametrize("trailing", TRAILING)
@pytest.mark.parametrize(("provider", "client"), TRANSLATED)
def test_what_comes_after_the_end_is_not_told(provider: str, client: str, trailing: bytes) -> None:
    for situation in ("text", "broken"):
        data, expected = source(provider, situation), golden(provider, client, situation).read_bytes()
        assert run(provider, client, [data, trailing]) == expected
        assert run(provider, client, [data + trailing]) == expected


@pytest.mark.parametrize(("provider", "client"), TRANSLATED)
def test_a_stream_without_its_end_is_no_answer(provider: str, client: str) -> None:
    """Wherever it is cut before its last event, the client is told that it is broken, and no end."""
    data = source(provider, "text")
    kept = data.rstrip()[:-1]
    ends = {
        "anthropic": b"message_stop",
        "openai_chat": b"[DONE]",
        "openai_responses": b"response.completed",
        "gemini": b'"finishReason"',
    }
    last = ends[provider] if provider != "openai_chat" else b'"finish_reason":"stop"'
    for cut in range(0, kept.index(last), 41):
        out = run(provider, client, [data[:cut]])
        assert ends[client] not in out
        assert b"The provider's answer ended too early." in out


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("provider", SURFACES)
def test_events_do_not_depend_on_the_split(provider: str, situation: str) -> None:
    def events(chunks: list[bytes]) -> list[Any]:
        reader: Any = surfaces()[provider]
        reader = reader.read_events("")
        return [event for chunk in chunks for event in reader.feed(chunk)] + reader.flush()

    data = source(provider, situation)
    whole = events([data])
    for cut in range(0, len(data), 7):
        assert events(halves(data, cut)) == whole
