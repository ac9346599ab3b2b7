"""Streams of Chat Completions: by the real SDK and by a plain rewrite, at every split, and with nonsense."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.values import NO_CHANGES, Changes, Usage
from pointsman.wire import marker, sse
from pointsman.wire.openai_chat import StreamTransform, error_body
from pointsman.wire.openai_chat.stream import ASKED_USAGE

STREAMS = Path(__file__).parents[1] / "streams" / "openai_chat"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
REQUESTED = "gpt-6-sol"
MODELS = (
    "gpt-5-nano-2025-08-07", "gpt-5-nano", "openai/gpt-5-nano", "deepseek-reasoner", "mistral-small-latest",
)  # fmt: skip
MARKER = marker.make("gpt-5-nano", "cluster")
SENTINEL = marker.SENTINEL.encode()
COMMENT = marker.comment("gpt-5-nano", "cluster")
ROUTER = {"decision": "d1", "model": "gpt-5-nano"}
ADDED = frozenset({ASKED_USAGE})
CHOICES = {"n3": 3, "choices_in_one_chunk": 2}
ROLE_WITH_WORDS = (
    "role_with_text", "tools_parallel", "choices_in_one_chunk", "function_call", "usage_on_last_chunk",
)  # fmt: skip
SILENT = ("refusal", "empty_answer", "audio", "error_first", "empty")
BROKEN = ("error_first", "error_midstream", "cut", "cut_mid_event", "empty")


def load(name: str) -> bytes:
    return (STREAMS / f"{name}.sse").read_bytes()


def transform(name: str = "", added: frozenset[str] = frozenset()) -> StreamTransform:
    return StreamTransform(Changes(REQUESTED, MARKER, COMMENT, ROUTER, added), CHOICES.get(name, 1))


def run(machine: StreamTransform, *chunks: bytes) -> bytes:
    pieces = [piece for chunk in chunks for piece in machine.feed(chunk)] + machine.flush()
    assert all(pieces)
    return b"".join(pieces)


def literal(text: str) -> bytes:
    return json.dumps(text).encode()


# --- what the real SDK makes of it --------------------------------------------------------


def accumulate(stream: bytes) -> dict[str, Any]:
    """The final completion as the openai SDK's own stream helper builds it."""
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    client = openai.OpenAI(api_key="none", http_client=http, max_retries=0)
    with client.chat.completions.stream(
        model=REQUESTED, messages=[{"role": "user", "content": "x"}]
    ) as events:
        snapshots = [event.snapshot for event in events if event.type == "chunk"]
        return dict(snapshots[-1].model_dump(warnings=False))


def assert_sdk_agrees(original: bytes, transformed: bytes) -> None:
    expected, got = accumulate(original), accumulate(transformed)
    assert got.pop("x_router") == ROUTER
    assert expected.pop("model") and got.pop("model") == REQUESTED
    for before, after in zip(expected["choices"], got["choices"], strict=True):
        said = before["message"]
        if said["content"] or said["tool_calls"] or said["function_call"]:
            assert after["message"]["content"] == MARKER + (said["content"] or "")
            after["message"]["content"] = said["content"]
    assert got == expected


# The SDK itself makes "assistantassistant" of a repeated role, knows no audio, and stumbles over a BOM.
@pytest.mark.parametrize(
    "name",
    [name for name in NAMES if name not in (*BROKEN, "role_in_every_chunk", "odd_whitespace", "audio", "cr")],
)
def test_the_real_sdk_accepts_the_transformed_stream(name: str) -> None:
    assert_sdk_agrees(load(name), run(transform(name), load(name)))


def test_the_real_sdk_never_sees_a_usage_that_it_did_not_ask_for() -> None:
    stream = load("usage_chunk")
    assert accumulate(stream)["usage"] is not None
    got = accumulate(run(transform(added=ADDED), stream))
    assert got["usage"] is None and got["choices"][0]["message"]["content"].startswith(MARKER)


@pytest.mark.parametrize("name", ["error_first", "error_midstream"])
def test_the_real_sdk_sees_the_same_error(name: str) -> None:
    found = []
    for stream in (load(name), run(transform(), load(name))):
        with pytest.raises(openai.APIError) as caught:
            accumulate(stream)
        found.append((type(caught.value), caught.value.message))
    assert found[0] == found[1]


def test_our_own_error_is_one_to_the_real_sdk() -> None:
    with pytest.raises(openai.APIError, match="No provider is left"):
        accumulate(b"data: " + error_body(503, "No provider is left.") + b"\n\n")


