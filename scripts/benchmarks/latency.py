"""What a proxy adds to a request: every way is asked once a round, so that all meet the same machine."""

from __future__ import annotations

import http.client
import itertools
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provider.proxy import SubprocessProxy, trust

from benchmarks import bodies
from benchmarks.measure import cpu_seconds
from benchmarks.upstream import OTHER, PROVIDER, Upstream

WARM_UP_ROUNDS = 10
SETTLE_S = 0.001  # what a proxy does after the last byte is not to fall into the next exchange

_STREAMING = Path(__file__).with_name("streaming.py")
# As many as a real client sends, since every one of them is read.
_HEADERS = {
    "accept": "application/json",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "interleaved-thinking-2025-05-14,context-management-2025-06-27",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.0 (external, cli)",
    "x-api-key": "sk-ant-api03-bench",
    "x-app": "cli",
    "x-stainless-arch": "x64",
    "x-stainless-helper-method": "stream",
    "x-stainless-lang": "js",
    "x-stainless-os": "Linux",
    "x-stainless-package-version": "0.70.0",
    "x-stainless-retry-count": "0",
    "x-stainless-runtime": "node",
    "x-stainless-runtime-version": "v24.3.0",
    "x-stainless-timeout": "600",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the provider. `body` gives the bytes of round n, streamed or not.

    `strategy` and `reason` are what the router must have said, lest something else be measured.
    """

    name: str
    connect: Callable[[], http.client.HTTPSConnection]
    body: Callable[[int, bool], bytes]
    pid: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    strategy: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Seconds from the first byte out to the first byte in and to the last, and CPU seconds of the proxy."""

    first: float
    last: float
    cpu: float | None


Samples = dict[tuple[str, bool], list[Exchange]]  # (way, streamed) → one exchange per round


@dataclass(frozen=True, slots=True)
class Ground:
    """The provider and two proxies before it, each in a process of its own."""

    upstream: Upstream
    bare: SubprocessProxy
    routed: SubprocessProxy
    database: Path

    @property
    def routed_pid(self) -> int:
        assert self.routed.process is not None
        return self.routed.process.pid


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Starts everything; in this process, too, the provider's names then lead to it."""
    with ExitStack() as stack:
        for name in ("upstream", "bare", "routed"):
            (folder / name).mkdir()
        upstream = stack.enter_context(Upstream(folder / "upstream"))
        database = folder / "routed" / "pointsman.sqlite"
        bare = SubprocessProxy(upstream, folder / "bare", _STREAMING)  # type: ignore[arg-type]
        routed = SubprocessProxy(upstream, folder / "routed", settings={"router_db": database})  # type: ignore[arg-type]
        yield Ground(upstream, stack.enter_context(bare), stack.enter_context(routed), database)


def ways(place: Ground) -> list[Way]:
    fresh = itertools.count(1)
    remembered = bodies.prompt(0)

    def first_turn(round: int, stream: bool) -> bytes:
        return bodies.turn(remembered, stream=stream)

    def new_prompt(round: int, stream: bool) -> bytes:
        return bodies.turn(bodies.prompt(next(fresh)), stream=stream)

    def mid_loop(round: int, stream: bool) -> bytes:
        return bodies.tool_loop(remembered, stream=stream)

    through = _through(place.routed, PROVIDER)
    pid = place.routed_pid
    bare_pid = place.bare.process.pid if place.bare.process else None
    return [
        Way("direct", _direct(place.upstream), first_turn),
        Way("bare mitmproxy", _through(place.bare, PROVIDER), first_turn, bare_pid),
        Way("fresh embedding", through, new_prompt, pid, strategy="cluster"),
        Way("same prompt again", through, first_turn, pid, strategy="cluster"),
        Way("mid tool loop", through, mid_loop, pid, strategy="sticky"),
        Way("model forced", through, first_turn, pid, {"x-router-model": bodies.SERVED}, strategy="fixed"),
        Way("pass-through host", _through(place.routed, OTHER, place.upstream.ca_file), first_turn, pid),
    ]


def _direct(upstream: Upstream) -> Callable[[], http.client.HTTPSConnection]:
    context = trust(upstream.ca_file)
    return lambda: http.client.HTTPSConnection(PROVIDER, context=context, timeout=30)


def _through(
    proxy: SubprocessProxy, host: str, ca_file: Path | None = None
) -> Callable[[], http.client.HTTPSConnection]:
    context: ssl.SSLContext = trust(ca_file or proxy.ca_file)

    def connect() -> http.client.HTTPSConnection:
        made = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=30)
        made.set_tunnel(host, 443)
        return made

    return connect


def measure(place: Ground, rounds: int) -> Samples:
    """Ask every way once a round, streamed and not, in an order that changes from round to round."""
    chosen = random.Random(1)
    asked = [(way, stream) for way in ways(place) for stream in (False, True)]
    samples: Samples = {(way.name, stream): [] for way, stream in asked}
    with ExitStack() as stack, place.upstream.reachable():
        open_ = {id(way): way.connect() for way, stream in asked if stream}
        for connection in open_.values():
            stack.callback(connection.close)
        for number in range(WARM_UP_ROUNDS + rounds):
            # The tool loop goes on with the model that the turn before it was served with.
            order = asked if number == 0 else chosen.sample(asked, len(asked))
            for way, stream in order:
                exchange = _exchange(open_[id(way)], way, way.body(number, stream))
                if number >= WARM_UP_ROUNDS:
                    samples[way.name, stream].append(exchange)
    return samples


def _exchange(connection: http.client.HTTPSConnection, way: Way, body: bytes) -> Exchange:
    cpu = cpu_seconds(way.pid) if way.pid else None
    start = time.perf_counter()
    connection.request("POST", "/v1/messages", body, {**_HEADERS, **way.headers})
    response = connection.getresponse()
    response.read(1)
    first = time.perf_counter()
    response.read()
    last = time.perf_counter()
    time.sleep(SETTLE_S)
    after = cpu_seconds(way.pid) if way.pid else None
    said = response.headers.get("x-router-strategy")
    if response.status != 200 or said != way.strategy:
        raise RuntimeError(f"{way.name}: status {response.status}, strategy {said!r}, not {way.strategy!r}")
    return Exchange(first - start, last - start, None if cpu is None or after is None else after - cpu)


def start_sessions(place: Ground, count: int) -> float:
    """That many new conversations through the routed proxy, one request each; seconds per request."""
    with place.upstream.reachable():
        connection = _through(place.routed, PROVIDER)()
        before = time.perf_counter()
        for number in range(count):
            text = bodies.prompt(-1 - number, 24)
            headers = {**_HEADERS, "x-session-id": f"bench-{number}"}
            connection.request("POST", "/v1/messages", bodies.short(text), headers)
            response = connection.getresponse()
            response.read()
            said = response.headers.get("x-router-strategy")
            if response.status != 200 or said != "cluster":
                raise RuntimeError(f"conversation {number}: status {response.status}, strategy {said!r}")
        elapsed = time.perf_counter() - before
        connection.close()
    return elapsed / count
