"""One request, possibly sent upstream more than once: the only file that touches mitmproxy's HTTP layers.

mitmproxy gives an addon the request before it is sent and the response head when it
arrives, but no way to send something else than what its user interfaces show, nor to
send it again. `RoutedStream` adds both to mitmproxy's own `HttpStream`, with
mitmproxy's own connections. The rules:

1. `flow.request` stays the client's. What is sent upstream is `Route.outgoing`, a
   request of its own, so that saved flows replay as the client made them.
2. A flow without a `Route` takes mitmproxy's own way, unchanged.
3. A response that the route wants to judge is held back whole, head and body. Then
   one blocking hook asks for a verdict: deliver it, or send `Route.outgoing` again.
   Nothing of a held response has reached the client or any other addon.
4. The next attempt starts only after that hook: inside the end-of-message event the
   HTTP/1 codec has not yet been reset, and its connection could not be used again.
5. Each further attempt has an internal stream id of its own, because the HTTP/2 codec
   keys everything on it. The client side keeps the original id.
6. A held response larger than `HOLD_LIMIT` is delivered as it is.
7. What is routed is read whole: mitmproxy's `stream_large_bodies` would send a body on before
   the `request` hook has seen it, with the router's headers and the model it asked for.
8. A failed connection is tried anew by the next request of any flow. mitmproxy repeats the error
   instead while the client's own connection lasts, which with HTTP/2 is as long as it likes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mitmproxy import http, version
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import (
    DropStream,
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

if TYPE_CHECKING:
    from mitmproxy.proxy.layers.http import HttpLayer

HOLD_LIMIT = 256 * 1024  # bytes; a provider's refusal is a few hundred
# Far above any id a codec hands out, so that an attempt's id never meets a client's.
_attempt_ids = itertools.count(1 << 40)


@dataclass
class Route:
    """How one flow goes upstream. Made by the addon in its `request` hook."""

    outgoing: http.Request
    judge: Callable[[http.Response], bool]
    """Shall this response head be held for a verdict? Called once per attempt; must not block."""
    held: http.Response | None = None
    """The held response, body included, while the verdict hook runs."""
    again: bool = False
    """The verdict: send `outgoing` once more."""


@dataclass
class RouterVerdictHook(commands.StartHook):
    """A held response is complete; its route says what becomes of it."""

    flow: http.HTTPFlow


@dataclass
class _Held:
    head: ResponseHeaders
    body: bytearray = field(default_factory=bytearray)


class RoutedStream(HttpStream):
    """mitmproxy's HttpStream with an outgoing request of its own and a second attempt."""

    routes: dict[str, Route]  # by flow id; set by `install`
    whole: Container[str]  # ids of the flows whose bodies are read whole; likewise
    route: Route | None = None
    attempt: int | None = None  # internal id of an attempt after the first
    _held: _Held | None = None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestProtocolError) and self.attempt is not None:
            # The client is gone: what has to be cancelled upstream is the current attempt.
            event = RequestProtocolError(self.attempt, event.message, event.code)
        yield from super()._handle_event(event)

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """As in the base class, but that only `body_size_limit` counts where bodies are read whole."""
        if self.flow.id in self.whole and not self._exceeds_limit(request):
            return False
        return (yield from super().check_body_size(request))

    def _exceeds_limit(self, request: bool) -> bool:
        limit = human.parse_size(self.context.options.body_size_limit)
        return limit is not None and len(self.request_body_buf if request else self.response_body_buf) > limit

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """As in the base class, but for what is sent."""
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
            yield HttpResponseHeadersHook(self.flow)
            if (yield from self.check_killed(True)):
                return
            yield from self.send_response()
            return
        self.route = self.routes.get(self.flow.id)
        yield from self._send(self.stream_id)

    def _send(self, stream_id: int) -> layer.CommandGenerator[None]:
        if not (yield from self.make_server_connection()):
            return
        request = self.route.outgoing if self.route else self.flow.request
        content = request.raw_content
        trailers = request.trailers
        yield SendHttp(RequestHeaders(stream_id, request, not (content or trailers)), self.context.server)
        if content:
            yield SendHttp(RequestData(stream_id, content), self.context.server)
        if trailers:
            yield SendHttp(RequestTrailers(stream_id, trailers), self.context.server)
        yield SendHttp(RequestEndOfMessage(stream_id), self.context.server)

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        http_layer = self._http_layer
        for known in http_layer.connections:
            # The entry itself stays, for events of the connection that are still to come.
            if known.error and not known.connected and known not in http_layer.waiting_for_establishment:
                known.error = None
        return (yield from super().make_server_connection())

    def state_wait_for_response_headers(self, event: events.Event) -> layer.CommandGenerator[None]:
        if (
            self.route
            and isinstance(event, ResponseHeaders)
            and not event.end_stream
            and self.route.judge(event.response)
        ):
            self._held = _Held(event)
            self.server_state = self.state_hold_response
        else:
            yield from super().state_wait_for_response_headers(event)

    def state_hold_response(self, event: events.Event) -> layer.CommandGenerator[None]:
        held = self._held
        assert held and self.route
        if isinstance(event, ResponseData):
            held.body += event.data
            if len(held.body) > HOLD_LIMIT:
                yield from self._release()
        elif isinstance(event, ResponseTrailers):
            yield from self._release()
            yield from self.server_state(event)
        elif isinstance(event, ResponseEndOfMessage):
            self.route.held = held.head.response
            self.route.held.raw_content = bytes(held.body)
            yield RouterVerdictHook(self.flow)
            self.route.held = None
            if (yield from self.check_killed(True)):
                return
            if self.route.again:
                self.route.again = False
                yield from self._send_again()
            else:
                yield from self._release()
                yield from self.server_state(event)

    def _release(self) -> layer.CommandGenerator[None]:
        """Give the held response the way it would have gone."""
        held, self._held = self._held, None
        assert held
        held.head.response.raw_content = None
        yield from super().state_wait_for_response_headers(held.head)
        if held.body:
            yield from self.server_state(ResponseData(self.stream_id, bytes(held.body)))

    def _send_again(self) -> layer.CommandGenerator[None]:
        self._held = None
        yield from self._drop_attempt()
        self.attempt = next(_attempt_ids)
        self._http_layer.streams[self.attempt] = self
        self.server_state = self.state_wait_for_response_headers
        yield from self._send(self.attempt)

    @property
    def _http_layer(self) -> HttpLayer:
        parent = self.context.layers[self.context.layers.index(self) - 1]
        assert isinstance(parent, http_layers.HttpLayer)
        return parent

    def _drop_attempt(self) -> layer.CommandGenerator[None]:
        if self.attempt is not None:
            yield DropStream(self.attempt)
            self.attempt = None

    def flow_done(self) -> layer.CommandGenerator[None]:
        yield from self._drop_attempt()
        yield from super().flow_done()

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and self.attempt is not None:
            # Goes to the client, whose side of the stream has the original id.
            event = ResponseProtocolError(self.stream_id, event.message, event.code)
        yield from super().handle_protocol_error(event)
        yield from self._drop_attempt()


def supported() -> bool:
    """Is this a mitmproxy whose HTTP layer has the shape that RoutedStream was written against?"""
    major, minor = (int(part) for part in version.VERSION.split(".")[:2])
    return (12, 2) <= (major, minor) < (13, 0)


def install(routes: dict[str, Route], whole: Container[str]) -> Callable[[], None]:
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

    def restore() -> None:
        http_layers.HttpStream = original  # type: ignore[misc]

    return restore


__all__ = ["Route", "RouterVerdictHook", "install", "supported"]
