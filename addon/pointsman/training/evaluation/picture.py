"""Quality against cost, a panel per pool: what one could have for the same money."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from pointsman.training.evaluation.study import PoolReport, Report

COLUMNS = 3
LOG_FROM = 8.0  # ratio of the highest to the lowest cost from which the axis is logarithmic
LEAST_HEIGHT = 0.04  # of a panel, in score
# Colours that people with a colour vision deficiency can tell apart (Okabe and Ito).
LINES = {
    "zero router": ("#555555", "--", "zero router: single models, mixed blindly"),
    "clusters": ("#0072B2", "-", "clusters; band: 95 % interval against the zero router"),
    "kNN": ("#E69F00", "-", "kNN"),
    "ridge + words": ("#009E73", "-", "ridge on vector and words"),
    "true category": ("#CC79A7", ":", "true category"),
}


def draw(report: Report, path: Path) -> None:
    """Write the picture; the ending of `path` says in which format (svg, png, pdf)."""
    pools = report.pools
    columns = min(COLUMNS, len(pools))
    rows = -(-len(pools) // columns)
    figure = Figure(figsize=(4.1 * columns, 3.0 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, pool in zip(axes, pools, strict=False):
        _panel(ax, pool)
    for ax in axes[len(pools) :]:
        ax.axis("off")
    for ax in axes[max(0, len(pools) - columns) : len(pools)]:
        ax.set_xlabel("US dollars per 1,000 prompts")
    for ax in axes[::columns]:
        ax.set_ylabel("mean score")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False, fontsize=9)
    # The same bytes every time; texts stay texts.
    with matplotlib.rc_context({"svg.hashsalt": "pointsman", "svg.fonttype": "none"}):
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(ax: Axes, pool: PoolReport) -> None:
    costs = 1000 * np.array(pool.costs)
    rows = {row.router: row for row in pool.own}
    for name, (colour, style, label) in LINES.items():
        quality, low, high = np.array(rows[name].curve).T
        ax.plot(costs, quality, style, color=colour, linewidth=1.3, label=label, zorder=3)
        if name == "clusters":
            ax.fill_between(costs, low, high, color=colour, alpha=0.18, linewidth=0, zorder=1)
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
    _limits(ax, pool)
    _name_the_best(ax, pool)
    ax.set_title(f"{pool.pool}: {pool.prompts:,} prompts, {len(pool.models)} models", fontsize=10, loc="left")
    ax.grid(color="#e4e4e4", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}".lstrip("0")))
    ax.tick_params(labelsize=8)


def _limits(ax: Axes, pool: PoolReport) -> None:
    """So that the curves fill the panel: no dearer than the best model, and weak models may fall below it."""
    best = pool.singles[pool.models.index(pool.best)][0]
    low, high = 1000 * pool.costs[0], 1000 * max(best, pool.costs[len(pool.costs) // 2])
    if low > 0 and high / low > LOG_FROM:
        ax.set_xscale("log")
        ax.set_xlim(low / 1.15, high * 1.25)
        ticks = [
            t * 10.0**e for e in range(-5, 4) for t in (1, 2, 5) if low / 1.15 <= t * 10.0**e <= high * 1.25
        ]
        ax.xaxis.set_major_locator(FixedLocator(ticks if len(ticks) < 7 else ticks[::2]))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.set_xlim(low - 0.03 * (high - low), high + 0.05 * (high - low))
        ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    drawn = np.concatenate([np.array(row.curve)[:, 0] for row in pool.own if row.router in LINES])
    bottom, top = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    spare = max(0.0, LEAST_HEIGHT - (top - bottom)) / 2
    ax.set_ylim(bottom - spare - 0.06 * (top - bottom), top + spare + 0.12 * (top - bottom))


def _name_the_best(ax: Axes, pool: PoolReport) -> None:
    cost, quality = pool.singles[pool.models.index(pool.best)]
    across = ax.transAxes.inverted().transform(ax.transData.transform((1000 * cost, quality)))[0]
    ax.annotate(
        pool.best.rpartition("/")[2],
        (1000 * cost, quality),
        xytext=(3 if across < 0.5 else -3, -13),
        textcoords="offset points",
        ha="left" if across < 0.5 else "right",
        fontsize=7.5,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
        zorder=5,
    )
