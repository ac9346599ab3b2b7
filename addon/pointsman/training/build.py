"""A bundle's figures from data and a plan: centroids, expected qualities, alpha, and where each came from.

1. K-means over the train prompts, those of weighty sources counting more, so that coding work gets
   clusters of its own among thousands of examination questions.
2. A model that was scored on a source's prompts has its own mean in each cluster, shrunk to what a
   regression on the vectors expects there. Another one gets a cell from the difficulty of the cluster
   (`transfer`), known from the models that were scored there, and its ability (`abilities`). What nobody
   scored is as hard as the plan says.
3. A cluster's quality is the mean over sources, weighted by their prompts there. A transferred cell is
   lowered by half its error: that of the cluster (leave-one-out) and that of the ability together.
4. Models that are worth their place stay: see `inclusion`.
5. Alpha per cluster from the gap between the best and the worst model there, averaged over families.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pointsman.errors import DataError
from pointsman.training import plan as plans
from pointsman.training import transfer
from pointsman.training.abilities import Ability, Fit
from pointsman.training.data import Data, Floats
from pointsman.training.plan import Plan
from pointsman.training.recipe import (
    PRIOR_PENALTY,
    cluster_lengths,
    kmeans_from,
    nearest,
    own_cells,
    regressed,
)
from pointsman.training.vectors import Vectors

Clusters = npt.NDArray[np.intp]

STARTS = 5  # of k-means; the closest fit is kept


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What a bundle is written from. K clusters, M models in the order of `models`."""

    models: tuple[str, ...]
    centroids: Vectors  # float32[K, dim]
    quality: Floats  # [K, M], transferred cells lowered
    error: Floats  # [K, M], root mean square error of what is transferred in a cell
    alpha: tuple[float, ...]
    sources: list[dict[str, float]]  # per cluster: weighted prompts of each source
    scored: Floats | None = None  # [K, M], prompts that the model itself was scored on; None: none
    words: tuple[tuple[str, ...], ...] = ()  # per cluster


def usable(data: Data, plan: Plan | None = None) -> npt.NDArray[np.bool_]:
    """[n]: prompts that written artifacts may be derived from."""
    plan = plan or plans.read()
    return np.array([p.train and plan.source(p.source).ship for p in data.prompts])


def prompt_weights(data: Data, plan: Plan | None = None) -> Floats:
    """[n]: what each prompt counts for."""
    plan = plan or plans.read()
    return np.array([plan.source(p.source).weight for p in data.prompts])


def cluster(data: Data, vectors: Vectors, plan: Plan) -> tuple[Vectors, Clusters]:
    """(centroids float32[K, dim], the nearest one [n] of every prompt)."""
    inside = usable(data, plan)
    k = plan.clusters(int(inside.sum()))
    distinct = len(np.unique(vectors[inside], axis=0))
    if distinct < k:
        raise DataError(f"{distinct} distinct train prompts cannot make {k} clusters; ask for fewer with --k")
    weights, wide = prompt_weights(data, plan)[inside], vectors[inside].astype(np.float64)
    ids = [prompt.id for prompt, keep in zip(data.prompts, inside, strict=True) if keep]
    tries = (kmeans_from(wide, weights, _drawn(ids, weights, k, f"{plan.seed}/{n}")) for n in range(STARTS))
    centroids, _ = min(tries, key=lambda found: found[1])
    return centroids, nearest(vectors, centroids, 1)[:, 0]


def _drawn(ids: Sequence[str], weights: Floats, k: int, seed: str) -> Clusters:
    """[K]: rows to start from, drawn by weight (Efraimidis and Spirakis), by a hash of seed and prompt alone.

    k-means++ would look at the vectors: where another processor or library rounds otherwise it soon draws
    other prompts, and ends in other clusters.
    """
    digests = (hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in ids)
    uniform = np.array([(int.from_bytes(digest[:6]) + 1) / 2**48 for digest in digests])
    return np.argsort(-np.log(uniform) / weights, kind="stable")[:k]


