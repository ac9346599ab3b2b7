"""Markers in a client's SQLite database: rows are changed in one transaction, with nobody else in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pointsman.transcripts.files import TranscriptBusy, free_backup

_PATIENCE_S: Final = 2.0  # a client that is just ending closes its database within this


class Change(NamedTuple):
    """One statement that takes so many markers out."""

    sql: str
    parameters: tuple[Any, ...]
    markers: int = 0


type Planner = Callable[[sqlite3.Connection], Iterable[Change]]


def has_tables(connection: sqlite3.Connection, *names: str) -> bool:
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return found.issuperset(names)


def clean(path: Path, planners: Iterable[Planner], *, backup: bool, dry_run: bool) -> int:
    """Do what the planners plan; returns the number of markers.

    The old content is kept as a whole database beside it (see `free_backup`).
    Raises OSError, and TranscriptBusy if a client has the database open.
    """
    path = path.resolve()
    with _translated(), contextlib.closing(_open(path)) as connection:
        changes = list(itertools.chain.from_iterable(planner(connection) for planner in planners))
    count = sum(change.markers for change in changes)
    if not count or dry_run:
        return count
    with _translated(), contextlib.closing(_open_alone(path)) as connection:
        changes = list(itertools.chain.from_iterable(planner(connection) for planner in planners))
        if backup:
            _back_up(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        for change in changes:
            connection.execute(change.sql, change.parameters)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return sum(change.markers for change in changes)


def _open(path: Path) -> sqlite3.Connection:
    """For reading only. Without a log beside it nobody has it open, and SQLite need not leave one."""
    log = path.with_name(f"{path.name}-wal")
    uri = f"{path.as_uri()}?mode=ro{'' if log.exists() else '&immutable=1'}"
    return sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, isolation_level=None)


def _open_alone(path: Path) -> sqlite3.Connection:
    """A connection that nobody else can have beside it.

    Whoever has a database open in WAL mode holds a shared lock on it, even while idle; so the exclusive
    lock that this mode asks for is refused as long as a client runs.
    """
    uri = f"{path.as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    backup = free_backup(path)
    backup.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(backup)) as copy:
        connection.backup(copy)
    like = path.stat()
    backup.chmod(like.st_mode & 0o7777)
    os.utime(backup, ns=(like.st_atime_ns, like.st_mtime_ns))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors as those of a file."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise TranscriptBusy from error
        raise OSError(f"SQLite says: {error}") from error
