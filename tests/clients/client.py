"""What the tests ask of a program that talks to language models, and how they run it without a person.

A client is a class of its own: where its program is, what it needs in the environment and at home, how a
prompt and the going on of a conversation are said on its command line, and what its output means.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from clients.script import Scenario
from provider.answers import Call, Page
from provider.inspection import SENTINEL

MARKER = re.compile(f"{SENTINEL}[^{SENTINEL[0]}]*{SENTINEL}\n*")
PROMPT_SECONDS = 180.0  # the longest of several tries that a client makes, on a busy machine
TIMETABLE = "09:12 platform 4\n09:40 platform 7\n"

Cancel = Callable[["subprocess.Popen[bytes]"], bool]


@dataclass(frozen=True, slots=True)
class Ran:
    """One prompt: the exit code, and what the client printed as it means it."""

    code: int
    text: str | None = None  # what a person reads at the end
    ending: tuple[Any, ...] = ()  # how the client says that it ended
    shown: tuple[str, ...] = ()  # everything it showed, in order, markers included
    models: frozenset[str] = frozenset()  # which it was told that the answers came from
    errors: str = ""
    usage: tuple[int, int] | None = None  # tokens of all prompts, and those of all answers, as it was told


@dataclass
class Client(ABC):
    """A person's machine: a fresh home, a directory of work, and how the network is reached.

    `account` is part of the fake key, so that the provider knows whose cache and whose thoughts it sees.
    """

    program: Path
    folder: Path
    account: str
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    prompts: int = 0

    name: ClassVar[str]
    package: ClassVar[str]  # as scripts/install-client calls it
    version: ClassVar[str]  # which it installs unless told otherwise
    executable: ClassVar[str]
    trusts: ClassVar[tuple[str, ...]]  # variables that name a file of certificates to trust
    hosts: ClassVar[tuple[str, ...]] = ()  # whom it asks besides its provider
    pages: ClassVar[dict[str, Page]] = {}  # what it gets there: "GET /path" → exact answer
    scenarios: ClassVar[tuple[Scenario, ...]]
    besides: ClassVar[frozenset[str]] = frozenset()  # models that it asks for in some turns
    marked: ClassVar[bool] = True  # does router_marker=auto put markers in its texts?
    sums: ClassVar[bool] = False  # does it tell of the tokens of all prompts so far, not of the last one's?
    session: str = ""  # the client's own id of the conversation

    def __post_init__(self) -> None:
        for name in ("home", "work", "tmp"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "work" / "timetable.txt").write_text(TIMETABLE)
        self.furnish(self.folder / "home")

    # ------------------------------------------------------------ what each client has of its own

    def furnish(self, home: Path) -> None:  # noqa: B027 — most need nothing
        """Put into the fresh home what keeps the client from asking anybody."""

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """Its key, and what switches off updates."""

    @abstractmethod
    def arguments(self, text: str, resume: str) -> list[str]:
        """The command line of a prompt. `resume`: "" begins, "latest" and "id" go on."""

    @abstractmethod
    def read(self, code: int, lines: Sequence[Mapping[str, Any]], errors: str) -> Ran:
        """What the lines of JSON mean that it printed."""

    @classmethod
    @abstractmethod
    def run(cls, command: str) -> Call:
        """A call of its tool for shell commands."""

    @classmethod
    def both(cls) -> tuple[Call, ...]:
        """Two calls at once that change nothing."""
        return cls.run("wc -l timetable.txt"), cls.run("cat timetable.txt")

    # ------------------------------------------------------------ what all have in common

    @classmethod
    def find(cls) -> Path | None:
        """The program that scripts/install-client installed, or the one that a variable names."""
        if named := os.environ.get(cls.variable()):
            return Path(named)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        installed = cache / "pointsman" / "clients" / f"{cls.package}-{cls.version}"
        program = installed / "node_modules" / ".bin" / cls.executable
        return program if (installed / "installed").is_file() else None

    @classmethod
    def variable(cls) -> str:
        """POINTSMAN_CODEX and the like."""
        return f"POINTSMAN_{cls.executable.upper()}"

    def prompt(self, text: str, resume: str = "", cancel: Cancel | None = None) -> Ran:
        """Run it once; as soon as `cancel` says so, it gets what Ctrl-C sends."""
        self.prompts += 1
        out, err = (self.folder / f"{self.prompts:02d}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*self.prefix, str(self.program), *self.arguments(text, resume)],
                cwd=self.folder / "work",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # a terminal's Ctrl-C reaches all that a client has started
            )
            try:
                if cancel is not None and cancel(process):
                    _signal(process, signal.SIGINT)
                code = process.wait(PROMPT_SECONDS)
            finally:
                _signal(process, signal.SIGKILL)
                process.wait()
        lines = [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]
        return self.read(code, lines, err.read_text(errors="replace"))

    def keeps(self, text: str) -> bool:
        """Does any file at home hold it, in whatever form?"""
        found = (self.folder / "home").rglob("*")
        files = [path for path in found if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
        forms = (text.encode(), json.dumps(text)[1:-1].encode())
        return any(form in _content(path) for path in files for form in forms)

    def _environment(self) -> dict[str, str]:
        """Nothing of the tester's own environment but PATH, so that no real key can be used."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "TMPDIR": str(self.folder / "tmp"),
            **self.variables(),
            **self.environment,
        }


def _content(path: Path) -> bytes:
    """The bytes of a file; of a database only what is in its rows, not what was deleted from them."""
    data = path.read_bytes()
    if not data.startswith(b"SQLite format 3"):
        return data
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        rows = [row for (name,) in tables for row in connection.execute(f'SELECT * FROM "{name}"')]
    return b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # all of them have ended


def unmarked(text: str | None) -> str | None:
    """None where there is nothing but a marker: without it, nothing would have been said."""
    return text if not text or SENTINEL not in text else MARKER.sub("", text) or None


def last_words(said: Sequence[str]) -> str | None:
    """The last text that is more than a marker."""
    return next((text for text in reversed(said) if MARKER.sub("", text)), None)


def page(text: str, status: int = 200) -> Page:
    return Page(text.encode(), status, {"content-type": "application/json"})
