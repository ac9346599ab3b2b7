"""The one writer: a thread with a queue, which commits whatever is queued at once.

Invariant: a future is done only after its transaction is committed, so whatever a client was
shown after waiting for it outlives a `kill -9` of the process. A failed write sets the
exception on its future; the thread goes on, and later writes work as soon as the cause is gone.
"""

from __future__ import annotations

import logging
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from pointsman.errors import StoreError
from pointsman.store import decisions
from pointsman.store.opening import (
    SCHEMA_VERSION,
    as_store_error,
    error_name,
    identity,
    open_for_writing,
    schema_version,
)
from pointsman.store.reading import AnswerRow, Reader, SessionRow
from pointsman.values import Decision, Outcome

_log = logging.getLogger(__name__)

_Work = Callable[[sqlite3.Connection], None]
_Item = tuple[_Work, "Future[None]"]

_PAUSE_S = 0.02
_BATCH = 256  # writes in one transaction: bounds what one failed commit takes with it
_SUSPECT = frozenset(
    {"SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_READONLY"}
)

# SQLite's errors that say something about the row; all others are about the database.
_ROW_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


class Store:
    """Writes decisions and outcomes. Safe to call from any thread; several processes may share the file."""

    def __init__(self, path: Path | str, *, busy_timeout_s: float = 2.0, queue_limit: int = 4096) -> None:
        """Open (or create) and migrate the file, then start the writer.

        Raises:
            StoreError: with the file and what to do: unreadable, not a database, damaged, from a newer
                version, directory missing or unwritable, locked for longer than `busy_timeout_s`.
        """
        self.path = Path(path).expanduser().absolute()
        self._busy_timeout_s = busy_timeout_s
        self._queue_limit = queue_limit
        self._salt = secrets.token_bytes(32)
        self.behind = False  # somebody has waited in vain, and nothing has been committed since
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._open()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._gate = threading.Lock()  # orders submissions against close()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="pointsman-store", daemon=True)
        self._thread.start()

    def record(self, decision: Decision, *, served: bool = True) -> Future[None]:
        """Write the decision and, if its model `served` it, the session; done when committed."""
        return self._submit(lambda connection: decisions.insert(connection, decision, served=served))

    def update(self, decision_id: str, outcome: Outcome) -> Future[None]:
        """Write those fields of the outcome that are not None; done when committed."""
        return self._submit(lambda connection: decisions.update(connection, decision_id, outcome))

    def salt(self) -> bytes:
        """32 random bytes, made once per database: what credential fingerprints are salted with."""
        return self._salt

    def load_sessions(self, limit: int, since: float) -> list[SessionRow]:
        """Sessions used since then (unix seconds), newest first. Raises StoreError."""
        with Reader(self.path) as reader:
            return reader.sessions(limit=limit, since=since)

    def load_answers(self, limit: int, since: float) -> list[AnswerRow]:
        """Answers given since then (unix seconds), newest first. Raises StoreError."""
        with Reader(self.path) as reader:
            return reader.answers(limit=limit, since=since)

    def close(self) -> None:
        """Write what is queued, then close. Later writes fail on their futures. May be called twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _submit(self, work: _Work) -> Future[None]:
        future: Future[None] = Future()
        # Marked as running, so that a caller who goes away (asyncio cancels the future it awaits)
        # cannot take the row with it.
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                future.set_exception(StoreError(f"database {self.path} is already closed"))
            elif self._queue.qsize() >= self._queue_limit:
                future.set_exception(
                    StoreError(
                        f"database {self.path}: {self._queue_limit} writes are waiting, is the disk slow?"
                    )
                )
            else:
                self._queue.put((work, future))
        return future

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            if batch:
                self._write(batch)
        if self._connection is not None:
            self._connection.close()

    def _next_batch(self) -> tuple[list[_Item], bool]:
        """Everything queued, waiting for the first; False at the end."""
        batch: list[_Item] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _BATCH:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _write(self, batch: list[_Item]) -> None:
        """One transaction. What fails by itself fails alone; what fails the database fails them all."""
        failures: dict[int, StoreError] = {}
        try:
            connection = self._ready()
            connection.execute("BEGIN IMMEDIATE")
            for index, (work, _) in enumerate(batch):
                try:
                    work(connection)
                except Exception as error:
                    if isinstance(error, sqlite3.Error) and not isinstance(error, _ROW_FAULTS):
                        raise
                    failures[index] = as_store_error(self.path, error)  # SQLite undid that statement
            connection.execute("COMMIT")
        except Exception as error:
            self._recover(error)
            failure = as_store_error(self.path, error)
            failures = dict.fromkeys(range(len(batch)), failure)
        for index, (_, future) in enumerate(batch):
            if index in failures:
                future.set_exception(failures[index])
            else:
                self.behind = False
                future.set_result(None)

    def _ready(self) -> sqlite3.Connection:
        """The connection, opened anew if it was given up or if the file at the path is another one."""
        if self._connection is not None and identity(self.path) != self._identity:
            _log.warning("database %s was removed or replaced; opening it anew", self.path)
            self._drop()
        return self._connection or self._open()

    def _recover(self, error: Exception) -> None:
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._drop()
        if error_name(error) in _SUSPECT:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error:
                _log.debug("closing database %s failed", self.path, exc_info=True)
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return self._open_once()
            except StoreError as error:
                # While another process opens the same file, SQLite can say BUSY at once, without waiting.
                cause = error.__cause__
                if cause is None or error_name(cause) != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)

    def _open_once(self) -> sqlite3.Connection:
        connection = open_for_writing(self.path, self._busy_timeout_s)
        try:
            if schema_version(self.path, connection) < SCHEMA_VERSION:
                # Imported only where it has something to do: sqlite-utils takes 100 ms.
                from pointsman.store.migrations import migrate

                migrate(connection, self.path, self._busy_timeout_s)
            connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('salt', ?)", [self._salt])
            row = connection.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone()
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise as_store_error(self.path, error) from error
            raise
        # A file created anew while running thus keeps the salt that fingerprints were made with so far.
        self._salt = bytes(row[0])
        self._connection, self._identity = connection, identity(self.path)
        return connection
