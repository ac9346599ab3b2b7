"""What is compared: each router learns from some prompts and expects a score of every model on others.

What a bundle can serve goes through the blend that serves, with one price per model: its mean cost. The
others expect a cost for every prompt in the same way as a score, and choose the highest score − λ · cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pointsman.training.data import Floats
from pointsman.training.evaluation.pools import Pool
from pointsman.training.recipe import (
    LAMBDAS,
    PRIOR_PENALTY,
    Indices,
    cluster_lengths,
    own_cells,
    regressed,
    served,
)
from pointsman.training.vectors import Vectors

NEIGHBOURS = 100
NEIGHBOUR_COUNT = 10.0  # neighbours' worth of a model's mean
RIDGE = 30.0
TEXT_RIDGE = 10.0
TEXT_DIMS = 200
TEXT_CLIP = 4000  # characters; the rest of a long prompt hardly moves its word frequencies


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A pool's prompts to learn from and those to be judged on, with what is known of each prompt."""

    fit: Pool
    held: Pool
    vectors: Vectors  # [all prompts, dim]
    texts: Sequence[str]
    categories: Sequence[str]

    @property
    def price(self) -> Floats:
        """[M]: all that a bundle knows of costs."""
        return np.asarray(self.fit.cost_usd.mean(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """Of the held-out prompts: `chosen` [n, len(LAMBDAS)] indices of models, `expected` [n, M] scores."""

    chosen: Indices
    expected: Floats


Router = Callable[[Part], Routed]


def by_clusters(part: Part, cells: Floats, near: Indices, lengths: Floats) -> Routed:
    """What a bundle with these `cells` [K, M] and `lengths` [K] does; `near` [all prompts, p]."""
    own = near[part.held.rows]
    return Routed(served(cells, part.price, own, lengths), cells[own].mean(axis=1))


def own_clusters(part: Part, near: Indices, k: int) -> Routed:
    cluster, learnt = near[part.fit.rows, 0], part.vectors[part.fit.rows]
    expected = regressed(learnt, part.fit.quality, learnt, PRIOR_PENALTY).clip(0, 1)
    cells = own_cells(cluster, part.fit.quality, k, expected)
    return by_clusters(part, cells, near, cluster_lengths(cluster, part.fit.cost_usd, k))


def stacked(found: Sequence[Routed]) -> Routed:
    """Of all parts' held-out prompts, in the order of the parts."""
    return Routed(
        np.concatenate([one.chosen for one in found]), np.concatenate([one.expected for one in found])
    )


def mean(part: Part) -> Routed:
    """Knows the models and not the prompt."""
    return _by_expectation(part, np.tile(_known(part).mean(axis=0), (len(part.held.rows), 1)))


def neighbours(part: Part) -> Routed:
    """Means over the nearest prompts, shrunk to the model's mean."""
    near = part.vectors[part.held.rows] @ part.vectors[part.fit.rows].T
    count = min(NEIGHBOURS, near.shape[1])
    found = np.argpartition(-near, count - 1, axis=1)[:, :count]
    known = _known(part)
    total = known[found].sum(axis=1) + NEIGHBOUR_COUNT * known.mean(axis=0)
    return _by_expectation(part, total / (count + NEIGHBOUR_COUNT))


def ridge(part: Part) -> Routed:
    """A linear regression per model on the vector."""
    fit, held = part.vectors[part.fit.rows], part.vectors[part.held.rows]
    return _by_expectation(part, regressed(fit, _known(part), held, RIDGE))


def ridge_with_words(part: Part) -> Routed:
    """A linear regression per model on the vector and on word frequencies (TF-IDF, reduced)."""
    words, held_words = _words(
        [part.texts[row] for row in part.fit.rows], [part.texts[row] for row in part.held.rows]
    )
    fit = np.concatenate([part.vectors[part.fit.rows], words], axis=1)
    held = np.concatenate([part.vectors[part.held.rows], held_words], axis=1)
    return _by_expectation(part, regressed(fit, _known(part), held, TEXT_RIDGE))


def true_category(part: Part) -> Routed:
    """A table by the category that the data's makers gave a prompt, which no request carries."""
    names = sorted({part.categories[row] for row in part.fit.rows})
    at = {name: number for number, name in enumerate(names)}
    cluster = np.array([at[part.categories[row]] for row in part.fit.rows])
    known = _known(part)
    cells = own_cells(cluster, known, len(names))
    cells = np.concatenate([cells, [known.mean(axis=0)]])  # for a category never seen
    held = np.array([at.get(part.categories[row], len(names)) for row in part.held.rows])
    return _by_expectation(part, cells[held])


def _known(part: Part) -> Floats:
    """[n, 2 M]: scores and costs of the prompts to learn from."""
    return np.concatenate([part.fit.quality, part.fit.cost_usd], axis=1)


def _by_expectation(part: Part, expected: Floats) -> Routed:
    """`expected` [n, 2 M]: scores and costs of the held-out prompts."""
    scores, costs = np.split(expected, 2, axis=1)
    scores = scores.clip(0, 1)
    return Routed(choose(scores, costs / (float(np.ptp(part.price)) or 1.0)), scores)


def choose(expected: Floats, cost: Floats) -> Indices:
    """[n, len(LAMBDAS)] from expected scores and costs, each [n, M]; a cost of 1 is worth λ of score."""
    return np.stack([(expected - money * cost).argmax(axis=1) for money in LAMBDAS], axis=1)


def _words(fit: Sequence[str], held: Sequence[str]) -> tuple[Vectors, Vectors]:
    """Reduced TF-IDF vectors, float32 [fit, d] and [held, d]."""
    from sklearn.decomposition import TruncatedSVD  # type: ignore[import-untyped, unused-ignore]
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped, unused-ignore]

    tfidf = TfidfVectorizer(
        sublinear_tf=True, min_df=2, max_features=30_000, ngram_range=(1, 2), dtype=np.float32
    )
    table = tfidf.fit_transform(text[:TEXT_CLIP] for text in fit)
    svd = TruncatedSVD(min(TEXT_DIMS, table.shape[1] - 1), n_iter=2, random_state=0)
    return (
        np.asarray(svd.fit_transform(table), np.float32),
        np.asarray(svd.transform(tfidf.transform(text[:TEXT_CLIP] for text in held)), np.float32),
    )
