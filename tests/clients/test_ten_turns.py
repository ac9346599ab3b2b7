"""Real Claude Code for ten turns with tool calls, as a person would use it: nothing but the proxy between."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients.claude_code import ClaudeCode, Ran
from clients.compare import table
from clients.line import Line, bare_line, pointsman_line
from clients.scenarios import ASK, Seen, look, say
from pointsman import trust
from provider.answers import Answer, Call, Text
from provider.standin import SENTINEL, Record

pytestmark = pytest.mark.slow

PROMPTS = (
    ASK,
    "thanks, and the second one?",
    "Prove that the greedy order of departures minimises the maximum lateness, or give a counterexample, and "
    "derive the complexity of the exact algorithm when platforms have precedence constraints.",
    "Write a bash one-liner that prints only the platform numbers.",
    "Translate the timetable into French and German.",
    "There is a race when two dispatchers change the timetable at once. Design a lock-free protocol with "
    " optimistic concurrency, prove that it is linearizable, and implement it in Rust without unsafe.",
    "what is 17 * 23?",
    "Refactor the parser of this file into a module with types and tests, and explain each design decision.",
    "Write a haiku about platform 4.",
    "Derive the posterior of the delay under a Gamma prior with exponential likelihood, and show each step.",
)
MINUTES = "minutes.txt"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a conversation left: the runs, and for each turn what reached the provider."""

    runs: tuple[Ran, ...]
    turns: tuple[tuple[Record, ...], ...]
    client: ClaudeCode

    @property
    def main(self) -> list[Record]:
        return [record for turn in self.turns for record in turn]

    @property
    def models(self) -> list[str]:
        """The model of each turn; fails if a tool loop changed it."""
        per_turn = [{record.model for record in turn} for turn in self.turns]
        assert all(len(models) == 1 for models in per_turn), per_turn
        return [models.pop() for models in per_turn]

    def seen(self) -> Seen:
        return Seen(self.runs, tuple(self.main), tuple(self.main), None, 0)


def script(number: int) -> tuple[Answer, ...]:
    """Every turn calls tools: one, two at once, one that fails, or a chain of three."""
    both = Answer(
        (
            Text("Two things at once."),
            Call("Bash", {"command": "wc -l timetable.txt", "description": "Count"}),
            Call("Read", {"file_path": "timetable.txt"}),
        )
    )
    silent = Answer((Call("Bash", {"command": f"echo {number} >> {MINUTES}", "description": "Note"}),))
    tools = ((look(),), (both,), (look("cat no-such-file"), silent), (silent, look(), both))[number % 4]
    return (*tools, say(f"Answer number {number}."))


def converse(line: Line, claude: Path, folder: Path, prompts: Sequence[str] = PROMPTS) -> Conversation:
    client = line.plain().client(claude, folder)
    runs, turns = [], []
    for number, prompt in enumerate(prompts):
        before = len(line.provider.records)
        line.provider.script(*script(number))
        runs.append(client.prompt(prompt, *(["--continue"] if number else [])))
        turns.append(tuple(line.provider.main(before)))
    assert not line.provider.steps
    return Conversation(tuple(runs), tuple(turns), client)


def rows(line: Line) -> list[dict[str, Any]]:
    """The decisions on main turns, in the order in which they were made."""
    connection = sqlite3.connect(f"file:{line.database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    found = connection.execute("SELECT * FROM decisions WHERE turn = 'main' ORDER BY at, id").fetchall()
    connection.close()
    return [dict(row) for row in found]


def check(line: Line, found: Conversation, asked: str) -> None:
    line.provider.check()
    assert [run.code for run in found.runs] == [0] * len(PROMPTS), [run.errors for run in found.runs]
    assert [run.text for run in found.runs] == [f"Answer number {number}." for number in range(len(PROMPTS))]
    assert [len(turn) for turn in found.turns] == [len(script(number)) for number in range(len(PROMPTS))]
    assert {record.status for record in found.main} == {200}
    # What the client is told is what it asked for, or it would ask for the other one when it goes on.
    assert {model for run in found.runs for model in run.models} == {asked}
    assert (found.client.folder / "work" / MINUTES).read_text() == "2\n3\n6\n7\n"


def check_decisions(line: Line, found: Conversation, asked: str) -> None:
    """The database knows each request, its model and its usage as the provider does."""
    made = rows(line)
    assert {row["requested_model"] for row in made} == {asked}
    assert [row["served_model"] for row in made] == [record.model for record in found.main]
    assert all(record.counted and record.message for record in found.main)
    known = [(row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) for row in made]
    counts = [(each.counted, each.message) for each in found.main]
    assert known == [(one.input, one.read, two.output_tokens) for one, two in counts if one and two]
    assert {row["complete"] for row in made} == {1}


@pytest.fixture(scope="module")
def bare(claude: Path, asked: str, tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    folder = tmp_path_factory.mktemp("ten") / "bare"
    with bare_line(folder) as line:
        found = converse(line, claude, folder / "client")
        check(line, found, asked)
    return found


def test_shipped_policy(
    claude: Path, asked: str, bare: Conversation, tables: list[str], tmp_path: Path
) -> None:
    with pointsman_line(tmp_path / "line") as line:
        authority = trust.load(tmp_path / "line" / "conf")
        assert authority is not None and authority.constrained
        found = converse(line, claude, tmp_path / "client")
        tables.append(table([("ten turns", "bare", bare.seen()), ("ten turns", "pointsman", found.seen())]))
        check(line, found, asked)
        check_decisions(line, found, asked)
    assert set(found.models) - {asked}, "the prompts no longer show a change of model"
    transcript = b"".join(path.read_bytes() for path in found.client.transcripts)
    assert SENTINEL.encode() not in transcript  # thinking is on, where a marker in the text would do harm


def test_text_marker_and_a_model_that_takes_less(
    claude: Path, asked: str, bare: Conversation, tables: list[str], tmp_path: Path, haiku_config: str
) -> None:
    """Haiku 4.5 takes no adaptive thinking, no effort and no system role: each main turn is adapted."""
    with pointsman_line(tmp_path / "line", "haiku", haiku_config, router_marker="text") as line:
        found = converse(line, claude, tmp_path / "client")
        tables.append(table([("ten turns, text marker", "haiku", found.seen())]))
        check(line, found, asked)
        check_decisions(line, found, asked)
    assert set(found.models) == {"claude-haiku-4-5"}
    marked = [sum(SENTINEL in block.get("text", "") for block in run.blocks) for run in found.runs]
    assert marked == [len(turn) for turn in found.turns]