def recorded(shared: Path) -> Iterator[bytes]:
    for path in sorted((shared / "captures").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            body = (record["response"] or {}).get("body")
            if record["path"].endswith("/chat/completions") and isinstance(body, str):
                yield body.encode()


def test_recorded_streams(shared: Path) -> None:
    streams = [stream for stream in recorded(shared) if stream.startswith(b"data:")]
    assert len(streams) > 3
    for stream in streams:
        machine = transform()
        transformed = run(machine, stream)
        assert_sdk_agrees(stream, transformed)
        assert machine.observation.complete and machine.observation.stop_reason in ("stop", "tool_calls")
        for size in (1, 7, 100):
            chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
            assert run(transform(), *chunks) == transformed
            assert run(StreamTransform(NO_CHANGES), *chunks) == stream


# --- a plain rewrite ----------------------------------------------------------------------


def items(stream: bytes) -> list[Any]:
    """Every event: chunks decoded, all else as its bytes."""
    found: list[Any] = []
    reader = sse.Reader()
    for event in [*reader.feed(stream), *reader.flush()]:
        try:
            found.append(json.loads(event.data or b""))
        except ValueError:
            found.append(event.raw)
    return found


def speaks(delta: dict[str, Any]) -> bool:
    return bool(delta.get("content") or delta.get("tool_calls") or delta.get("function_call"))


def rewritten(stream: bytes, choices: int, added: bool) -> list[Any]:
    """What the transform does, said a second time with plain objects."""
    found: list[Any] = []
    marked: set[int] = set()
    roles: set[int] = set()
    first = True
    for item in items(stream):
        if not isinstance(item, dict) or not isinstance(item.get("choices"), list):
            found.append(item)
            continue
        own, markers = copy.deepcopy(item), []
        own["model"] = REQUESTED if own["model"] else ""
        for choice in own["choices"]:
            delta, index = choice["delta"], choice["index"]
            if speaks(delta) and index not in marked and len(marked) < choices:
                marked.add(index)
                said: dict[str, Any] = {"content": MARKER}
                if index not in roles:
                    said["role"] = delta.pop("role", "assistant")
                    roles.add(index)
                markers.append((index, said))
            elif "role" in delta:
                roles.add(index)
        here: list[Any] = [
            {"index": index, "delta": said, "logprobs": None, "finish_reason": None}
            for index, said in markers
        ]
        if added and own.get("usage", 0) is None:
            del own["usage"]
        kept = [] if added and item["choices"] == [] and item.get("usage") else [own]
        chunks = [{**own, "choices": [choice]} for choice in here]
        for chunk in chunks:
            for name in ("obfuscation", "provider"):
                chunk.pop(name, None)
        chunks += kept
        if first and item["choices"]:
            chunks[0]["x_router"] = ROUTER
            chunks.insert(1, f": {COMMENT}\n\n".encode())
            first = False
        found += chunks
    return found


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_transform_is_a_plain_rewrite(name: str, added: bool) -> None:
    machine = transform(name, ADDED if added else frozenset())
    got = items(run(machine, load(name)))
    assert got == rewritten(load(name), CHOICES.get(name, 1), added)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SILENT])
def test_every_choice_that_speaks_has_one_marker_before_its_words(name: str) -> None:
    said: dict[int, list[str]] = {}
    roles: dict[int, list[str]] = {}
    for item in items(run(transform(name), load(name))):
        for choice in item["choices"] if isinstance(item, dict) and "choices" in item else ():
            if choice["delta"].get("role"):
                roles.setdefault(choice["index"], []).append(choice["delta"]["role"])
            if speaks(choice["delta"]):
                said.setdefault(choice["index"], []).append(choice["delta"].get("content"))
    assert len(said) == CHOICES.get(name, 1)
    for index, texts in said.items():
        assert texts[0] == MARKER and MARKER not in texts[1:]
        if name != "role_in_every_chunk":
            assert roles[index] == ["assistant"]


@pytest.mark.parametrize("name", SILENT)
def test_a_choice_that_says_nothing_has_no_marker(name: str) -> None:
    assert SENTINEL not in run(transform(), load(name))


# --- bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_with_nothing_to_change_every_byte_passes_at_once(name: str) -> None:
    stream = load(name)
    machine = StreamTransform(NO_CHANGES)
    for at in range(len(stream)):
        assert machine.feed(stream[at : at + 1]) == [stream[at : at + 1]]
    assert machine.flush() == [] and machine.pending == b""


