"""Rollouts and the history database, shaped like those of Codex 0.169.0."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pointsman import transcripts
from pointsman.transcripts import codex
from pointsman.wire import marker

MARK = marker.make("gpt-6-luna", "best for this kind of prompt")
THREAD = "01a1fd8e-31ef-7750-8f4b-3cf81dce6ded"


def line(ordinal: int, kind: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"timestamp": "2026-11-21T10:01:57.065Z", "ordinal": ordinal}
    return {**head, "type": kind, "payload": payload, **more}


def said(ordinal: int, text: str, name: str = "msg_1") -> list[dict[str, Any]]:
    """What Codex writes for one message of a model: as it was shown, and as it is sent."""
    shown = {"type": "AgentMessage", "id": name, "content": [{"type": "Text", "text": text}]}
    item = {
        "type": "message",
        "status": "completed",
        "id": name,
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    sequence = {"history_sequence": ordinal, "retained_source": {"id": {"message_id": name}}}
    return [
        line(ordinal, "event_msg", {"type": "item_completed", "thread_id": THREAD, "item": shown}),
        line(ordinal + 1, "response_item", item, metadata=sequence),
    ]


def other(ordinal: int) -> dict[str, Any]:
    return line(ordinal, "response_item", {"type": "other"})


def asked(ordinal: int, text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return line(ordinal, "response_item", {"type": "message", "role": "user", "content": content})


def done(ordinal: int, text: str | None) -> dict[str, Any]:
    return line(ordinal, "event_msg", {"type": "task_complete", "turn_id": "t", "last_agent_message": text})


def rollout(*lines: dict[str, Any]) -> bytes:
    return "".join(
        json.dumps(each, separators=(",", ":"), ensure_ascii=False) + "\n" for each in lines
    ).encode()


META = line(0, "session_meta", {"id": THREAD, "base_instructions": {"text": "Be brief."}})
CALL = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "exec", "input": MARK}
ITEM = said(0, MARK)[1]["payload"]

CASES = {
    "a message of its own": (
        [*said(1, MARK, "msg_pointsman_1"), *said(3, "Hi.")],
        [other(1), other(2), *said(3, "Hi.")],
        2,
    ),
    "before text": (
        [*said(1, MARK + "Hi."), done(3, MARK + "Hi.")],
        [*said(1, "Hi."), done(3, "Hi.")],
        3,
    ),
    "nothing else was said": ([*said(1, MARK), done(3, MARK)], [other(1), other(2), done(3, None)], 3),
    "as older versions show it": (
        [line(1, "event_msg", {"type": "agent_message", "message": MARK + "Hi."})],
        [line(1, "event_msg", {"type": "agent_message", "message": "Hi."})],
        1,
    ),
    "compacted": (
        [line(1, "compacted", {"message": MARK + "Sum.", "replacement_history": [ITEM, CALL]})],
        [line(1, "compacted", {"message": "Sum.", "replacement_history": [CALL]})],
        2,
    ),
    "a translated answer": (
        [
            line(1, "response_item", {"type": "reasoning", "id": "rs_pointsman_1_0", "summary": []}),
            line(2, "response_item", {**CALL, "id": "ctc_pointsman_1_1"}),
        ],
        [other(1), line(2, "response_item", {key: CALL[key] for key in CALL if key != "id"})],
        2,
    ),
    "what a tool was told by another agent": (
        [line(1, "response_item", {"type": "function_call_output", "call_id": "c", "output": MARK + "Hi."})],
        [line(1, "response_item", {"type": "function_call_output", "call_id": "c", "output": "Hi."})],
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_markers_go_and_every_line_keeps_its_length(name: str) -> None:
    marked, expected, count = CASES[name]
    cleaned, found = transcripts.clean(rollout(META, *marked))
    assert found == count
    assert [json.loads(each) for each in cleaned.splitlines()] == [META, *expected]
    assert [len(each) for each in cleaned.split(b"\n")] == [
        len(each) for each in rollout(META, *marked).split(b"\n")
    ]
    assert transcripts.clean(cleaned) == (cleaned, 0)


@pytest.mark.parametrize(
    "entry",
    [
        asked(1, MARK),
        line(1, "response_item", CALL),
        *said(1, f"You mean {MARK}?"),
        line(1, "event_msg", {"type": "user_message", "message": MARK}),
        line(1, "event_msg", {"type": "item_completed", "item": {"type": "UserMessage", "content": [MARK]}}),
        line(1, "event_msg", {"type": "item_completed", "item": MARK}),
        line(1, "world_state", {"state": MARK}),
        {"type": "response_item", "payload": MARK},
        {"type": ["response_item"], "payload": {"type": "message", "text": MARK}},
    ],
    ids=str,
)
def test_everything_else_stays(entry: dict[str, Any]) -> None:
    assert transcripts.clean(rollout(META, entry)) == (rollout(META, entry), 0)


# --- files --------------------------------------------------------------------------------

MARKED, CLEAN = rollout(META, *said(1, MARK + "Hi.")), rollout(META, *said(1, "Hi."))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".codex" / "sessions" / "2026" / "11" / "21"
    folder.mkdir(parents=True)
    (folder / f"rollout-2026-11-21T10-01-56-{THREAD}.jsonl").write_bytes(MARKED)
    (tmp_path / ".codex" / "thread-writer-locks").mkdir()
    return tmp_path / ".codex"


@pytest.fixture
def file(home: Path) -> Path:
    return next(home.rglob("rollout-*"))


def test_where_codex_keeps_them(home: Path, tmp_path: Path) -> None:
    database = home / "thread_history_1.sqlite"
    database.touch()
    assert codex.places({}, tmp_path) == [home / "sessions", home / "archived_sessions", database]
    elsewhere = {"CODEX_HOME": "/elsewhere", "CODEX_SQLITE_HOME": str(home)}
    assert codex.places(elsewhere, tmp_path)[0] == Path("/elsewhere/sessions")
    assert codex.places(elsewhere, tmp_path)[2] == database


def test_an_open_conversation_is_left_alone(home: Path, file: Path) -> None:
    lock = home / "thread-writer-locks" / f"{THREAD}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(transcripts.TranscriptBusy):
            transcripts.clean_file(file)
        assert transcripts.clean_file(file, dry_run=True) == 2
    assert file.read_bytes() == MARKED
    assert transcripts.clean_file(file) == 2
    assert json.loads(file.read_bytes().splitlines()[2]) == json.loads(CLEAN.splitlines()[2])


def test_a_compressed_one(file: Path) -> None:
    packed = file.with_name(file.name + ".zst")
    first, second = MARKED.splitlines(keepends=True)[:2], MARKED.splitlines(keepends=True)[2:]
    frames = [zstandard.ZstdCompressor().compress(b"".join(part)) for part in (first, second)]
    packed.write_bytes(b"".join(frames))
    broken = packed.with_name("rollout-broken.jsonl.zst")
    broken.write_bytes(packed.read_bytes() + zstandard.ZstdCompressor().compress(b"x" * 999)[:-9])
    file.unlink()
    assert {path: transcripts.clean_file(path) for path in transcripts.find(packed.parent)} == {
        packed: 2,
        broken: 0,
    }
    cleaned = zstandard.ZstdDecompressor().stream_reader(packed.read_bytes()).read()
    assert [json.loads(each) for each in cleaned.splitlines()] == [json.loads(e) for e in CLEAN.splitlines()]
    assert len(cleaned) == len(MARKED)


# --- the database -------------------------------------------------------------------------

SCHEMA = """
CREATE TABLE thread_turns (thread_id TEXT, turn_id TEXT, final_agent_item_id TEXT,
    rollout_byte_offset INTEGER, PRIMARY KEY (thread_id, turn_id));
