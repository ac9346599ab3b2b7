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

from benchmarks.measure import cpu_seconds
from benchmarks.texts import prompt
from benchmarks.traffic import ANTHROPIC, OTHERS, Traffic
from benchmarks.upstream import ASKED, OTHER, Upstream

BASE, BARE, FORCED = "direct", "bare mitmproxy", "model forced"
WARM_UP_ROUNDS = 10
SETTLE_S = 0.001  # what a proxy does after the last byte is not to fall into the next exchange

_STREAMING = Path(__file__).with_name("streaming.py")
Connect = Callable[[], http.client.HTTPSConnection]


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to the provider. `body` gives the bytes of round n, streamed or not.

    `strategy` and `served` are what the router must have decided, lest something else be measured; with
    `served` the answer must show it, too.
    """

    name: str
    traffic: Traffic
    connect: Connect
    body: Callable[[int, bool], bytes]
    pid: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    strategy: str | None = None
    served: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Seconds from the first byte out to the first byte in and to the last, and CPU seconds of the proxy."""

    first: float
    last: float
    cpu: float | None


Samples = dict[tuple[Way, bool], list[Exchange]]  # (way, streamed) → one exchange per round


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
    return [*_anthropic(place), *(way for traffic in OTHERS for way in _forced(place, traffic))]


def _anthropic(place: Ground) -> list[Way]:
    """Every kind of decision, and a host that is no provider's."""
    traffic, fresh = ANTHROPIC, itertools.count(1)
    remembered = prompt(0)

    def first_turn(round: int, stream: bool) -> bytes:
        return traffic.turn(remembered, stream=stream)

    def new_prompt(round: int, stream: bool) -> bytes:
        return traffic.turn(prompt(next(fresh)), stream=stream)

    def mid_loop(round: int, stream: bool) -> bytes:
        return traffic.tool_loop(remembered, stream=stream)

    direct, bare, forced = _forced(place, traffic)
    through, pid = forced.connect, place.routed_pid
    aside = _through(place.routed, OTHER, place.upstream.ca_file)
    return [
        direct,
        bare,
        Way("fresh embedding", traffic, through, new_prompt, pid, strategy="cluster"),
        Way("same prompt again", traffic, through, first_turn, pid, strategy="cluster"),
        Way("mid tool loop", traffic, through, mid_loop, pid, strategy="sticky"),
        forced,
        Way("pass-through host", traffic, aside, first_turn, pid),
    ]


def _forced(place: Ground, traffic: Traffic) -> tuple[Way, Way, Way]:
    """The same first turn without a proxy, through a bare one, and with a model forced by a header."""
    made = {stream: traffic.turn(prompt(0), stream=stream) for stream in (False, True)}

    def first_turn(round: int, stream: bool) -> bytes:
        return made[stream]

    header = {"x-router-model": traffic.served}
    bare, routed = _through(place.bare, traffic.host), _through(place.routed, traffic.host)
    bare_pid = place.bare.process.pid if place.bare.process else None
    return (
        Way(BASE, traffic, _direct(place.upstream, traffic.host), first_turn),
        Way(BARE, traffic, bare, first_turn, bare_pid),
        Way(FORCED, traffic, routed, first_turn, place.routed_pid, header, "fixed", traffic.served),
    )


def _direct(upstream: Upstream, host: str) -> Connect:
    context = trust(upstream.ca_file)
    return lambda: http.client.HTTPSConnection(host, context=context, timeout=30)


def _through(proxy: SubprocessProxy, host: str, ca_file: Path | None = None) -> Connect:
    context: ssl.SSLContext = trust(ca_file or proxy.ca_file)

    def connect() -> http.client.HTTPSConnection:
        made = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=30)
        made.set_tunnel(host, 443)
        return made

    return connect


def measure(place: Ground, rounds: int, say: Callable[[str], None]) -> Samples:
    """Ask every way once a round, streamed and not, in an order that changes from round to round."""
    chosen = random.Random(1)
    asked = [(way, stream) for way in ways(place) for stream in (False, True)]
    samples: Samples = {pair: [] for pair in asked}
    say(f"{rounds} rounds of {len(asked)} requests")
    with ExitStack() as stack, place.upstream.reachable():
        open_ = {way: way.connect() for way, stream in asked if stream}
        for connection in open_.values():
            stack.callback(connection.close)
        for number in range(WARM_UP_ROUNDS + rounds):
            # The tool loop goes on with the model that the turn before it was served with.
            order = asked if number == 0 else chosen.sample(asked, len(asked))
            for way, stream in order:
                exchange = _exchange(open_[way], way, stream, way.body(number, stream))
                if number >= WARM_UP_ROUNDS:
                    samples[way, stream].append(exchange)
    return samples


def _exchange(connection: http.client.HTTPSConnection, way: Way, stream: bool, body: bytes) -> Exchange:
    path, headers = way.traffic.path(stream), {**way.traffic.headers, **way.headers}
    cpu = cpu_seconds(way.pid) if way.pid else None
    start = time.perf_counter()
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    answer = response.read(1)
    first = time.perf_counter()
    answer += response.read()
    last = time.perf_counter()
    time.sleep(SETTLE_S)
    after = cpu_seconds(way.pid) if way.pid else None
    if trouble := _trouble(way, stream, response, answer):
        raise RuntimeError(f"{way.traffic.surface}, {way.name}: {trouble}")
    return Exchange(first - start, last - start, None if cpu is None or after is None else after - cpu)


def _trouble(way: Way, stream: bool, response: http.client.HTTPResponse, answer: bytes) -> str:
    """What was otherwise than the way says, "" if nothing was."""
    said = response.headers.get("x-router-strategy")
    if response.status != 200 or said != way.strategy:
        return f"status {response.status}, strategy {said!r}, not {way.strategy!r}"
    asked = response.headers.get(ASKED)
    believed = response.headers.get("x-router-model", way.traffic.requested)
    if asked != (way.served or believed):
        return f"the provider was asked for {asked!r}, not for {way.served or believed!r}"
    if way.served is None:
        return ""
    if not way.traffic.names(way.traffic.requested, answer):
        return f"the answer does not name {way.traffic.requested!r}"
    return "" if way.traffic.shows_marker(answer, stream) else "the answer shows no marker"


def start_sessions(place: Ground, count: int) -> float:
    """That many new conversations through the routed proxy, one request each; seconds per request."""
    with place.upstream.reachable():
        connection = _through(place.routed, ANTHROPIC.host)()
        before = time.perf_counter()
        for number in range(count):
            body = ANTHROPIC.short(prompt(-1 - number, 24))
            headers = {**ANTHROPIC.headers, "x-session-id": f"bench-{number}"}
            connection.request("POST", ANTHROPIC.path(True), body, headers)
            response = connection.getresponse()
            response.read()
            said = response.headers.get("x-router-strategy")
            if response.status != 200 or said != "cluster":
                raise RuntimeError(f"conversation {number}: status {response.status}, strategy {said!r}")
        elapsed = time.perf_counter() - before
        connection.close()
    return elapsed / count
