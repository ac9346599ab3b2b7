"""RouterBench's yardstick: quality against cost over a sweep, as one number.

After Hu et al., "RouterBench" (2024), section 3. Sweeping a router's knob gives points
(mean cost, mean quality). Its *non-decreasing convex hull* is what anyone can reach by
mixing those settings at random and by never paying for less quality. AIQ, the average
improvement in quality, is the area under that hull over the common range of costs,
divided by the width of the range. The *zero router* mixes single models without looking
at the prompt: the hull of the models' own points. A router earns its keep by AIQ above
the zero router's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SAME = 1e-6  # of quality: means may come from single precision
Points = npt.NDArray[np.floating[Any]]


def hull(costs: Points, qualities: Points) -> tuple[Points, Points]:
    """Vertices (costs, qualities) of the non-decreasing convex hull, cheapest first."""
    kept: list[tuple[float, float]] = []
    for at in np.lexsort((-qualities, costs)):
        x, y = float(costs[at]), float(qualities[at])
        if kept and y <= kept[-1][1]:
            continue
        while len(kept) > 1 and _below(kept[-2], kept[-1], (x, y)):
            kept.pop()
        kept.append((x, y))
    return np.array([x for x, _ in kept]), np.array([y for _, y in kept])


def _below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether `b` is on or below the line from `a` to `c`."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def aiq(x: Points, y: Points, low: float, high: float) -> float:
    """Mean height of a hull (its vertices, as from `hull`) between costs `low` and `high`.

    Right of the hull its last quality holds; left of it, where a router cannot go, its first.
    """
    grid = np.unique(np.concatenate([[low, high], x[(x > low) & (x < high)]]))
    if len(grid) < 2:
        return float(y[-1])
    return float(np.trapezoid(np.interp(grid, x, y), grid) / (high - low))


def reach(x: Points, y: Points, quality: float) -> float:
    """The least cost at which a hull is as high as `quality`; infinite if it never is."""
    if quality > y[-1] + SAME:
        return np.inf
    return float(np.interp(quality, y, x))  # both rise strictly
