"""Notes of what clients sent and saw: one bare mitmproxy in this process with a port for each line."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from mitmproxy import http
from provider.proxy import InProcessProxy, SubprocessProxy


@dataclass
class Exchange:
    """One request and its answer as the client sent and saw them."""

    request: http.Request
    response: http.Response | None = None
    body: bytearray = field(default_factory=bytearray)


@dataclass
class Recorder:
    """The notes of one line, and where its clients find the recorder."""

    url: str
    ca_file: Path
    exchanges: list[Exchange] = field(default_factory=list)


class _Tap:
    """A mitmproxy addon that changes nothing and notes everything, by the mode that a client came in by."""

    def __init__(self, recorders: dict[str, Recorder]) -> None:
        self.recorders = recorders
        self._open: dict[str, Exchange] = {}

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self._open[flow.id] = Exchange(flow.request.copy())
        self.recorders[flow.client_conn.proxy_mode.full_spec].exchanges.append(exchange)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self._open.pop(flow.id, None)
        if exchange is None or flow.response is None:
            return
        exchange.response = copy(flow.response)

        def note(chunk: bytes) -> bytes:
            exchange.body += chunk
            return chunk

        flow.response.stream = note


@contextlib.contextmanager
def recording(proxies: Sequence[SubprocessProxy], folder: Path) -> Iterator[list[Recorder]]:
    """A recorder in front of each proxy. Only one at a time: mitmproxy's options are global to a process."""
    folder.mkdir(parents=True)
    certificates = {file.read_text() for proxy in proxies for file in (proxy.ca_file, proxy.provider.ca_file)}
    trusted = folder / "trusted.pem"
    trusted.write_text("".join(sorted(certificates)))
    ports = _free_ports(len(proxies))
    ca_file = folder / "conf" / "mitmproxy-ca-cert.pem"
    recorders = {
        f"upstream:{proxy.url}@127.0.0.1:{port}": Recorder(f"http://127.0.0.1:{port}", ca_file)
        for proxy, port in zip(proxies, ports, strict=True)
    }
    settings = {"mode": list(recorders), "ssl_verify_upstream_trusted_ca": str(trusted)}
    with InProcessProxy(proxies[0].provider, folder / "conf", [_Tap(recorders)], settings):
        yield list(recorders.values())


def _free_ports(count: int) -> list[int]:
    """mitmproxy takes port 0 for one mode only."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