@pytest.mark.parametrize("name", NAMES)
def test_a_new_name_is_all_that_differs(name: str) -> None:
    reader = sse.Reader()
    expected = b"".join(event.raw for event in reader.feed(load(name)))
    for model in MODELS:
        for colon in (b":", b" : "):
            expected = expected.replace(
                b'"model"' + colon + literal(model), b'"model"' + colon + literal(REQUESTED)
            )
    expected += reader.pending
    assert expected != load(name) or name in ("empty", "error_first")
    got = run(StreamTransform(Changes(REQUESTED)), load(name))
    if name == "odd_whitespace":  # data on several lines
        assert items(got) == items(expected)
    else:
        assert got == expected


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SILENT])
def test_a_marker_is_all_that_differs(name: str) -> None:
    stream, reader = load(name), sse.Reader()
    got = run(StreamTransform(Changes(marker_text=MARKER), CHOICES.get(name, 1)), stream)
    others = [e.raw for e in reader.feed(got) if SENTINEL not in e.raw]
    left = b"".join(others) + reader.pending
    if name in ROLE_WITH_WORDS:
        stream = stream.replace(b'"role":"assistant",', b"")
    if name == "odd_whitespace":
        stream = stream.replace(b'"role" : "assistant" , ', b"").removeprefix(b"\xef\xbb\xbf")
        assert got.startswith(b"\xef\xbb\xbfdata: {")
    assert left == stream


def test_a_usage_that_was_not_asked_for_leaves_no_trace() -> None:
    stream = load("usage_chunk")
    got = run(StreamTransform(Changes(added=ADDED)), stream)
    assert got == b"".join(
        event.raw.replace(b',"usage":null', b"")
        for event in sse.Reader().feed(stream)
        if b'"choices":[]' not in event.raw
    )
    assert b"usage" not in got


