"""The provider of the benchmark, in a process of its own: fixed answers at once, over kept-alive TLS.

    python -m benchmarks.upstream FOLDER PREFILL

prints the port. PREFILL is how many seconds pass before a stream says anything, its head included. It uses
the tests' server, but none of the stand-in's rules: what a strict provider checks would cost more than what
is measured here.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from provider.certs import make_authority
from provider.resolve import Addresses
from provider.server import HttpServer, Reply, Request

from benchmarks.traffic import SURFACES, Traffic

OTHER = "plain.example"  # no provider's host; Anthropic's answers come from there too
BROKEN = "broken.example"  # answers nothing but 503
HOSTS = (*sorted({traffic.host for traffic in SURFACES}), OTHER, BROKEN)
ASKED = "x-bench-model"  # of the answer: which model the provider was asked for

_EVENTS = {traffic.surface: list(traffic.stream()) for traffic in SURFACES}
_BODY = {traffic.surface: traffic.answer() for traffic in SURFACES}


@dataclass
class Upstream:
    """The running process, in the form that the tests' proxy runner asks for."""

    folder: Path
    prefill_s: float = 0.0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.upstream", str(self.folder), str(self.prefill_s)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)

    @property
    def ca_file(self) -> Path:
        return self.folder / "standin-ca.pem"

    @property
    def addresses(self) -> dict[str, int]:
        return dict.fromkeys(HOSTS, self.port)

    def reachable(self) -> Addresses:
        return Addresses(self.addresses)


async def answer(request: Request, reply: Reply, prefill_s: float) -> None:
    if request.host.partition(":")[0] == BROKEN:
        await _refuse(reply)
        return
    traffic = _traffic(request.path)
    asked = traffic.asked_model(request.path, request.body)
    head = [("request-id", "req_bench"), ("server", "cloudflare"), (ASKED, asked)]
    if traffic.streams(request.path, request.body):
        if prefill_s:
            await asyncio.sleep(prefill_s)
        await reply.start(200, [("content-type", "text/event-stream; charset=utf-8"), *head])
        for event in _EVENTS[traffic.surface]:
            await reply.send(event)
    else:
        body = _BODY[traffic.surface]
        length = ("content-length", str(len(body)))
        await reply.start(200, [("content-type", "application/json"), length, *head])
        await reply.send(body)
    await reply.end()


async def _refuse(reply: Reply) -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    length = ("content-length", str(len(body)))
    await reply.start(503, [("content-type", "application/json"), length])
    await reply.send(body)
    await reply.end()


def _traffic(path: str) -> Traffic:
    return next(traffic for traffic in SURFACES if traffic.takes(path))


async def serve(folder: Path, prefill_s: float) -> None:
    """HTTP/2 for whoever asks for it; mitmproxy does if its client has."""
    authority = make_authority(folder, HOSTS)

    async def application(request: Request, reply: Reply) -> None:
        await answer(request, reply, prefill_s)

    server = HttpServer(application, authority.server_context(("h2", "http/1.1")))
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
