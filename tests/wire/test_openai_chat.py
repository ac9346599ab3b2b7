"""The surface as other rooms see it, and answers that are not streamed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.surface import surfaces
from pointsman.values import NO_CHANGES, Changes, TurnKind, Usage
from pointsman.wire import marker, openai_chat
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_chat import (
    ask,
    marker_modes,
    observe_body,
    recognise,
    remedy,
    rewrite_body,
    set_model,
    stream,
)
from samples import FACTS

CHAT = replace(FACTS, surface="openai_chat", requested_model="gpt-6-sol")
MARKER = marker.make("gpt-5-nano", "cluster")
ROUTER = {"decision": "d1", "model": "gpt-5-nano"}
CHANGES = Changes("gpt-6-sol", MARKER, None, ROUTER)
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_it_is_a_surface() -> None:
    assert surfaces()["openai_chat"] is openai_chat
    assert openai_chat.HOSTS == ("api.openai.com",) and openai_chat.MODEL_HEADERS == ("openai-model",)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/chat/completions?x=1",
        "/chat/completions",
        "/api/v1/chat/completions",
        "/api/paas/v4/chat/completions",
        "/v1beta/openai/chat/completions",
        "/openai/v1/chat/completions",
        "/v1/acc_1/my-gateway/openai/chat/completions",
    ],
)
def test_paths_that_are_recognised(path: str) -> None:
    assert recognise("POST", path) == recognise("post", path) == "generate"
    assert recognise("GET", path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/gpt-5/chat/completions?api-version=2025-01-01",
        "/openai/deployments/v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions/chatcmpl-1",
        "/v1/completions",
        "/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
        "/v1chat/completions",
        "/chat/chat/completions",
        "//chat/completions",
        "v1/chat/completions",
        "",
    ],
)
def test_paths_that_are_left_alone(path: str) -> None:
    assert recognise("POST", path) is None


def test_the_model_stands_in_the_body() -> None:
    body = Body.parse(b'{ "model" : "a", "messages":[] }')
    assert set_model(body, "/v1/chat/completions?x=1", "b") == "/v1/chat/completions?x=1"
    assert body.render() == b'{ "model" : "b", "messages":[] }'


def test_no_remedy_is_known() -> None:
    body = Body.parse(b'{"model":"a"}')
    assert remedy(body, b'{"error":{"message":"no"}}') == [] and not body.changed


# --- what the router asks for -------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "asked", "before"),
    [
        ("", '{"include_usage":true}', ""),
        ("null", '{"include_usage":true}', ""),
        ("{}", '{"include_usage":true}', ""),
        ('{"include_usage":false}', '{"include_usage":true}', "false"),
        (
            '{ "include_obfuscation" : false }',
            '{ "include_obfuscation" : false,"include_usage" : true }',
            "",
        ),
        (
            '{"include_usage":null,"x":[1, 2]}',
            '{"include_usage":true,"x":[1, 2]}',
            "",
        ),
    ],
)
def test_a_stream_is_asked_for_its_usage(options: str, asked: str, before: str) -> None:
    given_options = f',"stream_options":{options}' if options else ""
    body = Body.parse(f'{{"stream":true{given_options}}}'.encode())
    [added] = ask(body, replace(CHAT, stream=True))
    assert (added.parameter, added.verb, added.before, added.after) == (
        "stream_options.include_usage",
        "add",
        before,
        "true",
    )
    assert body.render() == f'{{"stream":true,"stream_options":{asked}}}'.encode()
    assert ask(body, replace(CHAT, stream=True)) == []


@pytest.mark.parametrize(
    ("data", "streams"),
    [
        (b'{"stream":true,"stream_options":{"include_usage":true}}', True),
        (b'{"stream":true,"stream_options":7}', True),
        (b'{"stream":true,"stream_options":"include_usage"}', True),
        (b"{}", False),
    ],
)
def test_what_is_not_asked(data: bytes, streams: bool) -> None:
    body = Body.parse(data)
    assert ask(body, replace(CHAT, stream=streams)) == [] and body.render() == data


# --- where a marker may stand -------------------------------------------------------------


def test_a_marker_is_a_text_first() -> None:
    assert marker_modes(Body.parse(b"{}"), CHAT, None) == ("text", "comment")
    assert marker_modes(Body.parse(b'{"logprobs":false,"top_logprobs":null}'), CHAT, None)


@pytest.mark.parametrize(
    "change",
    [
        {"prefill": True},
        {"forced_tool": True},
        {"pure_json": True},
        {"max_tokens": 1},
        {"turn": TurnKind.TITLE},
        {"turn": TurnKind.PROBE},
        {"endpoint": "count_tokens"},
        {"needs": frozenset({"audio"})},
        {"needs": frozenset({"prediction", "stop"})},
    ],
)
def test_where_no_marker_may_stand(change: dict[str, Any]) -> None:
    assert marker_modes(Body.parse(b"{}"), replace(CHAT, **change), None) == ()


@pytest.mark.parametrize("data", [b'{"logprobs":true}', b'{"top_logprobs":2}'])
def test_no_marker_beside_log_probabilities(data: bytes) -> None:
    assert marker_modes(Body.parse(data), CHAT, None) == ()


@pytest.mark.parametrize(
    ("content_type", "streams"),
    [("text/event-stream; charset=utf-8", True), ("application/json", False), ("", True)],
)
def test_only_event_streams_are_followed(content_type: str, streams: bool) -> None:
    assert (stream(content_type, CHAT, NO_CHANGES) is not None) is streams


def test_a_stream_knows_how_many_choices_were_asked_for() -> None:
    machine = stream("text/event-stream", replace(CHAT, choices=2), Changes(marker_text=MARKER))
    assert machine is not None
    chunks = [b'data: {"choices":[{"index":%d,"delta":{"content":"x"}}]}\n\n' % at for at in (0, 1, 0, 1, 2)]
    out = b"".join(piece for chunk in chunks for piece in machine.feed(chunk))
    assert out.count(marker.SENTINEL.encode()) == 4


# --- whole answers ------------------------------------------------------------------------


def answer(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    choices = [
        {"index": at, "message": message, "logprobs": None, "finish_reason": "stop"}
        for at, message in enumerate(messages)
    ]
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5-nano-2025-08-07",
        "choices": choices,
        **members,
    }


def message(content: Any, **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "refusal": None, "annotations": [], **members}


@pytest.mark.parametrize("style", [{"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}])
@pytest.mark.parametrize(
    ("given_message", "content"),
    [
        (message('All "clear" 🚂'), MARKER + 'All "clear" 🚂'),
        (message(None, tool_calls=[CALL]), MARKER),
        (message("", tool_calls=[CALL]), MARKER),
        (message("Look:", tool_calls=[CALL]), MARKER + "Look:"),
        (message(None, function_call={"name": "f", "arguments": "{}"}), MARKER),
        ({"role": "assistant", "tool_calls": [CALL]}, MARKER),
        (message(""), ""),
        (message(None), None),
        (message(None, refusal="I cannot."), None),
        (message(None, audio={"id": "a", "transcript": "x"}), None),
        (message("x", audio={"id": "a", "transcript": "x"}), "x"),
        (message([{"type": "text", "text": "x"}]), [{"type": "text", "text": "x"}]),
        (message(None, reasoning_content="hm"), None),
    ],
)
def test_a_body_is_marked_before_its_text(
    given_message: dict[str, Any], content: Any, style: dict[str, Any]
) -> None:
    data = json.dumps(answer(given_message), **style).encode()
    got = json.loads(rewrite_body(data, CHANGES))
    expected = answer({**given_message, "content": content} if content is not None else given_message)
    assert got == {**expected, "model": "gpt-6-sol", "x_router": ROUTER}


def test_each_choice_of_a_body_has_its_marker() -> None:
    data = json.dumps(answer(message("left"), message(None, refusal="no"), message("right"))).encode()
    got = json.loads(rewrite_body(data, CHANGES))
    contents = [choice["message"]["content"] for choice in got["choices"]]
    assert contents == [MARKER + "left", None, MARKER + "right"]


def test_the_rest_of_a_body_keeps_its_bytes() -> None:
    data = (
        b'{ "model" : "gpt-5-nano", "created": 1.0, "choices" : [ {"index":0,'
        b'"message": { "content" : "\\u0041ll\\/" , "role":"assistant" } } ] , "usage" : {"x":1e1} }'
    )
    marked = rewrite_body(data, Changes("gpt-6-sol", MARKER))
    literal = json.dumps(MARKER, ensure_ascii=False).encode()[1:-1]
    assert marked == data.replace(b'"gpt-5-nano"', b'"gpt-6-sol"').replace(b'"\\u', b'"' + literal + b"\\u")
    assert rewrite_body(data, NO_CHANGES) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"error":{"message":"no"}}',
        b'{"error":{"message":"no"},"choices":[],"model":"m"}',
        b'{"object":"list","model":"m"}',
        b'{"choices":7,"model":"m"}',
    ],
)
def test_what_is_no_completion_stays(data: bytes) -> None:
    assert rewrite_body(data, CHANGES) == data


@pytest.mark.parametrize("model", [b'""', b"null"])
def test_what_is_no_name_is_not_renamed(model: bytes) -> None:
    data = b'{"model":' + model + b',"choices":[]}'
    assert rewrite_body(data, Changes("gpt-6-sol", MARKER)) == data


def test_what_a_body_says() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
    seen = observe_body(json.dumps(answer(message("x"), message("y"), usage=usage)).encode())
    assert (seen.message_id, seen.answered_model, seen.stop_reason) == ("c1", "gpt-5-nano-2025-08-07", "stop")
    assert seen.started and seen.complete and seen.error is None
    assert seen.to_usage() == Usage(8, 9, 4)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"7", b'{"choices":{}}'])
def test_what_no_body_says(data: bytes) -> None:
    seen = observe_body(data)
    assert not seen.started and not seen.complete and seen.to_usage() == Usage()


def test_an_error_in_a_body() -> None:
    seen = observe_body(openai_chat.error_body(429, "slow down"))
    assert seen.error == "rate_limit_error: slow down" and not seen.complete


SCALARS = st.none() | st.booleans() | st.integers(-2, 5) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "content", "role", "tool_calls", "model", "usage", "error", "index"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)


@given(JSON)
def test_arbitrary_bodies(value: Any) -> None:
    for data in (json.dumps(value).encode(), json.dumps({**answer(), "choices": value}).encode()):
        observe_body(data)
        assert rewrite_body(data, NO_CHANGES) == data
        json.loads(rewrite_body(data, CHANGES))
