"""One request, sent as often as it takes: every state and every end of it, without sockets."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import h2.errors
import pytest
from pointsman.upstream.route import Hold, Watch
from upstream.driving import NOTHING, Driven, H1Client, H2Client, H2Upstream, Plain, Upstream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nbusy"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def watching(*hosts: str) -> Plain:
    return Plain(*hosts, hold=Hold.WATCH)


# --- attempts -----------------------------------------------------------------------------


def test_the_next_attempt_answers_as_if_there_had_been_no_other() -> None:
    with Driven() as proxy:
        client, route = H1Client(proxy), watching("a.example", "b.example", "c.example")
        client.post(route=route)
        proxy.accept("refused")
        proxy.accept().close()
        upstream = proxy.accept()
        assert upstream.received.endswith(b"\r\n\r\nmade")
        upstream.send(HEAD + chunk(b"well"))
        assert client.received == b""
        upstream.send(chunk(b"words") + END)
        assert client.received == HEAD + chunk(b"wellwords") + END
        assert [failure.kind for failure in route.failures] == ["connect", "reset"]
        assert proxy.left() == NOTHING


def test_what_still_comes_of_an_abandoned_attempt_is_dropped() -> None:
    with Driven(http2=True, upstream=b"h2") as proxy:
        client, route = H2Client(proxy), watching("a.example", "b.example")
        route.watch = lambda chunk: Watch.BROKEN if chunk == b"bad" else Watch.BEGUN  # type: ignore[method-assign]
        stream = client.post(route=route)
        first = h2_upstream(proxy)
        first.h2.send_headers(first.requests[0], [(":status", "200")])
        first.h2.send_data(first.requests[0], b"bad")
        late = first.h2.data_to_send()
        first.h2.send_data(first.requests[0], b"late", end_stream=True)
        late += first.h2.data_to_send()
        first.send(late)
        second = h2_upstream(proxy)
        second.reply(second.requests[0])
        client.look()
        assert (client.bodies[stream], client.ended) == (b"words", [stream])
        assert proxy.left() == NOTHING


def test_an_idle_connection_that_closes_as_it_is_used_again_costs_one_attempt() -> None:
    with Driven() as proxy:
        client = H1Client(proxy)
        client.post("/1", watching("a.example"))
        upstream = proxy.accept()
        upstream.answer()
        route = watching("a.example", "a.example")
        client.post("/2", route)
        assert upstream.received.count(b"made") == 2
        upstream.close()
        proxy.accept().answer(b"new words")
        assert client.received.endswith(b"new words")
        assert [failure.kind for failure in route.failures] == ["reset"]


def test_a_connection_that_goes_away_takes_no_stream_with_it() -> None:
    with Driven(http2=True, upstream=b"h2") as proxy:
        client = H2Client(proxy)
        streams = [client.post(f"/{number}", watching("a.example", "b.example")) for number in range(5)]
        first = h2_upstream(proxy)
        assert len(first.requests) == 5
        first.h2.close_connection(h2.errors.ErrorCodes.NO_ERROR)
        first.flush()
        second = h2_upstream(proxy)
        for request in list(second.requests):
            second.reply(request)
        client.look()
        assert client.ended == streams
        assert set(client.bodies.values()) == {b"words"}
        assert proxy.left() == NOTHING


def test_streams_that_the_upstream_has_no_room_for_wait_for_their_turn() -> None:
    with Driven(http2=True, upstream=b"h2") as proxy:
        client = H2Client(proxy)
        client.post("/0", watching("a.example"))
        upstream = h2_upstream(proxy, streams=2)
        for number in range(1, 6):
            client.post(f"/{number}", watching("a.example"))
        for answered in range(6):
            upstream.flush()
            assert len(upstream.requests) == min(answered + 2, 6)
            upstream.reply(upstream.requests[answered])
        client.look()
        assert client.ended == [1, 3, 5, 7, 9, 11]
        assert proxy.left() == NOTHING


def test_one_that_waited_for_room_is_never_sent_once_its_client_has_gone() -> None:
    with Driven(http2=True, upstream=b"h2") as proxy:
        client = H2Client(proxy)
        first = client.post("/0", watching("a.example"))
        upstream = h2_upstream(proxy, streams=1)
        upstream.flush()
        second = client.post("/1", watching("a.example"))
        assert len(upstream.requests) == 1
        client.reset(second)
        upstream.reply(upstream.requests[0])
        upstream.flush()
        client.look()
        assert client.ended == [first]
        assert (len(upstream.requests), upstream.resets) == (1, [])
        assert proxy.left() == NOTHING


def test_a_connection_that_nobody_else_can_use_is_closed() -> None:
    """Behind HTTP/2 mitmproxy gives each request an HTTP/1.1 connection of its own."""
    with Driven(http2=True) as proxy:
        client = H2Client(proxy)
        client.post(route=watching("a.example", "b.example"))
        first = proxy.accept()
        first.send(REFUSAL.replace(b"503 No", b"200 OK"))
        second = proxy.accept()
        second.answer()
        client.look()
        assert client.bodies[1] == b"words"
        assert b" HTTP/1.1\r\n" in second.received
        assert (first.open, second.open) == (False, False)


@pytest.mark.parametrize("code", [h2.errors.ErrorCodes.HTTP_1_1_REQUIRED, h2.errors.ErrorCodes.CANCEL])
def test_a_failure_that_stays_as_it_is_is_the_upstreams_own(code: h2.errors.ErrorCodes) -> None:
    with Driven(http2=True, upstream=b"h2") as proxy:
        client = H2Client(proxy)
        stream = client.post(route=Plain("a.example"))
        upstream = h2_upstream(proxy)
        upstream.h2.reset_stream(upstream.requests[0], code)
        upstream.flush()
        client.look()
        assert client.resets == [(stream, code)]
        assert proxy.left() == NOTHING


def h2_upstream(proxy: Driven, streams: int = 100) -> H2Upstream:
    upstream = proxy.accept()
    assert isinstance(upstream, H2Upstream)
    upstream.greet(streams)
    upstream.flush()
    return upstream


# --- a client that goes away --------------------------------------------------------------


def connecting(proxy: Driven) -> None:
    assert proxy.connecting


def waiting(proxy: Driven) -> Upstream:
    return proxy.accept()


def holding(proxy: Driven) -> Upstream:
    upstream = proxy.accept()
    upstream.send(HEAD + chunk(b"well"))
    return upstream


def streaming(proxy: Driven) -> Upstream:
    upstream = proxy.accept()
    upstream.send(HEAD + chunk(b"words"))
    return upstream


@pytest.mark.parametrize("state", [connecting, waiting, holding, streaming])
@pytest.mark.parametrize("grace", [None, 0.0], ids=["no prelude", "prelude"])
@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_a_client_that_goes_away_takes_its_attempt_along(
    state: Callable[[Driven], Upstream | None], grace: float | None, attempt: int, http2: bool
) -> None:
    with Driven(http2=http2) as proxy:
        client: Any = H2Client(proxy) if http2 else H1Client(proxy)
        route = watching("a.example", "b.example", "c.example")
        route.grace_s = grace
        stream = client.post(route=route)
        if attempt == 2:
            proxy.accept("refused")
        upstream = state(proxy)
        client.reset(stream) if http2 else client.leave()
        if upstream is not None:
            assert not upstream.open
        elif http2:
            assert proxy.accept().received == b""
        assert not proxy.connecting or not http2
        assert len(route.failures) == attempt - 1
        assert proxy.called.count("error") == 1
        if http2:
            assert proxy.left() == NOTHING


IN_HOOKS = [("request", "reset")]  # killed there, it has no route yet: that is mitmproxy's own way
IN_HOOKS += [
    (name, how) for name in ("responseheaders", "router_verdict", "response") for how in ("reset", "kill")
]


@pytest.mark.parametrize("grace", [None, 0.0], ids=["no prelude", "prelude"])
@pytest.mark.parametrize(("hook", "how"), IN_HOOKS)
def test_a_flow_that_ends_inside_of_a_hook_goes_no_further(hook: str, grace: float | None, how: str) -> None:
    with Driven(http2=True) as proxy:
        client, route = H2Client(proxy), watching("a.example", "b.example", "c.example")
        route.grace_s = grace
        proxy.held[hook] = deque()
        stream = client.post(route=route)
        upstream = None
        if not proxy.held[hook]:
            proxy.accept("refused")
        if not proxy.held[hook]:
            upstream = proxy.accept()
            upstream.send(HEAD + chunk(b"words"))
            if not proxy.held[hook]:
                upstream.send(END)
        assert proxy.held[hook]
        tried = len(route.failures)
        if how == "reset":
            client.reset(stream)
        else:
            proxy.hooks[hook] = lambda flow: flow.kill()
        proxy.go_on(hook)
        assert upstream is None or not upstream.open
        assert not proxy.connecting
        assert len(route.failures) - tried == (hook == "router_verdict")
        assert proxy.called.count("error") + proxy.called.count("response") == 1
        assert proxy.left() == NOTHING


# --- what mitmproxy itself refuses --------------------------------------------------------


@pytest.mark.parametrize("hold", [Hold.PASS, Hold.WHOLE])
def test_a_body_above_the_limit_ends_the_attempt(hold: Hold) -> None:
    with Driven(http2=True, body_size_limit="1k") as proxy:
        proxy.streams = False
        client = H2Client(proxy)
        client.post(route=Plain("a.example", "b.example", hold=hold))
        proxy.accept("refused")
        upstream = proxy.accept()
        upstream.send(HEAD + chunk(b"words" * 500))
        upstream.send(END)
        client.look()
        assert not upstream.open
        assert client.heads[1][":status"] == "502"
        assert proxy.left() == NOTHING


def test_large_bodies_of_later_attempts_are_not_lost() -> None:
    with Driven(stream_large_bodies="1") as proxy:
        proxy.streams = False
        client = H1Client(proxy)
        client.post(route=Plain("a.example", "b.example"))
        proxy.accept("refused")
        proxy.accept().send(HEAD + chunk(b"word") + chunk(b"more") + END)
        assert client.received == HEAD + chunk(b"wordmore") + END
        assert proxy.left() == NOTHING


def test_a_head_that_mitmproxy_takes_for_smuggling_ends_the_attempt() -> None:
    with Driven(http2=True) as proxy:
        client = H2Client(proxy)
        client.post(route=watching("a.example", "b.example"))
        proxy.accept("refused")
        upstream = proxy.accept()
        upstream.send(HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n") + chunk(b"words"))
        client.look()
        assert client.heads[1][":status"] == "502"
        assert not upstream.open
        assert proxy.left() == NOTHING


def test_streamed_bodies_are_stored_with_the_last_words() -> None:
    with Driven(store_streamed_bodies=True) as proxy:
        client, route = H1Client(proxy), watching("a.example")
        route.grace_s = 0.0
        client.post(route=route)
        proxy.accept("refused")
        assert client.received.endswith(chunk(b"open.") + chunk(b"sorry.") + END)
        assert proxy.flows[0].response is not None
        assert proxy.flows[0].response.raw_content == b"open.sorry."


# --- preludes -----------------------------------------------------------------------------


def test_behind_a_prelude_the_answer_goes_on_in_its_own_words() -> None:
    with Driven() as proxy:
        client, route = H1Client(proxy), watching("a.example", "b.example")
        route.grace_s = 0.25
        client.post(route=route)
        proxy.accept("refused")
        proxy.ring()
        assert client.received.endswith(chunk(b"open."))
        proxy.accept().send(HEAD + chunk(b"words") + END)
        assert client.received.endswith(chunk(b"open.") + chunk(b"WORDS") + chunk(b"END.") + END)
        assert client.received.count(b"HTTP/1.1 200") == 1
        assert proxy.left() == NOTHING


def test_a_prelude_that_comes_due_while_a_refusal_arrives_waits_for_the_verdict() -> None:
    with Driven() as proxy:
        client, route = H1Client(proxy), Plain("a.example", hold=Hold.WHOLE)
        route.grace_s = 0.25
        client.post(route=route)
        upstream = proxy.accept()
        upstream.send(REFUSAL[:-2])
        proxy.ring()
        assert client.received == b""
        upstream.send(REFUSAL[-2:])
        assert client.received == REFUSAL
        assert proxy.left() == NOTHING


# --- time ---------------------------------------------------------------------------------


def test_nothing_waits_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Driven() as proxy:
        client, route = H1Client(proxy), watching("a.example", "b.example")
        route.patience_s, route.stall_s = 120.0, 30.0
        client.post(route=route)
        slow = proxy.accept()
        now[0] = 120.0
        proxy.ring()
        assert not slow.open
        assert [failure.kind for failure in route.failures] == ["timeout"]
        upstream = proxy.accept()
        now[0] = 130.0
        upstream.send(HEAD + chunk(b"words"))
        now[0] = 150.0
        upstream.send(chunk(b"more"))
        stall = next(timer for timer in proxy.timers if timer.delay == 30.0)
        now[0] = 160.0
        proxy.ring(stall)
        assert upstream.open  # it has said something since
        stall = proxy.timers[-1]
        assert stall.delay == 20.0
        now[0] = 180.0
        proxy.ring(stall)
        assert not upstream.open
        assert client.received.endswith(chunk(b"sorry.") + END)
        assert proxy.left() == NOTHING


def test_a_timer_keeps_no_flow_alive() -> None:
    with Driven() as proxy:
        client, route = H1Client(proxy), watching("a.example", "b.example")
        route.patience_s, route.stall_s, route.grace_s = 120.0, 300.0, 60.0
        client.post(route=route)
        proxy.accept("refused")
        proxy.accept().send(HEAD + chunk(b"words") + END)
        known = weakref.ref(proxy.flows.pop())
        proxy.by_path.clear()
        del route
        client.post("/2", Plain("c.example"))  # the layer forgets the hooks of the first
        gc.collect()
        assert known() is None
        before = client.received
        while proxy.timers:
            proxy.ring()
        assert client.received == before


# --- defects ------------------------------------------------------------------------------


def broken(*_: object) -> Any:
    raise RuntimeError("a defect")


@pytest.mark.parametrize("grace", [None, 0.0], ids=["no prelude", "prelude"])
@pytest.mark.parametrize("what", ["judge", "watch", "join", "verdict", "last_words"])
@pytest.mark.parametrize("others", [True, False])
def test_a_defect_leaves_no_client_waiting(what: str, grace: float | None, others: bool) -> None:
    with Driven() as proxy:
        client, route = H1Client(proxy), watching("a.example", *["b.example"] * others)
        route.grace_s = grace
        if what == "verdict":
            proxy.hooks["router_verdict"] = lambda flow: None
            route.verdict = lambda: None  # type: ignore[method-assign]
        else:
            setattr(route, what, broken)
        client.post(route=route)
        upstream = proxy.accept()
        if what in ("verdict", "last_words"):
            upstream.close()
        else:
            upstream.send(HEAD + chunk(b"words") + END)
        if proxy.connecting:
            if what in ("judge", "watch"):
                route.judge = lambda head: Hold.PASS  # type: ignore[method-assign]
            proxy.accept().send(HEAD + chunk(b"words") + END)
        assert client.received.endswith(END) or not proxy.client.connected
        assert proxy.left() == NOTHING


# --- memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("upstream", [b"http/1.1", b"h2"])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_requests_that_failed_over_leave_nothing_in_the_tables(http2: bool, upstream: bytes) -> None:
    with Driven(http2=http2, upstream=upstream) as proxy:
        client: Any = H2Client(proxy) if http2 else H1Client(proxy)
        for number in range(500):
            client.post(f"/{number}", watching("a.example", "b.example"))
            if number % 2:
                proxy.accept("refused")
            else:
                proxy.accept().close()
            last = proxy.accept()
            if isinstance(last, H2Upstream):
                last.greet()
                last.flush()
                last.reply(last.requests[0])
            else:
                last.answer()
            last.close()
            proxy.flows.clear()
        assert proxy.left() == NOTHING
        assert len(proxy.layer.connections) < 6
