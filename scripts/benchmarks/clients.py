"""Clients that say when what they got came: over HTTP/1.1 and over HTTP/2, through a proxy's tunnel."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h2.config
import h2.connection
import h2.events
from provider.proxy import SubprocessProxy, trust

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer; head, first byte of the body and last one in seconds after the request's first byte."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    head: float
    first: float
    last: float


class Client(Protocol):
    """One connection, kept alive."""

    def ask(self, path: str, headers: Mapping[str, str], body: bytes) -> Heard: ...

    def close(self) -> None: ...


Open = Callable[[SubprocessProxy, str], Client]


class Http1:
    def __init__(self, proxy: SubprocessProxy, host: str) -> None:
        context = trust(proxy.ca_file)
        self._open = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=TIMEOUT_S)
        self._open.set_tunnel(host, 443)
        self._open.connect()

    def ask(self, path: str, headers: Mapping[str, str], body: bytes) -> Heard:
        start = time.perf_counter()
        self._open.request("POST", path, body, dict(headers))
        response = self._open.getresponse()
        head = time.perf_counter()
        data = response.read(1)
        first = time.perf_counter()
        data += response.read()
        last = time.perf_counter()
        named = {name.lower(): value for name, value in response.headers.items()}
        return Heard(response.status, named, data, head - start, first - start, last - start)

    def close(self) -> None:
        self._open.close()


class Http2:
    """One request at a time; its body must fit into the windows that the proxy opens by itself."""

    def __init__(self, proxy: SubprocessProxy, host: str) -> None:
        self._host = host
        bare = socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT_S)
        bare.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # as clients do: a request is several frames
        bare.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n".encode())
        opened = b""
        while not opened.endswith(b"\r\n\r\n"):
            opened += _some(bare.recv(1))
        if b" 200 " not in opened:
            raise RuntimeError(f"no tunnel: {opened[:80]!r}")
        context = trust(Path(proxy.ca_file))
        context.set_alpn_protocols(["h2"])
        self._socket = context.wrap_socket(bare, server_hostname=host)
        if self._socket.selected_alpn_protocol() != "h2":
            raise RuntimeError("the proxy does not speak HTTP/2")
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._flush()

    def ask(self, path: str, headers: Mapping[str, str], body: bytes) -> Heard:
        stream = self._h2.get_next_available_stream_id()
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", self._host), (":path", path)]
        own = {**headers, "content-length": str(len(body))}
        sent = [(name, value) for name, value in own.items() if name != "connection"]
        start = time.perf_counter()
        self._h2.send_headers(stream, [*pseudo, *sent])
        while body:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            self._h2.send_data(stream, body[:room])
            body = body[room:]
            self._flush()
            if body and not self._h2.local_flow_control_window(stream):
                self._events()
        self._h2.end_stream(stream)
        self._flush()
        return self._hear(stream, start)

    def _hear(self, stream: int, start: float) -> Heard:
        named: dict[str, str] = {}
        data, head, first = b"", 0.0, 0.0
        while True:
            for event in self._events():
                now = time.perf_counter()
                if isinstance(event, h2.events.ResponseReceived):
                    named, head = {str(name): str(value) for name, value in event.headers}, now - start
                elif isinstance(event, h2.events.DataReceived) and event.data:
                    first = first or now - start
                    data += event.data
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                    return Heard(int(named[":status"]), named, data, head, first, now - start)
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise RuntimeError(f"the answer broke off: {event}")

    def close(self) -> None:
        self._socket.close()

    def _events(self) -> list[h2.events.Event]:
        events = self._h2.receive_data(_some(self._socket.recv(1 << 18)))
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self._flush()
        return events

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


def _some(data: bytes) -> bytes:
    if not data:
        raise RuntimeError("the proxy closed the connection")
    return data
