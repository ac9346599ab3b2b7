"""A host named in router.yaml, reached in each way that mitmproxy can be put between.

A local server without TLS: through a forward proxy, through a reverse proxy, and captured, where mitmproxy
knows the address only. mitmproxy's own capture of local programs needs a kernel that lets it; SOCKS with
an address shows the addon the same.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from provider.background import serving
from provider.proxy import SubprocessProxy
from provider.server import Reply, Request

BODY = {
    "model": "claude-opus-4-8",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "Why is the night train late?"}],
}
ROUTE = "routes: [{name: r, requested: claude-opus-4-8, strategy: fixed, model: claude-haiku-4-5}]\n"


class Local:
    """A server without TLS that answers every message with the model that it was asked for."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.port = 0

    @contextlib.contextmanager
    def open(self) -> Iterator[Local]:
        with serving(self.answer) as self.port:
            yield self

    async def answer(self, request: Request, reply: Reply) -> None:
        self.requests.append(request)
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": json.loads(request.body)["model"],
            "content": [{"type": "text", "text": "Snow."}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 9, "output_tokens": 2},
        }
        body = json.dumps(message).encode()
        head = [("content-type", "application/json"), ("content-length", str(len(body)))]
        await reply.start(200, head)
        await reply.send(body)
        await reply.end()


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with Local().open() as made:
        yield made


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module", params=["localhost", "127.0.0.1"])
def ways(
    request: pytest.FixtureRequest, local: Local, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """One mitmdump in all modes; router.yaml names the server by its name or by its address."""
    folder = tmp_path_factory.mktemp("modes")
    port = local.port
    (folder / "router.yaml").write_text(f"hosts: {{anthropic: ['{request.param}:{port}']}}\n{ROUTE}")
    forward, reverse, socks, behind, nowhere = free_ports(5)
    settings = {"router_db": folder / "decisions.sqlite", "router_config": folder / "router.yaml"}
    modes = (
        f"regular@{forward}",
        f"reverse:http://{request.param}:{port}@{reverse}",
        f"socks5@{socks}",
        f"upstream:http://127.0.0.1:{nowhere}@{behind}",
    )
    arguments = [word for mode in modes for word in ("--mode", mode)]
    provider = SimpleNamespace(addresses={"plain.example": 1}, ca_file=Path(__file__))
    proxy = SubprocessProxy(provider, folder, settings=settings, arguments=arguments)  # type: ignore[arg-type]
    with proxy:
        yield SimpleNamespace(
            host=request.param, port=port, forward=forward, reverse=reverse, socks=socks, behind=behind
        )


def check(answer: dict[str, object], local: Local) -> None:
    assert answer["model"] == "claude-opus-4-8"
    assert answer["x_router"]["model"] == "claude-haiku-4-5"  # type: ignore[index]
    assert json.loads(local.requests[-1].body)["model"] == "claude-haiku-4-5"


def test_through_a_forward_proxy(ways: SimpleNamespace, local: Local) -> None:
    with httpx2.Client(proxy=f"http://127.0.0.1:{ways.forward}", timeout=10) as client:
        answer = client.post(f"http://{ways.host}:{ways.port}/v1/messages", json=BODY)
    check(answer.json(), local)


def test_through_a_reverse_proxy(ways: SimpleNamespace, local: Local) -> None:
    with httpx2.Client(trust_env=False, timeout=10) as client:
        answer = client.post(f"http://127.0.0.1:{ways.reverse}/v1/messages", json=BODY)
    check(answer.json(), local)


def test_captured_by_address(ways: SimpleNamespace, local: Local) -> None:
    """SOCKS 5 (RFC 1928): no authentication, CONNECT to an IPv4 address; then HTTP with the host's name."""
    body = json.dumps(BODY).encode()
    with socket.create_connection(("127.0.0.1", ways.socks), 10) as line:
        line.sendall(b"\x05\x01\x00")
        assert line.recv(2) == b"\x05\x00"
        line.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", ways.port))
        assert line.recv(10)[:2] == b"\x05\x00"
        head = f"POST /v1/messages HTTP/1.1\r\nhost: {ways.host}:{ways.port}\r\nconnection: close\r\n"
        line.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        said = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, answer = said.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    check(json.loads(answer), local)


def test_another_port_of_the_same_host_only_passes(ways: SimpleNamespace) -> None:
    """The entry in router.yaml has a port, and means that one."""
    proxy = f"http://127.0.0.1:{ways.forward}"
    with Local().open() as other, httpx2.Client(proxy=proxy, timeout=10) as client:
        answer = client.post(f"http://{ways.host}:{other.port}/v1/messages", json=BODY)
    assert "x_router" not in answer.json()
    assert json.loads(other.requests[-1].body)["model"] == "claude-opus-4-8"


@pytest.mark.parametrize("way", ["forward", "reverse", "behind"])
def test_router_local_is_answered_here(ways: SimpleNamespace, local: Local, way: str) -> None:
    """By a proxy before one server too, and by one behind another proxy, here one that nobody runs."""
    before = len(local.requests)
    with httpx2.Client(proxy=f"http://127.0.0.1:{getattr(ways, way)}", timeout=10) as client:
        answer = client.post("http://router.local/v1/route", json=BODY)
    assert answer.json()["decision"]["served_model"] == "claude-haiku-4-5"
    assert len(local.requests) == before
