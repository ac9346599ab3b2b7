from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.values import NO_CHANGES, Changes, Usage
from pointsman.wire import marker, sse
from pointsman.wire.anthropic import StreamTransform, error_frame, observe_body

STREAMS = Path(__file__).parents[1] / "streams" / "anthropic"
CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
REQUESTED = "claude-opus-4-8"
MARKER = marker.make("claude-haiku-4-5", "cluster")
COMMENT = marker.comment("claude-haiku-4-5", "cluster")
ROUTER = {"decision": "d1", "model": "claude-haiku-4-5"}
START = re.compile(rb"\A.*?message_start.*?(?:\r\n\r\n|\n\n|\r\r)", re.DOTALL)


def load(name: str) -> bytes:
    return (STREAMS / f"{name}.sse").read_bytes()


def transform() -> StreamTransform:
    return StreamTransform(Changes(REQUESTED, MARKER, COMMENT, ROUTER))


def run(machine: StreamTransform, *chunks: bytes) -> bytes:
    pieces = [piece for chunk in chunks for piece in machine.feed(chunk)] + machine.flush()
    assert all(pieces)
    return b"".join(pieces)


def recorded() -> Iterator[tuple[str, bytes]]:
    for path in sorted(CAPTURES.glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines()):
            record = json.loads(line)
            body = (record["response"] or {}).get("body")
            if record["host"] == "api.anthropic.com" and isinstance(body, str):
                yield f"{path.stem}:{number}", body.encode()


# --- what the real SDK makes of it --------------------------------------------------------


def accumulate(stream: bytes) -> dict[str, Any]:
    """The final message as the anthropic SDK's own stream helper builds it."""
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    client = anthropic.Anthropic(api_key="none", http_client=http, max_retries=0)
    with client.messages.stream(
        model=REQUESTED, max_tokens=9, messages=[{"role": "user", "content": "x"}]
    ) as events:
        return dict(events.get_final_message().model_dump(warnings=False))


def assert_sdk_agrees(original: bytes, transformed: bytes, *, requested: str = REQUESTED) -> None:
    expected, got = accumulate(original), accumulate(transformed)
    assert got.pop("x_router") == ROUTER
    assert expected.pop("model") and got.pop("model") == requested
    before, after = expected.pop("content"), got.pop("content")
    if before:
        first = after.pop(0)
        assert (first["type"], first["text"]) == ("text", MARKER)
    assert after == before
    assert got == expected


@pytest.mark.parametrize("name", [name for name in NAMES if "error" not in name and name != "cut_mid_event"])
def test_the_real_sdk_accepts_the_transformed_stream(name: str) -> None:
    assert_sdk_agrees(load(name), run(transform(), load(name)))


@pytest.mark.parametrize("name", ["error_first", "error_midstream"])
def test_the_real_sdk_sees_the_same_error(name: str) -> None:
    found = []
    for stream in (load(name), run(transform(), load(name))):
        with pytest.raises(anthropic.APIStatusError) as caught:
            accumulate(stream)
        found.append((type(caught.value), caught.value.message))
    assert found[0] == found[1]


def test_our_own_error_frame_is_one_to_the_real_sdk() -> None:
    with pytest.raises(anthropic.APIStatusError, match="No provider is left"):
        accumulate(error_frame(529, "No provider is left."))


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no recorded traffic beside the repository")
def test_recorded_streams() -> None:
    streams = list(recorded())
    assert len(streams) > 20
    for _, stream in streams:
        machine = transform()
        transformed = run(machine, stream)
        assert_sdk_agrees(stream, transformed)
        assert machine.observation.complete
        for size in (1, 7, 100):
            chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
            assert run(transform(), *chunks) == transformed
            assert run(StreamTransform(NO_CHANGES), *chunks) == stream


# --- bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trailing", [b"", b"event: mess", b": bye\n\n"])
def test_every_split_gives_the_same_bytes_and_observation(name: str, trailing: bytes) -> None:
    stream = load(name) + trailing
    whole = transform()
    expected = run(whole, stream)
    for cut in range(0, len(stream) + 1, 1 if not trailing else 17):
        machine = transform()
        assert run(machine, stream[:cut], stream[cut:]) == expected
        assert machine.observation == whole.observation
    machine = transform()
    assert run(machine, *(stream[i : i + 1] for i in range(len(stream)))) == expected
    assert machine.observation == whole.observation


