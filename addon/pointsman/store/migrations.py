"""Numbered migrations; a released one is never edited, the next one is added.

All that are pending run in one transaction, each together with its record in
`_sqlite_migrations`, so that a crash or a second process finds the old schema or the new.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from pointsman.store.opening import APPLICATION_ID, as_store_error, error_name, schema_version

migrations = Migrations("pointsman")

_PAUSE_S = 0.02


def migrate(connection: sqlite3.Connection, path: Path, timeout_s: float) -> None:
    """Bring the schema up to date; waits for another process that is doing the same.

    Raises:
        StoreError: the database is damaged, full, locked for longer than `timeout_s`, or newer.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return _migrate(connection, path)
        except sqlite3.OperationalError as error:
            # Right after the switch to WAL a second opener can see SQLITE_BUSY at once, without waiting.
            if error_name(error) != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise as_store_error(path, error) from error
            time.sleep(_PAUSE_S)
        except sqlite3.Error as error:
            raise as_store_error(path, error) from error


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    if not migrations.pending(database):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        schema_version(path, connection)  # once more, now that nobody else can change it
        migrations.apply(database)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@migrations()
def m001_decisions(database: Database) -> None:
    for statement in _M001:
        database.execute(statement)


_M001 = (
    """
    CREATE TABLE decisions (
        id TEXT PRIMARY KEY,
        at REAL NOT NULL,
        surface TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        client TEXT NOT NULL,
        turn TEXT NOT NULL,
        session TEXT NOT NULL,
        session_hint TEXT NOT NULL,
        credential_kind TEXT NOT NULL,
        credential_fingerprint TEXT NOT NULL,
        requested_model TEXT NOT NULL,
        served_model TEXT NOT NULL,
        previous_model TEXT,
        provider TEXT NOT NULL,
        host TEXT NOT NULL,
        stream INTEGER NOT NULL,
        strategy TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        route TEXT NOT NULL,
        bundle TEXT NOT NULL,
        knobs TEXT NOT NULL,
        knobs_hash TEXT NOT NULL,
        clusters TEXT NOT NULL,
        candidates TEXT NOT NULL,
        runner_up TEXT NOT NULL,
        margin REAL,
        propensity REAL,
        adaptations TEXT NOT NULL,
        warnings TEXT NOT NULL,
        stripped INTEGER NOT NULL,
        marker TEXT NOT NULL,
        tool_loop INTEGER NOT NULL,
        retry_count INTEGER NOT NULL,
        message_count INTEGER NOT NULL,
        input_tokens_estimate INTEGER NOT NULL,
        max_tokens INTEGER,
        request_bytes INTEGER NOT NULL,
        decide_ms REAL,
        embed_ms REAL,
        prompt TEXT,
        embedding BLOB,
        status INTEGER,
        message_id TEXT,
        request_id TEXT,
        answered_model TEXT,
        stop_reason TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cache_read_tokens INTEGER,
        cache_write_tokens INTEGER,
        cache_write_1h_tokens INTEGER,
        cost_usd REAL,
        requested_cost_usd REAL,
        ttfb_ms REAL,
        total_ms REAL,
        error TEXT,
        complete INTEGER,
        retried TEXT
    )
    """,
    "CREATE INDEX decisions_at ON decisions (at)",
    "CREATE INDEX decisions_session_hint ON decisions (session_hint, at)",
    """
    CREATE TABLE sessions (
        key TEXT PRIMARY KEY,
        credential_fingerprint TEXT NOT NULL,
        surface TEXT NOT NULL,
        client TEXT NOT NULL,
        session_hint TEXT NOT NULL,
        requested_model TEXT NOT NULL,
        model TEXT NOT NULL,
        actions INTEGER NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL
    )
    """,
    "CREATE INDEX sessions_updated_at ON sessions (updated_at)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    """
    CREATE VIEW recent AS
    SELECT id, datetime(at, 'unixepoch') AS at_utc, client, turn, requested_model, served_model, reason,
           status, input_tokens, cache_read_tokens, output_tokens, cost_usd,
           requested_cost_usd - cost_usd AS saved_usd, total_ms, error
    FROM decisions ORDER BY at DESC
    """,
    """
    CREATE VIEW by_day AS
    SELECT date(at, 'unixepoch') AS day_utc, served_model, count(*) AS actions,
           sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
           sum(cost_usd) AS cost_usd, sum(requested_cost_usd) AS requested_cost_usd,
           sum(output_tokens IS NOT NULL AND cost_usd IS NULL) AS unknown_costs
    FROM decisions WHERE endpoint = 'generate' GROUP BY 1, 2 ORDER BY 1 DESC, 2
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
    "PRAGMA user_version = 1",
)