CREATE TABLE thread_items (thread_id TEXT, turn_id TEXT, item_id TEXT, rollout_ordinal INTEGER,
    item_json TEXT, item_type TEXT, PRIMARY KEY (thread_id, turn_id, item_id));
"""


def shown(turn: str, item: str, ordinal: int, text: str, kind: str = "agentMessage") -> tuple[Any, ...]:
    data = {"type": kind, "id": item, "text": text, "phase": None}
    return THREAD, turn, item, ordinal, json.dumps(data, ensure_ascii=False), kind


@pytest.fixture
def database(home: Path) -> Iterator[Path]:
    path = home / "thread_history_1.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        rows = [
            shown("t1", "u1", 1, MARK, "userMessage"),
            shown("t1", "m1", 2, MARK),
            shown("t1", "a1", 3, MARK + "Hi."),
            shown("t2", "a2", 5, "Wait."),
            shown("t2", "m2", 6, MARK),
            shown("t2", "m3", 7, MARK),
            shown("t3", "m4", 9, MARK),
        ]
        connection.executemany("INSERT INTO thread_items VALUES (?, ?, ?, ?, ?, ?)", rows)
        turns = [(THREAD, "t1", "a1", 10), (THREAD, "t2", "m3", 20), (THREAD, "t3", "m4", 30)]
        connection.executemany("INSERT INTO thread_turns VALUES (?, ?, ?, ?)", turns)
        connection.commit()
    yield path


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_rows_of_markers_go_and_turns_end_with_what_was_said_before(database: Path) -> None:
    assert transcripts.clean_file(database) == 5
    texts = "SELECT item_id, json_extract(item_json, '$.text') FROM thread_items ORDER BY rollout_ordinal"
    assert rows(database, texts) == [("u1", MARK), ("a1", "Hi."), ("a2", "Wait.")]
    turns = "SELECT turn_id, final_agent_item_id, rollout_byte_offset FROM thread_turns ORDER BY turn_id"
    assert rows(database, turns) == [("t1", "a1", 10), ("t2", "a2", 20), ("t3", None, 30)]
    assert transcripts.clean_file(database) == 0
