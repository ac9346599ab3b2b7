"""HTTP/1.1 and HTTP/2 over TLS on loopback: bytes to `Request`, `Reply` to bytes.

Hand-made because a test provider must do what servers never do on purpose: hold the head back,
cut a chunk in the middle, reset a connection, send what is not UTF-8, and notice at once that
the peer has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11
from provider.answers import How

Headers = list[tuple[bytes, bytes]]


class PeerGone(Exception):
    """The peer closed or reset before the reply was complete."""


class Cut(Exception):
    """Raised by an application to break off in the middle of its reply."""

    def __init__(self, how: How = How.RESET) -> None:
        super().__init__(how)
        self.how = how


@dataclass(frozen=True, slots=True)
class Request:
    """One request exactly as received: header names and values as sent, body undecoded."""

    http: str  # "1.1" or "2"
    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


class Channel(Protocol):
    """Bytes both ways, after an upgrade. `receive` gives b"" when the peer has closed."""

    async def receive(self) -> bytes: ...
    async def send(self, data: bytes) -> None: ...


class Reply(Protocol):
    """Where an application writes its answer."""

    async def start(self, status: int, headers: list[tuple[str, str]]) -> None: ...
    async def send(self, data: bytes) -> None: ...

    async def half(self, data: bytes, whole: int) -> None:
        """What is sent of a piece of `whole` bytes before the reply breaks off."""
        ...

    async def end(self) -> None: ...
    async def upgrade(self, headers: list[tuple[str, str]]) -> Channel: ...


Application = Callable[[Request, Reply], Awaitable[None]]


class HttpServer:
    """Serves `application` on 127.0.0.1 with ALPN; run inside one event loop."""

    def __init__(self, application: Application, context: ssl.SSLContext | None) -> None:
        self.application = application
        self.context = context
        self.connections = 0
        self.port = 0
        self.open: dict[int, _Connection] = {}  # by number
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self.context, limit=1 << 20, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # what was aborted is closed by callbacks

    async def drop(self, host: str) -> None:
        """End the connections over which `host` was asked last and nothing is under way."""
        idle = {number for number, known in self.open.items() if known.host == host and not known.busy}
        for number in idle:
            self.open[number].writer.transport.abort()
        while idle & self.open.keys():
            await asyncio.sleep(0.001)

    async def _serve(self, request: Request, reply: Reply) -> None:
        known = self.open[request.connection]
        known.host = request.host.partition(":")[0]
        known.busy += 1
        try:
            await self.application(request, reply)
        finally:
            known.busy -= 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open[number] = _Connection(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        tls = writer.get_extra_info("ssl_object")
        serve = _serve_h2 if tls is not None and tls.selected_alpn_protocol() == "h2" else _serve_h1
        try:
            await serve(self._serve, reader, writer, number)
        except (
            OSError,
            PeerGone,
            h11.RemoteProtocolError,
            h2.exceptions.ProtocolError,
            asyncio.CancelledError,
        ):
            pass
        except Cut as cut:
            await _break_off(writer, cut.how)
        finally:
            writer.close()
            try:
                await asyncio.wait_for(writer.wait_closed(), 1)
            except (OSError, asyncio.CancelledError, TimeoutError):
                writer.transport.abort()  # a peer that says no goodbye
            self._tasks.discard(task)
            self.open.pop(number, None)


@dataclass
class _Connection:
    writer: asyncio.StreamWriter
    host: str = ""  # that was asked last
    busy: int = 0  # requests under way


async def _break_off(writer: asyncio.StreamWriter, how: How) -> None:
    await asyncio.sleep(0.02)  # what was written before must leave; abort() drops the buffer
    if how in (How.RESET, How.REFUSE):
        reset_on_close(writer)
    writer.transport.abort()


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        plain = writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---------------------------------------------------------------- HTTP/1.1


class _H1Channel:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(self) -> bytes:
        return await self.arrived.get()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


class _H1Reply:
    def __init__(self, connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self.connection = connection
        self.writer = writer
        self.channel: _H1Channel | None = None
        self.sized = False  # the head says how long the body is

    async def upgrade(self, headers: list[tuple[str, str]]) -> Channel:
        self.channel = _H1Channel(self.writer)
        await self._write(self.connection.send(h11.InformationalResponse(status_code=101, headers=headers)))
        if self.connection.trailing_data[0]:
            self.channel.arrived.put_nowait(self.connection.trailing_data[0])
        return self.channel

    def feed(self, data: bytes) -> None:
        """What the peer sends while it is being answered."""
        if self.channel is not None:
            self.channel.arrived.put_nowait(data)
        elif not data:
            raise PeerGone
        else:
            self.connection.receive_data(data)

    async def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.sized = any(name == "content-length" for name, _ in headers)
        if not self.sized and not any(name == "transfer-encoding" for name, _ in headers):
            headers = [*headers, ("transfer-encoding", "chunked")]
        await self._write(self.connection.send(h11.Response(status_code=status, headers=headers, reason=b"")))

    async def send(self, data: bytes) -> None:
        await self._write(self.connection.send(h11.Data(data=data)))

    async def half(self, data: bytes, whole: int) -> None:
        """Of a chunk that promises all of it; a body of a known length is just short."""
        await self._write((b"" if self.sized else b"%x\r\n" % whole) + data)

    async def end(self) -> None:
        await self._write(self.connection.send(h11.EndOfMessage()))

    async def _write(self, data: bytes | None) -> None:
        self.writer.write(data or b"")
        await self.writer.drain()


async def _serve_h1(
    application: Application, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    while True:
        head, body = await _read_h1(connection, reader, writer)
        if head is None:
            return
        headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in head.headers.raw_items())
        host = next((value for name, value in headers if name.lower() == "host"), "")
        request = Request(
            "1.1", head.method.decode(), head.target.decode("latin-1"), host, headers, body, number
        )
        reply = _H1Reply(connection, writer)
        await _watch(application(request, reply), reply, reader)
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _read_h1(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[h11.Request | None, bytes]:
    head: h11.Request | None = None
    chunks: list[bytes] = []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                go = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                writer.write(connection.send(go) or b"")
            connection.receive_data(await reader.read(1 << 18))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            chunks.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return head, b"".join(chunks)
        else:
            return None, b""


async def _watch(answer: Awaitable[None], reply: _H1Reply, reader: asyncio.StreamReader) -> None:
    """Run the application, but end it as soon as the peer closes the connection."""
    work = asyncio.ensure_future(answer)
    listen = asyncio.ensure_future(reader.read(1 << 16))
    try:
        while not work.done():
            await asyncio.wait({work, listen}, return_when=asyncio.FIRST_COMPLETED)
            if listen.done() and not work.done():
                reply.feed(listen.result())
                if not listen.result():
                    await work  # after an upgrade it knows itself that nothing more comes
                    break
                listen = asyncio.ensure_future(reader.read(1 << 16))
        work.result()
        if listen.done() and reply.channel is None:
            reply.connection.receive_data(listen.result())
    finally:
        for task in (work, listen):
            task.cancel()
        await asyncio.gather(work, listen, return_exceptions=True)


# ---------------------------------------------------------------- HTTP/2


class _H2Stream:
    """One HTTP/2 stream: collects a request, writes a reply within the flow-control windows."""

    def __init__(self, owner: _H2, stream_id: int, headers: Headers) -> None:
        self.owner = owner
        self.id = stream_id
        self.fields = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in headers]
        self.body = bytearray()
        self.window = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def request(self) -> Request:
        pseudo = {name: value for name, value in self.fields if name.startswith(":")}
        headers = tuple((name, value) for name, value in self.fields if not name.startswith(":"))
        host = pseudo.get(":authority", "")
        return Request(
            "2", pseudo[":method"], pseudo[":path"], host, headers, bytes(self.body), self.owner.number
        )

    async def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        kept = [(name, value) for name, value in headers if name not in ("transfer-encoding", "connection")]
        self.owner.still_open()
        self.owner.h2.send_headers(self.id, [(":status", str(status)), *kept])
        await self.owner.flush()

    async def send(self, data: bytes) -> None:
        while data:
            self.owner.still_open()
            room = min(
                self.owner.h2.local_flow_control_window(self.id), self.owner.h2.max_outbound_frame_size
            )
            if room <= 0:
                self.window.clear()
                await self.window.wait()
                continue
            self.owner.h2.send_data(self.id, data[:room])
            data = data[room:]
            await self.owner.flush()

    async def half(self, data: bytes, whole: int) -> None:
        await self.send(data)

    async def end(self) -> None:
        self.owner.still_open()
        self.owner.h2.end_stream(self.id)
        await self.owner.flush()

    async def upgrade(self, headers: list[tuple[str, str]]) -> Channel:
        raise NotImplementedError("no client of ours asks for extended CONNECT")


class _H2:
    def __init__(self, application: Application, writer: asyncio.StreamWriter, number: int) -> None:
        self.application = application
        self.writer = writer
        self.number = number
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False)
        )
        self.streams: dict[int, _H2Stream] = {}
        self.ended = False

    async def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    def still_open(self) -> None:
        """Raises for what goes on over a connection that another stream has ended."""
        if self.ended:
            raise ConnectionResetError("the connection was broken off")

    async def run(self, stream: _H2Stream) -> None:
        try:
            await self.application(stream.request(), stream)
        except Cut as cut:
            await self.break_off(stream.id, cut.how)
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.streams.pop(stream.id, None)

    async def break_off(self, stream_id: int, how: How) -> None:
        if self.ended:
            return
        code = h2.errors.ErrorCodes.INTERNAL_ERROR
        if how in (How.RESET, How.REFUSE):
            code = h2.errors.ErrorCodes.REFUSED_STREAM if how is How.REFUSE else code
            self.h2.reset_stream(stream_id, code)
            return await self.flush()
        self.ended = True
        if how is How.GOAWAY:
            self.h2.close_connection(code, last_stream_id=max(0, stream_id - 2))
            await self.flush()
        await _break_off(self.writer, how)

    def handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = _H2Stream(self, event.stream_id, list(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            if event.stream_id in self.streams:
                self.streams[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self.streams[event.stream_id]
            stream.task = asyncio.ensure_future(self.run(stream))
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in self.streams.values():
                stream.window.set()
        elif isinstance(event, h2.events.StreamReset):
            stream_or_none = self.streams.get(event.stream_id)
            if stream_or_none is not None and stream_or_none.task is not None:
                stream_or_none.task.cancel()


async def _serve_h2(
    application: Application, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    state = _H2(application, writer, number)
    state.h2.initiate_connection()
    await state.flush()
    try:
        while data := await reader.read(1 << 18):
            for event in state.h2.receive_data(data):
                state.handle(event)
            await state.flush()
    finally:
        tasks = [stream.task for stream in state.streams.values() if stream.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
