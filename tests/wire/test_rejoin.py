"""What a prelude and failing answers need: whether one has begun, an error in its middle, its rejoining."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pointsman.surface import Transform, surfaces
from pointsman.values import NO_CHANGES, Changes
from pointsman.wire import anthropic, gemini, marker, openai_chat, openai_responses

STREAMS = Path(__file__).parents[1] / "streams"
MARKED = Changes("asked-model", marker.make("served-model", "forced"), None, {"decision": "d1"})
# Where the first content is at the end of the bytes, or nowhere.
SILENT = {
    "anthropic": {"empty", "error_first"},
    "openai_chat": {"empty", "empty_answer", "error_first"},
    "openai_responses": {"no_output", "error_first", "failed_before_output"},
    "gemini": {"empty", "error_first", "error_bare_first"},
}


def transform(surface: str, changes: Changes = NO_CHANGES) -> Transform:
    made: dict[str, Any] = {
        "anthropic": anthropic.StreamTransform,
        "openai_chat": openai_chat.StreamTransform,
        "openai_responses": openai_responses.StreamTransform,
        "gemini": gemini.StreamTransform,
    }
    result: Transform = made[surface](changes)
    return result


ALL = [(surface, path) for surface in SILENT for path in sorted((STREAMS / surface).glob("*.sse"))]


def load(surface: str, name: str) -> bytes:
    return (STREAMS / surface / f"{name}.sse").read_bytes()


def events(stream: bytes) -> list[dict[str, Any]]:
    lines = (line[6:] for line in stream.splitlines() if line.startswith(b"data: "))
    return [json.loads(line) for line in lines if line != b"[DONE]"]


# --- has it begun? --------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [NO_CHANGES, MARKED], ids=["observed", "marked"])
@pytest.mark.parametrize(("surface", "path"), ALL, ids=lambda value: getattr(value, "stem", value))
def test_an_answer_has_begun_with_its_first_content(surface: str, path: Path, changes: Changes) -> None:
    machine = transform(surface, changes)
    for piece in path.read_bytes().splitlines(keepends=True):
        machine.feed(piece)
    machine.flush()
    assert machine.observation.begun is (path.stem not in SILENT[surface])


FIRST = [
    ("anthropic", "text", b"text_delta"),
    ("anthropic", "thinking", b'"type":"thinking"'),
    ("anthropic", "tool_first", b'"type":"tool_use"'),
    ("openai_chat", "text", b'"content":"Points"'),
    ("openai_chat", "reasoning_content", b'"reasoning_content":"Which"'),
    ("openai_chat", "refusal", b'"refusal":"I'),
    ("openai_chat", "tools_parallel", b'"tool_calls"'),
    ("openai_responses", "text", b"output_text.delta"),
    ("openai_responses", "tool_call", b'"type":"function_call"'),
    ("gemini", "text", b'"text"'),
    ("gemini", "thinking", b'"thought"'),
    ("gemini", "tool_first", b'"functionCall"'),
]


@pytest.mark.parametrize("changes", [NO_CHANGES, MARKED], ids=["observed", "marked"])
@pytest.mark.parametrize(("surface", "name", "sign"), FIRST)
def test_it_has_not_begun_before(surface: str, name: str, sign: bytes, changes: Changes) -> None:
    data = load(surface, name).replace(b"\r\n", b"\n")
    start = data.rfind(b"\n\n", 0, data.index(sign)) + 2 if b"\n\n" in data[: data.index(sign)] else 0
    machine = transform(surface, changes)
    machine.feed(data[:start])
    assert not machine.observation.begun
    machine.feed(data[start : data.index(b"\n\n", start) + 2])
    assert machine.observation.begun


def test_whole_answers_have_begun_too() -> None:
    assert anthropic.observe_body(b'{"type":"message","content":[{"type":"text","text":"a"}]}').begun
    assert anthropic.observe_body(b'{"type":"message","content":[],"stop_reason":"refusal"}').begun
    assert not anthropic.observe_body(b'{"type":"message","content":[]}').begun
    assert openai_chat.observe_body(b'{"choices":[{"message":{"content":"a"}}]}').begun
    assert not openai_chat.observe_body(b'{"choices":[{"message":{"content":""}}]}').begun
    message = b'{"object":"response","output":[{"type":"message","content":[{"text":"a"}]}]}'
    assert openai_responses.observe_body(message).begun
    assert not openai_responses.observe_body(b'{"object":"response","output":[]}').begun
    assert gemini.observe_body(b'{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}').begun
    assert gemini.observe_body(b'{"promptFeedback":{"blockReason":"SAFETY"}}').begun
    assert not gemini.observe_body(b'{"candidates":[{"content":{"parts":[{"text":""}]}}]}').begun


# --- an error in its middle -----------------------------------------------------------------


@pytest.mark.parametrize("changes", [NO_CHANGES, MARKED], ids=["observed", "marked"])
@pytest.mark.parametrize(
    ("surface", "error"),
    [
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}),
        (
            "openai_chat",
            {"error": {"message": "Busy.", "type": "server_error", "param": None, "code": None}},
        ),
        ("gemini", {"error": {"code": 529, "message": "Busy.", "status": "UNAVAILABLE"}}),
    ],
)
def test_an_error_follows_what_was_sent(surface: str, error: dict[str, Any], changes: Changes) -> None:
    data = load(surface, "text")
    for cut in range(0, len(data), 3):
        machine = transform(surface, changes)
        sent = b"".join(machine.feed(data[:cut]))
        out = sent + machine.fail(529, "Busy.")
        assert out.startswith(sent)
        blocks = out.replace(b"\r\n", b"\n").rstrip().split(b"\n\n")
        assert json.loads(blocks[-1].rpartition(b"data: ")[2]) == error


@pytest.mark.parametrize("changes", [NO_CHANGES, MARKED], ids=["observed", "marked"])
def test_a_response_fails_with_its_id_and_the_next_number(changes: Changes) -> None:
    data = load("openai_responses", "text")
    for end in (at + 2 for at in range(len(data)) if data.startswith(b"\n\n", at)):
        machine = transform("openai_responses", changes)
        sent = b"".join(machine.feed(data[:end]))
        [failed] = events(machine.fail(503, "Busy."))
        before = events(sent)
        assert failed["type"] == "response.failed"
        assert failed["sequence_number"] == before[-1]["sequence_number"] + 1
        response = before[0]["response"]
        assert failed["response"]["id"] == response["id"]
        assert failed["response"]["model"] == response["model"]
        assert failed["response"]["error"] == {"code": "server_error", "message": "Busy."}


def test_a_response_that_never_began_fails_too() -> None:
    [failed] = events(transform("openai_responses").fail(429, "Slow."))
    assert failed["sequence_number"] == 0
    assert failed["response"]["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("changes", [NO_CHANGES, MARKED], ids=["observed", "marked"])
def test_an_array_ends_with_the_error(changes: Changes) -> None:
    data = (STREAMS / "gemini" / "text.json").read_bytes()
    for cut in range(0, len(data) - 1, 3):
        machine = gemini.ArrayTransform(changes)
        sent = b"".join(machine.feed(data[:cut]))
        error = machine.fail(503, "Busy.")
        if not error:
            assert changes is NO_CHANGES  # an element was sent by half
        else:
            assert json.loads(sent + error)[-1]["error"]["status"] == "UNAVAILABLE"


# --- an opening and what follows --------------------------------------------------------------


def rejoined(surface: str, chunks: list[bytes]) -> bytes:
    machine = surfaces()[surface].rejoin("a1", "asked-model", 1_795_000_000)
    out = [piece for chunk in chunks for piece in machine.feed(chunk)] + machine.flush()
    assert all(out)
    return surfaces()[surface].opening("a1", "asked-model", 1_795_000_000) + b"".join(out)


REJOINED = [(surface, path) for surface, path in ALL if surface in ("anthropic", "openai_chat")]


@pytest.mark.parametrize(("surface", "path"), REJOINED, ids=lambda value: getattr(value, "stem", value))
def test_a_stream_rejoins_the_same_in_any_split(surface: str, path: Path) -> None:
    data = path.read_bytes()
    whole = rejoined(surface, [data])
    assert rejoined(surface, [data[at : at + 1] for at in range(len(data))]) == whole
    for cut in range(0, len(data), 31):
        assert rejoined(surface, [data[:cut], data[cut:]]) == whole


def test_a_message_starts_once_and_keeps_its_counts() -> None:
    data = load("anthropic", "cache_usage")
    said = events(rejoined("anthropic", [data]))
    assert [event["type"] for event in said].count("message_start") == 1
    assert said[0]["message"]["id"] == "msg_pointsman_a1"
    first, last = (event["usage"] for event in said if event["type"] == "message_delta")
    assert first == {
        "output_tokens": 5,
        "input_tokens": 3,
        "cache_creation_input_tokens": 1200,
        "cache_read_input_tokens": 48000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 200},
    }
    assert last["input_tokens"] == 9 and last["cache_read_input_tokens"] == 48100
    assert data.endswith(rejoined("anthropic", [data]).rpartition(b"\n\nevent: message_delta")[2])


@pytest.mark.parametrize("name", ["text", "tools_parallel", "role_in_every_chunk", "usage_chunk", "n3"])
def test_chunks_take_the_id_of_the_opening_and_tell_no_role_again(name: str) -> None:
    data = load("openai_chat", name)
    before, after = events(data), events(rejoined("openai_chat", [data]))
    assert {chunk["id"] for chunk in after} == {"chatcmpl-pointsman-a1"}
    assert {chunk["created"] for chunk in after} == {1_795_000_000}
    assert "role" in after[0]["choices"][0]["delta"]
    for old, new in zip(before, after[1:], strict=True):
        for choice in old["choices"]:
            if choice["index"] == 0:
                choice["delta"].pop("role", None)
        assert new == old | {"id": new["id"], "created": new["created"]}