def build(
    data: Data,
    plan: Plan,
    vectors: Vectors,
    centroids: Vectors,
    at: Clusters,
    abilities: Mapping[str, Ability],
    made: Fit,
) -> Built:
    """Qualities of all models of `abilities`; `at` [n] is the cluster of every prompt. Alpha is still 0."""
    k, models = len(centroids), tuple(sorted(abilities))
    shares = _shares(data, plan, at, k)
    total, square = np.zeros((k, len(models))), np.zeros((k, len(models)))
    scored = np.zeros((k, len(models)))
    for source, share in shares.items():
        cells = _cells(data, plan, source, vectors, at, k, abilities, made)
        total += share[:, None] * cells.quality
        square += share[:, None] * cells.square
        scored += cells.scored
    weight = np.sum(list(shares.values()), axis=0)[:, None]
    mean, square = _everywhere(total, weight), _everywhere(square, weight)
    root = np.sqrt(square)
    quality = np.clip(mean - plan.lowered_by * root, 0.0, 1.0)
    listed = _listed(data, plan, at, k)
    return Built(models, centroids, quality, root, (0.0,) * k, listed, scored)


def with_models(
    built: Built,
    keep: Sequence[str],
    families: Sequence[Sequence[str]],
    plan: Plan,
    lengths: Floats | float = 1.0,
) -> Built:
    """Only the models of `keep`, and the alpha that goes with them; `families` are those that set it.

    `lengths` [K] say how much dearer prompts are in a cluster than elsewhere, see `recipe.alpha_for`.
    """
    columns = [built.models.index(model) for model in sorted(keep)]
    models = tuple(built.models[column] for column in columns)
    quality = built.quality[:, columns]
    gaps = [
        own.max(axis=1) - own.min(axis=1)
        for family in families
        if (own := quality[:, [models.index(model) for model in family if model in models]]).size
    ]
    gap = np.mean(gaps, axis=0)
    alpha = tuple(np.round(gap / np.maximum(gap + plan.money * lengths, 1e-300), 4).tolist())
    return Built(
        models,
        built.centroids,
        quality,
        built.error[:, columns],
        alpha,
        built.sources,
        None if built.scored is None else built.scored[:, columns],
        built.words,
    )


def _everywhere(total: Floats, weight: Floats) -> Floats:
    """Means [K, M] from sums [K, M] and weights [K, 1]; where nothing is known, as everywhere."""
    usual = total.sum(axis=0) / weight.sum()
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), usual)


def _shares(data: Data, plan: Plan, at: Clusters, k: int) -> dict[str, Floats]:
    """{source: [K] weighted train prompts}, of sources whose difficulty is known, in the plan's order."""
    shares = {source: np.zeros(k) for source in _ordered(data, plan) if _instrument(data, plan, source)}
    for n, prompt in enumerate(data.prompts):
        if prompt.train and prompt.source in shares:
            shares[prompt.source][at[n]] += plan.source(prompt.source).weight
    if not shares:
        raise DataError("no source of prompts has scores, so nothing can be learned about any model")
    return shares


def _ordered(data: Data, plan: Plan) -> list[str]:
    """Sources that may be derived from: those of the plan in its order, then the others by name."""
    present = {prompt.source for prompt in data.prompts if prompt.train}
    names = [name for name in plan.sources if name in present] + sorted(present - plan.sources.keys())
    return [name for name in names if plan.source(name).ship]


def _instrument(data: Data, plan: Plan, source: str) -> str | tuple[str, str]:
    """By what a source is as hard as it is: a source, (source, category), a benchmark, or "" for nothing."""
    difficulty = plan.source(source).difficulty
    if difficulty == plans.NONE:
        return ""
    if difficulty == plans.OWN:
        return source if source in data.scores else ""
    return difficulty


def _listed(data: Data, plan: Plan, at: Clusters, k: int) -> list[dict[str, float]]:
    """Per cluster: weighted train prompts of each source, also of those that only shape the clusters."""
    counts = {source: np.zeros(k) for source in _ordered(data, plan)}
    for n, prompt in enumerate(data.prompts):
        if prompt.train and prompt.source in counts:
            counts[prompt.source][at[n]] += plan.source(prompt.source).weight
    return [{s: float(count[c]) for s, count in counts.items() if count[c] > 0} for c in range(k)]


# --- one source ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Of one source, each [K, M]: expected quality, squared error of what is transferred, own prompts."""

    quality: Floats
    square: Floats
    scored: Floats


