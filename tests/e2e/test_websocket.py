"""A model API over a WebSocket: refused at once, on a connection that goes on, or let through."""

from __future__ import annotations

import http.client
import json
import ssl

import pytest
from e2e.support import Rows, tunnel
from provider.proxy import InProcessProxy, trust
from provider.standin import StandIn

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Authorization": "Bearer sk-tester",
}


def connected(proxy: InProcessProxy, host: str = "api.openai.com") -> http.client.HTTPConnection:
    context = trust(proxy.ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.sock = tunnel(proxy, host, context)
    return connection


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("api.openai.com", "/v1/responses"),
        ("api.openai.com", "/v1/responses?x=1"),
        ("chatgpt.com", "/backend-api/codex/responses"),
    ],
)
def test_it_is_refused_before_the_provider_hears_of_it(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, host: str, path: str
) -> None:
    connection = connected(proxy, host)
    for _ in range(2):  # the connection goes on
        connection.request("GET", path, headers=UPGRADE)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status == 426
        assert "POST" in said["error"]["message"]
    connection.close()
    assert not provider.records
    assert not rows.all()


def test_other_sockets_are_none_of_ours(proxy: InProcessProxy, provider: StandIn) -> None:
    """Realtime has no plain requests to fall back to."""
    connection = connected(proxy)
    connection.request("GET", "/v1/realtime?model=gpt-realtime", headers=UPGRADE)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status != 426
    assert [record.path for record in provider.records] == ["/v1/realtime"]


def test_it_can_be_let_through(proxy: InProcessProxy, provider: StandIn) -> None:
    with proxy.setting(router_websocket="passthrough"):
        connection = connected(proxy)
        connection.request("GET", "/v1/responses", headers=UPGRADE)
        connection.getresponse().read()
        connection.close()
    assert [record.path for record in provider.records] == ["/v1/responses"]
