"""Streams with members of the wrong type, and with events that are missing or come twice."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman.surface import surfaces
from pointsman.wire.translate import translate_body, translation
from streams.translated.golden import SURFACES, request, source

JUNK: list[Any] = [None, True, 3, -1, 1.5, "x", [], {}, [1], {"a": 1}, [{}], "tool_use", 10**30]
PAIRS = [(provider, client) for provider in SURFACES for client in SURFACES if provider != client]


def damaged(value: Any, dice: random.Random) -> Any:
    if dice.random() < 0.05:
        return dice.choice(JUNK)
    if isinstance(value, dict):
        return {key: damaged(inner, dice) for key, inner in value.items() if dice.random() > 0.02}
    return [damaged(inner, dice) for inner in value] if isinstance(value, list) else value


def stream(provider: str, dice: random.Random) -> bytes:
    events: list[bytes] = []
    for event in source(provider, "mixed").replace(b"\r\n", b"\n").split(b"\n\n"):
        head, mark, data = event.rpartition(b"data: ")
        if data.startswith(b"{") and dice.random() < 0.4:
            data = json.dumps(damaged(json.loads(data), dice)).encode()
        events += [head + mark + data] * dice.choice([1] * 18 + [0, 2])
    return b"\n\n".join(events) + b"\n\n"


def values(out: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]


def is_anthropic(told: list[Any]) -> bool:
    """Blocks one after another, numbered without gaps, and each at an end before the message is."""
    opened, number = False, -1
    for event in told:
        kind, index = event["type"], event.get("index")
        if kind == "content_block_start":
            assert not opened
            opened, number = True, number + 1
        if index is not None:
            assert opened and index == number
        opened = opened and kind != "content_block_stop"
        assert not (opened and kind == "message_delta")
    return [event["type"] for event in told].count("message_start") <= 1


def is_responses(told: list[Any]) -> bool:
    items = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert told[-1]["response"]["output"] == items
    return [event["sequence_number"] for event in told] == list(range(len(told)))


def is_chat(told: list[Any]) -> bool:
    chunks = [event for event in told if event.get("choices")]
    starts = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [call["index"] for call in starts if "id" in call] == list(range(sum("id" in c for c in starts)))
    return all("role" not in chunk["choices"][0]["delta"] for chunk in chunks[1:])


def is_gemini(told: list[Any]) -> bool:
    return all("candidates" in chunk or "error" in chunk for chunk in told)


SOUND = {
    "anthropic": is_anthropic, "gemini": is_gemini, "openai_chat": is_chat, "openai_responses": is_responses,
}  # fmt: skip


@pytest.mark.parametrize(("provider", "client"), PAIRS)
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 32), size=st.integers(1, 400))
def test_whatever_comes_the_client_gets_its_own_format(
    provider: str, client: str, seed: int, size: int
) -> None:
    data = stream(provider, random.Random(seed))
    both: Any = surfaces()
    made = translation(both[provider], both[client], request(), "a1", 1)
    out = [piece for at in range(0, len(data), size) for piece in made.feed(data[at : at + size])]
    out += made.flush()
    assert made.ended != (made.failed is not None)
    if made.failed is not None:
        out.append(made.fail(made.failed.status, made.failed.message))
    assert SOUND[client](values(b"".join(out)))
    whole = translate_body(data, both[provider], both[client], request(), "a1", 1)
    assert (whole.failed is None) == made.ended and whole.begun == (made.ended and made.begun)