@pytest.mark.parametrize("name", ["usage_on_last_chunk", "role_in_every_chunk", "reasoning_content"])
def test_a_usage_that_comes_unasked_stays(name: str) -> None:
    assert run(StreamTransform(Changes(added=ADDED)), load(name)) == load(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trailing", [b"", b"data: {", b": bye\n\n"])
def test_every_split_gives_the_same_bytes_and_observation(name: str, trailing: bytes) -> None:
    stream = load(name) + trailing
    whole = transform(name, ADDED)
    expected = run(whole, stream)
    for cut in range(0, len(stream) + 1, 31 if trailing else 11):
        machine = transform(name, ADDED)
        assert run(machine, stream[:cut], stream[cut:]) == expected
        assert machine.observation == whole.observation
    machine = transform(name, ADDED)
    assert run(machine, *(stream[i : i + 1] for i in range(len(stream)))) == expected
    assert machine.observation == whole.observation


class Parsing(StreamTransform):
    """The same without the short way for plain chunks."""

    def _plain(self, raw: bytes) -> None:
        return None


@pytest.mark.parametrize("added", [frozenset[str](), ADDED])
@pytest.mark.parametrize("name", NAMES)
def test_the_short_way_for_plain_chunks_changes_nothing(name: str, added: frozenset[str]) -> None:
    choices = CHOICES.get(name, 1)
    for changes in (
        NO_CHANGES,
        Changes(REQUESTED, added=added),
        Changes(REQUESTED, MARKER, COMMENT, ROUTER, added),
    ):
        fast, slow = StreamTransform(changes, choices), Parsing(changes, choices)
        assert run(fast, load(name)) == run(slow, load(name))
        assert fast.observation == slow.observation


@pytest.mark.parametrize(
    "name", ["text", "usage_chunk", "tools_parallel", "n3", "no_done", "reasoning_content", "crlf"]
)
def test_the_short_way_is_taken(name: str) -> None:
    """Else the tests above would compare it with nothing."""
    taken = []

    class Counting(StreamTransform):
        def _plain(self, raw: bytes) -> Any:
            found = super()._plain(raw)
            taken.append(found is not None)
            return found

    run(Counting(Changes(REQUESTED, MARKER, added=ADDED), CHOICES.get(name, 1)), load(name))
    assert sum(taken) >= 3


def chunk(**members: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c"} | members, separators=(",", ":")).encode() + b"\n\n"


TEXT = [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]


def test_what_stands_before_the_first_choice_does_not_count_as_the_first_chunk() -> None:
    stream = chunk(model="m", choices=[]) + chunk(model="m", choices=TEXT) * 2
    for changes in (Changes(REQUESTED, x_router=ROUTER), Changes(comment=COMMENT, x_router=ROUTER)):
        first, second, *rest = items(run(StreamTransform(changes), stream))
        assert "x_router" not in first and second["x_router"] == ROUTER
        assert "x_router" not in rest[-1]


def test_a_usage_before_the_choices_is_taken_out_as_well() -> None:
    stream = chunk(usage=None, model="m", choices=TEXT) * 3
    got = run(StreamTransform(Changes(REQUESTED, added=ADDED)), stream)
    assert got == chunk(model=REQUESTED, choices=TEXT) * 3


def test_only_the_chunks_own_model_is_renamed() -> None:
    for members in (
        {"x": {"model": "m"}, "model": "m", "choices": TEXT},
        {"model": "m", "choices": TEXT, "x": {"model": "m"}},
        {"choices": [{"index": 0, "delta": {"content": '"model":"m"'}}], "model": "m"},
        {"x": {"model": "n"}, "choices": TEXT},
    ):
        expected = {**members, "model": REQUESTED} if "model" in members else members
        got = run(StreamTransform(Changes(REQUESTED)), chunk(**members) * 2)
        assert got == chunk(**expected) * 2


# --- observation --------------------------------------------------------------------------


def test_a_name_that_is_told_twice_does_not_shift_the_chunks_after_it() -> None:
    head = b'data: {"id":"a","model":"gpt-5-nano","choices":'
    text = b'[{"index":0,"delta":{"content":"x"},"finish_reason":null}]'
    first, later = head + text + b',"model":"gpt-5-nano"}\n\n', head + text + b"}\n\n"
    machine = StreamTransform(Changes(requested_model="gpt-6-sol-2026-01-01"))
    out = b"".join(machine.feed(first) + machine.feed(later) + machine.feed(later))
    assert out == (first + later + later).replace(b"gpt-5-nano", b"gpt-6-sol-2026-01-01")


def observed(name: str, changes: Changes = NO_CHANGES) -> Any:
    machine = StreamTransform(changes, CHOICES.get(name, 1))
    run(machine, load(name))
    return machine.observation


@pytest.mark.parametrize("name", NAMES)
def test_only_what_ended_is_complete(name: str) -> None:
    for changes in (NO_CHANGES, Changes(REQUESTED, MARKER, COMMENT, ROUTER, ADDED)):
        assert observed(name, changes).complete is (name not in BROKEN)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "stop"),
        ("tools_parallel", "tool_calls"),
        ("empty_answer", "length"),
        ("function_call", "function_call"),
        ("n3", "stop"),
        ("cut", None),
    ],
)
def test_stop_reasons(name: str, reason: str | None) -> None:
    assert observed(name).stop_reason == reason


def test_usage() -> None:
    seen = observed("usage_chunk", Changes(REQUESTED, MARKER, added=ADDED))
    assert seen.to_usage() == Usage(276, 9, 1024)
    assert (seen.message_id, seen.answered_model) == (
        "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
        "gpt-5-nano-2025-08-07",
    )
    assert observed("reasoning_content").to_usage() == Usage(12, 10, 4)
    assert observed("usage_on_last_chunk").to_usage() == Usage(16, 3)
    assert observed("text").to_usage() == Usage()


@pytest.mark.parametrize("name", ["error_first", "error_midstream"])
def test_errors(name: str) -> None:
    seen = observed(name)
    assert seen.error == (
        "server_error: The server had an error while processing your request. Sorry about that!"
    )
    assert not seen.complete


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ('"plain"', "error: plain"),
        ('{"message":"m","code":"c"}', "c: m"),
        ("{}", "error: "),
        ("7", "error: "),
    ],
)
def test_errors_of_gateways(error: str, said: str) -> None:
    machine = StreamTransform(NO_CHANGES)
    run(machine, b'data: {"error":' + error.encode() + b"}\n\n")
    assert machine.observation.error == said


def test_one_choice_of_three_that_does_not_end_is_missed() -> None:
    stream = b"".join(
        event.raw for event in sse.Reader().feed(load("n3")) if b'"finish_reason":"length"' not in event.raw
    )
    assert stream != load("n3")
    for changes in (NO_CHANGES, Changes(REQUESTED, MARKER)):
        machine = StreamTransform(changes, 3)
        run(machine, stream)
        assert not machine.observation.complete


