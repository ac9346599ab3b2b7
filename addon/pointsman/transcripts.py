"""Markers in the transcripts that Claude Code keeps on disk.

A transcript is a file of JSON lines. A line of type `assistant` holds one content block of an
answer (the lines of one answer share `message.id`); one of type `user` holds what a person said
or what a tool returned, with a copy of a sub-agent's words in `toolUseResult.content`.

A text block that said nothing but the marker goes, and leaves `"content":[]`. The line itself stays:
the next one names it as its parent. Claude Code 2.1.197 sends such a line as nothing, or as
"(no content)" where the whole answer was a marker. Everything else keeps its bytes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pointsman.errors import BodyError
from pointsman.wire import anthropic, marker
from pointsman.wire.json_spans import Body, array_spans

_ATTEMPTS = 3
BACKUP = ".bak"


class TranscriptBusy(Exception):
    """The file kept growing while it was being cleaned."""


def directories(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where Claude Code keeps transcripts; only directories that exist."""
    configured = environ.get("CLAUDE_CONFIG_DIR")
    roots = [Path(configured)] if configured else [home / ".claude", home / ".config" / "claude"]
    return [root / "projects" for root in roots if (root / "projects").is_dir()]


def find(path: Path) -> Iterator[Path]:
    """The file itself, or every `*.jsonl` at any depth below a directory."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*.jsonl") if file.is_file())
    else:
        yield path


def clean(data: bytes) -> tuple[bytes, int]:
    """A transcript without markers, and how many there were. Lines that are not JSON objects stay."""
    if not marker.present(data):
        return data, 0
    total = 0
    lines = data.split(b"\n")
    for index, line in enumerate(lines):
        if marker.present(line):
            lines[index], count = _clean_line(line)
            total += count
    return (b"\n".join(lines), total) if total else (data, 0)


def clean_file(path: Path, *, backup: bool = True, dry_run: bool = False) -> int:
    """Replace the file by its cleaned self in one step; returns the number of markers.

    Mode and times stay as they were, since clients list conversations by age. The old content is kept
    beside it as `NAME.bak` (or `.bak2`, …, never over another). A file without markers is not touched.
    Raises OSError, and TranscriptBusy if a client keeps writing to it.
    """
    path = path.resolve()
    for _ in range(_ATTEMPTS):
        before = path.stat()
        data, count = clean(path.read_bytes())
        if not count or dry_run:
            return count
        replacement = _write_beside(path, data, before)
        try:
            now = path.stat()
            if (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                if backup:
                    shutil.copy2(path, _free_backup(path))
                replacement.replace(path)
                return count
        finally:
            replacement.unlink(missing_ok=True)
    raise TranscriptBusy


def _write_beside(path: Path, data: bytes, like: os.stat_result) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    replacement = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        replacement.chmod(like.st_mode & 0o7777)
        os.utime(replacement, ns=(like.st_atime_ns, like.st_mtime_ns))
    except BaseException:
        replacement.unlink(missing_ok=True)
        raise
    return replacement


def _free_backup(path: Path) -> Path:
    candidate, number = path.with_name(path.name + BACKUP), 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}{BACKUP}{number}"), number + 1
    return candidate


# --- one line -----------------------------------------------------------------------------


def _clean_line(line: bytes) -> tuple[bytes, int]:
    try:
        entry = Body.parse(line)
        count = _clean_message(entry) + _clean_tool_result(entry)
        return (entry.render(), count) if count else (line, 0)
    except BodyError:
        return line, 0


def _clean_message(entry: Body) -> int:
    raw = entry.raw("message")
    if raw is None or not raw.startswith(b"{"):
        return 0
    messages, count = _strip(raw)
    if count:
        entry.set_raw("message", messages if messages is not None else _emptied(raw))
    return count


def _emptied(raw: bytes) -> bytes:
    message = Body.parse(raw)
    message.set_raw("content", b"[]")
    return message.render()


def _clean_tool_result(entry: Body) -> int:
    """The copy of a sub-agent's words, stripped as the tool result that it is a copy of."""
    raw = entry.raw("toolUseResult")
    if raw is None or not raw.startswith(b"{"):
        return 0
    result = Body.parse(raw)
    content = result.raw("content")
    if content is None:
        return 0
    wrapped = b'{"role":"user","content":[{"type":"tool_result","content":' + content + b"}]}"
    stripped, count = _strip(wrapped)
    if count and stripped is not None:
        blocks = Body.parse(stripped).raw("content") or b"[]"
        start, end = array_spans(blocks)[0]
        result.set_raw("content", Body.parse(blocks[start:end]).raw("content") or b"[]")
        entry.set_raw("toolUseResult", result.render())
    return count


def _strip(message: bytes) -> tuple[bytes | None, int]:
    """One message as the wire strips it; None if nothing is left of it."""
    body = Body.parse(b'{"messages":[' + message + b"]}")
    count = anthropic.strip(body)
    messages = body.raw("messages") or b"[]"
    spans = array_spans(messages)
    return (messages[spans[0][0] : spans[0][1]] if spans else None), count
