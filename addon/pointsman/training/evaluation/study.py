"""Who is judged on what: every pool, held out, twice.

*Own scores*: all models of a pool compete, and routers know their scores on the prompts
that they learn from. *Transfer* (`targets`): the models to choose among are known by one
number each, as today's models are to the shipped bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pointsman.errors import DataError
from pointsman.training.data import Data, Floats
from pointsman.training.evaluation import clusters, routers, targets
from pointsman.training.evaluation.clusters import Clusters, Settings, Tick
from pointsman.training.evaluation.judge import INTERVAL, Figure, Judge, Sweep, figure, judge
from pointsman.training.evaluation.pools import Pool, joined, pools
from pointsman.training.evaluation.routers import Part, Routed, stacked
from pointsman.training.recipe import LAMBDAS
from pointsman.training.vectors import Vectors

GRID = 50  # points of a curve


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One router on one pool. What has no meaning there is None: a model by itself expects nothing."""

    router: str
    gain: Figure
    saving: Figure
    brier: Figure | None = None
    apgr: Figure | None = None
    cpt50: Figure | None = None
    cpt80: Figure | None = None
    per_seed: tuple[float, ...] = ()  # gains
    curve: tuple[tuple[float, float, float], ...] = ()  # quality, low, high at the pool's costs


@dataclass(frozen=True, slots=True, eq=False)
class PoolReport:
    pool: str
    prompts: int
    models: tuple[str, ...]
    singles: tuple[tuple[float, float], ...]  # (mean cost in USD, mean quality) of each model
    best: str
    zero_aiq: float
    costs: tuple[float, ...]  # at which curves are given, USD
    own: tuple[Row, ...]
    transfer: tuple[Row, ...]
    sets: int  # of targets, in `transfer`
    sets_above_zero: float  # share of them with a gain by the transfer recipe


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    settings: Settings
    pools: tuple[PoolReport, ...]
    left_out: Mapping[str, str]


def study(
    data: Data, vectors: Vectors, settings: Settings, *, only: Sequence[str] = (), tick: Tick = lambda _: None
) -> Report:
    """Judge every pool (or those of `only`) of the data; `vectors` [n, dim] are of all its prompts."""
    found, left_out = pools(data)
    chosen = [pool for pool in found if not only or pool.name in only]
    made = clusters.make(data, vectors, settings, tick)
    reports = [_pool_report(data, vectors, pool, found, made, settings, tick) for pool in chosen]
    return Report(replace(settings, k=made.k), tuple(reports), left_out)


def names(data: Data) -> list[str]:
    """Of the pools that can be judged. Raises DataError with the reasons if there is none."""
    found, left_out = pools(data)
    if not found:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items()) or "there are no scores"
        raise DataError(f"nothing can be judged: {reasons}")
    return [pool.name for pool in found]


def steps(data: Data, settings: Settings, only: Sequence[str] = ()) -> int:
    """How often `study` will tick."""
    count = len([name for name in names(data) if not only or name in only])
    return max(settings.folds, 1) * settings.seeds + count * (len(OWN) + 2)


# What knows the models' own scores; "clusters" are once per k-means seed.
OWN: Mapping[str, Callable[[Part], Routed] | None] = {
    "clusters": None,
    "kNN": routers.neighbours,
    "ridge": routers.ridge,
    "ridge + words": routers.ridge_with_words,
    "true category": routers.true_category,
}


