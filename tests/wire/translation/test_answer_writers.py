"""What writers make of answers that no provider would send like that: strict to the last byte."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.surface import surfaces
from pointsman.wire.neutral import (
    CallArguments,
    CallPart,
    CallStart,
    Counts,
    End,
    Event,
    Message,
    Reasoning,
    Refusal,
    Request,
    Start,
    Stop,
    StopReason,
    Text,
    Thinking,
    Tool,
)
from pointsman.wire.translate import translation
from pointsman.wire.translation.free_text import Unwrapped, Wrapped
from pointsman.wire.translation.names import tool_names
from streams.translated.golden import SURFACES

SHOWN = Request("asked", (), reasoning=Reasoning(on=True, shown=True))
CODEX = Request(
    "asked",
    (),
    tools=(
        Tool("exec", custom=True, namespace="functions"),
        Tool("wait", namespace="functions"),
        Tool("followup_task", namespace="collaboration"),
        Tool("a" * 100),
    ),
)
ENDED: list[Event] = [Stop(StopReason.CALLS), End()]
EVERYTHING: list[Event] = [
    Start(), Thinking("hm"), Text("a"), CallStart(0, "x", "f"), CallArguments(0, "{}"), Text("b"),
    Refusal("no"), Counts(1, 2, 3, 4, 1), Stop(StopReason.CALLS), End(),
]  # fmt: skip


def surface(name: str) -> Any:
    return surfaces()[name]


def write(client: str, events: list[Event], request: Request = SHOWN) -> bytes:
    return bytes(surface(client).write_events(request, "a1", 7).feed(events))


def values(stream: bytes) -> list[Any]:
    lines = (line.removeprefix(b"data: ") for line in stream.splitlines() if line.startswith(b"data: "))
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def body(client: str, events: list[Event], request: Request = SHOWN) -> Any:
    return json.loads(surface(client).write_answer(events, request, "a1", 7))


# --- one block after another ------------------------------------------------------------------


INTERLEAVED: list[Event] = [
    Start(), CallStart(0, "x", "f"), CallStart(1, "y", "g"), CallArguments(1, '{"b":'),
    CallArguments(0, '{"a":'), Text("late"), CallArguments(1, "2}"), CallArguments(0, "1}"), *ENDED,
]  # fmt: skip


def test_calls_at_once_are_blocks_one_after_another() -> None:
    kinds = [(value["type"], value.get("index")) for value in values(write("anthropic", INTERLEAVED))]
    first, second, third = (
        [("content_block_start", n), *[("content_block_delta", n)] * deltas, ("content_block_stop", n)]
        for n, deltas in ((0, 2), (1, 1), (2, 1))
    )
    assert kinds == [
        ("message_start", None), *first, *second, *third, ("message_delta", None), ("message_stop", None),
    ]  # fmt: skip
    assert [block["type"] for block in body("anthropic", INTERLEAVED)["content"]] == [
        "tool_use", "tool_use", "text",
    ]  # fmt: skip


@pytest.mark.parametrize("client", SURFACES)
def test_the_first_call_is_written_as_it_comes(client: str) -> None:
    """And a later one as soon as the one before is whole; Gemini's calls are whole."""
    writer = surface(client).write_events(SHOWN, "a1", 7)
    assert writer.feed(INTERLEAVED[:2]) or client == "gemini"
    assert not writer.feed(INTERLEAVED[2:4])
    assert bool(writer.feed(INTERLEAVED[4:5])) == (client != "gemini")
    assert not writer.feed(INTERLEAVED[5:7])
    assert writer.feed(INTERLEAVED[7:8]).count(b"late") >= 1


@pytest.mark.parametrize("client", SURFACES)
def test_a_call_without_arguments_has_an_empty_object(client: str) -> None:
    events: list[Event] = [Start(), CallStart(0, "x", "f"), CallStart(1, "y", "g"), *ENDED]
    again = surface(client).read_answer(write(client, events))
    assert [event for event in again if isinstance(event, CallArguments)] == [
        CallArguments(0, "{}"), CallArguments(1, "{}"),
    ]  # fmt: skip
    assert b"{}" in write(client, events) and body(client, events)


def test_arguments_that_are_no_object_are_shown_to_the_tool() -> None:
    events: list[Event] = [Start(), CallStart(0, "x", "f"), CallArguments(0, '{"a":'), *ENDED]
    assert body("anthropic", events)["content"][0]["input"] == {"INVALID_JSON": '{"a":'}
    [part] = body("gemini", events)["candidates"][0]["content"]["parts"]
    assert part["functionCall"]["args"] == {"INVALID_JSON": '{"a":'}


