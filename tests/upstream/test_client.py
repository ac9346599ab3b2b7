"""Pointsman's own calls, on loopback: what comes back, and what is said of what does not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pointsman.errors import UpstreamError
from pointsman.upstream import client
from pointsman.upstream.client import ANSWER_LIMIT, Reply, post, tls_context
from provider import certs
from provider.background import serving
from provider.certs import make_authority
from provider.server import Cut, Request
from provider.server import Reply as Answer

KEY = "sk-planted-0123456789abcdef"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
JSON = [("content-type", "application/json")]

Script = Callable[[Request, Answer], Awaitable[None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certs.TestAuthority:
    return make_authority(tmp_path_factory.mktemp("ca"), ["localhost"])


@pytest.fixture(scope="module")
def tls(authority: certs.TestAuthority) -> ssl.SSLContext:
    return tls_context(authority.ca_file.read_text())


@contextlib.contextmanager
def provider(script: Script, authority: certs.TestAuthority | None) -> Iterator[tuple[str, list[Request]]]:
    """A provider's address, and the requests that have reached it."""
    seen: list[Request] = []

    async def answer(request: Request, reply: Answer) -> None:
        seen.append(request)
        await script(request, reply)

    context = authority.server_context(("http/1.1",)) if authority else None
    with serving(answer, context) as port:
        yield f"http{'s' if authority else ''}://localhost:{port}/v1/chat/completions", seen


async def say(request: Request, reply: Answer) -> None:
    await reply.start(200, JSON)
    await reply.send(b'{"said": ')
    await reply.send(b'"stop"}')
    await reply.end()


def call(url: str, tls: ssl.SSLContext, timeout_s: float = 10.0) -> Reply:
    return asyncio.run(post(url, HEADERS, b'{"asked": true}', tls=tls, timeout_s=timeout_s))


def failure(url: str, tls: ssl.SSLContext, timeout_s: float = 10.0) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        call(url, tls, timeout_s)
    assert KEY not in str(caught.value)
    return caught.value


def test_an_answer(authority: certs.TestAuthority, tls: ssl.SSLContext) -> None:
    with provider(say, authority) as (url, seen):
        reply = call(url, tls)
    assert (reply.status, reply.content_type, reply.data) == (200, "application/json", b'{"said": "stop"}')
    assert reply.ms > 0
    (request,) = seen
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.body == b'{"asked": true}'
    assert request.header("authorization") == f"Bearer {KEY}"


def test_no_proxy_of_the_environment_is_used(
    authority: certs.TestAuthority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy there is most likely this very one."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for where in (authority, None):
        with provider(say, where) as (url, seen):
            assert call(url, tls).status == 200
            assert len(seen) == 1


def test_a_certificate_of_nobodys_is_refused(authority: certs.TestAuthority, tmp_path: Path) -> None:
    others = tls_context(make_authority(tmp_path, ["localhost"]).ca_file.read_text())
    with provider(say, authority) as (url, seen):
        error = failure(url, others)
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        assert failure(url.replace("localhost", "127.0.0.1"), others).kind == "network"
    assert error.kind == "network"
    assert seen == []


def test_a_redirect_is_not_followed(authority: certs.TestAuthority, tls: ssl.SSLContext) -> None:
    async def move(request: Request, reply: Answer) -> None:
        await reply.start(307, [("location", "/elsewhere")])
        await reply.end()

    with provider(move, authority) as (url, seen):
        assert call(url, tls).status == 307
    assert [request.path for request in seen] == ["/v1/chat/completions"]


def test_errors_come_back_whole(authority: certs.TestAuthority, tls: ssl.SSLContext) -> None:
    async def refuse(request: Request, reply: Answer) -> None:
        await reply.start(429, [*JSON, ("retry-after", "7")])
        await reply.send(b'{"error": {"message": "slowly"}}')
        await reply.end()

    with provider(refuse, authority) as (url, _):
        assert call(url, tls).data == b'{"error": {"message": "slowly"}}'


@pytest.mark.parametrize("at", ["head", "body"])
def test_whoever_takes_too_long_is_left(authority: certs.TestAuthority, tls: ssl.SSLContext, at: str) -> None:
    async def dawdle(request: Request, reply: Answer) -> None:
        if at == "body":
            await reply.start(200, JSON)
            await reply.send(b"{")
        await asyncio.sleep(30)

    with provider(dawdle, authority) as (url, seen):
        started = time.monotonic()
        error = failure(url, tls, 0.3)
        assert time.monotonic() - started < 5
        assert len(seen) == 1
    assert (error.kind, str(error)) == ("timeout", "no answer within 0.3 s")


def test_a_drip_does_not_hold_it_for_ever(authority: certs.TestAuthority, tls: ssl.SSLContext) -> None:
    async def drip(request: Request, reply: Answer) -> None:
        await reply.start(200, JSON)
        for _ in range(500):
            await reply.send(b" ")
            await asyncio.sleep(0.02)

    with provider(drip, authority) as (url, _):
        assert failure(url, tls, 0.4).kind == "timeout"


def test_a_connection_that_breaks(authority: certs.TestAuthority, tls: ssl.SSLContext) -> None:
    async def cut(request: Request, reply: Answer) -> None:
        await reply.start(200, [*JSON, ("content-length", "100")])
        await reply.send(b"{")
        raise Cut

    with provider(cut, authority) as (url, _):
        error = failure(url, tls)
    assert error.kind == "network"
    assert str(error).startswith("no answer: ")
    refused = failure(url, tls)
    assert (refused.kind, str(refused)) == ("network", "no answer: Connection refused")
    assert refused.status is None


def test_an_answer_without_end_is_left(
    authority: certs.TestAuthority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_LIMIT", 1 << 20)
    assert ANSWER_LIMIT == 8 << 20

    async def flood(request: Request, reply: Answer) -> None:
        await reply.start(200, JSON)
        for _ in range(64):
            await reply.send(b"x" * 65536)
            await asyncio.sleep(0)

    with provider(flood, authority) as (url, _):
        error = failure(url, tls)
    assert (error.kind, str(error)) == ("answer", "an answer of more than 1 MiB")


@pytest.mark.parametrize("url", ["ftp://localhost/x", "https://", "https://local host/", "nonsense"])
def test_what_is_no_address(url: str, tls: ssl.SSLContext) -> None:
    assert failure(url, tls).kind in ("network", "key")


def test_a_header_that_cannot_be_sent_is_not_repeated(tls: ssl.SSLContext) -> None:
    for bad in (f"Bearer {KEY}\r\nx: y", f"Bearer {KEY} ü\N{SNOWMAN}"):
        with pytest.raises(UpstreamError) as caught:
            asyncio.run(post("https://localhost:9/", {"authorization": bad}, b"", tls=tls, timeout_s=5))
        assert KEY not in str(caught.value)


def test_nothing_is_left_open(authority: certs.TestAuthority, tls: ssl.SSLContext) -> None:
    async def twice() -> int:
        with provider(say, authority) as (url, _):
            await post(url, HEADERS, b"{}", tls=tls, timeout_s=5)
            with contextlib.suppress(UpstreamError):
                await post(url + "x" * 100_000, HEADERS, b"{}", tls=tls, timeout_s=5)
            await asyncio.sleep(0.05)
            return len(asyncio.all_tasks()) - 1

    assert asyncio.run(twice()) == 0
