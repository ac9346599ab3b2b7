from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.values import NO_CHANGES, Changes, Usage
from pointsman.wire import marker, sse
from pointsman.wire.openai_responses import StreamTransform, observe_body
from pointsman.wire.openai_responses.items import MARKER_ID

STREAMS = Path(__file__).parents[1] / "streams" / "openai_responses"
CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
REQUESTED = "gpt-6.1-sol"
SERVED = "gpt-6-luna-2026-09-30"
RESPONSE_ID = "resp_0c7f3b5a8f2d1e9c0068f1a2b3c4d5e6f708192a3b4c5d6e7f"
MARKER = marker.make("gpt-6-luna", "cluster")
COMMENT = marker.comment("gpt-6-luna", "cluster")
ROUTER = {"decision": "d1", "model": "gpt-6-luna"}
MARKED = Changes(REQUESTED, MARKER, COMMENT, ROUTER)
UNMARKED = Changes(REQUESTED, None, None, ROUTER)
NO_ITEM = ["error_first", "failed_before_output", "no_output", "null_item"]
BROKEN = ["cut_after_event", "cut_mid_event", "error_first", "error_midstream", "null_item"]
LIFECYCLE = re.compile(r"response\.(?:created|queued|in_progress|completed|incomplete|failed)\Z")


def load(name: str) -> bytes:
    return (STREAMS / f"{name}.sse").read_bytes()


def transform() -> StreamTransform:
    return StreamTransform(MARKED)


def run(machine: StreamTransform, *chunks: bytes) -> bytes:
    pieces = [piece for chunk in chunks for piece in machine.feed(chunk)] + machine.flush()
    assert all(pieces)
    return b"".join(pieces)


def blocks(stream: bytes) -> list[sse.Event]:
    reader = sse.Reader()
    return reader.feed(stream) + reader.flush()


def events(stream: bytes) -> list[dict[str, Any]]:
    found = [event.data for event in blocks(stream) if event.data != b"[DONE]"]
    return [json.loads(data) for data in found if data is not None]


def recorded() -> Iterator[bytes]:
    for path in sorted(CAPTURES.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            body = (record["response"] or {}).get("body")
            if record["method"] == "POST" and record["path"] == "/v1/responses" and isinstance(body, str):
                yield body.encode()


# --- what the real SDK makes of it --------------------------------------------------------


@cache
def sdk() -> tuple[openai.OpenAI, list[bytes]]:
    """A client, and the answer that it gets: the last of the list."""
    answers: list[bytes] = []
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers=headers, content=answers[-1])
    )
    http = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="none", http_client=http, max_retries=0), answers


def served(stream: bytes) -> openai.OpenAI:
    client, answers = sdk()
    answers[:] = [stream]
    return client


def accumulate(stream: bytes) -> tuple[dict[str, Any], str]:
    """The last response and all text, as the openai SDK's own stream helper builds them."""
    text, last = "", None
    with served(stream).responses.stream(model=REQUESTED, input="x") as found:
        for event in found:
            if event.type == "response.output_text.delta":
                text += event.delta
            if LIFECYCLE.match(event.type):
                last = event.response
    assert last is not None
    return last.model_dump(warnings=False), text


def raw_events(stream: bytes) -> list[dict[str, Any]]:
    found = served(stream).responses.create(model=REQUESTED, input="x", stream=True)
    return [event.model_dump(warnings=False) for event in found]


def assert_sdk_agrees(original: bytes, transformed: bytes) -> None:
    (expected, text), (got, marked_text) = accumulate(original), accumulate(transformed)
    assert expected.pop("model") != got["model"] or not MARKED
    assert got.pop("model") == REQUESTED
    assert got.pop("x_router") == ROUTER
    before, after = expected.pop("output"), got.pop("output")
    if before:
        first = after.pop(0)
        assert (first["role"], first["status"], first["id"][: len(MARKER_ID)]) == (
            "assistant", "completed", MARKER_ID,
        )  # fmt: skip
        assert [part["text"] for part in first["content"]] == [MARKER]
    assert after == before
    assert got == expected
    assert marked_text in (text, MARKER + text)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BROKEN])
def test_the_real_sdk_accepts_the_transformed_stream(name: str) -> None:
    assert_sdk_agrees(load(name), run(transform(), load(name)))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("error_first", "error_midstream")])
