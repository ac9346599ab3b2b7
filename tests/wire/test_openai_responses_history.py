"""Stripping undoes injection, and touches nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pointsman.values import Changes
from pointsman.wire import marker
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_responses import rewrite_body, strip
from pointsman.wire.openai_responses.items import MARKER_ID

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
MARKER = marker.make("gpt-6-luna", "cluster")
OTHER = marker.make("gpt-6.1-terra", "session · kept")
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
KINDS = st.sampled_from(["output_text", "input_text", "text"])
PARTS = st.builds(lambda kind, text: {"type": kind, "text": text, "annotations": []}, KINDS, TEXTS)
OTHER_PARTS = st.sampled_from(
    [{"type": "refusal", "refusal": MARKER}, {"type": "input_image", "image_url": MARKER}]
)
ASSISTANT = st.builds(
    lambda content, extra: {**extra, "role": "assistant", "content": content},
    TEXTS | st.lists(PARTS | OTHER_PARTS, min_size=1, max_size=3),
    st.sampled_from([{}, {"type": "message"}, {"type": "message", "id": "msg_1", "status": "completed"}]),
)
OUTPUTS = st.builds(
    lambda kind, output: {"type": kind, "call_id": "call_1", "output": output},
    st.sampled_from(["function_call_output", "custom_tool_call_output", "local_shell_call_output"]),
    TEXTS | st.lists(PARTS | OTHER_PARTS, min_size=1, max_size=2),
)
UNTOUCHED = st.one_of(
    st.builds(lambda text: {"role": "user", "content": MARKER + text}, TEXTS),  # theirs
    st.builds(lambda t: {"role": "user", "content": [{"type": "input_text", "text": MARKER + t}]}, TEXTS),
    st.builds(lambda text: {"type": "message", "role": "developer", "content": MARKER + text}, TEXTS),
    st.just({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": MARKER}]}),
    st.just({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": MARKER}),
    st.just({"type": "item_reference", "id": "msg_1"}),
    st.just({"type": "additional_tools", "tools": [{"type": "custom", "description": MARKER}]}),
    st.builds(lambda x: {"type": "not_known_yet", "x": x, "output": MARKER}, JSON),
)
ITEMS = st.lists(ASSISTANT | OUTPUTS | UNTOUCHED, max_size=6)


def dump(items: Any, style: str) -> bytes:
    body = {"model": "m", "input": items, "instructions": MARKER, "stream": True}
    return json.dumps(body, **STYLES[style]).encode("utf-8", "surrogatepass")


def stripped(data: bytes) -> tuple[bytes, int]:
    body = Body.parse(data)
    count = strip(body)
    assert body.changed == bool(count)
    return body.render(), count


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def own_items(how: str) -> list[dict[str, Any]]:
    """A marker as clients send it back where it stood in an item of its own."""
    name = MARKER_ID + "1f2e"
    shapes: dict[str, list[dict[str, Any]]] = {
        "codex": [{"type": "message", "status": "completed", "id": name, "role": "assistant",
                   "content": [part(MARKER)],
                   "internal_chat_message_metadata_passthrough": {"content_item_kinds": ["unknown"]}}],
        "opencode": [{"role": "assistant", "content": [{"type": "output_text", "text": MARKER}]}],
        "trimmed": [{"role": "assistant", "content": [{"type": "output_text", "text": MARKER.rstrip()}]}],
        "string": [{"role": "assistant", "content": MARKER}],
        "twice": [{"role": "assistant", "content": [part(OTHER + MARKER)]}],
        "two parts": [{"role": "assistant", "content": [part(OTHER), part(MARKER)]}],
        "reference": [{"type": "item_reference", "id": name}],
        "bare reference": [{"id": name}],
        "emptied": [{"type": "message", "id": name, "role": "assistant", "content": []}],
    }  # fmt: skip
    return shapes[how]


OWN = st.sampled_from(
    ["codex", "opencode", "trimmed", "string", "twice", "two parts", "reference", "bare reference", "emptied"]
)


def echoed(item: dict[str, Any], data: st.DataObject) -> tuple[list[dict[str, Any]], int]:
    """An item as it comes back from a marked conversation, and the number of markers in it."""
    if data.draw(st.booleans()):
        return [item], 0
    before: list[dict[str, Any]] = []
    count = 0
    if item.get("role") != "user" and data.draw(st.booleans()):
        how = data.draw(OWN)
        before, count = own_items(how), 2 if how in ("twice", "two parts") else 1
    key = "content" if item.get("role") == "assistant" else "output"
    content = item.get(key) if key == "content" or "call_output" in item.get("type", "") else None
    if isinstance(content, str):
        return [*before, {**item, key: MARKER + content}], count + 1
    if isinstance(content, list) and "text" in content[0] and data.draw(st.booleans()):
        first = {**content[0], "text": OTHER + content[0]["text"]}
        return [*before, {**item, key: [first, *content[1:]]}], count + 1
    if isinstance(content, list):
        return [*before, {**item, key: [part(MARKER), *content]}], count + 1
    return [*before, item], count


def dangling(items: list[dict[str, Any]]) -> bool:
    """Does reasoning stand before nothing of the model's? Then only a marker can have kept it there."""
    after = [*(item.get("role", "assistant") for item in items[1:]), "nobody"]
    thoughts = (item.get("type") == "reasoning" for item in items)
    return any(thought and role != "assistant" for thought, role in zip(thoughts, after, strict=False))


@given(ITEMS, st.sampled_from(sorted(STYLES)), st.data())
def test_stripping_undoes_injection(items: list[dict[str, Any]], style: str, data: st.DataObject) -> None:
    assume(not dangling(items))
    marked: list[dict[str, Any]] = []
    total = 0
    for item in items:
        echo, count = echoed(item, data)
        marked += echo
        total += count
    assert stripped(dump(marked, style)) == (dump(items, style), total)


