"""Real Claude Code."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    unthought,
)
from provider.answers import Answer, Call, Page, overloaded


@dataclass
class ClaudeCode(Client):
    """`claude -p … --output-format stream-json`."""

    name = "claude-code"
    package = "claude-code"
    version = "2.1.197"
    executable = "claude"
    trusts = ("NODE_EXTRA_CA_CERTS",)
    marked = False
    # Claude Code asks again for five seconds when this one is not of the right shape.
    pages: ClassVar[dict[str, Page]] = {"GET /api/claude_code/policy_limits": page('{"restrictions":{}}')}

    def variables(self) -> dict[str, str]:
        return {
            "CLAUDE_CODE_TMPDIR": str(self.folder / "tmp"),
            "ANTHROPIC_API_KEY": f"sk-ant-api03-{self.account}",
            "DISABLE_AUTOUPDATER": "1",
        }

    def arguments(self, text: str, resume: str) -> list[str]:
        always = ["-p", text, "--output-format", "stream-json", "--verbose", "--allowedTools", "Bash,Read"]
        if resume == "latest":
            return [*always, "--continue"]
        if resume:
            return [*always, "--resume", self.session]
        self.session = str(uuid.uuid4())
        return [*always, "--session-id", self.session]

    def read(self, code: int, lines: Sequence[Mapping[str, Any]], errors: str) -> Ran:
        result = next((line for line in reversed(lines) if line.get("type") == "result"), {})
        messages = [line["message"] for line in lines if line.get("type") == "assistant"]
        keys = ("subtype", "is_error", "num_turns", "stop_reason", "api_error_status")
        return Ran(
            code,
            text=result.get("result"),
            ending=tuple(result.get(key) for key in keys),
            shown=tuple(_shown(block) for message in messages for block in message["content"]),
            # The program's own messages name no model.
            models=frozenset(message.get("model", "") for message in messages) - {"<synthetic>"},
            errors=errors,
            usage=_usage(result.get("usage") or {}),
        )

    @classmethod
    def run(cls, command: str) -> Call:
        return Call("Bash", {"command": command, "description": "Look"})

    @classmethod
    def both(cls) -> tuple[Call, ...]:
        return cls.run("wc -l timetable.txt"), Call("Read", {"file_path": "timetable.txt"})


def _usage(told: Mapping[str, Any]) -> tuple[int, int]:
    keys = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(told.get(key) or 0 for key in keys), told.get("output_tokens") or 0


def _shown(block: Mapping[str, Any]) -> str:
    """Without ids and signatures."""
    return f"{block['type']} {block.get('text') or block.get('input', '')}"


LOOK, COUNT = look(ClaudeCode.run("cat timetable.txt")), look(ClaudeCode.run("wc -l timetable.txt"))
CALL = Answer((ClaudeCode.run("date"),))
THOUGHTLESS = unthought(say("09:40"))

ClaudeCode.scenarios = (
    Scenario("plain", (Turn(ASK, (LOOK, say("09:12")), resume=""), Turn(THANKS, (COUNT, say("09:40"))))),
    Scenario(
        "429 with retry-after",
        (
            Turn(ASK, (limited(1), LOOK, limited(1), limited(2), say("09:12")), resume=""),
            Turn(THANKS, (limited(1), say("09:40"))),
        ),
    ),
    Scenario(
        "529",
        (
            Turn(ASK, (overloaded(), overloaded(), LOOK, overloaded(1), say("09:12")), resume=""),
            Turn(PLAN, (overloaded(), LOOK, say("It is not."))),
        ),
    ),
    Scenario(
        "overload in the stream",
        (
            Turn(ASK, (broken(1), LOOK, broken(4), say("09:12")), resume=""),
            Turn(THANKS, (broken(8),)),  # too late: something of the answer has been shown
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "overload in every stream",
        (
            Turn(ASK, (*[broken(5)] * 2, LOOK, *[broken(5)] * 3, say("09:12")), resume=""),
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "overload without thinking",
        (
            Turn(ASK, (unthought(broken(2)), unthought(LOOK), unthought(broken(3)), THOUGHTLESS), resume=""),
            Turn(THANKS, (unthought(replace(LOOK, overload_after=2)), THOUGHTLESS)),
            Turn(ASK, (unthought(replace(CALL, overload_after=5)), unthought(CALL), THOUGHTLESS)),
        ),
        # Claude Code 2.1.329 asks for a model that cannot go without thinking.
        {"MAX_THINKING_TOKENS": "0", "ANTHROPIC_MODEL": "claude-opus-4-8"},
    ),
    Scenario(
        "connection cut",
        (Turn(ASK, (cut(4), LOOK, say("09:12")), resume=""), Turn(THANKS, (say("09:40"),))),
        races=("streamed",),
    ),
    Scenario(
        "cancel",
        (
            Turn(ASK, (hanging(6),), resume="", cancel=True),
            Turn(THANKS, (LOOK, say("09:40"))),
            Turn(PLAN, (LOOK, hanging(6)), cancel=True),
            Turn(ASK, (say("09:12"),)),
        ),
    ),
    Scenario(
        "resume",
        (
            Turn(ASK, (LOOK, say("09:12")), resume=""),
            Turn(PLAN, (look(ClaudeCode.run("ls")), LOOK, say("It is not."))),
            Turn(THANKS, (COUNT, say("09:40")), resume="id"),
            Turn(ASK, (say("As I said, 09:12."),), resume="id"),
        ),
    ),
    REFUSED,
    Scenario(
        "out of retries",
        (Turn(ASK, (overloaded(), limited(1), overloaded()), resume=""),),
        {"CLAUDE_CODE_MAX_RETRIES": "2"},
    ),
)
