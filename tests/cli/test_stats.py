"""The sums of `pointsman stats`: what is unknown is counted, never free."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pointsman.catalogue import Catalogue
from pointsman.cli.main import main
from pointsman.cli.stats import usd
from pointsman.savings import best_single, summarise
from pointsman.store import Expected, Spent, Store
from pointsman.values import Candidate, Classification, Model, Outcome, Prices, Usage
from samples import DECISION

NOON = datetime.datetime(2026, 11, 20, 12).astimezone().timestamp()

# Prices per million: a million tokens in and none out cost what `input` says.
MODELS = Catalogue.of(
    [
        Model("big", "p", Prices(input=10.0, output=50.0), token_factor=1.3),
        Model("middle", "p", Prices(input=4.0, output=20.0), token_factor=1.0),
        Model("small", "p", Prices(input=1.0, output=5.0), token_factor=1.0),
        Model("priceless", "p"),
    ]
)


def spent(served: str, cost: float | None, requested_cost: float | None, **changes: object) -> Spent:
    plain = Spent(
        at=NOON,
        provider="p",
        strategy="cluster",
        requested_model="big",
        served_model=served,
        usage=Usage(1_000_000, 0),
        cost_usd=cost,
        requested_cost_usd=requested_cost,
        failed=False,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def expected(model: str, quality: float, allowed: int = 1, served: str = "small") -> Expected:
    return Expected("p", "big", served, model, 1, allowed, quality)


def test_the_best_single_model_is_the_one_of_highest_expected_quality_that_could_ever_serve() -> None:
    rows = [
        expected("never", 0.99, allowed=0),
        expected("big", 0.5),
        expected("middle", 0.9, allowed=0),
        expected("middle", 0.7),
        expected("small", 0.6),
    ]
    assert best_single(rows) == {"p": "middle"}
    assert best_single([expected("b", 0.5), expected("a", 0.5)]) == {"p": "a"}
    assert best_single([]) == {}


def test_alternatives_are_priced_for_the_same_text() -> None:
    savings = summarise([spent("small", 1.0, 13.0)], [expected("big", 0.9), expected("small", 0.8)], MODELS)
    # The big model's tokenizer makes 1.3 tokens of each of the small one's.
    assert savings.total.best.cost.usd == pytest.approx(13.0)
    assert savings.total.best.saved_usd == pytest.approx(12.0)
    assert savings.total.requested.saved_share == pytest.approx(12 / 13)
    assert (savings.quality.served, savings.quality.requested, savings.quality.best) == (0.8, 0.9, 0.9)


def test_what_is_passed_through_costs_the_same_either_way() -> None:
    savings = summarise([spent("big", 10.0, 10.0, strategy="passthrough")], [expected("small", 0.9)], MODELS)
    assert savings.total.best.cost.usd == 10.0
    assert savings.total.best.saved_usd == 0.0


def test_a_repeated_answer_costs_nothing_and_saves_what_it_would_have_cost() -> None:
    repeated = spent("small", 0.0, 13.0, usage=Usage(0, 0, 0, 0, 0), repeated=True)
    savings = summarise([spent("small", 1.0, 13.0), repeated], [expected("big", 0.9)], MODELS)
    total = savings.total
    assert (total.answered, total.repeated, total.input_tokens) == (2, 1, 1_000_000)
    assert (total.cost.usd, total.requested.saved_usd) == (1.0, 25.0)
    assert total.repeats.saved_usd == 13.0
    assert total.best.cost.usd == pytest.approx(13.0)


def test_unknown_costs_are_counted_and_compared_with_nothing() -> None:
    actions = [
        spent("small", 1.0, 13.0),
        spent("priceless", None, 10.0),
        spent("unheard-of", None, None),
        spent("small", 1.0, None, requested_model="unheard-of"),
        spent("small", None, None, usage=Usage(), failed=True),
    ]
    total = summarise(actions, [expected("middle", 0.9)], MODELS).total
    assert (total.actions, total.answered, total.failed) == (5, 4, 1)
    assert (total.cost.usd, total.cost.known, total.cost.unknown) == (2.0, 2, 2)
    assert (total.requested.cost.usd, total.requested.cost.unknown) == (23.0, 2)
    assert (total.requested.both, total.requested.saved_usd) == (1, 12.0)
    assert (total.best.cost.usd, total.best.cost.unknown, total.best.both) == (12.0, 1, 2)


def test_nothing_scored_means_no_best_single_model() -> None:
    savings = summarise([spent("small", 1.0, 13.0)], [], MODELS)
    assert savings.best == {}
    assert (savings.total.best.cost.known, savings.total.best.saved_usd) == (0, None)
    assert savings.quality.served is None


def test_groups_by_model_and_by_day() -> None:
    actions = [
        spent("small", 1.0, 13.0),
        spent("middle", 4.0, 13.0, at=NOON + 86_400),
        spent("middle", 4.0, 13.0, at=NOON + 86_400),
    ]
    by_model = summarise(actions, [], MODELS, "model").groups
    by_day = summarise(actions, [], MODELS, "day").groups
    assert [(group.name, group.cost.usd) for group in by_model] == [("middle", 8.0), ("small", 1.0)]
    assert [(group.name, group.actions) for group in by_day] == [("2026-11-20", 1), ("2026-11-21", 2)]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.99951, "$1.00"),
        (0.5, "$0.500"),
        (0.0123, "$0.0123"),
        (0.002152, "$0.00215"),
        (0.00042, "$0.00042"),
        (1e-9, "<$0.00001"),
    ],
)
def test_amounts(amount: float, text: str) -> None:
    assert usd(amount) == text


# --- the command --------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "pointsman.sqlite"
    store = Store(path)
    decision = dataclasses.replace(
        DECISION,
        id="one",
        at=NOON,
        session="s",
        candidates=(
            Candidate("claude-opus-4-8", score=0.4, quality=0.9),
            Candidate("claude-sonnet-5", score=0.5, quality=0.8),
        ),
    )
    usage = Usage(1_000_000, 100_000)
    outcome = Outcome(status=200, usage=usage, cost_usd=3.0, requested_cost_usd=7.5)
    strange = dataclasses.replace(
        decision, id="two", strategy="passthrough", requested_model="x-9", served_model="x-9", candidates=()
    )
    for future in (
        store.record(decision),
        store.update("one", outcome),
        store.record(strange),
        store.update("two", Outcome(status=200, usage=usage)),
    ):
        future.result()
    store.close()
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["stats", *arguments], env={"COLUMNS": "80"})


def test_tables_fit_80_columns_and_say_what_is_unknown(database: Path) -> None:
    result = run("--db", str(database))
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.output.splitlines()) <= 80
    text = " ".join(result.output.split())
    assert "2 actions, 2 answered" in text
    assert "x-9 1 1.0M 0% 100.0k unknown unknown unknown" in text
    assert (
        "Had everything gone to the requested model: $7.50 instead of $3.00: routing saved $4.50 (60%)"
        in text
    )
    assert "the best single model (claude-opus-4-8): $7.50 instead of $3.00" in text
    assert "1 answered action without a cost, or without one to compare it with, in no saving: x-9 1." in text
    assert "served 0.800, requested 0.900, best single 0.900" in text


def test_what_the_cache_saved(database: Path) -> None:
    store = Store(database)
    store.record(dataclasses.replace(DECISION, id="three", at=NOON, cache="hit")).result()
    nothing = Usage(0, 0, 0, 0, 0)
    store.update("three", Outcome(status=200, usage=nothing, cost_usd=0.0, requested_cost_usd=2.5)).result()
    store.close()
    text = " ".join(run("--db", str(database)).output.split())
    assert "Of this saving $2.50 is the cache's: 1 answer came from it, without a token." in text
    assert "$10.00 instead of $3.00: routing saved $7.00" in text
    figures = json.loads(run("--db", str(database), "--json").output)
    assert (figures["total"]["repeated"], figures["total"]["repeated_saved_usd"]) == (1, 2.5)


def test_what_classifiers_cost_is_told_apart(database: Path) -> None:
    store = Store(database)
    asked = Classification("Frontend", "small", "small", ms=400.0, output_tokens=4, cost_usd=0.002)
    remembered = dataclasses.replace(asked, ms=None, output_tokens=None, cost_usd=None)
    timed_out = dataclasses.replace(remembered, category="", reason="timeout", ms=8000.0)
    for id, found in (("c1", asked), ("c2", remembered), ("c3", timed_out), ("c4", asked)):
        store.record(dataclasses.replace(DECISION, id=id, at=NOON, classification=found)).result()
    store.close()
    text = " ".join(run("--db", str(database)).output.split())
    assert (
        "Classifying 3 conversations (1 of unknown cost) cost $0.00400, which is in no other figure." in text
    )
    figures = json.loads(run("--db", str(database), "--json").output)["total"]
    assert figures["classifying"] == {"usd": 0.004, "unknown_actions": 1}
    assert figures["cost"]["usd"] == 3.0


def test_json(database: Path) -> None:
    figures = json.loads(run("--db", str(database), "--by", "day", "--json").output)
    assert figures["total"]["cost"] == {"usd": 3.0, "unknown_actions": 1}
    assert figures["total"]["requested"]["saved_usd"] == 4.5
    assert figures["best_single_model"] == {"anthropic": "claude-opus-4-8"}
    assert [group["day"] for group in figures["by_day"]] == ["2026-11-20"]


def test_no_actions_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    Store(path).close()
    assert run("--db", str(path)).output == f"No actions yet in {path}.\n"


def test_a_period_without_actions(database: Path) -> None:
    assert run("--db", str(database), "--since", "2099-01-01").output == "No actions in this period.\n"
    assert json.loads(run("--db", str(database), "--until", "2001-01-01", "--json").output)["total"][
        "cost"
    ] == {
        "usd": None,
        "unknown_actions": 0,
    }


@pytest.mark.parametrize("since", ["soon", "7", "7y", "2026-13-01"])
def test_a_period_that_is_none(database: Path, since: str) -> None:
    result = run("--db", str(database), "--since", since)
    assert result.exit_code == 2
    assert "neither an age (7d, 12h, 30m, 2w) nor a date" in result.output


def test_no_database(tmp_path: Path) -> None:
    result = run("--db", str(tmp_path / "none.sqlite"))
    assert result.exit_code == 1
    assert "does not exist; it is created when the proxy starts" in " ".join(result.output.split())
