"""Stripping undoes injection, and touches nothing else."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.values import Changes
from pointsman.wire import marker
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_chat import StreamTransform, rewrite_body, strip

MARKER = marker.make("gpt-5-nano", "cluster")
OTHER = marker.make("gpt-5.4-mini", "session · kept")
CHANGES = Changes("gpt-6-sol", MARKER)
STYLES: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaces": {"ensure_ascii": False},
    "escaped": {"ensure_ascii": True},
    "indented": {"indent": 1, "ensure_ascii": False},
    "wide": {"separators": (" , ", " : "), "ensure_ascii": True},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_signal", "arguments": '{"track":4}'}}

CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}

TEXTS = st.text(min_size=1, max_size=12) | st.just("See " + MARKER) | st.just(MARKER[3:]) | st.just("\n\n")
PARTS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
ASSISTANT = st.one_of(
    st.builds(lambda text: {"role": "assistant", "content": text}, TEXTS),
    st.builds(lambda text: {"content": text, "refusal": None, "role": "assistant", "annotations": []}, TEXTS),
    st.builds(lambda parts: {"role": "assistant", "content": parts}, st.lists(PARTS, min_size=1, max_size=3)),
    st.builds(lambda text: {**CALLING, "content": text}, TEXTS | st.none()),
    st.builds(
        lambda text: {**CALLING, "content": text, "reasoning_content": MARKER},
        TEXTS | st.none(),
    ),
    st.just({"content": None, "refusal": None, "role": "assistant", "annotations": [], "tool_calls": [CALL]}),
    st.just({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}),
)
TOOL = st.builds(
    lambda content: {"role": "tool", "tool_call_id": "call_1", "content": content},
    TEXTS | st.lists(PARTS, min_size=1, max_size=2),
)
OTHERS = st.one_of(  # a person's own text is theirs
    st.builds(lambda text: {"role": "user", "content": MARKER + text}, TEXTS),
    st.builds(lambda text: {"role": "user", "content": [{"type": "text", "text": MARKER + text}]}, TEXTS),
    st.builds(lambda text: {"role": "system", "content": MARKER + text}, TEXTS),
    st.builds(lambda text: {"role": "developer", "content": MARKER + text}, TEXTS),
    st.just({"role": "assistant", "content": None, "refusal": MARKER}),
)
HOW = st.sampled_from(["none", "prefix", "part", "trimmed", "twice", "alone"])


def dump(messages: list[Any], style: str) -> bytes:
    body = {"model": "m", "messages": messages, "user": MARKER, "stream": True}
    return json.dumps(body, **STYLES[style]).encode("utf-8", "surrogatepass")


def stripped(data: bytes) -> tuple[bytes, int]:
    body = Body.parse(data)
    count = strip(body)
    assert body.changed == bool(count)
    return body.render(), count


def echo(message: dict[str, Any], how: str) -> tuple[dict[str, Any], int]:
    """A marked message as a client sends it back, and the number of markers in it."""
    content, text, count = message["content"], MARKER, 1
    if how == "twice":
        text, count = OTHER + MARKER, 2
    if content is None:
        return {**message, "content": text.rstrip() if how == "trimmed" else text}, count
    if isinstance(content, str):
        return {**message, "content": text + content}, count
    if how == "prefix" and content:
        first = {**content[0], "text": text + content[0]["text"]}
        return {**message, "content": [first, *content[1:]]}, count
    return {**message, "content": [{"type": "text", "text": text}, *content]}, count


@given(st.lists(ASSISTANT | TOOL | OTHERS, max_size=6), st.sampled_from(sorted(STYLES)), st.data())
def test_stripping_undoes_injection(messages: list[dict[str, Any]], style: str, data: st.DataObject) -> None:
    marked: list[dict[str, Any]] = []
    total = 0
    for message in messages:
        can = message["role"] in ("assistant", "tool") and not message.get("refusal")
        how = data.draw(HOW) if can else "none"
        if how == "alone":  # an answer that held nothing else is not in an unmarked conversation
            marked.append({"role": "assistant", "content": MARKER})
            total += 1
        if how in ("none", "alone"):
            marked.append(message)
            continue
        message, count = echo(message, how)
        marked.append(message)
        total += count
    assert stripped(dump(marked, style)) == (dump(messages, style), total)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_what_holds_no_marker_keeps_its_bytes(style: str) -> None:
    quoted = "It said " + MARKER
    messages = [
        {"role": "user", "content": MARKER + "what is this?"},
        {"role": "assistant", "content": quoted, "tool_calls": [{**CALL, "id": MARKER}]},
        {"role": "tool", "tool_call_id": "call_1", "content": quoted},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": MARKER}]},
        {"role": 7, "content": MARKER},
        MARKER,
    ]
    assert stripped(dump(messages, style)) == (dump(messages, style), 0)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"messages":null}',
        b'{"messages":"' + MARKER.replace("\n", "").encode() + b'"}',
        b'{"messages":{"role":"assistant","content":"' + MARKER.replace("\n", "").encode() + b'"}}',
        b'{"messages":[{"role":"assistant","content":{"text":"' + marker.SENTINEL.encode() + b'"}}]}',
    ],
)
def test_messages_of_no_known_shape_stay(data: bytes) -> None:
    assert stripped(data) == (data, 0)


def test_a_marker_alone_beside_a_call_leaves_the_null_that_clients_send() -> None:
    """openai-python and openai-node keep the upstream's null; @ai-sdk/openai writes `text || null`."""
    message = {"role": "assistant", "content": MARKER, "tool_calls": [CALL]}
    found, count = stripped(dump([message], "compact"))
    assert (found, count) == (dump([{**message, "content": None}], "compact"), 1)


