"""Streams of both framings: the marker where it belongs, the model's name, and every other byte as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.values import NO_CHANGES, Changes, Facts, Usage
from pointsman.wire import marker, sse
from pointsman.wire.gemini import ArrayTransform, StreamTransform, read_facts, stream, strip
from pointsman.wire.json_spans import Body
from samples import FACTS

STREAMS = Path(__file__).parents[1] / "streams" / "gemini"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
SERVED, REQUESTED = "gemini-3.5-flash-lite", "gemini-3.8-flash"
MARKER = marker.make(SERVED, "best for this kind of prompt")
ROUTER = {"decision": "d1", "model": SERVED}
CHANGES = Changes(REQUESTED, MARKER, None, ROUTER)
Json = dict[str, Any]


def load(name: str) -> bytes:
    return (STREAMS / f"{name}.sse").read_bytes()


def choices_of(name: str) -> int:
    return 2 if "candidate" in name else 1


def transform(name: str = "", changes: Changes = CHANGES) -> StreamTransform:
    return StreamTransform(changes, choices_of(name))


def run(machine: StreamTransform | ArrayTransform, *chunks: bytes) -> bytes:
    pieces = [piece for chunk in chunks for piece in machine.feed(chunk)] + machine.flush()
    assert all(pieces)
    return b"".join(pieces)


def sizes(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def events(stream: bytes) -> Iterator[Json]:
    """The answers and errors of a stream, by a reader that is not the product's."""
    for block in re.split(r"\r\n\r\n|\n\n|\r\r", stream.decode()):
        lines = [line[5:].strip() for line in re.split(r"\r\n|\n|\r", block) if line.startswith("data:")]
        try:
            value = json.loads("\n".join(lines) if lines else block)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def texts(stream: bytes, index: int = 0) -> list[str]:
    return [
        part["text"]
        for event in events(stream)
        for candidate in event.get("candidates", [])
        if candidate.get("index", 0) == index
        for part in candidate.get("content", {}).get("parts", [])
        if "text" in part and not part.get("thought")
    ]


# --- what the client gets -----------------------------------------------------------------

UNMARKED = [
    "blocked", "empty", "error_bare_first", "error_first", "only_blanks", "only_thoughts",
    "safety_without_words",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNMARKED])
def test_each_candidate_is_marked_right_before_its_first_words(name: str) -> None:
    out = run(transform(name), load(name))
    for index in range(choices_of(name)):
        assert "".join(texts(out, index)).count(MARKER) == 1
        said = "".join(texts(out, index))
        assert said.lstrip("\n").startswith(MARKER)
        assert said.replace(MARKER, "") == "".join(texts(load(name), index))


@pytest.mark.parametrize("name", UNMARKED)
def test_an_answer_without_words_gets_no_marker(name: str) -> None:
    assert b"Pointsman" not in run(transform(name), load(name))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_differs_but_marker_and_name(name: str) -> None:
    before, after = list(events(load(name))), list(events(run(transform(name), load(name))))
    routed = [event for event in after if "x_router" in event]
    answers = [event for event in after if "candidates" in event or "promptFeedback" in event]
    assert routed == answers[:1], "the decision is on the first answer and on no other"
    for event in before:
        if "modelVersion" in event:
            event["modelVersion"] = REQUESTED
    unmarked = []
    for event in after:
        event.pop("x_router", None)
        event = json.loads(json.dumps(event).replace(json.dumps(MARKER)[1:-1], ""))
        if event.get("candidates") and all(
            candidate.get("content", {}).get("parts") == [{"text": ""}] and "finishReason" not in candidate
            for candidate in event["candidates"]
        ):
            assert "usageMetadata" not in event
            continue
        unmarked.append(event)
    assert unmarked == before


