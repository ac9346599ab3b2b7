"""How able today's models are: one number each, from leaderboards, or from what a model is like.

    logit(score of model i on benchmark j) = a_j · θ_i − d_j + error

fitted to every row that `roster.yaml` names, pools of scored prompts included, by
least squares with weak priors (θ around the mean, a around 1). The scale is that of
mmlu_pro (a = 1, d = 0). Old models tie the benchmarks together; the ties are thin, and
each figure comes with a standard deviation that says so.

A model without a row takes the ability of a relative, moved by what a version or a size
is worth between models that do have rows. A newer version is credited with *half* of that,
because leaderboards show the versions their makers were proud of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pointsman.training.data import Data, Floats
from pointsman.training.transfer import sigmoid

ROSTER = Path(__file__).with_name("roster.yaml")
ANCHOR = "mmlu_pro"
ERROR_SD = (
    0.4  # of a row, on the logit scale: a guess that sets how strong the priors are, see `Fit.row_error`
)
ABILITY_SD = 1.5
SLOPE_SD = 0.3
DIFFICULTY_SD = 2.0
NEWER_CREDIT = 0.5


@dataclass(frozen=True, slots=True)
class Ability:
    """θ on mmlu_pro's logit scale, its standard deviation, and where it comes from."""

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


def read_roster(path: Path = ROSTER) -> dict[str, Any]:
    roster: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return roster


def observations(data: Data, evidence: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """{(model, benchmark): mean score}; KeyError names a row that is not there."""
    found: dict[tuple[str, str], float] = {}
    for model, rows in evidence.items():
        for benchmark, names in rows.items():
            if benchmark == "pool":
                for source, column in names.items():
                    found[model, source] = _pool_mean(data, source, column)
            else:
                found[model, benchmark] = float(np.mean([data.leaderboards[benchmark, n] for n in names]))
    return found


def fit(seen: Mapping[tuple[str, str], float]) -> Fit:
    """Fit abilities and benchmarks, and once more without each row in turn for its error."""
    models = sorted({model for model, _ in seen})
    rows = {model: sum(1 for other, _ in seen if other == model) for model in models}
    theta, slope, difficulty = _solve(seen)
    errors = []
    for (model, benchmark), score in seen.items():
        if rows[model] < 2 or sum(1 for _, other in seen if other == benchmark) < 3 or benchmark == ANCHOR:
            continue
        rest = {key: value for key, value in seen.items() if key != (model, benchmark)}
        theta_, slope_, difficulty_ = _solve(rest)
        errors.append(slope_[benchmark] * theta_[model] - difficulty_[benchmark] - _logit(score))
    return Fit(theta, rows, slope, difficulty, float(np.sqrt(np.mean(np.square(errors)))))


def abilities(
    data: Data, roster: Mapping[str, Any], tiers: Mapping[str, int | None]
) -> tuple[dict[str, Ability], Fit]:
    """Ability of every model of the roster. `tiers` are the catalogue's quality tiers."""
    made = fit(observations(data, roster["evidence"]))
    size, size_sd = _step(made, [(big, small) for big, small in roster["sizes"]])
    newer, newer_sd = _step(made, [(old, new) for old, new in roster["generations"]])
    found = {}
    for model, line in roster["models"].items():
        if model in made.theta:
            count = made.rows[model]
            found[model] = Ability(
                made.theta[model], _own_sd(made, model), f"{count} leaderboard row{'s' * (count > 1)}"
            )
        elif "tier" in line:
            found[model] = _of_tier(made, line["tier"], tiers)
        else:
            up, down = line.get("newer", 0), line.get("smaller", 0)
            theta = made.theta[line["like"]] + NEWER_CREDIT * up * newer + down * size
            spread = np.sqrt(
                _own_sd(made, line["like"]) ** 2 + abs(up) * newer_sd**2 + abs(down) * size_sd**2
            )
            found[model] = Ability(theta, float(spread), f"prior: {_words(line)}")
    return found, made


def _solve(
    seen: Mapping[tuple[str, str], float],
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    from scipy.optimize import least_squares  # type: ignore[import-untyped, unused-ignore]  # only for training

    models = sorted({model for model, _ in seen})
    others = sorted({benchmark for _, benchmark in seen} - {ANCHOR})
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
    names = [*others, ANCHOR]
    return (
        dict(zip(models, theta.tolist(), strict=True)),
        dict(zip(names, slope.tolist(), strict=True)),
        dict(zip(names, difficulty.tolist(), strict=True)),
    )


def _step(made: Fit, pairs: list[tuple[str, str]]) -> tuple[float, float]:
    """Mean and standard deviation of θ(second) − θ(first)."""
    differences = [made.theta[second] - made.theta[first] for first, second in pairs]
    return float(np.mean(differences)), float(np.std(differences, ddof=1))


def _own_sd(made: Fit, model: str) -> float:
    return made.row_error / float(np.sqrt(made.rows[model]))


def _of_tier(made: Fit, tier: int, tiers: Mapping[str, int | None]) -> Ability:
    same = [theta for model, theta in made.theta.items() if tiers.get(model) == tier]
    spread = np.hypot(np.std(same, ddof=1), made.row_error)
    return Ability(float(np.mean(same)), float(spread), f"prior: mean of {len(same)} models of tier {tier}")


def _words(line: Mapping[str, Any]) -> str:
    words = [f"like {line['like']}"]
    words += [f"{line['newer']:+g} versions"] if "newer" in line else []
    words += [f"{-line['smaller']:+g} sizes"] if "smaller" in line else []
    return ", ".join(words)


def _pool_mean(data: Data, source: str, column: str) -> float:
    train = [score for at, (score, _) in data.scores[source][column].items() if data.prompts[at].train]
    return float(np.mean(train))


def _logit(score: float) -> float:
    clipped = min(max(score, 0.01), 0.99)
    return float(np.log(clipped / (1 - clipped)))