def test_an_assistant_message_of_nothing_but_markers_goes() -> None:
    question = {"role": "user", "content": "hi"}
    for alone in (
        {"role": "assistant", "content": MARKER},
        {"role": "assistant", "content": MARKER, "tool_calls": []},
        {"content": OTHER + MARKER, "refusal": None, "role": "assistant", "annotations": []},
        {"role": "assistant", "content": [{"type": "text", "text": MARKER}]},
    ):
        found, _ = stripped(dump([question, alone, question], "compact"))
        assert found == dump([question, question], "compact")


def test_a_tool_result_of_nothing_but_a_marker_stays_as_an_answer_to_its_call() -> None:
    for content in (MARKER, [{"type": "text", "text": MARKER}]):
        result = {"role": "tool", "tool_call_id": "call_1", "content": content}
        assert stripped(dump([result], "compact"))[0] == dump([{**result, "content": ""}], "compact")


# --- through the real SDK -----------------------------------------------------------------

HEAD = {"id": "c1", "created": 1, "model": "gpt-5-nano"}
WORDS = {"role": "assistant", "content": "All clear.", "refusal": None, "annotations": []}
CALLS = {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [CALL]}


def client(body: bytes, content_type: str) -> openai.OpenAI:
    answer = httpx2.Response(200, headers={"content-type": content_type}, content=body)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    return openai.OpenAI(api_key="none", http_client=http, max_retries=0)


def whole(message: dict[str, Any]) -> bytes:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return json.dumps({**HEAD, "object": "chat.completion", "choices": [choice]}).encode()


def streamed(message: dict[str, Any]) -> bytes:
    first: dict[str, Any] = {"role": "assistant", "content": None if message["content"] is None else ""}
    deltas: list[dict[str, Any]] = [first]
    if message["content"]:
        deltas += [{"content": word} for word in ("All", " clear.")]
    for call in message.get("tool_calls", ()):
        deltas.append({"tool_calls": [{"index": 0, **call}]})
    chunks = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    head = {**HEAD, "object": "chat.completion.chunk"}
    return b"".join(
        b"data: " + json.dumps({**head, "choices": [chunk]}).encode() + b"\n\n" for chunk in chunks
    ) + (b"data: [DONE]\n\n")


def said(body: bytes, *, stream: bool) -> dict[str, Any]:
    """The assistant's message as a program hands it back to the SDK after getting this answer."""
    question: Any = [{"role": "user", "content": "x"}]
    if not stream:
        made = client(body, "application/json").chat.completions.create(model="m", messages=question)
        return dict(made.choices[0].message.model_dump(exclude_unset=True))
    with client(body, "text/event-stream").chat.completions.stream(model="m", messages=question) as events:
        for _ in events:
            pass
        return dict(events.get_final_completion().choices[0].message.model_dump(exclude_unset=True))


@pytest.mark.parametrize("message", [WORDS, CALLS, {**CALLS, "content": "Let me look."}])
def test_what_the_sdk_echoes_of_a_body_is_what_it_would_have_echoed(message: dict[str, Any]) -> None:
    before = said(whole(message), stream=False)
    after = said(rewrite_body(whole(message), CHANGES), stream=False)
    assert after["content"].startswith(MARKER)
    assert stripped(dump([after], "compact")) == (dump([before], "compact"), 1)


@pytest.mark.parametrize("message", [WORDS, CALLS, {**CALLS, "content": "All clear."}])
def test_what_the_sdk_echoes_of_a_stream_is_what_it_would_have_echoed(message: dict[str, Any]) -> None:
    machine = StreamTransform(CHANGES)
    marked = b"".join([*machine.feed(streamed(message)), *machine.flush()])
    before, after = said(streamed(message), stream=True), said(marked, stream=True)
    assert after["content"].startswith(MARKER)
    assert stripped(dump([after], "compact")) == (dump([before], "compact"), 1)
