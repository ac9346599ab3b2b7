"""Replacing a file by its cleaned self: in one step, never while something writes to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

BACKUP: Final = ".bak"
_ATTEMPTS: Final = 3

# The content without markers, and how many there were.
type Cleaner = Callable[[bytes], tuple[bytes, int]]


class TranscriptBusy(Exception):
    """A client is using the file."""


def replace(path: Path, clean: Cleaner, *, backup: bool, dry_run: bool) -> int:
    """Put what `clean` makes of the content in its place; returns the number of markers.

    Mode and times stay as they were, since clients list conversations by age. The old content is kept
    beside it (see `free_backup`). A file without markers is not touched.
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
                    shutil.copy2(path, free_backup(path))
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


def free_backup(path: Path) -> Path:
    """`NAME.bak`, or `.bak2` and so on: never over another one."""
    candidate, number = path.with_name(path.name + BACKUP), 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}{BACKUP}{number}"), number + 1
    return candidate
