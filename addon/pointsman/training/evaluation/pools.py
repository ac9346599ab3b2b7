"""Pools: the models that were scored on the same prompts, and the parts to fit and to judge on.

Pools come from the data. Sources whose prompts were answered by the same models are one
pool, since a router that knows both has to serve both; each of them is also judged alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pointsman.training.data import Data, Floats
from pointsman.training.recipe import Indices

Mask = npt.NDArray[np.bool_]

FEWEST = 100  # complete prompts that a pool needs to be judged
CHARACTERS = 4  # per token, where costs have to be estimated
ANSWER = 0.25  # tokens of the answer per token of the prompt, there


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Scores of M models on n prompts, all measured. `rows` [n] index the data's prompts."""

    name: str
    sources: tuple[str, ...]
    models: tuple[str, ...]
    rows: Indices
    quality: Floats  # [n, M], 0…1
    cost_usd: Floats  # [n, M]

    def part(self, keep: Mask) -> Pool:
        """The prompts of a mask over the data's prompts."""
        inside = keep[self.rows]
        return Pool(
            self.name,
            self.sources,
            self.models,
            self.rows[inside],
            self.quality[inside],
            self.cost_usd[inside],
        )

    def of(self, models: list[int]) -> Pool:
        """Some of the models."""
        names = tuple(self.models[m] for m in models)
        return Pool(
            self.name, self.sources, names, self.rows, self.quality[:, models], self.cost_usd[:, models]
        )


def pools(data: Data) -> tuple[list[Pool], dict[str, str]]:
    """All pools, the largest first, joined ones before their sources; and why others are left out."""
    together: dict[tuple[str, ...], list[str]] = {}
    for source, columns in sorted(data.scores.items()):
        together.setdefault(tuple(sorted(columns)), []).append(source)
    groups: list[list[Pool]] = []
    left_out: dict[str, str] = {}
    for models, sources in together.items():
        alone = [_pool(data, source, [source], models) for source in sources]
        left_out |= {pool.name: why for pool in alone if (why := _unfit(pool))}
        fit = [pool for pool in alone if pool.name not in left_out]
        names = [pool.name for pool in fit]
        groups.append([_pool(data, common_name(names), names, models), *fit] if len(fit) > 1 else fit)
    groups.sort(key=lambda group: -len(group[0].rows) if group else 0)
    return [pool for group in groups for pool in group], left_out


def _unfit(pool: Pool) -> str:
    if len(pool.models) < 2:
        return f"{len(pool.models)} models with costs or prices, and two are the fewest to choose from"
    if len(pool.rows) < FEWEST:
        return (
            f"{len(pool.rows)} prompts with scores and costs of all models; fewer than {FEWEST} say nothing"
        )
    return ""


def common_name(sources: list[str]) -> str:
    """The words that the names of sources begin with, else all of the names."""
    if len(sources) == 1:
        return sources[0]
    words = zip(*(source.split("_") for source in sources), strict=False)
    same = [step[0] for step in itertools.takewhile(lambda step: len(set(step)) == 1, words)]
    return "_".join(same) or "+".join(sources)


def parts(train: Mask, folds: int) -> list[Mask]:
    """Held-out masks over the prompts: a random fifth (say) of the train rows each.

    `folds` = 0: one part, everything that is not train. The test rows are for reporting only.
    """
    if folds == 0:
        return [~train]
    which = np.random.default_rng(1000).integers(0, folds, len(train))
    return [train & (which == fold) for fold in range(folds)]


def _pool(data: Data, name: str, sources: list[str], models: tuple[str, ...]) -> Pool:
    """Models that have costs, prompts that have all of their scores and costs."""
    columns = [data.scores[source] for source in sources]
    rows = np.array(sorted({row for own in columns for cells in own.values() for row in cells}), np.intp)
    position = {int(row): at for at, row in enumerate(rows)}
    table = np.full((len(rows), len(models), 2), np.nan)
    for own in columns:
        for column, model in enumerate(models):
            for row, pair in own[model].items():
                table[position[row], column] = pair
    if np.isnan(table[:, :, 1]).all():
        table[:, :, 1] = _estimated(data, rows, models)
    priced = ~np.isnan(table[:, :, 1]).all(axis=0)
    table = table[:, priced]
    full = ~np.isnan(table).any(axis=(1, 2))
    names = tuple(model for model, keep in zip(models, priced, strict=True) if keep)
    return Pool(name, tuple(sources), names, rows[full], table[full, :, 0], table[full, :, 1])


def _estimated(data: Data, rows: Indices, models: tuple[str, ...]) -> Floats:
    """[n, M] in USD from prices and the length of the prompts; NaN for models without a price."""
    nothing = (np.nan, np.nan)
    price = np.array([np.dot(data.prices.get(model, nothing), (1, ANSWER)) for model in models])
    tokens = np.array([len(data.prompts[row].text) / CHARACTERS for row in rows])
    return np.asarray(tokens[:, None] * price / 1e6)


def joined(held: list[Pool]) -> Pool:
    """The held-out prompts of all parts of a pool, in their order."""
    first = held[0]
    return Pool(
        first.name,
        first.sources,
        first.models,
        np.concatenate([pool.rows for pool in held]),
        np.concatenate([pool.quality for pool in held]),
        np.concatenate([pool.cost_usd for pool in held]),
    )
