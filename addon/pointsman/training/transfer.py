"""What a model is worth in a cluster, from its ability alone: the shrunk item-response transfer.

    logit q(model, cluster) = b[cluster] + a[cluster] · θ(model)

Difficulty b and slope a of each cluster come from *reference* models with scores on
every prompt; θ is a model's global ability, the logit of one aggregate result. A
*target*, whose own scores are never looked at, gets its row from θ. Slopes are
shrunk to 1 (a Rasch model) and difficulties to 0 (every cluster like the average).

Reference and target models must be disjoint sets. Predicting each model of one pool
from all the others, targets among them, looks thriftier and is wrong: what is odd
about one target then shifts the prediction of its rivals but not its own, and the
predicted gaps come out *anti*-correlated with the true ones (−.45 to −.77 between
the two models that matter on mmlu_pro).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsman.training.data import Floats

PRIOR_COUNT = 10.0  # prompts' worth of a model's global mean mixed into each of its cells
RIDGE_DIFFICULTY = 5.0  # precision of b around 0, in units of binomial information n·q·(1 − q)
RIDGE_SLOPE = 30.0  # precision of a around 1
FLOOR = 0.01  # cells are clipped to [FLOOR, 1 − FLOOR] before the logit


@dataclass(frozen=True, slots=True, eq=False)
class Difficulty:
    """Item parameters of K clusters: b [K], a [K], and the weight [K] each has in the references' mean."""

    b: Floats
    a: Floats
    weight: Floats


def logit(p: Floats) -> Floats:
    return np.asarray(np.log(p / (1 - p)))


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def cell_sums(member: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """(sums, counts), each [K, M], from memberships [n, K] and scores [n, M] with NaN for unmeasured."""
    measured = ~np.isnan(quality)
    return member.T @ np.where(measured, quality, 0.0), member.T @ measured.astype(np.float64)


def fit_difficulty(sums: Floats, counts: Floats, means: Floats) -> Difficulty:
    """Weighted ridge regression per cluster, over the references.

    `sums`, `counts` [K, R] are cells of R reference models, `means` [R] their global mean scores.
    """
    cells = np.clip((sums + PRIOR_COUNT * means) / (counts + PRIOR_COUNT), FLOOR, 1 - FLOOR)
    theta = logit(np.clip(means, FLOOR, 1 - FLOOR))
    information = counts * cells * (1 - cells)
    design = np.stack([np.ones_like(theta), theta], axis=1)  # [R, 2]
    ridge = np.diag([RIDGE_DIFFICULTY, RIDGE_SLOPE])
    shift = np.empty((len(cells), 2))
    for k, (row, weight) in enumerate(zip(cells, information, strict=True)):
        normal = design.T @ (weight[:, None] * design) + ridge
        shift[k] = np.linalg.solve(normal, design.T @ (weight * (logit(row) - theta)))
    return Difficulty(shift[:, 0], 1 + shift[:, 1], counts.sum(axis=1) / counts.sum())


def predict(difficulty: Difficulty, means: Floats) -> Floats:
    """Expected quality [K, T] of targets with global mean scores `means` [T].

    Each column is shifted by one constant on the logit scale so that its weighted mean over the
    clusters is the mean it was made from (the mean of a sigmoid is not the sigmoid of the mean).
    """
    theta = logit(np.clip(means, FLOOR, 1 - FLOOR))
    raw = difficulty.b[:, None] + difficulty.a[:, None] * theta
    return sigmoid(np.asarray(raw + _centring(raw, difficulty.weight, means)))


def _centring(raw: Floats, weight: Floats, means: Floats) -> Floats:
    """Shifts [T] by bisection."""
    low, high = np.full(len(means), -6.0), np.full(len(means), 6.0)
    for _ in range(50):
        middle = (low + high) / 2
        below = weight @ sigmoid(raw + middle) < means
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def leave_one_out_rmse(sums: Floats, counts: Floats, means: Floats) -> Floats:
    """[K]: root mean square error of a reference's cell predicted from the other references.

    The binomial noise of the measured cells is taken out; with one reference, the spread that cells
    have around their global mean is all there is to go by.
    """
    count = len(means)
    cells = sums / np.maximum(counts, 1)
    predicted = np.empty_like(cells)
    for m in range(count):
        others = [j for j in range(count) if j != m]
        if others:
            fit = fit_difficulty(sums[:, others], counts[:, others], means[others])
            predicted[:, m] = predict(fit, means[[m]])[:, 0]
        else:
            predicted[:, m] = means[m]
    noise = cells * (1 - cells) / np.maximum(counts - 1, 1)
    square = np.where(counts > 1, (predicted - cells) ** 2 - noise, np.nan)
    weight = np.where(counts > 1, counts, 0.0)
    total = np.nansum(square * weight, axis=1) / np.maximum(weight.sum(axis=1), 1)
    return np.asarray(np.sqrt(np.maximum(total, 0.0)))
