"""A line from a client to the stand-in provider: direct, over bare mitmproxy, or over Pointsman.

    direct      client ─────────────────────────────────── provider
    bare        client ── recorder ── mitmdump ──────────── provider
    pointsman   client ── recorder ── mitmdump + addon ──── provider

The recorder is bare mitmproxy in this process and notes what the client sent and saw. Both middle
lines have the same number of hops, so that all that can differ between them is the addon's doing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clients.client import Client
from clients.kinds import PROGRAMS
from clients.provider import Provider
from clients.recorder import Exchange, Recorder, recording
from pointsman import trust
from provider.proxy import SCRIPT, SubprocessProxy

EMPTY: Mapping[str, str] = MappingProxyType({})
HOSTS_FILE = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Front:
    """What a client meets: whom it has to trust, its proxy, and what it is started with."""

    ca_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def client[C: Client](self, kind: type[C], folder: Path, account: str, **more: str) -> C:
        program = PROGRAMS[kind]
        assert program is not None
        trusts = dict.fromkeys(kind.trusts, str(self.ca_file))
        return kind(program, folder, account, {**self.environment, **trusts, **more}, self.prefix)


@dataclass
class Line:
    """One way to the provider, with its own stand-in. `proxy` None is the direct way."""

    name: str
    folder: Path
    provider: Provider
    proxy: SubprocessProxy | None = None
    recorder: Recorder | None = None

    @property
    def database(self) -> Path:
        return self.folder / "decisions.db"

    @property
    def exchanges(self) -> list[Exchange] | None:
        """What clients sent and saw so far; None where nobody takes notes."""
        return self.recorder.exchanges if self.recorder else None

    def plain(self) -> Front:
        """Nothing between the client and what is on trial."""
        if self.proxy is None:
            return Front(self.provider.ca_file, prefix=_with_hosts(self.folder / "hosts"))
        return Front(self._trusted(self.proxy.ca_file), {"HTTPS_PROXY": self.proxy.url})

    def front(self) -> Front:
        """With the recorder between, if there is one."""
        if self.recorder is None:
            return self.plain()
        return Front(self._trusted(self.recorder.ca_file), {"HTTPS_PROXY": self.recorder.url})

    def _trusted(self, ca_file: Path) -> Path:
        """The proxy's CA, and the provider's own for what the proxy does not decrypt."""
        both = self.folder / f"trusted-{ca_file.parent.name}.pem"
        both.write_text(ca_file.read_text() + self.provider.ca_file.read_text())
        return both


def _with_hosts(file: Path) -> tuple[str, ...]:
    """What starts a program that has a table of hosts of its own."""
    return ("unshare", "--mount", "sh", "-c", HOSTS_FILE, "sh", str(file))


@contextlib.contextmanager
def bare_line(folder: Path) -> Iterator[Line]:
    """Over mitmdump without the addon."""
    with _provider(folder) as provider:
        proxy = SubprocessProxy(provider, folder, script=None, settings={"stream_large_bodies": "1"})
        with proxy, _log_on_failure(proxy):
            yield Line("bare", folder, provider, proxy)


@contextlib.contextmanager
def pointsman_line(
    folder: Path,
    name: str = "pointsman",
    config: str = "",
    environment: Mapping[str, str] = EMPTY,
    **options: Any,
) -> Iterator[Line]:
    """Over mitmdump with the addon and the CA of scripts/run; `config` is a router.yaml.

    `environment` is the proxy's alone: no client sees it.
    """
    with _provider(folder) as provider:
        trust.ensure(folder / "conf", trust.provider_hosts())
        settings = {"router_db": folder / "decisions.db", **options}
        if config:
            (folder / "router.yaml").write_text(config)
            settings["router_config"] = folder / "router.yaml"
        proxy = SubprocessProxy(provider, folder, SCRIPT, settings, environment=environment)
        with proxy, _log_on_failure(proxy):
            yield Line(name, folder, provider, proxy)


@contextlib.contextmanager
def direct_line(folder: Path) -> Iterator[Line]:
    """Without any proxy: the provider has port 443 of loopback, and the client its own /etc/hosts."""
    with _provider(folder, port=443) as provider:
        (folder / "hosts").write_text("127.0.0.1 localhost " + " ".join(provider.hosts) + "\n")
        yield Line("direct", folder, provider)


@contextlib.contextmanager
def recorded(lines: Sequence[Line], folder: Path) -> Iterator[list[Line]]:
    """The same lines, with notes taken at the clients' end of each that has a proxy."""
    proxies = [line.proxy for line in lines if line.proxy is not None]
    with recording(proxies, folder) as recorders:
        found = iter(recorders)
        yield [line if line.proxy is None else replace(line, recorder=next(found)) for line in lines]


def direct_is_possible() -> bool:
    """Whether this is a Linux where we may mount and listen on port 443."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    with socket.socket() as listener, contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 443))
        mount = ["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"]
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    return False


@contextlib.contextmanager
def _provider(folder: Path, port: int = 0) -> Iterator[Provider]:
    folder.mkdir(parents=True)
    provider = Provider(folder)
    provider.server.port = port
    with provider:
        yield provider


@contextlib.contextmanager
def _log_on_failure(proxy: SubprocessProxy) -> Iterator[None]:
    try:
        yield
    except BaseException:
        print(proxy.log[-8000:])
        raise
