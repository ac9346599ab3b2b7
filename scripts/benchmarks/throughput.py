"""How many requests a proxy answers when sixteen connections ask all the time.

The client is one event loop that writes bytes made before and reads until an answer's end: it must not be
what limits. In each round every way has its turn, in an order that changes; what is compared are the ways of
one round.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from provider.proxy import SubprocessProxy, trust

from benchmarks.latency import BARE, FORCED, Ground
from benchmarks.measure import median, quantile
from benchmarks.report import Table
from benchmarks.texts import prompt
from benchmarks.traffic import ANTHROPIC
from benchmarks.upstream import BROKEN

CONNECTIONS = 16
SPARE = "… and the first binding fails"
PROVIDER = "broken"
CONFIG = f"""
providers:
  {PROVIDER}: {{base_url: "https://{BROKEN}", surface: anthropic, key: none}}
models:
  {ANTHROPIC.served}:
    bindings: [{PROVIDER}/{ANTHROPIC.served}, origin]
"""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    name: str
    proxy: SubprocessProxy
    stream: bool

    @property
    def request(self) -> bytes:
        forced = {} if self.name == BARE else {"x-router-model": ANTHROPIC.served}
        body = ANTHROPIC.turn(prompt(0), stream=self.stream)
        fields = {"host": ANTHROPIC.host, **ANTHROPIC.headers, **forced, "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {ANTHROPIC.path(self.stream)} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Turn:
    """One way's turn in a round: requests per second, and seconds of each."""

    rate: float
    seconds: list[float]


Samples = dict[Way, list[Turn]]


def measure(place: Ground, folder: Path, rounds: int, each: int, say: Callable[[str], None]) -> Samples:
    """`each` requests of every way in each of `rounds`; the first round only warms up."""
    with ExitStack() as stack:
        spare = stack.enter_context(_spare(place, folder / "spare"))
        proxies = ((BARE, place.bare), (FORCED, place.routed), (SPARE, spare))
        ways = [Way(name, proxy, stream) for stream in (False, True) for name, proxy in proxies]
        say(f"{rounds} rounds of {each} requests on {CONNECTIONS} connections, {len(ways)} ways")
        return asyncio.run(_rounds(ways, rounds, each))


def _spare(place: Ground, folder: Path) -> SubprocessProxy:
    """The model is had at a provider that only refuses, and then at the origin. Without a prelude, so that

    the head says who refused.
    """
    folder.mkdir()
    (folder / "router.yaml").write_text(CONFIG)
    settings = {"router_db": folder / "pointsman.sqlite", "router_prelude_grace_ms": "off"}
    return SubprocessProxy(place.upstream, folder, settings=settings)  # type: ignore[arg-type]


async def _rounds(ways: list[Way], rounds: int, each: int) -> Samples:
    chosen = random.Random(2)
    samples: Samples = {way: [] for way in ways}
    open_ = {way: [await _Connection.open(way.proxy) for _ in range(CONNECTIONS)] for way in ways}
    for number in range(rounds + 1):
        for way in chosen.sample(ways, len(ways)):
            turn = await _turn(way, open_[way], each)
            if number:
                samples[way].append(turn)
    for connections in open_.values():
        for connection in connections:
            connection.close()
    return samples


async def _turn(way: Way, connections: list[_Connection], count: int) -> Turn:
    request, left = way.request, iter(range(count))
    seconds: list[float] = []
    answers: list[tuple[bytes, bytes]] = []

    async def ask(connection: _Connection) -> None:
        for _ in left:
            before = time.perf_counter()
            answers.append(await connection.ask(request))
            seconds.append(time.perf_counter() - before)

    start = time.perf_counter()
    await asyncio.gather(*map(ask, connections))
    rate = count / (time.perf_counter() - start)
    for head, body in answers:
        if trouble := _trouble(way, head, body):
            raise RuntimeError(f"{way.name}: {trouble}")
    return Turn(rate, seconds)


def _trouble(way: Way, head: bytes, body: bytes) -> str:
    """What is otherwise than the way says, "" if nothing is."""
    if not head.startswith(b"HTTP/1.1 200 "):
        return f"not a 200: {head[:40]!r}"
    if way.name == BARE:
        return ""
    fallback = f"x-router-fallback-from: {PROVIDER}".encode() in head
    if fallback != (way.name == SPARE) or b"x-router-strategy: fixed" not in head:
        return f"decided or served otherwise: {head!r}"
    if not ANTHROPIC.names(ANTHROPIC.requested, body) or not ANTHROPIC.shows_marker(body, way.stream):
        return "the answer does not name the model, or shows no marker"
    return ""


class _Connection:
    """A TLS connection through a proxy's tunnel, with answers one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, proxy: SubprocessProxy) -> _Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"CONNECT {ANTHROPIC.host}:443 HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(trust(proxy.ca_file), server_hostname=ANTHROPIC.host)
        return cls(reader, writer)

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer; chunks keep their lengths."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        low = head.lower()
        if b"transfer-encoding: chunked" in low:
            return head, await self._reader.readuntil(b"\r\n0\r\n\r\n")
        length = int(low.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return head, await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def table(samples: Samples) -> Table:
    rows = []
    for way, turns in samples.items():
        bare = next(
            other for known, other in samples.items() if known.name == BARE and known.stream == way.stream
        )
        taken = [one * 1e3 for turn in turns for one in turn.seconds]
        share = median([ours.rate / theirs.rate for ours, theirs in zip(turns, bare, strict=True)])
        rate = median([turn.rate for turn in turns])
        name = f"{way.name}, {'stream' if way.stream else 'body'}"
        rows.append((name, (rate, share, quantile(taken, 0.5), quantile(taken, 0.95))))
    columns = ("requests/s", "of bare", "ms p50", "p95")
    return Table(f"{CONNECTIONS} connections, 30 KB requests over kept-alive TLS", columns, tuple(rows))
