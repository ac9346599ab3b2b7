"""The same script with and without Pointsman: Claude Code must not be able to tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from clients.compare import cached_before, check_line, facts, heads, lost_prefix, table
from clients.line import Line
from clients.scenarios import SCENARIOS, Scenario, Seen, play

pytestmark = pytest.mark.slow

ROWS: list[tuple[str, str, Seen]] = []


@pytest.fixture(scope="module", autouse=True)
def printed(tables: list[str]) -> object:
    yield
    tables.append(table(ROWS))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_same_but_for_the_model(scenario: Scenario, lines: list[Line], claude: Path, tmp_path: Path) -> None:
    seen = {}
    for number, line in enumerate(lines):
        seen[line.name] = play(scenario, line, claude, tmp_path / str(number))
        ROWS.append((scenario.name, line.name, seen[line.name]))
    bare = seen["bare"]
    assert facts(bare)["unused answers"] == 0
    for line in lines:
        check_line(line.provider, seen[line.name])
        expected, found = facts(bare), facts(seen[line.name])
        if scenario.races:
            del expected["streamed"], found["streamed"]
        assert found == expected, line.name
        # A model reads only what it has been sent itself, so a change of model is a comparison of its own.
        before = cached_before(seen[line.name].main)
        assert lost_prefix(seen[line.name].main, before) == lost_prefix(bare.main, before), line.name
        if seen[line.name].exchanges is not None and not scenario.races:
            assert heads(seen[line.name]) == heads(bare), line.name


def test_other_models_served(lines: list[Line]) -> None:
    """Or else all of the above has shown nothing."""
    served = {name: {record.model for record in seen.main} for _, name, seen in ROWS}
    asked = served["bare"]
    assert served["pointsman"] - asked
    assert served["haiku"] == {"claude-haiku-4-5"}