def test_the_real_sdk_sees_every_event_and_only_the_markers_six_more(name: str) -> None:
    before, after = raw_events(load(name)), raw_events(run(transform(), load(name)))
    added = [event for event in after if MARKER_ID in str(event) and not LIFECYCLE.match(event["type"])]
    assert len(added) == (0 if name in NO_ITEM else 6)
    assert [event["type"] for event in after if event not in added] == [event["type"] for event in before]


@pytest.mark.parametrize("name", ["error_first", "error_midstream"])
def test_the_real_sdk_sees_the_same_error(name: str) -> None:
    found = []
    for stream in (load(name), run(transform(), load(name))):
        try:
            seen = [event for event in raw_events(stream) if event["type"] == "error"]
            found.append([(event["code"], event["message"]) for event in seen])
        except openai.APIError as error:
            found.append([(error.code, error.message)])
    assert found[0] == found[1] != []


def test_the_text_of_an_answer_is_the_marker_and_the_text() -> None:
    with served(run(transform(), load("text"))).responses.stream(model=REQUESTED, input="x") as found:
        assert found.get_final_response().output_text.startswith(MARKER + "The points")
    with served(run(transform(), load("parallel"))).responses.stream(model=REQUESTED, input="x") as found:
        calls = [item for item in found.get_final_response().output if item.type == "function_call"]
    assert {call.call_id: call.arguments for call in calls} == {"call_a": '{"n":1}', "call_b": '{"n":2}'}


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no recorded traffic beside the repository")
def test_recorded_streams() -> None:
    streams = list(recorded())
    assert len(streams) > 12
    for stream in streams:
        plain = re.sub(rb'("model": ?)"[^"]*"', rb'\1"gpt-6-luna"', stream)
        machine = transform()
        transformed = run(machine, plain)
        assert_sdk_agrees(plain, transformed)
        assert_numbers_hold(events(plain), events(transformed))
        assert machine.observation.complete
        for size in (1, 7, 100):
            chunks = [plain[i : i + size] for i in range(0, len(plain), size)]
            assert run(transform(), *chunks) == transformed
            assert run(StreamTransform(NO_CHANGES), *chunks) == plain


# --- numbers ------------------------------------------------------------------------------


