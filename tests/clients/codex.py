"""Real Codex."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from clients.client import Client, Ran, last_words, page
from clients.script import (
    ASK,
    PLAN,
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
from provider.answers import Call, Fault, Page

# Its own sandbox needs namespaces that containers do not give; the fresh directory of work is enough here.
NUMBERS = re.compile(r"(, cf-ray: \S+)?, request id: \w+")  # of the request, in what it says of an error
CONFIG = 'sandbox_mode = "danger-full-access"\n'


@dataclass
class Codex(Client):
    """`codex exec --json`. It talks to the Responses API, over a WebSocket as long as it is not refused."""

    name = "codex"
    package = "codex"
    version = "0.169.0"
    executable = "codex"
    trusts = ("SSL_CERT_FILE",)
    sums = True
    hosts = ("chatgpt.com", "ab.chatgpt.com", "api.github.com")
    # It asks for all of this at its start, and does without any of it.
    pages: ClassVar[dict[str, Page]] = {
        "GET /v1/responses": page('{"error":{"message":"Upgrade Required"}}', 426),  # no WebSocket here
        "GET /backend-api/codex/models": page('{"models":[]}'),
        "GET /backend-api/plugins/export/curated": page('{"detail":"Not Found"}', 404),
        "GET /repos/openai/plugins": page('{"message":"Not Found"}', 404),
        "POST /otlp/v1/metrics": page("{}"),
    }

    def furnish(self, home: Path) -> None:
        (home / ".codex").mkdir()
        (home / ".codex" / "config.toml").write_text(CONFIG)

    def variables(self) -> dict[str, str]:
        return {"CODEX_API_KEY": f"sk-proj-{self.account}"}

    def arguments(self, text: str, resume: str) -> list[str]:
        always = ["--json", "--skip-git-repo-check", text]
        if not resume:
            return ["exec", *always]
        return ["exec", "resume", "--last" if resume == "latest" else self.session, *always]

    def read(self, code: int, lines: Sequence[Mapping[str, Any]], errors: str) -> Ran:
        self.session = next((line["thread_id"] for line in lines if "thread_id" in line), self.session)
        items = [line["item"] for line in lines if line.get("type") == "item.completed"]
        said = [item["text"] for item in items if item["type"] == "agent_message"]
        ends = [line for line in lines if line.get("type") in ("error", "turn.completed", "turn.failed")]
        return Ran(
            code,
            text=last_words(said),
            ending=tuple(_ending(line) for line in ends),
            shown=tuple(_shown(item) for item in items),
            errors=errors,
            usage=_usage(ends[-1]) if ends else None,
        )

    @classmethod
    def run(cls, command: str) -> Call:
        """Its one tool is a script; what that calls is no business of the model's API."""
        return Call("exec", f"text(await tools.exec_command({{cmd: {json.dumps(command)}}}))")


def _usage(end: Mapping[str, Any]) -> tuple[int, int]:
    told = end.get("usage") or {}
    return told.get("input_tokens", 0), told.get("output_tokens", 0)


def _ending(line: Mapping[str, Any]) -> str:
    """The message of an error; that a turn is complete, without its counts of tokens."""
    message = (line.get("error") or line).get("message", "")
    return f"{line['type']} {NUMBERS.sub('', message)}".rstrip()


def _shown(item: Mapping[str, Any]) -> str:
    said = item.get("text") or item.get("command", "")
    return f"{item['type']} {said} {item.get('exit_code', '')}".rstrip()


LOOK, COUNT = look(Codex.run("cat timetable.txt")), look(Codex.run("wc -l timetable.txt"))

# What breaks off does so without reasoning. Codex keeps a reasoning item after which its stream broke, and
# sends it again without what it belongs to; the stand-in refuses that, and if the service does is not known.
Codex.scenarios = (
    Scenario("plain", (Turn(ASK, (LOOK, say("09:12")), resume=""), Turn(THANKS, (COUNT, say("09:40"))))),
    Scenario(
        "429",
        (
            Turn(ASK, (limited(1), LOOK, limited(1), limited(2), say("09:12")), resume=""),
            Turn(THANKS, (limited(),)),  # without retry-after it gives up
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "5xx",
        (
            Turn(ASK, (Fault(500), Fault(503), LOOK, Fault(503), say("09:12")), resume=""),
            Turn(PLAN, (Fault(529), LOOK, say("It is not."))),
        ),
    ),
    Scenario(
        "error in the stream",
        (
            Turn(ASK, (unthought(broken(1)), LOOK, unthought(broken(4)), say("09:12")), resume=""),
            Turn(PLAN, (unthought(broken(9)), LOOK, unthought(broken(6)), say("It is not."))),
            Turn(THANKS, (unthought(broken(3, "server_is_overloaded")),)),  # at which it gives up
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "error in every stream",
        (Turn(ASK, (LOOK, *[unthought(broken(5))] * 6), resume=""), Turn(THANKS, (say("09:40"),))),
    ),
    Scenario(
        "connection cut",
        (
            Turn(ASK, (unthought(cut(6)), LOOK, unthought(cut(2)), say("09:12")), resume=""),
            Turn(THANKS, (unthought(cut(9)), say("09:40"))),
        ),
    ),
    Scenario(
        "cancel",
        (
            Turn(ASK, (unthought(hanging(6)),), resume="", cancel=True),
            Turn(THANKS, (LOOK, say("09:40"))),
            Turn(PLAN, (LOOK, unthought(hanging(6))), cancel=True),
            Turn(ASK, (say("09:12"),)),
        ),
    ),
    Scenario(
        "resume",
        (
            Turn(ASK, (LOOK, say("09:12")), resume=""),
            Turn(PLAN, (look(Codex.run("ls")), LOOK, say("It is not."))),
            Turn(THANKS, (COUNT, say("09:40")), resume="id"),
            Turn(ASK, (say("As I said, 09:12."),), resume="id"),
        ),
    ),
    Scenario(
        "refused",
        (
            Turn(ASK, (Fault(400, "This request is refused by a policy"),), resume=""),
            Turn(THANKS, (Fault(403, "Your account does not have access"), say("09:40")), resume=""),
        ),
    ),
)
