"""What a look at a proxy finds: addresses, and what listens there when it is no proxy of ours."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pointsman import probe

REST = "00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0"


@contextmanager
def answering(reply: bytes) -> Iterator[tuple[str, int]]:
    """A server that reads a little, sends the reply and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.close()
        thread.join(10)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "no HTTP proxy"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "refuses a tunnel"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no TLS connection"),
        (b"HTTP/1.1 200 OK\r\n\r\nplain text\r\n", "no TLS connection"),
    ],
)
def test_what_is_no_proxy_is_said(reply: bytes, why: str) -> None:
    with answering(reply) as address, pytest.raises(probe.ProbeError, match=why):
        probe.certificate(address, "api.anthropic.com")


def test_nothing_there() -> None:
    assert not probe.answers(("127.0.0.1", 1))
    with pytest.raises(probe.ProbeError, match="refused"):
        probe.certificate(("127.0.0.1", 1), "api.anthropic.com")


def test_addresses_from_the_kernel() -> None:
    lines = [
        f"   0: 0100007F:1F90 00000000:0000 0A {REST}",
        f"   1: 00000000:1F90 00000000:0000 0A {REST}",
        f"   2: 0100007F:1F91 00000000:0000 0A {REST}",  # another port
        f"   3: 0100007F:1F90 0100007F:9C40 01 {REST}",  # a connection
        f"   4: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A {REST}",
    ]
    assert list(probe.from_proc(lines, 8080, byteorder="little")) == ["127.0.0.1", "0.0.0.0", "::1"]


def test_addresses_from_lsof() -> None:
    output = "p812\nf7\nn127.0.0.1:8080\nf8\nn*:8080\nf9\nn[::1]:8080\n"
    assert list(probe.from_lsof(output)) == ["127.0.0.1", "0.0.0.0", "::1"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_addresses_of_a_real_socket(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with listener:
        found = probe.listening_addresses(listener.getsockname()[1])
    if found is None:
        pytest.skip("this system does not say which addresses are listened on")
    assert found == [host]


def test_loopback() -> None:
    names = {
        "127.0.0.1": True,
        "127.8.9.1": True,
        "::1": True,
        "localhost": True,
        "0.0.0.0": False,
        "": False,
    }
    assert {name: probe.is_loopback(name) for name in names} == names