def test_a_call_that_was_cut_off_is_no_call_of_geminis() -> None:
    events: list[Event] = [
        Start(), Text("a"), CallStart(0, "x", "f"), CallArguments(0, '{"a":'),
        Stop(StopReason.MAX_TOKENS), End(),
    ]  # fmt: skip
    for said in (values(write("gemini", events)), [body("gemini", events)]):
        assert "functionCall" not in json.dumps(said)
        assert said[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_what_comes_after_the_end_or_for_no_call_is_nothing() -> None:
    for client in SURFACES:
        writer = surface(client).write_events(SHOWN, "a1", 7)
        whole = writer.feed(EVERYTHING)
        assert whole and writer.feed(EVERYTHING) == b"" and writer.begin() == b""
        assert writer.fail(500, "late") == b""
        stray = [*EVERYTHING[:5], CallArguments(7, "{}"), CallArguments(0, " "), *EVERYTHING[5:]]
        assert write(client, stray) in (whole, write(client, EVERYTHING[:5] + stray[6:]))


def test_blanks_before_a_call_are_no_text() -> None:
    events: list[Event] = [Start(), Text("\n"), Text("\n"), CallStart(0, "x", "f"), *ENDED]
    assert [block["type"] for block in body("anthropic", events)["content"]] == ["tool_use"]
    kept: list[Event] = [Start(), Text("\n"), Text("\na"), Text(" "), *ENDED]
    assert body("anthropic", kept)["content"] == [{"type": "text", "text": "\n\na "}]


# --- what the client did not ask for ----------------------------------------------------------


@pytest.mark.parametrize("client", SURFACES)
def test_thoughts_are_shown_to_those_who_asked(client: str) -> None:
    hidden = Request("asked", (), reasoning=Reasoning(on=True, shown=False))
    assert (b"hm" in write(client, EVERYTHING)) == (client != "openai_chat")
    assert b"hm" not in write(client, EVERYTHING, hidden)
    assert b"hm" not in surface(client).write_answer(EVERYTHING, hidden, "a1", 7)


def test_usage_has_a_chunk_where_it_was_asked_for() -> None:
    asked = values(write("openai_chat", EVERYTHING))
    assert asked[-1]["choices"] == [] and asked[-1]["usage"]["total_tokens"] == 10
    assert all(value["usage"] is None for value in asked[:-1])
    unasked = Request("asked", (), stream_usage=False)
    assert not any("usage" in value for value in values(write("openai_chat", EVERYTHING, unasked)))


# --- tools and ids ----------------------------------------------------------------------------


def test_codex_gets_its_own_names_and_namespaces() -> None:
    back = {tool.name: name for name, tool in tool_names(CODEX, surface("anthropic").NAME_RULE).items()}
    assert back["followup_task"] == "collaboration__followup_task" and len(back["a" * 100]) <= 64
    events: list[Event] = [Start()]
    for index, name in enumerate(back.values()):
        events += [CallStart(index, f"toolu_{index}", name), CallArguments(index, '{"input":"ls"}')]
    stream = write("anthropic", [*events, *ENDED], Request("m", ()))
    made = translation(surface("anthropic"), surface("openai_responses"), CODEX, "a1", 7)
    items = values(b"".join(made.feed(stream) + made.flush()))[-1]["response"]["output"]
    told = [(item["type"], item["name"], item.get("namespace"), item.get("input")) for item in items]
    assert told == [
        ("custom_tool_call", "exec", None, "ls"),
        ("function_call", "wait", None, None),
        ("function_call", "followup_task", "collaboration", None),
        ("function_call", "a" * 100, None, None),
    ]
    assert [item["id"] for item in items] == [
        "ctc_pointsman_a1_0", "fc_pointsman_a1_1", "fc_pointsman_a1_2", "fc_pointsman_a1_3",
    ]  # fmt: skip


def test_a_name_that_nobody_offered_stays() -> None:
    stream = write("openai_chat", [Start(), CallStart(0, "x", "made_up"), *ENDED])
    made = translation(surface("openai_chat"), surface("anthropic"), CODEX, "a1", 7)
    assert b'"name":"made_up"' in b"".join(made.feed(stream) + made.flush())


@pytest.mark.parametrize("given", ["", "old", "functions.bash:0", "x" * 41, "new"])
def test_ids_of_calls_are_the_providers_where_they_do(given: str) -> None:
    history = Request("asked", (Message("assistant", (CallPart("old", "f", "{}"),)),))
    events: list[Event] = [Start(), CallStart(0, given, "f"), CallStart(1, given, "f"), *ENDED]
    first, second = (block["id"] for block in body("anthropic", events, history)["content"])
    assert first == (given if given == "new" else "call_pointsman_a1_0")
    assert second == "call_pointsman_a1_1"


# --- free text --------------------------------------------------------------------------------

texts = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\/\n\t🚂\x00')), max_size=20)


def fed(machine: Any, text: str, cuts: list[int]) -> str:
    at = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return "".join(machine.feed(text[a:b]) for a, b in itertools.pairwise(at)) + str(machine.end())


@given(text=texts, plain=st.booleans(), indent=st.sampled_from([None, 2]), cuts=st.lists(st.integers(0, 400)))
def test_free_text_comes_out_of_its_json(text: str, plain: bool, indent: Any, cuts: list[int]) -> None:
    wrapped = json.dumps({"input": text}, ensure_ascii=plain, indent=indent)
    machine = Unwrapped()
    assert fed(machine, wrapped, cuts) == text
    assert machine.complete
    assert json.loads(fed(Wrapped(), text, cuts)) == {"input": text}


def test_free_text_is_written_as_it_comes() -> None:
    machine = Unwrapped()
    parts = ('{"inp', 'ut": "a', "b\\", "n\\u00", "fc\\ud83d", '\\ude82"', "}")
    assert [machine.feed(part) for part in parts] == ["", "a", "b", "\n", "ü", "🚂", ""]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"command": "ls"}', "ls"), ('"ls"', "ls"), ("ls -l", "ls -l"), ("", ""), ("{}", ""),
        ('{"a": "x", "input": "ls"}', "ls"), ('{"a": "x", "b": "y"}', '{"a": "x", "b": "y"}'),
        ('{"input": 3}', '{"input": 3}'), ('{"input": "cut of', "cut of"), ('{"input": "a\\', "a\\"),
        ('{"input": "\\d+ \\u12"}', "\\d+ \\u12"), ('{"input": "line\nbreak"}', "line\nbreak"),
        ('{"input": "lone \\ud83d!"}', "lone \ud83d!"), ('{"input": "\\\\ud83d"}', "\\ud83d"),
    ],
)  # fmt: skip
def test_what_models_make_of_free_text(arguments: str, text: str) -> None:
    for size in (1, 2, 3, len(arguments) or 1):
        machine = Unwrapped()
        pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
        assert "".join(map(machine.feed, pieces)) + machine.end() == text


