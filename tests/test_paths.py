"""How `pointsman` is called from a shell, wherever it was installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pointsman import paths


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bin directory of an environment with a space in its path, which is not on PATH."""
    folder = tmp_path / "my tools" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/nothing/here")
    return folder


def launcher(folder: Path) -> None:
    (folder / "pointsman").write_text("#!/bin/sh\n")
    (folder / "pointsman").chmod(0o755)


def test_by_its_path(environment: Path) -> None:
    launcher(environment)
    assert paths.command() == f"'{environment}/pointsman'"


def test_by_name(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher(environment)
    monkeypatch.setenv("PATH", str(environment))
    assert paths.command() == "pointsman"


def test_another_one_on_path_is_not_meant(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(environment)
    launcher(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert paths.command() == f"'{environment}/pointsman'"


def test_without_a_launcher(environment: Path) -> None:
    assert paths.command() == f"'{environment}/python' -m pointsman"


def test_what_can_be_made_again_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POINTSMAN_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(sys, "platform", "linux")
    assert paths.cache_dir() == Path("/somewhere/pointsman")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert paths.cache_dir() == Path.home() / ".cache" / "pointsman"
    monkeypatch.setenv("POINTSMAN_HOME", "/home/of/pointsman")
    assert paths.cache_dir() == Path("/home/of/pointsman/cache")
