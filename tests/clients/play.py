"""Scenarios played on a line with a client of its own, and what they leave."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from clients.client import Cancel, Client, Ran
from clients.line import Line
from clients.recorder import Exchange
from clients.script import Scenario, Turn
from provider.record import Record

STREAMING_SECONDS = 60.0
SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """All that one scenario left behind on one line."""

    runs: tuple[Ran, ...]
    main: tuple[Record, ...]
    all: tuple[Record, ...]
    exchanges: tuple[Exchange, ...] | None  # None on the direct line
    unused: int  # scripted answers that nobody fetched


def play_all(scenario: Scenario, kind: type[Client], lines: Sequence[Line], folder: Path) -> list[Seen]:
    """On all lines at once: most of the time is spent in waiting for the client's next attempt."""
    account = uuid.uuid4().hex  # of its own: what is cached must not depend on the scenarios before
    with ThreadPoolExecutor(len(lines)) as pool:
        played = [pool.submit(play, scenario, kind, line, folder / line.name, account) for line in lines]
        return [each.result() for each in played]


def play(scenario: Scenario, kind: type[Client], line: Line, folder: Path, account: str) -> Seen:
    """Run a scenario with a client of its own and collect what it left."""
    provider = line.provider
    provider.steps.clear()
    first, noted = len(provider.records), len(line.exchanges or ())
    client = line.front().client(kind, folder, account, **(scenario.environment or {}))
    runs: list[Ran] = []
    for turn in scenario.turns:
        provider.script(*turn.steps)
        runs.append(client.prompt(turn.prompt, turn.resume, _cancel(turn, line)))
    _settle(scenario, line, first)
    return Seen(
        tuple(runs),
        tuple(provider.main(first)),
        tuple(provider.records[first:]),
        None if line.exchanges is None else tuple(line.exchanges[noted:]),
        len(provider.steps),
    )


def _cancel(turn: Turn, line: Line) -> Cancel | None:
    """Wait until the stand-in hangs in the middle of the scripted answer."""
    if not turn.cancel:
        return None

    def hanging(process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + STREAMING_SECONDS
        before = -1
        while time.monotonic() < deadline and process.poll() is None:
            last = line.provider.main()[-1:] if not line.provider.steps else []
            sent = last[0].sent if last and not last[0].complete else 0
            if sent and sent == before:
                return True
            before = sent
            time.sleep(0.25)
        return False

    return hanging


def _settle(scenario: Scenario, line: Line, since: int) -> None:
    """Wait until the stand-in has seen the peers of cancelled requests leave."""
    cancelled = sum(turn.cancel for turn in scenario.turns)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        if sum(record.gone for record in line.provider.main(since)) >= cancelled:
            return
        time.sleep(0.05)
