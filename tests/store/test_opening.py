"""Whatever is wrong with the file is said with its name and the mend."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from pointsman import paths
from pointsman.errors import StoreError
from pointsman.store import Reader, Store
from pointsman.store.migrations import migrations
from pointsman.store.opening import SCHEMA_VERSION


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Store(path, busy_timeout_s=0.1)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_directory(tmp_path: Path) -> None:
    path = tmp_path / "none" / "pointsman.db"
    assert f"there is no directory {path.parent}; create it" in refused(path)


def test_the_data_directory_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path / "a" / "b"))
    Store(paths.default_database()).close()
    assert paths.default_database().parent.stat().st_mode & 0o777 == 0o700


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    assert "is a directory; name a file in it" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be opened for writing (Permission denied)" in refused(tmp_path / "pointsman.db")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that takes no files")
def test_a_directory_that_takes_no_files() -> None:
    assert "cannot be opened for writing" in refused(Path("/proc/self/pointsman.db"))


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "pointsman.db"
    path.write_text("dear diary, " * 100)
    assert "is not a SQLite database; move it away" in refused(path)
    assert path.read_text().startswith("dear diary")


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "pointsman.db"
    Store(path).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(content)
    assert "is damaged; rescue it" in refused(path)


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (id)")
    connection.close()
    before = path.read_bytes()
    assert "belongs to another program" in refused(path)
    assert path.read_bytes() == before


def test_another_programs_database_with_a_version_like_ours(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (id)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert "belongs to another program" in refused(path)
    with pytest.raises(StoreError, match="belongs to another program"):
        Reader(path)


def test_a_newer_schema(tmp_path: Path) -> None:
    path = tmp_path / "pointsman.db"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    assert f"newer Pointsman (schema {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION})" in refused(path)
    with pytest.raises(StoreError, match="newer Pointsman"):
        Reader(path)


@pytest.mark.parametrize("released", range(1, SCHEMA_VERSION))
def test_a_database_of_an_older_version_keeps_its_rows_and_is_read_once_it_is_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released: int
) -> None:
    path = tmp_path / "pointsman.db"
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_migrations", migrations._migrations[:released])
        Store(path).close()
    connection = sqlite3.connect(path)
    names = [row[1] for row in connection.execute("PRAGMA table_info(decisions)")]
    assert ("cache" in names, "attempts" in names) == (released >= 2, False)
    row = [0 if "INT" in kind or "REAL" in kind else "[]" for _, kind in _columns(connection)]
    connection.execute(f"INSERT INTO decisions VALUES ({', '.join('?' * len(row))})", row)
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=rf"older Pointsman \(schema {released}\).*start it once"):
        Reader(path)
    Store(path).close()
    connection = sqlite3.connect(path)
    added = connection.execute("SELECT id, cache, cache_detail, attempts, tier FROM decisions").fetchall()
    assert added == [("[]", "off", "", None, None) if released == 1 else ("[]", "[]", "[]", None, None)]
    assert len(connection.execute("SELECT * FROM recent").fetchall()) == 1
    assert connection.execute("SELECT actions, hits FROM by_day").fetchall() == []
    connection.close()


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(row[1], row[2]) for row in connection.execute("PRAGMA table_info(decisions)")]


def test_a_locked_database(tmp_path: Path) -> None:
    path = tmp_path / "pointsman.db"
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    assert "is locked by another process" in refused(path)
    blocker.close()


def test_every_migration_leaves_its_record_and_its_number(tmp_path: Path) -> None:
    path = tmp_path / "pointsman.db"
    Store(path).close()
    Store(path).close()
    connection = sqlite3.connect(path)
    applied = [row[0] for row in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    assert applied == [migration.name for migration in migrations._migrations]
    assert [int(name[1:4]) for name in applied] == list(range(1, SCHEMA_VERSION + 1))
    assert version == SCHEMA_VERSION


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pointsman.db"

    def m002_broken(database: object) -> None:
        database.execute("CREATE TABLE half (x)")  # type: ignore[attr-defined]
        database.execute("CREATE TABLE decisions (x)")  # type: ignore[attr-defined]

    broken = migrations._Migration("m002_broken", m002_broken)
    monkeypatch.setattr(migrations, "_migrations", [*migrations._migrations, broken])
    with pytest.raises(StoreError, match="decisions already exists"):
        Store(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    monkeypatch.undo()
    Store(path).close()


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist; it is created when the proxy starts"):
        Reader(tmp_path / "pointsman.db")
    assert list(tmp_path.iterdir()) == []


def test_reading_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (id)")
    connection.close()
    with pytest.raises(StoreError, match="belongs to another program"):
        Reader(path)


def test_reading_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "pointsman.db"
    path.touch()
    with pytest.raises(StoreError, match="is empty; the proxy has not used it yet"):
        Reader(path)


def test_a_path_with_characters_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20d é.db"
    Store(path).close()
    assert path.is_file()
    Reader(path).close()
