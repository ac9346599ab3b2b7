"""A conversation that was translated goes back to the client's own provider, which is strict."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from clients.client import Client, unmarked
from clients.kinds import PROGRAMS
from clients.line import Line, bare_line, pointsman_line
from clients.script import ASK, PLAN, THANKS, look, say
from clients.test_leaving import pointsman
from clients.ways import CHIEF, Way, content
from provider.record import Record

pytestmark = pytest.mark.slow

OURS = "pointsman_0"  # stands in ids and signatures of translated answers
RELOADED_SECONDS = 3.0  # after which a changed router.yaml is in force


def begin(way: Way, line: Line, folder: Path) -> Client:
    """Three turns by the other provider."""
    client = line.plain().client(way.kind, folder, "leaver")
    for prompt in (ASK, PLAN, THANKS):
        line.provider.script(*way.said(look(way.kind.run("cat timetable.txt")), say("09:12")))
        run = client.prompt(prompt, "" if prompt == ASK else "latest")
        assert (run.code, unmarked(run.text)) == (0, "09:12")
    assert client.keeps(OURS)
    return client


def go_on(client: Client, line: Line) -> list[Record]:
    """Two turns by the client's own provider, which accepts each request at once."""
    first = len(line.provider.records)
    for prompt in (PLAN, ASK):
        line.provider.script(look(client.run("cat timetable.txt")), say("09:40"))
        run = client.prompt(prompt, "latest")
        assert (run.code, unmarked(run.text)) == (0, "09:40")
    main = line.provider.main(first)
    assert [record.status for record in main] == [200] * 4
    assert not any(OURS in content(record) for record in main)
    line.provider.check()
    return main


@pytest.fixture(params=CHIEF, ids=[way.name for way in CHIEF])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    if PROGRAMS[chosen.kind] is None:
        pytest.skip(f"not installed; scripts/install-client {chosen.kind.package} does it")
    return chosen


def test_the_route_goes(way: Way, tmp_path: Path) -> None:
    """And the history has the same bytes from turn to turn, without what nobody has signed."""
    with pointsman_line(tmp_path / "line", way.name, way.config, {way.variable: way.key}) as line:
        client = begin(way, line, tmp_path / "client")
        (line.folder / "router.yaml").write_text("")
        time.sleep(RELOADED_SECONDS)
        main = go_on(client, line)
    assert way.family not in {record.family for record in main}
    assert all(record.counted.read for record in main[1:])


def test_the_router_goes(way: Way, tmp_path: Path) -> None:
    with pointsman_line(tmp_path / "line", way.name, way.config, {way.variable: way.key}) as line:
        client = begin(way, line, tmp_path / "client")
    pointsman("clean", "--no-backup", home=client.folder / "home")
    with bare_line(tmp_path / "bare") as line:
        front = line.plain()
        client.environment = front.environment | dict.fromkeys(client.trusts, str(front.ca_file))
        go_on(client, line)
