"""The provider of the benchmark, in a process of its own: fixed answers at once, over kept-alive TLS.

    python -m benchmarks.upstream FOLDER

prints the port. It uses the tests' server, but none of the stand-in's rules: what a strict provider
checks would cost more than what is measured here.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from provider.certs import make_authority
from provider.resolve import Addresses
from provider.server import HttpServer, Reply, Request

from benchmarks import bodies

PROVIDER, OTHER = "api.anthropic.com", "plain.example"
HOSTS = (PROVIDER, OTHER)

_EVENTS = bodies.stream_events()
_BODY = json.dumps(bodies.message("The train leaves from platform nine. " * 4)).encode()


@dataclass
class Upstream:
    """The running process, in the form that the tests' proxy runner asks for."""

    folder: Path

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.upstream", str(self.folder)]
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


async def answer(request: Request, reply: Reply) -> None:
    head = [("request-id", "req_bench"), ("server", "cloudflare")]
    if b'"stream":true' in request.body:
        await reply.start(200, [("content-type", "text/event-stream; charset=utf-8"), *head])
        for event in _EVENTS:
            await reply.send(event)
    else:
        length = ("content-length", str(len(_BODY)))
        await reply.start(200, [("content-type", "application/json"), length, *head])
        await reply.send(_BODY)
    await reply.end()


async def serve(folder: Path) -> None:
    authority = make_authority(folder, HOSTS)
    server = HttpServer(answer, authority.server_context(("http/1.1",)))
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
