"""What readers make of answers as providers, and those that copy them, really send them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pointsman.surface import surfaces
from pointsman.wire.neutral import (
    CallArguments,
    CallStart,
    Counts,
    End,
    Event,
    Failed,
    Refusal,
    Start,
    Stop,
    StopReason,
    Text,
    Thinking,
)

END = [Stop(StopReason.END), End()]
CALLED = [Stop(StopReason.CALLS), End()]


def read(name: str, *chunks: bytes) -> list[Event]:
    surface: Any = surfaces()[name]
    reader = surface.read_events("")
    return [event for chunk in chunks for event in reader.feed(chunk)] + list(reader.flush())


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def said(events: list[Event]) -> list[Event]:
    """All but the beginning."""
    assert isinstance(events[0], Start)
    return events[1:]


# --- Chat Completions -------------------------------------------------------------------------


def chunk(delta: Any, reason: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "model": "m", "choices": [choice], **members}


def chat(*values: Any) -> list[Event]:
    return said(read("openai_chat", sse(*values) + b"data: [DONE]\n\n"))


def call(fragment: str, **members: Any) -> dict[str, Any]:
    function = {"arguments": fragment} | ({"name": members.pop("name")} if "name" in members else {})
    return {"tool_calls": [{"function": function, **members}]}


REASONING = [
    {"reasoning_content": "why"},
    {"reasoning": "why"},
    {"reasoning": "why", "reasoning_content": "why"},
    {"reasoning": None, "reasoning_content": "why", "content": None},
    {"reasoning_details": [{"type": "reasoning.text", "text": "w"}, {"summary": "hy"}]},
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]},
]


@pytest.mark.parametrize("delta", REASONING)
def test_reasoning_has_many_names(delta: dict[str, Any]) -> None:
    assert chat(chunk(delta), chunk({"content": "so"}, "stop")) == [Thinking("why"), Text("so"), *END]


def test_content_may_stand_beside_the_end_and_in_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}, {"text": "b"}]
    assert chat(chunk({"content": parts}, "stop")) == [Text("a"), Text("b"), *END]


CALLS = {
    "in pieces": [
        call("", index=0, id="x", name="f"), call('{"a"', index=0), call(":1}", index=0),
    ],
    "without an index": [call('{"a"', id="x", name="f"), call(":1}")],
    "the id again": [call('{"a"', index=0, id="x", name="f"), call(":1}", index=0, id="x", name="f")],
    "arguments before the name": [call('{"a"', index=0, id="x"), call(":1}", index=0, name="f", id="x")],
    "at once": [call('{"a":1}', index=0, id="x", name="f", type="function")],
    "arguments as an object": [call({"a": 1}, index=0, id="x", name="f")],  # type: ignore[arg-type]
    "an empty id later": [call('{"a"', index=0, id="x", name="f"), call(":1}", index=0, id="", name="")],
}  # fmt: skip


@pytest.mark.parametrize("deltas", CALLS.values(), ids=CALLS.keys())
def test_calls_come_in_many_shapes(deltas: list[dict[str, Any]]) -> None:
    events = chat(*(chunk(delta) for delta in deltas), chunk({}, "stop"))
    assert events[0] == CallStart(0, "x", "f")
    fragments = [event.fragment for event in events if isinstance(event, CallArguments)]
    assert json.loads("".join(fragments)) == {"a": 1}
    assert events[-2:] == CALLED


def test_a_new_id_under_an_old_index_is_a_new_call() -> None:
    deltas = [call("{}", index=0, id="x", name="f"), call("{}", index=0, id="y", name="g")]
    events = chat(*map(chunk, deltas), chunk({}, "tool_calls"))
    assert [event for event in events if isinstance(event, CallStart)] == [
        CallStart(0, "x", "f"), CallStart(1, "y", "g"),
    ]  # fmt: skip


def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    events = chat(chunk(call("{}", name="f")), chunk(call("{}", name="f")), chunk({}, "tool_calls"))
    assert [event for event in events if isinstance(event, CallStart)] == [
        CallStart(0, "", "f"), CallStart(1, "", "f"),
    ]  # fmt: skip


def test_interleaved_calls_keep_their_arguments() -> None:
    deltas = [
        call("", index=0, id="x", name="f"), call("", index=1, id="y", name="g"),
        call("[", index=0), call("{", index=1), call("]", index=0), call("}", index=1),
    ]  # fmt: skip
    events = chat(*map(chunk, deltas), chunk({}, "tool_calls"))
    for index, text in ((0, "[]"), (1, "{}")):
        fragments = [e.fragment for e in events if isinstance(e, CallArguments) and e.index == index]
        assert "".join(fragments) == text


def test_the_old_function_call_and_a_custom_tool() -> None:
    old = [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]
    assert chat(*map(chunk, old), chunk({}, "function_call")) == [
        CallStart(0, "", "f"), CallArguments(0, "{}"), *CALLED,
    ]  # fmt: skip
    custom = {"index": 0, "id": "x", "type": "custom", "custom": {"name": "f", "input": "ls"}}
    assert chat(chunk({"tool_calls": [custom]}, "tool_calls")) == [
        CallStart(0, "x", "f", custom=True), CallArguments(0, "ls"), *CALLED,
    ]  # fmt: skip


USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}


@pytest.mark.parametrize(
    "values",
    [
        [chunk({"content": "a"}, "stop"), {"choices": [], "usage": USAGE}],
        [chunk({"content": "a"}, "stop", usage=USAGE)],
        [chunk({"content": "a"}, "stop", x_groq={"usage": USAGE})],
        [{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop", "usage": USAGE}]}],
    ],
)
def test_usage_stands_in_many_places(values: list[Any]) -> None:
    assert chat(*values) == [Text("a"), Counts(6, 3, 4, None, None), *END]


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", StopReason.END), ("length", StopReason.MAX_TOKENS), ("content_filter", StopReason.REFUSAL),
        ("tool_calls", StopReason.END), ("eos", StopReason.END), ("model_length", StopReason.CONTEXT),
    ],
)  # fmt: skip
def test_reasons_to_finish(reason: str, stop: StopReason) -> None:
    assert chat(chunk({"content": "a"}, reason))[-2:] == [Stop(stop), End()]


def test_a_refusal_in_words_is_one() -> None:
    assert chat(chunk({"refusal": "No"}), chunk({}, "stop")) == [
        Refusal("No"), Stop(StopReason.REFUSAL), End(),
    ]  # fmt: skip


def test_an_end_without_done_is_one_and_done_without_an_end_is_none() -> None:
    assert read("openai_chat", sse(chunk({"content": "a"}, "stop")))[-2:] == END
    assert chat(chunk({"content": "a"})) == [Text("a")]


def test_other_choices_and_foreign_members_are_passed_over() -> None:
    other = {"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}
    values = [{"object": "ping"}, {"choices": [other]}, chunk({"content": "a", "x": 1}, "stop", provider="p")]
    assert chat(*values) == [Text("a"), *END]


@pytest.mark.parametrize(
    ("value", "failed"),
    [
        ({"error": {"message": "m", "type": "server_error", "code": None}}, Failed(500, "m", "server_error")),
        ({"error": {"message": "m", "code": 429}, "choices": []}, Failed(429, "m", "")),
        ({"error": "m"}, Failed(502, "m", "")),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            Failed(529, "m", "overloaded_error"),
        ),
        (
            chunk({}, "insufficient_system_resource"),
            Failed(503, "The provider ran out of resources.", "insufficient_system_resource"),
        ),
    ],
)
def test_errors_in_a_chat_stream(value: Any, failed: Failed) -> None:
    events = read("openai_chat", sse(chunk({"content": "a"}), value, chunk({"content": "b"}, "stop")))
    assert said(events) == [Text("a"), failed]


# --- Anthropic --------------------------------------------------------------------------------


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> list[Any]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        *([{"type": "content_block_stop", "index": index}] if stop else []),
    ]


STOP = [
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
BEGUN = {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 5}}}
TOOL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


def anthropic(*values: Any) -> list[Event]:
    return said(read("anthropic", sse(BEGUN, *values)))


def test_unknown_blocks_and_what_belongs_to_them_are_passed_over() -> None:
    values = [
        *block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
               {"type": "input_json_delta", "partial_json": '{"q":1}'}),
        *block(1, {"type": "web_search_tool_result", "content": []}),
        *block(2, {"type": "redacted_thinking", "data": "x"}),
        *block(3, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": {}},
               {"type": "text_delta", "text": "a"}),
    ]  # fmt: skip
    assert anthropic({"type": "ping"}, {"type": "new_kind"}, *values, *STOP) == [
        Counts(input=5), Text("a"), Counts(output=2), *END,
    ]  # fmt: skip


def test_a_call_without_pieces_has_the_arguments_of_its_beginning() -> None:
    for given, text in (({}, "{}"), ({"a": 1}, '{"a":1}')):
        events = anthropic(*block(0, TOOL | {"input": given}), *STOP)
        assert events[1:3] == [CallStart(0, "t", "f"), CallArguments(0, text)]
        assert events[-2:] == CALLED
        # The block's end may be missing.
        assert CallArguments(0, text) in anthropic(*block(0, TOOL | {"input": given}, stop=False), *STOP)


def test_an_index_that_comes_twice_is_another_block() -> None:
    values = [
        *block(0, TOOL, {"type": "input_json_delta", "partial_json": "{}"}),
        *block(0, TOOL | {"id": "u"}, {"type": "input_json_delta", "partial_json": "[]"}),
    ]
    assert anthropic(*values, *STOP)[1:5] == [
        CallStart(0, "t", "f"), CallArguments(0, "{}"), CallStart(1, "u", "f"), CallArguments(1, "[]"),
    ]  # fmt: skip


def test_pieces_of_a_block_that_never_began() -> None:
    deltas = [{"type": "text_delta", "text": "a"}, {"type": "input_json_delta", "partial_json": "{"}]
    values = [{"type": "content_block_delta", "index": 3, "delta": delta} for delta in deltas]
    assert anthropic(*values, *STOP)[1] == Text("a")


def test_a_whole_message_reads_as_its_stream() -> None:
    message = {
        "type": "message", "id": "m", "model": "x", "stop_reason": "tool_use", "usage": {"input_tokens": 5},
        "content": [{"type": "text", "text": "a"}, TOOL | {"input": {"a": 1}}],
    }  # fmt: skip
    assert said(read("anthropic", json.dumps(message).encode())) == [
        Counts(input=5), Text("a"), CallStart(0, "t", "f"), CallArguments(0, '{"a":1}'), *CALLED,
    ]  # fmt: skip


# --- Responses --------------------------------------------------------------------------------


def response(status: str = "completed", output: Any = (), **members: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": {"status": status, "output": list(output), **members}}


def event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **members}


def responses(*values: Any) -> list[Event]:
    return said(read("openai_responses", sse(response("created"), *values)))


MESSAGE = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "all"}]}
FUNCTION = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}


def test_what_was_not_streamed_is_read_at_its_end() -> None:
    whole = [Text("all"), CallStart(0, "c", "f"), CallArguments(0, "{}"), *CALLED]
    assert responses(response(output=[MESSAGE, FUNCTION])) == whole
    items = enumerate([MESSAGE, FUNCTION])
    done = [event("output_item.done", output_index=number, item=item) for number, item in items]
    assert responses(*done, response()) == whole
    assert responses(*done, response(output=[MESSAGE, FUNCTION])) == whole


def test_what_was_streamed_is_not_told_twice() -> None:
    values = [
        event("output_item.added", output_index=0, item={"type": "message", "content": []}),
        event("output_text.delta", output_index=0, content_index=0, delta="all"),
        event("output_text.done", output_index=0, content_index=0, text="all"),
        event("output_item.done", output_index=0, item=MESSAGE),
        response(output=[MESSAGE]),
    ]
    assert responses(*values) == [Text("all"), *END]
    # Nor where the output at the end has it at another place.
    assert responses(*values[:-1], response(output=[FUNCTION, MESSAGE])) == [
        Text("all"), CallStart(0, "c", "f"), CallArguments(0, "{}"), *CALLED,
    ]  # fmt: skip


def test_items_may_be_told_by_their_ids_alone() -> None:
    values = [
        event("output_item.added", item=FUNCTION | {"arguments": ""}),
        event("function_call_arguments.delta", item_id="fc", delta="{}"),
        event("output_item.done", item=FUNCTION),
        response(),
    ]
    assert responses(*values) == [CallStart(0, "c", "f"), CallArguments(0, "{}"), *CALLED]


def test_thoughts_of_several_parts_are_apart() -> None:
    values = [
        event("reasoning_summary_text.delta", output_index=0, summary_index=number, delta=text)
        for number, text in ((0, "a"), (0, "b"), (1, "c"))
    ]
    assert responses(*values, response()) == [Thinking("a"), Thinking("b"), Thinking("\n\nc"), *END]


def test_a_custom_call_is_free_text() -> None:
    item = {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "ls"}
    assert responses(response(output=[item])) == [
        CallStart(0, "c", "exec", custom=True), CallArguments(0, "ls"), *CALLED,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "stop"),
    [
        (response("incomplete", incomplete_details={"reason": "max_output_tokens"}), StopReason.MAX_TOKENS),
        (response("incomplete", incomplete_details={"reason": "content_filter"}), StopReason.REFUSAL),
        (response("completed", error=None), StopReason.END),
    ],
)
def test_ends_of_a_response(value: Any, stop: StopReason) -> None:
    assert responses(value) == [Stop(stop), End()]


@pytest.mark.parametrize(
    "value",
    [
        response("failed", error={"code": "server_error", "message": "m"}),
        {"type": "error", "code": "server_error", "message": "m", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "m"}},
        {"error": {"code": "server_error", "message": "m"}},
    ],
)
def test_failures_of_a_response(value: Any) -> None:
    assert responses(value) == [Failed(500, "m", "server_error")]


# --- Gemini -----------------------------------------------------------------------------------


def candidate(*parts: Any, **members: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, **members}]}


def gemini(*values: Any) -> list[Event]:
    return said(read("gemini", sse(*values)))


def test_an_array_and_a_body_read_as_events() -> None:
    values = [candidate({"text": "a"}), candidate({"text": "b"}, finishReason="STOP")]
    expected = [Text("a"), Text("b"), *END]
    assert gemini(*values) == expected
    assert said(read("gemini", json.dumps(values, indent=2).encode())) == expected
    assert said(read("gemini", json.dumps(values[1]).encode())) == expected[1:]


def test_parts_of_all_kinds() -> None:
    parts = [
        {"text": "w", "thought": True, "thoughtSignature": "x"}, {"text": ""},
        {"functionCall": {"name": "f"}}, {"function_call": {"name": "g", "args": {"a": 1}, "id": "i"}},
        {"inlineData": {"data": "x"}}, {"executableCode": {"code": "1"}}, {"text": "a"},
    ]  # fmt: skip
    assert gemini(candidate(*parts, finishReason="STOP")) == [
        Thinking("w"), CallStart(0, "", "f"), CallArguments(0, "{}"),
        CallStart(1, "i", "g"), CallArguments(1, '{"a":1}'), Text("a"), *CALLED,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "stop"),
    [
        (candidate(finishReason="SAFETY"), StopReason.REFUSAL),
        (candidate(finishReason="MAX_TOKENS"), StopReason.MAX_TOKENS),
        (candidate(finishReason="MALFORMED_FUNCTION_CALL"), StopReason.END),
        ({"promptFeedback": {"blockReason": "OTHER"}}, StopReason.REFUSAL),
    ],
)
def test_ends_of_a_gemini_answer(value: Any, stop: StopReason) -> None:
    assert gemini(value) == [Stop(stop), End()]


def test_counts_of_a_gemini_answer_are_the_last_ones() -> None:
    usage = {"promptTokenCount": 10, "cachedContentTokenCount": 4, "thoughtsTokenCount": 2}
    values = [
        candidate({"text": "a"}, finishReason="STOP") | {"usageMetadata": {"promptTokenCount": 9}},
        {"usageMetadata": usage | {"candidatesTokenCount": 3}},
    ]
    assert gemini(*values) == [Text("a"), Counts(input=9), Counts(6, 5, 4, None, 2), *END]


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_errors_of_a_gemini_stream(wrap: Any) -> None:
    error = wrap({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}})
    failed = [Text("a"), Failed(503, "m", "UNAVAILABLE")]
    assert gemini(candidate({"text": "a"}), error) == failed
    bare = json.dumps(error, indent=2).encode()
    assert said(read("gemini", sse(candidate({"text": "a"})) + bare)) == failed


# --- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["anthropic", "gemini", "openai_chat", "openai_responses"])
@pytest.mark.parametrize(
    "data",
    [
        b'data: {"choices": 1, "candidates": {"x": 1}, "type": 5, "response": [], "usage": "x"}\n\n',
        b'data: {"type": "content_block_delta", "index": [], "delta": 4}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": {}, "function": 3}, 7]}}]}\n\n',
        b'data: {"type": "response.output_item.added", "item": {"type": "function_call", "name": 3}}\n\n',
        b'data: {"candidates": [{"content": {"parts": [{"functionCall": {"args": 3}}, 1]}}]}\n\n',
        b"data: {\n\n", b"\xff\xfe\n\n", b"event: error\ndata: {}\n\n", b"{" * 50, b"[[[]]]",
        b'{"error": []}', b'{"error": {"message": {}, "code": true}}',
    ],
)  # fmt: skip
def test_nothing_raises(name: str, data: bytes) -> None:
    events = read(name, data, data)
    assert not any(isinstance(event, End) for event in events)


def test_half_a_character_in_each_of_two_events_is_one_in_the_end() -> None:
    halves = [
        b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "\\ude82"}, "finish_reason": "stop"}]}\n\n',
    ]
    texts = [event.text for event in read("openai_chat", *halves) if isinstance(event, Text)]
    assert "".join(texts).encode("utf-16", "surrogatepass").decode("utf-16") == "🚂"
