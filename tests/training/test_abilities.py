from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pointsman.errors import DataError
from pointsman.training.abilities import ROW_ERROR, abilities, fit, observations, tied
from pointsman.training.data import Data, Prompt
from pointsman.training.plan import Plan
from pointsman.training.transfer import sigmoid

pytest.importorskip("scipy", reason="needs the train extra")

THETA = {"old": 0.0, "middle": 1.0, "new": 2.0, "small": 0.5, "other": 1.5}
HARD = {"mmlu_pro": 0.0, "board": 1.0, "hard": 2.0}


def seen(leave_out: tuple[str, str] | None = None) -> dict[tuple[str, str], float]:
    cells = {
        (model, bench): float(sigmoid(np.asarray(theta - difficulty)))
        for model, theta in THETA.items()
        for bench, difficulty in HARD.items()
    }
    return {key: value for key, value in cells.items() if key != leave_out}


def test_abilities_and_benchmarks_are_recovered() -> None:
    made = fit(seen(), "mmlu_pro")
    assert made.theta["new"] - made.theta["old"] == pytest.approx(2, abs=0.3)
    assert made.difficulty["hard"] - made.difficulty["board"] == pytest.approx(1, abs=0.3)
    assert made.row_error < 0.4
    assert (made.slope["mmlu_pro"], made.difficulty["mmlu_pro"]) == (1.0, 0.0)


def test_a_missing_row_is_expected_from_the_others() -> None:
    made = fit(seen(leave_out=("new", "hard")), "mmlu_pro")
    assert made.expected("hard", made.theta["new"]) == pytest.approx(0.5, abs=0.1)


def world() -> Data:
    prompts = (Prompt("1", "mmlu_pro", "", "", True, False), Prompt("2", "mmlu_pro", "", "", False, False))
    pool = {"Old-1": {0: (0.5, 0.1), 1: (1.0, 0.1)}, "Mid": {0: (0.7, 0.1)}, "New": {0: (0.9, 0.1)}}
    boards = {
        ("board", "Old 1"): 0.3,
        ("board", "Mid"): 0.5,
        ("board", "New (low)"): 0.6,
        ("board", "New"): 0.8,
    }
    return Data(prompts, {"mmlu_pro": pool}, {}, boards)


PLAN = Plan(
    name="test",
    sources={},
    anchor="mmlu_pro",
    evidence={
        "old": {"pool": {"mmlu_pro": "Old-1"}, "board": ["Old 1"]},
        "middle": {"pool": {"mmlu_pro": "Mid"}, "board": ["Mid"]},
        "new": {"pool": {"mmlu_pro": "New"}, "board": ["New (low)", "New"]},
    },
    sizes=(("middle", "old"), ("new", "middle")),
    generations=(("old", "middle"), ("middle", "new")),
    models={
        "new": {},
        "newer": {"like": "new", "newer": 1},
        "newer-mini": {"like": "new", "newer": 1, "smaller": 1},
        "twin": {"like": "new"},
        "stranger": {"tier": 2},
        "nobody": {},
    },
)


def test_rows_of_one_benchmark_are_averaged_and_pools_take_train_rows_only() -> None:
    found = observations(world(), PLAN.evidence)
    assert found["new", "board"] == pytest.approx(0.7)
    assert found["old", "mmlu_pro"] == 0.5


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DataError, match="no row of Nobody on board"):
        observations(world(), {"x": {"board": ["Nobody"]}})


def test_models_without_evidence_say_so_and_are_less_certain() -> None:
    found, made = abilities(world(), PLAN, {"old": 2, "middle": 2, "new": 3})
    assert found["new"].basis == "own scores on 1 source, 1 leaderboard row"
    assert "nobody" not in found
    assert found["newer"].basis == "prior: like new, +1 versions"
    assert found["newer-mini"].basis == "prior: like new, +1 versions, -1 sizes"
    assert found["twin"].theta == found["new"].theta
    assert found["newer-mini"].sd > found["newer"].sd > found["new"].sd
    assert found["stranger"].basis == "prior: mean of 2 models of tier 2"
    step = np.mean([made.theta["middle"] - made.theta["old"], made.theta["new"] - made.theta["middle"]])
    assert found["newer"].theta == pytest.approx(made.theta["new"] + step / 2)


def test_what_is_tied_to_no_scored_source_says_nothing() -> None:
    found = {("a", "pool"): 0.5, ("a", "board"): 0.6, ("b", "board"): 0.7, ("c", "island"): 0.9}
    assert tied(found, ["pool"]).keys() == found.keys() - {("c", "island")}


def test_where_rows_are_few_their_error_is_a_known_one() -> None:
    assert fit({("a", "pool"): 0.5, ("b", "pool"): 0.7}, "pool").row_error == ROW_ERROR


def test_a_model_can_only_be_like_one_with_evidence() -> None:
    plan = replace(PLAN, models={"x": {"like": "y"}})
    with pytest.raises(DataError, match="test: models: x: y has no evidence"):
        abilities(world(), plan, {})


def test_a_tier_needs_two_models_with_evidence() -> None:
    with pytest.raises(DataError, match="tier 2: less than two models"):
        abilities(world(), PLAN, {"old": 2})
