"""Stripping undoes injection, and touches nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire import marker
from pointsman.wire.anthropic import strip
from pointsman.wire.json_spans import Body

MARKER = marker.make("claude-haiku-4-5", "cluster")
OTHER = marker.make("claude-sonnet-5", "session · kept")
STYLES: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaces": {"ensure_ascii": False},
    "escaped": {"ensure_ascii": True},
    "indented": {"indent": 1, "ensure_ascii": False},
    "wide": {"separators": (" , ", " : "), "ensure_ascii": True},
}

TEXTS = st.text(min_size=1, max_size=12) | st.just("See " + MARKER) | st.just(MARKER[3:]) | st.just("\n\n")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
TEXT_BLOCKS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
OTHER_BLOCKS = st.one_of(
    st.builds(lambda i: {"type": "tool_use", "id": "t1", "name": "Bash", "input": i}, JSON),
    st.just({"type": "thinking", "thinking": "hm", "signature": "c2ln"}),
    st.just({"signature": "\u2063", "type": "redacted_thinking", "data": MARKER}),
    st.builds(lambda x: {"type": "not_known_yet", "x": x}, JSON),
)
ASSISTANT = st.builds(
    lambda content: {"role": "assistant", "content": content},
    TEXTS | st.lists(TEXT_BLOCKS | OTHER_BLOCKS, min_size=1, max_size=4),
)
USER = st.builds(
    lambda content: {"role": "user", "content": content},
    TEXTS.map(lambda text: MARKER + text)  # a person's own text is theirs
    | st.lists(
        TEXT_BLOCKS
        | st.builds(
            lambda t: {"type": "text", "text": MARKER + t, "cache_control": {"type": "ephemeral"}}, TEXTS
        )
        | st.builds(lambda t: {"type": "tool_result", "tool_use_id": "t1", "content": t}, TEXTS),
        min_size=1,
        max_size=3,
    ),
)
SYSTEM = st.builds(lambda text: {"role": "system", "content": MARKER + text}, TEXTS)
HISTORIES = st.lists(ASSISTANT | USER | SYSTEM, max_size=6)


def dump(messages: list[Any], style: str) -> bytes:
    body = {"model": "m", "messages": messages, "system": MARKER, "stream": True}
    return json.dumps(body, **STYLES[style]).encode("utf-8", "surrogatepass")


def stripped(data: bytes) -> tuple[bytes, int]:
    body = Body.parse(data)
    count = strip(body)
    assert body.changed == bool(count)
    return body.render(), count


def echo(message: dict[str, Any], how: str) -> tuple[dict[str, Any], int]:
    """A marked answer as a client sends it back, and the number of markers in it."""
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": MARKER + content}, 1
    if how == "prefix" and content[0]["type"] == "text":
        first = {**content[0], "text": MARKER + content[0]["text"]}
        return {**message, "content": [first, *content[1:]]}, 1
    text = MARKER.rstrip() if how == "trimmed" else OTHER + MARKER if how == "twice" else MARKER
    extra = {"cache_control": {"type": "ephemeral"}} if how == "cached" else {}
    block = {"type": "text", "text": text, **extra}
    return {**message, "content": [block, *content]}, 2 if how == "twice" else 1


def scattered(content: list[Any], data: st.DataObject) -> tuple[list[Any], int]:
    """Markers between all kinds of blocks and before texts: answers that a client has put together."""
    marked: list[Any] = []
    total = 0
    for block in content:
        before = data.draw(st.integers(0, 2))
        marked += [{"type": "text", "text": MARKER}] * before
        total += before
        if block["type"] == "text" and data.draw(st.booleans()):
            block, total = {**block, "text": OTHER + block["text"]}, total + 1
        marked.append(block)
    return marked, total


@given(
    st.lists(TEXT_BLOCKS | OTHER_BLOCKS, min_size=1, max_size=4), st.sampled_from(sorted(STYLES)), st.data()
)
def test_several_markers_in_one_message(content: list[Any], style: str, data: st.DataObject) -> None:
    marked, total = scattered(content, data)
    before, after = ([{"role": "assistant", "content": blocks}] for blocks in (content, marked))
    assert stripped(dump(after, style)) == (dump(before, style), total)


HOW = st.sampled_from(["none", "block", "prefix", "trimmed", "twice", "cached", "alone"])


@given(HISTORIES, st.sampled_from(sorted(STYLES)), st.data())
def test_stripping_undoes_injection(messages: list[dict[str, Any]], style: str, data: st.DataObject) -> None:
    marked: list[dict[str, Any]] = []
    total = 0
    for message in messages:
        how = data.draw(HOW) if message["role"] == "assistant" else "none"
        if how == "alone":  # an answer that held nothing else is not in an unmarked conversation
            marked.append({"role": "assistant", "content": [{"type": "text", "text": MARKER}]})
            total += 1
        if how in ("none", "alone"):
            marked.append(message)
            continue
        echoed, count = echo(message, how)
        marked.append(echoed)
        total += count
    assert stripped(dump(marked, style)) == (dump(messages, style), total)


@given(HISTORIES, st.sampled_from(sorted(STYLES)))
def test_other_histories_keep_their_bytes(messages: list[dict[str, Any]], style: str) -> None:
    data = dump(messages, style)
    assert stripped(data) == (data, 0)


@given(JSON, st.sampled_from(sorted(STYLES)))
def test_messages_of_any_shape(messages: Any, style: str) -> None:
    for shape in (
        messages,
        [messages],
        [{"role": "assistant", "content": messages}],
        [{"role": "assistant", "content": [messages, {"type": "text", "text": messages}]}],
    ):
        data = dump(shape, style)
        assert stripped(data) == (data, 0)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_what_a_sub_agent_said_comes_back_as_a_tool_result(style: str) -> None:
    def history(*head: dict[str, Any], prefix: str = "") -> list[Any]:
        inner = [*head, {"type": "text", "text": "Done."}]
        return [
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": inner},
                    {"type": "tool_result", "tool_use_id": "b", "content": prefix + "hi", "is_error": False},
                    {"type": "text", "text": MARKER},
                ],
            },
        ]

    marked = history({"type": "text", "text": MARKER}, prefix=MARKER)
    assert stripped(dump(marked, style)) == (dump(history(), style), 2)


def test_the_order_of_members_does_not_matter() -> None:
    unmarked = b'{"messages":[ {"content" : [{"text":"ok","type":"text"}],"x":1, "role":"assistant"} ]}'
    block = json.dumps({"text": MARKER, "type": "text"}).encode()
    assert stripped(unmarked.replace(b"[{", b"[" + block + b",{")) == (unmarked, 1)


def test_lone_surrogates_beside_a_marker() -> None:
    messages = [{"role": "assistant", "content": [{"type": "text", "text": "\ud83d half"}]}]
    marked = [{"role": "assistant", "content": [{"type": "text", "text": MARKER}, *messages[0]["content"]]}]
    assert stripped(dump(marked, "escaped")) == (dump(messages, "escaped"), 1)


def test_stripping_twice_is_stripping_once() -> None:
    marked = [{"role": "assistant", "content": MARKER + "answer"}]
    once, _ = stripped(dump(marked, "compact"))
    assert stripped(once) == (once, 0)


def test_no_history_nothing_stripped() -> None:
    for data in (b"{}", b'{"messages":null}', b'{"messages":"%s"}' % MARKER[:3].encode(), b'{"messages":[]}'):
        assert stripped(data) == (data, 0)
