"""The recipe judged: does routing by transferred qualities beat mixing single models?

The situation of a shipped bundle is rebuilt inside a pool of scored models. Some of its
models are *targets*: the router chooses among them and knows of each only one number,
its mean score (and its price). Difficulties come from the remaining models, the
*references*. Nothing of a target's scores on single prompts reaches the router.

Cross-validated on train rows: the clusters and difficulties of a fold are made without
the fold's prompts, and the choices for its prompts are pooled over folds. For every
setting of the price of money λ (alpha per cluster = gap / (gap + λ), the rule that the
bundle's alpha is fitted with) that gives one point of cost and quality; AIQ minus the
zero router's over the same targets is the gain. It is averaged over k-means seeds and
over target sets; the interval is a paired bootstrap over prompts *and* target sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pointsman.scoring.bundle_files import AXES
from pointsman.scoring.cluster import blend
from pointsman.scoring.knobs import Knobs
from pointsman.training.aiq import aiq
from pointsman.training.data import Data, Floats, Pool
from pointsman.training.transfer import cell_sums, fit_difficulty, predict
from pointsman.training.vectors import Vectors

LAMBDAS = np.concatenate([[0.0], np.geomspace(3e-3, 30, 60), [1e6]])
SETS_SEED = 7
NO_DIFFICULTY_COUNT = 20.0  # prompts' worth of "like the average" in a cluster that other pools hardly know

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Settings:
    k: int = 64
    top_p: int = 2
    seeds: int = 6
    folds: int = 5
    set_size: int = 4  # targets to choose among; the rest of the pool are references
    sets: int = 20
    bootstraps: int = 500
    qualities: str = "transfer"  # or "own": the targets' own cells, an upper bound that no new model has
    costs: str = "measured"  # a model's mean cost per prompt; or "list": its list prices alone
    ability_error: float = 0.0  # standard deviation of an error added to every target's mean score


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Gains are in AIQ points (hundredths of quality)."""

    pool: str
    prompts: int
    zero: float
    gain: float
    low: float
    high: float
    per_seed: tuple[float, ...]
    per_set: tuple[float, ...]
    sets: tuple[tuple[str, ...], ...] = field(repr=False)

    @property
    def sets_above_zero(self) -> float:
        return float(np.mean([gain > 0 for gain in self.per_set]))


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One k-means fit. `near` [n, p] are the nearest clusters of all prompts, nearest first."""

    near: Indices
    held_out: npt.NDArray[np.bool_]  # [n]


def folds(
    vectors: Vectors, usable: npt.NDArray[np.bool_], weights: Floats, settings: Settings
) -> list[list[Fold]]:
    """[seeds][folds]; k-means sees the usable prompts outside the fold, with their weights."""
    result = []
    for seed in range(settings.seeds):
        which = np.random.default_rng(1000 + seed).integers(0, settings.folds, len(vectors))
        row = []
        for fold in range(settings.folds):
            inside = usable & (which != fold)
            centres = kmeans(vectors[inside], weights[inside], settings.k, seed)
            row.append(Fold(nearest(vectors, centres, settings.top_p), which == fold))
        result.append(row)
    return result


def kmeans(vectors: Vectors, weights: Floats, k: int, seed: int) -> Vectors:
    """Centroids float32[k, dim], L2-normalised, of unit vectors; deterministic for a seed."""
    from sklearn.cluster import KMeans  # type: ignore[import-untyped, unused-ignore]  # only for training

    fit = KMeans(k, random_state=seed, n_init=1, max_iter=60).fit(vectors, sample_weight=weights)
    centres = fit.cluster_centers_
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True), dtype=np.float32)


def nearest(vectors: Vectors, centres: Vectors, top_p: int) -> Indices:
    return np.asarray(np.argsort(-(vectors @ centres.T), axis=1, kind="stable")[:, :top_p])


def evaluate(data: Data, pool_name: str, made: list[list[Fold]], settings: Settings) -> Result:
    """Gain over the zero router on one pool's train rows."""
    pool = data.pool(pool_name).complete()
    sets = target_sets(len(pool.models), settings)
    rng = np.random.default_rng(SETS_SEED)
    errors = settings.ability_error * rng.standard_normal((len(sets), len(pool.models)))
    zero, zero_boot, weights = _zero(pool, sets, settings)
    gains = np.empty((len(made), len(sets)))
    boots = np.empty((len(made), len(sets), settings.bootstraps))
    for seed, row in enumerate(made):
        for at, targets in enumerate(sets):
            chosen = _choices(data, pool, targets, row, settings, errors[at])
            cost, quality = _picked(pool.cost_usd, chosen), _picked(pool.quality, chosen)
            low, high = _range(pool, targets)
            gains[seed, at] = aiq(cost.mean(axis=0), quality.mean(axis=0), low, high) - zero[at]
            pairs = zip(weights @ cost, weights @ quality, strict=True)  # float32: the sums dominate
            boots[seed, at] = [aiq(c, q, low, high) for c, q in pairs]
    low, high = np.quantile(_resampled(boots.mean(axis=0) - zero_boot, rng), [0.025, 0.975])
    return Result(
        pool=pool_name,
        prompts=len(pool.rows),
        zero=100 * float(zero.mean()),
        gain=100 * float(gains.mean()),
        low=100 * float(low),
        high=100 * float(high),
        per_seed=tuple(100 * gains.mean(axis=1)),
        per_set=tuple(100 * gains.mean(axis=0)),
        sets=tuple(tuple(pool.models[m] for m in targets) for targets in sets),
    )


