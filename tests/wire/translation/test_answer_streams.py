"""Golden streams of all sixteen pairs, whatever the bytes come in; see tests/streams/translated/golden.py."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pointsman.surface import surfaces
from pointsman.values import Changes
from pointsman.wire import anthropic, gemini, marker, openai_chat, openai_responses
from streams.translated.golden import SITUATIONS, SURFACES, golden, run, source

TRANSFORMS: dict[str, Any] = {
    "anthropic": anthropic.StreamTransform,
    "gemini": gemini.StreamTransform,
    "openai_chat": openai_chat.StreamTransform,
    "openai_responses": openai_responses.StreamTransform,
}
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


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_the_clients_own_transform_follows(provider: str, client: str) -> None:
    """It sees in what was written what it would see in a native stream, and finds a place for its marker."""
    changes = Changes("asked-model", marker.make("served", "forced"), None, {"decision": "d1"})
    machine = TRANSFORMS[client](changes)
    stream = golden(provider, client, "mixed").read_bytes()
    out = b"".join([*machine.feed(stream), *machine.flush()]).decode()
    seen = machine.observation
    assert seen.begun and seen.complete and seen.error is None
    assert (seen.input_tokens, seen.cache_read_tokens, seen.output_tokens) == (100, 20, 31)
    ends = {"anthropic": "tool_use", "gemini": "STOP", "openai_chat": "tool_calls"}
    assert seen.stop_reason == ends.get(client, "completed")
    times = {"openai_responses": 5}  # in its delta, in three done events, and in the output at the end
    assert out.count("✦ **Pointsman**") == times.get(client, 1)


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
