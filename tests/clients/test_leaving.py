"""A conversation goes on when Pointsman is taken away in the middle of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clients.claude_code import ClaudeCode
from clients.client import Client, unmarked
from clients.kinds import PROGRAMS
from clients.line import Line, bare_line, pointsman_line
from clients.script import ASK, PLAN, THANKS, look, say
from provider.answers import Fault
from provider.inspection import SENTINEL
from provider.proxy import SCRIPT

pytestmark = pytest.mark.slow

needs_claude_code = pytest.mark.skipif(
    PROGRAMS[ClaudeCode] is None, reason="not installed; scripts/install-client claude-code does it"
)


def begin(line: Line, kind: type[Client], folder: Path) -> Client:
    """Three turns over Pointsman."""
    client = line.plain().client(kind, folder, "leaver")
    for prompt in (ASK, PLAN, THANKS):
        line.provider.script(look(kind.run("cat timetable.txt")), say("09:12"))
        run = client.prompt(prompt, "latest" if prompt != ASK else "")
        assert (run.code, unmarked(run.text)) == (0, "09:12")
    line.provider.check()
    return client


def go_on(client: Client, asked: str, folder: Path) -> None:
    """Two more turns without it; the provider checks that all thinking is where it was written."""
    with bare_line(folder) as line:
        front = line.plain()
        client.environment = front.environment | dict.fromkeys(client.trusts, str(front.ca_file))
        for prompt in (PLAN, ASK):
            line.provider.script(look(client.run("cat timetable.txt")), say("09:40"))
            run = client.prompt(prompt, "latest")
            assert (run.code, unmarked(run.text)) == (0, "09:40")
        line.provider.check()
        main = line.provider.main()
        assert [record.status for record in main] == [200] * 4
        assert {record.model for record in main} <= {asked, *client.besides}


def pointsman(*arguments: str, home: Path | None = None, given: str = "") -> str:
    """What the command line prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    environment |= {"PYTHONPATH": str(SCRIPT.parent)} | ({"HOME": str(home)} if home else {})
    command = [sys.executable, "-m", "pointsman", *arguments]
    ran = subprocess.run(command, input=given, env=environment, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_text_markers_can_be_cleaned_away(
    kind: type[Client], asked: str, forced_config: str, tmp_path: Path
) -> None:
    with pointsman_line(tmp_path / "line", config=forced_config, router_marker="text") as line:
        client = begin(line, kind, tmp_path / "client")
    assert client.keeps(SENTINEL)
    pointsman("clean", "--no-backup", home=client.folder / "home")
    assert not client.keeps(SENTINEL)
    go_on(client, asked, tmp_path / "bare")


@needs_claude_code
def test_nothing_to_clean_by_default(asked_of_claude_code: str, tmp_path: Path) -> None:
    with pointsman_line(tmp_path / "line") as line:
        client = begin(line, ClaudeCode, tmp_path / "client")
        assert {record.model for record in line.provider.main()} != {asked_of_claude_code}
    assert not client.keeps(SENTINEL)
    go_on(client, asked_of_claude_code, tmp_path / "bare")


@needs_claude_code
def test_status_line_knows_the_conversation(tmp_path: Path) -> None:
    with pointsman_line(tmp_path / "line") as line:
        client = begin(line, ClaudeCode, tmp_path / "client")
        given = json.dumps({"session_id": client.session})
        shown = pointsman("statusline", "--db", str(line.database), given=given)
        assert line.provider.main()[-1].model in shown


@needs_claude_code
def test_a_refused_adaptation_is_taken_back_unseen(
    asked_of_claude_code: str, forced_config: str, tmp_path: Path
) -> None:
    """One more request at the provider, none at the client, and that model is not tried again."""
    asked, refusal = asked_of_claude_code, Fault(400, "thinking.enabled: this model no longer takes a budget")
    see = look(ClaudeCode.run("cat timetable.txt"))
    with pointsman_line(tmp_path / "line", config=forced_config) as line:
        client = line.plain().client(ClaudeCode, tmp_path / "client", "refused")
        line.provider.script(refusal, see, say("09:12"))
        first = client.prompt(ASK)
        line.provider.script(see, say("09:40"))
        second = client.prompt(THANKS, "latest")
        line.provider.check()
        served = [(record.model, record.status) for record in line.provider.main()]
    assert [(run.code, run.text) for run in (first, second)] == [(0, "09:12"), (0, "09:40")]
    assert served[:3] == [("claude-haiku-4-5", 400), (asked, 200), (asked, 200)]
    assert served[3] == served[4]
    assert served[4][0] != "claude-haiku-4-5" and served[4][1] == 200
