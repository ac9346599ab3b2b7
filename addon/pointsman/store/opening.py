"""Open the database file, for writing or for reading only; every failure says what to do about it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from urllib.parse import quote

from pointsman import paths
from pointsman.errors import StoreError

APPLICATION_ID = 0x506F696E  # "Poin", in the file's header: tells our databases from other programs'
SCHEMA_VERSION = 3  # the number of the last migration; kept in SQLite's own user_version

_MENDS = {
    "SQLITE_NOTADB": "is not a SQLite database; move it away, or set router_db to another file",
    "SQLITE_CORRUPT": "is damaged; rescue it with `sqlite3 FILE .recover`, or move it away",
    "SQLITE_FULL": "cannot grow, the disk is full; free some space",
    "SQLITE_READONLY": "is read-only; check who owns it and its directory",
    "SQLITE_CANTOPEN": "cannot be opened; check that its directory exists and is writable",
    "SQLITE_BUSY": "is locked by another process; end that process or wait for it",
    "SQLITE_LOCKED": "is locked by another process; end that process or wait for it",
    "SQLITE_IOERR": "cannot be read or written; check the disk, and that it is not a network share",
    "SQLITE_PERM": "may not be accessed; check who owns it",
}


def error_name(error: BaseException) -> str:
    """SQLite's primary result code by name, such as "SQLITE_FULL"; "" if the error is not SQLite's."""
    name: str = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])


def as_store_error(path: Path, error: BaseException) -> StoreError:
    """The same failure as a sentence with the file and the mend."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.Error) and error_name(error) in ("", "SQLITE_CONSTRAINT"):
        return StoreError(f"database {path} cannot take this row: {error}")
    if isinstance(error, sqlite3.Error):
        mend = _MENDS.get(error_name(error), "cannot be used")
        return StoreError(f"database {path} {mend} (SQLite says: {error})")
    if isinstance(error, OSError):
        return StoreError(f"database {path} cannot be used: {error.strerror or error}")
    return StoreError(f"database {path} cannot take this row: {type(error).__name__}: {error}")


def open_for_writing(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection in WAL mode to a file only its owner can read; created if need be, not yet migrated.

    The connection may be handed to another thread, but used by one at a time.

    Raises:
        StoreError: the directory is missing or unwritable, or the file is no usable database.
    """
    _claim(path)
    connection = _connect(path, f"file:{quote(str(path))}", busy_timeout_s)
    try:
        schema_version(path, connection)  # before anything is changed: it may be another program's
        _keep_private(path)
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"database {path}: its file system does not support WAL; use a local disk")
        # NORMAL syncs at checkpoints only: a killed process loses nothing, a power cut the newest rows.
        connection.execute("PRAGMA synchronous=NORMAL")
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise as_store_error(path, error) from error
        raise
    return connection


def open_for_reading(path: Path, busy_timeout_s: float = 2.0) -> sqlite3.Connection:
    """A connection that cannot write; rows come as `sqlite3.Row`.

    Raises:
        StoreError: no such file, not Pointsman's, or from another version.
    """
    if not path.is_file():
        raise StoreError(f"database {path} does not exist; it is created when the proxy starts")
    connection = _connect(path, f"file:{quote(str(path.resolve()))}?mode=ro", busy_timeout_s)
    try:
        found = schema_version(path, connection)
        if found == 0:
            raise StoreError(f"database {path} is empty; the proxy has not used it yet")
        if found < SCHEMA_VERSION:
            raise StoreError(
                f"database {path} was written by an older Pointsman (schema {found}); the proxy brings it to"
                f" schema {SCHEMA_VERSION} when it starts: start it once"
            )
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise as_store_error(path, error) from error
        raise
    connection.row_factory = sqlite3.Row
    return connection


def schema_version(path: Path, connection: sqlite3.Connection) -> int:
    """The number of the file's last migration, 0 for a fresh one.

    Raises StoreError if the file is another program's, or from a version newer than this one.
    """
    found, owner, tables = _signs(connection)
    if owner != APPLICATION_ID and (owner or found or tables):
        raise StoreError(f"database {path} belongs to another program; set router_db to a file of its own")
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"database {path} was written by a newer Pointsman (schema {found}, this one knows"
            f" {SCHEMA_VERSION}); upgrade Pointsman, or set router_db to another file"
        )
    return found


def _signs(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """(user_version, application_id, number of tables) of one moment: another process may be migrating."""
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
    finally:
        if alone and connection.in_transaction:
            connection.execute("ROLLBACK")
    return int(found), int(owner), int(tables)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at the path: device and inode; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _claim(path: Path) -> None:
    if path.is_dir():
        raise StoreError(f"database {path} is a directory; name a file in it")
    if path.parent == paths.data_dir():  # ours to make; any other directory may be a misspelt one
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.parent.is_dir():
        raise StoreError(f"database {path}: there is no directory {path.parent}; create it")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"database {path} cannot be opened for writing ({error.strerror});"
            " check who owns it and its directory, or set router_db to another file"
        ) from error
    os.close(descriptor)


def _keep_private(path: Path) -> None:
    found = path.stat()
    if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
        path.chmod(0o600)


def _connect(path: Path, uri: str, busy_timeout_s: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            uri, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise as_store_error(path, error) from error
