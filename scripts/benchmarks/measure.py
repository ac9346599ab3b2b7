"""Figures from samples, and what the operating system says about a process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample that `share` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(samples: Sequence[float]) -> float:
    return quantile(samples, 0.5)


def seconds(function: Callable[[], object], repeats: int, warm_up: int = 3) -> list[float]:
    """Seconds of each call. The garbage collector stays on, as it is in the proxy."""
    for _ in range(warm_up):
        function()
    samples = []
    for _ in range(repeats):
        before = time.perf_counter()
        function()
        samples.append(time.perf_counter() - before)
    return samples


def seconds_each(function: Callable[[], object], calls: int, repeats: int) -> list[float]:
    """Seconds per call of what is too short to be timed alone, for each of `repeats` runs of `calls`."""

    def run() -> None:
        for _ in range(calls):
            function()

    return [total / calls for total in seconds(run, repeats)]


def seconds_per_item(function: Callable[[bytes], object], items: Sequence[bytes]) -> float:
    """Seconds of a call, over one pass through the items."""
    before = time.perf_counter()
    for item in items:
        function(item)
    return (time.perf_counter() - before) / len(items)


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout) / 1024


def cpu_seconds(pid: int) -> float | None:
    """Processor time of all threads of a process, to the microsecond; None where Linux's /proc is missing."""
    try:
        tasks = [task / "schedstat" for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return None
