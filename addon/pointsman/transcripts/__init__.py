"""Markers in the conversations that clients keep on disk, and what translated answers made up.

Each client has a module that knows where they are and what they look like; what is common to them is
how a file of JSON lines, a JSON document or a database is cleaned. Everything else in them keeps its bytes.
A line or document tells by its form whose it is, so a file can be cleaned wherever it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zstandard

from pointsman.errors import BodyError
from pointsman.transcripts import claude_code, codex, databases, files, gemini_cli, opencode
from pointsman.transcripts.files import BACKUP, TranscriptBusy
from pointsman.wire import marker
from pointsman.wire.translation.made import NAME

__all__ = ["BACKUP", "CLIENTS", "TranscriptBusy", "clean", "clean_document", "clean_file", "find"]

CLIENTS: Final = (claude_code, codex, gemini_cli, opencode)

_LINES: Final = (claude_code.clean_line, codex.clean_line, gemini_cli.clean_line)
_TABLES: Final = (codex.plan, opencode.plan)
_DATABASES: Final = (".db", ".sqlite")
_NAMES: Final = (
    "*.jsonl",
    "rollout-*.jsonl.zst",
    "session-*.json",
    "checkpoint-*.json",
    "checkpoints/*.json",
    "thread_history_*.sqlite",
    "opencode*.db",
)


def find(path: Path) -> Iterator[Path]:
    """The file itself, or at any depth below a directory every file with a name that a client gives."""
    if path.is_dir():
        found = {file for name in _NAMES for file in path.rglob(name) if file.is_file()}
        yield from sorted(found)
    else:
        yield path


def clean_file(path: Path, *, backup: bool = True, dry_run: bool = False) -> int:
    """Take the markers out of one file of whatever client; returns their number.

    Raises OSError, and TranscriptBusy if a client is using it. The old content is kept beside it
    as `NAME.bak` (or `.bak2`, …, never over another).
    """
    if path.suffix in _DATABASES:
        return databases.clean(path, _TABLES, backup=backup, dry_run=dry_run)
    cleaner = {".json": clean_document, ".zst": _clean_compressed}.get(path.suffix, clean)
    if dry_run:
        return files.replace(path, cleaner, backup=backup, dry_run=True)
    with codex.held(path.resolve()):
        return files.replace(path, cleaner, backup=backup, dry_run=False)


def clean(data: bytes) -> tuple[bytes, int]:
    """JSON lines without markers, and how many there were. Lines that nobody knows stay."""
    if not _suspect(data):
        return data, 0
    total = 0
    lines = data.split(b"\n")
    for index, line in enumerate(lines):
        if _suspect(line):
            lines[index], count = _clean_line(line)
            total += count
    return (b"\n".join(lines), total) if total else (data, 0)


def _suspect(data: bytes) -> bool:
    """Can there be a marker in it, or what a translated answer made up?"""
    return NAME in data or marker.present(data)


def _clean_line(line: bytes) -> tuple[bytes, int]:
    try:
        for clean_line in _LINES:
            cleaned, count = clean_line(line)
            if count:
                return cleaned, count
    except BodyError:
        pass
    return line, 0


def clean_document(data: bytes) -> tuple[bytes, int]:
    """One JSON document without markers, and how many there were. One that nobody knows stays."""
    if not marker.present(data):
        return data, 0
    try:
        cleaned, count = gemini_cli.clean_document(data)
    except BodyError:
        return data, 0
    return (cleaned, count) if count else (data, 0)


def _clean_compressed(data: bytes) -> tuple[bytes, int]:
    """JSON lines compressed with zstd, as Codex keeps old conversations; one that breaks off stays."""
    try:
        cleaned, count = clean(_decompressed(data))
    except zstandard.ZstdError:
        return data, 0
    return (zstandard.ZstdCompressor().compress(cleaned), count) if count else (data, 0)


def _decompressed(data: bytes) -> bytes:
    """All frames. Raises ZstdError, also for one without its end."""
    plain: list[bytes] = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        plain.append(frame.decompress(data))
        if not frame.eof:
            raise zstandard.ZstdError("The frame breaks off.")
        data = frame.unused_data
    return b"".join(plain)
