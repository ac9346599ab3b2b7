"""Provider names lead to the stand-in: `socket.getaddrinfo` is patched, in the test process only."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

_original = socket.getaddrinfo


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
        return self

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        socket.getaddrinfo = self.before

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
