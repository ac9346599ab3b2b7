"""The recipe's parts that training and evaluation share: clusters, cells, and what a bundle picks from them.

A bundle can hold centroids, one expected quality per cluster and model, one alpha per
cluster and one price per model. Whatever is claimed for it has to go through these.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pointsman.scoring.bundle_files import AXES
from pointsman.scoring.cluster import blend
from pointsman.scoring.knobs import Knobs
from pointsman.training.data import Floats
from pointsman.training.transfer import cell_sums, fit_difficulty, predict
from pointsman.training.vectors import Vectors

# What the dearest model must bring over the cheapest: the knob that every curve is swept with.
LAMBDAS = np.concatenate([[0.0], np.geomspace(3e-3, 30, 40), [1e6]])
OWN_COUNT = 30.0  # prompts' worth of what is expected mixed into each cell
SHORTEST = 0.05  # of the average, in a cluster
PRIOR_PENALTY = 30.0  # of the regression that says what is expected
NO_DIFFICULTY_COUNT = 20.0  # prompts' worth of "like the average" in a cluster that other pools hardly know

Indices = npt.NDArray[np.intp]


def kmeans(vectors: Vectors, weights: Floats, k: int, seed: int) -> Vectors:
    """Centroids float32[k, dim], L2-normalised, of unit vectors; deterministic for a seed."""
    from sklearn.cluster import KMeans  # type: ignore[import-untyped, unused-ignore]  # only for training

    fit = KMeans(k, random_state=seed, n_init=1, max_iter=60).fit(vectors, sample_weight=weights)
    return _normalised(fit.cluster_centers_)


def kmeans_from(vectors: Floats, weights: Floats, start: Indices) -> tuple[Vectors, float]:
    """(centroids float32[k, dim], L2-normalised; inertia) of k-means from the rows `start` [k].

    In float64 another library's rounding does not show, as long as the vectors are the same.
    """
    from sklearn.cluster import KMeans

    fit = KMeans(len(start), init=vectors[start], n_init=1, max_iter=100).fit(vectors, sample_weight=weights)
    return _normalised(fit.cluster_centers_), float(fit.inertia_)


def _normalised(centres: Floats) -> Vectors:
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True), dtype=np.float32)


def nearest(vectors: Vectors, centres: Vectors, top_p: int) -> Indices:
    return np.asarray(np.argsort(-(vectors @ centres.T), axis=1, kind="stable")[:, :top_p])


def alpha_for(quality: Floats, money: float, lengths: Floats | float = 1.0) -> tuple[float, ...]:
    """Alpha per cluster that gives the absolute gap back which min–max takes away.

    With q = min + gap·q̂, maximising quality − λ·ĉ is the same as maximising alpha·q̂ + (1 − alpha)·(1 − ĉ)
    with alpha = gap / (gap + λ). λ is what the dearest model must bring over the cheapest; where prompts
    and answers are longer than elsewhere by a factor (`lengths` [K]), it must bring that much more.
    """
    gap = quality.max(axis=1) - quality.min(axis=1)
    return tuple((gap / np.maximum(gap + money * lengths, 1e-300)).tolist())


def cluster_lengths(cluster: Indices, cost_usd: Floats, k: int) -> Floats:
    """[K]: how much dearer the dearest model is than the cheapest in a cluster, relative to all prompts.

    `cluster` [n] is every prompt's nearest one, `cost_usd` [n, M]. Shrunk to 1, and never near 0.
    """
    means = cost_usd.mean(axis=0)
    spread = cost_usd[:, means.argmax()] - cost_usd[:, means.argmin()]
    counts = np.bincount(cluster, minlength=k)
    relative = np.bincount(cluster, spread / (spread.mean() or 1.0), k)
    return np.maximum((relative + OWN_COUNT) / (counts + OWN_COUNT), SHORTEST)


def served(cells: Floats, price: Floats, near: Indices, lengths: Floats | float = 1.0) -> Indices:
    """[n, len(LAMBDAS)]: the model that a bundle serves at every λ.

    `cells` [K, M] are its qualities, `price` [M] its prices, `near` [n, p] every prompt's nearest
    clusters, `lengths` [K] as in `alpha_for`.
    """
    axes = dict.fromkeys(AXES, np.full(len(price), np.nan)) | {"input_per_1k_usd": price}
    chosen = np.empty((len(near), len(LAMBDAS)), dtype=np.intp)
    for at, money in enumerate(LAMBDAS):
        scores = blend(cells, axes, Knobs(alpha_for(cells, float(money), lengths)))
        total = scores[near[:, 0]]
        for cluster in near[:, 1:].T:
            total += scores[cluster]
        chosen[:, at] = total.argmax(axis=1)
    return chosen


def own_cells(cluster: Indices, quality: Floats, k: int, expected: Floats | None = None) -> Floats:
    """[K, M]: mean score of every model in every cluster, shrunk to what is expected there.

    `cluster` [n] is every prompt's nearest one, `quality` [n, M] the scores, `expected` [n, M] what
    another predictor (`regressed`) expects of these prompts; without it, and in clusters
    without prompts, the models' means stand in.
    """
    sums, counts = cell_sums(np.eye(k)[cluster], quality)
    means = quality.mean(axis=0)
    prior = np.broadcast_to(means, sums.shape)
    if expected is not None:
        prior = np.where(
            counts > 0, cell_sums(np.eye(k)[cluster], expected)[0] / np.maximum(counts, 1), means
        )
    return np.asarray((sums + OWN_COUNT * prior) / (counts + OWN_COUNT))


def regressed(fit: Vectors, known: Floats, held: Vectors, penalty: float) -> Floats:
    """[held, M]: a ridge regression per model of scores or costs [fit, M] on vectors."""
    middle, means = fit.mean(axis=0), known.mean(axis=0)
    x = fit - middle
    normal = (x.T @ x).astype(np.float64) + penalty * np.eye(x.shape[1])
    slopes = np.linalg.solve(normal, (x.T @ (known - means).astype(np.float32)).astype(np.float64))
    return np.asarray((held - middle) @ slopes + means)


def transferred_cells(cluster: Indices, references: Floats, means: Floats, k: int) -> Floats:
    """[K, T]: expected score of targets known by their mean scores `means` [T] alone.

    `references` [n, R] are other models' scores on the prompts of clusters `cluster` [n]; NaN is unmeasured.
    """
    sums, counts = cell_sums(np.eye(k)[cluster], references)
    return predict(fit_difficulty(sums, counts, np.asarray(np.nanmean(references, axis=0))), means)


def borrowed_cells(pools: list[tuple[Indices, Floats]], means: Floats, k: int) -> Floats:
    """[K, T] as `transferred_cells`, where the targets' own pool has no reference models left.

    Difficulties are those of other pools' prompts in the same clusters: `pools` are (cluster, references)
    of each. How able a target is on their prompts is not known either; its mean on its own pool stands in.
    """
    total = NO_DIFFICULTY_COUNT * np.broadcast_to(means, (k, len(means)))
    weight = np.full(k, NO_DIFFICULTY_COUNT)
    for cluster, references in pools:
        measured = cell_sums(np.eye(k)[cluster], references)[1].mean(axis=1)
        total = total + measured[:, None] * transferred_cells(cluster, references, means, k)
        weight = weight + measured
    return np.asarray(total / weight[:, None])
