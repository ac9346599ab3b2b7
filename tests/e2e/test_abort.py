"""A client that goes away, in every state: nothing stays behind, and the row says what happened."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

import h2.connection
import h2.errors
import h2.events
import pytest
from e2e.support import QUIET_SECONDS, Rows, settled, tunnel
from provider.answers import Answer, Pace, Text
from provider.proxy import InProcessProxy, trust
from provider.standin import StandIn

ASK: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Which platform?"}],
}
LONG = Text("Platform nine and three quarters, at eleven o'clock sharp.")


def connect(proxy: InProcessProxy) -> ssl.SSLSocket:
    return tunnel(proxy, "api.anthropic.com", trust(proxy.ca_file))


def post(
    connection: ssl.SSLSocket,
    key: str,
    body: bytes,
    *,
    promised: int | None = None,
    model: str = "claude-haiku-4-5",
) -> None:
    head = (
        "POST /v1/messages HTTP/1.1\r\nHost: api.anthropic.com\r\nanthropic-version: 2023-06-01\r\n"
        f"x-api-key: {key}\r\nx-router-model: {model}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body) if promised is None else promised}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def leave_politely(connection: ssl.SSLSocket) -> None:
    connection.close()


def leave_by_reset(connection: ssl.SSLSocket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


ways_to_leave = pytest.mark.parametrize("leave", [leave_politely, leave_by_reset])
Leave = Callable[[ssl.SSLSocket], None]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + QUIET_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@ways_to_leave
def test_before_the_request_is_complete(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, leave: Leave
) -> None:
    connection = connect(proxy)
    post(connection, key, b'{"model": "claude-opus-4-8", ', promised=5000)
    wait_for(lambda: bool(proxy.addons[0].actions))
    leave(connection)
    settled(proxy)
    assert provider.records == []
    assert rows.all() == []


@ways_to_leave
@pytest.mark.parametrize("streamed", [False, True])
def test_before_the_head(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, leave: Leave, streamed: bool
) -> None:
    provider.script(Answer((LONG,), pace=Pace(head=60)))
    connection = connect(proxy)
    post(connection, key, json.dumps({**ASK, "stream": streamed}).encode())
    wait_for(lambda: bool(provider.messages))
    leave(connection)
    settled(proxy)
    wait_for(lambda: provider.last.gone)
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert (row["status"], row["message_id"], row["output_tokens"]) == (None, None, None)
    assert not row["complete"]
    assert row["served_model"] == "claude-haiku-4-5"


@ways_to_leave
def test_between_the_head_and_the_first_event(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, leave: Leave
) -> None:
    provider.script(Answer((LONG,), pace=Pace(first=60)))
    connection = connect(proxy)
    post(connection, key, json.dumps({**ASK, "stream": True}).encode())
    assert b"x-router-decision" in connection.recv(65536)
    leave(connection)
    settled(proxy)
    wait_for(lambda: provider.last.gone)
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert (row["status"], row["message_id"]) == (200, None)
    assert not row["complete"]


@ways_to_leave
@pytest.mark.parametrize("after", [1, 2, 5])
def test_in_the_middle_of_the_stream(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, leave: Leave, after: int
) -> None:
    provider.script(Answer((LONG,), hang_after=after))
    connection = connect(proxy)
    post(connection, key, json.dumps({**ASK, "stream": True}).encode())
    got = b""
    while b"message_start" not in got:
        got += connection.recv(65536)
    leave(connection)
    settled(proxy)
    wait_for(lambda: provider.last.gone)
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert (row["status"], row["message_id"]) == (200, provider.last.message.id)
    assert row["input_tokens"] == provider.last.counted.input
    assert not row["complete"]


@ways_to_leave
def test_in_the_middle_of_a_body(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, leave: Leave
) -> None:
    provider.script(Answer((LONG,), hang_after=0))
    connection = connect(proxy)
    post(connection, key, json.dumps(ASK).encode())
    wait_for(lambda: bool(provider.messages) and provider.last.status == 200)
    leave(connection)
    settled(proxy)
    wait_for(lambda: provider.last.gone)
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert not row["complete"]


def test_right_after_the_last_byte_of_the_stream(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str
) -> None:
    connection = connect(proxy)
    post(connection, key, json.dumps({**ASK, "stream": True}).encode())
    got = b""
    while b"message_stop" not in got:
        got += connection.recv(65536)
    leave_by_reset(connection)
    settled(proxy)
    row = rows.wait(lambda found: bool(found and found[-1]["complete"] is not None))[-1]
    assert row["complete"] and not row["error"]
    assert row["output_tokens"] == provider.last.message.output_tokens


class H2:
    """An HTTP/2 client with its hands on the frames: the usual ones cannot reset a stream."""

    def __init__(self, proxy: InProcessProxy) -> None:
        context = trust(proxy.ca_file)
        context.set_alpn_protocols(["h2"])
        self.socket = tunnel(proxy, "api.anthropic.com", context)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.socket.settimeout(QUIET_SECONDS)
        self.h2 = h2.connection.H2Connection()
        self.h2.initiate_connection()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def post(self, key: str, body: dict[str, Any]) -> int:
        stream = self.h2.get_next_available_stream_id()
        fields = {":method": "POST", ":path": "/v1/messages", ":scheme": "https"}
        fields |= {":authority": "api.anthropic.com", "x-api-key": key, "anthropic-version": "2023-06-01"}
        fields |= {"x-router-model": "claude-haiku-4-5"}
        self.h2.send_headers(stream, list(fields.items()))
        self.h2.send_data(stream, json.dumps(body).encode(), end_stream=True)
        self.flush()
        return stream

    def read(self, stream: int, until: bytes) -> bytes:
        """The body of one stream as far as `until`."""
        got = b""
        while until not in got:
            for event in self.h2.receive_data(self.socket.recv(65536)):
                if isinstance(event, h2.events.DataReceived) and event.stream_id == stream:
                    got += event.data
            self.flush()
        return got


@pytest.mark.parametrize("streamed", [False, True])
def test_an_http2_client_that_resets_one_stream_keeps_its_connection(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, streamed: bool
) -> None:
    provider.script(Answer((LONG,), hang_after=4 if streamed else 0))
    client = H2(proxy)
    stream = client.post(key, {**ASK, "stream": streamed})
    if streamed:
        client.read(stream, b"message_start")
    wait_for(lambda: bool(provider.messages) and provider.last.status == 200)
    client.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
    client.flush()
    settled(proxy)
    wait_for(lambda: provider.last.gone)
    assert b"message_stop" in client.read(client.post(key, {**ASK, "stream": True}), b"message_stop")
    client.socket.close()
    first = rows.wait(lambda found: len(found) == 2 and bool(found[0]["error"]))[0]
    assert not first["complete"]


@pytest.mark.parametrize("model", ["claude-haiku-4-5", ""], ids=["forced", "scored"])
def test_many_that_leave_at_random(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, model: str
) -> None:
    provider.responder = lambda record: Answer((LONG,), pace=Pace(head=0.02, first=0.01, between=0.005))
    for number in range(24):
        connection = connect(proxy)
        words = [{"role": "user", "content": f"{number} long words about timetables " * 20}]
        post(connection, key, json.dumps({**ASK, "messages": words, "stream": True}).encode(), model=model)
        time.sleep(number * 0.004)
        (leave_by_reset if number % 2 else leave_politely)(connection)
    settled(proxy)
    for row in rows.wait(lambda found: all(row["error"] or row["complete"] for row in found)):
        assert bool(row["error"]) != bool(row["complete"])
