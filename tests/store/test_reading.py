"""Look-ups and sums: unknown costs are counted, never taken for zero."""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from pathlib import Path

import pytest

from pointsman.errors import StoreError
from pointsman.store import Reader, Store
from pointsman.values import CredentialKind, Decision, Outcome, TurnKind, Usage

NOON = datetime.datetime(2026, 11, 20, 12).astimezone().timestamp()
DAY = 86_400.0
PLAIN = Decision(
    id="d",
    at=NOON,
    surface="anthropic",
    endpoint="generate",
    client="claude-code",
    turn=TurnKind.MAIN,
    session="s1",
    credential_kind=CredentialKind.API_KEY,
    credential_fingerprint="f1",
    requested_model="big",
    served_model="small",
    previous_model=None,
    provider="anthropic",
    host="api.anthropic.com",
    stream=True,
    strategy="cluster",
    reason="cluster",
    session_hint="hint",
)
ROWS: list[tuple[dict[str, object], Outcome | None]] = [
    ({"id": "ab1"}, Outcome(status=200, usage=Usage(100, 10), cost_usd=1.0, requested_cost_usd=3.0)),
    ({"id": "ab2", "at": NOON + 1}, Outcome(status=200, usage=Usage(200, 20, 7), requested_cost_usd=5.0)),
    (
        {"id": "b1", "at": NOON + DAY, "served_model": "big"},
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


def test_totals_of_everything(path: Path) -> None:
    with Reader(path) as reader:
        (totals,) = reader.totals()
    assert (totals.actions, totals.answered, totals.failed) == (5, 3, 1)
    assert totals.usage == Usage(600, 60, 7, None, None)
    assert (totals.cost_usd, totals.unknown_cost) == (3.0, 1)
    assert (totals.requested_cost_usd, totals.unknown_requested_cost) == (10.0, 0)
    assert (totals.compared_cost_usd, totals.compared_requested_cost_usd) == (3.0, 5.0)


def test_totals_by_model_and_by_day(path: Path) -> None:
    with Reader(path) as reader:
        by_model = {group.group: (group.actions, group.cost_usd) for group in reader.totals(by="model")}
        by_day = {group.group: (group.actions, group.cost_usd) for group in reader.totals(by="day")}
    assert by_model == {"small": (4, 1.0), "big": (1, 2.0)}
    assert by_day == {"2026-11-20": (2, 1.0), "2026-11-21": (2, 2.0), "2026-11-22": (1, None)}


def test_a_period_takes_its_beginning_and_not_its_end(path: Path) -> None:
    with Reader(path) as reader:
        assert [group.actions for group in reader.totals(since=NOON + 1, until=NOON + DAY)] == [1]
        assert reader.totals(since=NOON + 9 * DAY) == []


def test_spends_by_pair_of_models(path: Path) -> None:
    with Reader(path) as reader:
        spends = reader.spends()
    assert [(row.requested_model, row.served_model, row.actions, row.unknown_cost) for row in spends] == [
        ("big", "small", 2, 1),
        ("big", "big", 1, 0),
    ]
    assert spends[0].usage == Usage(300, 30, 7)


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
