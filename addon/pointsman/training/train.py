"""From data and a plan to a bundle's figures, step by step; what was decided on the way comes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from pointsman.errors import DataError
from pointsman.training import inclusion, words
from pointsman.training.abilities import Ability, Fit, abilities
from pointsman.training.build import Built, build, cluster, lengths, usable, with_models
from pointsman.training.data import Data
from pointsman.training.inclusion import Transfer, Verdict
from pointsman.training.plan import Plan
from pointsman.training.recipe import nearest
from pointsman.training.vectors import Vectors
from pointsman.values import Model, Prices


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The figures, and what a reader of them should know."""

    built: Built
    plan: Plan
    models: Mapping[str, Model]  # of the bundle
    abilities: Mapping[str, Ability]
    fit: Fit
    verdicts: tuple[Verdict, ...]  # by model, those left out too
    transfer: Transfer
    prompts: int  # that the clusters were made from


def routable(data: Data, catalogue: Mapping[str, Model]) -> dict[str, Model]:
    """What can be routed to: has a price. models.csv wins in prices, the catalogue in everything else."""
    found = {}
    for name in sorted({*catalogue, *data.prices}):
        row = catalogue.get(name) or Model(name, data.providers.get(name, ""))
        if name in data.prices:
            given, made = data.prices[name]
            row = replace(row, prices=replace(row.prices, input=given, output=made))
        if row.prices.input is not None and row.provider:
            found[name] = row
    return found


def train(
    data: Data,
    vectors: Vectors,
    plan: Plan,
    rows: Mapping[str, Model],
    vocabulary: frozenset[str],
    *,
    include_all: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Trained:
    """Train on `vectors` [n, dim] of the data's prompts; `rows` are the models that can be routed to.

    `include_all` skips the measured choice of models. Deterministic on one machine, on one thread.
    Raises DataError where the data does not suffice.
    """
    if missing := sorted(set(plan.models) - rows.keys()):
        raise DataError(
            f"{plan.name}: models: {missing[0]}: has no price and provider in models or catalogue"
        )
    if not data.scores:
        raise DataError("there are no scores, so nothing says how hard any cluster is")
    with _one_thread():
        say("clustering")
        centroids, at = cluster(data, vectors, plan)
        say("abilities")
        known, fit = abilities(data, plan, {name: row.quality_tier for name, row in rows.items()})
        if not known:
            raise DataError("no model has a price, and scores or rows that connect it with a scored source")
        say("qualities")
        everything = build(data, plan, vectors, centroids, at, known, fit)
        say("choosing models")
        near = nearest(vectors, centroids, plan.nearest(len(centroids)))
        moved = inclusion.transferred(_pools(data, plan, vectors, near, len(centroids), rows), plan)
        verdicts = _verdicts(data, plan, vectors, near, everything, rows, moved)
        keep = sorted(known) if include_all else [v.model for v in verdicts if v.included]
        if not keep:
            raise DataError(
                "no model was measured to be worth its place; --include all takes them all the same"
            )
        longer = lengths(data, plan, keep, at, len(centroids))
        built = with_models(everything, keep, _families(plan, keep, rows), plan, longer)
        say("typical words")
        inside = np.flatnonzero(usable(data, plan))
        texts = [data.prompts[n].text for n in inside]
        built = replace(built, words=words.typical(texts, at[inside], len(centroids), vocabulary))
    return Trained(
        built, plan, {m: rows[m] for m in built.models}, known, fit, tuple(verdicts), moved, len(inside)
    )


def _pools(
    data: Data, plan: Plan, vectors: Vectors, near: inclusion.Near, k: int, rows: Mapping[str, Model]
) -> list[inclusion.Pool]:
    """All models with scores and prices, also such as cannot be routed to, by their names in the scores."""
    names = {(source, column): column for source, columns in data.scores.items() for column in columns}
    cost = {name: _cost(row.prices, plan) for name, row in rows.items()}
    cost |= {name: _cost(Prices(given, made), plan) for name, (given, made) in data.prices.items()}
    return inclusion.pools(data, plan, vectors, near, k, names, cost)


def _verdicts(
    data: Data,
    plan: Plan,
    vectors: Vectors,
    near: inclusion.Near,
    built: Built,
    rows: Mapping[str, Model],
    moved: Transfer,
) -> list[Verdict]:
    """One for every model that has figures, and for those of the plan that have none."""
    names = {
        (source, column): model
        for model in built.models
        for source, column in plan.evidence.get(model, {}).get("pool", {}).items()
    }
    cost = {model: _cost(rows[model].prices, plan) for model in built.models}
    groups = [list(built.models), *_providers(built.models, rows)]
    own = inclusion.own(
        inclusion.pools(data, plan, vectors, near, len(built.centroids), names, cost), groups, plan
    )
    found = []
    for model in plan.models:
        if model not in built.models:
            found.append(Verdict(model, False, None, None, "nothing connects it with a scored source"))
        elif model in own:
            found.append(own[model])
        elif built.scored is not None and built.scored[:, built.models.index(model)].any():
            found.append(
                Verdict(model, True, None, None, "scored, but with no other model to compare it with")
            )
        else:
            why = "known by aggregates; such models were worth including" if moved.pays else _unpaid(moved)
            found.append(Verdict(model, moved.pays, moved.gain, moved.error, why))
    return sorted(found, key=lambda verdict: verdict.model)


def _unpaid(moved: Transfer) -> str:
    if moved.gain is None:
        return "known by aggregates; too few models are scored to tell whether including it would pay"
    return "known by aggregates; such models were not worth including"


def _cost(prices: Prices, plan: Plan) -> float:
    return (prices.input or 0.0) + plan.output_cost_ratio * (prices.output or 0.0)


def _providers(models: Sequence[str], rows: Mapping[str, Model]) -> list[list[str]]:
    """Models by provider, of providers that have two."""
    found: dict[str, list[str]] = {}
    for model in models:
        found.setdefault(rows[model].provider, []).append(model)
    return [own for _, own in sorted(found.items()) if len(own) > 1]


def _families(plan: Plan, models: Sequence[str], rows: Mapping[str, Model]) -> list[list[str]]:
    """Whose gaps set alpha: the plan's providers, else all that have two models, else all models as one."""
    named = [[m for m in models if rows[m].provider == family] for family in plan.families]
    return [own for own in named if own] or _providers(models, rows) or [list(models)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads add up in another order each time, and the last bits differ.

    Only libraries that are loaded already are limited.
    """
    import scipy.optimize  # type: ignore[import-untyped, unused-ignore]  # noqa: F401
    import sklearn.cluster  # type: ignore[import-untyped, unused-ignore]  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, import-not-found, unused-ignore]

    with threadpool_limits(1):
        yield
