"""The same script with and without Pointsman: a client must not be able to tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from clients.client import Client
from clients.compare import cached_before, check_line, facts, heads, losses, lost_prefix, table
from clients.kinds import KINDS, PROGRAMS
from clients.line import Line
from clients.play import Seen, play_all
from clients.script import Scenario

pytestmark = pytest.mark.slow

ROWS: dict[str, list[tuple[str, str, Seen]]] = {}
CASES = [(kind, scenario) for kind in KINDS for scenario in kind.scenarios]


@pytest.fixture(scope="module", autouse=True)
def printed(tables: list[str]) -> object:
    yield
    tables.extend(f"{name}\n\n{table(rows)}" for name, rows in ROWS.items())


@pytest.mark.parametrize(
    ("client", "scenario"), CASES, ids=[f"{kind.name}-{scenario.name}" for kind, scenario in CASES]
)
def test_same_but_for_the_model(
    client: type[Client], scenario: Scenario, lines: list[Line], tmp_path: Path
) -> None:
    if PROGRAMS[client] is None:
        pytest.skip(f"not installed; scripts/install-client {client.package} does it")
    seen = dict(zip([line.name for line in lines], play_all(scenario, client, lines, tmp_path), strict=True))
    ROWS.setdefault(client.name, []).extend((scenario.name, name, each) for name, each in seen.items())
    bare = seen["bare"]
    assert bare.unused == 0, [
        *[(run.code, run.ending, run.errors[-1000:]) for run in bare.runs],
        *[(record.model, record.error) for record in bare.main],
    ]
    for line in lines:
        check_line(line, seen[line.name])
        expected, found = facts(bare), facts(seen[line.name])
        keys = expected.keys() - scenario.races
        different = {key: (found[key], expected[key]) for key in keys if found[key] != expected[key]}
        assert not different, line.name
        # A model reads only what it has been sent itself, so a change of model is a comparison of its own.
        served = seen[line.name].main
        before = cached_before(served)
        lost = lost_prefix(served, before), lost_prefix(bare.main, before)
        assert lost[0] == lost[1], (line.name, losses(served, before), losses(bare.main, before))
        if seen[line.name].exchanges is not None and "streamed" not in scenario.races:
            for expected_head, head in zip(heads(bare), heads(seen[line.name]), strict=True):
                assert head == expected_head, line.name


@pytest.mark.parametrize("client", KINDS, ids=[kind.name for kind in KINDS])
def test_other_models_served(client: type[Client], lines: list[Line]) -> None:
    """Or else all of the above has shown nothing."""
    if client.name not in ROWS:
        pytest.skip("nothing was played")
    served: dict[str, set[str]] = {}
    for _, name, seen in ROWS[client.name]:
        served.setdefault(name, set()).update(record.model for record in seen.main)
    assert served["pointsman"] - served["bare"]
    assert len(served["forced"]) == 1 and not served["forced"] & served["bare"]
