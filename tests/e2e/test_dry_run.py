"""A dry run tells what would be decided. Nothing is sent, nothing stored, and no conversation hears of it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from e2e.support import MESSAGES, QUIET_SECONDS, REQUESTS, Rows, message_of, tunnel
from pointsman.errors import BundleError
from provider.proxy import InProcessProxy, trust
from provider.standin import StandIn

ROUTE = "http://router.local/v1/route"
DRY = {"x-router-dry-run": "true"}

# What differs between two decisions on one request.
OWN = ("id", "at", "decide_ms", "embed_ms")

surfaces = pytest.mark.parametrize("surface", REQUESTS)


@pytest.fixture
def nothing_happens(proxy: InProcessProxy, provider: StandIn, rows: Rows) -> Iterator[None]:
    """No provider hears of the test, no row is written, and no conversation is remembered."""
    sessions = proxy.addons[0].engine.pipeline.sessions
    before = sessions.items()
    yield
    assert provider.records == []
    assert rows.all() == []
    assert sessions.items() == before
    assert not proxy.addons[0].own


def decided(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["decision"]
    return {name: value for name, value in body["decision"].items() if name not in OWN}


# --- all three ways say the same ------------------------------------------------------------


@surfaces
@pytest.mark.usefixtures("nothing_happens")
def test_a_body_alone_and_a_real_request_get_the_same_decision(web: httpx2.Client, surface: str) -> None:
    url, body, says = REQUESTS[surface]
    alone = decided(web.post(ROUTE + says, json=body))
    assert alone["surface"] == surface
    assert alone["served_model"] and alone["candidates"] and alone["clusters"] and alone["knobs"]
    assert decided(web.post(url, json=body, headers=DRY)) == alone
    assert decided(web.post(ROUTE + says, json=body)) == alone


@surfaces
def test_the_request_that_follows_is_served_as_was_said(
    web: httpx2.Client, provider: StandIn, rows: Rows, surface: str
) -> None:
    url, body, says = REQUESTS[surface]
    said = decided(web.post(ROUTE + says, json=body))
    assert decided(web.post(url, json=body, headers=DRY)) == said
    assert web.post(url, json=body, headers={"x-router-dry-run": "false"}).status_code == 200
    (row,) = rows.all()
    for name in ("served_model", "reason", "session", "previous_model", "knobs_hash", "margin", "marker"):
        assert row[name] == said[name], name
    for name in ("candidates", "clusters", "knobs", "adaptations"):
        assert json.loads(row[name]) == said[name], name
    assert len(provider.records) == 1


def test_a_conversation_shows_its_model_and_keeps_it(web: httpx2.Client, proxy: InProcessProxy) -> None:
    url, body, _ = REQUESTS["anthropic"]
    hint = {"x-claude-code-session-id": "3f6c"}
    served = web.post(url, json=body, headers=hint).headers["x-router-model"]
    call = {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a"}
    loop = [*MESSAGES, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    sessions = proxy.addons[0].engine.pipeline.sessions
    before = sessions.items()
    for _ in range(2):
        said = decided(web.post(ROUTE, json={**body, "messages": loop}, headers=hint))
        assert (said["reason"], said["served_model"]) == ("mid tool loop", served)
        assert said["previous_model"] == served
    stranger = hint | {"x-api-key": "sk-ant-x"}
    other = decided(web.post(ROUTE, json={**body, "messages": loop}, headers=stranger))
    assert other["previous_model"] is None
    assert sessions.items() == before


@pytest.mark.usefixtures("nothing_happens")
def test_without_a_credential_routing_is_shown(web: httpx2.Client) -> None:
    url, body, _ = REQUESTS["anthropic"]
    web.headers, web.auth = httpx2.Headers(), None
    said = decided(web.post(ROUTE, json=body))
    assert (said["credential_kind"], said["strategy"]) == ("none", "cluster")
    assert decided(web.post(url, json=body, headers=DRY)) == said


@pytest.mark.usefixtures("nothing_happens")
def test_no_credential_is_repeated(web: httpx2.Client, account: str) -> None:
    for url, body, says in REQUESTS.values():
        for answer in (web.post(ROUTE + says, json=body), web.post(url, json=body, headers=DRY)):
            assert account not in answer.text


@pytest.mark.usefixtures("nothing_happens")
def test_headers_for_the_router_count(web: httpx2.Client) -> None:
    _, body, _ = REQUESTS["anthropic"]
    forced = decided(web.post(ROUTE, json=body, headers={"x-router-model": "claude-haiku-4-5"}))
    assert (forced["served_model"], forced["reason"]) == ("claude-haiku-4-5", "forced by header")
    cheap = decided(web.post(ROUTE, json=body, headers={"x-router-alpha": "0"}))
    assert cheap["knobs"]["alpha"] == 0
    assert cheap["knobs_hash"] != decided(web.post(ROUTE, json=body))["knobs_hash"]


# --- what is refused ------------------------------------------------------------------------


@surfaces
@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ({"x-router-alpha": "NaN"}, "x-router-alpha must be a finite number from 0 to 1"),
        ({"x-router-model": "no-such-model"}, "'no-such-model' is not in the catalogue"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_the_surfaces_shape(
    web: httpx2.Client, surface: str, headers: dict[str, str], part: str
) -> None:
    url, body, says = REQUESTS[surface]
    for answer in (
        web.post(ROUTE + says, json=body, headers=headers),
        web.post(url, json=body, headers=DRY | headers),
    ):
        assert answer.status_code == 400
        assert part in message_of(answer, surface)


@surfaces
@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("value", ["True", "yes", "1", "", "true, false"])
def test_the_header_is_exactly_true_or_false(web: httpx2.Client, surface: str, value: str) -> None:
    url, body, _ = REQUESTS[surface]
    answer = web.post(url, json=body, headers={"x-router-dry-run": value})
    assert answer.status_code == 400
    assert "x-router-dry-run must be exactly true or false" in message_of(answer, surface)


@surfaces
@pytest.mark.usefixtures("nothing_happens")
def test_a_defect_of_the_bundle_is_a_503_although_routing_fails_open(
    web: httpx2.Client, proxy: InProcessProxy, surface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BundleError("centroids.bin is not what it was")

    monkeypatch.setattr("pointsman.scoring.cluster.score", broken)
    url, body, says = REQUESTS[surface]
    for answer in (web.post(ROUTE + says, json=body), web.post(url, json=body, headers=DRY)):
        assert answer.status_code == 503
        assert "centroids.bin is not what it was" in message_of(answer, surface)


@surfaces
@pytest.mark.usefixtures("nothing_happens")
def test_a_body_that_would_pass_unrouted_is_an_error(web: httpx2.Client, surface: str) -> None:
    url = REQUESTS[surface][0]
    for answer in (
        web.post(f"{ROUTE}?surface={surface}&model=m", content=b'{"model'),
        web.post(url, content=b'{"model', headers=DRY),
    ):
        assert answer.status_code == 400
        assert "This is not JSON" in message_of(answer, surface)


@pytest.mark.usefixtures("nothing_happens")
def test_a_body_that_is_too_large(web: httpx2.Client, proxy: InProcessProxy) -> None:
    url, body, _ = REQUESTS["openai_chat"]
    body = {**body, "user": "x" * 1024}
    with proxy.setting(router_max_body_bytes=1024, stream_large_bodies="10"):
        for answer in (
            web.post(f"{ROUTE}?surface=openai_chat", json=body),
            web.post(url, json=body, headers=DRY),
        ):
            assert answer.status_code == 413
            assert "larger than 1024 bytes" in message_of(answer, "openai_chat")


@pytest.mark.usefixtures("nothing_happens")
def test_what_is_no_request_to_a_model_is_not_sent_either(web: httpx2.Client, proxy: InProcessProxy) -> None:
    with proxy.setting(stream_large_bodies="1"):
        answer = web.post("https://api.anthropic.com/v1/files", content=b"x" * 50, headers=DRY)
    assert answer.status_code == 400
    assert "nothing is decided" in message_of(answer, "anthropic")
    answer = web.get("https://api.openai.com/v1/models", headers={"x-router-dry-run": "no"})
    assert "exactly true or false" in message_of(answer, "openai_chat")


def test_a_false_one_on_another_path_passes_without_it(web: httpx2.Client, provider: StandIn) -> None:
    web.post("https://api.anthropic.com/v1/files", content=b"x", headers={"x-router-dry-run": "false"})
    assert provider.records[-1].request.body == b"x"  # the stand-in itself objects to headers of the router


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("host", ["router.local", "api.anthropic.com"])
def test_a_client_that_leaves_amid_its_body_leaves_nothing(proxy: InProcessProxy, host: str) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as line:
        head = f"POST http://{host}/v1/files HTTP/1.1\r\nhost: {host}\r\nx-router-dry-run: true\r\n"
        line.sendall(head.encode() + b"content-length: 90\r\n\r\n{")
        wait_for(lambda: bool(proxy.addons[0].own))
    wait_for(lambda: not proxy.addons[0].own)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + QUIET_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


# --- router.local ---------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_happens")
def test_the_index_says_what_there_is(web: httpx2.Client) -> None:
    found = web.get("http://router.local/").json()
    assert set(found["endpoints"]) >= {"GET /", "POST /v1/route"}
    assert "economy" in found["presets"][found["bundle"]]
    answer = web.get("http://Router.Local/v1/rout")
    assert answer.status_code == 404
    assert "POST /v1/route" in answer.json()["error"]["message"]
    answer = web.get(ROUTE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://router.local"])
def test_no_web_page_is_answered(web: httpx2.Client, origin: str) -> None:
    for method, url in (("POST", ROUTE), ("OPTIONS", ROUTE), ("GET", "http://router.local/")):
        answer = web.request(method, url, json=REQUESTS["anthropic"][1], headers={"origin": origin})
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.usefixtures("nothing_happens")
def test_it_is_answered_over_tls_too(web: httpx2.Client, proxy: InProcessProxy) -> None:
    body = REQUESTS["anthropic"][1]
    said = decided(web.post(ROUTE.replace("http:", "https:"), json=body))
    assert said == decided(web.post(ROUTE, json=body))
    with tunnel(proxy, "router.local", trust(proxy.ca_file)) as line:
        assert line.getpeercert()


@pytest.mark.usefixtures("nothing_happens")
def test_its_name_is_never_looked_up(proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no HTTP is spoken to it: the tunnel is closed."""
    asked: list[object] = []
    lookup = socket.getaddrinfo

    def remembered(host: Any, *arguments: Any, **more: Any) -> Any:
        asked.append(host)
        return lookup(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", remembered)
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as line:
        line.sendall(b"CONNECT router.local:22 HTTP/1.1\r\nhost: router.local:22\r\n\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 200")
        line.sendall(b"SSH-2.0-x\r\n")
        assert line.recv(4096) == b""
    with httpx2.Client(proxy=proxy.url) as client:
        assert client.get("http://router.local/").status_code == 200
    assert "router.local" not in asked
