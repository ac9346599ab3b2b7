"""What opencode keeps on disk: one SQLite database for all conversations.

`message` says who speaks, `part` what: a text, a call of a tool with its output, and so on. `event` holds the
same once more, as the numbered changes that led to it. opencode 1.18 sends a part even if it is empty,
so a part that said nothing but a marker goes; the event that wrote it becomes the one that removes it,
under its own number, so that the events still lead to what the tables hold.

Another agent's last words are the output of the tool `task`, in a wrapping.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pointsman.errors import BodyError
from pointsman.transcripts import gemini_cli
from pointsman.transcripts.databases import Change, has_tables
from pointsman.wire import marker
from pointsman.wire.json_spans import Body, array_spans, encode
from pointsman.wire.loose import as_dict
from pointsman.wire.stripping import Stripped

NAME = "opencode"
TO_END = "end it first"

_UPDATED: Final = "message.part.updated."  # the version of the event's form follows
_REMOVED: Final = "message.part.removed."
_MARKED_PARTS: Final = """
SELECT id, message_id, CAST(data AS BLOB) FROM part
WHERE instr(data, char(0x2063)) OR instr(data, '\\u2063')
"""
_MARKED_EVENTS: Final = """
SELECT id, type, CAST(data AS BLOB) FROM event
WHERE instr(data, char(0x2063)) OR instr(data, '\\u2063')
"""


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The databases, one for each channel of releases; `OPENCODE_DB` names another."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / NAME
    named = environ.get("OPENCODE_DB")
    if named:
        return [] if named == ":memory:" else [data / named]
    return sorted(data.glob("opencode*.db"))


def plan(connection: sqlite3.Connection) -> Iterator[Change]:
    """What has to be done to the rows of `part` and `event`."""
    if not has_tables(connection, "message", "part", "event"):
        return
    roles = _Roles(connection)
    for key, message, data in connection.execute(_MARKED_PARTS).fetchall():
        with contextlib.suppress(BodyError):
            stripped, count = _clean_part(data) if roles.is_assistant(message) else (data, 0)
            if count and stripped is not None:
                yield Change("UPDATE part SET data = ? WHERE id = ?", (stripped.decode(), key), count)
            elif count:
                yield Change("DELETE FROM part WHERE id = ?", (key,), count)
    for key, kind, data in connection.execute(_MARKED_EVENTS).fetchall():
        with contextlib.suppress(BodyError):
            new_kind, new_data, count = _clean_event(kind, data, roles)
            if count:
                change = "UPDATE event SET type = ?, data = ? WHERE id = ?"
                yield Change(change, (new_kind, new_data.decode(), key), count)


class _Roles:
    """Who speaks in a message; of removed ones only the events still know."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, bool] = {}

    def is_assistant(self, message: str) -> bool:
        if message not in self._known:
            self._known[message] = self._find(message) == "assistant"
        return self._known[message]

    def _find(self, message: str) -> object:
        rows = self._connection.execute("SELECT CAST(data AS BLOB) FROM message WHERE id = ?", (message,))
        for (data,) in rows.fetchall():
            return Body.parse(data).get("role")
        rows = self._connection.execute(
            "SELECT CAST(data AS BLOB) FROM event WHERE type GLOB 'message.updated.*' AND instr(data, ?)",
            (message,),
        )
        for (data,) in rows.fetchall():
            info = as_dict(Body.parse(data).get("info"))
            if info.get("id") == message:
                return info.get("role")
        return None


def _clean_event(kind: str, data: bytes, roles: _Roles) -> tuple[str, bytes, int]:
    event = Body.parse(data)
    raw = event.raw("part")
    if not kind.startswith(_UPDATED) or raw is None or not raw.startswith(b"{"):
        return kind, data, 0
    part = Body.parse(raw)
    session, message, name = part.get("sessionID"), part.get("messageID"), part.get("id")
    if not (isinstance(message, str) and roles.is_assistant(message)):
        return kind, data, 0
    stripped, count = _clean_part(raw)
    if count and stripped is None:
        removed = {"sessionID": session, "messageID": message, "partID": name}
        return kind.replace(_UPDATED, _REMOVED), encode(removed), count
    event.set_raw("part", stripped or raw)
    return kind, event.render(), count


def _clean_part(data: bytes) -> Stripped:
    part = Body.parse(data)
    if part.get("type") == "text":
        return _strip_text(part)
    state = part.raw("state") or b""
    if part.get("type") != "tool" or part.get("tool") != "task" or not state.startswith(b"{"):
        return data, 0
    task = Body.parse(state)
    stripped, count = marker.strip_result(task.raw("output") or b"")
    if not count:
        return data, 0
    task.set_raw("output", stripped)
    part.set_raw("state", task.render())
    return part.render(), count


def _strip_text(part: Body) -> Stripped:
    """As the wire strips Gemini's, since there the model's own blanks can stand before a marker."""
    wrapped = b'{"role":"model","parts":[{"text":' + (part.raw("text") or b'""') + b"}]}"
    content, count = gemini_cli.strip_content(wrapped)
    if content is None:
        return None, count
    parts = Body.parse(content).raw("parts") or b"[]"
    start, end = array_spans(parts)[0]
    part.set_raw("text", Body.parse(parts[start:end]).raw("text") or b'""')
    return part.render(), count
