from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.surface import surfaces
from pointsman.values import NO_CHANGES, Changes
from pointsman.wire import marker, openai_responses
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_responses import (
    ask,
    error_body,
    error_message,
    marker_modes,
    observe_body,
    read_facts,
    rewrite_body,
    set_model,
    stream,
)
from pointsman.wire.openai_responses.items import MARKER_ID

MARKER = marker.make("gpt-6-luna", "cluster")


def test_it_is_found_as_a_surface() -> None:
    assert surfaces()["openai_responses"] is openai_responses
    assert openai_responses.HOSTS == ("api.openai.com", "chatgpt.com")
    assert openai_responses.MODEL_HEADERS == ("openai-model",)


def test_the_model_is_set_by_span_and_nothing_is_asked_for() -> None:
    data = b'{ "model" : "gpt-6.1-sol","n":1e400, "input":[]}'
    body = Body.parse(data)
    facts = read_facts(body, {}, "/v1/responses", "generate")
    assert ask(body, facts) == []
    assert set_model(body, "/v1/responses?x=1", "gpt-6-luna") == "/v1/responses?x=1"
    assert body.render() == data.replace(b"gpt-6.1-sol", b"gpt-6-luna")


@pytest.mark.parametrize(
    ("content_type", "followed"),
    [
        ("text/event-stream", True),
        ("text/event-stream; charset=utf-8", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_what_is_streamed(content_type: str, followed: bool) -> None:
    facts = read_facts(Body.parse(b"{}"), {}, "/v1/responses", "generate")
    assert (stream(content_type, facts, NO_CHANGES) is not None) is followed


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503])
def test_the_real_sdk_reads_our_errors(status: int) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx2.Response(status, headers=headers, content=error_body(status, "Why."))
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    client = openai.OpenAI(api_key="none", http_client=http, max_retries=0)
    with pytest.raises(openai.APIStatusError, match="Why") as caught:
        client.responses.create(model="m", input="x")
    assert caught.value.status_code == status
    assert error_message(error_body(status, "Why.")) == "Why."


# --- whole answers ------------------------------------------------------------------------

ANSWER = (
    b'{"id": "resp_1a2b", "object": "response", "status": "completed", "model": "gpt-6-luna-2026-09-30", '
    b'"error": null, "output": [{"type": "reasoning", "id": "rs_1", "summary": []}, {"type": "message", '
    b'"id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}], '
    b'"usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 10}, "output_tokens": 4, '
    b'"n": 1e400}}'
)


def item(name: str) -> bytes:
    text = json.dumps(MARKER, ensure_ascii=False)
    return (
        f'{{"id":"{MARKER_ID}{name}","type":"message","status":"completed","role":"assistant","content":'
        f'[{{"type":"output_text","annotations":[],"logprobs":[],"text":{text}}}]}}'
    ).encode()


def test_a_whole_answer_is_rewritten_by_span() -> None:
    got = rewrite_body(ANSWER, Changes("gpt-6.1-sol", MARKER, None, {"id": "d1"}))
    expected = (
        ANSWER.replace(b"gpt-6-luna-2026-09-30", b"gpt-6.1-sol")
        .replace(b'"output": [', b'"output": [' + item("1a2b") + b", ")
        .replace(b"1e400}}", b'1e400}, "x_router": {"id":"d1"}}')
    )
    assert got == expected
    assert rewrite_body(ANSWER, NO_CHANGES) is ANSWER
    assert rewrite_body(ANSWER, Changes("gpt-6-luna-2026-09-30")) is ANSWER


def test_the_real_sdk_reads_a_whole_answer() -> None:
    data = rewrite_body(ANSWER.replace(b"1e400", b"1"), Changes("gpt-6.1-sol", MARKER, None, {"id": "d1"}))
    answer = httpx2.Response(200, headers={"content-type": "application/json"}, content=data)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    found = openai.OpenAI(api_key="none", http_client=http).responses.create(model="gpt-6.1-sol", input="x")
    assert (found.model, found.output_text) == ("gpt-6.1-sol", MARKER + "x")
    assert [part.type for part in found.output] == ["message", "reasoning", "message"]
    assert found.model_extra == {"x_router": {"id": "d1"}}


@pytest.mark.parametrize("output", [b"[]", b"[ ]", b"null", b'"text"', b"{}"])
def test_a_marker_is_never_the_whole_answer(output: bytes) -> None:
    empty = b'{"object":"response","model":"a","output":%s,"status":"incomplete"}' % output
    assert rewrite_body(empty, Changes("b", MARKER)) == empty.replace(b'"a"', b'"b"')
    absent = b'{"object":"response","model":"a"}'
    assert rewrite_body(absent, Changes("b", MARKER)) == absent.replace(b'"a"', b'"b"')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"error":{"type":"server_error","message":"Overloaded"}}',
        b'{"object":"response.deleted","id":"resp_1"}',
        b'{"object":"list","data":[]}',
        b'{"object":["response"],"output":[{}]}',
        b"\xff{}",
    ],
)
def test_what_is_no_response_passes(data: bytes) -> None:
    assert rewrite_body(data, Changes("m", MARKER, None, {})) == data


