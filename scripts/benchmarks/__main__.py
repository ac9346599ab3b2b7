"""Every figure of the design's budgets, from one run.

    scripts/bench            about ten minutes
    scripts/bench --quick    about two minutes, fewer samples
    scripts/bench --json     for machines

Provider, bare mitmproxy and mitmproxy with Pointsman are a process each; the client is this one. Every way
is asked once a round, in an order that changes, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mitmproxy import version
from pointsman.scoring.knobs import Overrides

from benchmarks import first_byte, inprocess, latency, report, throughput, translated
from benchmarks.measure import resident_mib
from benchmarks.report import Figure, Report, Table, figure
from benchmarks.traffic import ANTHROPIC, GEMINI, SURFACES, Traffic

MS, US = 1e3, 1e6


@dataclass(frozen=True, slots=True)
class Size:
    rounds: int
    sessions: int
    busy_rounds: int
    busy_requests: int
    prefills: int
    repeats: inprocess.Repeats


FULL = Size(300, 10_000, busy_rounds=10, busy_requests=320, prefills=20, repeats=inprocess.FULL)
QUICK = Size(50, 1_000, busy_rounds=3, busy_requests=96, prefills=4, repeats=inprocess.QUICK)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples, about two minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        _nobodys(folder)
        made = run(Path(folder), QUICK if arguments.quick else FULL)
    print(made.as_json() if arguments.json else made.as_text())
    return 0


def run(folder: Path, size: Size) -> Report:
    load = os.getloadavg()[0]
    with latency.ground(folder) as place:
        rows, memory = _through_proxies(place, size)
        busy = throughput.measure(place, folder, size.busy_rounds, size.busy_requests, _say)
    late = first_byte.measure(folder, size.prefills, _say)
    figures = [
        *report.added(rows, "mid tool loop", 1.0),
        *report.added(rows, "same prompt again", 1.0),
        *report.added(rows, latency.FORCED, 1.0),
        *report.added(rows, "fresh embedding", 10.0),
        *first_byte.figures(late),
        *_parts(folder, size.repeats),
        *memory,
    ]
    tables: list[Table] = [
        throughput.table(busy),
        first_byte.table(late),
        translated.table(size.repeats.long),
    ]
    machine: dict[str, str | int | float] = {
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "mitmproxy": version.VERSION,
        "rounds": size.rounds,
        "load before": round(load, 2),
    }
    notes = [
        "bare mitmproxy here passes event streams as they come, by a script of a few lines: by itself it "
        "holds an answer until its last byte",
        "added: to bare mitmproxy in the same round, up to the last byte; the median over the rounds",
    ]
    return Report(machine, rows, tables, figures, notes + report.noise_notes(rows, load))


def _through_proxies(place: latency.Ground, size: Size) -> tuple[list[report.WayRow], list[Figure]]:
    started = resident_mib(place.routed_pid)
    rows = report.way_rows(latency.measure(place, size.rounds, _say))
    before = resident_mib(place.routed_pid)
    _say(f"{size.sessions} conversations")
    each = latency.start_sessions(place, size.sessions)
    after = resident_mib(place.routed_pid)
    memory = [
        Figure("memory of the proxy when it has started, encoder loaded", "MiB", started, None, 350),
        Figure("… after the requests above", "MiB", before, None, 350),
        Figure(f"… after {size.sessions:,} more conversations, one request each", "MiB", after, None, 350),
        Figure("a conversation's only request, one after the other", "ms", each * MS),
    ]
    return rows, memory


def _parts(folder: Path, repeats: inprocess.Repeats) -> list[Figure]:
    _say("parts, in this process")
    small, big = (inprocess.scoring(folder, k, models, repeats) for k, models in ((40, 15), (512, 100)))
    turned = inprocess.scoring(folder, 40, 15, repeats, Overrides(quality_bias=0.7))
    dials = [inprocess.calibrating(folder, k, models, repeats) for k, models in ((40, 15), (512, 100))]
    longest = inprocess.embedding(256, repeats)
    waiting, awaited = inprocess.store(folder, repeats)
    bucket, everything = inprocess.full_bucket(repeats), inprocess.full_cache(repeats)
    return [
        figure("cluster decision, K=40 × 15 models", "µs", small, US, 50),
        figure("… with a quality bias", "µs", turned, US, 50),
        figure("… the first with a quality bias: the dial is calibrated", "ms", dials[0], MS),
        figure("cluster decision, K=512 × 100 models", "µs", big, US),
        figure("… the first with a quality bias", "ms", dials[1], MS),
        figure("embedding a new text of 128 tokens", "ms", inprocess.embedding(128, repeats), MS),
        figure("embedding a new text of 256 tokens, the most that counts", "ms", longest, MS),
        *(one for traffic in SURFACES for one in _requests(folder, traffic, repeats)),
        *(one for traffic in SURFACES for one in _streams(folder, traffic, repeats)),
        *_cache(bucket, everything, repeats),
        figure("decision and outcome committed, waiting", "ms", waiting, MS),
        figure("decision and outcome committed, awaited in the event loop", "ms", awaited, MS),
    ]


def _cache(bucket: inprocess.Cached, full: inprocess.Cached, repeats: inprocess.Repeats) -> list[Figure]:
    return [
        figure(f"cache: an answer found in a bucket of {bucket.answers:,}", "µs", bucket.found, US),
        figure("… none found", "µs", bucket.missed, US),
        figure("… one kept, and the oldest forgotten", "µs", bucket.kept, US),
        figure(f"cache: an answer found, all full ({full.answers:,} answers)", "µs", full.found, US),
        figure("… none found", "µs", full.missed, US),
        figure("… one kept, and the caller's oldest forgotten", "µs", full.kept, US),
        figure("cache: digest of a 500 KB request", "ms", inprocess.cache_key_of(ANTHROPIC, repeats), MS),
    ]


def _requests(folder: Path, traffic: Traffic, repeats: inprocess.Repeats) -> list[Figure]:
    large = inprocess.large(traffic, repeats)
    whole = f"{large.size // 1000} KB agent request, {traffic.surface}"
    figures = [
        figure(f"{whole}: read, strip, model", "ms", large.rewrite, MS, 15),
        figure("… and every parameter adapted to a lesser model", "ms", large.adapt, MS, 15),
    ]
    if traffic is ANTHROPIC:
        marked = inprocess.all_marked(traffic, repeats)
        hook = inprocess.hook(folder, traffic, repeats)
        figures += [
            figure("… with a marker in each of its 100 answers", "ms", marked, MS, 15),
            figure("… all that is done before it is sent on", "ms", hook, MS, 15),
        ]
    return figures


def _streams(folder: Path, traffic: Traffic, repeats: inprocess.Repeats) -> list[Figure]:
    marked, plain = (inprocess.stream(traffic, repeats, marked=marked) for marked in (True, False))
    figures = [
        figure(f"stream chunk after the marker, {traffic.surface}", "µs", marked, US, 5),
        figure("… without a text marker", "µs", plain, US, 5),
    ]
    if traffic is ANTHROPIC:
        bytewise = inprocess.bytewise_stream(traffic, repeats)
        hook = inprocess.stream_hook(folder, traffic, repeats)
        figures += [
            figure("… one byte each", "µs", bytewise, US, 5),
            figure("… as mitmproxy calls it", "µs", hook, US, 5),
        ]
    if traffic is GEMINI:
        figures.append(figure("… one JSON array instead", "µs", inprocess.array_stream(repeats), US, 5))
    return figures


def _nobodys(folder: str) -> None:
    """No configuration or proxy setting of the person who runs this takes part, in any of the processes."""
    os.environ.update(HOME=folder, XDG_CONFIG_HOME=folder)
    os.chdir(folder)
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "POINTSMAN_HOME":
            del os.environ[name]


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
