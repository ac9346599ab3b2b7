"""Lines to the stand-in for real clients. Everything here needs Claude Code: scripts/install-claude-code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients.claude_code import find_claude
from clients.line import Line, bare_line, direct_is_possible, direct_line, pointsman_line

CLAUDE = find_claude()  # before the tests get a home of their own
TABLES = pytest.StashKey[list[str]]()

HAIKU = """\
routes:
  - name: everything to the smallest
    requested: "claude-*"
    strategy: fixed
    model: claude-haiku-4-5
"""


@pytest.fixture(scope="session")
def claude() -> Path:
    if CLAUDE is None:
        pytest.skip("Claude Code is not installed; scripts/install-claude-code does it")
    return CLAUDE


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No configuration or data of the person who runs the tests is read or written."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(variable, str(folder))
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="session")
def asked(claude: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model that this version of Claude Code asks for unless told otherwise."""
    folder = tmp_path_factory.mktemp("asked")
    with bare_line(folder / "line") as line:
        line.plain().client(claude, folder / "client").prompt("Hello.")
        models = {record.model for record in line.provider.main()}
    assert len(models) == 1, models
    return models.pop()


@pytest.fixture(scope="session")
def lines(claude: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Line]]:
    """The bare line first; all others are held against it."""
    folder = tmp_path_factory.mktemp("lines")
    with ExitStack() as stack:
        yield [
            stack.enter_context(bare_line(folder / "bare")),
            stack.enter_context(pointsman_line(folder / "pointsman")),
            stack.enter_context(pointsman_line(folder / "haiku", "haiku", HAIKU)),
            *([stack.enter_context(direct_line(folder / "direct"))] if direct_is_possible() else []),
        ]


@pytest.fixture(scope="session")
def haiku_config() -> str:
    return HAIKU


@pytest.fixture(scope="session")
def tables(request: pytest.FixtureRequest) -> list[str]:
    """Texts to print when all is done."""
    return request.config.stash.setdefault(TABLES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for text in config.stash.get(TABLES, []):
        terminalreporter.section("clients")
        terminalreporter.write_line(text)
