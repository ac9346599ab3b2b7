"""The status line: what served the conversation, why, and the saving; else an empty line, never an error."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pointsman.cli.main import main
from pointsman.session import hint_hash
from pointsman.store import Store
from pointsman.values import Decision, Outcome, TurnKind
from samples import DECISION

SESSION = "577f716b-db87-4c5c-bc2b-7bef1d30ef26"
MAIN = dataclasses.replace(
    DECISION,
    id="a",
    at=100.0,
    session="s",
    session_hint=hint_hash(SESSION),
    credential_fingerprint="f",
)
# As Claude Code 2.1 writes it.
STDIN = {
    "hook_event_name": "Status",
    "session_id": SESSION,
    "transcript_path": "/home/me/.claude/projects/-work/577f716b.jsonl",
    "cwd": "/work",
    "model": {"id": "claude-opus-4-8", "display_name": "Opus 4.8"},
    "workspace": {"current_dir": "/work", "project_dir": "/work"},
    "version": "2.1.197",
    "cost": {"total_cost_usd": 0.5, "total_duration_ms": 1000, "total_api_duration_ms": 900},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pointsman.sqlite"


def write(path: Path, *rows: tuple[Decision, Outcome]) -> None:
    store = Store(path)
    for decision, outcome in rows:
        store.record(decision)
        store.update(decision.id, outcome).result()
    store.close()


def line(path: Path, stdin: bytes | None = None) -> str:
    stdin = json.dumps(STDIN).encode() if stdin is None else stdin
    result = CliRunner().invoke(main, ["statusline", "--db", str(path)], input=stdin)
    assert result.exit_code == 0, result.output
    return result.output


def test_model_reason_and_saving_of_the_conversation(path: Path) -> None:
    title = dataclasses.replace(MAIN, id="t", at=300.0, turn=TurnKind.TITLE, served_model="claude-haiku-4-5")
    other = dataclasses.replace(MAIN, id="o", at=400.0, session_hint=hint_hash("other"), served_model="x")
    older = dataclasses.replace(
        MAIN, id="old", at=1.0, served_model="claude-opus-4-8", reason="mid tool loop"
    )
    count = dataclasses.replace(MAIN, id="c", at=500.0, endpoint="count_tokens")
    write(
        path,
        (older, Outcome(cost_usd=2.0, requested_cost_usd=2.0)),
        (MAIN, Outcome(cost_usd=0.5, requested_cost_usd=2.0)),
        (title, Outcome(cost_usd=0.25)),
        (other, Outcome(cost_usd=1.0, requested_cost_usd=9.0)),
        (count, Outcome(cost_usd=1.0, requested_cost_usd=9.0)),
    )
    assert line(path) == "✦ claude-sonnet-5 · best for this kind of prompt · saved $1.50 (38%)\n"


@pytest.mark.parametrize(
    ("cost", "requested", "end"),
    [
        (None, None, ""),
        (0.5, None, ""),
        (2.0, 2.0, " · no saving yet"),
        (0.01, 0.0125, " · saved $0.0025 (20%)"),
        (3.0, 2.0, " · cost more by $1.00 (50%)"),
    ],
)
def test_savings(path: Path, cost: float | None, requested: float | None, end: str) -> None:
    write(path, (MAIN, Outcome(status=200, cost_usd=cost, requested_cost_usd=requested)))
    assert line(path) == f"✦ claude-sonnet-5 · best for this kind of prompt{end}\n"


def test_a_clients_model_name_cannot_steer_the_terminal(path: Path) -> None:
    odd = dataclasses.replace(MAIN, served_model="x\x1b[2J\ny\u202e", reason="")
    write(path, (odd, Outcome()))
    assert line(path) == "✦ x[2Jy\n"


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"session_id": null}',
        b'{"session_id": ""}',
        b'{"session_id": "unheard-of"}',
    ],
)
def test_nothing_to_say_is_an_empty_line(path: Path, stdin: bytes) -> None:
    write(path, (MAIN, Outcome()), (dataclasses.replace(MAIN, id="nohint", session_hint=""), Outcome()))
    assert line(path, stdin) == "\n"


def test_a_broken_database_is_an_empty_line(path: Path, tmp_path: Path) -> None:
    assert line(path) == "\n"
    path.write_text("dear diary " * 100)
    assert line(path) == "\n"
    assert line(tmp_path) == "\n"


def test_it_needs_nothing_heavy(root: Path) -> None:
    code = "import sys, pointsman.cli.main, pointsman.cli.statusline as s; s._look_up\n"
    code += "import pointsman.session, pointsman.store.opening\n"
    code += "print(*sorted({'numpy', 'mitmproxy', 'rich', 'sqlite_utils', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root / "addon", capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
