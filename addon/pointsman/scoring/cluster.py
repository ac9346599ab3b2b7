"""The cluster strategy: a vector and knobs → a score for every deployed model.

The v2 blend, over the *deployed* models, so that excluding one for a request never
shifts what the others are measured against. For the p nearest clusters:

    cost(m)  = in + output_cost_ratio · out · v,  v = verbosity / upper median, or 1
    time(m)  = ttft + expected_output_tokens / tps
    q̂ per cluster, ĉ and ŝ over all: (x − min) / (max − min), 0 where the range is 0
    score(m) = Σ_k  wq·q̂ + wc·(1 − ĉ) + ws·(1 − ŝ)
    wq = alpha[k], ws = speed_weight, wc = 1 − wq − ws (not below 0)

Everything is float64, summed per cluster from left to right as written, then over
clusters nearest first; a plain loop in that order gives the same numbers. What the
request's vector does not change is one matrix [K, M], kept per (bundle, deployed
models, knobs): scoring then is one product with the centroids and p additions.

What is unknown: a model without timing is as slow as the slowest, one without a
price as dear as the dearest, one without verbosity has the median's. When nobody's
timing is known, or all are equal, speed has no say and its weight goes to the other
two in proportion; when they have none, quality alone decides.

v1 bundles: the sum of their rankings rows; knobs do nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pointsman.errors import BundleError
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.bundle_files import Matrix
from pointsman.scoring.knobs import Knobs

_NOBODY = "no model of the bundle is deployed and eligible"


@dataclass(frozen=True, slots=True)
class Scored:
    """What one vector scored. `scores` and `quality` hold every deployed model, eligible or not."""

    model: str
    runner_up: str  # the second among the eligible, "" if there is none
    margin: float | None  # score of the model − score of the runner-up
    scores: dict[str, float]
    quality: dict[str, float]  # mean expected quality over the nearest clusters, 0…1; empty for v1
    clusters: tuple[tuple[int, float], ...]  # (cluster, dot product), nearest first


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What (bundle, deployed, knobs) fix: `models` [M] alphabetical, `scores` and `quality` float64[K, M]."""

    models: tuple[str, ...]
    scores: Matrix
    quality: Matrix | None


def score(
    bundle: Bundle,
    vector: npt.NDArray[np.floating],
    knobs: Knobs | None = None,
    *,
    deployed: Collection[str] | None = None,
    eligible: Collection[str] | None = None,
    top_p: int | None = None,
) -> Scored:
    """Score `vector` [dim] and pick the best eligible model; ties go to the alphabetically first.

    `deployed` and `eligible` default to all models of the bundle and to all deployed ones; names the
    bundle does not know are ignored, it has nothing to say about them. `top_p` defaults to the bundle's.
    Raises ValueError for a vector of another shape or with NaN, and when no eligible model is left;
    BundleError if the knobs are for another number of clusters.
    """
    if vector.shape != (bundle.dim,):
        raise ValueError(f"the vector must have shape ({bundle.dim},), not {vector.shape}")
    models = deployed_models(bundle, deployed)
    view = _view(bundle, models, bundle.defaults if knobs is None else knobs)
    order, near = nearest(bundle, vector, top_p)
    totals = np.add.reduce(view.scores[order], axis=0).tolist()
    best, runner_up = _best_two(view.models, totals, eligible)
    return Scored(
        model=view.models[best],
        runner_up="" if runner_up is None else view.models[runner_up],
        margin=None if runner_up is None else totals[best] - totals[runner_up],
        scores=dict(zip(view.models, totals, strict=True)),
        quality=_expected(view, order),
        clusters=tuple(zip(order.tolist(), near.tolist(), strict=True)),
    )


def deployed_models(bundle: Bundle, deployed: Collection[str] | None) -> tuple[str, ...]:
    """What the bundle knows of `deployed`, in its order; for None all it has. ValueError if nothing."""
    models = bundle.models if deployed is None else _known(bundle, frozenset(deployed))
    if not models:
        raise ValueError(_NOBODY)
    return models


def scores(bundle: Bundle, models: tuple[str, ...], knobs: Knobs) -> Matrix:
    """float64[K, M]: what `score` adds up over the nearest clusters. `models` is of `deployed_models`."""
    return _view(bundle, models, knobs).scores


@lru_cache(maxsize=128)
def _known(bundle: Bundle, names: frozenset[str]) -> tuple[str, ...]:
    return tuple(model for model in bundle.models if model in names)


def nearest(
    bundle: Bundle, vector: npt.NDArray[np.floating], top_p: int | None = None
) -> tuple[npt.NDArray[np.intp], Matrix]:
    """Indices [p] and dot products [p] of the nearest centroids, nearest first, ties to the lower index."""
    # einsum, not a BLAS product: BLAS may sum equal rows in different orders, and a tie would depend on it.
    products: Matrix = np.einsum("kd,d->k", bundle.centroids, vector.astype(np.float64))
    order = np.argsort(-products, kind="stable")[: top_p or bundle.top_p]
    near = products[order]
    if near[0] != near[0] or np.isnan(products).any():
        raise ValueError("the vector must hold finite numbers")
    return order, near


