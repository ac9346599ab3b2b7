"""Which requests are for Pointsman itself, whatever a client writes as its host."""

from __future__ import annotations

import pytest
from mitmproxy import http
from pointsman import local


def request(url: str, host: bytes = b"", authority: bytes = b"") -> http.Request:
    made = http.Request.make("GET", url)
    made.data.authority = authority
    if host:
        made.headers["host"] = host  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(
    ("made", "ours"),
    [
        (request("http://router.local/"), True),
        (request("http://ROUTER.local.:8443/"), True),
        (request("https://127.0.0.1/", b"router.local"), True),  # captured, or through a reverse proxy
        (request("https://127.0.0.1/", b"Router.Local:443"), True),
        (request("https://api.anthropic.com/", b"api.anthropic.com", b"router.local:80"), True),
        (request("https://api.anthropic.com/", b"api.anthropic.com"), False),
        (request("http://router.local.example/"), False),
        (request("http://a.router.local/"), False),
        (request("http://api.anthropic.com/?x=router.local"), False),
        (request("http://x/", b"\xff\xfe"), False),
        (request("http://x/", b"[router.local"), False),
        (request("http://x/", b"x", b"\xff:router.local"), False),
    ],
)
def test_what_is_for_us(made: http.Request, ours: bool) -> None:
    assert local.is_for_us(made) is ours


def test_every_endpoint_says_what_it_is_for() -> None:
    assert all(path.startswith("/") and endpoint.help for (_, path), endpoint in local.ENDPOINTS.items())