def _pool_report(
    data: Data,
    vectors: Vectors,
    pool: Pool,
    every: list[Pool],
    made: Clusters,
    settings: Settings,
    tick: Tick,
) -> PoolReport:
    texts = [prompt.text for prompt in data.prompts]
    categories = [f"{prompt.source}/{prompt.category}" for prompt in data.prompts]
    cut = [
        Part(pool.part(fit), pool.part(held), vectors, texts, categories)
        for fit, held in zip(made.fit, made.held, strict=True)
    ]
    judged = judge(joined([part.held for part in cut]), settings.bootstraps)
    costs = _grid(float(judged.cost[0].min()), float(judged.cost[0].max()))
    blindly = judged.curve(judged.singles(), costs)
    zero = judged.aiq(judged.singles())
    blind = judged.brier(np.concatenate([routers.mean(part).expected for part in cut]))
    rows = [
        _row("zero router", judged, [judged.singles()], zero, costs, blindly),
        _row("random mix", judged, [judged.chord()], zero, costs, blindly),
    ]
    for name, router in OWN.items():
        tick(f"{pool.name}: {name}")
        routed = _routed(router, cut, made, settings)
        briers = np.mean([judged.brier(one.expected) for one in routed], axis=0)
        sweeps = [judged.sweep(one.chosen) for one in routed]
        rows.append(_row(name, judged, sweeps, zero, costs, blindly, 1000 * (briers - blind)))
    tick(f"{pool.name}: oracle")
    rows.append(_row("oracle", judged, [judged.oracle(LAMBDAS)], zero, costs, blindly))
    tick(f"{pool.name}: transfer")
    transferred = targets.transfer(cut, judged, every, made, settings)
    return PoolReport(
        pool=pool.name,
        prompts=len(judged.pool.rows),
        models=pool.models,
        singles=tuple(zip(judged.cost[0].tolist(), judged.quality[0].tolist(), strict=True)),
        best=pool.models[judged.best],
        zero_aiq=float(zero[0]),
        costs=tuple(costs.tolist()),
        own=tuple(rows),
        transfer=tuple(Row(name, gain, saving) for name, gain, saving in transferred.rows),
        sets=transferred.sets,
        sets_above_zero=transferred.above_zero,
    )


def _routed(
    router: Callable[[Part], Routed] | None, cut: list[Part], made: Clusters, settings: Settings
) -> list[Routed]:
    """All parts' held-out prompts, once per seed where there are seeds."""
    if router is not None:
        return [stacked([router(part) for part in cut])]
    return [
        stacked(
            [
                routers.own_clusters(part, near[seed], made.k)
                for part, near in zip(cut, made.near, strict=True)
            ]
        )
        for seed in range(settings.seeds)
    ]


def _row(
    name: str,
    judged: Judge,
    sweeps: list[Sweep],
    zero: Floats,
    costs: Floats,
    blindly: Floats,
    brier: Floats | None = None,
) -> Row:
    """The figures of a router, averaged over its seeds under every resampling."""
    gains = [judged.aiq(sweep) - zero for sweep in sweeps]
    curves = np.mean([judged.curve(sweep, costs) for sweep in sweeps], axis=0)
    recovered = np.mean([judged.recovered(sweep) for sweep in sweeps], axis=0) if judged.two else None
    return Row(
        router=name,
        gain=figure(np.mean(gains, axis=0)),
        saving=figure(np.mean([judged.saving(sweep) for sweep in sweeps], axis=0)),
        brier=None if brier is None else figure(brier),
        apgr=None if recovered is None else figure(recovered[0]),
        cpt50=None if recovered is None else figure(recovered[1]),
        cpt80=None if recovered is None else figure(recovered[2]),
        per_seed=tuple(float(gain[0]) for gain in gains),
        curve=tuple(map(tuple, np.stack([curves[0], *_band(curves, blindly)], axis=1).tolist())),
    )


def _grid(low: float, high: float) -> Floats:
    """Costs at which curves are given: closer together where they bend, at the cheap end."""
    return np.geomspace(low, high, GRID) if low > 0 else np.linspace(low, high, GRID)


def _band(curves: Floats, blindly: Floats) -> Floats:
    """[2, points]: the interval of the difference to the zero router, put on the zero router's own curve."""
    return np.asarray(blindly[0] + np.quantile((curves - blindly)[1:], INTERVAL, axis=0))
