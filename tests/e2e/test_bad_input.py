"""Bad requests and bad answers go through, or get the provider's own answer; at most one warning; no hang."""

from __future__ import annotations

import contextlib
import gzip
import json
import resource
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import Rows
from provider.answers import Answer, Pace, Page, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
HELLO: list[Any] = [{"role": "user", "content": "Which platform?"}]
TO_HAIKU = {"x-router-model": HAIKU}
TO_SONNET = {"x-router-model": "claude-sonnet-5"}
NOVEL = b'event: novel\ndata: {"type":"novel"}\n\n'
BAD_START = b'event: message_start\ndata: {"type":"message_start","message":[1]}\n\n'
ASK: dict[str, Any] = {"model": OPUS, "max_tokens": 50, "messages": HELLO}


@pytest.fixture(autouse=True)
def one_warning_at_most(proxy: InProcessProxy) -> Iterator[None]:
    yield
    assert len(proxy.warnings) <= 1, proxy.warnings


def text_of(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


MALFORMED = {
    "empty": b"",
    "blank": b"  \n",
    "half": text_of(ASK)[:-20],
    "trailing comma": text_of(ASK)[:-1] + b",}",
    "two values": text_of(ASK) * 2,
    "number": b"17",
    "null": b"null",
    "list": b"[" + text_of(ASK) + b"]",
    "string": b'"hello"',
    "not json": b"model=claude-opus-4-8&max_tokens=1",
    "NaN": text_of(ASK)[:-1] + b', "temperature": NaN}',
    "invalid utf-8": text_of(ASK)[:-1] + b', "metadata": {"user_id": "\xff\xfe"}}',
    "utf-16": json.dumps(ASK).encode("utf-16"),
    "control characters": text_of(ASK).replace(b"Which", b"Wh\x00ich"),
    "deep": text_of(ASK)[:-1] + b', "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and open": b'{"model":"claude-opus-4-8","messages":' + b"[" * 200_000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_json_gets_the_providers_answer(raw: httpx2.Client, provider: StandIn, name: str) -> None:
    answer = raw.post("/v1/messages", content=MALFORMED[name])
    assert provider.last.request.body == MALFORMED[name]
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["request_id"] == provider.last.request_id


WRONG_TYPES: dict[str, dict[str, Any]] = {
    "model is a number": {"model": 5},
    "model is null": {"model": None},
    "model is a list": {"model": [OPUS]},
    "messages is a string": {"messages": "hello"},
    "messages is null": {"messages": None},
    "messages is an object": {"messages": {"role": "user"}},
    "a message is a string": {"messages": ["hello"]},
    "a role is a number": {"messages": [{"role": 1, "content": "x"}]},
    "content is a number": {"messages": [{"role": "user", "content": 5}]},
    "content is missing": {"messages": [{"role": "user"}]},
    "a block is a string": {"messages": [{"role": "user", "content": ["x"]}]},
    "a block is a list": {"messages": [{"role": "user", "content": [["x"]]}]},
    "text is a number": {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
    "type is an object": {"messages": [{"role": "user", "content": [{"type": {}, "text": "x"}]}]},
    "stream is a string": {"stream": "yes"},
    "max_tokens is a string": {"max_tokens": "many"},
    "max_tokens is huge": {"max_tokens": 10**30},
    "tools is an object": {"tools": {"name": "x"}},
    "a tool is a string": {"tools": ["x"]},
    "system is a number": {"system": 5},
    "thinking is a string": {"thinking": "enabled"},
    "thinking.type is a list": {"thinking": {"type": []}},
    "budget is a string": {"thinking": {"type": "enabled", "budget_tokens": "all"}},
    "output_config is a list": {"output_config": []},
    "tool_choice is a string": {"tool_choice": "any"},
    "metadata is a list": {"metadata": []},
    "top_k is an object": {"top_k": {}},
    "temperature is a string": {"temperature": "hot"},
    "context_management is a list": {"context_management": []},
}


REPLACEABLE = {
    name for name in WRONG_TYPES if name.partition(" ")[0] in ("model", "max_tokens", "temperature")
}
REPLACEABLE |= {"budget is a string", "top_k is an object"}


@pytest.mark.parametrize("forced", [{}, TO_HAIKU], ids=["scored", "forced"])
@pytest.mark.parametrize("name", WRONG_TYPES)
def test_wrong_types_get_the_providers_answer(
    raw: httpx2.Client, provider: StandIn, name: str, forced: dict[str, str]
) -> None:
    """A 400, unless the wrong value went with the model that could not have taken a right one either."""
    answer = raw.post("/v1/messages", json={**ASK, **WRONG_TYPES[name]}, headers=forced)
    assert answer.headers["request-id"] == provider.last.request_id
    assert answer.status_code == provider.last.status
    assert answer.status_code in ((200, 400) if name in REPLACEABLE else (400,))


@pytest.mark.parametrize("streamed", [False, True])
def test_lone_surrogates_go_through_both_ways(raw: httpx2.Client, provider: StandIn, streamed: bool) -> None:
    provider.script(Answer((Text("half a pair"),), mangle=_replace(b"half", rb"h\ud83dlf")))
    body = text_of({**ASK, "stream": streamed}).replace(b"Which", rb"Wh\ud800ich \udfff")
    answer = raw.post("/v1/messages", content=body, headers=TO_HAIKU)
    assert answer.status_code == 200
    assert provider.last.request.body == body.replace(OPUS.encode(), HAIKU.encode())
    assert rb"h\ud83dlf" in answer.content


def test_nesting_that_a_parser_can_bear_goes_through(raw: httpx2.Client, provider: StandIn) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"a": [deep]}
    tool = {"name": "t", "input_schema": {"type": "object", "x": deep}}
    assert raw.post("/v1/messages", json={**ASK, "tools": [tool]}, headers=TO_HAIKU).status_code == 200
    assert provider.last.model == HAIKU


def test_fifty_megabytes_get_the_providers_answer(raw: httpx2.Client, provider: StandIn) -> None:
    body = text_of(ASK).replace(b"Which", b"W" * 50_000_000)
    answer = raw.post("/v1/messages", content=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
    assert len(provider.last.request.body) >= 50_000_000


def test_twenty_megabytes_are_routed(raw: httpx2.Client, provider: StandIn) -> None:
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "A" * 20_000_000},
    }
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "x"}]}]
    answer = raw.post(
        "/v1/messages", json={**ASK, "messages": messages}, headers={"x-router-model": "claude-sonnet-5"}
    )
    assert provider.last.model == "claude-sonnet-5"
    assert answer.headers["x-router-model"] == "claude-sonnet-5"


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(text_of(ASK))[:-12], 400),
        ("gzip", b"\x1f\x8b\x08 this is not gzip", 400),
        ("gzip", text_of(ASK), 400),
        ("br", b"\xff" * 50, 400),
        ("zstd", b"\x28\xb5\x2f\xfd\x00", 400),
        ("rot13", text_of(ASK), 400),
        ("gzip", gzip.compress(b" " * 200_000_000, 1), 413),
    ],
    ids=["truncated", "garbage", "plain", "brotli", "zstd", "unknown", "bomb"],
)
def test_what_cannot_be_decompressed_gets_the_providers_answer(
    raw: httpx2.Client, provider: StandIn, encoding: str, body: bytes, status: int
) -> None:
    answer = raw.post("/v1/messages", content=body, headers={"content-encoding": encoding})
    assert provider.last.request.body == body
    assert provider.last.request.header("content-encoding") == encoding
    assert answer.status_code == status