def _cells(
    data: Data,
    plan: Plan,
    source: str,
    vectors: Vectors,
    at: Clusters,
    k: int,
    abilities: Mapping[str, Ability],
    made: Fit,
) -> _Cells:
    models = tuple(sorted(abilities))
    known = [abilities[model] for model in models]
    instrument = _instrument(data, plan, source)
    pool = instrument if isinstance(instrument, str) else instrument[0]
    if pool not in data.scores:
        return _benchmark(pool, k, known, made)
    category = None if isinstance(instrument, str) else instrument[1]
    rows, columns, quality = scores_of(data, pool, category)
    own = pool == source
    member = np.eye(k)[at[rows]] if own else np.ones((len(rows), 1))
    sums, counts = transfer.cell_sums(member, quality)
    means = np.asarray(np.nanmean(quality, axis=0))
    difficulty = transfer.fit_difficulty(sums, counts, means)
    moved = [transfer.predict(difficulty, _expected(pool, known, made, d)) for d in (0, 1, -1)]
    slack = (moved[1] - moved[2]) / 2
    error = transfer.leave_one_out_rmse(sums, counts, means)[:, None] ** 2 + slack**2
    shape = (k, len(models))
    cells, square = np.broadcast_to(moved[0], shape).copy(), np.broadcast_to(error, shape).copy()
    scored = np.zeros(shape)
    for m, model in enumerate(models):
        column = plan.evidence.get(model, {}).get("pool", {}).get(pool)
        if column in columns:
            r = columns.index(column)
            there = rows[~np.isnan(quality[:, r])]
            inside = at[there] if own else np.zeros(len(there), dtype=np.intp)
            scores = quality[~np.isnan(quality[:, r])][:, [r]]
            cells[:, m] = own_means(vectors[there], inside, scores, k if own else 1)[:, 0]
            square[:, m] = 0.0
            scored[:, m] = counts[:, r] if own else 0.0
    return _Cells(cells, square, scored)


def scores_of(
    data: Data, source: str, category: str | None = None
) -> tuple[npt.NDArray[np.intp], list[str], Floats]:
    """(rows [n], columns, scores [n, R] with NaN) of a source's train prompts that anybody was scored on."""
    columns = data.scores[source]
    names = sorted(columns)
    rows = [
        at
        for at, prompt in enumerate(data.prompts)
        if prompt.source == source and prompt.train and category in (None, prompt.category)
    ]
    quality = np.array([[columns[m].get(at, (np.nan, 0.0))[0] for m in names] for at in rows])
    quality = quality.reshape(len(rows), len(names))
    measured = ~np.isnan(quality).all(axis=0)
    if not measured.any():
        raise DataError(f"no train prompt of {source}{f', {category}' if category else ''} has a score")
    kept = [name for name, keep in zip(names, measured, strict=True) if keep]
    return np.array(rows, dtype=np.intp), kept, quality[:, measured]


def own_means(vectors: Vectors, at: Clusters, scores: Floats, k: int) -> Floats:
    """[K, M]: means of models' own scores [n, M] in each cluster, shrunk to what a regression expects."""
    expected = regressed(vectors, scores, vectors, PRIOR_PENALTY).clip(0, 1)
    return own_cells(at, scores, k, expected)


def lengths(data: Data, plan: Plan, models: Sequence[str], at: Clusters, k: int) -> Floats | float:
    """[K]: how much dearer the dearest model is than the cheapest in a cluster, relative to all prompts.

    From the measured costs of the train prompts on which all scored models of `models` have one; 1 where less
    than two of them have.
    """
    costs: dict[str, dict[int, float]] = {}
    for model in models:
        for source, column in plan.evidence.get(model, {}).get("pool", {}).items():
            if plan.source(source).ship and plan.source(source).difficulty == plans.OWN:
                cells = data.scores[source].get(column, {}).items()
                own = {n: usd for n, (_, usd) in cells if data.prompts[n].train and not np.isnan(usd)}
                costs.setdefault(model, {}).update(own)
    known = [column for column in costs.values() if column]
    shared = sorted(set.intersection(*map(set, known))) if len(known) > 1 else []
    if not shared:
        return 1.0
    table = np.array([[column[n] for column in known] for n in shared])
    return cluster_lengths(at[shared], table, k)


def _benchmark(name: str, k: int, abilities: list[Ability], made: Fit) -> _Cells:
    """A benchmark known by its total alone is as hard in every cluster."""
    low, middle, high = (_expected(name, abilities, made, deviations) for deviations in (-1, 0, 1))
    shape = (k, len(abilities))
    square = np.broadcast_to(((high - low) / 2) ** 2, shape)
    return _Cells(np.broadcast_to(middle, shape), square, np.zeros(shape))


def _expected(name: str, abilities: list[Ability], made: Fit, deviations: float) -> Floats:
    if name not in made.slope:
        raise DataError(f"{name} is to say how hard prompts are, but no model has a result there that counts")
    return np.array([made.expected(name, a.theta + deviations * a.sd) for a in abilities])
