"""When a stream begins whose provider says nothing for two seconds, by how long the prelude waits.

One provider, and a proxy for each grace. Each way is asked once a round, on a connection that is kept, and
where the stream begins at once also on a new one: the proxy's own connection to the provider is then made
while the client has its first bytes. The questions of a round begin one after the other and wait together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from provider.proxy import SubprocessProxy

from benchmarks.clients import Client, Heard, Http1, Http2, Open
from benchmarks.measure import median, quantile
from benchmarks.report import Figure, Table
from benchmarks.texts import prompt
from benchmarks.traffic import ANTHROPIC, CHAT
from benchmarks.traffic.base import DELTA, DELTAS
from benchmarks.upstream import Upstream

PREFILL_S = 2.0
BUDGET_MS = 15.0
GRACES = ("0", "250", "off")
# Between two beginnings: no multiple of it comes near a grace or the prefill, when others have their bytes.
STAGGER_S = 0.11
KEY = "sk-bench-key-of-another-account"
CONFIG = f"providers:\n  {CHAT.surface}:\n    key: {{file: key}}\n"


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to a stream. `model` is what is asked for by header, `provider` who must have answered."""

    route: str
    http: str
    grace: str
    new: bool
    open: Open
    proxy: SubprocessProxy
    model: str
    provider: str

    @property
    def name(self) -> str:
        grace = f"grace {self.grace}" if self.grace != "off" else "no prelude"
        return f"{self.route}, {self.http}, {grace}{', new connection' if self.new else ''}"


Samples = dict[Way, list[Heard]]


def measure(folder: Path, rounds: int, say: Callable[[str], None]) -> Samples:
    """Seconds of every way, `rounds` times; the first round only warms up."""
    with ExitStack() as stack:
        ways = _ways(folder, stack)
        say(f"{rounds} rounds of {len(ways)} streams that begin after {PREFILL_S:g} s")
        kept = {way: way.open(way.proxy, ANTHROPIC.host) for way in ways if not way.new}
        for client in kept.values():
            stack.callback(client.close)
        samples: Samples = {way: [] for way in ways}
        pool = stack.enter_context(ThreadPoolExecutor(len(ways)))
        for number in range(rounds + 1):
            new = {way: way.open(way.proxy, ANTHROPIC.host) for way in ways if way.new}
            begin = time.perf_counter() + 0.05
            asked = {
                way: pool.submit(_ask, way, kept.get(way) or new[way], begin + place * STAGGER_S)
                for place, way in enumerate(ways)
            }
            for way, heard in asked.items():
                exchange = heard.result()
                if number:
                    samples[way].append(exchange)
            for client in new.values():
                client.close()
    return samples


def _ways(folder: Path, stack: ExitStack) -> list[Way]:
    place = folder / "first-byte"
    place.mkdir()
    upstream = stack.enter_context(Upstream(place, PREFILL_S))
    proxies = {grace: stack.enter_context(_proxy(upstream, place / grace, grace)) for grace in GRACES}
    routes = (
        ("native", ANTHROPIC.served, "anthropic"),
        ("translated", f"{CHAT.surface}/{CHAT.served}", CHAT.surface),
    )
    speaks: tuple[tuple[str, Open], ...] = (("HTTP/1.1", Http1), ("HTTP/2", Http2))
    return [
        Way(route, http, grace, new, open_, proxy, model, provider)
        for route, model, provider in routes
        for http, open_ in speaks
        for grace, proxy in proxies.items()
        for new in ((False, True) if grace == "0" else (False,))
    ]


def _proxy(upstream: Upstream, folder: Path, grace: str) -> SubprocessProxy:
    folder.mkdir()
    (folder / "router.yaml").write_text(CONFIG)
    (folder / "key").write_text(KEY)
    settings = {"router_db": folder / "pointsman.sqlite", "router_prelude_grace_ms": grace}
    return SubprocessProxy(upstream, folder, settings=settings)  # type: ignore[arg-type]


def _ask(way: Way, client: Client, begin: float) -> Heard:
    time.sleep(max(0.0, begin - time.perf_counter()))
    headers = {**ANTHROPIC.headers, "x-router-model": way.model}
    heard = client.ask(ANTHROPIC.path(True), headers, _BODY)
    if trouble := _trouble(way, heard):
        raise RuntimeError(f"{way.name}: {trouble}")
    return heard


_BODY = ANTHROPIC.turn(prompt(0), stream=True)


def _trouble(way: Way, heard: Heard) -> str:
    """What is otherwise than the way says, "" if nothing is."""
    said, served = heard.headers.get("x-router-provider"), way.model.rpartition("/")[2]
    if heard.status != 200 or said != way.provider:
        return f"status {heard.status} of {said!r}, not of {way.provider!r}: {heard.body[:200]!r}"
    if heard.body.count(f'"{DELTA}"'.encode()) != DELTAS or b"message_stop" not in heard.body:
        return "the answer is not whole"
    if not ANTHROPIC.names(ANTHROPIC.requested, heard.body) or served.encode() not in heard.body:
        return "the answer does not name the models"
    if heard.last < PREFILL_S:
        return "the provider was too fast"
    return ""


def table(samples: Samples) -> Table:
    rows = []
    for way, heard in samples.items():
        head, first = [one.head * 1e3 for one in heard], [one.first * 1e3 for one in heard]
        rest = median([one.last * 1e3 for one in heard]) - PREFILL_S * 1e3
        row = (*(quantile(each, share) for each in (head, first) for share in (0.5, 0.95)), rest)
        rows.append((way.name, row))
    columns = ("head p50", "p95", "first byte p50", "p95", "last byte after the prefill")
    return Table("ms, a stream whose provider says nothing for 2 s", columns, tuple(rows))


def figures(samples: Samples) -> list[Figure]:
    """The first byte where the stream begins at once, beside its budget."""
    made = []
    for way, heard in samples.items():
        if way.grace == "0":
            first = [one.first * 1e3 for one in heard]
            name = f"first byte: {way.name}"
            made.append(Figure(name, "ms", median(first), quantile(first, 0.99), BUDGET_MS))
    return made
