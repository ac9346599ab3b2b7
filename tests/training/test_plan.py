from __future__ import annotations

from pathlib import Path

import pytest
from pointsman.errors import DataError
from pointsman.training import plan as plans
from pointsman.training.data import Data, Prompt
from pointsman.training.plan import Plan, Source


def read(folder: Path, text: str) -> Plan:
    (folder / "recipe.yaml").write_text(text)
    return plans.read(folder / "recipe.yaml")


def test_what_a_recipe_leaves_out_has_a_default(tmp_path: Path) -> None:
    plan = read(tmp_path, "sources: {a: {weight: 3}}\nk: 5\nmodels: {elm: }")
    assert plan.source("a") == Source(weight=3)
    assert plan.source("unknown") == Source()
    assert (plan.k, plan.top_p, plan.money, plan.models) == (5, 1, 0.15, {"elm": {}})


def test_the_shipped_recipe_is_one(tmp_path: Path) -> None:
    plan = plans.read()
    assert plan.source("bfcl").ship is False
    assert plan.source("mbpp") == Source(weight=6, difficulty=("llmrouter", "mbpp"))
    assert plan.anchor == "mmlu_pro"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not readable as YAML"),
        ("- a", "must be a mapping"),
        ("moneys: 1", "moneys: unknown; there are"),
        ("k: 0", "k: must be a whole number of at least 1, not 0"),
        ("seed: -1", "seed: must be a whole number of at least 0"),
        ("money: x", "money: must be a number of at least 0, not 'x'"),
        ("models: []", "models: must be a mapping"),
        ("sources: {a: 3}", "sources: a: must be a mapping"),
        ("sources: {a: {wieght: 3}}", "sources: a: unknown member wieght"),
        ("sources: {a: {difficulty: 3}}", "sources: a: difficulty: must be own, none, a source"),
        ("sizes: [[a]]", "sizes: must be a list of pairs"),
    ],
)
def test_a_wrong_recipe_says_where(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'recipe.yaml'}: ")
    assert message in str(caught.value)


DATA = Data(
    (Prompt("1", "mine", "", "", True, False),),
    {"mine": {"elm": {0: (1.0, 0.0)}, "fir": {0: (0.0, 0.0)}}},
    {},
    {
        ("board", "elm"): 0.5,
        ("board", "oak"): 0.7,
        ("board", "ash"): 0.9,
        ("other", "ash"): 0.8,
        ("board", "yew"): 0.1,
    },
)


def test_a_recipe_can_be_made_from_any_data() -> None:
    plan = plans.made(DATA, {"elm", "oak", "nobody"})
    assert set(plan.models) == {"elm", "oak"}
    assert plan.evidence["elm"] == {"pool": {"mine": "elm"}, "board": ["elm"]}
    assert set(plan.evidence) == {"elm", "fir", "oak", "ash"}, "ash ties two boards, yew ties nothing"
    assert plan.anchor == "mine"


def test_what_a_recipe_lacks_is_named() -> None:
    plan = Plan(
        "test",
        {"mine": Source(), "yours": Source()},
        {"elm": {"pool": {"mine": "elm", "yours": "elm"}, "board": ["elm", "elm (low)"]}},
        {},
    )
    assert plans.lacks(plan, DATA) == [
        "prompts of the source yours",
        "scores of elm on yours (the evidence of elm)",
        "a row of elm (low) on board (the evidence of elm)",
    ]


@pytest.mark.parametrize(("prompts", "k", "near"), [(10, 2, 1), (900, 9, 2), (100_000, 64, 2)])
def test_clusters_grow_with_the_prompts(prompts: int, k: int, near: int) -> None:
    plan = Plan("test", {}, {}, {}, top_p=2)
    assert plan.clusters(prompts) == k
    assert plan.nearest(k) == near
