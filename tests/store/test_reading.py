"""Look-ups and sums: unknown costs are counted, never taken for zero."""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from pathlib import Path

import pytest
from pointsman.errors import StoreError
from pointsman.store import Expected, Reader, Store
from pointsman.values import Candidate, Outcome, Usage
from samples import DECISION

NOON = datetime.datetime(2026, 11, 20, 12).astimezone().timestamp()
DAY = 86_400.0
PLAIN = dataclasses.replace(
    DECISION,
    id="d",
    at=NOON,
    requested_model="big",
    served_model="small",
    session_hint="hint",
)
BIG, SMALL = Candidate("big", quality=0.75, score=0.1), Candidate("small", quality=0.5, score=0.2)
OUT, UNSCORED = Candidate("small", excluded="context window", quality=0.5), Candidate("new")
ROWS: list[tuple[dict[str, object], Outcome | None]] = [
    (
        {"id": "ab1", "candidates": (BIG, SMALL)},
        Outcome(status=200, usage=Usage(100, 10), cost_usd=1.0, requested_cost_usd=3.0),
    ),
    (
        {"id": "ab2", "at": NOON + 1, "candidates": (BIG, OUT, UNSCORED)},
        Outcome(status=200, usage=Usage(200, 20, 7), requested_cost_usd=5.0),
    ),
    (
        {"id": "b1", "at": NOON + DAY, "served_model": "big", "candidates": (BIG,)},
        Outcome(status=200, usage=Usage(300, 30), cost_usd=2.0, requested_cost_usd=2.0),
    ),
    ({"id": "c1", "at": NOON + DAY, "session_hint": "other"}, Outcome(status=529, error="overloaded")),
    ({"id": "c2", "at": NOON + 2 * DAY}, None),
    ({"id": "z", "at": NOON + 3 * DAY, "endpoint": "count_tokens"}, Outcome(status=200)),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "pointsman.db"
    store = Store(path)
    for changes, outcome in ROWS:
        decision = dataclasses.replace(PLAIN, **changes)  # type: ignore[arg-type]
        store.record(decision).result()
        if outcome is not None:
            store.update(decision.id, outcome).result()
    store.close()
    return path


def test_last_is_the_newest_action(path: Path) -> None:
    with Reader(path) as reader:
        last = reader.last()
    assert last is not None
    assert last.decision.id == "c2"


def test_get_by_unique_prefix(path: Path) -> None:
    with Reader(path) as reader:
        found = [record and record.decision.id for record in map(reader.get, ("b", "ab1", "c2", "x", "%"))]
        assert found == ["b1", "ab1", "c2", None, None]
        with pytest.raises(StoreError, match="several decisions start with ab: ab1, ab2"):
            reader.get("ab")


def test_by_session_hint_newest_first(path: Path) -> None:
    with Reader(path) as reader:
        found = [record.decision.id for record in reader.by_session_hint("hint")]
    assert found == ["z", "c2", "b1", "ab2", "ab1"]


def test_actions_of_a_period_with_its_beginning_and_without_its_end(path: Path) -> None:
    with Reader(path) as reader:
        everything = list(reader.actions())
        some = list(reader.actions(since=NOON + 1, until=NOON + DAY))
        assert list(reader.actions(since=NOON + 9 * DAY)) == []
    assert [(row.served_model, row.answered, row.failed) for row in everything] == [
        ("small", True, False),
        ("small", True, False),
        ("big", True, False),
        ("small", False, True),
        ("small", False, False),
    ]
    assert [(row.usage, row.cost_usd, row.requested_cost_usd) for row in some] == [
        (Usage(200, 20, 7), None, 5.0)
    ]


def test_expectations_add_up_what_candidates_promised(path: Path) -> None:
    with Reader(path) as reader:
        found = reader.expectations()
    assert found == [
        Expected("anthropic", "big", "big", "big", actions=1, allowed=1, quality_sum=0.75),
        Expected("anthropic", "big", "small", "big", actions=2, allowed=2, quality_sum=1.5),
        Expected("anthropic", "big", "small", "small", actions=2, allowed=1, quality_sum=1.0),
    ]


def test_a_reader_cannot_write(path: Path) -> None:
    with Reader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM decisions")


def test_views_for_people(path: Path) -> None:
    connection = sqlite3.connect(path)
    newest = connection.execute("SELECT id FROM recent LIMIT 1").fetchone()
    days = connection.execute("SELECT sum(actions), sum(unknown_costs) FROM by_day").fetchone()
    connection.close()
    assert newest == ("z",)
    assert days == (5, 1)