@pytest.mark.parametrize("name", NAMES)
def test_only_model_marker_and_indices_differ(name: str) -> None:
    """Against a plain rewrite of the whole text, which these streams are regular enough for."""
    stream = load(name)
    expected = b""
    marked = False
    for event in sse.Reader().feed(stream):
        raw = event.raw
        if b"message_start" in raw:
            raw = re.sub(rb'"claude[^"]*haiku[^"]*"', json.dumps(REQUESTED).encode(), raw)
            router = json.dumps(ROUTER, separators=(",", ":")).encode()
            comma, colon = (b" , ", b" : ") if b" , " in raw else (b",", b":")
            raw = re.sub(rb"\}\}(\r|\n)", comma + b'"x_router"' + colon + router + rb"}}\1", raw)
            raw += f": {COMMENT}\n\n".encode()
        elif b"content_block" in raw:
            if not marked:
                expected += run(StreamTransform(NO_CHANGES), *marker_block())
                marked = True
            raw = re.sub(
                rb'"index"( ?: ?)(\d+)', lambda m: b'"index"%s%d' % (m[1], int(m[2]) + 1), raw, count=1
            )
        expected += raw
    got = run(transform(), stream)
    assert got.startswith(expected)
    assert got.removeprefix(expected) == stream[len(b"".join(e.raw for e in sse.Reader().feed(stream))) :]


def marker_block() -> list[bytes]:
    text = json.dumps(MARKER, ensure_ascii=False)
    return [
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":%s}}\n\n' % text.encode(),
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    ]


@pytest.mark.parametrize("name", NAMES)
def test_with_nothing_to_change_chunks_pass_as_they_come(name: str) -> None:
    stream = load(name)
    chunks = [stream[i : i + 11] for i in range(0, len(stream), 11)]
    machine = StreamTransform(NO_CHANGES)
    assert [machine.feed(chunk) for chunk in chunks] == [[chunk] for chunk in chunks]
    assert machine.flush() == []
    whole = transform()
    run(whole, stream)
    assert machine.observation == whole.observation
    assert machine.feed(b"") == []


def test_without_a_marker_chunks_pass_again_after_the_start() -> None:
    stream = load("text")
    start = START.match(stream)
    assert start is not None
    machine = StreamTransform(Changes(REQUESTED))
    first = machine.feed(stream[: start.end() + 9])
    assert first == [
        start[0].replace(b"claude-haiku-4-5-20251001", REQUESTED.encode()) + stream[start.end() :][:9]
    ]
    assert machine.feed(stream[start.end() + 9 : -5]) == [stream[start.end() + 9 : -5]]
    assert machine.feed(stream[-5:]) == [stream[-5:]]
    assert machine.flush() == []
    assert machine.observation.complete


@pytest.mark.parametrize("name", NAMES)
def test_the_same_model_without_marker_changes_no_byte(name: str) -> None:
    stream = load(name)
    for size in (1, 50, len(stream)):
        machine = StreamTransform(Changes("claude-haiku-4-5-20251001"))
        assert run(machine, *(stream[i : i + size] for i in range(0, len(stream), size))) == stream


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_back_and_what_is_pending_is_all_there_is(name: str) -> None:
    stream = load(name)
    for cut in range(0, len(stream), 3):
        for machine in (transform(), StreamTransform(Changes(REQUESTED)), StreamTransform(NO_CHANGES)):
            given = b"".join(machine.feed(stream[:cut])) + machine.pending
            rest = b"".join(machine.feed(stream[cut:]) + machine.flush())
            assert given.endswith(stream[cut - 1 : cut])
            assert not machine.pending
            assert rest or cut == len(stream)


def test_an_answer_without_blocks_gets_no_marker() -> None:
    assert MARKER.encode() not in run(transform(), load("empty"))


def test_without_a_message_start_nothing_is_injected() -> None:
    for stream in (load("error_first"), b'event: ping\ndata: {"type":"ping"}\n\n', b"", b"<html>502</html>"):
        assert run(transform(), stream) == stream


def test_only_the_first_start_is_changed() -> None:
    stream = load("text")
    assert run(transform(), stream * 2).count(MARKER.splitlines()[0].encode()) == 1


