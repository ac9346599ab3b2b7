"""Real clients whose every answer comes from a provider with another API and another key.

Ten turns with tools, strict on both sides: the provider refuses what its models refuse, and the client runs
as it would at home. What is checked is what a person would see, what the provider was sent, and what the
client was told.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from clients.claude_code import ClaudeCode
from clients.client import Client, Ran, unmarked
from clients.kinds import PROGRAMS
from clients.line import Line, pointsman_line
from clients.script import look, say
from clients.test_ten_turns import MINUTES, PROMPTS
from clients.ways import BOARD, PNG, WAYS, Way, content
from provider.answers import Answer, Text
from provider.record import Record

pytestmark = pytest.mark.slow

CACHE_STEP = 128  # tokens, in which providers count what they have cached


def script(way: Way, number: int) -> tuple[Answer, ...]:
    """Every turn calls tools: one, two at once, one that fails, one with a picture, or a chain of them."""
    kind = way.kind
    cat = look(kind.run("cat timetable.txt"))
    both = Answer((Text("Two things at once."), *kind.both()))
    silent = Answer((kind.run(f"echo {number} >> {MINUTES}"),))
    fails = look(kind.run("cat no-such-file; exit 3"))
    tools = ((cat,), (both,), (fails, silent), (way.picture(),), (silent, cat, both), way.further() or (cat,))
    return (*tools[number % 6], say(f"Answer number {number}."))


@dataclass(frozen=True, slots=True)
class Conversation:
    """`turns`: what reached any provider in each of them, main or not, as far as it asks for an answer."""

    way: Way
    line: Line
    client: Client
    runs: tuple[Ran, ...]
    turns: tuple[tuple[Record, ...], ...]
    scripted: tuple[int, ...]

    @property
    def main(self) -> list[Record]:
        return [record for turn in self.turns for record in turn]


@pytest.fixture(scope="module", params=WAYS, ids=[way.name for way in WAYS])
def conversation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Conversation]:
    way: Way = request.param
    if PROGRAMS[way.kind] is None:
        pytest.skip(f"not installed; scripts/install-client {way.kind.package} does it")
    folder = tmp_path_factory.mktemp("translated")
    with pointsman_line(folder / "line", way.name, way.config, {way.variable: way.key}) as line:
        yield converse(way, line, folder / "client")


def converse(way: Way, line: Line, folder: Path) -> Conversation:
    client = line.plain().client(way.kind, folder, uuid.uuid4().hex)
    (folder / "work" / BOARD).write_bytes(PNG)
    runs, turns, scripted = [], [], []
    for number, prompt in enumerate(PROMPTS):
        first = len(line.provider.records)
        steps = way.said(*script(way, number))
        line.provider.script(*steps)
        runs.append(client.prompt(prompt, "latest" if number else ""))
        turns.append(tuple(line.provider.main(first)))
        scripted.append(len(steps))
        assert not line.provider.steps, (number, runs[-1], [(r.status, r.error) for r in turns[-1]])
    return Conversation(way, line, client, tuple(runs), tuple(turns), tuple(scripted))


def test_ten_turns(conversation: Conversation) -> None:
    found = conversation
    found.line.provider.check()
    assert [run.code for run in found.runs] == [0] * len(PROMPTS), [run.errors for run in found.runs]
    assert [unmarked(run.text) for run in found.runs] == [f"Answer number {n}." for n in range(len(PROMPTS))]
    assert [len(turn) for turn in found.turns] == list(found.scripted)
    assert {record.status for record in found.main} == {200}
    assert (found.client.folder / "work" / MINUTES).read_text() == "2\n4\n8\n"


def test_nothing_is_asked_of_the_clients_own_provider(conversation: Conversation) -> None:
    asked = [record for record in conversation.line.provider.records if record.generates]
    assert {(record.family, record.model) for record in asked} == {
        (conversation.way.family, conversation.way.served)
    }


def test_tools_do_their_work(conversation: Conversation) -> None:
    """Results of all kinds arrive: of calls at once, of a failure, of a script, and pictures."""
    last = content(conversation.main[-1])
    for words in ("09:12 platform 4", "no-such-file", "2 timetable.txt"):
        assert words in last, words
    assert "aborted" not in last and "not carried out" not in last
    pictures = [record for record in conversation.main if "image/png" in content(record)]
    assert pictures and pictures[-1] is conversation.main[-1]
    if conversation.way.further():
        assert "half of it 20" in last and "all of it 40" in last
        assert (conversation.client.folder / "work" / "patched.txt").read_text() == "platform 9\n"


def test_the_client_knows_how_much_it_has_used(conversation: Conversation) -> None:
    """What it adds up, and what it holds against its context window, is what the provider counted."""
    turns = conversation.turns
    counted = [sum(record.counted.total for record in turn) for turn in turns]
    said = [sum(record.message.output_tokens for record in turn) for turn in turns]
    if conversation.client.sums:
        counted, said = list(accumulate(counted)), list(accumulate(said))
    assert [run.usage for run in conversation.runs] == list(zip(counted, said, strict=True))


def test_the_database_knows_what_was_served(conversation: Conversation) -> None:
    rows = decisions(conversation.line)
    main = [row for row in rows if row["turn"] == "main"]
    assert len(main) == len(conversation.main)
    for row, record in zip(main, conversation.main, strict=True):
        known = (row["input_tokens"], row["cache_read_tokens"] or 0, row["output_tokens"])
        assert known == (record.counted.input, record.counted.read, record.message.output_tokens)
        assert row["complete"] == 1 and row["upstream_provider"] == conversation.way.model.partition("/")[0]
    assert len({row["session"] for row in main}) == 1


def test_the_prompt_cache_holds(conversation: Conversation) -> None:
    """Each request begins with the one before it."""
    main = conversation.main
    lost = [before.counted.total - after.counted.read for before, after in pairwise(main)]
    if conversation.way.kind is ClaudeCode:
        # With the first --continue it calls its model by another name in its instructions.
        del lost[len(conversation.turns[0]) - 1]
    assert max(lost) < CACHE_STEP, lost


def decisions(line: Line) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{line.database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute("SELECT * FROM decisions ORDER BY at, id")]
    connection.close()
    return found
