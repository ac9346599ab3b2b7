"""A line from Claude Code to the stand-in provider: direct, over bare mitmproxy, or over Pointsman.

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
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.claude_code import ClaudeCode
from mitmproxy import http
from pointsman import trust
from provider.answers import Page
from provider.anthropic.cache import Counted, PromptCache
from provider.anthropic.capabilities import Takes
from provider.anthropic.family import is_background
from provider.proxy import SCRIPT, InProcessProxy, SubprocessProxy
from provider.server import Reply
from provider.standin import Record, StandIn

BILLING = "x-anthropic-billing-header:"
HOSTS_FILE = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def without_billing(body: Mapping[str, Any]) -> dict[str, Any]:
    """Claude Code's first system block is a checksum of the request, which the provider does not cache."""
    system = body.get("system")
    if not isinstance(system, list):
        return dict(body)
    kept = [block for block in system if not str(block.get("text", "")).startswith(BILLING)]
    return {**body, "system": kept}


class _Cache(PromptCache):
    def count(self, body: Mapping[str, Any], model: Takes, account: str) -> Counted:
        return super().count(without_billing(body), model, account)


class Provider(StandIn):
    """The stand-in as Claude Code needs it; it also remembers the heads it sent, by request id."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.families["anthropic"].cache = _Cache()
        self.heads: dict[str, list[tuple[str, str]]] = {}
        # Claude Code asks again for five seconds when this one is not of the right shape.
        limits = Page(b'{"restrictions":{}}', headers={"content-type": "application/json"})
        self.pages["GET /api/claude_code/policy_limits"] = limits

    async def _start(self, record: Record, reply: Reply, status: int, headers: list[tuple[str, str]]) -> None:
        self.heads[record.request_id] = headers
        await super()._start(record, reply, status, headers)

    async def _write(self, record: Record, reply: Reply, data: bytes, tear: int) -> None:
        if record.request.method != "HEAD":  # Claude Code's early connection, where there is no proxy
            await super()._write(record, reply, data, tear)

    def main(self, since: int = 0) -> list[Record]:
        """Requests of the conversation itself, from the record with that index on."""
        found = [record for record in self.records[since:] if record.path == "/v1/messages"]
        return [record for record in found if record.body is None or not is_background(record.body)]


@dataclass
class Exchange:
    """One request and its answer as the client sent and saw them."""

    request: http.Request
    response: http.Response | None = None
    body: bytearray = field(default_factory=bytearray)


class Recorder:
    """A mitmproxy addon that changes nothing and notes everything."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._open: dict[str, Exchange] = {}

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self._open[flow.id] = Exchange(flow.request.copy())
        self.exchanges.append(exchange)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self._open.pop(flow.id, None)
        if exchange is None or flow.response is None:
            return
        exchange.response = copy(flow.response)

        def note(chunk: bytes) -> bytes:
            exchange.body += chunk
            return chunk

        flow.response.stream = note


@dataclass(frozen=True, slots=True)
class Front:
    """What a client meets: its environment, and who takes notes."""

    environment: Mapping[str, str]
    recorder: Recorder | None = None
    prefix: tuple[str, ...] = ()

    def client(self, program: Path, folder: Path, **more: str) -> ClaudeCode:
        return ClaudeCode(program, folder, {**self.environment, **more}, self.prefix)


@dataclass
class Line:
    """One way to the provider, with its own stand-in. `proxy` None is the direct way."""

    name: str
    folder: Path
    provider: Provider
    proxy: SubprocessProxy | None = None

    @property
    def database(self) -> Path:
        return self.folder / "decisions.db"

    @contextlib.contextmanager
    def recorded(self) -> Iterator[Front]:
        """With the recorder in front. Only one at a time: mitmproxy's options are global to a process."""
        if self.proxy is None:
            yield self.plain()
            return
        recorder = Recorder()
        settings = {
            "mode": [f"upstream:{self.proxy.url}"],
            "ssl_verify_upstream_trusted_ca": str(self.proxy.ca_file),
        }
        with InProcessProxy(self.provider, self.folder / "recorder", [recorder], settings) as front:
            yield Front(_over(front.url, front.ca_file), recorder)

    def plain(self) -> Front:
        """Nothing between the client and what is on trial."""
        if self.proxy is not None:
            return Front(_over(self.proxy.url, self.proxy.ca_file))
        prefix = ("unshare", "--mount", "sh", "-c", HOSTS_FILE, "sh", str(self.folder / "hosts"))
        return Front({"NODE_EXTRA_CA_CERTS": str(self.provider.ca_file)}, prefix=prefix)


@contextlib.contextmanager
def bare_line(folder: Path) -> Iterator[Line]:
    """Over mitmdump without the addon."""
    with _provider(folder) as provider:
        proxy = SubprocessProxy(provider, folder, script=None, settings={"stream_large_bodies": "1"})
        with proxy, _log_on_failure(proxy):
            yield Line("bare", folder, provider, proxy)


@contextlib.contextmanager
def pointsman_line(folder: Path, name: str = "pointsman", config: str = "", **options: Any) -> Iterator[Line]:
    """Over mitmdump with the addon and the CA of scripts/run; `config` is a router.yaml."""
    with _provider(folder) as provider:
        trust.ensure(folder / "conf", trust.provider_hosts())
        settings = {"router_db": folder / "decisions.db", **options}
        if config:
            (folder / "router.yaml").write_text(config)
            settings["router_config"] = folder / "router.yaml"
        proxy = SubprocessProxy(provider, folder, script=SCRIPT, settings=settings)
        with proxy, _log_on_failure(proxy):
            yield Line(name, folder, provider, proxy)


@contextlib.contextmanager
def direct_line(folder: Path) -> Iterator[Line]:
    """Without any proxy: the provider has port 443 of loopback, and the client its own /etc/hosts."""
    with _provider(folder, port=443) as provider:
        (folder / "hosts").write_text("127.0.0.1 localhost " + " ".join(provider.hosts) + "\n")
        yield Line("direct", folder, provider)


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


def _over(url: str, ca_file: Path) -> dict[str, str]:
    return {"HTTPS_PROXY": url, "NODE_EXTRA_CA_CERTS": str(ca_file)}