def test_whole_answers_are_observed() -> None:
    seen = observe_body(ANSWER)
    assert (seen.message_id, seen.answered_model, seen.stop_reason) == (
        "resp_1a2b", "gpt-6-luna-2026-09-30", "completed",
    )  # fmt: skip
    assert (seen.started, seen.complete, seen.error) == (True, True, None)
    assert (seen.input_tokens, seen.cache_read_tokens, seen.output_tokens) == (20, 10, 4)
    failed = observe_body(error_body(529, "Overloaded"))
    assert (failed.error, failed.complete, failed.started) == ("server_error: Overloaded", False, False)
    queued = observe_body(b'{"object":"response","id":"resp_1","status":"queued","model":"m"}')
    assert (queued.started, queued.complete, queued.stop_reason) == (True, False, None)
    assert observe_body(b"<html>") == observe_body(b'{"object":"response"') == observe_body(b"[1]")


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just("response"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "content", "code", "message"]), inner, max_size=3)
    ),
    max_leaves=6,
)
MEMBERS = ["id", "model", "status", "output", "usage", "error", "incomplete_details"]


@given(st.dictionaries(st.sampled_from(MEMBERS), ODD, max_size=7))
def test_answers_of_any_shape_raise_nothing(members: dict[str, Any]) -> None:
    data = json.dumps({"object": "response", **members}).encode()
    assert observe_body(data).started
    rewritten = json.loads(rewrite_body(data, Changes("m", MARKER, None, {"id": "d1"})))
    assert rewritten.pop("x_router") == {"id": "d1"}
    if isinstance(members.get("output"), list) and members["output"]:
        assert rewritten["output"].pop(0)["role"] == "assistant"
    assert rewritten == {"object": "response", **members, **({"model": "m"} if "model" in members else {})}


@given(st.binary(max_size=80))
def test_garbage_answers_pass(data: bytes) -> None:
    assert rewrite_body(data, Changes("m", MARKER, None, {})) == data
    assert not observe_body(data).complete


# --- where no marker may be ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]}, True),
        ({"previous_response_id": "resp_1", "store": True}, True),
        ({"max_output_tokens": 16}, False),
        ({"max_output_tokens": 17}, True),
        ({"tool_choice": "required"}, False),
        ({"tool_choice": {"type": "function", "name": "f"}}, False),
        ({"tool_choice": "auto"}, True),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}, False),
        ({"text": {"format": {"type": "json_object"}}}, False),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, True),
        ({"background": True}, False),
        ({"prompt": {"id": "pmpt_1"}}, False),
        ({"top_logprobs": 3}, False),
        ({"top_logprobs": 0}, True),
        ({"include": ["message.output_text.logprobs"]}, False),
        ({"include": 7}, True),
        ({"input": "Generate a title for this conversation:\n"}, False),
        ({"input": [{"type": "compaction_trigger"}]}, False),
    ],
)
def test_where_no_marker_may_be(change: dict[str, Any], allowed: bool) -> None:
    body = Body.parse(json.dumps({"model": "m", "input": "x", **change}).encode())
    facts = read_facts(body, {}, "/v1/responses", "generate")
    assert marker_modes(body, facts, None) == (("text", "comment") if allowed else ())
