"""A conversation goes on when Pointsman is taken away in the middle of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clients.claude_code import ClaudeCode
from clients.line import Line, bare_line, pointsman_line
from clients.scenarios import ASK, PLAN, THANKS, look, say
from provider.answers import Fault
from provider.proxy import SCRIPT
from provider.standin import SENTINEL

pytestmark = pytest.mark.slow


def begin(line: Line, claude: Path, asked: str, folder: Path) -> ClaudeCode:
    """Three turns over Pointsman."""
    client = line.plain().client(claude, folder)
    for prompt in (ASK, PLAN, THANKS):
        line.provider.script(look(), say("09:12"))
        run = client.prompt(prompt, *(["--continue"] if prompt != ASK else []))
        assert (run.code, run.text) == (0, "09:12")
    line.provider.check()
    assert {record.model for record in line.provider.main()} != {asked}
    return client


def go_on(client: ClaudeCode, asked: str, folder: Path) -> None:
    """Two more turns without it; the provider checks that all thinking is where it was written."""
    with bare_line(folder) as line:
        client.environment = line.plain().environment
        for prompt in (PLAN, ASK):
            line.provider.script(look(), say("09:40"))
            run = client.prompt(prompt, "--continue")
            assert (run.code, run.text) == (0, "09:40")
        line.provider.check()
        served = [(record.model, record.status) for record in line.provider.main()]
        assert served == [(asked, 200)] * 4


def marked(client: ClaudeCode) -> bool:
    return any(SENTINEL in path.read_text() for path in client.transcripts)


def pointsman(*arguments: str, home: Path | None = None, given: str = "") -> str:
    """What the command line prints."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)} | ({"HOME": str(home)} if home else {})
    command = [sys.executable, "-m", "pointsman", *arguments]
    ran = subprocess.run(command, input=given, env=environment, check=True, capture_output=True, text=True)
    return ran.stdout


def test_nothing_to_clean_by_default(claude: Path, asked: str, tmp_path: Path) -> None:
    with pointsman_line(tmp_path / "line") as line:
        client = begin(line, claude, asked, tmp_path / "client")
    assert not marked(client)
    go_on(client, asked, tmp_path / "bare")


def test_text_markers_can_be_cleaned_away(claude: Path, asked: str, tmp_path: Path) -> None:
    with pointsman_line(tmp_path / "line", router_marker="text") as line:
        client = begin(line, claude, asked, tmp_path / "client")
    assert marked(client)
    pointsman("clean", "--no-backup", home=client.folder / "home")
    assert not marked(client)
    go_on(client, asked, tmp_path / "bare")


def test_status_line_knows_the_conversation(claude: Path, asked: str, tmp_path: Path) -> None:
    with pointsman_line(tmp_path / "line") as line:
        client = begin(line, claude, asked, tmp_path / "client")
        session = client.transcripts[0].stem
        given = json.dumps({"session_id": session})
        shown = pointsman("statusline", "--db", str(line.database), given=given)
        assert line.provider.main()[-1].model in shown


def test_a_refused_adaptation_is_taken_back_unseen(
    claude: Path, asked: str, haiku_config: str, tmp_path: Path
) -> None:
    """One more request at the provider, none at the client, and that model is not tried again."""
    refusal = Fault(400, "thinking.enabled: this model no longer takes a budget")
    with pointsman_line(tmp_path / "line", config=haiku_config) as line:
        client = line.plain().client(claude, tmp_path / "client")
        line.provider.script(refusal, look(), say("09:12"))
        first = client.prompt(ASK)
        line.provider.script(look(), say("09:40"))
        second = client.prompt(THANKS, "--continue")
        line.provider.check()
        served = [(record.model, record.status) for record in line.provider.main()]
    assert [(run.code, run.text) for run in (first, second)] == [(0, "09:12"), (0, "09:40")]
    assert served[:3] == [("claude-haiku-4-5", 400), (asked, 200), (asked, 200)]
    assert served[3] == served[4]
    assert served[4][0] != "claude-haiku-4-5" and served[4][1] == 200
