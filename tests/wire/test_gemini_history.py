"""Stripping undoes injection in every form in which clients send it back, and touches nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire import marker
from pointsman.wire.gemini import strip
from pointsman.wire.json_spans import Body

MARKER = marker.make("gemini-3.5-flash-lite", "best for this kind of prompt")
OTHER = marker.make("gemini-3.6-flash", "keeps its prompt cache")
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
THOUGHT: list[dict[str, Any]] = [{}, {"thought": True}]
TEXT_PARTS = st.builds(lambda text, more: {"text": text} | more, TEXTS, st.sampled_from(THOUGHT))
SIGNED = st.builds(lambda text: {"text": text, "thoughtSignature": "c2ln"}, st.just("") | TEXTS)
OTHER_PARTS = st.one_of(
    st.builds(lambda i: {"functionCall": {"name": "f", "args": i}, "thoughtSignature": "c2ln"}, JSON),
    st.builds(lambda i: {"function_call": {"args": i, "name": "f"}, "thought_signature": "c2ln"}, JSON),
    st.just({"executableCode": {"code": MARKER}}),
    st.builds(lambda x: {"notKnownYet": x}, JSON),
)
MODEL = st.builds(
    lambda parts: {"parts": parts, "role": "model"},
    st.lists(TEXT_PARTS | SIGNED | OTHER_PARTS, min_size=1, max_size=4),
)
USER_PARTS = st.one_of(
    TEXTS.map(lambda text: {"text": MARKER + text}),  # a person's own text is theirs
    st.builds(lambda x: {"functionResponse": {"name": "f", "response": {"output": x}}}, JSON),
    st.builds(lambda x: {"function_response": {"name": "f", "response": x}}, JSON),
)
USER = st.builds(
    lambda parts, role: {"parts": parts} | role,
    st.lists(USER_PARTS, min_size=1, max_size=3),
    st.sampled_from([{"role": "user"}, {"role": "function"}, {}]),
)
HISTORIES = st.lists(MODEL | USER, max_size=6)


def dump(contents: Any, style: str = "compact") -> bytes:
    body = {"systemInstruction": {"parts": [{"text": MARKER}]}, "contents": contents, "tools": []}
    return json.dumps(body, **STYLES[style]).encode("utf-8", "surrogatepass")


def stripped(data: bytes) -> tuple[bytes, int]:
    body = Body.parse(data)
    count = strip(body)
    assert body.changed == bool(count)
    return body.render(), count


def echo(content: dict[str, Any], how: str) -> tuple[list[dict[str, Any]], int]:
    """A marked answer as clients send it back, as one content or two, and the number of markers in it."""
    parts = content["parts"]
    if how == "none" or content.get("role") != "model":
        return [content], 0
    if how == "content":  # one for each chunk
        return [{"parts": [{"text": MARKER}], "role": "model"}, content], 1
    at = next((at for at, part in enumerate(parts) if not part.get("thought")), len(parts))
    if how == "prefix" and at < len(parts) and "text" in parts[at]:
        first = {**parts[at], "text": MARKER + parts[at]["text"]}
        if first["text"] == MARKER and "thoughtSignature" not in first:
            return [content], 0
        return [{**content, "parts": [*parts[:at], first, *parts[at + 1 :]]}], 1
    text = MARKER.rstrip() if how == "trimmed" else OTHER + MARKER if how == "twice" else MARKER
    part = {"partMetadata": {}, "text": text} if how == "extra" else {"text": text}
    return [{**content, "parts": [*parts[:at], part, *parts[at:]]}], 2 if how == "twice" else 1


HOW = st.sampled_from(["none", "part", "prefix", "trimmed", "twice", "extra", "content"])


@given(HISTORIES, st.lists(HOW, min_size=6, max_size=6), st.sampled_from(sorted(STYLES)))
def test_stripping_undoes_every_form_of_echo(contents: list[Any], how: list[str], style: str) -> None:
    marked: list[Any] = []
    total = 0
    for content, form in zip(contents, how, strict=False):
        echoed, count = echo(content, form)
        marked += echoed
        total += count
    assert stripped(dump(contents, style)) == (dump(contents, style), 0)
    assert stripped(dump(marked, style)) == (dump(contents, style), total)


@given(st.binary(max_size=200) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_history_that_is_none_stays(raw: bytes) -> None:
    try:
        data = dump(json.loads(raw))
    except (ValueError, RecursionError):
        return
    assert stripped(data) == (data, 0)


def one(part: Any, role: str = "model", *more: Any) -> Any:
    return [{"role": "user", "parts": [{"text": "hi"}]}, {"role": role, "parts": [part, *more]}]


def result(value: Any, role: str = "user", **more: Any) -> Any:
    """A function's result, in one spelling for either role."""
    name = "functionResponse" if role == "user" else "function_response"
    return one({name: {"name": "f", "response": {"output": value, **more}}}, role)


