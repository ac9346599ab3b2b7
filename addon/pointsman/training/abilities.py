"""How able today's models are: one number each, from leaderboards, or from what a model is like.

    logit(score of model i on benchmark j) = a_j · θ_i − d_j + error

fitted to every row that the plan names, sources of scored prompts included, by least
squares with weak priors (θ around the mean, a around 1). The scale is that of the anchor
(a = 1, d = 0). Models with results in two places tie the benchmarks together; in the shipped
data these are old ones, the ties are thin, and each figure comes with a standard deviation
that says so. What no chain of ties connects with a scored source stays out.

A model without a row takes the ability of a relative, moved by what a version or a size
is worth between models that do have rows. A newer version is credited with *half* of that,
because leaderboards show the versions their makers were proud of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pointsman.errors import DataError
from pointsman.training.data import Data, Floats
from pointsman.training.plan import Plan
from pointsman.training.transfer import sigmoid

ERROR_SD = (
    0.4  # of a row, on the logit scale: a guess that sets how strong the priors are, see `Fit.row_error`
)
ABILITY_SD = 1.5
SLOPE_SD = 0.3
DIFFICULTY_SD = 2.0
NEWER_CREDIT = 0.5
ROW_ERROR = 0.64  # where too few rows are there to measure it: that of the shipped data


@dataclass(frozen=True, slots=True)
class Ability:
    """θ on the anchor's logit scale, its standard deviation, and where it comes from."""

    theta: float
    sd: float
    basis: str


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    theta: Mapping[str, float]  # of every model with evidence
    rows: Mapping[str, int]  # how many benchmarks each has
    slope: Mapping[str, float]  # of every benchmark
    difficulty: Mapping[str, float]
    row_error: float  # leave-one-row-out RMSE on the logit scale, over models with two rows and more

    def expected(self, benchmark: str, theta: float) -> float:
        """Mean score on a benchmark of a model with ability `theta`."""
        return float(sigmoid(np.asarray(self.slope[benchmark] * theta - self.difficulty[benchmark])))