def test_an_error_after_the_last_word_is_no_proper_end() -> None:
    machine = StreamTransform(NO_CHANGES)
    run(machine, load("no_done"), load("error_first"))
    assert machine.observation.error and not machine.observation.complete


def test_news_is_flagged_before_the_bytes_leave() -> None:
    machine = transform(added=ADDED)
    told = []
    for event in sse.Reader().feed(load("usage_chunk")):
        machine.feed(event.raw)
        told.append(machine.dirty)
        machine.dirty = False
    assert told == [True, *[False] * 9, True, True, True]  # head, words, end, usage, [DONE]
    assert machine.observation.complete


def test_what_every_chunk_repeats_or_changes_is_no_news_each_time() -> None:
    """xAI and Perplexity count up in every chunk, others number chunks: each news is a wait for the disk."""
    machine = StreamTransform(NO_CHANGES)
    told = []
    for number in range(6):
        usage = {"prompt_tokens": 7, "completion_tokens": number}
        end = {"finish_reason": "stop"} if number == 5 else {}
        machine.dirty = False
        machine.feed(chunk(model="m", choices=[TEXT[0] | end], usage=usage, id=f"c{number}"))
        told.append(machine.dirty)
    assert told == [True, *[False] * 4, True]
    assert machine.observation.output_tokens == 5


def test_the_end_of_a_stream_without_done_is_flagged() -> None:
    machine = StreamTransform(NO_CHANGES)
    machine.feed(load("no_done"))
    machine.dirty = False
    assert not machine.observation.complete
    machine.flush()
    assert machine.dirty and machine.observation.complete


# --- nonsense -----------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-2, 5) | st.text(max_size=5)
DELTAS = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "function_call", "refusal", "reasoning_content", "x"]),
    SCALARS
    | st.lists(SCALARS | st.dictionaries(st.sampled_from(["index", "function"]), SCALARS), max_size=2),
    max_size=3,
)
CHUNK_CHOICES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "index": SCALARS,
            "delta": DELTAS | SCALARS,
            "finish_reason": SCALARS,
            "logprobs": SCALARS,
        },
    )
    | SCALARS,
    max_size=3,
)
CHUNKS = st.fixed_dictionaries(
    {},
    optional={
        "id": SCALARS,
        "model": st.sampled_from(["gpt-5-nano", "a\"b\\", ""]) | SCALARS,
        "choices": CHUNK_CHOICES | SCALARS,
        "usage": SCALARS | st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), SCALARS),
        "error": st.none() | SCALARS,
        "x": SCALARS,
    },
)
EVENTS = st.lists(
    st.builds(
        lambda value, compact, head: head
        + (json.dumps(value, separators=(",", ":")) if compact else json.dumps(value)).encode()
        + b"\n\n",
        CHUNKS | SCALARS | st.lists(SCALARS, max_size=2),
        st.booleans(),
        st.sampled_from([b"data: ", b"data:", b"event: e\ndata: "]),
    )
    | st.sampled_from([b"data: [DONE]\n\n", b": ping\n\n", b"data: {\n\n", b"data\n\n", b"\n"])
    | st.binary(max_size=10),
    max_size=8,
)


@given(EVENTS, st.integers(1, 30), st.sampled_from([1, 2]))
def test_arbitrary_chunks(events: list[bytes], size: int, choices: int) -> None:
    stream = b"".join(events)
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    for changes in (
        NO_CHANGES,
        Changes(REQUESTED),
        Changes(REQUESTED, MARKER, COMMENT, ROUTER, ADDED),
        Changes(None, MARKER),
    ):
        whole, pieces, parsing = (
            StreamTransform(changes, choices),
            StreamTransform(changes, choices),
            Parsing(changes, choices),
        )
        expected = run(whole, stream)
        assert run(pieces, *chunks) == expected == run(parsing, stream)
        assert pieces.observation == whole.observation == parsing.observation
        assert sum(SENTINEL in event.raw for event in sse.Reader().feed(expected)) <= choices
        if not changes:
            assert expected == stream


@given(EVENTS)
def test_a_new_name_leaves_all_else(events: list[bytes]) -> None:
    stream = b"".join(events)
    before, after = items(stream), items(run(StreamTransform(Changes(REQUESTED)), stream))
    for old, new in zip(before, after, strict=True):
        if isinstance(old, dict) and isinstance(old.get("choices"), list) and old.get("model"):
            assert {**old, "model": REQUESTED} == new
        else:
            assert old == new
