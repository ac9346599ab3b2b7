"""Quality against cost, a panel per pool: what one could have for the same money."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pointsman.training.evaluation.study import PoolReport, Report, Row

COLUMNS = 2
# Colours that people with a colour vision deficiency can tell apart (Okabe and Ito).
LINES = {
    "zero router": ("#555555", "--", "zero router: single models, mixed blindly"),
    "clusters": ("#0072B2", "-", "clusters, with their 95 % interval"),
    "kNN": ("#E69F00", "-", "kNN"),
    "ridge + words": ("#009E73", "-", "ridge on vector and words"),
    "true category": ("#CC79A7", ":", "true category"),
}


def draw(report: Report, path: Path) -> None:
    """Write the picture; the ending of `path` says in which format (svg, png, pdf)."""
    pools = report.pools
    rows = -(-len(pools) // COLUMNS)
    figure = Figure(figsize=(10, 3.1 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for ax, pool in zip(axes, pools, strict=False):
        _panel(ax, pool)
    for ax in axes[len(pools) :]:
        ax.axis("off")
    for ax in axes[max(0, len(pools) - COLUMNS) : len(pools)]:
        ax.set_xlabel("US dollars per 1,000 prompts")
    for ax in axes[::COLUMNS]:
        ax.set_ylabel("mean score")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    with matplotlib.rc_context({"svg.hashsalt": "pointsman"}):  # the same bytes every time
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(ax: Axes, pool: PoolReport) -> None:
    costs = 1000 * np.array(pool.costs)
    rows = {row.router: row for row in pool.own}
    for name, (colour, style, label) in LINES.items():
        if name in rows:
            quality, low, high = np.array(rows[name].curve).T
            wide = 2.0 if name == "clusters" else 1.3
            ax.plot(costs, quality, style, color=colour, linewidth=wide, label=label, zorder=3)
            if name == "clusters":
                ax.fill_between(costs, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    singles = np.array(pool.singles)
    ax.plot(
        1000 * singles[:, 0],
        singles[:, 1],
        "o",
        color="#333333",
        markersize=4,
        label="single models",
        zorder=4,
    )
    best = pool.models.index(pool.best)
    ax.annotate(
        pool.best.rpartition("/")[2],
        (1000 * singles[best, 0], singles[best, 1]),
        xytext=(-4, -11),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
    )
    _limits(ax, pool, rows)
    ax.set_title(f"{pool.pool}: {pool.prompts:,} prompts, {len(pool.models)} models", fontsize=10, loc="left")
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}".lstrip("0")))


def _limits(ax: Axes, pool: PoolReport, rows: dict[str, Row]) -> None:
    """So that the curves fill the panel; weak single models may fall below it."""
    drawn = np.concatenate([np.array(rows[name].curve)[:, 0] for name in LINES if name in rows])
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    ax.set_ylim(low - 0.06 * (high - low), high + 0.1 * (high - low))
    costs = 1000 * np.array(pool.costs)
    ax.set_xlim(costs[0] - 0.02 * np.ptp(costs), costs[-1] + 0.03 * np.ptp(costs))
