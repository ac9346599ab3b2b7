"""Clusters of all sources together, as in a bundle, made without the prompts that are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pointsman.errors import DataError
from pointsman.training import plan as plans
from pointsman.training.build import prompt_weights, usable
from pointsman.training.data import Data
from pointsman.training.evaluation.pools import Mask, parts
from pointsman.training.recipe import Indices, kmeans, nearest
from pointsman.training.vectors import Vectors

Tick = Callable[[str], None]  # called before each step with what it is


@dataclass(frozen=True, slots=True)
class Settings:
    k: int | None = None  # None: as many as `pointsman train` makes of so many prompts
    top_p: int = 1
    seeds: int = 6
    folds: int = 3  # 0: learn from the train rows, judge on the test rows
    set_size: int = 4  # targets to choose among; the rest of the pool are references
    sets: int = 20
    bootstraps: int = 500


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    near: list[list[Indices]]  # [parts][seeds], every prompt's nearest ones [all prompts, p]
    fit: list[Mask]  # [parts], train rows outside the part
    held: list[Mask]
    k: int
    closed: frozenset[str] = frozenset()  # sources that nothing else may be learnt from


def make(data: Data, vectors: Vectors, settings: Settings, tick: Tick) -> Clusters:
    train = np.array([prompt.train for prompt in data.prompts])
    plan = plans.read()
    inside, weights = usable(data, plan), prompt_weights(data, plan)
    held, near = parts(train, settings.folds), []
    fewest = min((int((inside & ~part).sum()) for part in held), default=0)
    k = settings.k or replace(plan, k=None).clusters(fewest)
    if fewest < k:
        raise DataError(f"{fewest} prompts to learn from cannot make {k} clusters; ask for fewer")
    if not all(part.any() for part in held):
        raise DataError('nothing is held out: no prompt has the split "test"')
    for part in held:
        row = []
        for seed in range(settings.seeds):
            tick("clusters")
            keep = inside & ~part
            centres = kmeans(vectors[keep], weights[keep], k, seed)
            row.append(nearest(vectors, centres, settings.top_p))
        near.append(row)
    closed = frozenset(name for name, source in plan.sources.items() if not source.ship)
    return Clusters(near, [train & ~part for part in held], held, k, closed)