@migrations()
def m002_cache(database: Database) -> None:
    for statement in _M002:
        database.execute(statement)


_M002 = (
    "ALTER TABLE decisions ADD COLUMN cache TEXT NOT NULL DEFAULT 'off'",
    "ALTER TABLE decisions ADD COLUMN cache_detail TEXT NOT NULL DEFAULT ''",
    "DROP VIEW recent",
    """
    CREATE VIEW recent AS
    SELECT id, datetime(at, 'unixepoch') AS at_utc, client, turn, requested_model, served_model, reason,
           cache, status, input_tokens, cache_read_tokens, output_tokens, cost_usd,
           requested_cost_usd - cost_usd AS saved_usd, total_ms, error
    FROM decisions ORDER BY at DESC
    """,
    "DROP VIEW by_day",
    """
    CREATE VIEW by_day AS
    SELECT date(at, 'unixepoch') AS day_utc, served_model, count(*) AS actions, sum(cache = 'hit') AS hits,
           sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
           sum(cost_usd) AS cost_usd, sum(requested_cost_usd) AS requested_cost_usd,
           sum(output_tokens IS NOT NULL AND cost_usd IS NULL) AS unknown_costs
    FROM decisions WHERE endpoint = 'generate' GROUP BY 1, 2 ORDER BY 1 DESC, 2
    """,
    "PRAGMA user_version = 2",
)


@migrations()
def m003_upstream(database: Database) -> None:
    for statement in _M003:
        database.execute(statement)


_M003 = (
    "ALTER TABLE decisions ADD COLUMN attempts TEXT",
    "ALTER TABLE decisions ADD COLUMN fallback_from TEXT",
    "ALTER TABLE decisions ADD COLUMN upstream_provider TEXT",
    "ALTER TABLE decisions ADD COLUMN category TEXT",
    "ALTER TABLE decisions ADD COLUMN tier TEXT",
    "ALTER TABLE decisions ADD COLUMN classifier TEXT",
    "ALTER TABLE decisions ADD COLUMN classifier_reason TEXT",
    "ALTER TABLE decisions ADD COLUMN classifier_raw TEXT",
    "ALTER TABLE decisions ADD COLUMN vision_fallback INTEGER",
    "ALTER TABLE decisions ADD COLUMN classifier_ms REAL",
    "ALTER TABLE decisions ADD COLUMN classifier_input_tokens INTEGER",
    "ALTER TABLE decisions ADD COLUMN classifier_output_tokens INTEGER",
    "ALTER TABLE decisions ADD COLUMN classifier_cost_usd REAL",
    "DROP VIEW recent",
    """
    CREATE VIEW recent AS
    SELECT id, datetime(at, 'unixepoch') AS at_utc, client, turn, requested_model, served_model,
           upstream_provider, fallback_from, reason, category, cache, status, input_tokens, cache_read_tokens,
           output_tokens, cost_usd, classifier_cost_usd, requested_cost_usd - cost_usd AS saved_usd, total_ms,
           error
    FROM decisions ORDER BY at DESC
    """,
    "DROP VIEW by_day",
    """
    CREATE VIEW by_day AS
    SELECT date(at, 'unixepoch') AS day_utc, served_model, count(*) AS actions, sum(cache = 'hit') AS hits,
           sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
           sum(cost_usd) AS cost_usd, sum(requested_cost_usd) AS requested_cost_usd,
           sum(classifier_cost_usd) AS classifier_cost_usd,
           sum(output_tokens IS NOT NULL AND cost_usd IS NULL) AS unknown_costs
    FROM decisions WHERE endpoint = 'generate' GROUP BY 1, 2 ORDER BY 1 DESC, 2
    """,
    "PRAGMA user_version = 3",
)
