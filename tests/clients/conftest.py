"""Lines to the stand-in for real clients. All of it needs what scripts/install-client installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients.claude_code import ClaudeCode
from clients.client import Client
from clients.kinds import KINDS, PROGRAMS
from clients.line import Line, bare_line, direct_is_possible, direct_line, pointsman_line, recorded

TABLES = pytest.StashKey[list[str]]()

# The models that take the least of what each client asks for by itself.
FORCED = """\
routes:
  - name: everything of Anthropic's to the smallest
    requested: "claude-*"
    strategy: fixed
    model: claude-haiku-4-5
  - name: everything of OpenAI's to a small one
    requested: "gpt-*"
    strategy: fixed
    model: gpt-5.6-luna
  - name: everything of Google's to a small one
    requested: "gemini-*"
    strategy: fixed
    model: gemini-2.5-flash-lite
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks for a `kind` runs once for each of the clients."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS], indirect=True, scope="session")


@pytest.fixture(scope="session")
def kind(request: pytest.FixtureRequest) -> type[Client]:
    chosen: type[Client] = request.param
    if PROGRAMS[chosen] is None:
        pytest.skip(f"not installed; scripts/install-client {chosen.package} does it")
    return chosen


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
def asked(kind: type[Client], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model that this version of the client asks for unless told otherwise."""
    return _asked(kind, tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="session")
def asked_of_claude_code(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _asked(ClaudeCode, tmp_path_factory.mktemp("asked"))


def _asked(kind: type[Client], folder: Path) -> str:
    with bare_line(folder / "line") as line:
        ran = line.plain().client(kind, folder / "client", "asked").prompt("Hello.")
        models = {record.model for record in line.provider.main()}
    assert len(models) == 1, (models, ran)
    return models.pop()


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Line]]:
    """The bare line first; all others are held against it."""
    folder = tmp_path_factory.mktemp("lines")
    with ExitStack() as stack:
        made = [
            stack.enter_context(bare_line(folder / "bare")),
            stack.enter_context(pointsman_line(folder / "pointsman")),
            stack.enter_context(pointsman_line(folder / "forced", "forced", FORCED)),
            *([stack.enter_context(direct_line(folder / "direct"))] if direct_is_possible() else []),
        ]
        yield stack.enter_context(recorded(made, folder / "recorder"))


@pytest.fixture(scope="session")
def forced_config() -> str:
    return FORCED


@pytest.fixture(scope="session")
def tables(request: pytest.FixtureRequest) -> list[str]:
    """Texts to print when all is done."""
    return request.config.stash.setdefault(TABLES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for text in config.stash.get(TABLES, []):
        terminalreporter.section("clients")
        terminalreporter.write_line(text)