# --- failing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", SURFACES)
def test_a_stream_can_fail_at_any_point(client: str) -> None:
    for count in range(len(EVERYTHING)):
        writer = surface(client).write_events(SHOWN, "a1", 7)
        stream = bytes(writer.feed(EVERYTHING[:count]) + writer.fail(503, "Busy."))
        told = values(stream)
        error = told[-1]["response"]["error"] if client == "openai_responses" else told[-1]["error"]
        assert error["message"] == "Busy."
        assert writer.feed(EVERYTHING[count:]) == b"" and writer.fail(500, "again") == b""
        if client == "openai_responses":
            assert [value["sequence_number"] for value in told] == list(range(len(told)))
            assert told[0]["type"] == "response.created"
            assert {value["response"]["id"] for value in told if "response" in value} == {"resp_pointsman_a1"}


# --- arrays -----------------------------------------------------------------------------------


def test_a_gemini_stream_can_be_an_array() -> None:
    asked = Request("asked", (), stream=True, stream_array=True, reasoning=Reasoning(shown=True))
    for count in range(len(EVERYTHING) + 1):
        writer = surface("gemini").write_events(asked, "a1", 7)
        assert writer.begin() == b"" and writer.content_type.startswith("application/json")
        stream = writer.feed(EVERYTHING[:count]) + writer.fail(503, "Busy.")
        told = json.loads(stream)
        assert ("error" in told[-1]) == (count < len(EVERYTHING))
    assert told == values(write("gemini", EVERYTHING))
    assert surface("gemini").read_answer(stream) == surface("gemini").read_answer(write("gemini", EVERYTHING))