def test_a_model_given_twice_is_served_as_the_head_says(raw: httpx2.Client, provider: StandIn) -> None:
    body = b'{"model":"claude-opus-4-8",' + text_of({**ASK, "model": "claude-sonnet-4-6"})[1:]
    answer = raw.post("/v1/messages", content=body, headers=TO_HAIKU)
    assert answer.headers.get("x-router-model", provider.last.model) == provider.last.model


def _replace(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda frames: [frame.replace(old, new) for frame in frames]


def read(raw: httpx2.Client, **request: Any) -> tuple[bytes, Exception | None]:
    """All that arrives, and what ended it."""
    got = b""
    with raw.stream("POST", "/v1/messages", json={**ASK, **request}, headers=TO_HAIKU) as answer:
        assert answer.status_code == 200
        try:
            for chunk in answer.iter_bytes():
                got += chunk
        except httpx2.HTTPError as error:
            return got, error
    return got, None


@pytest.mark.parametrize("after", range(8))
def test_a_stream_cut_in_the_middle_of_an_event_is_cut_for_the_client(
    raw: httpx2.Client, provider: StandIn, rows: Rows, after: int
) -> None:
    provider.script(
        Answer(
            (Text("Platform nine and a half, at ten o'clock."),), cut_after=after, pace=Pace(between=0.005)
        )
    )
    got, error = read(raw, stream=True)
    assert error is not None
    assert b"message_stop" not in got
    if after > 3:
        assert provider.last.message.id.encode() in got
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert not row["complete"]
    if after >= 1:
        assert row["message_id"] == provider.last.message.id
        assert row["input_tokens"] == provider.last.counted.input


def test_a_body_cut_in_the_middle_is_an_error_for_the_client(
    raw: httpx2.Client, provider: StandIn, rows: Rows
) -> None:
    provider.script(Answer((Text("Platform nine " * 100),), cut_after=0))
    answer = raw.post("/v1/messages", json=ASK, headers=TO_HAIKU)
    assert answer.status_code == 502
    assert b"Traceback" not in answer.content
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert not row["complete"]


def test_a_stream_that_just_ends_is_not_complete(raw: httpx2.Client, provider: StandIn, rows: Rows) -> None:
    provider.script(Answer((Text("Nine."),), mangle=lambda frames: frames[:-2]))
    got, error = read(raw, stream=True)
    assert error is None and b"Nine." in got
    row = rows.wait(lambda found: bool(found and found[-1]["complete"] is not None))[-1]
    assert not row["complete"]


@pytest.mark.parametrize("streamed", [False, True])
def test_an_event_of_five_megabytes(client: anthropic.Anthropic, provider: StandIn, streamed: bool) -> None:
    long = "five megabytes " * 350_000
    provider.script(Answer((Text(long, piece=len(long)), Text("end"))))
    if streamed:
        with client.messages.stream(**ASK, extra_headers=TO_HAIKU) as stream:
            said = stream.get_final_message()
    else:
        said = client.messages.create(**ASK, extra_headers=TO_HAIKU)
    assert said.content[1].text == long
    assert said.content[2].text == "end"


@pytest.mark.parametrize("streamed", [False, True])
def test_invalid_utf8_in_an_answer_passes_as_it_is(
    raw: httpx2.Client, provider: StandIn, streamed: bool
) -> None:
    provider.script(Answer((Text("Gleis XYZ"),), mangle=_replace(b"XYZ", b"\xff\xc3(\xf0\x9f")))
    got, error = read(raw, stream=streamed)
    assert error is None
    assert b"\xff\xc3(\xf0\x9f" in got


ODD_STREAMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "carriage returns": lambda frames: [frame.replace(b"\n", b"\r\n") for frame in frames],
    "lone carriage returns": lambda frames: [frame.replace(b"\n", b"\r") for frame in frames],
    "comments": lambda frames: [b": keep-alive\n\n" + frame for frame in frames],
    "unknown events": lambda frames: [
        b'event: novel\ndata: {"type":"novel"}\n\n' + frame for frame in frames
    ],
    "no event names": lambda frames: [frame[frame.index(b"data:") :] for frame in frames],
    "no space": lambda frames: [frame.replace(b"data: ", b"data:") for frame in frames],
    "byte order mark": lambda frames: [b"\xef\xbb\xbf" + frames[0], *frames[1:]],
    "ids and retries": lambda frames: [b"id: 7\nretry: 10\n" + frame for frame in frames],
    "blank lines": lambda frames: [b"\n\n" + frame for frame in frames],
    "data in two lines": lambda frames: [frame.replace(b',"', b',\ndata: "', 1) for frame in frames],
}


