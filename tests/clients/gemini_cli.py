"""Real Gemini CLI."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from clients.client import Client, Ran, page
from clients.script import (
    ASK,
    PLAN,
    REFUSED,
    THANKS,
    Scenario,
    Turn,
    broken,
    cut,
    hanging,
    limited,
    look,
    say,
)
from provider.answers import Call, Fault, Page

ATTEMPTS = 2  # of 10, since it waits for longer and longer between them
SETTINGS = {"general": {"maxAttempts": ATTEMPTS, "enableAutoUpdate": False}}


@dataclass
class GeminiCli(Client):
    """`gemini -p … --output-format stream-json`. A small model classifies each prompt beforehand."""

    name = "gemini-cli"
    package = "gemini-cli"
    version = "0.61.0"
    executable = "gemini"
    trusts = ("NODE_EXTRA_CA_CERTS",)
    hosts = ("play.googleapis.com",)
    # Its classifier sees the last messages only, and is refused where they begin with a call.
    # Then it asks for this one.
    besides = frozenset({"gemini-3.1-pro-preview"})
    pages: ClassVar[dict[str, Page]] = {"POST /log": page("[]")}

    def furnish(self, home: Path) -> None:
        (home / ".gemini").mkdir()
        (home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))

    def variables(self) -> dict[str, str]:
        # Without a second process of its own, which has more memory and the same manners.
        return {"GEMINI_API_KEY": f"AIzaSy{self.account}", "GEMINI_CLI_NO_RELAUNCH": "true"}

    def arguments(self, text: str, resume: str) -> list[str]:
        always = ["--skip-trust", "--approval-mode", "yolo", "--output-format", "stream-json", "-p", text]
        if resume:
            return [*always, "--resume", "latest" if resume == "latest" else self.session]
        self.session = str(uuid.uuid4())
        return [*always, "--session-id", self.session]

    def read(self, code: int, lines: Sequence[Mapping[str, Any]], errors: str) -> Ran:
        result = next((line for line in reversed(lines) if line.get("type") == "result"), {})
        models = (result.get("stats") or {}).get("models") or {}
        return Ran(
            code,
            text=_last_words(lines),
            ending=(result.get("status"), (result.get("error") or {}).get("message")),
            shown=tuple(_shown(lines)),
            models=frozenset(models),
            errors=errors,
        )

    @classmethod
    def run(cls, command: str) -> Call:
        return Call("run_shell_command", {"command": command, "description": "Look"})


def _last_words(lines: Sequence[Mapping[str, Any]]) -> str | None:
    """What the model said after the last tool; the client prints it piece by piece."""
    said: list[str] = []
    for line in lines:
        if line.get("type") == "tool_result":
            said.clear()
        elif line.get("type") == "message" and line.get("role") == "assistant":
            said.append(line["content"])
    return "".join(said) if said else None


def _shown(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Pieces of text joined, since where they break is the network's doing."""
    found: list[str] = []
    for line in lines:
        if line.get("type") == "message" and line.get("role") == "assistant":
            if found and found[-1].startswith("text "):
                found[-1] += line["content"]
            else:
                found.append(f"text {line['content']}")
        elif line.get("type") == "tool_use":
            found.append(f"tool_use {line['tool_name']} {json.dumps(line['parameters'])}")
        elif line.get("type") == "tool_result":
            found.append(f"tool_result {line['status']} {line.get('output', '')}")
        elif line.get("type") == "error":
            found.append(f"error {line['message']}")
    return found


LOOK, COUNT = look(GeminiCli.run("cat timetable.txt")), look(GeminiCli.run("wc -l timetable.txt"))

GeminiCli.scenarios = (
    Scenario("plain", (Turn(ASK, (LOOK, say("09:12")), resume=""), Turn(THANKS, (COUNT, say("09:40"))))),
    Scenario("429", (Turn(ASK, (limited(1), LOOK, limited(), say("09:12")), resume=""),)),
    Scenario("5xx", (Turn(ASK, (Fault(500), LOOK, Fault(503), say("09:12")), resume=""),)),
    Scenario(
        "error in the stream",
        (
            Turn(ASK, (broken(0), LOOK, say("09:12")), resume=""),
            Turn(PLAN, (broken(3), LOOK, broken(2))),  # after a tool's result it is content with what it has
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "error in every stream",
        (Turn(ASK, (*[broken(2)] * ATTEMPTS,), resume=""), Turn(THANKS, (say("09:40"),))),
    ),
    Scenario(
        "connection cut",
        (Turn(ASK, (LOOK, cut(2)), resume=""), Turn(THANKS, (say("09:40"),))),
    ),
    Scenario(
        "cancel",
        (
            Turn(ASK, (hanging(2),), resume="", cancel=True),
            Turn(THANKS, (LOOK, say("09:40"))),
            Turn(PLAN, (LOOK, hanging(2)), cancel=True),
            Turn(ASK, (say("09:12"),)),
        ),
    ),
    Scenario(
        "resume",
        (
            Turn(ASK, (LOOK, say("09:12")), resume=""),
            Turn(PLAN, (look(GeminiCli.run("ls")), LOOK, say("It is not."))),
            Turn(THANKS, (COUNT, say("09:40")), resume="id"),
            Turn(ASK, (say("As I said, 09:12."),), resume="id"),
        ),
    ),
    REFUSED,
    Scenario("out of retries", (Turn(ASK, (*[Fault(503)] * ATTEMPTS,), resume=""),)),
)
