"""Connections that fail before there is a request: ports on loopback for the resolver to lead to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from provider.certs import make_authority
from provider.server import reset_on_close

_Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Trap(StrEnum):
    REFUSED = "refused"  # nothing listens there
    UNKNOWN = "unknown"  # there is no such name
    RESET = "connection reset"  # accepted, then reset
    SILENT = "silent handshake"  # accepted, then nothing
    PLAIN = "no TLS"  # talks plain HTTP to a TLS client
    ALERT = "TLS alert"  # refuses the handshake
    STRANGER = "strange certificate"  # signed by nobody known


@dataclass(frozen=True, slots=True)
class Connect:
    """One look-up of a host by somebody who is about to connect; `trap` None led to the stand-in."""

    at: float
    host: str
    provider: str  # "" if it is none's
    trap: Trap | None


@dataclass
class Traps:
    """Open inside one event loop. `ports` has all but UNKNOWN."""

    folder: Path
    ports: dict[Trap, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.servers: list[asyncio.Server] = []
        self.writers: set[asyncio.StreamWriter] = set()
        self.closed = socket.socket()

    async def start(self) -> None:
        self.closed.bind(("127.0.0.1", 0))  # and never listens
        self.ports[Trap.REFUSED] = self.closed.getsockname()[1]
        (self.folder / "stranger").mkdir(exist_ok=True)
        unknown = make_authority(self.folder / "stranger", ["stranger.example"])
        stranger, refusing = unknown.server_context(["http/1.1"]), unknown.server_context(["http/1.1"])
        refusing.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
        await self._listen(Trap.RESET, _reset)
        await self._listen(Trap.SILENT, _wait)
        await self._listen(Trap.PLAIN, _talk_plainly)
        await self._listen(Trap.ALERT, _wait, refusing)
        await self._listen(Trap.STRANGER, _wait, stranger)

    async def stop(self) -> None:
        self.closed.close()
        for server in self.servers:
            server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _listen(self, trap: Trap, play: _Play, context: ssl.SSLContext | None = None) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.add(writer)
            try:
                await play(reader, writer)
            except OSError:
                pass  # a peer may leave as it likes
            finally:
                writer.transport.abort()
                self.writers.discard(writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        self.servers.append(server)
        self.ports[trap] = server.sockets[0].getsockname()[1]


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset_on_close(writer)


async def _wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1 << 16):
        pass


async def _talk_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
