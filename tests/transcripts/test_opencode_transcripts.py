"""The database, shaped like that of opencode 1.18.33."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pointsman import transcripts
from pointsman.transcripts import opencode
from pointsman.wire import marker

MARK = marker.make("claude-haiku-4-5", "best for this kind of prompt")
SESSION = "ses_e0271b891ffe"
SCHEMA = """
CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT NOT NULL, session_id TEXT NOT NULL,
    data TEXT NOT NULL, FOREIGN KEY (message_id) REFERENCES message (id) ON DELETE CASCADE);
CREATE TABLE event (id TEXT PRIMARY KEY, aggregate_id TEXT NOT NULL, seq INTEGER NOT NULL,
    type TEXT NOT NULL, data TEXT NOT NULL);
"""


def dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def task(result: str) -> dict[str, Any]:
    output = f'<task id="ses_1" state="completed">\n<task_result>\n{result}\n</task_result>\n</task>'
    return {"type": "tool", "tool": "task", "callID": "call_1", "state": {"status": "done", "output": output}}


def bash(output: str) -> dict[str, Any]:
    return {"type": "tool", "tool": "bash", "callID": "call_2", "state": {"status": "done", "output": output}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "time": {"start": 1795255323859, "end": 1795255323862}}


# Messages: who speaks, and the parts with what is left of each; None: the part goes.
SAID: dict[str, tuple[str, list[tuple[dict[str, Any], dict[str, Any] | None]]]] = {
    "msg_1": ("user", [(text(MARK), text(MARK))]),
    "msg_2": (
        "assistant",
        [
            ({"type": "step-start"}, {"type": "step-start"}),
            (text(MARK), None),
            (text("Looking."), text("Looking.")),
            (bash(MARK + "x"), bash(MARK + "x")),
            (task(MARK + "Found."), task("Found.")),
            (task("It said " + MARK), task("It said " + MARK)),
        ],
    ),
    "msg_3": ("assistant", [(text(MARK + "At 09:12."), text("At 09:12."))]),
    "msg_4": ("assistant", [(text("\n" + MARK + "\nAt 09:40."), text("\n\nAt 09:40."))]),
}


def parts(*, cleaned: bool) -> list[tuple[str, str]]:
    """Rows of `part`: id and data."""
    rows = []
    for name, (_, said) in SAID.items():
        for index, pair in enumerate(said):
            if pair[cleaned] is not None:
                rows.append((f"prt_{name}_{index}", dumped(pair[cleaned])))
    return rows


def events(*, cleaned: bool) -> list[tuple[str, int, str, str]]:
    """Rows of `event`: id, number, type and data. One message was removed later."""
    rows: list[tuple[str, Any]] = []
    for name, (role, said) in {**SAID, "msg_9": ("assistant", SAID["msg_3"][1])}.items():
        rows.append(("message.updated.1", {"sessionID": SESSION, "info": {"id": name, "role": role}}))
        for index, pair in enumerate(said):
            part = {"id": f"prt_{name}_{index}", "sessionID": SESSION, "messageID": name}
            head = {"sessionID": SESSION}
            left = pair[cleaned]
            if pair[0].get("type") == "text":
                rows.append(("message.part.updated.1", {**head, "part": {**part, **pair[0], "text": ""}}))
            if left is not None:
                rows.append(("message.part.updated.1", {**head, "part": {**part, **left}, "time": 1}))
            else:
                rows.append(("message.part.removed.1", {**head, "messageID": name, "partID": part["id"]}))
    rows.append(("message.removed.1", {"sessionID": SESSION, "messageID": "msg_9"}))
    rows.append(("session.updated.1", {"sessionID": SESSION, "info": {"title": MARK}}))
    return [(f"evt_{seq}", seq, kind, dumped(data)) for seq, (kind, data) in enumerate(rows)]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "opencode.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        messages = [(name, SESSION, dumped({"role": role})) for name, (role, _) in SAID.items()]
        connection.executemany("INSERT INTO message VALUES (?, ?, ?)", messages)
        for name, data in parts(cleaned=False):
            row = (name, name.removeprefix("prt_").rpartition("_")[0], SESSION, data)
            connection.execute("INSERT INTO part VALUES (?, ?, ?, ?)", row)
        connection.execute("INSERT INTO part VALUES ('prt_broken', 'msg_2', ?, ?)", (SESSION, "{" + MARK))
        for name, seq, kind, data in events(cleaned=False):
            connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", (name, SESSION, seq, kind, data))
        connection.commit()
    path.chmod(0o640)
    return path


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_markers_go_from_parts_and_events(database: Path) -> None:
    before = dict(rows(database, "SELECT id, data FROM part"))
    assert transcripts.clean_file(database) == 9
    left = dict(rows(database, "SELECT id, data FROM part"))
    assert left.pop("prt_broken") == before["prt_broken"]
    assert left == dict(parts(cleaned=True))
    assert rows(database, "SELECT id, seq, type, data FROM event ORDER BY seq") == events(cleaned=True)
    assert transcripts.clean_file(database) == 0


def test_the_backup_is_the_whole_database(database: Path) -> None:
    transcripts.clean_file(database)
    backup = database.with_name("opencode.db.bak")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    assert rows(backup, "SELECT id, seq, type, data FROM event ORDER BY seq") == events(cleaned=False)
    assert rows(backup, "PRAGMA integrity_check") == [("ok",)]
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]


def test_without_a_backup_and_without_anything(database: Path) -> None:
    before = (database.read_bytes(), database.stat().st_mtime_ns)
    assert transcripts.clean_file(database, dry_run=True) == 9
    assert (database.read_bytes(), database.stat().st_mtime_ns) == before
    assert transcripts.clean_file(database, backup=False) == 9
    assert sorted(entry.name for entry in database.parent.iterdir()) == ["opencode.db"]


def test_while_opencode_runs_nothing_is_changed(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it is idle; what it has written may still be in the log beside the database."""
    monkeypatch.setattr("pointsman.transcripts.databases._PATIENCE_S", 0.05)
    with closing(sqlite3.connect(database)) as running:
        running.execute("DELETE FROM event WHERE id = 'evt_0'")
        running.commit()
        with pytest.raises(transcripts.TranscriptBusy):
            transcripts.clean_file(database)
        assert transcripts.clean_file(database, dry_run=True) == 9
        assert running.execute("SELECT count(*) FROM part").fetchone() == (10,)
    assert transcripts.clean_file(database) == 9
    assert rows(database, "SELECT count(*) FROM event WHERE id = 'evt_0'") == [(0,)]


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", MARK.encode() * 99])
def test_what_is_no_database_of_a_client(tmp_path: Path, data: bytes) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE part (data TEXT)")
        connection.execute("INSERT INTO part VALUES (?)", (dumped(text(MARK)),))
        connection.commit()
    assert transcripts.clean_file(other) == 0
    broken = tmp_path / "broken.db"
    broken.write_bytes(data)
    try:
        assert transcripts.clean_file(broken) == 0
    except OSError as error:
        assert "SQLite" in str(error)
    assert broken.read_bytes() == data


def test_where_opencode_keeps_it(tmp_path: Path) -> None:
    data = tmp_path / ".local" / "share" / "opencode"
    data.mkdir(parents=True)
    for name in ("opencode.db", "opencode-dev.db", "opencode.db.bak", "opencode.db-wal"):
        (data / name).touch()
    assert opencode.places({}, tmp_path) == [data / "opencode-dev.db", data / "opencode.db"]
    assert opencode.places({"OPENCODE_DB": "x.db"}, tmp_path) == [data / "x.db"]
    assert opencode.places({"OPENCODE_DB": "/a/x.db"}, tmp_path) == [Path("/a/x.db")]
    assert opencode.places({"OPENCODE_DB": ":memory:"}, tmp_path) == []
    assert opencode.places({"XDG_DATA_HOME": os.fspath(tmp_path)}, tmp_path) == []
