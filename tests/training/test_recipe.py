"""The protocol on a small made-up world: four kinds of prompt, six models, one ability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.scoring.bundle_files import AXES
from pointsman.scoring.cluster import blend
from pointsman.scoring.knobs import Knobs
from pointsman.training.data import POOLS, Data, Prompt
from pointsman.training.recipe import Fold, Settings, _choices, alpha_for, evaluate, target_sets
from pointsman.training.transfer import sigmoid

MODELS = ("a", "b", "c", "d", "e", "f")
ABILITY = np.array([-1.5, -0.5, 0.0, 0.7, 1.5, 2.5])
EASE = np.array([-4.0, -1.0, 1.0, 4.0])
SETTINGS = Settings(k=4, top_p=1, seeds=1, folds=2, set_size=2, sets=6, bootstraps=50)


def world(count: int = 1200) -> tuple[Data, list[list[Fold]]]:
    rng = np.random.default_rng(3)
    kind = np.arange(count) % 4
    which = (np.arange(count) // 4) % 2
    draws = rng.random((count, len(MODELS))) < sigmoid(EASE[kind][:, None] + ABILITY)
    prompts = tuple(Prompt(str(n), "mmlu_pro", "", "", True, False) for n in range(count))
    scores = {
        model: {n: (float(draws[n, m]), 2.0**m) for n in range(count)} for m, model in enumerate(MODELS)
    }
    data = Data(prompts, {"mmlu_pro": scores}, {m: (2.0**at, 0.0) for at, m in enumerate(MODELS)}, {})
    near = kind[:, None].astype(np.intp)
    return data, [[Fold(near, which == fold) for fold in range(2)]]


def test_abilities_alone_beat_mixing_where_difficulty_decides() -> None:
    result = evaluate(*world()[:1], "mmlu_pro", world()[1], SETTINGS)
    assert result.gain > 1
    assert 0 < result.low <= result.gain <= result.high
    assert result.sets_above_zero == 1


def test_nothing_is_gained_where_all_prompts_are_alike() -> None:
    data, made = world()
    rng = np.random.default_rng(5)
    blind = [[Fold(rng.permutation(fold.near), fold.held_out) for fold in row] for row in made]
    assert abs(evaluate(data, "mmlu_pro", blind, SETTINGS).gain) < 1


def test_the_targets_own_scores_on_prompts_do_not_matter() -> None:
    """Shuffling them within each fold keeps the means, which is all that may be known."""
    data, made = world()
    targets = [1, 4]
    before = choices(data, targets, made)
    rng = np.random.default_rng(8)
    scores = dict(data.scores["mmlu_pro"])
    for model in (MODELS[m] for m in targets):
        cells = dict(scores[model])
        for fold in made[0]:
            rows = np.flatnonzero(fold.held_out)
            cells |= {
                int(to): scores[model][int(of)] for to, of in zip(rows, rng.permutation(rows), strict=True)
            }
        scores[model] = cells
    shuffled = Data(data.prompts, {"mmlu_pro": scores}, data.prices, {})
    assert np.array_equal(choices(shuffled, targets, made), before)
    assert scores != data.scores["mmlu_pro"]


def choices(data: Data, targets: list[int], made: list[list[Fold]]) -> np.ndarray:
    pool = data.pool("mmlu_pro").complete()
    return _choices(data, pool, targets, made[0], SETTINGS, np.zeros(len(MODELS)))


def test_target_sets_are_distinct_and_leave_references() -> None:
    sets = target_sets(13, Settings(set_size=4, sets=20))
    assert len({tuple(s) for s in sets}) == 20
    assert all(len(s) == 4 for s in sets)
    assert target_sets(2, Settings()) == [[0, 1]]


@given(st.integers(0, 10_000), st.floats(0.01, 3))
def test_the_fitted_alpha_gives_the_absolute_gap_back(seed: int, money: float) -> None:
    """Picking by the blend is picking by quality − λ·normalised cost, in every cluster."""
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((5, 4)), rng.random(4)
    axes = dict.fromkeys(AXES, np.full(4, np.nan)) | {"input_per_1k_usd": cost}
    blended = blend(quality, axes, Knobs(alpha_for(quality, money)))
    normalised = (cost - cost.min()) / (cost.max() - cost.min())
    assert np.array_equal(blended.argmax(axis=1), (quality - money * normalised).argmax(axis=1))


def test_money_of_no_worth_leaves_quality_alone() -> None:
    assert alpha_for(np.array([[0.2, 0.6]]), 0.0) == (1.0,)
    assert alpha_for(np.array([[0.5, 0.5]]), 0.0) == (0.0,)


def test_pools_that_may_not_ship_are_known_by_name() -> None:
    from pointsman.training.build import usable

    prompts = tuple(Prompt(s, s, "", "", True, False) for sources in POOLS.values() for s in sources)
    kept = [p.source for p, keep in zip(prompts, usable(Data(prompts, {}, {}, {})), strict=True) if keep]
    assert "bfcl" not in kept
    assert len(kept) == len(prompts) - 1


def test_held_out_prompts_of_the_test_split_are_never_in_a_pool() -> None:
    prompts = (Prompt("1", "mmlu_pro", "", "", True, False), Prompt("2", "mmlu_pro", "", "", False, False))
    data = Data(prompts, {"mmlu_pro": {"a": {0: (1.0, 1.0), 1: (0.0, 1.0)}}}, {}, {})
    assert data.pool("mmlu_pro").rows.tolist() == [0]
    assert data.pool("mmlu_pro", train=False).quality.tolist() == [[0.0]]


def test_a_variant_that_knows_the_targets_own_scores_is_at_least_as_good() -> None:
    data, made = world()
    own = evaluate(data, "mmlu_pro", made, Settings(k=4, top_p=1, folds=2, set_size=2, sets=6, bootstraps=5,
                                                    qualities="own"))  # fmt: skip
    assert own.gain == pytest.approx(evaluate(data, "mmlu_pro", made, SETTINGS).gain, abs=1)
