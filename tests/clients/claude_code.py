"""Real Claude Code, run without a person."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = "2.1.197"  # which scripts/install-claude-code installs unless told otherwise
PROMPT_SECONDS = 60.0
TOOLS = "Bash,Read"


def find_claude() -> Path | None:
    """The program that scripts/install-claude-code installed, or the one that POINTSMAN_CLAUDE names."""
    if named := os.environ.get("POINTSMAN_CLAUDE"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    installed = cache / "pointsman" / "clients" / f"claude-code-{VERSION}"
    return installed / "node_modules" / ".bin" / "claude" if (installed / "installed").is_file() else None


@dataclass(frozen=True, slots=True)
class Ran:
    """One `claude -p`: its exit code and what it printed."""

    code: int
    lines: tuple[Mapping[str, Any], ...]
    errors: str

    @property
    def result(self) -> Mapping[str, Any]:
        """The closing line of stream-json; empty if the program was ended before it."""
        return next((line for line in reversed(self.lines) if line.get("type") == "result"), {})

    @property
    def text(self) -> str | None:
        """What `claude -p` prints without stream-json."""
        return self.result.get("result")

    @property
    def ending(self) -> tuple[Any, ...]:
        keys = ("subtype", "is_error", "num_turns", "stop_reason", "api_error_status")
        return tuple(self.result.get(key) for key in keys)

    @property
    def blocks(self) -> list[Mapping[str, Any]]:
        """All content blocks of the assistant, in order."""
        messages = [line["message"] for line in self.lines if line.get("type") == "assistant"]
        return [block for message in messages for block in message["content"]]

    @property
    def models(self) -> set[str]:
        """The models that the answers claimed to come from; the program's own messages left out."""
        named = {line["message"].get("model", "") for line in self.lines if line.get("type") == "assistant"}
        return named - {"<synthetic>"}


@dataclass
class ClaudeCode:
    """A person's machine: a fresh home, a directory of work, and how the network is reached."""

    program: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    prompts: int = 0

    def __post_init__(self) -> None:
        for name in ("home", "work", "tmp"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "work" / "timetable.txt").write_text("09:12 platform 4\n09:40 platform 7\n")

    @property
    def transcripts(self) -> list[Path]:
        return sorted((self.folder / "home").glob(".claude/projects/*/*.jsonl"))

    def prompt(
        self, text: str, *options: str, cancel: Callable[[subprocess.Popen[bytes]], bool] | None = None
    ) -> Ran:
        """`claude -p text options…`; once `cancel` says so, it gets what Ctrl-C sends."""
        self.prompts += 1
        out, err = (self.folder / f"{self.prompts:02d}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*self.prefix, str(self.program), "-p", text, *self._always(), *options],
                cwd=self.folder / "work",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
            try:
                if cancel is not None and cancel(process):
                    process.send_signal(signal.SIGINT)
                code = process.wait(PROMPT_SECONDS)
            finally:
                process.kill()
                process.wait()
        lines = tuple(json.loads(line) for line in out.read_text().splitlines() if line.startswith("{"))
        return Ran(code, lines, err.read_text(errors="replace"))

    def _always(self) -> list[str]:
        return ["--output-format", "stream-json", "--verbose", "--allowedTools", TOOLS]

    def _environment(self) -> dict[str, str]:
        """Nothing of the tester's own environment but PATH, so that no real key can be used."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "CLAUDE_CODE_TMPDIR": str(self.folder / "tmp"),
            "ANTHROPIC_API_KEY": "sk-ant-api03-tester",
            "DISABLE_AUTOUPDATER": "1",
            **self.environment,
        }
