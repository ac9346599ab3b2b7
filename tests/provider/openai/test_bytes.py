"""How the stand-in's OpenAI answers look: events, their order and members, heads and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from provider.answers import Answer, Call, Fault, Given, Text, Think, overloaded, rate_limited
from provider.family import Ready
from provider.openai.family import OpenAI
from provider.openai.heads import make_login
from provider.openai.samples import HI, ask, chat, responses

LONG = "long " * 2000


def frames(body: dict[str, Any], answer: Answer, family: OpenAI | None = None) -> list[bytes]:
    ready: Ready = ask(family or OpenAI(), {**body, "stream": True}, answer).notes["ready"]
    assert ready.streamed
    return ready.frames


def values(body: dict[str, Any], answer: Answer) -> list[dict[str, Any]]:
    """The data of all events but [DONE]."""
    data = [frame.partition(b"data: ")[2] for frame in frames(body, answer)]
    return [json.loads(each) for each in data if each != b"[DONE]\n\n"]


def test_a_chat_stream() -> None:
    step = Answer((Text("Hello there, you."), Call("ls", {"path": "/é"}), Call("exec", "free")))
    chunks = values(chat("gpt-5"), step)
    assert frames(chat("gpt-5"), step)[-1] == b"data: [DONE]\n\n"
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello there, you."
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    first, last = calls[0], calls[-1]
    assert first["index"] == 0 and first["id"].startswith("call_") and first["function"]["arguments"] == ""
    arguments = "".join(call["function"]["arguments"] for call in calls if call["index"] == 0)
    assert json.loads(arguments) == {"path": "/é"}
    assert last == {"index": 1, "custom": {"input": "free"}}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "tool_calls"]
    assert all("usage" not in chunk and chunk["obfuscation"] for chunk in chunks)
    assert len({chunk["id"] for chunk in chunks}) == 1 and chunks[0]["id"].startswith("chatcmpl-")


def test_a_chat_stream_without_text_starts_with_null() -> None:
    assert values(chat("gpt-4o"), Answer((Call("ls", {}),)))[0]["choices"][0]["delta"]["content"] is None


def test_usage_comes_in_a_chunk_of_its_own_if_asked_for() -> None:
    options = {"include_usage": True, "include_obfuscation": False}
    *others, last = values(chat("gpt-5", stream_options=options), Answer())
    assert all(chunk["usage"] is None and "obfuscation" not in chunk for chunk in others)
    assert last["choices"] == [] and last["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_choices_and_logprobs() -> None:
    record = ask(OpenAI(), chat("gpt-4o", n=2, logprobs=True), Answer((Text("Hello there"),)))
    body = json.loads(record.notes["ready"].frames[0])
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    assert [token["token"] for token in body["choices"][1]["logprobs"]["content"]] == ["Hello", "there"]
    chunks = values(chat("gpt-4o", n=2, logprobs=True), Answer((Text("Hello there"),)))
    ends = [c["choices"][0]["index"] for c in chunks if c["choices"][0]["finish_reason"] == "stop"]
    assert ends == [0, 1]


def test_a_responses_stream() -> None:
    asked = {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    step = Answer((Think("Well well well, yes."), Text("Hello"), Call("ls", {"a": 1}), Call("exec", "free")))
    events = values(responses("gpt-6.1-sol", **asked), step)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert list(dict.fromkeys(kinds)) == [
        *("created", "in_progress", "output_item.added"),
        *("reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done"),
        *("reasoning_summary_part.done", "output_item.done"),
        *("content_part.added", "output_text.delta", "output_text.done", "content_part.done"),
        *("function_call_arguments.delta", "function_call_arguments.done"),
        *("custom_tool_call_input.delta", "custom_tool_call_input.done", "completed"),
    ]
    items = [event["item"] for event in events if event["type"].endswith("item.done")]
    assert items == events[-1]["response"]["output"]
    assert [item["id"].partition("_")[0] for item in items] == ["rs", "msg", "fc", "ctc"]
    assert items[0]["encrypted_content"].startswith("gAAAA")
    deltas = [event for event in events if event["type"].endswith(".delta")]
    assert all(event["obfuscation"] for event in deltas)
    assert events[0]["response"]["usage"] is None and events[0]["response"]["id"].startswith("resp_")


def test_tools_in_a_namespace_are_called_by_it() -> None:
    tool = {"type": "namespace", "name": "clock", "tools": [{"type": "function", "name": "sleep"}]}
    items = [{"type": "additional_tools", "role": "developer", "tools": [tool]}, HI]
    record = ask(OpenAI(), responses("gpt-6.1-sol", input=items), Answer((Call("sleep", {}),)))
    assert record.message.blocks[-1]["namespace"] == "clock"


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_incomplete_response(reason: str) -> None:
    last = values(responses("gpt-4.1"), Answer(stop_reason=reason))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}


def test_refusals_of_the_model() -> None:
    step = Answer((Given({"type": "refusal", "refusal": "I cannot help."}),))
    events = values(responses("gpt-4.1"), step)
    told = [event["type"] for event in events if "refusal" in event["type"]]
    assert told == ["response.refusal.delta", "response.refusal.done"]
    said = ask(OpenAI(), chat("gpt-4o"), step).message.body()["choices"][0]["message"]
    assert (said["content"], said["refusal"]) == (None, "I cannot help.")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, ("error", "server_is_overloaded")),
        ("server_error", ("error", "server_error")),
        ("failed:server_error", ("response.failed", "server_error")),
    ],
)
def test_errors_inside_a_stream(kind: str | None, expected: tuple[str, str]) -> None:
    step = Answer(overload_after=3, overload_kind=kind)
    *_, event = values(responses("gpt-4.1"), step)
    code = event["response"]["error"]["code"] if "response" in event else event["code"]
    assert (event["type"], code, event["sequence_number"]) == (*expected, 3)
    *_, chunk = values(chat("gpt-4o"), step)
    assert chunk["error"]["code"] == expected[1]


def test_both_ways_to_write_json() -> None:
    family = OpenAI()
    assert b'{"id": "' in frames(chat("gpt-4o"), Answer(), family)[0]
    family.compact = True
    assert b'{"id":"' in frames(chat("gpt-4o"), Answer(), family)[0]
    ready = ask(family, chat("gpt-4o")).notes["ready"]
    assert ready.frames[0].startswith(b'{\n  "id": "chatcmpl-')


def test_answers_fit_a_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "name": "out", "schema": schema}
    said = ask(OpenAI(), responses("gpt-5", text={"format": form})).message.blocks[-1]
    assert json.loads(said["content"][0]["text"]) == {"n": 1}
    wrapped = {"type": "json_schema", "json_schema": {"name": "out", "schema": schema}}
    step = Answer((Text('{"n": 7}'),))
    said = ask(OpenAI(), chat("gpt-5", response_format=wrapped), step).message.blocks[0]
    assert json.loads(said["content"]) == {"n": 7}


def test_a_prefix_is_cached_per_account_and_model() -> None:
    family = OpenAI()
    body = responses("gpt-5", instructions=LONG)
    assert ask(family, body).counted.read == 0
    again = ask(family, {**body, "input": [HI, {"role": "assistant", "content": "yes"}, HI]})
    assert again.counted.read > 2000 and again.counted.read % 128 == 0
    usage = again.message.body()["usage"]
    assert usage["input_tokens_details"] == {"cached_tokens": again.counted.read}
    assert usage["input_tokens"] == again.counted.read + again.counted.input
    assert ask(family, body, account="b").counted.read == 0
    assert ask(family, {**body, "model": "gpt-5-mini"}).counted.read == 0
    assert ask(family, {**body, "instructions": "Long " * 2000}).counted.read == 0
    newer = ask(family, {**body, "model": "gpt-6-luna"})
    written = newer.message.body()["usage"]["input_tokens_details"]["cache_write_tokens"]
    assert newer.counted.input + written == newer.counted.total and written > 2000


def test_heads() -> None:
    family = OpenAI()
    heads = dict(ask(family, responses("gpt-5", stream=True)).notes["ready"].headers)
    assert heads["openai-model"] == "gpt-5-2025-08-07"
    assert heads["content-type"] == "text/event-stream; charset=utf-8"
    assert {"x-request-id", "openai-processing-ms", "x-codex-turn-state"} <= heads.keys()
    assert heads["x-ratelimit-limit-requests"] == "10000"
    login = {"host": "chatgpt.com", "path": "/backend-api/codex/responses"}
    login["authorization"] = f"Bearer {make_login('plan')}"
    heads = dict(ask(family, responses("gpt-5.5", stream=True, store=False), **login).notes["ready"].headers)
    assert "content-type" not in heads and "x-ratelimit-limit-requests" not in heads
    assert heads["x-codex-plan-type"] == "plus" and "x-codex-primary-used-percent" in heads


@pytest.mark.parametrize(
    ("fault", "status", "kind", "code"),
    [
        (rate_limited(3), 429, "requests", "rate_limit_exceeded"),
        (Fault(429, kind="insufficient_quota"), 429, "insufficient_quota", "insufficient_quota"),
        (overloaded(), 503, "service_unavailable_error", "server_is_overloaded"),
        (Fault(500, "Oh"), 500, "server_error", None),
        (Fault(404, "Gone", kind="model_not_found"), 404, "invalid_request_error", "model_not_found"),
    ],
)
def test_faults(fault: Fault, status: int, kind: str, code: str | None) -> None:
    ready = OpenAI().failure(ask(OpenAI(), chat("gpt-4o")), fault)
    error = json.loads(ready.frames[0])["error"]
    assert (ready.status, error["type"], error["code"], error["param"]) == (status, kind, code, None)
    assert fault.headers.items() <= dict(ready.headers).items()
