"""One request, sent upstream as often as it takes: the only file that touches mitmproxy's HTTP layers.

mitmproxy gives an addon the request before it is sent and the response head when it arrives, but no way to
send something else than what its user interfaces show, to answer before the upstream has, or to try again
elsewhere. `RoutedStream` adds these to mitmproxy's own `HttpStream`, with mitmproxy's own connections. What
is sent where, what an answer is worth, and what comes after a failure is the `Route`'s to say. The rules:

 1. `flow.request` stays the client's. What goes upstream is `Route.request`, of its own for each attempt,
    so that saved flows replay as the client made them and show no credential but the client's.
 2. A flow without a `Route` takes mitmproxy's own way, unchanged.
 3. Each attempt has a stream id of its own, because the upstream codecs key everything on it. What still
    arrives for an attempt that is over is dropped. The client's side keeps the original id.
 4. What an attempt answers is judged by its head: passed on, held whole, or held until the answer's content
    begins. Nothing of what is held has reached the client or another addon.
 5. Whatever ends an attempt before its answer has begun becomes a `Failure`, for which one blocking hook
    asks the route for its verdict: another attempt, an answer instead, or the failure as it is. Only after
    that hook may the next attempt start: inside an end-of-message event the HTTP/1 codec has not been reset
    yet.
 6. The prelude is a head and first bytes that the client gets before the upstream has answered. After it
    the verdict can still be another attempt; the end of all attempts is then the route's last words in the
    stream.
 7. Once content of an answer has reached the client there is no further attempt, only an end.
 8. Connecting does not block, so that the prelude does not wait for it. `yield` of the command must be the
    last of its event: a connection that is open already answers from within.
 9. When the client has gone, the attempt under way is cancelled, and no other starts.
10. A timer that is no longer needed is given to nobody, or it would keep the flow in memory until it rings.
11. What is routed is read whole: mitmproxy's `stream_large_bodies` would send a body on before the
    `request` hook has seen it, with the router's headers and the model it asked for.
12. A failed connection is tried anew by the next attempt of any flow. mitmproxy repeats the error instead
    while the client's own connection lasts, which with HTTP/2 is as long as it likes. Nor is what is over
    kept so long.
13. A defect of the route ends the attempt, as a failure of the upstream would. Raised inside of an event it
    would leave the client hanging.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mitmproxy import flow, http, version
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    GetHttpConnection,
    GetHttpConnectionCompleted,
    Http2Client,
    HttpErrorHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpStream,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
    SendHttp,
)
from mitmproxy.utils import human

from pointsman.errors import ConfigError
from pointsman.upstream import lost_connections
from pointsman.upstream.route import Failure, Hold, Route, Watch

if TYPE_CHECKING:
    from mitmproxy.proxy.layers.http import HttpLayer

log = logging.getLogger("pointsman")

REFUSAL_LIMIT: Final = 256 * 1024  # bytes held of a refusal, which has a few hundred
ANSWER_LIMIT: Final = 64 * 1024 * 1024  # bytes held of an answer that is no stream
OPENING_LIMIT: Final = 1024 * 1024  # bytes held of a stream whose content does not begin
# Far above any id a codec hands out, so that an attempt's id never meets a client's.
_attempt_ids = itertools.count(1 << 40)
_NO_ATTEMPT: Final = -1
_FROM_UPSTREAM: Final = (
    ResponseHeaders,
    ResponseData,
    ResponseTrailers,
    ResponseEndOfMessage,
    ResponseProtocolError,
)


@dataclass
class RouterVerdictHook(commands.StartHook):
    """An attempt ended without an answer, or with one to be judged; its route says what becomes of it."""

    flow: http.HTTPFlow


@dataclass
class _Held:
    head: ResponseHeaders
    hold: Hold
    body: bytearray = field(default_factory=bytearray)
    trailers: ResponseTrailers | None = None

    def limit(self) -> int:
        if self.hold is Hold.WATCH:
            return OPENING_LIMIT
        return REFUSAL_LIMIT if self.head.response.status_code >= 300 else ANSWER_LIMIT


class _Nobody:
    """Hears the timers of streams that are over."""

    def handle_event(self, event: events.Event) -> Iterator[commands.Command]:
        return iter(())


_NOBODY: Final[Any] = _Nobody()


class RoutedStream(HttpStream):
    """mitmproxy's HttpStream with attempts, a prelude, and timeouts for flows that have a route."""

    routes: Mapping[str, Route]  # by flow id; set by `install`
    whole: Container[str]  # ids of the flows whose bodies are read whole; likewise
    route: Route | None = None
    _attempt: int = _NO_ATTEMPT  # the stream id of the attempt under way
    _connecting: GetHttpConnection | None = None
    _alive = False  # the attempt's request has been sent, and its answer has not ended
    _held: _Held | None = None
    _opened = False  # the prelude has been sent
    _due = False  # the grace is over, but a refusal was just arriving
    _deadline = 0.0  # monotonic seconds; of the attempt until its content begins, then of the next chunk

    def __init__(self, context: context.Context, stream_id: int) -> None:
        super().__init__(context, stream_id)
        self._timers: dict[str, commands.RequestWakeup] = {}  # not rung yet: prelude, patience, stall

    # --- the client's side --------------------------------------------------------------

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.route is None:
            yield from super()._handle_event(event)
        elif isinstance(event, events.Wakeup):
            yield from self._rings(event.command)
        elif isinstance(event, GetHttpConnectionCompleted):
            yield from self._connected(event)
        elif isinstance(event, RequestProtocolError):
            yield from self._client_gone(event)
        elif isinstance(event, _FROM_UPSTREAM) and event.stream_id != self._attempt:
            return  # of an attempt that is over
        elif isinstance(event, ResponseProtocolError):
            yield from self._broke_off(event.message, event.code)
        else:
            yield from super()._handle_event(event)

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """As in the base class, but that only `body_size_limit` counts where bodies are read whole."""
        if self.flow.id in self.whole and not self._exceeds_limit(request):
            return False
        return (yield from self._ended_if((yield from super().check_body_size(request))))

    def check_invalid(self, request: bool) -> layer.CommandGenerator[bool]:
        return (yield from self._ended_if((yield from super().check_invalid(request))))

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        return (yield from self._ended_if((yield from super().check_killed(emit_error_hook))))

    def _ended_if(self, refused: bool) -> layer.CommandGenerator[bool]:
        """mitmproxy ends such a flow without a word to the upstream, and keeps it while the client stays."""
        if refused and self.route is not None:
            yield from self._abandon("the flow has ended")
            yield from self._over()
            yield DropStream(self.stream_id)
        return refused

    def _exceeds_limit(self, request: bool) -> bool:
        limit = human.parse_size(self.context.options.body_size_limit)
        return limit is not None and len(self.request_body_buf if request else self.response_body_buf) > limit

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """As in the base class, until the request is sent."""
        if not isinstance(event, RequestEndOfMessage):
            yield from super().state_consume_request_body(event)
            return
        self.flow.request.timestamp_end = time.time()
        self.flow.request.data.content = bytes(self.request_body_buf)
        self.request_body_buf.clear()
        self.client_state = self.state_done
        yield HttpRequestHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response:
            self.flow.response.timestamp_start = time.time()
            yield from self._answer_instead(self.flow.response)
            return
        self.route = self.routes.get(self.flow.id)
        if self.route is None:
            if (yield from self.make_server_connection()):
                yield from self._send(self.stream_id, self.flow.request)
            return
        if self.route.grace_s == 0:
            if not (yield from self._open()):
                return
        elif self.route.grace_s is not None:
            yield from self._arm("prelude", self.route.grace_s)
        yield from self._try(self.stream_id)

    def _client_gone(self, event: RequestProtocolError) -> layer.CommandGenerator[None]:
        yield from self._abandon(event.message, event.code)
        if self.client_state != self.state_errored and self.server_state not in (
            self.state_done,
            self.state_errored,
        ):
            self.flow.error = flow.Error(event.message)
            yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield from self._over()
        yield DropStream(self.stream_id)

    # --- attempts -----------------------------------------------------------------------

    def _try(self, stream_id: int) -> layer.CommandGenerator[None]:
        """Begin an attempt with the route's request. Nothing may follow it (rule 8)."""
        assert self.route
        self._attempt = stream_id
        if stream_id != self.stream_id:
            self._http_layer.streams[stream_id] = self
        self.server_state = self.state_wait_for_response_headers
        self._tidy_connections()
        if self.route.patience_s:
            self._deadline = time.monotonic() + self.route.patience_s
            yield from self._arm("patience", self.route.patience_s)
        request = self.route.request
        self._connecting = get = GetHttpConnection(
            (request.host, request.port),
            request.scheme == "https",
            self.flow.server_conn.via,
            self.flow.server_conn.transport_protocol,
        )
        get.blocking = False
        self._http_layer.command_sources[get] = self
        yield get

    def _connected(self, event: GetHttpConnectionCompleted) -> layer.CommandGenerator[None]:
        if event.command is not self._connecting:
            return
        self._connecting = None
        connection, error = event.reply
        if connection is None:
            yield from self._failed(Failure("connect", error or "cannot connect"))
            return
        assert self.route and isinstance(connection, Server)
        self.context.server = self.flow.server_conn = connection
        self._alive = True
        yield from self._send(self._attempt, self.route.request)

    def _send(self, stream_id: int, request: http.Request) -> layer.CommandGenerator[None]:
        content, trailers = request.raw_content, request.trailers
        server = self.context.server
        if self.flow.request.is_http2 and server.alpn != b"h2":
            # Such a connection serves nobody else, and is closed only behind what seems to be HTTP/2.
            request.http_version = "HTTP/2.0"
        yield SendHttp(RequestHeaders(stream_id, request, not (content or trailers)), server)
        if content:
            yield SendHttp(RequestData(stream_id, content), server)
        if trailers:
            yield SendHttp(RequestTrailers(stream_id, trailers), server)
        yield SendHttp(RequestEndOfMessage(stream_id), server)

    def _abandon(self, message: str, code: ErrorCode = ErrorCode.CANCEL) -> layer.CommandGenerator[None]:
        """End the attempt under way, whatever it is doing; what still comes of it is dropped."""
        attempt, self._attempt = self._attempt, _NO_ATTEMPT
        self._connecting = None
        if self._alive:
            self._alive = False
            if not self._unsent(attempt):
                yield SendHttp(RequestProtocolError(attempt, message, code), self.context.server)
        if attempt not in (_NO_ATTEMPT, self.stream_id):
            yield DropStream(attempt)

    def _failed(
        self, failure: Failure, code: ErrorCode = ErrorCode.CONNECT_FAILED
    ) -> layer.CommandGenerator[None]:
        """Ask for the verdict on an attempt without an answer, and carry it out.

        `code` is what the client gets to see where the failure stays as it is.
        """
        assert self.route
        held = self._held if failure.response is not None else None
        self._held = None
        if held is None:
            yield from self._abandon(failure.message)
        self.route.failure = failure
        yield RouterVerdictHook(self.flow)
        self.route.failure = None
        if (yield from self.check_killed(True)):
            return
        if self.route.again:
            self.route.again = False
            yield from self._abandon(failure.message)
            if self._due and not self._opened and not (yield from self._open()):
                return
            yield from self._try(next(_attempt_ids))
        elif self._opened:
            yield from self._end_of_stream(code, failure.message)
        elif self.route.instead is not None:
            yield from self._answer_instead(self.route.instead)
        elif held is not None:
            yield from self._release(held, ended=True)
        else:
            yield from self._break(code, failure.message)

    def _broke_off(self, message: str, code: ErrorCode) -> layer.CommandGenerator[None]:
        """The connection, or the attempt's stream on it, was lost before the answer's end."""
        assert self.route
        self._alive = False
        if self.server_state in (self.state_wait_for_response_headers, self.state_hold_response):
            yield from self._failed(Failure("reset", message), code)
        elif self.server_state == self.state_stream_response_body:
            yield from self._end_of_stream(code, message)
        else:
            yield from self._break(code, message)

    def _break(self, code: ErrorCode, message: str) -> layer.CommandGenerator[None]:
        """mitmproxy's own end of a flow whose upstream has failed."""
        yield from self._abandon(message)
        yield from self._over()
        yield from super().handle_protocol_error(ResponseProtocolError(self.stream_id, message, code))

    # --- answers ------------------------------------------------------------------------

    def state_wait_for_response_headers(self, event: events.Event) -> layer.CommandGenerator[None]:
        assert isinstance(event, ResponseHeaders)
        hold = self._told(self.route.judge, event.response) if self.route else Hold.PASS
        if hold is None:
            yield from self._failed(Failure("answer", "the answer cannot be judged"))
        elif hold is Hold.PASS and not self._opened:
            yield from super().state_wait_for_response_headers(event)
        else:
            self._held = _Held(event, hold)
            self.server_state = self.state_hold_response

    def state_hold_response(self, event: events.Event) -> layer.CommandGenerator[None]:
        held = self._held
        assert held and self.route
        if isinstance(event, ResponseData):
            held.body += event.data
            seen = self._seen(event.data) if held.hold is Hold.WATCH else Watch.WAIT
            if seen is Watch.BROKEN:
                yield from self._failed(Failure("answer", "the answer is none"))
            elif len(held.body) > held.limit() and held.hold is Hold.WHOLE and self._opened:
                yield from self._failed(Failure("answer", "the answer is too long"))
            elif seen is Watch.BEGUN or len(held.body) > held.limit():
                self._held = None
                yield from self._release(held)
        elif isinstance(event, ResponseTrailers):
            held.trailers = event
        elif isinstance(event, ResponseEndOfMessage):
            self._alive = False
            if held.hold is Hold.WATCH and self._seen(b"") is Watch.BEGUN:
                self._held = None
                yield from self._release(held, ended=True)
                return
            response = held.head.response
            response.raw_content = bytes(held.body)
            yield from self._failed(Failure("held", f"status {response.status_code}", response))

    def _seen(self, chunk: bytes) -> Watch:
        assert self.route
        return self._told(self.route.watch, chunk) or Watch.BROKEN

    def _told[A, R](self, question: Callable[[A], R], said: A) -> R | None:
        """What the route says. None where it fails: inside of an event that would leave the flow hanging."""
        try:
            return question(said)
        except Exception as error:
            log.warning("what becomes of an answer is not known: %s: %s", type(error).__name__, error)
            log.debug("the route failed", exc_info=error)
            return None

    def _release(self, held: _Held, *, ended: bool = False) -> layer.CommandGenerator[None]:
        """Let a held answer go its way."""
        assert self.route
        attempt = self._attempt
        response = held.head.response
        response.raw_content = None
        if self._opened:
            assert self.flow.response
            transform = self._told(self.route.join, response)
            if transform is None:
                message = "the answer cannot be joined to its opening"
                yield from self._end_of_stream(ErrorCode.GENERIC_SERVER_ERROR, message)
                return
            self.flow.response.stream = transform
            self.server_state = self.state_stream_response_body
        else:
            yield from super().state_wait_for_response_headers(held.head)
        if held.body:
            yield from self.server_state(ResponseData(attempt, bytes(held.body)))
        if held.trailers:
            yield from self.server_state(held.trailers)
        if ended:
            yield from self.server_state(ResponseEndOfMessage(attempt))

    def state_stream_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseEndOfMessage):
            self._alive = False
        elif self.route and self.route.stall_s:
            self._deadline = time.monotonic() + self.route.stall_s
            yield from self._arm("stall", self.route.stall_s)
        yield from super().state_stream_response_body(event)

    def state_consume_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseEndOfMessage):
            self._alive = False
        yield from super().state_consume_response_body(event)

    def _open(self) -> layer.CommandGenerator[bool]:
        """Send the prelude; False where nobody is left to get it."""
        assert self.route
        self._opened = True
        self.flow.response = response = self.route.prelude()
        if self.flow.request.is_http2:
            response.http_version = "HTTP/2.0"
        elif self.flow.request.http_version != "HTTP/1.0":  # its clients read until the connection is closed
            response.headers["transfer-encoding"] = "chunked"
        response.timestamp_start = time.time()
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return False
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), self.context.client)
        yield from self._forward(self.route.opening)
        return True

    def _answer_instead(self, response: http.Response) -> layer.CommandGenerator[None]:
        """The client gets a response that no upstream has sent."""
        self.flow.response = response
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        yield from self.send_response()

    def _end_of_stream(self, code: ErrorCode, message: str) -> layer.CommandGenerator[None]:
        """End a stream that the client has the beginning of: with the route's last words, if it has any."""
        assert self.route and self.flow.response
        words = self._told(self.route.last_words, message)
        if words is None:
            yield from self._break(code, message)
            return
        yield from self._abandon("the answer has ended")
        yield from self._forward(words)
        if self.context.options.store_streamed_bodies:
            self.flow.response.data.content = bytes(self.response_body_buf)
            self.response_body_buf.clear()
        yield from self.send_response(already_streamed=True)

    def _forward(self, chunks: Iterable[bytes]) -> layer.CommandGenerator[None]:
        for chunk in chunks:
            if self.context.options.store_streamed_bodies:
                self.response_body_buf += chunk
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)

    # --- time ---------------------------------------------------------------------------

    def _arm(self, purpose: str, seconds: float) -> layer.CommandGenerator[None]:
        if purpose not in self._timers:
            self._timers[purpose] = timer = commands.RequestWakeup(seconds)
            yield timer

    def _rings(self, timer: commands.Command) -> layer.CommandGenerator[None]:
        purpose = next((name for name, known in self._timers.items() if known is timer), None)
        if purpose is None:
            return
        del self._timers[purpose]
        waiting = self.server_state in (self.state_wait_for_response_headers, self.state_hold_response)
        if purpose == "prelude":
            if waiting and not (self._held and self._held.hold is Hold.WHOLE):
                yield from self._open()
            else:
                self._due = True
            return
        streaming = self.server_state == self.state_stream_response_body
        if not (waiting if purpose == "patience" else streaming):
            return
        left = self._deadline - time.monotonic()
        if left > 0:
            yield from self._arm(purpose, left)
        elif waiting:
            yield from self._failed(Failure("timeout", "no answer in time"))
        else:
            message = "the answer has stopped in the middle"
            yield from self._end_of_stream(ErrorCode.GENERIC_SERVER_ERROR, message)

    # --- ends ---------------------------------------------------------------------------

    def flow_done(self) -> layer.CommandGenerator[None]:
        yield from self._over()
        yield from super().flow_done()

    def _over(self) -> layer.CommandGenerator[None]:
        """Nothing of the upstream concerns this flow any longer."""
        attempt, self._attempt = self._attempt, _NO_ATTEMPT
        for timer in self._timers.values():
            if timer in self._http_layer.command_sources:
                self._http_layer.command_sources[timer] = _NOBODY
        self._timers.clear()
        if attempt not in (_NO_ATTEMPT, self.stream_id):
            yield DropStream(attempt)

    # --- connections --------------------------------------------------------------------

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        self._tidy_connections()
        return (yield from super().make_server_connection())

    def _tidy_connections(self) -> None:
        """Forget the errors of connections, and connections that are over.

        While events of a connection may still come its entry has to stay, and while a stream may write to it.
        """
        http_layer = self._http_layer
        used = {stream.context.server for stream in http_layer.streams.values()}
        for known, handler in list(http_layer.connections.items()):
            if not isinstance(known, Server) or known in http_layer.waiting_for_establishment:
                continue
            never_was = known.error and not known.connected and known.timestamp_tcp_setup is None
            if known.error and not known.connected:
                known.error = None
            carrier = getattr(handler, "tunnel_connection", known)  # through another proxy
            ended = carrier.timestamp_end is not None and carrier not in lost_connections.ending
            over = never_was or ended
            if over and known not in used and known is not http_layer.context.server:
                del http_layer.connections[known]

    def _unsent(self, attempt: int) -> bool:
        """Take an attempt back that still waits for a free stream of its HTTP/2 connection; was there one?"""
        handler = self._http_layer.connections.get(self.context.server)
        codec = handler.context.layers[-1] if handler else None
        return isinstance(codec, Http2Client) and codec.stream_queue.pop(attempt, None) is not None

    @property
    def _http_layer(self) -> HttpLayer:
        parent = self.context.layers[self.context.layers.index(self) - 1]
        assert isinstance(parent, http_layers.HttpLayer)
        return parent


def supported() -> bool:
    """Is this a mitmproxy whose HTTP layer has the shape that RoutedStream was written against?"""
    major, minor = (int(part) for part in version.VERSION.split(".")[:2])
    return (12, 2) <= (major, minor) < (13, 0)


def install(routes: Mapping[str, Route], whole: Container[str]) -> Callable[[], None]:
    """Let every new HTTP stream look for its flow's id in `routes` and `whole`; returns what undoes it.

    Raises ConfigError for a mitmproxy that this file does not know.
    """
    if not supported():
        raise ConfigError(f"mitmproxy {version.VERSION} is not supported; install mitmproxy>=12.2,<13")
    original = http_layers.HttpStream

    class Installed(RoutedStream):
        pass

    Installed.routes, Installed.whole = routes, whole
    http_layers.HttpStream = Installed  # type: ignore[misc]
    forget = lost_connections.install()

    def restore() -> None:
        forget()
        http_layers.HttpStream = original  # type: ignore[misc]

    return restore


__all__ = ["RouterVerdictHook", "install", "supported"]
