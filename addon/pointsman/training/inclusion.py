"""Which models are worth their place in a bundle, measured on train rows.

A model that is never the right choice costs something: it stretches the scale on which the others are
compared, and is picked where its cells are wrong. So every model has to show that routing with it is better
than without. What routing is worth, per prompt:

    utility = score of the model that served − λ · its price, scaled to 0…1 over the models compared

averaged over λ from a quarter to four times the bundle's own, with choices made as a bundle makes them.

- Models with scores of their own are judged by their scores, cross-validated: the cells of a fold are made
  without the fold's prompts. The one that adds least goes, as long as that is no more than its standard
  error; then the rest is judged again. A model stays if it earns its place among all models, or among
  those of its provider.
- Models known by an aggregate alone cannot be judged one by one. Instead every scored model in turn is
  treated as one of them: known by its mean, added to the others with their own scores. If that is worth
  something on average, transferred models come in; if not, they stay out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pointsman.scoring.bundle_files import AXES
from pointsman.scoring.cluster import blend
from pointsman.scoring.knobs import Knobs
from pointsman.training import transfer
from pointsman.training.build import own_means, scores_of
from pointsman.training.data import Data, Floats
from pointsman.training.plan import OWN, Plan
from pointsman.training.recipe import alpha_for
from pointsman.training.vectors import Vectors

FOLDS = 5
FOLDS_SEED = 11
MONEY = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the plan's λ
FEWEST = 50  # prompts that all models of a pool must have been scored on

Near = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What including a model is worth, in utility per hundred prompts, and the standard error of that."""

    model: str
    included: bool
    gain: float | None  # None where nothing could be measured
    error: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """What transferred models were worth: mean gain per hundred prompts over the models left out in turn."""

    gain: float | None
    error: float | None
    models: int
    pools: tuple[str, ...]

    @property
    def pays(self) -> bool:
        return self.gain is not None and self.gain > 0


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Models that were scored on the same n train prompts of a source."""

    source: str
    models: tuple[str, ...]
    quality: Floats  # [n, M]
    price: Floats  # [M]
    vectors: Vectors  # [n, dim]
    near: Near  # [n, p], the nearest clusters, nearest first
    fold: Near  # [n]
    k: int

    def of(self, models: Sequence[str]) -> Pool:
        columns = [self.models.index(model) for model in models]
        quality, price = self.quality[:, columns], self.price[columns]
        return Pool(self.source, tuple(models), quality, price, self.vectors, self.near, self.fold, self.k)


def pools(
    data: Data,
    plan: Plan,
    vectors: Vectors,
    near: Near,
    k: int,
    names: Mapping[tuple[str, str], str],
    price: Mapping[str, float],
) -> list[Pool]:
    """The pools of all sources that may be used; `names` are what (source, column) is called.

    `vectors` and `near` are of all prompts; `price` is what a model costs. A model that was scored on less
    than half of a source's prompts is left out.
    """
    found = []
    for source in data.scores:
        if not plan.source(source).ship or plan.source(source).difficulty != OWN:
            continue
        rows, columns, quality = scores_of(data, source)
        keep = [
            r
            for r, column in enumerate(columns)
            if names.get((source, column)) in price and (~np.isnan(quality[:, r])).mean() > 0.5
        ]
        full = ~np.isnan(quality[:, keep]).any(axis=1)
        if len(keep) < 2 or full.sum() < FEWEST:
            continue
        models = tuple(names[source, columns[r]] for r in keep)
        fold = np.random.default_rng(FOLDS_SEED).integers(0, FOLDS, int(full.sum()))
        cost = np.array([price[model] for model in models])
        inside = rows[full]
        found.append(
            Pool(source, models, quality[full][:, keep], cost, vectors[inside], near[inside], fold, k)
        )
    return found


def own(found: Sequence[Pool], groups: Sequence[Sequence[str]], plan: Plan) -> dict[str, Verdict]:
    """Verdicts on models with scores; `groups` are sets of models that routing chooses among."""
    best: dict[str, Verdict] = {}
    for group in groups:
        for verdict in _eliminate(
            [p.of(m) for p in found if len(m := [x for x in p.models if x in group]) > 1], plan
        ):
            old = best.get(verdict.model)
            if old is None or (verdict.included, verdict.gain or 0) > (old.included, old.gain or 0):
                best[verdict.model] = verdict
    return best


def _eliminate(found: Sequence[Pool], plan: Plan) -> list[Verdict]:
    """Drop what adds least, one by one, as long as it adds nothing."""
    models = sorted({model for pool in found for model in pool.models})
    dropped: list[Verdict] = []
    cells = [_fold_cells(pool) for pool in found]
    while len(models) > 1:
        verdicts = [_verdict(model, models, found, cells, plan) for model in models]
        worst = min(verdicts, key=lambda v: (v.included, v.gain or 0.0, v.model))
        if worst.included:
            return dropped + verdicts
        dropped.append(worst)
        models.remove(worst.model)
    return dropped + [Verdict(model, True, None, None, "the only one left to choose") for model in models]


def _verdict(
    model: str, models: Sequence[str], found: Sequence[Pool], cells: Sequence[Floats], plan: Plan
) -> Verdict:
    differences = []
    for pool, folds in zip(found, cells, strict=True):
        inside = [at for at, name in enumerate(pool.models) if name in models]
        rest = [at for at in inside if pool.models[at] != model]
        if len(inside) == len(rest) or not rest:
            continue
        differences.append(_utility(pool, folds, inside, plan) - _utility(pool, folds, rest, plan))
    gain, error = _mean(np.concatenate(differences)) if differences else (0.0, 0.0)
    earned = gain > error
    why = "earns its place by its own scores" if earned else "adds nothing that shows to the other models"
    return Verdict(model, earned, 100 * gain, 100 * error, why)


def transferred(found: Sequence[Pool], plan: Plan) -> Transfer:
    """Every scored model in turn as if only its mean were known, in pools of three models and more."""
    gains, used = [], []
    for pool in found:
        count = len(pool.models)
        if count < 3:
            continue
        used.append(pool.source)
        folds = _fold_cells(pool)
        for m in range(count):
            rest = [at for at in range(count) if at != m]
            changed = folds.copy()
            for fold in range(FOLDS):
                changed[fold][:, m] = _as_transferred(pool, fold, m, rest, plan)
            difference = _utility(pool, changed, list(range(count)), plan) - _utility(pool, folds, rest, plan)
            gains.append(float(difference.mean()))
    if not gains:
        return Transfer(None, None, 0, ())
    gain, error = _mean(np.array(gains))
    return Transfer(100 * gain, 100 * error, len(gains), tuple(used))


def _as_transferred(pool: Pool, fold: int, m: int, rest: Sequence[int], plan: Plan) -> Floats:
    """[K]: the cells that a model gets by its mean and the others' difficulties, lowered."""
    inside = pool.fold != fold
    member = np.eye(pool.k)[pool.near[inside, 0]]
    sums, counts = transfer.cell_sums(member, pool.quality[inside][:, rest])
    means = pool.quality[inside][:, rest].mean(axis=0)
    difficulty = transfer.fit_difficulty(sums, counts, means)
    cells = transfer.predict(difficulty, pool.quality[inside][:, [m]].mean(axis=0))[:, 0]
    return np.clip(cells - plan.lowered_by * transfer.leave_one_out_rmse(sums, counts, means), 0.0, 1.0)