def test_the_marker_s_chunk() -> None:
    first, second = list(events(run(transform(), load("tool_first"))))
    assert first == {
        "candidates": [{"content": {"parts": [{"text": MARKER}], "role": "model"}, "index": 0}],
        "modelVersion": REQUESTED,
        "responseId": second["responseId"],
        "x_router": ROUTER,
    }
    assert second["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]["modelVersion"] == SERVED


def test_thoughts_go_before_the_marker() -> None:
    parts = [
        part
        for event in events(run(transform(), load("thinking")))
        for part in event["candidates"][0]["content"]["parts"]
    ]
    assert [part["text"] for part in parts] == ["**Reading**\n\nhm", "more", MARKER, "Clear.", ""]
    assert parts[-1]["thoughtSignature"] == "c2lnbmF0dXJl"


def test_a_signed_text_keeps_its_signature_beside_the_marker() -> None:
    """Gemini CLI merges a text into the one before it and loses what else the part holds."""
    first = next(events(run(transform(), load("signed_text"))))
    assert first["candidates"][0]["content"]["parts"] == [
        {"text": MARKER + "Signed from the start", "thoughtSignature": "c2ln"}
    ]


def test_candidates_in_one_chunk() -> None:
    out = list(events(run(transform("two_candidates"), load("two_candidates_in_one"))))
    assert [c["content"]["parts"] for c in out[0]["candidates"]] == [[{"text": MARKER}]]
    assert [c["content"]["parts"][0]["text"] for c in out[1]["candidates"]] == ["A", MARKER + "B"]


@pytest.mark.parametrize("name", NAMES)
def test_only_data_lines_are_added(name: str) -> None:
    """Comments and named events are what Gemini CLI and the SDKs fail on."""

    def others(stream: bytes) -> list[bytes]:
        lines = re.split(rb"\r\n|\n|\r", stream)
        return [line for line in lines if line and not line.startswith(b"data:")]

    assert others(run(transform(name), load(name))) == others(load(name))
    comment = Changes(REQUESTED, None, "served by another", ROUTER)
    assert b"served by another" not in run(transform(name, comment), load(name))


@pytest.mark.parametrize(("name", "end"), [("text", b"\r\n\r\n"), ("lf", b"\n\n")])
def test_the_marker_ends_like_its_neighbours(name: str, end: bytes) -> None:
    blocks = run(transform(), load(name)).split(end)
    assert blocks[-1] == b"" and all(b"\n" not in block and b"\r" not in block for block in blocks)


def test_a_marker_that_comes_back_is_stripped_to_what_was_sent() -> None:
    for name in NAMES:
        history = [text for text in texts(run(transform(name), load(name))) if text]
        merged = {"contents": [{"role": "model", "parts": [{"text": "".join(history)}]}]}
        each = {"contents": [{"role": "model", "parts": [{"text": text} for text in history]}]}
        for body in (merged, each):
            parsed = Body.parse(json.dumps(body).encode())
            assert strip(parsed) == (name not in UNMARKED)
            contents = json.loads(parsed.render())["contents"]
            back = "".join(part["text"] for content in contents for part in content["parts"])
            assert back == "".join(texts(load(name)))


# --- bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trailing", [b"", b"data: {", b": bye\n\n"])
def test_every_split_gives_the_same_bytes_and_observation(name: str, trailing: bytes) -> None:
    stream = load(name) + trailing
    whole = transform(name)
    expected = run(whole, stream)
    for cut in range(0, len(stream) + 1, 2 if not trailing else 23):
        machine = transform(name)
        assert run(machine, stream[:cut], stream[cut:]) == expected
        assert machine.observation == whole.observation
    machine = transform(name)
    assert run(machine, *sizes(stream, 1)) == expected
    assert machine.observation == whole.observation
    machine = transform(name)
    assert run(machine, *(event.raw for event in sse.Reader().feed(stream)), rest(stream)) == expected
    assert machine.observation == whole.observation


def rest(stream: bytes) -> bytes:
    reader = sse.Reader()
    reader.feed(stream)
    return reader.pending


@pytest.mark.parametrize("name", NAMES)
def test_with_nothing_to_change_chunks_pass_as_they_come(name: str) -> None:
    stream = load(name)
    whole = transform(name)
    run(whole, stream)
    for size in (1, 11, 400, len(stream)):
        machine = transform(name, NO_CHANGES)
        assert [machine.feed(chunk) for chunk in sizes(stream, size)] == [[c] for c in sizes(stream, size)]
        assert machine.flush() == []
        assert machine.observation == whole.observation
    assert machine.feed(b"") == []


@pytest.mark.parametrize("name", NAMES)
def test_the_requested_model_changes_no_byte(name: str) -> None:
    stream = load(name)
    for size in (1, 50, len(stream)):
        assert run(transform(name, Changes(SERVED)), *sizes(stream, size)) == stream


def test_once_marked_chunks_pass_where_the_model_stays() -> None:
    stream = load("text")
    cut = stream.index(b"\r\n\r\n") + 4
    machine = transform("text", Changes(None, MARKER, None, ROUTER))
    machine.feed(stream[:cut])
    assert machine.feed(stream[cut : cut + 9]) == [stream[cut : cut + 9]]
    assert machine.pending == b""


def test_what_is_held_back_is_pending() -> None:
    stream = load("text")
    machine = transform()
    sent = machine.feed(stream[:30])
    assert (sent, machine.pending) == ([], stream[:30])


def test_the_chunks_that_are_not_parsed_end_as_those_that_are() -> None:
    """Whole events take a short way: the same bytes and the same counts in the end."""
    stream = load("text")
    blocks = [event.raw for event in sse.Reader().feed(stream)]
    for last in range(1, len(blocks) + 1):
        quick, slow = transform(), transform()
        data = b"".join(blocks[:last])
        assert run(quick, *blocks[:last]) == run(slow, *sizes(data, 3))
        assert quick.observation == slow.observation


@pytest.mark.parametrize("broken", [b"\xff", b'", "', b'"}'], ids=["no UTF-8", "no member", "no JSON"])
def test_a_broken_event_is_sent_alike_whether_it_is_read_or_not(broken: bytes) -> None:
    """Alone in its chunk it takes the short way, where nobody notices."""
    blocks = [event.raw for event in sse.Reader().feed(load("text"))]
    blocks[1] = blocks[1].replace(b"are set", broken, 1)
    quick, slow = transform(), transform()
    assert run(quick, *blocks) == run(slow, *sizes(b"".join(blocks), 3))
    assert quick.observation == slow.observation


OUTLINES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["candidates", "content", "parts", "text", "role", "index", "finishReason", "error", "thought",
             "usageMetadata", "promptTokenCount", "promptFeedback", "modelVersion", "responseId"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(OUTLINES, max_size=4), st.integers(1, 40), st.sampled_from(["\n", "\r\n"]))
def test_any_json_passes_and_loses_nothing(values: list[Any], size: int, end: str) -> None:
    stream = "".join(f"data: {json.dumps(value)}{end}{end}" for value in values).encode()
    assert run(transform(changes=NO_CHANGES), *sizes(stream, size)) == stream
    machine = transform()
    out = run(machine, *sizes(stream, size))
    assert out == run(transform(), stream)
    for event in events(out):
        if event.get("error") is None and "modelVersion" in event:
            assert event["modelVersion"] == REQUESTED


SIGNS = [b"data: {", b"}\r\n\r\n", b"\n\n", b'"', b"\xef\xbb\xbf"]


@given(st.lists(st.binary(max_size=30) | st.sampled_from(SIGNS)))
def test_any_bytes_pass(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert run(transform(changes=NO_CHANGES), *chunks) == whole
    assert run(transform(), *chunks) == run(transform(), whole)


# --- what is learnt -----------------------------------------------------------------------

SEEN = {
    "text": ("STOP", True, None, Usage(176, 11, 1024)),
    "lf": ("STOP", True, None, Usage(176, 11, 1024)),
    "cr": ("STOP", True, None, Usage(176, 11, 1024)),
    "thinking": ("STOP", True, None, Usage(1200, 45)),
    "tool_call": ("STOP", True, None, Usage(1200, 30)),
    "tool_first": ("STOP", True, None, Usage(1207, 20)),
    "two_candidates": ("STOP", True, None, Usage(1200, 4)),
    "two_candidates_in_one": ("STOP", True, None, Usage(1200)),
    "second_candidate_open": ("STOP", False, None, Usage(1200)),
    "blocked": ("PROHIBITED_CONTENT", True, None, Usage(1200)),
    "safety_without_words": ("SAFETY", True, None, Usage(1200)),
    "usage_after_the_end": ("STOP", True, None, Usage(1200, 77)),
    "no_finish": (None, False, None, Usage(1200, 9)),
    "error_midstream": (None, False, "UNAVAILABLE: The model", Usage(1200, 2)),
    "error_first": (None, False, "UNAVAILABLE: The model", Usage()),
    "error_bare": (None, False, "UNAVAILABLE: The model", Usage(1200, 9)),
    "error_bare_first": (None, False, "UNAVAILABLE: The model", Usage()),
    "error_bare_list": (None, False, "UNAVAILABLE: The model", Usage(1200, 2)),
    "cut_mid_event": (None, False, None, Usage(1200, 9)),
    "without_last_empty_line": ("STOP", True, None, Usage(176, 11, 1024)),
    "escaped_model": ("STOP", True, None, Usage(176, 11, 1024)),
    "several_data_lines": ("STOP", True, None, Usage()),
    "image": ("STOP", True, None, Usage(1200, 1290)),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_a_stream_says(name: str) -> None:
    reason, complete, error, usage = SEEN[name]
    machine = transform(name)
    run(machine, load(name))
    seen = machine.observation
    assert (seen.stop_reason, seen.complete) == (reason, complete)
    assert seen.error is None if error is None else (seen.error or "").startswith(error)
    assert seen.to_usage() == usage
    if error is None:
        assert seen.started and seen.answered_model == SERVED


def test_the_end_is_known_before_the_client_has_it() -> None:
    machine = transform()
    machine.feed(load("text"))
    assert machine.observation.complete and machine.dirty


def test_an_answer_is_not_complete_before_all_candidates_are() -> None:
    stream = load("two_candidates")
    cut = stream.rindex(b"data: ")
    machine = transform("two_candidates")
    machine.feed(stream[:cut])
    assert not machine.observation.complete
    machine.feed(stream[cut:])
    assert machine.observation.complete


@pytest.mark.parametrize("framed", [True, False], ids=["stream", "array"])
def test_one_candidate_that_has_ended_is_no_news_at_every_chunk_of_the_other(framed: bool) -> None:
    """Each news is a wait for the disk."""
    machine = StreamTransform(NO_CHANGES, 2) if framed else ArrayTransform(NO_CHANGES, 2)
    told = []
    for index, reason in ((0, None), (1, None), (0, "STOP"), (1, None), (1, None), (1, "STOP")):
        candidate = {"index": index, "content": {"parts": [{"text": "x"}]}}
        data = json.dumps({"candidates": [candidate | ({"finishReason": reason} if reason else {})]}).encode()
        machine.dirty = False
        machine.feed(b"data: " + data + b"\n\n" if framed else data + b",")
        told.append(machine.dirty)
    assert told == [True, False, False, False, False, True]


def test_news_is_marked_when_it_comes() -> None:
    machine = transform()
    news = []
    for block in sse.Reader().feed(load("text")):
        machine.dirty = False
        machine.feed(block.raw)
        news.append(machine.dirty)
    assert news == [True, False, True]


# --- JSON arrays --------------------------------------------------------------------------

ARRAYS = sorted(path.stem for path in STREAMS.glob("*.json"))


def array(name: str) -> bytes:
    return (STREAMS / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("trailing", [b"", b'{"a', b" \n"])
def test_every_split_of_an_array(name: str, trailing: bytes) -> None:
    stream = array(name) + trailing
    whole = ArrayTransform(CHANGES)
    expected = run(whole, stream)
    for cut in range(0, len(stream) + 1, 5 if not trailing else 37):
        machine, silent = ArrayTransform(CHANGES), ArrayTransform(NO_CHANGES)
        assert run(machine, stream[:cut], stream[cut:]) == expected
        assert run(silent, stream[:cut], stream[cut:]) == stream
        assert machine.observation == whole.observation == silent.observation
    machine = ArrayTransform(CHANGES)
    assert run(machine, *sizes(stream, 1)) == expected
    assert machine.observation == whole.observation


@pytest.mark.parametrize("name", [name for name in ARRAYS if name not in ("cut", "odd_elements")])
def test_an_array_differs_in_the_model_s_name(name: str) -> None:
    before, after = json.loads(array(name)), json.loads(run(ArrayTransform(CHANGES), array(name)))
    if not isinstance(before, list):
        assert after == before
        return
    answers = [item for item in after if "error" not in item]
    assert [item.pop("x_router") for item in after if "x_router" in item] == ([ROUTER] if answers else [])
    for item in before:
        if "modelVersion" in item:
            item["modelVersion"] = REQUESTED
    assert after == before


@pytest.mark.parametrize("name", ARRAYS)
def test_the_requested_model_changes_no_byte_of_an_array(name: str) -> None:
    assert run(ArrayTransform(Changes(SERVED)), *sizes(array(name), 13)) == array(name)


def test_an_element_is_sent_on_when_it_is_whole() -> None:
    stream = array("text")
    first = stream.index(b"\n}\n") + 2
    machine = ArrayTransform(CHANGES)
    assert machine.feed(stream[: first - 1]) == [b"["]
    assert machine.pending == stream[1 : first - 1]
    assert REQUESTED.encode() in machine.feed(stream[first - 1 : first])[0]
    assert machine.pending == b""


ARRAYS_SEEN = {
    "text": ("STOP", True, None, Usage(176, 11, 1024)),
    "compact": ("STOP", True, None, Usage(176, 11, 1024)),
    "thinking": ("STOP", True, None, Usage(1200, 45)),
    "two_candidates": ("STOP", True, None, Usage(1200)),
    "error_end": (None, False, "UNAVAILABLE: The model", Usage(1200, 9)),
    "error_only": (None, False, "UNAVAILABLE: The model", Usage()),
    "error_bare": (None, False, "UNAVAILABLE: The model", Usage()),
    "cut": (None, False, None, Usage(1200, 9)),
    "no_finish": (None, False, None, Usage(1200, 9)),
    "empty": (None, False, None, Usage()),
    "odd_elements": ("STOP", True, None, Usage(176, 11, 1024)),
    "blocked": ("SAFETY", True, None, Usage()),
}


@pytest.mark.parametrize("name", ARRAYS_SEEN)
def test_what_an_array_says(name: str) -> None:
    reason, complete, error, usage = ARRAYS_SEEN[name]
    machine = ArrayTransform(CHANGES)
    run(machine, array(name))
    seen = machine.observation
    assert (seen.stop_reason, seen.complete, seen.to_usage()) == (reason, complete, usage)
    assert seen.error is None if error is None else (seen.error or "").startswith(error)


@given(st.lists(OUTLINES, max_size=4), st.sampled_from([None, 1]), st.integers(1, 40))
def test_any_array_passes(values: list[Any], indent: int | None, size: int) -> None:
    stream = json.dumps(values, indent=indent).encode()
    assert run(ArrayTransform(NO_CHANGES), *sizes(stream, size)) == stream
    out = run(ArrayTransform(CHANGES), *sizes(stream, size))
    assert out == run(ArrayTransform(CHANGES), stream)
    assert len(json.loads(out)) == len(values)


BRACES = [b"{", b"}", b'"', b"\\", b"[", b",", b'{"a":"\\"}']


@given(st.lists(st.binary(max_size=20) | st.sampled_from(BRACES)))
def test_any_bytes_pass_as_an_array(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert run(ArrayTransform(NO_CHANGES), *chunks) == whole
    assert run(ArrayTransform(Changes(SERVED)), *chunks) == whole


# --- which of them ------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json"])
def test_an_array_that_was_asked_for_is_read_as_one_and_never_held_back(content_type: str) -> None:
    body = Body.parse(b"{}")
    facts = read_facts(body, {}, "/v1beta/models/gemini-3.8-flash:streamGenerateContent", "generate")
    machine = stream(content_type, facts, CHANGES)
    assert machine is not None
    assert b"".join(machine.feed(b'[{"candidates": [{"content": {}}]}')).startswith(b'[{"candidates"')
    assert type(stream("text/event-stream", facts, CHANGES)) is StreamTransform


@pytest.mark.parametrize(
    ("content_type", "streams", "kind"),
    [
        ("text/event-stream", True, StreamTransform),
        ("text/event-stream; charset=UTF-8", True, StreamTransform),
        ("application/json; charset=UTF-8", True, ArrayTransform),
        ("application/json; charset=UTF-8", False, None),
        ("text/html", True, None),
    ],
)
def test_the_framing_follows_the_answer(content_type: str, streams: bool, kind: type | None) -> None:
    facts: Facts = replace(FACTS, surface="gemini", stream=streams)
    found = stream(content_type, facts, CHANGES)
    assert found is None if kind is None else type(found) is kind


def test_what_follows_in_a_chunk_is_observed_once_nothing_is_changed_any_more() -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "Nine"}], "role": "model"}}], "responseId": "r1"}
    last = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 7}}
    data = json.dumps([first, last]).encode()
    machine = ArrayTransform(Changes(x_router={"decision": "d1"}))
    out = json.loads(run(machine, data))
    assert out == [{**first, "x_router": {"decision": "d1"}}, last]
    seen = machine.observation
    assert (seen.stop_reason, seen.input_tokens, seen.complete) == ("STOP", 7, True)