def test_a_large_event_and_one_beyond_the_cap() -> None:
    start = START.match(load("text"))
    assert start is not None
    for size in (5 << 20, 17 << 20):
        block = b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"%s"}}'
        big = b"event: content_block_start\ndata: " + block % (b"x" * size) + b"\n\n"
        got = run(transform(), start[0], *(big[i : i + (1 << 16)] for i in range(0, len(big), 1 << 16)))
        shifted = big.replace(b'"index":0', b'"index":1')
        assert got.endswith(shifted if size < sse.EVENT_CAP_BYTES else big)
        assert (MARKER.splitlines()[0].encode() in got) == (size < sse.EVENT_CAP_BYTES)


# --- events nobody expects ----------------------------------------------------------------

JUNK = st.sampled_from(
    [
        b"event: content_block_start\n",
        b"event: message_start\n",
        b"event: message_delta\n",
        b"event: error\n",
        b"\n",
        b"\r\n",
        b"data: null\n",
        b"data: [1]\n",
        b"data: {\n",
        b'data: {"type":7}\n',
        b'data: "\\ud800"\n',
        b'data: {"type":"content_block_start","index":"0"}\n',
        b'data: {"type":"content_block_stop","index":true}\n',
        b'data: {"type":"content_block_delta"}\n',
        b'data: {"type":"message_delta","usage":[],"delta":3}\n',
        b'data: {"type":"message_start","message":"no"}\n',
        b'data: {"type":"error","error":"bad"}\n',
        b'data: {"type":"message_delta","usage":{"output_tokens":-1,"input_tokens":true}}\n',
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
    begin = b'data: {"type":"message_start","message":{"model":"%s"}}\n\n' % REQUESTED.encode()
    stream = begin * started + junk
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    machine = StreamTransform(Changes(REQUESTED, MARKER))
    got = run(machine, *chunks)
    if b"".join(marker_block()) in got:
        got = got.replace(b"".join(marker_block()), b"")
    assert got == stream
    assert machine.observation.output_tokens is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_arbitrary_bytes_pass(one: bytes, two: bytes) -> None:
    assert run(transform(), one, two) == one + two


# --- observation --------------------------------------------------------------------------


def observe(name: str) -> StreamTransform:
    machine = StreamTransform(NO_CHANGES)
    run(machine, load(name))
    return machine


def test_usage_is_cumulative_and_the_last_counts_win() -> None:
    observation = observe("cache_usage").observation
    assert observation.to_usage() == Usage(
        input_tokens=9,
        output_tokens=42,
        cache_read_tokens=48100,
        cache_write_tokens=1100,
        cache_write_1h_tokens=200,
    )
    assert observation.complete
    assert observation.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("name", "stop_reason", "complete"),
    [
        ("text", "end_turn", True),
        ("tool_use", "tool_use", True),
        ("thinking", "end_turn", True),
        ("refusal", "refusal", True),
        ("pause_turn", "pause_turn", True),
        ("empty", "end_turn", True),
        ("crlf", "end_turn", True),
        ("cr", "end_turn", True),
        ("odd_whitespace", "end_turn", True),
        ("cut_mid_event", None, False),
        ("error_midstream", None, False),
    ],
)
def test_what_is_observed(name: str, stop_reason: str | None, complete: bool) -> None:
    seen = observe(name).observation
    assert (seen.stop_reason, seen.complete) == (stop_reason, complete)
    assert (seen.message_id, seen.answered_model) == ("msg_01XyTrackSeven", "claude-haiku-4-5-20251001")
    assert seen.to_usage().input_tokens is not None


def test_errors_are_observed() -> None:
    assert observe("error_midstream").observation.error == "overloaded_error: Overloaded"
    assert observe("error_first").observation.error == "overloaded_error: Overloaded"
    assert not observe("error_first").observation.started


@pytest.mark.parametrize("machine", [StreamTransform(NO_CHANGES), transform()])
def test_dirty_is_set_before_the_bytes_that_made_it_so_leave(machine: StreamTransform) -> None:
    turned: list[str] = []
    for event in sse.Reader().feed(load("tool_use")):
        machine.dirty = False
        machine.feed(event.raw)
        if machine.dirty:
            turned.append(event.name)
    assert turned == ["message_start", "message_delta", "message_stop"]
    machine.dirty = False
    machine.feed(load("error_first"))
    assert machine.dirty


def test_a_whole_body_says_the_same_as_its_stream() -> None:
    message = accumulate(load("cache_usage"))
    seen, streamed = observe_body(json.dumps(message).encode()), observe("cache_usage").observation
    assert seen.to_usage() == streamed.to_usage()
    assert (seen.message_id, seen.stop_reason, seen.complete) == (streamed.message_id, "end_turn", True)
