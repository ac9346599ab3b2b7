"""A report for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pointsman.training.evaluation.judge import Figure
from pointsman.training.evaluation.study import PoolReport, Report, Row

LEGEND = (
    "AIQ: points of quality, averaged over the range of costs, above mixing single models blindly (the zero "
    "router). Saved: of the best single model's cost, where the router is as good. Brier: mean square error "
    "of the expected score, less that of each model's mean, in thousandths; lower is better. APGR: share of "
    "the gap between two models that is recovered, averaged over all shares of calls to the strong one "
    "(random: .50); CPT(x): the share of calls that recovers x % of it. In brackets: 95 % intervals."
)


def tables(report: Report) -> RenderableType:
    """One table per pool, at most 80 columns wide."""
    blocks: list[RenderableType] = []
    for pool in report.pools:
        blocks += [Text(), _heading(pool), _main(pool.own)]
        if len(pool.models) == 2:
            blocks.append(_two(pool))
        blocks += [Text(_known(pool), style="italic"), _main(pool.transfer)]
    blocks += [Text(), Text(LEGEND, style="dim")]
    blocks += [Text(f"left out: {name}: {why}", style="dim") for name, why in report.left_out.items()]
    return Group(*blocks)


def as_json(report: Report) -> dict[str, Any]:
    """Everything, curves too; what has no value is null."""
    cleaned: dict[str, Any] = _finite(asdict(report))
    return cleaned


def _heading(pool: PoolReport) -> Text:
    cost, quality = pool.singles[pool.models.index(pool.best)]
    return Text.assemble(
        (pool.pool, "bold"),
        f": {pool.prompts:,} prompts, {len(pool.models)} models; best single {pool.best.rpartition('/')[2]}, "
        f"{_short(quality, 3)} at ${1000 * cost:.3g} per 1,000; zero router {pool.zero_aiq:.2f}",
    )


def _known(pool: PoolReport) -> str:
    if pool.sets == 1:
        return "the same where each model is known by one number"
    return f"where each model is known by one number, over {pool.sets} sets of models"


def _main(rows: Iterable[Row]) -> Table:
    table = _table("router", ("AIQ gain", 20), ("saved, %", 14), ("Brier", 22))
    for row in rows:
        if row.router != "zero router":
            table.add_row(row.router, *_main_cells(row))
    return table


def _main_cells(row: Row) -> Iterator[str]:
    yield _interval(row.gain, 2, signed=True)
    yield _interval(row.saving, 0, scale=100)
    yield "" if row.brier is None else _interval(row.brier, 1, signed=True)


def _two(pool: PoolReport) -> RenderableType:
    if any(row.apgr and math.isnan(row.apgr.value) for row in pool.own):
        return Text("APGR: none, since the dearer model is not the better one", style="italic")
    table = _table("router", ("APGR", 20), ("CPT(50), %", 14), ("CPT(80), %", 14))
    for row in pool.own:
        if row.apgr and row.cpt50 and row.cpt80 and row.router != "zero router":
            table.add_row(
                row.router,
                _interval(row.apgr, 3),
                _interval(row.cpt50, 0, scale=100),
                _interval(row.cpt80, 0, scale=100),
            )
    return table


def _table(first: str, *others: tuple[str, int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True, min_width=13)
    for name, width in others:
        table.add_column(name, no_wrap=True, justify="right", min_width=width)
    return table


def _interval(figure: Figure, digits: int, *, signed: bool = False, scale: float = 1) -> str:
    value, low, high = (_short(scale * x, digits) for x in (figure.value, figure.low, figure.high))
    plus = "+" if signed and not value.startswith("−") else ""
    return f"{plus}{value} [{low}, {high}]"


def _short(value: float, digits: int) -> str:
    """Without the zero before the point, with a real minus."""
    if math.isnan(value):
        return "–"
    text = f"{abs(value):.{digits}f}"
    minus = "−" if value < 0 and float(text) else ""
    return minus + (text.removeprefix("0") if digits and text.startswith("0.") else text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
