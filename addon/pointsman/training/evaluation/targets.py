"""Transfer: the situation of a shipped bundle, rebuilt inside a pool of scored models.

Some models of the pool are *targets*: the router chooses among them and knows of each only
one number, its mean score (and its mean cost). Difficulties come from the remaining models,
the *references*, and where none is left from other pools' prompts in the same clusters.
Nothing of a target's scores on single prompts reaches the router.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsman.training.data import Floats
from pointsman.training.evaluation.clusters import Clusters, Settings
from pointsman.training.evaluation.judge import Figure, Judge, figure
from pointsman.training.evaluation.pools import Mask, Pool
from pointsman.training.evaluation.routers import Part, Routed, by_clusters, own_clusters, stacked
from pointsman.training.recipe import Indices, borrowed_cells, cluster_lengths, transferred_cells

SETS_SEED = 7
FEWEST_REFERENCES = 3  # models that another pool needs to lend its difficulties


@dataclass(frozen=True, slots=True)
class Transferred:
    rows: tuple[tuple[str, Figure, Figure], ...]  # (router, gain, saving), over the same sets of targets
    sets: int
    above_zero: float  # share of the sets in which the recipe gains


def transfer(
    cut: list[Part], judged: Judge, every: list[Pool], made: Clusters, settings: Settings
) -> Transferred:
    """The recipe, and beside it the targets' own cells. Intervals are over prompts and sets."""
    sets = target_sets(len(judged.pool.models), settings)
    lenders = _lenders(every, cut[0].fit, made.closed)
    gains = np.empty((2, len(sets), settings.bootstraps + 1))
    savings = gains.copy()
    for at, chosen in enumerate(sets):
        inside = judged.of(chosen)
        zero = inside.aiq(inside.singles())
        for which, own in enumerate((False, True)):
            found = []
            for seed in range(settings.seeds):
                routed = [
                    _routed(part, near[seed], chosen, own, lenders, learn, made.k)
                    for part, near, learn in zip(cut, made.near, made.fit, strict=True)
                ]
                sweep = inside.sweep(stacked(routed).chosen)
                found.append((inside.aiq(sweep) - zero, inside.saving(sweep)))
            gains[which, at], savings[which, at] = np.mean(found, axis=0)
    rng = np.random.default_rng(SETS_SEED)
    rows = [
        (name, figure(resampled(gain, rng)), figure(resampled(saving, rng)))
        for name, gain, saving in zip(("transfer", "own scores"), gains, savings, strict=True)
    ]
    return Transferred(tuple(rows), len(sets), float((gains[0, :, 0] > 0).mean()))


def target_sets(models: int, settings: Settings) -> list[list[int]]:
    """Distinct random sets of targets; a small pool is one set, which leaves no reference in it."""
    if models <= settings.set_size:
        return [list(range(models))]
    rng = np.random.default_rng(SETS_SEED)
    found: set[tuple[int, ...]] = set()
    while len(found) < settings.sets:
        found.add(tuple(sorted(int(m) for m in rng.choice(models, settings.set_size, replace=False))))
    return [list(targets) for targets in sorted(found)]


def _lenders(every: list[Pool], borrower: Pool, closed: frozenset[str]) -> list[Pool]:
    """Other pools whose models can say how hard prompts are: many enough, and none of the borrower's."""
    found = []
    for pool in every:
        keep = [m for m, model in enumerate(pool.models) if model not in borrower.models]
        shared = set(pool.sources) & set(borrower.sources) or set(pool.sources) & closed
        if len(keep) >= FEWEST_REFERENCES and not shared:
            found.append(pool.of(keep))
    return found


def _routed(
    part: Part, near: Indices, chosen: list[int], own: bool, lenders: list[Pool], learn: Mask, k: int
) -> Routed:
    inside = Part(part.fit.of(chosen), part.held.of(chosen), part.vectors, part.texts, part.categories)
    if own:
        return own_clusters(inside, near, k)
    cluster = near[:, 0]
    rest = [m for m in range(len(part.fit.models)) if m not in chosen]
    known = [part.fit.of(rest)] if rest else [pool.part(learn) for pool in lenders]
    means = np.clip(inside.fit.quality.mean(axis=0), 0.02, 0.98)
    if rest:
        cells = transferred_cells(cluster[part.fit.rows], known[0].quality, means, k)
    else:
        cells = borrowed_cells([(cluster[pool.rows], pool.quality) for pool in known], means, k)
    lengths = [cluster_lengths(cluster[pool.rows], pool.cost_usd, k) for pool in known]
    return by_clusters(inside, cells, near, np.mean(lengths, axis=0) if lengths else np.ones(k))


def resampled(boots: Floats, rng: np.random.Generator) -> Floats:
    """[B + 1] means over target sets, drawn with replacement but for the first, from values [sets, B + 1]."""
    sets, count = boots.shape
    drawn = rng.integers(0, sets, (count, sets))
    drawn[0] = np.arange(sets)
    return np.asarray(boots[drawn, np.arange(count)[:, None]].mean(axis=1))