def _expected(view: _View, order: npt.NDArray[np.intp]) -> dict[str, float]:
    if view.quality is None:
        return {}
    means = np.add.reduce(view.quality[order], axis=0) / len(order)
    return dict(zip(view.models, means.tolist(), strict=True))


def _best_two(
    models: tuple[str, ...], totals: list[float], eligible: Collection[str] | None
) -> tuple[int, int | None]:
    allowed = range(len(models)) if eligible is None else [i for i, m in enumerate(models) if m in eligible]
    best: int | None = None
    runner_up: int | None = None
    for index in allowed:
        if best is None or totals[index] > totals[best]:
            best, runner_up = index, best
        elif runner_up is None or totals[index] > totals[runner_up]:
            runner_up = index
    if best is None:
        raise ValueError(_NOBODY)
    return best, runner_up


@lru_cache(maxsize=128)
def _view(bundle: Bundle, models: tuple[str, ...], knobs: Knobs) -> _View:
    """One matrix for all clusters; bounded, because clients choose the knobs."""
    columns = [bundle.models.index(model) for model in models]
    if bundle.format == 1:
        return _View(models, _columns(bundle.rankings, columns), None)
    if len(knobs.alpha) != bundle.k:
        raise BundleError(f"{bundle.path}: {len(knobs.alpha)} values of alpha for {bundle.k} clusters")
    quality = _columns(bundle.quality, columns)
    return _View(models, blend(quality, {n: v[columns] for n, v in bundle.axes.items()}, knobs), quality)


def blend(quality: Matrix, axes: Mapping[str, Matrix], knobs: Knobs) -> Matrix:
    """The score of every model in every cluster, float64[K, M]: what `score` adds up over the nearest.

    `quality` is [K, M], each of `axes` [M] (see `Bundle`), the knobs' alpha has K values.
    """
    with np.errstate(all="ignore"):  # what overflows to infinity has no range, see `_spread`
        cheap = 1 - _filled(_costs(axes, knobs))
        times = axes["ttft_s"] + knobs.expected_output_tokens / _positive(axes["tps"])
        return _blend(quality, cheap, times, knobs)


def _blend(quality: Matrix, cheap: Matrix, times: Matrix, knobs: Knobs) -> Matrix:
    wq = np.array(knobs.alpha)[:, None]
    ws = knobs.speed_weight
    wc = np.maximum(0.0, 1 - wq - ws)
    low, high = quality.min(axis=1, keepdims=True), quality.max(axis=1, keepdims=True)
    q = (quality - low) / np.where(high > low, high - low, 1.0)
    if _spread(times) > 0:
        return np.asarray((wq * q + wc * cheap) + ws * (1 - _filled(times)))
    rest = wq + wc
    safe = np.where(rest > 0, rest, 1.0)
    return np.where(rest > 0, (wq / safe) * q + (wc / safe) * cheap, q)


def _costs(axes: Mapping[str, Matrix], knobs: Knobs) -> Matrix:
    """float64[M] in USD per 1,000 tokens of input and the output that goes with it; NaN where unknown."""
    if knobs.output_cost_ratio == 0:
        return axes["input_per_1k_usd"]
    talk = _verbosity(axes["verbosity_tokens"]) if knobs.per_model_verbosity else 1.0
    return axes["input_per_1k_usd"] + knobs.output_cost_ratio * axes["output_per_1k_usd"] * talk


def _verbosity(tokens: Matrix) -> Matrix:
    """float64[M]: tokens per answer over the upper median of the known ones; 1 where unknown."""
    known = np.sort(tokens[~np.isnan(tokens)])
    median = known[len(known) // 2] if len(known) else 0.0
    if median == 0:
        return np.ones_like(tokens)
    return np.where(np.isnan(tokens), 1.0, tokens / median)


def _filled(values: Matrix) -> Matrix:
    """(x − min) / (max − min); the unknown are the worst, 1; all 0 where the known do not differ."""
    spread = _spread(values)
    if spread == 0:
        return np.zeros_like(values)
    return np.where(np.isnan(values), 1.0, (values - np.nanmin(values)) / spread)


def _spread(values: Matrix) -> float:
    """max − min of the known values; 0 if there are none, or if it is not finite."""
    known = values[~np.isnan(values)]
    spread = float(known.max() - known.min()) if len(known) else 0.0
    return spread if 0 < spread < np.inf else 0.0


def _positive(values: Matrix) -> Matrix:
    """Zero tokens per second is a hole in somebody's table, not a measurement."""
    return np.where(values > 0, values, np.nan)


def _columns(table: Matrix | None, columns: list[int]) -> Matrix:
    if table is None:
        raise BundleError("the bundle has no figures in this format")
    return table[:, columns]
