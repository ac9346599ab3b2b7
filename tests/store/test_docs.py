"""docs/database.md describes the database that there is, and its queries run."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pointsman.store import Store

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "database.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    Store(tmp_path / "pointsman.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "pointsman.sqlite")) as connection:
        yield connection


def documented(table: str) -> set[str]:
    section = DOCS.partition(f"\n## {table}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z0-9_, ]+) \|", section, re.MULTILINE)
    return {name.strip() for row in rows for name in row.split(",")} - {"column"}


@pytest.mark.parametrize("table", ["decisions", "sessions"])
def test_every_column_is_documented_and_no_other(connection: sqlite3.Connection, table: str) -> None:
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    assert documented(table) == columns


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_queries_run(connection: sqlite3.Connection, query: str) -> None:
    assert connection.execute(query).description
    assert len(QUERIES) >= 5