@given(ITEMS, st.sampled_from(sorted(STYLES)))
def test_other_inputs_keep_their_bytes(items: list[dict[str, Any]], style: str) -> None:
    data = dump(items, style)
    assert stripped(data) == (data, 0)


@given(JSON, st.sampled_from(sorted(STYLES)))
def test_inputs_of_any_shape(value: Any, style: str) -> None:
    for shape in (
        value,
        [value],
        MARKER,
        [{"role": "assistant", "content": value}],
        [{"role": "assistant", "content": [value, {"type": "output_text", "text": value}]}],
        [{"type": "function_call_output", "output": value, "id": MARKER_ID[:-1]}],
        [{"id": [MARKER_ID], "type": value}],
    ):
        data = dump(shape, style)
        assert stripped(data) == (data, 0)


def test_calls_and_outputs_stay_paired() -> None:
    turn = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "mend it"}]},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA", "summary": []},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "exec", "input": "ls"},
        {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "call_1", "output": [part("points")]},
        {"type": "message", "id": "msg_2", "role": "assistant", "content": [part("Done.")]},
    ]
    first, *rest = turn
    marked = [first, *own_items("codex"), *rest[:3], *own_items("codex"), *rest[3:]]
    assert stripped(dump(marked, "compact")) == (dump(turn, "compact"), 2)


def test_an_item_of_ours_with_words_in_it_keeps_the_words() -> None:
    """A client that has joined messages under the first one's id."""
    named = {"type": "message", "id": MARKER_ID + "1", "role": "assistant"}
    joined, plain = [{**named, "content": [part(MARKER + "Yes.")]}], [{**named, "content": [part("Yes.")]}]
    assert stripped(dump(joined, "spaces")) == (dump(plain, "spaces"), 1)
    assert stripped(dump(plain, "spaces")) == (dump(plain, "spaces"), 0)


def test_what_a_body_was_given_is_stripped_from_its_echo() -> None:
    message = {**own_items("opencode")[0], "content": [part("x")]}
    output = [{"type": "reasoning", "id": "rs_1", "summary": []}, message]
    answer = json.dumps({"object": "response", "id": "resp_1", "model": "m", "output": output}).encode()
    echo = json.loads(rewrite_body(answer, Changes(None, MARKER)))["output"]
    assert len(echo) == 3
    assert stripped(dump(echo, "spaces")) == (dump(output, "spaces"), 1)


def test_an_output_of_nothing_but_a_marker_is_an_empty_text() -> None:
    marked = [{"type": "function_call_output", "call_id": "call_1", "output": [part(MARKER)]}]
    plain = [{"type": "function_call_output", "call_id": "call_1", "output": ""}]
    assert stripped(dump(marked, "compact")) == (dump(plain, "compact"), 1)


def test_an_item_that_cannot_be_read_stays() -> None:
    wide = {"role": "assistant", "content": MARKER, **{str(number): 0 for number in range(10_001)}}
    data = dump([wide], "compact")
    assert stripped(data) == (data, 0)


def test_stripping_twice_is_stripping_once() -> None:
    once, _ = stripped(dump([{"role": "assistant", "content": MARKER + "answer"}], "compact"))
    assert stripped(once) == (once, 0)


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no recorded traffic beside the repository")
@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("codex-httpmark-lead_block", True),
        ("codex-httpmark-prefix_delta", False),
        ("opencode-oai-mark-lead_block", True),
    ],
)
def test_recorded_echoes(name: str, own: bool) -> None:
    """What real clients sent back, with a marker of today in the place of the recorded one."""
    body = json.loads((CAPTURES / f"{name}.jsonl").read_text().splitlines()[-1])["body"]
    old = json.dumps("✦ routed → claude-haiku-4-5 · cluster\n\n", ensure_ascii=False)[1:-1]
    written = [json.dumps(item, ensure_ascii=False) for item in body["input"]]
    assert sum(old in item for item in written) == 1
    marked = [json.loads(item.replace(old, MARKER.replace("\n", "\\n"))) for item in written]
    plain = [json.loads(item.replace(old, "")) for item in written if not (own and old in item)]
    expected = json.dumps({**body, "input": plain}).encode()
    assert stripped(json.dumps({**body, "input": marked}).encode()) == (expected, 1)


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ([{"role": "user", "content": "again"}], False),
        ([{"type": "message", "role": "developer", "content": "x"}], False),
        ([], False),
        ([{"type": "message", "role": "assistant", "content": "Nine."}], True),
        ([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}], True),
    ],
)
def test_reasoning_that_only_a_marker_kept_goes_with_it(after: list[Any], kept: bool) -> None:
    """opencode keeps a cancelled answer if it has words in it, and a marker is words."""
    asked, thought = {"role": "user", "content": "hi"}, {"type": "reasoning", "id": "rs_1", "summary": []}
    echo = {"role": "assistant", "content": [{"type": "output_text", "text": MARKER}]}
    for reasoning in ([thought], [thought, {**thought, "id": "rs_2"}]):
        body = Body.parse(json.dumps({"input": [asked, echo, *reasoning, *after]}).encode())
        assert strip(body) == 1
        assert body.get("input") == [asked, *(reasoning if kept else []), *after]
    codex = {"type": "message", "id": f"{MARKER_ID}1", **echo}
    body = Body.parse(json.dumps({"input": [asked, codex, thought, *after]}).encode())
    assert strip(body) == 1
    assert body.get("input") == [asked, thought, *after]