def target_sets(models: int, settings: Settings) -> list[list[int]]:
    """Distinct random sets of targets; both models of a pool of two, which leaves no reference in it."""
    if models <= settings.set_size:
        return [list(range(models))]
    rng = np.random.default_rng(SETS_SEED)
    found: set[tuple[int, ...]] = set()
    while len(found) < settings.sets:
        found.add(tuple(sorted(int(m) for m in rng.choice(models, settings.set_size, replace=False))))
    return [list(targets) for targets in sorted(found)]


def alpha_for(quality: Floats, money: float) -> tuple[float, ...]:
    """Alpha per cluster that gives the absolute gap back which min–max takes away.

    With q = min + gap·q̂, maximising quality − λ·ĉ is the same as maximising alpha·q̂ + (1 − alpha)·(1 − ĉ)
    with alpha = gap / (gap + λ). λ is what the dearest model must bring over the cheapest.
    """
    gap = quality.max(axis=1) - quality.min(axis=1)
    return tuple((gap / np.maximum(gap + money, 1e-300)).tolist())


def _choices(
    data: Data, pool: Pool, targets: list[int], row: list[Fold], settings: Settings, errors: Floats
) -> Indices:
    """[n, len(LAMBDAS)]: index of the chosen model for every prompt of the pool, held out."""
    chosen = np.empty((len(pool.rows), len(LAMBDAS)), dtype=np.intp)
    for fold in row:
        out = fold.held_out[pool.rows]
        train = Pool(pool.name, pool.rows[~out], pool.models, pool.quality[~out], pool.cost_usd[~out])
        quality = _qualities(data, train, targets, fold, settings, errors)
        price = _prices(data, train, targets, settings)
        near = fold.near[pool.rows[out]]
        for at, money in enumerate(LAMBDAS):
            scores = blend(quality, _axes(price), Knobs(alpha_for(quality, float(money))))
            chosen[out, at] = np.array(targets)[scores[near].sum(axis=1).argmax(axis=1)]
    return chosen


def _qualities(
    data: Data, train: Pool, targets: list[int], fold: Fold, settings: Settings, errors: Floats
) -> Floats:
    """Expected quality [K, T] of the targets, from their mean scores and other models' difficulties."""
    means = np.clip(train.quality.mean(axis=0) + errors, 0.02, 0.98)[targets]
    if settings.qualities == "own":
        sums, counts = _cells(train, fold, settings.k)
        return np.asarray(((sums + 20 * train.quality.mean(axis=0)) / (counts + 20))[:, targets])
    references = [m for m in range(len(train.models)) if m not in targets]
    if references:
        sums, counts = _cells(train, fold, settings.k)
        mean = train.quality.mean(axis=0)[references]
        return predict(fit_difficulty(sums[:, references], counts[:, references], mean), means)
    return _from_other_pools(data, train, targets, fold, settings, means)


