"""mitmproxy's HTTP layer without sockets and clocks: events in, commands out, with a test as everybody else.

    with Driven(routes) as proxy:
        client = H1Client(proxy)
        client.post("a.example")
        upstream = proxy.accept()            # the connection that was asked for is open now
        upstream.send(b"HTTP/1.1 200 OK\\r\\n…")
        assert b"…" in client.received

Hooks are answered at once, but for those that a test holds back.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
from mitmproxy import http
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.proxy import commands, context, events
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import HTTPMode
from pointsman.upstream.route import Failure, Hold, Watch
from pointsman.upstream.routed_stream import install

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its addons import packages that use old names
    from mitmproxy.addons.proxyserver import Proxyserver
    from mitmproxy.test import taddons

Hook = Callable[[http.HTTPFlow], None]


class Plain:
    """A route that lets everything pass. Tests overwrite what they are about."""

    grace_s: float | None = None
    patience_s = 0.0
    stall_s = 0.0
    failure: Failure | None = None
    again = False
    instead: http.Response | None = None

    def __init__(self, *hosts: str, hold: Hold = Hold.PASS) -> None:
        self.hosts = list(hosts)
        self.hold = hold
        self.opening = [b"open."]
        self.failures: list[Failure] = []
        self.words: list[bytes] | None = [b"sorry."]
        self.request = self.next()

    def next(self) -> http.Request:
        host = self.hosts.pop(0)
        return http.Request.make("POST", f"http://{host}/v1", b"made", {"host": host, "content-type": "x/y"})

    def prelude(self) -> http.Response:
        head = http.Response.make(200, b"", {"content-type": "text/event-stream"})
        del head.headers["content-length"]
        return head

    def judge(self, head: http.Response) -> Hold:
        return self.hold

    def watch(self, chunk: bytes) -> Watch:
        return Watch.BEGUN if b"word" in chunk else Watch.WAIT

    def join(self, head: http.Response) -> Callable[[bytes], list[bytes]]:
        return lambda chunk: [chunk.upper()] if chunk else [b"END."]

    def last_words(self, message: str) -> list[bytes] | None:
        return self.words

    def verdict(self) -> None:
        """Another host while there is one."""
        assert self.failure is not None
        self.failures.append(self.failure)
        if self.hosts:
            self.request, self.again = self.next(), True


class Upstream:
    """A server that was connected to, in HTTP/1.1 as bytes."""

    def __init__(self, proxy: Driven, server: Server) -> None:
        self.proxy = proxy
        self.server = server

    @property
    def received(self) -> bytes:
        return self.proxy.sent[self.server]

    @property
    def open(self) -> bool:
        return bool(self.server.state)

    def send(self, data: bytes) -> None:
        self.proxy.feed(events.DataReceived(self.server, data))

    def answer(self, body: bytes = b"words", head: bytes = b"") -> None:
        self.send(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (head, len(body), body))

    def close(self) -> None:
        self.server.state &= ~ConnectionState.CAN_READ
        self.proxy.feed(events.ConnectionClosed(self.server))
        self.proxy.gone(self.server)


class H2Upstream(Upstream):
    """A server that was connected to, in HTTP/2. `requests` are the streams that have been opened."""

    def __init__(self, proxy: Driven, server: Server) -> None:
        super().__init__(proxy, server)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.requests: list[int] = []
        self.resets: list[int] = []
        self.read = 0

    def greet(self, streams: int = 100) -> None:
        first = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: streams}
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=first)
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Read what has come, and send what there is to say."""
        data = self.received[self.read :]
        self.read += len(data)
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.requests.append(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.resets.append(event.stream_id)
        if said := self.h2.data_to_send():
            self.send(said)

    def reply(self, stream: int, body: bytes = b"words") -> None:
        length = ("content-length", str(len(body)))
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream"), length])
        self.h2.send_data(stream, body, end_stream=True)
        self.flush()


class Driven:
    """The layer and everybody around it. `routes` by the path of the client's request."""

    def __init__(self, *, http2: bool = False, upstream: bytes = b"http/1.1", **options: Any) -> None:
        self.http2 = http2
        self.alpn = upstream
        self.options = options
        self.routes: dict[str, Any] = {}  # by flow id
        self.by_path: dict[str, Any] = {}
        self.whole: set[str] = set()
        self.streams = True  # do answers pass as they come?
        self.held: dict[str, deque[commands.StartHook]] = {}  # names of hooks that wait → those that do
        self.hooks: dict[str, Hook] = {}  # what addons do
        self.called: list[str] = []
        self.flows: list[http.HTTPFlow] = []
        self.connecting: deque[commands.OpenConnection] = deque()
        self.timers: list[commands.RequestWakeup] = []
        self.sent: dict[Connection, bytes] = {}

    def __enter__(self) -> Self:
        self.addons = taddons.context(Proxyserver())
        self.addons.options.update(**self.options)
        self.undo = install(self.routes, whole=self.whole)
        self.client = Client(
            peername=("127.0.0.1", 1),
            sockname=("127.0.0.1", 2),
            timestamp_start=0.0,
            state=ConnectionState.OPEN,
        )
        self.client.alpn = b"h2" if self.http2 else b"http/1.1"
        self.sent[self.client] = b""
        made = context.Context(self.client, self.addons.options)
        self.layer = http_layers.HttpLayer(made, HTTPMode.regular)
        self.feed(events.Start())
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()
        self.addons.__exit__(None, None, None)

    # --- what happens ---------------------------------------------------------------------

    def feed(self, event: events.Event) -> None:
        todo = deque([event])
        while todo:
            for command in self.layer.handle_event(todo.popleft()):
                todo.extend(self._carry_out(command))

    def _carry_out(self, command: commands.Command) -> Iterator[events.Event]:
        if isinstance(command, commands.SendData):
            if command.connection.state & ConnectionState.CAN_WRITE:
                self.sent[command.connection] += command.data
        elif isinstance(command, commands.OpenConnection):
            self.connecting.append(command)
        elif isinstance(command, commands.CloseConnection):
            command.connection.state = ConnectionState.CLOSED
            self.gone(command.connection)
        elif isinstance(command, commands.RequestWakeup):
            self.timers.append(command)
        elif isinstance(command, commands.StartHook):
            self.called.append(command.name)
            if command.name in self.held:
                self.held[command.name].append(command)
            else:
                yield self._hook(command)

    def _hook(self, command: commands.StartHook) -> events.HookCompleted:
        (flow,) = command.args()
        if command.name == "requestheaders":
            self.flows.append(flow)
            self.whole.add(flow.id)
            flow.request.stream = False
        if command.name == "request" and (route := self.by_path.get(flow.request.path)):
            self.routes[flow.id] = route
        if command.name == "router_verdict":
            self.routes[flow.id].verdict()
        if command.name == "responseheaders":
            flow.response.stream = self.streams
        if command.name in self.hooks:
            self.hooks[command.name](flow)
        if command.name in ("response", "error"):
            self.routes.pop(flow.id, None)
            self.whole.discard(flow.id)
        return events.HookCompleted(command)

    def go_on(self, hook: str) -> None:
        """Let the oldest of the hooks that wait finish."""
        self.feed(self._hook(self.held[hook].popleft()))

    def gone(self, connection: Connection) -> None:
        """As the proxy's server notes it, after its last event."""
        connection.timestamp_end = time.time()

    def accept(self, error: str | None = None) -> Upstream:
        """The oldest connection that is being made is open, or fails."""
        command = self.connecting.popleft()
        server = command.connection
        assert isinstance(server, Server)
        if error is None:
            server.state, server.alpn = ConnectionState.OPEN, self.alpn
            server.timestamp_tcp_setup = time.time()
        else:
            server.error = error
        self.sent[server] = b""
        self.feed(events.OpenConnectionCompleted(command, error))
        return (H2Upstream if self.alpn == b"h2" else Upstream)(self, server)

    def ring(self, timer: commands.RequestWakeup | None = None) -> None:
        """A timer rings, or the oldest one."""
        timer = timer or self.timers[0]
        self.timers.remove(timer)
        self.feed(events.Wakeup(timer))

    # --- what stays -----------------------------------------------------------------------

    def left(self) -> dict[str, int]:
        """How much is in the layer's tables; timers that are nobody's any more do not count."""
        waking = [known for known in self.layer.command_sources if isinstance(known, commands.RequestWakeup)]
        return {
            "streams": len(self.layer.streams),
            "commands": len(self.layer.command_sources) - len(waking),
            "waiting": len(self.layer.waiting_for_establishment),
            "routes": len(self.routes),
        }


NOTHING = {"streams": 0, "commands": 0, "waiting": 0, "routes": 0}


class H1Client:
    def __init__(self, proxy: Driven) -> None:
        self.proxy = proxy

    @property
    def received(self) -> bytes:
        return self.proxy.sent[self.proxy.client]

    def post(self, path: str = "/v1", route: Any = None, host: str = "own.example") -> None:
        if route is not None:
            self.proxy.by_path[path] = route
        head = b"POST http://%s%s HTTP/1.1\r\nhost: %s\r\ncontent-length: 4\r\n\r\n"
        name, where = host.encode(), path.encode()
        self.proxy.feed(events.DataReceived(self.proxy.client, head % (name, where, name) + b"said"))

    def leave(self) -> None:
        self.proxy.client.state = ConnectionState.CLOSED
        self.proxy.feed(events.ConnectionClosed(self.proxy.client))


class H2Client:
    """An HTTP/2 client. `bodies`, `heads` and `ended` by stream; `resets` are (stream, code)."""

    def __init__(self, proxy: Driven) -> None:
        self.proxy = proxy
        self.h2 = h2.connection.H2Connection()
        self.h2.initiate_connection()
        self.read = 0
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.resets: list[tuple[int, int]] = []
        self.flush()

    def flush(self) -> None:
        if said := self.h2.data_to_send():
            self.proxy.feed(events.DataReceived(self.proxy.client, said))

    def look(self) -> None:
        """Read what has come."""
        data = self.proxy.sent[self.proxy.client][self.read :]
        self.read += len(data)
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", 0)
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[stream] = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[stream] = self.bodies.get(stream, b"") + event.data
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.append(stream)
            elif isinstance(event, h2.events.StreamReset):
                self.resets.append((stream, event.error_code))
        self.flush()

    def post(self, path: str = "/v1", route: Any = None, host: str = "own.example") -> int:
        if route is not None:
            self.proxy.by_path[path] = route
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", host), (":path", path)]
        self.h2.send_headers(stream, fields)
        self.h2.send_data(stream, b"said", end_stream=True)
        self.flush()
        return stream

    def reset(self, stream: int) -> None:
        self.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self.flush()