CALL = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
SPELLED = {"function_call": {"name": "f"}, "thought_signature": "c2ln"}


@pytest.mark.parametrize(
    ("marked", "unmarked"),
    [
        # Gemini CLI merges neighbouring texts.
        (one({"text": MARKER + "I look."}, "model", CALL), one({"text": "I look."}, "model", CALL)),
        (one({"text": MARKER}, "model", CALL), one(CALL)),
        (one({"text": MARKER}, "model", SPELLED), one(SPELLED)),
        # Blanks that had been sent before the marker belong to the answer.
        (one({"text": "\n" + MARKER + "Hi."}), one({"text": "\nHi."})),
        (one({"text": "\n" + MARKER}, "model", CALL), one({"text": "\n"}, "model", CALL)),
        # A signature is never lost, and an empty text beside one is how it comes from the provider.
        (one({"text": MARKER, "thoughtSignature": "c2ln"}), one({"text": "", "thoughtSignature": "c2ln"})),
        (one({"text": MARKER, "thought_signature": "c2ln"}), one({"text": "", "thought_signature": "c2ln"})),
        # An answer of which nothing else came goes with its content.
        (one({"text": MARKER}), one({"text": "hi"})[:1]),
        (one({"text": MARKER.strip()}), one({"text": "hi"})[:1]),
        # A sub-agent's last words come back as what its function gave.
        (result(MARKER + "Done.", code=0), result("Done.", code=0)),
        (result(MARKER, "function", code=0), result("", "function", code=0)),
        # Google takes a lone object for a list.
        ({"parts": {"text": MARKER + "Hi."}, "role": "model"}, {"parts": {"text": "Hi."}, "role": "model"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("style", sorted(STYLES))
def test_named_forms(marked: Any, unmarked: Any, style: str) -> None:
    assert stripped(dump(marked, style)) == (dump(unmarked, style), 1)


@pytest.mark.parametrize(
    "contents",
    [
        one({"text": MARKER + "what is this line?"}, "user"),
        one({"text": "Look: " + MARKER}),
        one({"text": MARKER[1:]}),
        one({"functionCall": {"name": MARKER, "args": {"text": MARKER}}}),
        result("a " + MARKER, list=[MARKER]),
        [{"role": "model", "parts": None}, {"role": "model", "parts": MARKER}, MARKER, None],
        {"text": MARKER},
        MARKER,
        None,
    ],
)  # fmt: skip
@pytest.mark.parametrize("style", sorted(STYLES))
def test_what_is_no_marker_of_ours_stays(contents: Any, style: str) -> None:
    assert stripped(dump(contents, style)) == (dump(contents, style), 0)


def test_a_request_to_be_counted_is_stripped_too() -> None:
    for name in ("generateContentRequest", "generate_content_request"):
        marked = {name: {"model": "models/m", "contents": one({"text": MARKER + "Hi."})}, "x": 1.0}
        unmarked = {name: {"model": "models/m", "contents": one({"text": "Hi."})}, "x": 1.0}
        assert stripped(json.dumps(marked).encode()) == (json.dumps(unmarked).encode(), 1)


def test_stripping_is_stable_while_a_conversation_grows() -> None:
    """The history that the provider sees of earlier turns has the same bytes at each later one."""
    history: list[Any] = []
    before = b""
    for turn in range(5):
        history += [{"role": "user", "parts": [{"text": f"step {turn}"}]}]
        data = stripped(dump(history))[0]
        contents = Body.parse(data).raw("contents")
        assert contents is not None and contents.startswith(before)
        before = contents[:-1]
        parts = [{"text": MARKER}, CALL] if turn % 2 else [{"text": MARKER + "ok"}]
        history += [{"role": "model", "parts": parts}]
