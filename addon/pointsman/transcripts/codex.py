"""What Codex keeps on disk: a "rollout" of JSON lines for each conversation, and a database made from them.

A line of type `response_item` holds an item as it is sent, one of type `event_msg` what was shown, one of
type `compacted` the items that took the place of older ones. Codex 0.169 numbers the lines, and its database
`thread_history_1.sqlite` knows at which byte a turn begins. So every line keeps its place, its number and
its length: what was cut is made up for with spaces at the line's end, and a line that said nothing but
a marker becomes an item of type `other`, which Codex neither sends nor shows.

The database holds each item once more, as it is shown. There, the row of such an item goes.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pointsman.errors import BodyError
from pointsman.transcripts.databases import Change, has_tables
from pointsman.transcripts.files import TranscriptBusy
from pointsman.wire import marker, openai_responses
from pointsman.wire.json_spans import Body, array_spans
from pointsman.wire.stripping import Stripped, strip_content, strip_text

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

NAME = "Codex"
# Its terminal interface leaves a server running that keeps the latest conversations open.
TO_END = "end it first, and its server: codex app-server daemon stop"

_ROLLOUT: Final = re.compile(r"rollout-.*-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl(?:\.zst)?")
_LOCKS: Final = "thread-writer-locks"


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where transcripts are, if there are any; archived ones too."""
    root = Path(environ.get("CODEX_HOME") or home / ".codex")
    databases = Path(environ.get("CODEX_SQLITE_HOME") or root)
    return [root / "sessions", root / "archived_sessions", *sorted(databases.glob("thread_history_*.sqlite"))]


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds the lock by which Codex knows that a conversation is open; TranscriptBusy if it is.

    Codex writes to the file that it has opened, so what it wrote after a replacement would be lost.
    """
    lock = _lock_of(path)
    if lock is None or fcntl is None or not lock.is_file():
        yield
        return
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TranscriptBusy from error
        yield


def _lock_of(path: Path) -> Path | None:
    named = _ROLLOUT.fullmatch(path.name)
    root = next((parent for parent in path.parents if (parent / _LOCKS).is_dir()), None)
    return root / _LOCKS / f"{named[1]}.lock" if named and root else None


# --- lines --------------------------------------------------------------------------------


def clean_line(line: bytes) -> tuple[bytes, int]:
    """The line without markers, as long as before, and how many there were. Raises BodyError."""
    entry = Body.parse(line)
    payload = entry.raw("payload")
    kind = entry.get("type")
    clean = _CLEANERS.get(kind) if isinstance(kind, str) else None
    if clean is None or payload is None or not payload.startswith(b"{"):
        return line, 0
    stripped, count = clean(payload)
    if not count:
        return line, 0
    if stripped is None:
        entry.set_raw("type", b'"response_item"')
        entry.set_raw("payload", b'{"type":"other"}')
        entry.delete("metadata")
    else:
        entry.set_raw("payload", stripped)
    return entry.render().ljust(len(line)), count


def _clean_item(payload: bytes) -> Stripped:
    items, count = _strip_items(b"[" + payload + b"]")
    spans = array_spans(items)
    return (items[spans[0][0] : spans[0][1]] if spans else None), count


def _strip_items(items: bytes) -> tuple[bytes, int]:
    """A list of items as the wire strips it, without the reasoning and the ids that no provider knows."""
    body = Body.parse(b'{"input":' + items + b"}")
    count = openai_responses.strip(body) + openai_responses.disown(body)
    return body.raw("input") or b"[]", count


def _clean_event(payload: bytes) -> Stripped:
    event = Body.parse(payload)
    kind = event.get("type")
    if kind in ("item_started", "item_completed"):
        return _clean_shown(event)
    if kind == "agent_message":
        return strip_text(event, None, "message")
    if kind in ("task_complete", "turn_complete"):
        count = _clean_string(event, "last_agent_message")
        return event.render(), count
    return payload, 0


def _clean_shown(event: Body) -> Stripped:
    raw = event.raw("item")
    item = Body.parse(raw) if raw is not None and raw.startswith(b"{") else None
    if raw is None or item is None or item.get("type") != "AgentMessage":
        return event.render(), 0
    stripped, count = strip_content(item, _strip_shown, required=True)
    if stripped is None:
        return None, count
    event.set_raw("item", stripped)
    return event.render(), count


def _strip_shown(raw: bytes) -> Stripped:
    return strip_text(Body.parse(raw), ("Text",))


def _clean_compacted(payload: bytes) -> Stripped:
    compacted = Body.parse(payload)
    count = _clean_string(compacted, "message")
    items = compacted.raw("replacement_history") or b""
    if items.startswith(b"["):
        stripped, more = _strip_items(items)
        compacted.set_raw("replacement_history", stripped)
        count += more
    return compacted.render(), count


def _clean_string(owner: Body, key: str) -> int:
    """A text of no message of its own; where nothing is left of it there was none."""
    raw = owner.raw(key)
    if raw is None or not raw.startswith(b'"'):
        return 0
    stripped, count = marker.strip(raw)
    if count:
        owner.set_raw(key, b"null" if stripped == b'""' and key != "message" else stripped)
    return count


_CLEANERS: Final = {"response_item": _clean_item, "event_msg": _clean_event, "compacted": _clean_compacted}

# --- the database -------------------------------------------------------------------------

_MARKED_ITEMS: Final = """
SELECT thread_id, turn_id, item_id, CAST(item_json AS BLOB) FROM thread_items
WHERE instr(item_json, char(0x2063)) OR instr(item_json, '\\u2063')
"""
_UPDATE_ITEM: Final = """
UPDATE thread_items SET item_json = ? WHERE thread_id = ? AND turn_id = ? AND item_id = ?
"""
_DELETE_ITEM: Final = "DELETE FROM thread_items WHERE thread_id = ? AND turn_id = ? AND item_id = ?"
_FINAL: Final = """
UPDATE thread_turns SET final_agent_item_id = (
    SELECT item_id FROM thread_items AS item
    WHERE item.thread_id = thread_turns.thread_id AND item.turn_id = thread_turns.turn_id
      AND item.item_type = 'agentMessage'
      AND coalesce(json_extract(item.item_json, '$.phase'), 'final_answer') = 'final_answer'
    ORDER BY json_extract(item.item_json, '$.phase') IS NULL, rollout_ordinal DESC LIMIT 1
) WHERE thread_id = ? AND turn_id = ? AND final_agent_item_id = ?
"""


def plan(connection: sqlite3.Connection) -> Iterator[Change]:
    """What has to be done to the history of what was shown."""
    if not has_tables(connection, "thread_items", "thread_turns"):
        return
    for thread, turn, item, data in connection.execute(_MARKED_ITEMS).fetchall():
        with contextlib.suppress(BodyError):
            stripped, count = _clean_row(data)
            if count and stripped is not None:
                yield Change(_UPDATE_ITEM, (stripped.decode(), thread, turn, item), count)
            elif count:
                yield Change(_DELETE_ITEM, (thread, turn, item), count)
                yield Change(_FINAL, (thread, turn, item))


def _clean_row(data: bytes) -> Stripped:
    item = Body.parse(data)
    return strip_text(item, ("agentMessage",))
