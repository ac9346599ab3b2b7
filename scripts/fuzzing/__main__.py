"""Feeds a surface what no client or provider would send, and checks what it promises.

    scripts/fuzz anthropic --minutes 30     all its targets, one after the other
    scripts/fuzz parsers                    the parsers under all surfaces
    scripts/fuzz anthropic --replay FILE    one input, again
    scripts/fuzz anthropic --shorten FILE   the shortest one that fails alike
    scripts/fuzz anthropic --covered        which lines the inputs that were found reach

Inputs and findings are kept in --keep, by default ${XDG_CACHE_HOME:-~/.cache}/pointsman/fuzz.
The exit code is 1 if there is a finding.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.ground import ground
from fuzz.oracle import Choice
from pointsman.surface import surfaces

from fuzzing.findings import shortest, signature

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointsman" / "fuzz"
PARSERS = "parsers"
# Which part of the time each target gets.
SHARES = {"requests": 0.37, "streams": 0.31, "bodies": 0.13, "paths": 0.09, "growth": 0.10}
TIMEOUT_S = 30  # wall clock; the worker itself notes what takes long on the processor
MEMORY_MB = 2500
RESTARTS = 5
_STATUS = re.compile(r"#(\d+)\s.*?cov: (\d+) ft: (\d+)")
_UNITS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_SLOWEST = re.compile(r"slowest ([0-9.]+) s for (\d+) bytes")
_WRITTEN = re.compile(r"Test unit written to (\S+)")


@dataclass(slots=True)
class Run:
    """What one target's processes said."""

    target: str
    seconds: float = 0.0
    executions: int = 0
    edges: int = 0
    features: int = 0
    slowest_s: float = 0.0
    ended: list[str] = field(default_factory=list)  # files of what ended a process

    def read(self, lines: Iterator[str]) -> Iterator[str]:
        """Notes what is to be counted; gives back the lines that libFuzzer meant for a person."""
        executions = 0
        for line in lines:
            if found := _STATUS.search(line):
                executions = max(executions, int(found[1]))
                self.edges, self.features = max(self.edges, int(found[2])), max(self.features, int(found[3]))
            elif found := _UNITS.search(line):
                executions = max(executions, int(found[1]))
            elif found := _SLOWEST.search(line):
                self.slowest_s = max(self.slowest_s, float(found[1]))
            elif found := _WRITTEN.search(line):
                self.ended.append(found[1])
            elif not line.startswith(("INFO:", "stat::", "Done ", "WARNING: no interesting", "\n")):
                yield line
        self.executions += executions


def main() -> int:
    options = _options()
    if options.replay or options.shorten:
        return _again(options)
    if options.covered:
        from fuzzing import covered

        return covered.report(options.surface, options.keep / options.surface)
    runs = [_run(options, target, share) for target, share in _shares(options).items()]
    return _report(options, runs)


def _options() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__, formatter_class=raw)
    parser.add_argument("surface", choices=[*surfaces(), PARSERS])
    parser.add_argument("--minutes", type=float, default=30, help="for all targets together; default 30")
    parser.add_argument("--target", action="append", choices=list(SHARES), help="only this one; repeatable")
    parser.add_argument("--keep", type=Path, default=CACHE, help="where inputs are kept")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="check one input of --target")
    parser.add_argument("--shorten", type=Path, metavar="FILE", help="print the shortest input like it")
    parser.add_argument("--covered", action="store_true", help="count the lines that the kept inputs reach")
    options = parser.parse_args()
    if options.surface != PARSERS:
        try:
            ground(options.surface)
        except FileNotFoundError as error:
            parser.error(f"{options.surface} has no seeds: write some to {error.filename}")
    return options


def _shares(options: argparse.Namespace) -> dict[str, float]:
    if options.surface == PARSERS:
        return {PARSERS: 1.0}
    wanted = options.target or list(SHARES)
    whole = sum(SHARES[target] for target in wanted)
    return {target: SHARES[target] / whole for target in wanted}


def _run(options: argparse.Namespace, target: str, share: float) -> Run:
    """One target for its share of the time; a process that libFuzzer ends is followed by another."""
    run = Run(target)
    folder = options.keep / options.surface / target
    until = time.monotonic() + options.minutes * 60 * share
    for _ in range(RESTARTS):
        left = until - time.monotonic()
        if left < 2:
            break
        started = time.monotonic()
        _work(options.surface, target, folder, int(left), run)
        run.seconds += time.monotonic() - started
    print(_line(run, folder), flush=True)
    return run


def _work(surface: str, target: str, folder: Path, seconds: int, run: Run) -> None:
    command = [sys.executable, "-m", "fuzzing.worker", surface, target, str(folder)]
    command += [f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}"]
    command += [f"-report_slow_units={TIMEOUT_S}", "-print_final_stats=1"]
    command += [f"-artifact_prefix={folder}/findings/", "-verbosity=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr
        said = list(run.read(iter(process.stderr)))
    if process.returncode:
        print(f"{target}: ended with {process.returncode}", *said[-30:], sep="\n", flush=True)
        run.ended = run.ended or [f"exit code {process.returncode}"]


def _line(run: Run, folder: Path) -> str:
    return (
        f"{run.target:9} {run.seconds / 60:5.1f} min  {run.executions:9,} executions  {run.edges:5} edges  "
        f"{run.features:6} features  slowest {run.slowest_s:.2f} s  "
        f"{len(_found(folder)) + len(run.ended)} findings"
    )


def _found(folder: Path) -> list[Path]:
    return sorted((folder / "findings").glob("*.txt"))


def _report(options: argparse.Namespace, runs: list[Run]) -> int:
    folder = options.keep / options.surface
    findings = [path for run in runs for path in _found(folder / run.target)]
    ended = [item for run in runs for item in run.ended]
    for path in findings:
        lines = path.read_text(encoding="utf-8").splitlines()
        last = next((line for line in reversed(lines) if not line.startswith(" ")), "")
        print(f"{path}: {last[:200]}")
    for item in ended:
        print(f"{item}: a process was ended by it")
    executions, minutes = sum(run.executions for run in runs), sum(run.seconds for run in runs) / 60
    count = len(findings) + len(ended)
    print(f"{options.surface}: {minutes:.1f} min, {executions:,} executions, {count} findings")
    return 1 if count else 0


def _again(options: argparse.Namespace) -> int:
    from fuzz import targets

    if options.surface == PARSERS:
        standing, check = None, targets.PARSERS[PARSERS]
    else:
        name = (options.target or ["requests"])[0]
        standing, check = ground(options.surface), targets.OF_SURFACES[name]
    data = (options.replay or options.shorten).read_bytes()
    if options.replay:
        check(standing, data, Choice(data))
        print("no finding")
        return 0

    def fails(candidate: bytes) -> str | None:
        # As `data` chooses, so that a shorter input is tried in the same ways.
        try:
            check(standing, candidate, Choice(data))
        except Exception as error:
            return signature(error)
        return None

    sys.stdout.buffer.write(shortest(data, fails))
    return 0


if __name__ == "__main__":
    sys.exit(main())