def _fold_cells(pool: Pool) -> Floats:
    """[FOLDS, K, M]: every model's own cells, without the prompts of each fold."""
    found = np.empty((FOLDS, pool.k, len(pool.models)))
    for fold in range(FOLDS):
        inside = pool.fold != fold
        found[fold] = own_means(pool.vectors[inside], pool.near[inside, 0], pool.quality[inside], pool.k)
    return found


def _utility(pool: Pool, folds: Floats, columns: Sequence[int], plan: Plan) -> Floats:
    """[n]: utility of routing every prompt among `columns`, held out, averaged over λ.

    Prices are scaled over all models of the pool, so that leaving one out makes no other one dearer.
    """
    spread = float(np.ptp(pool.price)) or 1.0
    price = (pool.price - pool.price.min()) / spread
    axes = dict.fromkeys(AXES, np.full(len(columns), np.nan)) | {"input_per_1k_usd": price[columns]}
    quality, total = pool.quality[:, columns], np.zeros(len(pool.quality))
    for times in MONEY:
        money = times * plan.money
        scale = money * (float(np.ptp(price[columns])) or 1.0)  # the blend scales prices to 0…1 by itself
        chosen = np.empty(len(pool.quality), dtype=np.intp)
        for fold in range(FOLDS):
            out = pool.fold == fold
            cells = folds[fold][:, columns]
            scores = blend(cells, axes, Knobs(alpha_for(cells, scale)))
            chosen[out] = scores[pool.near[out]].sum(axis=1).argmax(axis=1)
        total += quality[np.arange(len(chosen)), chosen] - money * price[columns][chosen]
    return total / len(MONEY)


def _mean(values: Floats) -> tuple[float, float]:
    """(mean, its standard error)."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return float(np.mean(values)), error
