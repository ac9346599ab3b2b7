from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pointsman.training.data import Data, Prompt
from pointsman.training.evaluation.pools import common_name, parts, pools

EACH = 120


def data(**sources: dict[str, tuple[float, float]]) -> Data:
    """`EACH` prompts of every source, all answered alike."""
    prompts, scores = [], {}
    for source, models in sources.items():
        at = range(len(prompts), len(prompts) + EACH)
        prompts += [Prompt(f"{source}{n}", source, "", "", n % 5 > 0, False) for n in at]
        scores[source] = {model: dict.fromkeys(at, pair) for model, pair in models.items()}
    return Data(tuple(prompts), scores, {}, {})


PAIR = {"big": (0.9, 2.0), "small": (0.5, 1.0)}


def test_sources_with_the_same_models_are_one_pool_and_each_is_one_alone() -> None:
    found, left_out = pools(data(bench_one=PAIR, bench_two=PAIR, other={**PAIR, "third": (0.1, 1.0)}))
    assert [pool.name for pool in found] == ["bench", "bench_one", "bench_two", "other"]
    assert [len(pool.rows) for pool in found] == [2 * EACH, EACH, EACH, EACH]
    assert found[0].models == ("big", "small")
    assert found[0].quality[0].tolist() == [0.9, 0.5]
    assert not left_out


def test_what_cannot_be_judged_is_named_with_its_reason() -> None:
    nan = float("nan")
    found, left_out = pools(
        data(bench_one=PAIR, bench_free={"big": (0.9, nan), "small": (0.5, nan)}, lone={"big": (0.9, 1.0)})
    )
    assert [pool.name for pool in found] == ["bench_one"]
    assert "0 models with costs" in left_out["bench_free"]
    assert "1 models with costs" in left_out["lone"]


def test_a_model_without_costs_and_a_prompt_without_all_scores_are_left_out() -> None:
    whole = data(one={**PAIR, "unpriced": (0.7, float("nan"))})
    del whole.scores["one"]["big"][3]
    (pool,), _ = pools(whole)
    assert pool.models == ("big", "small")
    assert 3 not in pool.rows
    assert len(pool.rows) == EACH - 1


def test_costs_that_nobody_stated_are_estimated_from_prices() -> None:
    nan = float("nan")
    free = data(one={"big": (0.9, nan), "small": (0.5, nan), "unpriced": (0.5, nan)})
    prompts = tuple(replace(prompt, text="x" * 400) for prompt in free.prompts)
    (pool,), _ = pools(Data(prompts, free.scores, {"big": (10.0, 40.0), "small": (1.0, 4.0)}, {}))
    assert pool.models == ("big", "small")
    assert pool.cost_usd[0] == pytest.approx([100 * 20e-6, 100 * 2e-6])
    half = data(one={"big": (0.9, 1.0), "small": (0.5, nan)})
    assert "1 models" in pools(Data(half.prompts, half.scores, {"small": (1.0, 1.0)}, {}))[1]["one"]


def test_too_few_prompts_say_nothing() -> None:
    whole = data(one=PAIR)
    for row in range(EACH - 99):
        del whole.scores["one"]["big"][row]
    assert "fewer than 100" in pools(whole)[1]["one"]


def test_folds_share_out_the_train_rows_and_touch_no_test_row() -> None:
    train = np.arange(1000) % 5 > 0
    held = parts(train, 4)
    assert len(held) == 4
    assert (np.sum(held, axis=0) == train).all()
    assert min(part.sum() for part in held) > 150
    assert np.array_equal(parts(train, 4)[2], held[2])


def test_without_folds_the_test_rows_are_held_out() -> None:
    train = np.arange(10) % 5 > 0
    (held,) = parts(train, 0)
    assert np.array_equal(held, ~train)


def test_names_of_joined_sources() -> None:
    assert common_name(["llm_mmlu", "llm_gsm8k"]) == "llm"
    assert common_name(["mmlu", "math"]) == "mmlu+math"
    assert common_name(["alone_here"]) == "alone_here"
