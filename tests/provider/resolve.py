"""Provider names lead to the stand-in: `socket.getaddrinfo` is patched, in the test process only.

anyio, with which httpx2 connects where it is asynchronous, takes only the address of what it looks up, and
not the port: so it is handed both.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import anyio

_original = socket.getaddrinfo
_connect = anyio.connect_tcp


class Addresses:
    """While open, port 443 of the given hosts is a port on loopback; no other name is resolved at all.

    `led` is asked at each look-up of a given host, from any thread, and may name another port; it raises
    LookupError where there shall be no such name.
    """

    def __init__(self, ports: Mapping[str, int], led: Callable[[str], int | None] | None = None) -> None:
        self.ports = dict(ports)
        self.led = led
        self.before = socket.getaddrinfo

    def install(self) -> Self:
        self.before, socket.getaddrinfo = socket.getaddrinfo, self.lookup
        anyio.connect_tcp = _connect_as_looked_up  # type: ignore[assignment]
        return self

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        socket.getaddrinfo = self.before
        anyio.connect_tcp = _connect if self.before is _original else _connect_as_looked_up

    def lookup(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name in self.ports and int(port or 0) in (0, 443):
            return _original("127.0.0.1", self._port(name), *args, **kwargs)
        if name in (None, "", "localhost") or str(name).replace(".", "").isdigit() or ":" in str(name):
            return _original(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, f"the tests do not reach {name}")

    def _port(self, name: str) -> int:
        try:
            led = self.led(name) if self.led else None
        except LookupError:
            raise socket.gaierror(socket.EAI_NONAME, f"there is no {name} this time") from None
        return self.ports[name] if led is None else led


async def _connect_as_looked_up(remote_host: str, remote_port: int, **options: Any) -> Any:
    found = socket.getaddrinfo(remote_host, remote_port, type=socket.SOCK_STREAM)
    return await _connect(*found[0][4][:2], **options)