def _from_other_pools(
    data: Data, train: Pool, targets: list[int], fold: Fold, settings: Settings, means: Floats
) -> Floats:
    """For a pool without references: difficulties of other pools' prompts in the same clusters.

    How able a target is on another pool's prompts is not known either; its mean on its own stands in.
    """
    absent = {train.models[m] for m in targets}
    total = NO_DIFFICULTY_COUNT * np.broadcast_to(means, (settings.k, len(means)))
    weight = np.full(settings.k, NO_DIFFICULTY_COUNT)
    for name in ("mmlu_pro", "llmrouter"):
        pool = data.pool(name)
        keep = [m for m, model in enumerate(pool.models) if model not in absent]
        inside = ~fold.held_out[pool.rows]
        other = Pool(name, pool.rows[inside], (), pool.quality[inside][:, keep], pool.cost_usd[:0])
        sums, counts = _cells(other, fold, settings.k)
        predicted = predict(fit_difficulty(sums, counts, np.nanmean(other.quality, axis=0)), means)
        total = total + counts.mean(axis=1)[:, None] * predicted
        weight = weight + counts.mean(axis=1)
    return np.asarray(total / weight[:, None])


def _cells(pool: Pool, fold: Fold, k: int) -> tuple[Floats, Floats]:
    return cell_sums(np.eye(k)[fold.near[pool.rows, 0]], pool.quality)


def _prices(data: Data, train: Pool, targets: list[int], settings: Settings) -> Floats:
    if settings.costs == "measured":
        return np.asarray(train.cost_usd.mean(axis=0)[targets])
    pairs = [data.prices[train.models[m]] for m in targets]
    return np.array([given + 0.25 * made for given, made in pairs])  # the bundle's output cost ratio


def _axes(price: Floats) -> dict[str, Floats]:
    unknown = np.full(len(price), np.nan)
    return dict.fromkeys(AXES, unknown) | {"input_per_1k_usd": price}


def _picked(table: Floats, chosen: Indices) -> npt.NDArray[np.float32]:
    return np.take_along_axis(table, chosen, axis=1).astype(np.float32)


def _range(pool: Pool, targets: list[int]) -> tuple[float, float]:
    """Mean cost of the cheapest and of the dearest target."""
    cost = pool.cost_usd[:, targets].mean(axis=0)
    return float(cost.min()), float(cost.max())


def _zero(
    pool: Pool, sets: Sequence[list[int]], settings: Settings
) -> tuple[Floats, Floats, npt.NDArray[np.float32]]:
    """AIQ [sets] of the zero router, the same under every bootstrap [sets, B], and the weights [B, n]."""
    count = len(pool.rows)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=settings.bootstraps)
    weights = (draws / count).astype(np.float32)
    cost, quality = weights @ pool.cost_usd, weights @ pool.quality
    zero, boots = np.empty(len(sets)), np.empty((len(sets), settings.bootstraps))
    for at, targets in enumerate(sets):
        low, high = _range(pool, targets)
        zero[at] = aiq(pool.cost_usd[:, targets].mean(0), pool.quality[:, targets].mean(0), low, high)
        boots[at] = [aiq(c[targets], q[targets], low, high) for c, q in zip(cost, quality, strict=True)]
    return zero, boots, weights


def _resampled(boots: Floats, rng: np.random.Generator) -> Floats:
    """[B] means over target sets drawn with replacement, from gains [sets, B]."""
    sets, count = boots.shape
    drawn = rng.integers(0, sets, (count, sets))
    return np.asarray(boots[drawn, np.arange(count)[:, None]].mean(axis=1))
