"""What the stand-in is told to do wrong is what its peer meets, over HTTP/1.1 and HTTP/2, and is counted."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx2
import pytest
from provider.answers import Answer, Break, Fault, How, Pace, Page, Text, big_headers
from provider.proxy import trust
from provider.standin import StandIn
from provider.traps import Trap

URL = "https://openrouter.ai/api/v1/chat/completions"
ASK: dict[str, Any] = {
    "model": "deepseek/deepseek-chat",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
}
SAID = "Platform nine, at eleven o'clock sharp."
BROKEN = {How.RESET, How.REFUSE, How.CLOSE, How.GOAWAY}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("failures")) as made, made.reachable():
        yield made


@pytest.fixture
def provider(running: StandIn) -> Iterator[StandIn]:
    running.reset()
    yield running
    running.check()


@pytest.fixture(params=["h1", "h2"])
def http(provider: StandIn, request: pytest.FixtureRequest) -> Iterator[httpx2.Client]:
    keys = {"authorization": f"Bearer {provider.key('openrouter', 'one')}"}
    with httpx2.Client(
        verify=trust(provider.ca_file), http2=request.param == "h2", headers=keys, timeout=5
    ) as made:
        yield made


def ask(http: httpx2.Client, **more: Any) -> tuple[int | None, bytes, Exception | None]:
    """Status, body as far as it came, and what ended it."""
    status, got = None, b""
    try:
        with http.stream("POST", URL, json={**ASK, **more}) as answer:
            status = answer.status_code
            for chunk in answer.iter_raw():
                got += chunk
    except httpx2.HTTPError as error:
        return status, got, error
    return status, got, None


@pytest.mark.parametrize("how", sorted(BROKEN))
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("where", [{}, {"events": 0}, {"events": 3, "half": True}, {"size": 100}])
def test_breaks(
    provider: StandIn, http: httpx2.Client, how: How, streamed: bool, where: dict[str, Any]
) -> None:
    provider.script(Answer((Text(SAID),), broken=Break(how, **where)))
    status, got, error = ask(http, stream=streamed)
    assert isinstance(error, httpx2.TransportError)
    assert status == (200 if where else None)
    record = provider.last
    assert record.outcome == (f"200 {how.value}" if where else how.value)
    assert not record.complete
    assert record.sent == len(got)
    if "size" in where:
        assert len(got) == 100
    elif where.get("events") and streamed:
        assert record.events == 3 and got.count(b"data:") == 3
    elif not where.get("half"):
        assert got == b""
    assert ask(http)[2] is None and provider.last.complete


def test_a_break_after_everything_is_one_of_the_message(provider: StandIn, http: httpx2.Client) -> None:
    provider.script(Answer((Text(SAID),), broken=Break(How.CLOSE, size=1 << 30)))
    _, got, error = ask(http)
    assert error is not None and got.endswith(b"data: [DONE]\n\n")
    assert provider.last.sent == len(got)


@pytest.mark.parametrize("where", [{}, {"events": 0}, {"events": 3}, {"size": 100}])
def test_stalls(provider: StandIn, http: httpx2.Client, where: dict[str, Any]) -> None:
    provider.script(Answer((Text(SAID),), broken=Break(How.STALL, **where)))
    http.timeout = httpx2.Timeout(5, read=0.2)
    status, got, error = ask(http)
    assert isinstance(error, httpx2.ReadTimeout)
    assert (status, bool(got)) == (200 if where else None, bool(where.get("events") or where.get("size")))
    assert provider.last.outcome.endswith("stall")


def test_an_http2_connection_survives_a_reset_stream_and_not_a_goaway(provider: StandIn) -> None:
    steps = {How.RESET: 5, How.REFUSE: 7, How.GOAWAY: None}
    for how, code in steps.items():
        provider.script(Answer(broken=Break(how, events=1)))
        peer = Peer(provider)
        events = peer.ask(1)
        assert [event.error_code for event in events if isinstance(event, h2.events.StreamReset)] == (
            [2 if how is How.RESET else code] if how is not How.GOAWAY else []
        )
        gone = [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
        assert [event.last_stream_id for event in gone] == ([0] if how is How.GOAWAY else [])
        if not gone:
            assert any(isinstance(event, h2.events.StreamEnded) for event in peer.ask(3))
        peer.socket.close()


class Peer:
    """HTTP/2 with its hands on the frames."""

    def __init__(self, provider: StandIn) -> None:
        context = trust(provider.ca_file)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", provider.port), 5)
        self.socket = context.wrap_socket(plain, server_hostname="openrouter.ai")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.key = provider.key("openrouter", "one")

    def ask(self, stream: int) -> list[h2.events.Event]:
        """The events until this stream or the connection is over."""
        fields = {":method": "POST", ":path": "/api/v1/chat/completions", ":scheme": "https"}
        fields |= {":authority": "openrouter.ai", "authorization": f"Bearer {self.key}"}
        self.h2.send_headers(stream, list(fields.items()))
        body = httpx2.Request("POST", URL, json=ASK).content
        self.h2.send_data(stream, body, end_stream=True)
        self.socket.sendall(self.h2.data_to_send())
        events: list[h2.events.Event] = []
        ends = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)
        while not any(isinstance(event, ends) for event in events):
            data = b""
            with suppress(ssl.SSLError, OSError):
                data = self.socket.recv(65536)
            if not data:
                break
            events += self.h2.receive_data(data)
        return events


@pytest.mark.parametrize("trap", Trap)
def test_traps_are_for_one_attempt_at_one_provider(
    provider: StandIn, http: httpx2.Client, trap: Trap
) -> None:
    provider.script_at("openrouter", trap, Answer((Text("again"),)))
    http.timeout = httpx2.Timeout(0.3)
    status, _, error = ask(http)
    assert status is None and isinstance(error, httpx2.TransportError)
    assert (http.get("https://plain.example/").status_code, ask(http)[0]) == (200, 200)
    assert provider.attempts == [("openrouter", trap.value), ("openrouter", "200")]


def test_an_idle_connection_does_not_lead_past_a_trap(provider: StandIn) -> None:
    keys = {"authorization": f"Bearer {provider.key('openrouter', 'one')}"}
    with httpx2.Client(verify=trust(provider.ca_file), headers=keys) as http:
        assert ask(http)[0] == 200
        provider.script_at("openrouter", Trap.REFUSED)
        assert [ask(http)[0] for _ in range(2)] == [None, 200]
    assert provider.attempts == [("openrouter", "200"), ("openrouter", "refused"), ("openrouter", "200")]


def test_a_function_may_say_what_a_connection_meets(provider: StandIn, http: httpx2.Client) -> None:
    provider.connecting = lambda host: Trap.REFUSED if host == "openrouter.ai" else None
    assert isinstance(ask(http)[2], httpx2.ConnectError)
    assert http.get("https://plain.example/").status_code == 200
    assert [connect.trap for connect in provider.connects] == [Trap.REFUSED, None]


def test_each_provider_has_a_queue_of_its_own(provider: StandIn, http: httpx2.Client) -> None:
    provider.script_at("groq", Fault(500))
    provider.script_at("openrouter", Fault(429, headers={"retry-after": "7"}), Page(b"<html>"))
    assert [ask(http)[0] for _ in range(3)] == [429, 200, 200]
    assert provider.queues["groq"]


def test_a_trap_that_an_open_connection_leads_past_is_a_defect(running: StandIn, http: httpx2.Client) -> None:
    ask(http)
    running.queues["openrouter"] = deque([Trap.REFUSED])
    assert ask(http)[2] is not None
    assert len(running.defects) == 1 and "no refused met" in running.defects[0]
    running.defects.clear()


def test_headers_are_replaced_and_left_out(provider: StandIn, http: httpx2.Client) -> None:
    date = "Sun, 29 Nov 2026 02:00:00 GMT"
    provider.script(
        Fault(529, headers={"content-type": "text/plain", "retry-after": date, "server": ""}),
        Answer(headers={"content-type": "application/octet-stream"}),
        Answer(headers=big_headers(1 << 17)),
    )
    refused = http.post(URL, json=ASK)
    assert refused.headers.get_list("content-type") == ["text/plain"]
    assert (refused.headers["retry-after"], refused.headers.get("server")) == (date, None)
    assert http.post(URL, json=ASK).headers.get_list("content-type") == ["application/octet-stream"]
    with suppress(httpx2.TransportError):  # more than most clients bear
        http.post(URL, json=ASK)
    assert provider.last.outcome in ("200", "200 gone")


def test_streams_for_bodies_and_bodies_for_streams(provider: StandIn, http: httpx2.Client) -> None:
    provider.script(Answer(streamed=False), Answer(streamed=True), Answer(blocks=(), think=None))
    assert ask(http, stream=True)[1].startswith(b"{")
    assert b"data: [DONE]" in ask(http, stream=False)[1]
    assert b"finish_reason" in ask(http, stream=True)[1]


def test_pace_is_of_heads_and_of_first_events(provider: StandIn, http: httpx2.Client) -> None:
    ask(http)
    for pace in (Pace(head=0.15), Pace(first=0.15)):
        provider.script(Answer(pace=pace))
        with http.stream("POST", URL, json=ASK) as answer:
            assert answer.read()
        assert answer.elapsed.total_seconds() >= 0.15


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (URL, {"authorization": "Bearer sk-proj-mine"}),
        (URL, {"authorization": "Bearer sk-or-v1-one", "x-api-key": "sk-ant-api03-mine"}),
        ("https://api.groq.com/openai/v1/chat/completions", {"authorization": "Bearer sk-or-v1-one"}),
        ("https://api.anthropic.com/v1/messages", {"x-api-key": "sk-or-v1-one"}),
        (f"{URL}?key=AIza-mine", {"authorization": "Bearer sk-or-v1-one"}),
    ],
)
def test_a_key_at_another_host_is_a_violation(
    running: StandIn, http: httpx2.Client, url: str, headers: dict[str, str]
) -> None:
    del http.headers["authorization"]
    http.post(url, json=ASK, headers=headers)
    assert len(running.violations) == 1 and "carries a key of" in running.violations[0]
    running.violations.clear()


def test_a_key_in_a_body_is_a_violation(running: StandIn, http: httpx2.Client) -> None:
    secret = running.key("anthropic", "mine")
    http.post(URL, json={**ASK, "user": secret})
    assert running.violations == ["request 1 to openrouter.ai carries a key of anthropic"]
    running.violations.clear()