@pytest.mark.parametrize("name", ODD_STREAMS)
@pytest.mark.parametrize("tear", [0, 3])
def test_odd_but_lawful_streams_reach_the_sdk(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows, name: str, tear: int
) -> None:
    provider.script(Answer((Text("Platform nine"),), mangle=ODD_STREAMS[name], tear=tear))
    if name in ("no event names", "byte order mark"):  # not even the SDK reads these: look at the row
        list(client.messages.create(**ASK, stream=True, extra_headers=TO_HAIKU))
    else:
        with client.messages.stream(**ASK, extra_headers=TO_HAIKU) as stream:
            assert stream.get_final_message().content[-1].text == "Platform nine"
    row = rows.wait(lambda found: bool(found and found[-1]["complete"] is not None))[-1]
    assert row["complete"] and row["output_tokens"] == provider.last.message.output_tokens


BROKEN_STREAMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "bad json": lambda frames: [frame.replace(b'{"type"', b'{type"') for frame in frames],
    "wrong types": lambda frames: [
        b'event: message_start\ndata: {"type":"message_start","message":[1]}\n\n',
        *frames[1:],
    ],
    "index is a string": lambda frames: [frame.replace(b'"index":0', b'"index":"x"') for frame in frames],
    "usage is a list": lambda frames: [
        frame.replace(b'"usage":{', b'"usage":[{').replace(b"}}", b"}]}") for frame in frames
    ],
    "data is null": lambda frames: [b"event: message_start\ndata: null\n\n", *frames[1:]],
    "two starts": lambda frames: [frames[0], *frames],
    "no start": lambda frames: frames[1:],
    "not sse": lambda frames: [b"\x00\x01\x02 what is this?" * 20],
    "nothing": lambda frames: [],
    "json": lambda frames: [b'{"type":"error","error":{"type":"api_error","message":"surprise"}}'],
    "deep": lambda frames: [frames[0], b"event: x\ndata: " + b"[" * 100_000 + b"\n\n", *frames[1:]],
    "last event without its blank line": lambda frames: [*frames[:-1], frames[-1].rstrip()],
}


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_broken_streams_pass_and_end(raw: httpx2.Client, provider: StandIn, name: str) -> None:
    provider.script(Answer((Text("Platform nine"),), mangle=BROKEN_STREAMS[name]))
    got, error = read(raw, stream=True)
    assert error is None
    sent = BROKEN_STREAMS[name](provider.last.message.events())
    assert all(part in got for part in (b"latform", b"message_stop") if part in b"".join(sent))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html><h1>We will be back</h1></html>"),
        ("application/json", b"{not json"),
        ("application/json", b'"a string"'),
        ("application/json", b""),
        ("application/json", b'{"type":"message","content":7,"usage":[]}'),
        ("text/event-stream", b"<html>"),
        ("application/octet-stream", bytes(range(256))),
    ],
)
def test_pages_that_are_no_answers_pass_as_they_are(
    raw: httpx2.Client, provider: StandIn, streamed: bool, content_type: str, body: bytes
) -> None:
    provider.script(Page(body, headers={"content-type": content_type}))
    got, error = read(raw, stream=streamed)
    assert error is None
    assert got == body or (body.startswith(b'{"type":"message"') and json.loads(got)["content"] == 7)


