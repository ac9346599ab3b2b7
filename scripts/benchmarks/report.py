"""Figures beside the budgets of the design, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.latency import BARE, BASE, Exchange, Samples, Way
from benchmarks.measure import median, quantile

NOISY_LOAD = 1.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `budget` is None where the design sets none; values and budgets have the same unit."""

    name: str
    unit: str
    value: float  # p50
    p99: float | None = None
    budget: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.budget is None else self.value / self.budget

    @property
    def kept(self) -> bool | None:
        return None if self.budget is None else self.value <= self.budget


def figure(
    name: str, unit: str, samples: Sequence[float], scale: float, budget: float | None = None
) -> Figure:
    """p50 and p99 of samples in seconds, times `scale`."""
    return Figure(name, unit, median(samples) * scale, quantile(samples, 0.99) * scale, budget)


@dataclass(frozen=True, slots=True)
class WayRow:
    """One way, streamed or not: milliseconds to the first and the last byte, and of the proxy's CPU."""

    surface: str
    way: str
    streamed: bool
    first_p50: float
    first_p99: float
    last_p50: float
    last_p99: float
    cpu_p50: float | None
    over_direct: float  # medians of the differences within a round, to the last byte
    over_bare: float


def way_rows(samples: Samples) -> list[WayRow]:
    return [_way_row(way, streamed, samples) for way, streamed in samples]


def _way_row(way: Way, streamed: bool, samples: Samples) -> WayRow:
    """Compared with the other ways of the same surface."""
    exchanges = samples[way, streamed]
    same = {
        other.name: found
        for (other, stream), found in samples.items()
        if other.traffic is way.traffic and stream == streamed
    }
    first, last = [one.first * 1e3 for one in exchanges], [one.last * 1e3 for one in exchanges]
    cpu = [one.cpu * 1e3 for one in exchanges if one.cpu is not None]
    return WayRow(
        surface=way.traffic.surface,
        way=way.name,
        streamed=streamed,
        first_p50=median(first),
        first_p99=quantile(first, 0.99),
        last_p50=median(last),
        last_p99=quantile(last, 0.99),
        cpu_p50=median(cpu) if cpu else None,
        over_direct=_added(exchanges, same[BASE]),
        over_bare=_added(exchanges, same[BARE]),
    )


def _added(ours: Sequence[Exchange], theirs: Sequence[Exchange]) -> float:
    """Median of the differences within a round: a slow moment of the machine falls on both sides."""
    return median([(a.last - b.last) * 1e3 for a, b in zip(ours, theirs, strict=True)])


def added(rows: Sequence[WayRow], way: str, budget: float) -> list[Figure]:
    """What a way adds to bare mitmproxy on each surface, as figures with a budget in milliseconds."""
    return [
        Figure(f"added: {_kind(row)}, {row.surface}", "ms", row.over_bare, None, budget)
        for row in rows
        if row.way == way
    ]


def _kind(row: WayRow) -> str:
    return f"{row.way}, {'stream' if row.streamed else 'body'}"


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that only say something beside each other; None where there is none."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]

    def lines(self) -> list[str]:
        widths = [max(len(name) + 2, 9) for name in self.columns]
        label = max(len(self.title), *(len(name) + 2 for name, _ in self.rows), 44)
        heads = "".join(f"{name:>{width}}" for name, width in zip(self.columns, widths, strict=True))
        lines = [f"{self.title:<{label}}{heads}"]
        for name, values in self.rows:
            shown = ("–" if value is None else f"{value:.2f}" for value in values)
            cells = "".join(f"{value:>{width}}" for value, width in zip(shown, widths, strict=True))
            lines.append(f"  {name:<{label - 2}}{cells}")
        return lines


@dataclass(frozen=True, slots=True)
class Report:
    machine: dict[str, str | int | float]
    ways: list[WayRow]
    tables: list[Table]
    figures: list[Figure]
    notes: list[str]

    def as_json(self) -> str:
        figures = [asdict(one) | {"ratio": one.ratio, "kept": one.kept} for one in self.figures]
        ways = [asdict(row) for row in self.ways]
        tables = [asdict(table) for table in self.tables]
        parts = {"machine": self.machine, "ways": ways, "tables": tables, "figures": figures}
        return json.dumps(parts | {"notes": self.notes}, indent=1)

    def as_text(self) -> str:
        machine = " · ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join(
            [machine, "", *_way_lines(self.ways), ""]
            + [line for table in self.tables for line in (*table.lines(), "")]
            + [*_figure_lines(self.figures), ""]
            + [f"note: {note}" for note in self.notes]
        )


def _way_lines(rows: Sequence[WayRow]) -> list[str]:
    lines = [
        "ms, 30 KB request over kept-alive TLS      first byte      last byte   proxy     last byte over",
        "                                          p50    p99     p50    p99     CPU     direct mitmproxy",
    ]
    surface = ""
    for row in rows:
        if row.surface != surface:
            surface = row.surface
            lines.append(surface)
        cpu = "     –" if row.cpu_p50 is None else f"{row.cpu_p50:6.2f}"
        kind = "stream" if row.streamed else "body"
        lines.append(
            f"  {row.way:<26}{kind:<8}{row.first_p50:8.2f}{row.first_p99:7.2f}{row.last_p50:8.2f}"
            f"{row.last_p99:7.2f}  {cpu}  {row.over_direct:+9.2f} {row.over_bare:+9.2f}"
        )
    return lines


def _figure_lines(figures: Sequence[Figure]) -> list[str]:
    lines = [f"{'':<62}{'p50':>9}{'p99':>9}  {'unit':<5}{'budget':>8}{'ratio':>7}"]
    for one in figures:
        p99 = "" if one.p99 is None else f"{one.p99:.4g}"
        judged = ""
        if one.budget is not None:
            judged = f"{one.budget:>8.4g}{one.ratio:>7.2f}  {'✓' if one.kept else '✗'}"
        lines.append(f"{one.name:<62}{one.value:>9.4g}{p99:>9}  {one.unit:<5}{judged}".rstrip())
    return lines


def noise_notes(rows: Sequence[WayRow], load: float) -> list[str]:
    """What to think of the figures; nothing to say on a quiet machine."""
    notes = []
    if load > NOISY_LOAD:
        notes.append(f"the machine was busy before the run (load {load:.2f}): trust ratios, not figures")
    for row in rows:
        if row.way == BASE and row.last_p99 > 4 * row.last_p50:
            kind = f"{row.surface}, {'streamed' if row.streamed else 'whole'} answers"
            notes.append(
                f"direct p99 is {row.last_p99 / row.last_p50:.0f} times its p50 ({kind}): other work "
                "ran beside it, and the p99 figures tell of that more than of the proxy"
            )
    return notes