def assert_numbers_hold(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Numbers go up by one as they did, items are where their index says, and the last event repeats them."""
    numbers = [event["sequence_number"] for event in after if "sequence_number" in event]
    if before and [event.get("sequence_number") for event in before] == list(range(len(before))):
        assert numbers == list(range(len(after)))
    items: dict[int, str] = {}
    for event in after:
        if "output_index" not in event or event.get("item", 1) is None:
            continue
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(items)
            items[event["output_index"]] = event["item"]["id"]
        named = event.get("item_id") or event["item"]["id"]
        assert items.get(event["output_index"], named) == named
    last = after[-1].get("response", {}).get("output") if after else None
    if last:
        assert [item["id"] for item in last] == list(items.values())


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_places_hold_after_the_marker(name: str) -> None:
    before, after = events(load(name)), events(run(transform(), load(name)))
    if name != "null_item":
        assert_numbers_hold(before, after)
    assert len(after) - len(before) == (0 if name in NO_ITEM else 6)


@pytest.mark.parametrize("name", NAMES)
def test_every_response_object_names_the_requested_model(name: str) -> None:
    for changes in (MARKED, UNMARKED, Changes(REQUESTED)):
        after = events(run(StreamTransform(changes), load(name)))
        responses = [event["response"] for event in after if "response" in event]
        assert {response["model"] for response in responses} <= {REQUESTED}
        told = [("x_router" in response) for response in responses]
        wanted = [at == 0 or response["status"] in ("completed", "incomplete", "failed")
                  for at, response in enumerate(responses)]  # fmt: skip
        assert told == (wanted if changes.x_router else [False] * len(told))


# --- bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trailing", [b"", b"event: resp", b": bye\n\n"])
def test_every_split_gives_the_same_bytes_and_observation(name: str, trailing: bytes) -> None:
    stream = load(name) + trailing
    whole = transform()
    expected = run(whole, stream)
    for cut in range(0, len(stream) + 1, 53 if not trailing else 171):
        machine = transform()
        assert run(machine, stream[:cut], stream[cut:]) == expected
        assert machine.observation == whole.observation
    machine = transform()
    assert run(machine, *(stream[i : i + 1] for i in range(len(stream)))) == expected
    assert machine.observation == whole.observation


@pytest.mark.parametrize(("name", "step"), [("text", 7), ("crlf", 2), ("parallel", 11), ("error_first", 1)])
def test_a_cut_at_any_byte(name: str, step: int) -> None:
    stream = re.sub(rb',"parallel_tool_calls".*?"metadata":\{\}', b"", load(name))
    expected = run(transform(), stream)
    for cut in range(0, len(stream) + 1, step):
        assert run(transform(), stream[:cut], stream[cut:]) == expected


@pytest.mark.parametrize("name", [name for name in NAMES if name != "null_item"])
def test_only_model_marker_and_numbers_differ(name: str) -> None:
    """Against a plain rewrite of the whole text, which these streams are regular enough for."""
    stream = load(name)
    expected = b""
    marked = began = False
    for event in blocks(stream):
        raw = event.raw
        if not event.whole:
            expected += raw
            continue
        if b"output_item.added" in raw and not marked:
            number = re.search(rb'"sequence_number" ?: ?(\d+)', raw)
            expected += b"".join(marker_events(int(number[1]) if number else None))
            marked = True
        if marked:
            raw = add(raw, b"sequence_number", 6)
            raw = add(raw, b"output_index", 1)
        if b'"object"' in raw:
            last = re.search(rb"response\.(completed|incomplete|failed)", raw) is not None
            raw = rewritten(raw, marked=marked and last, told=last or not began)
            raw += b"" if began else f": {COMMENT}\n\n".encode()
            began = True
        expected += raw
    assert run(transform(), stream) == expected


def add(raw: bytes, key: bytes, by: int) -> bytes:
    return re.sub(
        b'"' + key + rb'"( ?: ?)(\d+)', lambda m: b'"%s"%s%d' % (key, m[1], int(m[2]) + by), raw, count=1
    )


def rewritten(raw: bytes, *, marked: bool, told: bool) -> bytes:
    comma, colon = (b" , ", b" : ") if b" , " in raw else (b", ", b": ") if b'": ' in raw else (b",", b":")
    raw = raw.replace(SERVED.encode(), REQUESTED.encode())
    if marked:
        item = events(b"".join(marker_events(2)))[-1]["item"]
        compact = json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()
        raw = re.sub(rb'("output" ?: ?\[)(?=\{)', lambda m: m[1] + compact + b",", raw)
    if told:
        router = json.dumps(ROUTER, separators=(",", ":")).encode()
        *_, end = re.finditer(rb'(?:"metadata" ?: ?\{\}|"user" ?: ?null)(?=\})', raw)
        raw = raw[: end.end()] + comma + b'"x_router"' + colon + router + raw[end.end() :]
    return raw


def marker_events(begin: int | None) -> list[bytes]:
    """The six events, written out as the provider writes such a message, numbered from `begin` on."""
    text = json.dumps(MARKER, ensure_ascii=False)
    name = MARKER_ID + RESPONSE_ID[-40:]
    part = '{"type":"output_text","annotations":[],"logprobs":[],"text":%s}'
    item = '{"id":"' + name + '","type":"message","status":"%s","role":"assistant","content":[%s]}'
    place = f'"item_id":"{name}","output_index":0,"content_index":0'
    kinds = [
        ("output_item.added", '"output_index":0,"item":' + item % ("in_progress", "")),
        ("content_part.added", place + ',"part":' + part % '""'),
        ("output_text.delta", f'{place},"delta":{text},"logprobs":[]'),
        ("output_text.done", f'{place},"text":{text},"logprobs":[]'),
        ("content_part.done", place + ',"part":' + part % text),
        ("output_item.done", '"output_index":0,"item":' + item % ("completed", part % text)),
    ]
    written = []
    for at, (kind, rest) in enumerate(kinds):
        number = f'"sequence_number":{begin + at},' if begin is not None else ""
        name = f"response.{kind}"
        written.append(f'event: {name}\ndata: {{"type":"{name}",{number}{rest}}}\n\n'.encode())
    return written


@pytest.mark.parametrize("name", NAMES)
def test_with_nothing_to_change_chunks_pass_as_they_come(name: str) -> None:
    stream = load(name)
    chunks = [stream[i : i + 111] for i in range(0, len(stream), 111)]
    machine = StreamTransform(NO_CHANGES)
    assert [machine.feed(chunk) for chunk in chunks] == [[chunk] for chunk in chunks]
    assert machine.flush() == []
    whole = transform()
    run(whole, stream)
    assert machine.observation == whole.observation
    assert machine.feed(b"") == []


@pytest.mark.parametrize("name", NAMES)
def test_the_same_model_without_marker_changes_no_byte(name: str) -> None:
    stream = load(name)
    for size in (97, len(stream)):
        machine = StreamTransform(Changes(SERVED))
        assert run(machine, *(stream[i : i + size] for i in range(0, len(stream), size))) == stream


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_back_and_what_is_pending_is_all_there_is(name: str) -> None:
    stream = load(name)
    for cut in range(0, len(stream), 101):
        for changes in (MARKED, UNMARKED, NO_CHANGES):
            machine = StreamTransform(changes)
            given = b"".join(machine.feed(stream[:cut])) + machine.pending
            rest = b"".join(machine.feed(stream[cut:]) + machine.flush())
            assert given.endswith(stream[cut - 1 : cut])
            assert not machine.pending
            assert rest or cut == len(stream)


@pytest.mark.parametrize("name", NO_ITEM)
def test_an_answer_without_items_gets_no_marker(name: str) -> None:
    assert MARKER_ID.encode() not in run(transform(), load(name))


def test_an_output_that_the_last_event_leaves_empty_stays_so() -> None:
    last = events(run(transform(), load("final_output_empty")))[-1]["response"]
    assert last["output"] == []
    assert "output" not in events(run(transform(), load("final_output_absent")))[-1]["response"]


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"type":"response.output_item.added","output_index":0,"item":{"id":"m"}}\n\n',
        b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n',
        b"data: [DONE]\n\n",
        b"",
        b"<html>502</html>",
    ],
)
def test_before_a_response_nothing_is_injected(stream: bytes) -> None:
    assert run(transform(), stream) == stream


def test_a_stream_taken_up_in_its_middle_gets_no_marker() -> None:
    created, *_, last = [event.raw for event in blocks(load("text"))]
    begun = created.replace(b'"output":[]', b'"output":[{"id":"msg_1","type":"message"}]')
    item = b'data: {"type":"response.output_item.added","output_index":1,"item":{"id":"msg_2"}}\n\n'
    assert MARKER_ID.encode() not in run(transform(), begun, item, last)
    delta = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"x"}\n\n'
    assert MARKER_ID.encode() not in run(transform(), created, delta, item, last)


def test_an_event_is_known_by_its_name_where_its_data_do_not_say_it() -> None:
    """As `with_data` and every SSE reader do: the name is the type."""
    stream = re.sub(rb'"type":"response\.(created|completed)",', b"", load("text"))
    machine = transform()
    transformed = run(machine, stream)
    assert transformed.count(SERVED.encode()) == 0
    assert machine.observation.complete
    assert events(transformed)[-1]["response"]["output"][0]["id"].startswith(MARKER_ID)


def test_only_the_first_answer_is_marked() -> None:
    stream = load("text")
    assert run(transform(), stream * 2).count(b'"type":"response.output_item.added"') == 3


def test_answers_have_markers_with_different_ids() -> None:
    other = load("text").replace(RESPONSE_ID.encode(), b"resp_other")
    found = [events(run(transform(), stream))[2]["item"]["id"] for stream in (load("text"), other)]
    assert found == [MARKER_ID + RESPONSE_ID[-40:], MARKER_ID + "other"]
    assert max(map(len, found)) <= 64


def test_no_comment_after_an_event_with_an_id() -> None:
    """openai-python 3.52 then takes the comment for an event without data, and fails on it."""
    numbered = load("text").replace(b"event: response.created", b"id: 1\nevent: response.created")
    transformed = run(transform(), numbered)
    assert COMMENT.encode() not in transformed
    assert raw_events(transformed)[-1]["response"]["x_router"] == ROUTER


def test_a_large_event_and_one_beyond_the_cap() -> None:
    begun = b"".join(event.raw for event in blocks(load("text"))[:4])
    for size in (5 << 20, 17 << 20):
        done = b'{"type":"response.output_text.done","sequence_number":9,"output_index":0,"text":"%s"}'
        big = b"event: response.output_text.done\ndata: " + done % (b"x" * size) + b"\n\n"
        got = run(transform(), begun, *(big[i : i + (1 << 16)] for i in range(0, len(big), 1 << 16)))
        shifted = big.replace(b'":9,"output_index":0', b'":15,"output_index":1')
        assert got.endswith(shifted if size < sse.EVENT_CAP_BYTES else big)


# --- events nobody expects ----------------------------------------------------------------

JUNK = st.sampled_from(
    [
        b"event: response.output_item.added\n",
        b"event: response.completed\n",
        b"event: error\n",
        b"\n",
        b"\r\n",
        b"data: null\n",
        b"data: [1]\n",
        b"data: {\n",
        b'data: {"type":7}\n',
        b'data: "\\ud800"\n',
        b'data: {"type":"response.output_item.added","output_index":"0","item":{}}\n',
        b'data: {"type":"response.output_item.added","output_index":true}\n',
        b'data: {"type":"response.output_item.done","output_index":-0.5,"sequence_number":1e400}\n',
        b'data: {"type":"response.output_text.delta"}\n',
        b'data: {"type":"response.output_text.delta","output_index":x}\n',
        b'data: {"type":"response.completed","response":[]}\n',
        b'data: {"type":"response.created","response":"no"}\n',
        b'data: {"type":"response.incomplete","response":{"usage":[],"output":3,"error":[]}}\n',
        b'data: {"type":"response.failed","response":{"usage":{"output_tokens":-1,"input_tokens":true}}}\n',
        b'data: {"type":"error","error":"bad"}\n',
        b"data: \xff\n",
        b'data: {"type":"x","a":' + b"[" * 3000 + b"]" * 3000 + b"}\n",
        b": c\n",
        b"\x00",
        b"id: 1\n",
    ]
)


@given(st.lists(JUNK, max_size=12), st.integers(1, 40), st.booleans())
def test_junk_costs_no_byte(pieces: list[bytes], size: int, started: bool) -> None:
    junk = b"".join(pieces)
    begin = f'data: {{"type":"response.created","response":{{"model":"{REQUESTED}","output":[]}}}}\n\n'
    stream = begin.encode() * started + junk
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    machine = StreamTransform(Changes(REQUESTED, MARKER))
    assert run(machine, *chunks) == stream
    assert machine.observation.output_tokens is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_arbitrary_bytes_pass(one: bytes, two: bytes) -> None:
    assert run(transform(), one, two) == one + two


# --- observation --------------------------------------------------------------------------


def observe(name: str) -> StreamTransform:
    machine = StreamTransform(NO_CHANGES)
    run(machine, load(name))
    return machine


def test_input_excludes_the_cache_and_output_includes_reasoning() -> None:
    assert observe("reasoning").observation.to_usage() == Usage(
        input_tokens=126, output_tokens=42, cache_read_tokens=1024, cache_write_tokens=100
    )


@pytest.mark.parametrize(
    ("name", "stop_reason", "complete", "error"),
    [
        ("text", "completed", True, None),
        ("tool_call", "completed", True, None),
        ("members_by_name", "completed", True, None),
        ("cr", "completed", True, None),
        ("odd_whitespace", "completed", True, None),
        ("no_output", "completed", True, None),
        ("refusal", "refusal", True, None),
        ("incomplete", "max_output_tokens", True, None),
        ("failed", "failed", True, "server_error: The server had an error processing your request."),
        ("error_midstream", None, True, "server_error: The server had an error."),
        ("cut_mid_event", None, False, None),
        ("cut_after_event", None, False, None),
    ],
)
def test_what_is_observed(name: str, stop_reason: str | None, complete: bool, error: str | None) -> None:
    seen = observe(name).observation
    assert (seen.stop_reason, seen.complete, seen.error) == (stop_reason, complete, error)
    assert (seen.started, seen.message_id, seen.answered_model) == (True, RESPONSE_ID, SERVED)
    assert (seen.to_usage().output_tokens is not None) == (complete and error is None)


def test_an_error_before_anything_else() -> None:
    seen = observe("error_first").observation
    assert (seen.started, seen.error) == (False, "server_is_overloaded: Our servers are overloaded.")
    assert observe("failed_before_output").observation.error is not None


@pytest.mark.parametrize("changes", [NO_CHANGES, MARKED])
def test_dirty_is_set_before_the_bytes_that_made_it_so_leave(changes: Changes) -> None:
    machine = StreamTransform(changes)
    turned: list[str] = []
    for event in blocks(load("parallel")):
        machine.dirty = False
        machine.feed(event.raw)
        if machine.dirty:
            turned.append(event.name)
    assert turned == ["response.created", "response.completed"]
    machine.dirty = False
    machine.feed(load("error_first"))
    assert machine.dirty


@pytest.mark.parametrize("name", ["text", "refusal", "incomplete", "failed"])
def test_a_whole_body_says_the_same_as_its_stream(name: str) -> None:
    body = json.dumps(events(load(name))[-1]["response"]).encode()
    assert observe_body(body) == observe(name).observation