PLAIN = b'{"type":"message"}'


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b"this is not gzip at all"),
        ("gzip", gzip.compress(PLAIN, mtime=0)[:-6]),
        ("gzip", zlib.compress(PLAIN)),
        ("rot13", b"grfg"),
        ("br", b"\xff" * 30),
    ],
)
def test_answers_that_cannot_be_decompressed_pass_as_they_are(
    raw: httpx2.Client, provider: StandIn, encoding: str, data: bytes, streamed: bool
) -> None:
    kind = "text/event-stream" if streamed else "application/json"
    provider.script(Page(data, headers={"content-type": kind, "content-encoding": encoding}))
    got = b""
    with raw.stream("POST", "/v1/messages", json={**ASK, "stream": streamed}, headers=TO_HAIKU) as answer:
        for chunk in answer.iter_raw():
            got += chunk
    if answer.headers.get("content-encoding") == encoding:
        assert got == data
    else:  # a stream that had to be decoded: what could be read
        assert streamed and got in (PLAIN, data)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_zip_bomb_for_an_answer_does_not_explode_here(
    raw: httpx2.Client, provider: StandIn, streamed: bool
) -> None:
    data = gzip.compress(b" " * 300_000_000, 1)
    kind = "text/event-stream" if streamed else "application/json"
    provider.script(Page(data, headers={"content-type": kind, "content-encoding": "gzip"}))
    got = 0
    before = peak_bytes()
    with (
        raw.stream("POST", "/v1/messages", json={**ASK, "stream": streamed}, headers=TO_HAIKU) as answer,
        contextlib.suppress(httpx2.HTTPError),
    ):
        for chunk in answer.iter_raw():
            got += len(chunk)
    assert got <= 300_000_000
    assert peak_bytes() - before < 200_000_000


def peak_bytes() -> int:
    """The most memory this process has ever held; the proxy is in it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_method_that_is_not_post_passes(raw: httpx2.Client, provider: StandIn) -> None:
    assert raw.get("/v1/messages").status_code == 404
    assert provider.records[-1].request.method == "GET"


@pytest.mark.parametrize("credential", [{}, {"x-api-key": "nonsense"}, {"authorization": "Basic eDp5"}])
def test_bad_credentials_get_the_providers_401(
    raw: httpx2.Client, provider: StandIn, credential: dict[str, str]
) -> None:
    del raw.headers["x-api-key"]
    answer = raw.post("/v1/messages", json=ASK, headers=credential)
    assert answer.status_code == 401
    assert answer.json()["request_id"] == provider.last.request_id