def observations(data: Data, evidence: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """{(model, benchmark): mean score}; DataError names a row that is not there."""
    found: dict[tuple[str, str], float] = {}
    for model, rows in evidence.items():
        for benchmark, names in rows.items():
            if benchmark == "pool":
                for source, column in names.items():
                    if (mean := _pool_mean(data, source, column)) is not None:
                        found[model, source] = mean
            else:
                found[model, benchmark] = float(np.mean([_row(data, benchmark, name) for name in names]))
    return found


def tied(seen: Mapping[tuple[str, str], float], scored: Collection[str]) -> dict[tuple[str, str], float]:
    """What a chain of models and benchmarks connects with a source of scored prompts."""
    benchmarks, models = set(scored), set[str]()
    while True:
        more = {model for model, benchmark in seen if benchmark in benchmarks} - models
        if not more:
            return {key: value for key, value in seen.items() if key[0] in models}
        models |= more
        benchmarks |= {benchmark for model, benchmark in seen if model in models}


def fit(seen: Mapping[tuple[str, str], float], anchor: str) -> Fit:
    """Fit abilities and benchmarks, and once more without each row in turn for its error."""
    models = sorted({model for model, _ in seen})
    rows = {model: sum(1 for other, _ in seen if other == model) for model in models}
    theta, slope, difficulty = _solve(seen, anchor)
    errors = []
    for (model, benchmark), score in seen.items():
        if rows[model] < 2 or sum(1 for _, other in seen if other == benchmark) < 3 or benchmark == anchor:
            continue
        rest = {key: value for key, value in seen.items() if key != (model, benchmark)}
        theta_, slope_, difficulty_ = _solve(rest, anchor)
        errors.append(slope_[benchmark] * theta_[model] - difficulty_[benchmark] - _logit(score))
    error = float(np.sqrt(np.mean(np.square(errors)))) if errors else ROW_ERROR
    return Fit(theta, rows, slope, difficulty, error)


def abilities(data: Data, plan: Plan, tiers: Mapping[str, int | None]) -> tuple[dict[str, Ability], Fit]:
    """Ability of every model of the plan that anything is known of. `tiers` are quality tiers."""
    made = fit(tied(observations(data, plan.evidence), data.scores), plan.anchor)
    size, size_sd = _step(made, plan.sizes)
    newer, newer_sd = _step(made, plan.generations)
    found = {}
    for model, line in plan.models.items():
        if model in made.theta:
            scored = len(plan.evidence[model].get("pool", ()))
            found[model] = Ability(
                made.theta[model], _own_sd(made, model), _evidence(scored, made.rows[model] - scored)
            )
        elif "tier" in line:
            found[model] = _of_tier(made, line["tier"], tiers)
        elif "like" in line:
            if line["like"] not in made.theta:
                raise DataError(f"{plan.name}: models: {model}: {line['like']} has no evidence to be like")
            up, down = line.get("newer", 0), line.get("smaller", 0)
            theta = made.theta[line["like"]] + NEWER_CREDIT * up * newer + down * size
            spread = np.sqrt(
                _own_sd(made, line["like"]) ** 2 + abs(up) * newer_sd**2 + abs(down) * size_sd**2
            )
            found[model] = Ability(theta, float(spread), f"prior: {_words(line)}")
    return found, made


def _solve(
    seen: Mapping[tuple[str, str], float], anchor: str
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    from scipy.optimize import least_squares  # type: ignore[import-untyped, unused-ignore]  # only for training

    models = sorted({model for model, _ in seen})
    others = sorted({benchmark for _, benchmark in seen} - {anchor})
    at = {model: n for n, model in enumerate(models)}
    which = {benchmark: n for n, benchmark in enumerate(others)}
    row = np.array([at[model] for model, _ in seen])
    column = np.array([which.get(benchmark, len(others)) for _, benchmark in seen])
    target = np.array([_logit(score) for score in seen.values()])
    m, b = len(models), len(others)

    def parts(x: Floats) -> tuple[Floats, Floats, Floats]:
        return x[:m], np.append(x[m : m + b], 1.0), np.append(x[m + b :], 0.0)

    def residuals(x: Floats) -> Floats:
        theta, slope, difficulty = parts(x)
        errors = (slope[column] * theta[row] - difficulty[column] - target) / ERROR_SD
        priors = [
            (theta - theta.mean()) / ABILITY_SD,
            (slope[:-1] - 1) / SLOPE_SD,
            difficulty[:-1] / DIFFICULTY_SD,
        ]
        return np.concatenate([errors, *priors])

    start = np.concatenate([np.zeros(m), np.ones(b), np.zeros(b)])
    theta, slope, difficulty = parts(least_squares(residuals, start).x)
    names = [*others, anchor]
    return (
        dict(zip(models, theta.tolist(), strict=True)),
        dict(zip(names, slope.tolist(), strict=True)),
        dict(zip(names, difficulty.tolist(), strict=True)),
    )


def _step(made: Fit, pairs: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Mean and standard deviation of θ(second) − θ(first); nothing with less than two pairs to go by."""
    differences = [made.theta[second] - made.theta[first] for first, second in pairs]
    if len(differences) < 2:
        return 0.0, ABILITY_SD
    return float(np.mean(differences)), float(np.std(differences, ddof=1))


def _own_sd(made: Fit, model: str) -> float:
    return made.row_error / float(np.sqrt(made.rows[model]))


def _of_tier(made: Fit, tier: int, tiers: Mapping[str, int | None]) -> Ability:
    same = [theta for model, theta in made.theta.items() if tiers.get(model) == tier]
    if len(same) < 2:
        raise DataError(f"tier {tier}: less than two models of this quality tier have evidence of their own")
    spread = np.hypot(np.std(same, ddof=1), made.row_error)
    return Ability(float(np.mean(same)), float(spread), f"prior: mean of {len(same)} models of tier {tier}")


def _evidence(scored: int, listed: int) -> str:
    parts = [f"own scores on {scored} source{'s' * (scored > 1)}"] if scored else []
    parts += [f"{listed} leaderboard row{'s' * (listed > 1)}"] if listed else []
    return ", ".join(parts)


def _words(line: Mapping[str, Any]) -> str:
    words = [f"like {line['like']}"]
    words += [f"{line['newer']:+g} versions"] if "newer" in line else []
    words += [f"{-line['smaller']:+g} sizes"] if "smaller" in line else []
    return ", ".join(words)


def _row(data: Data, benchmark: str, name: str) -> float:
    if (benchmark, name) not in data.leaderboards:
        raise DataError(f"the leaderboards have no row of {name} on {benchmark}")
    return data.leaderboards[benchmark, name]


def _pool_mean(data: Data, source: str, column: str) -> float | None:
    """Over the train prompts; None if it was scored on none of them."""
    if column not in data.scores.get(source, {}):
        raise DataError(f"the scores have no model {column} on {source}")
    train = [score for at, (score, _) in data.scores[source][column].items() if data.prompts[at].train]
    return float(np.mean(train)) if train else None


def _logit(score: float) -> float:
    clipped = min(max(score, 0.01), 0.99)
    return float(np.log(clipped / (1 - clipped)))
