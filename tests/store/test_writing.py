"""What the store acknowledges is there; what it cannot write it says, and it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from pointsman.errors import StoreError
from pointsman.store import Reader, Store
from pointsman.store.decisions import CLASSIFICATION_COLUMNS, UNSTORED
from pointsman.values import (
    Adaptation,
    Candidate,
    Classification,
    Decision,
    Outcome,
    TurnKind,
    Usage,
)
from samples import DECISION

PLAIN = DECISION

FULL = dataclasses.replace(
    PLAIN,
    id="d-full",
    previous_model="claude-opus-4-8",
    session_hint="0123456789abcdef",
    detail="why",
    route="code",
    bundle="v2",
    knobs={"alpha": [0.25, 0.5], "per_model_verbosity": True},
    knobs_hash="aa55",
    clusters=((3, 0.75), (1, 0.5)),
    candidates=(Candidate("a", score=0.5, quality=0.25), Candidate("b", excluded="context window")),
    runner_up="a",
    margin=0.125,
    propensity=0.5,
    adaptations=(Adaptation("thinking", "map", '{"type":"enabled"}', '{"type":"adaptive"}', "thinking"),),
    warnings=("knob refused",),
    stripped=2,
    marker="text",
    tool_loop=True,
    retry_count=1,
    message_count=7,
    input_tokens_estimate=1234,
    max_tokens=4096,
    request_bytes=99999,
    decide_ms=0.5,
    embed_ms=7.5,
    prompt="only if asked for",
    embedding=np.ones(4, "<f4").tobytes(),
    classification=Classification(
        category="Frontend",
        tier="kimi-k2.6",
        classifier="minimax-m2.7",
        reason="vision",
        raw="Frontend.",
        vision_fallback=True,
        ms=412.5,
        input_tokens=310,
        output_tokens=4,
        cost_usd=0.0001,
    ),
)

ANSWER = Outcome(
    status=200,
    message_id="msg_1",
    request_id="req_1",
    answered_model="claude-sonnet-5",
    stop_reason="end_turn",
    usage=Usage(10, 20, 30, 40, 50),
    cost_usd=0.25,
    requested_cost_usd=0.5,
    ttfb_ms=100.0,
    total_ms=200.0,
    error=None,
    complete=True,
    retried="temperature",
    attempts='[{"provider": "moonshot", "status": 503, "error": "busy", "ms": 12.5}]',
    fallback_from="moonshot",
    upstream_provider="openrouter",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pointsman.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path, busy_timeout_s=0.2)
    yield opened
    opened.close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process in the middle of a write."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def wait(*futures: Future[None]) -> None:
    for future in futures:
        future.result(timeout=10)


def test_a_decision_and_its_outcome_come_back_as_they_were(store: Store, path: Path) -> None:
    wait(store.record(FULL), store.update("d-full", ANSWER))
    with Reader(path) as reader:
        record = reader.get("d-full")
    assert record is not None
    assert record.decision == FULL
    assert record.outcome == ANSWER


def test_a_decision_without_an_outcome_has_none(store: Store, path: Path) -> None:
    wait(store.record(PLAIN))
    with Reader(path) as reader:
        record = reader.get("d1")
    assert record is not None
    assert (record.decision, record.outcome) == (PLAIN, Outcome())


def test_later_updates_leave_what_they_do_not_know(store: Store, path: Path) -> None:
    wait(
        store.record(PLAIN),
        store.update("d1", Outcome(status=200, usage=Usage(input_tokens=10, cache_read_tokens=0))),
        store.update("d1", Outcome(usage=Usage(output_tokens=5), complete=False)),
    )
    with Reader(path) as reader:
        record = reader.get("d1")
    assert record is not None
    assert record.outcome == Outcome(status=200, usage=Usage(10, 5, 0), complete=False)


def test_every_field_of_the_values_is_a_column(store: Store, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(decisions)")}
    decision = {field.name for field in dataclasses.fields(Decision)} - {"classification"} - UNSTORED
    assert len(CLASSIFICATION_COLUMNS) == len(dataclasses.fields(Classification))
    outcome = {field.name for field in dataclasses.fields(Outcome)} - {"usage"}
    usage = {field.name for field in dataclasses.fields(Usage)}
    assert columns == decision | outcome | usage | set(CLASSIFICATION_COLUMNS)


def test_outcome_of_an_unknown_decision_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="decision nowhere is not in the database"):
        wait(store.update("nowhere", ANSWER))


def test_one_bad_row_does_not_take_its_batch_with_it(store: Store, path: Path) -> None:
    with locked(path):  # so that all of them are queued when the writer comes to write
        first = store.record(dataclasses.replace(PLAIN, id="early"))
        good = [store.record(dataclasses.replace(PLAIN, id=f"g{index}")) for index in range(3)]
        twice = store.record(dataclasses.replace(PLAIN, id="g1"))
        last = store.record(dataclasses.replace(PLAIN, id="late"))
    wait(first, *good, last)
    with pytest.raises(StoreError, match="cannot take this row"):
        wait(twice)
    with Reader(path) as reader:
        assert len(list(reader.actions())) == 5


@pytest.mark.parametrize(
    "odd",
    [
        dataclasses.replace(PLAIN, requested_model="lone \ud800 surrogate", served_model="x\udfff"),
        dataclasses.replace(PLAIN, max_tokens=10**40),
        dataclasses.replace(PLAIN, knobs={"\ud800": 10**40, "x": float("inf")}),
        dataclasses.replace(PLAIN, margin=np.float32(0.5), clusters=((np.int64(1), np.float32(0.5)),)),
        dataclasses.replace(PLAIN, detail="nul \0 inside", margin=float("nan")),
    ],
    ids=["surrogate", "long integer", "odd knobs", "numpy", "nul and nan"],
)
def test_values_that_sqlite_cannot_hold_do_not_cost_the_row(store: Store, path: Path, odd: Decision) -> None:
    wait(store.record(odd), store.update("d1", Outcome(error="\udc80")))
    with Reader(path) as reader:
        record = reader.get("d1")
    assert record is not None
    assert record.outcome.error == "\\udc80"


def test_a_caller_that_goes_away_does_not_take_the_row_with_it(store: Store, path: Path) -> None:
    async def leave() -> None:
        task = asyncio.ensure_future(asyncio.wrap_future(store.record(PLAIN)))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    store.close()
    with Reader(path) as reader:
        assert reader.get("d1") is not None


def test_close_writes_what_is_queued_and_refuses_the_rest(path: Path) -> None:
    store = Store(path)
    futures = [store.record(dataclasses.replace(PLAIN, id=f"d{index}")) for index in range(700)]
    store.close()
    store.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(StoreError, match="already closed"):
        wait(store.record(PLAIN))


def test_the_queue_is_bounded(path: Path) -> None:
    store = Store(path, busy_timeout_s=5, queue_limit=3)
    with locked(path):
        futures = [store.record(dataclasses.replace(PLAIN, id=f"d{index}")) for index in range(600)]
        refused = [future for future in futures if future.done()]
        assert refused
        with pytest.raises(StoreError, match="3 writes are waiting"):
            wait(refused[0])
    store.close()
    assert sum(future.exception() is None for future in futures) == len(futures) - len(refused)


def test_a_locked_database_fails_the_write_and_works_again(store: Store, path: Path) -> None:
    with locked(path), pytest.raises(StoreError, match="locked by another process"):
        wait(store.record(PLAIN))
    wait(store.record(PLAIN))


def test_a_store_has_caught_up_with_its_next_commit(store: Store, path: Path) -> None:
    store.behind = True
    with locked(path), pytest.raises(StoreError):
        wait(store.record(PLAIN))
    assert store.behind
    wait(store.record(PLAIN))
    assert not store.behind


def test_a_full_disk_fails_the_write_and_works_again(store: Store, path: Path) -> None:
    big = "x" * 400_000
    limited = store._submit(lambda connection: connection.execute("PRAGMA max_page_count = 40") and None)
    limited.exception(timeout=10)
    with pytest.raises(StoreError, match="the disk is full; free some space"):
        wait(store.record(dataclasses.replace(PLAIN, prompt=big)))
    wait(store.record(dataclasses.replace(PLAIN, id="small")))
    store._submit(lambda connection: connection.execute("PRAGMA max_page_count = 100000") and None)
    wait(store.record(dataclasses.replace(PLAIN, prompt=big)))
    with Reader(path) as reader:
        assert len(list(reader.actions())) == 2


def test_a_removed_database_is_made_anew(store: Store, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    salt = store.salt()
    wait(store.record(PLAIN))
    for file in path.parent.glob("pointsman.db*"):
        file.unlink()
    wait(store.record(dataclasses.replace(PLAIN, id="d2")))
    assert [line.message for line in caplog.records] == [
        f"database {path} was removed or replaced; opening it anew"
    ]
    with Reader(path) as reader:
        assert len(list(reader.actions())) == 1
    assert store.salt() == salt
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone() == (salt,)


def test_a_removed_directory_fails_writes_until_it_is_back(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    store = Store(directory / "pointsman.db")
    moved = directory.rename(tmp_path / "moved")
    for _ in range(2):
        with pytest.raises(StoreError, match="there is no directory"):
            wait(store.record(PLAIN))
    moved.rename(directory)
    wait(store.record(PLAIN))
    store.close()


def test_file_is_for_its_owner_only(path: Path) -> None:
    path.touch(mode=0o644)
    store = Store(path)
    wait(store.record(PLAIN))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("pointsman.db*")}
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}
    store.close()


def test_several_writers_share_a_file_and_lose_nothing(path: Path) -> None:
    stores: list[Store] = []
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            store = Store(path, busy_timeout_s=10)
            stores.append(store)
            for index in range(100):
                decision = dataclasses.replace(PLAIN, id=f"{name}-{index}")
                wait(store.record(decision), store.update(decision.id, ANSWER))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"w{index}",)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert failures == []
    with Reader(path) as reader:
        actions = list(reader.actions())
        (session,) = reader.sessions(limit=10, since=0)
    assert [action.answered for action in actions] == [True] * 300
    assert len({store.salt() for store in stores}) == 1
    assert session.key == "s1"


def test_a_model_that_did_not_serve_does_not_hold_the_conversation(path: Path) -> None:
    store = Store(path)
    wait(store.record(PLAIN, served=False))
    store.close()
    with Reader(path) as reader:
        assert reader.last() is not None
        assert reader.sessions(limit=10, since=0) == []


def test_sessions_survive_a_restart_newest_first(path: Path) -> None:
    store = Store(path)
    now = time.time()
    for index in range(5):
        wait(store.record(dataclasses.replace(PLAIN, id=f"d{index}", session=f"s{index}", at=now + index)))
    later = dataclasses.replace(PLAIN, id="again", session="s0", served_model="claude-haiku-4-5", at=now + 9)
    late = dataclasses.replace(PLAIN, id="late", session="s0", served_model="overtaken", at=now - 9)
    title = dataclasses.replace(PLAIN, id="title", session="s1", turn=TurnKind.TITLE, at=now + 10)
    count = dataclasses.replace(PLAIN, id="count", session="s1", endpoint="count_tokens", at=now + 11)
    wait(*(store.record(decision) for decision in (later, late, title, count)))
    store.close()
    reopened = Store(path)
    rows = reopened.load_sessions(limit=3, since=0)
    assert [(row.key, row.model) for row in rows] == [
        ("s0", "claude-haiku-4-5"),
        ("s4", "claude-sonnet-5"),
        ("s3", "claude-sonnet-5"),
    ]
    assert [row.key for row in reopened.load_sessions(limit=99, since=now + 3)] == ["s0", "s4", "s3"]
    reopened.close()


def test_answers_survive_a_restart_newest_first(path: Path) -> None:
    store = Store(path)
    now = time.time()
    for index in range(4):
        decision = dataclasses.replace(PLAIN, id=f"d{index}", session=f"s{index % 2}", at=now + index)
        wait(store.record(decision))
        if index != 1:
            wait(store.update(f"d{index}", Outcome(message_id=f"resp_{index}")))
    store.close()
    reopened = Store(path)
    rows = reopened.load_answers(limit=2, since=0)
    assert [(row.message_id, row.session) for row in rows] == [("resp_3", "s1"), ("resp_2", "s0")]
    assert (rows[0].credential_fingerprint, rows[0].host) == (PLAIN.credential_fingerprint, PLAIN.host)
    assert [row.message_id for row in reopened.load_answers(limit=9, since=now + 2)] == ["resp_3", "resp_2"]
    reopened.close()


def test_salt_is_made_once(path: Path) -> None:
    stores = [Store(path), Store(path), Store(path.with_name("other.db"))]
    first, second, other = (store.salt() for store in stores)
    for store in stores:
        store.close()
    assert len(first) == 32
    assert first == second != other


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count descriptors")
def test_no_descriptor_is_left_behind(path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for index in range(3):
        store = Store(path)
        wait(store.record(dataclasses.replace(PLAIN, id=f"d{index}")))
        store.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
