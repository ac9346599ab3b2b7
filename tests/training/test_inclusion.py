"""Whether a model is worth its place: small made-up pools in which the answer is known."""

from __future__ import annotations

import numpy as np
from pointsman.training.build import lengths
from pointsman.training.data import Data, Prompt
from pointsman.training.inclusion import FOLDS, Pool, own, pools, transferred
from pointsman.training.plan import Plan, Source
from pointsman.training.transfer import sigmoid

PLAN = Plan("test", {}, {}, {})


def pool(quality: dict[str, tuple[float, float]], price: dict[str, float], count: int = 2000) -> Pool:
    """Two clusters in turn; `quality` is the chance of a model to be right in each."""
    rng = np.random.default_rng(1)
    cluster = np.arange(count) % 2
    chance = np.array(list(quality.values())).T[cluster]
    draws = (rng.random(chance.shape) < chance).astype(float)
    fold = rng.integers(0, FOLDS, count)
    cost = np.array([price[model] for model in quality])
    vectors = np.eye(2, dtype=np.float32)[cluster]
    return Pool("mine", tuple(quality), draws, cost, vectors, cluster[:, None].astype(np.intp), fold, 2)


def included(found: Pool, *groups: list[str]) -> set[str]:
    verdicts = own([found], list(groups) or [list(found.models)], PLAN)
    assert verdicts.keys() == set(found.models)
    return {model for model, verdict in verdicts.items() if verdict.included}


def test_specialists_and_the_cheap_stay_and_the_dominated_goes() -> None:
    quality = {"cheap": (0.9, 0.3), "good": (0.95, 0.9), "bad": (0.5, 0.3)}
    found = pool(quality, {"cheap": 1.0, "good": 10.0, "bad": 9.0})
    assert included(found) == {"cheap", "good"}


def test_of_twins_one_is_enough() -> None:
    found = pool({"a": (0.9, 0.2), "b": (0.9, 0.2), "c": (0.2, 0.9)}, {"a": 1.0, "b": 1.0, "c": 1.0}, 4000)
    assert len(included(found)) == 2
    assert "c" in included(found)


def test_a_model_may_earn_its_place_within_its_provider() -> None:
    quality = {"best": (0.95, 0.95), "own": (0.9, 0.5), "other": (0.5, 0.9)}
    found = pool(quality, dict.fromkeys(quality, 1.0))
    assert included(found) == {"best"}
    assert included(found, list(quality), ["own", "other"]) == set(quality)


def test_a_verdict_says_what_it_rests_on() -> None:
    found = pool(
        {"cheap": (0.9, 0.3), "good": (0.9, 0.9), "bad": (0.2, 0.2)}, {"cheap": 1, "good": 9, "bad": 9}
    )
    verdicts = own([found], [list(found.models)], PLAN)
    assert verdicts["good"].gain > 10 * verdicts["good"].error > 0
    assert verdicts["bad"].gain <= verdicts["bad"].error
    assert "adds nothing" in verdicts["bad"].why


def test_transfer_pays_where_one_ability_explains_all_and_not_where_nothing_does() -> None:
    ability, ease = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([-2.0, 1.5])
    law = sigmoid(ease + ability[:, None])
    names = "abcd"
    lawful = pool(
        {m: tuple(row) for m, row in zip(names, law, strict=True)},
        dict(zip(names, (1, 2, 3, 4), strict=True)),
    )
    moved = transferred([lawful], PLAN)
    assert (moved.pays, moved.models, moved.pools) == (True, 4, ("mine",))

    # Each is good where others are bad, so what they say about a cluster is the opposite of the truth.
    odd = pool(
        {"a": (0.9, 0.1), "b": (0.1, 0.9), "c": (0.9, 0.1), "d": (0.1, 0.9)}, dict.fromkeys(names, 1.0)
    )
    assert transferred([odd], PLAN).gain < moved.gain


def test_two_models_cannot_show_it() -> None:
    found = transferred([pool({"a": (0.9, 0.1), "b": (0.1, 0.9)}, {"a": 1.0, "b": 1.0})], PLAN)
    assert (found.gain, found.pays, found.models) == (None, False, 0)


def test_only_what_may_be_used_makes_a_pool() -> None:
    count = 120
    prompts = tuple(
        Prompt(f"{s}{n}", s, "", "", n % 6 > 0, False)
        for s in ("mine", "closed", "graded")
        for n in range(count)
    )
    scores = {
        source: {model: {start + n: (n % 2, 0.0) for n in range(count)} for model in ("elm", "fir")}
        | {"rare": {start + 1: (1.0, 0.0)}}
        for source, start in (("mine", 0), ("closed", count), ("graded", 2 * count))
    }
    data = Data(prompts, scores, {}, {})
    plan = Plan("test", {"closed": Source(ship=False), "graded": Source(difficulty="none")}, {}, {})
    names = {(source, model): model for source in scores for model in ("elm", "fir", "rare")}
    (found,) = pools(
        data,
        plan,
        np.eye(len(prompts), dtype=np.float32),
        np.zeros((len(prompts), 1), dtype=np.intp),
        1,
        names,
        {"elm": 1.0, "fir": 2.0, "rare": 3.0},
    )
    assert (found.source, found.models, len(found.quality)) == ("mine", ("elm", "fir"), 100)


def test_costs_say_where_prompts_are_long() -> None:
    """In cluster 1 all costs three times as much as in cluster 0; a model without costs says nothing."""
    count = 4000
    prompts = tuple(Prompt(str(n), "mine", "", "", True, False) for n in range(count))
    cluster = np.arange(count) % 2
    costs = {"elm": 1.0, "fir": 5.0}
    scores = {m: {n: (1.0, usd * (1 + 2 * cluster[n])) for n in range(count)} for m, usd in costs.items()}
    scores["oak"] = dict.fromkeys(range(count), (1.0, np.nan))
    data = Data(prompts, {"mine": scores}, {}, {})
    plan = Plan("test", {}, {m: {"pool": {"mine": m}} for m in scores}, {})
    found = np.asarray(lengths(data, plan, ["elm", "fir", "oak"], cluster, 2))
    assert np.allclose(found, [0.5, 1.5], atol=0.02)
    assert lengths(data, plan, ["elm", "oak"], cluster, 2) == 1.0
