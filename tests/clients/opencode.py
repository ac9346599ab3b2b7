"""Real opencode, which talks to many providers: here to Anthropic, and to OpenAI over Responses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from clients.client import Client, Ran, last_words
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
from provider.answers import Call, Fault

# A lock that already has what opencode installs at its start keeps it from asking npm.
LOCK = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}


@dataclass
class Opencode(Client):
    """`opencode run --format json`, with the model named: without that it would take its own service's."""

    package = "opencode"
    version = "1.18.33"
    executable = "opencode"
    trusts = ("NODE_EXTRA_CA_CERTS",)
    model: ClassVar[str]

    def furnish(self, home: Path) -> None:
        config = home / ".config" / "opencode"
        (config / "node_modules").mkdir(parents=True)
        (config / "package-lock.json").write_text(json.dumps(LOCK))

    def variables(self) -> dict[str, str]:
        return {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}

    def arguments(self, text: str, resume: str) -> list[str]:
        always = ["run", "--format", "json", "--model", self.model, text]
        if not resume:
            return always
        return [*always, *(["--continue"] if resume == "latest" else ["--session", self.session])]

    def read(self, code: int, lines: Sequence[Mapping[str, Any]], errors: str) -> Ran:
        self.session = next((line["sessionID"] for line in lines if "sessionID" in line), self.session)
        said = [line["part"]["text"] for line in lines if line["type"] == "text"]
        failed = [line["error"] for line in lines if line["type"] == "error"]
        ended = [line["part"]["reason"] for line in lines if line["type"] == "step_finish"]
        return Ran(
            code,
            text=last_words(said),
            ending=(*ended, *(f"{each['name']} {each['data'].get('message', '')}" for each in failed)),
            shown=tuple(shown for line in lines if (shown := _shown(line))),
            errors=errors,
        )

    @classmethod
    def run(cls, command: str) -> Call:
        return Call("bash", {"command": command, "description": "Look"})


LOOK, COUNT = look(Opencode.run("cat timetable.txt")), look(Opencode.run("wc -l timetable.txt"))


def scenarios(begun: int) -> tuple[Scenario, ...]:
    """`begun`: after how many events there is something of the answer.

    Few prompts for much, since it takes seconds to start. It never runs out of retries: after the fourth it
    tries twice a minute. Ctrl-C ends it at once: what it has written down of an answer is a matter of luck.
    What it has of a broken answer it sends along with the results of the next tools, and Anthropic refuses
    half a thought, with no proxy at all: so such a break comes after the last tool.
    """
    return (
        Scenario(
            "429 and 5xx",
            (Turn(ASK, (limited(1), Fault(500), LOOK, limited(), say("09:12")), resume=""),),
        ),
        Scenario("overload", (Turn(ASK, (Fault(503), LOOK, Fault(529), say("09:12")), resume=""),)),
        Scenario(
            "error in the stream",
            (Turn(ASK, (broken(1), LOOK, broken(4), broken(8), say("09:12")), resume=""),),
        ),
        Scenario("error in three streams", (Turn(ASK, (*[broken(5)] * 3, say("09:12")), resume=""),)),
        Scenario(
            "connection cut",
            (Turn(ASK, (cut(6), LOOK, cut(3), say("09:12")), resume=""),),
            races=("messages",),
        ),
        Scenario(
            "cancel",
            (
                Turn(ASK, (hanging(begun),), resume="", cancel=True),
                Turn(THANKS, (LOOK, say("09:40"))),
                Turn(PLAN, (LOOK, hanging(begun)), cancel=True),
                Turn(ASK, (say("09:12"),)),
            ),
            races=("messages",),
        ),
        Scenario(
            "resume",
            (
                Turn(ASK, (LOOK, say("09:12")), resume=""),
                Turn(PLAN, (look(Opencode.run("ls")), LOOK, say("It is not."))),
                Turn(THANKS, (COUNT, say("09:40")), resume="id"),
                Turn(ASK, (say("As I said, 09:12."),), resume="id"),
            ),
        ),
        REFUSED,
    )


@dataclass
class OpencodeAnthropic(Opencode):
    name = "opencode-anthropic"
    model = "anthropic/claude-opus-5"  # which thinks without being asked to
    marked = False
    scenarios = scenarios(begun=6)

    def variables(self) -> dict[str, str]:
        return {**super().variables(), "ANTHROPIC_API_KEY": f"sk-ant-api03-{self.account}"}


@dataclass
class OpencodeOpenai(Opencode):
    name = "opencode-openai"
    model = "openai/gpt-6-sol"
    scenarios = scenarios(begun=9)

    def variables(self) -> dict[str, str]:
        return {**super().variables(), "OPENAI_API_KEY": f"sk-proj-{self.account}"}


def _shown(line: Mapping[str, Any]) -> str:
    """Without ids and times."""
    part = line.get("part", {})
    if line["type"] in ("text", "reasoning"):
        return f"{line['type']} {part['text']}"
    if line["type"] == "tool_use":
        state = part["state"]
        given, ended = json.dumps(state["input"]), f"{state['status']} {state.get('output', '')}"
        return f"tool_use {part['tool']} {given} {ended}"
    return ""
