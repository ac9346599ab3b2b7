"""Real clients for ten turns with tool calls, as a person would use them: nothing but the proxy between."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients.client import Client, Ran, unmarked
from clients.compare import table
from clients.line import Line, pointsman_line
from clients.play import Seen
from clients.script import ASK, look, say
from pointsman import trust
from provider.answers import Answer, Text
from provider.inspection import SENTINEL
from provider.record import Record

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
    """What a conversation left: the runs, for each turn what reached the provider, and the decisions."""

    line: Line
    client: Client
    runs: tuple[Ran, ...]
    turns: tuple[tuple[Record, ...], ...]
    decisions: tuple[dict[str, Any], ...]

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


def script(kind: type[Client], number: int) -> tuple[Answer, ...]:
    """Every turn calls tools: one, two at once, one that fails, or a chain of three."""
    cat = look(kind.run("cat timetable.txt"))
    both = Answer((Text("Two things at once."), *kind.both()))
    silent = Answer((kind.run(f"echo {number} >> {MINUTES}"),))
    fails = look(kind.run("cat no-such-file"))
    tools = ((cat,), (both,), (fails, silent), (silent, cat, both))[number % 4]
    return (*tools, say(f"Answer number {number}."))


def converse(line: Line, kind: type[Client], folder: Path) -> Conversation:
    client = line.plain().client(kind, folder / line.name, uuid.uuid4().hex)
    before = newest(line)
    runs, turns = [], []
    for number, prompt in enumerate(PROMPTS):
        first = len(line.provider.records)
        line.provider.script(*script(kind, number))
        runs.append(client.prompt(prompt, "latest" if number else ""))
        turns.append(tuple(line.provider.main(first)))
    assert not line.provider.steps, runs
    return Conversation(line, client, tuple(runs), tuple(turns), tuple(rows(line, before)))


def newest(line: Line) -> str:
    found = rows(line, "")
    return found[-1]["id"] if found else ""


def rows(line: Line, after: str) -> list[dict[str, Any]]:
    """The decisions on main turns after the one with that id, in the order in which they were made."""
    if not line.database.is_file():
        return []
    connection = sqlite3.connect(f"file:{line.database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    statement = "SELECT * FROM decisions WHERE turn = 'main' AND id > ? ORDER BY at, id"
    found = connection.execute(statement, (after,)).fetchall()
    connection.close()
    return [dict(row) for row in found]


def check(found: Conversation) -> None:
    kind = type(found.client)
    found.line.provider.check()
    assert [run.code for run in found.runs] == [0] * len(PROMPTS), [run.errors for run in found.runs]
    expected = [f"Answer number {number}." for number in range(len(PROMPTS))]
    assert [unmarked(run.text) for run in found.runs] == expected
    scripted = [len(script(kind, number)) for number in range(len(PROMPTS))]
    assert [len(turn) for turn in found.turns] == scripted
    assert {record.status for record in found.main} == {200}
    assert (found.client.folder / "work" / MINUTES).read_text() == "2\n3\n6\n7\n"


def marks(found: Conversation) -> list[int]:
    """How many answers of each turn were shown with a marker."""
    return [sum(SENTINEL in shown for shown in run.shown) for run in found.runs]


def check_decisions(found: Conversation, bare: Conversation) -> None:
    """The database knows each request, its models and its usage as the client and the provider do."""
    made = found.decisions
    assert [row["requested_model"] for row in made] == [record.model for record in bare.main]
    assert [row["served_model"] for row in made] == [record.model for record in found.main]
    assert all(record.counted and record.message for record in found.main)
    # Gemini leaves out what is zero.
    known = [(row["input_tokens"], row["cache_read_tokens"] or 0, row["output_tokens"]) for row in made]
    counts = [(each.counted, each.message) for each in found.main]
    assert known == [(one.input, one.read, two.output_tokens) for one, two in counts]
    assert {row["complete"] for row in made} == {1}
    assert len({row["session"] for row in made}) == 1


@pytest.fixture(scope="session")
def marked_line(forced_config: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Everything to the models that take the least, with markers as text."""
    folder = tmp_path_factory.mktemp("marked")
    with pointsman_line(folder / "line", "marked", forced_config, router_marker="text") as line:
        yield line


@pytest.fixture(scope="session")
def conversations(
    kind: type[Client],
    lines: list[Line],
    marked_line: Line,
    tables: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Conversation]:
    """By name of the line; all at once."""
    folder = tmp_path_factory.mktemp("ten")
    chosen = [line for line in (*lines, marked_line) if line.name in ("bare", "pointsman", "marked")]
    with ThreadPoolExecutor(len(chosen)) as pool:
        played = [pool.submit(converse, line, kind, folder) for line in chosen]
        found = {each.line.name: each for each in (one.result() for one in played)}
    tables.append(
        table([(f"ten turns of {kind.name}", name, each.seen()) for name, each in found.items()])
    )
    return found


def test_bare(conversations: dict[str, Conversation]) -> None:
    """What all is held against: without Pointsman, every model is the one that the client asked for."""
    check(conversations["bare"])


def test_shipped_policy(conversations: dict[str, Conversation]) -> None:
    found, bare = conversations["pointsman"], conversations["bare"]
    authority = trust.load(found.line.folder / "conf")
    assert authority is not None and authority.constrained
    check(found)
    check_decisions(found, bare)
    assert found.models != bare.models, "the prompts no longer show a change of model"
    assert found.client.keeps(SENTINEL) == found.client.marked
    pairs = zip(found.models, bare.models, [None, *found.models[:-1]], strict=True)
    news = [served != asked or before not in (served, None) for served, asked, before in pairs]
    assert marks(found) == [int(new and found.client.marked) for new in news]  # where a tool loop begins


def test_text_marker_and_a_model_that_takes_less(conversations: dict[str, Conversation]) -> None:
    """Each main turn is adapted; the marker stands in front of each answer, and in no later request."""
    found, bare = conversations["marked"], conversations["bare"]
    check(found)
    check_decisions(found, bare)
    assert len(set(found.models)) == 1 and not set(found.models) & set(bare.models)
    assert marks(found) == [len(turn) for turn in found.turns]


def test_the_client_is_told_what_it_asked_for(conversations: dict[str, Conversation]) -> None:
    """Or it would ask for the other model when it goes on."""
    told = {name: {run.models for run in found.runs} for name, found in conversations.items()}
    assert told["pointsman"] == told["marked"] == told["bare"]
