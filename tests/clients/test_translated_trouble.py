"""What goes wrong at another provider with another API, and at the client: as it would be at its own.

Each scenario is played twice at once: over Pointsman with everything translated, and over bare mitmproxy with
the client's own provider, which has the same troubles in its own words.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from clients.claude_code import ClaudeCode
from clients.codex import Codex
from clients.compare import facts
from clients.kinds import PROGRAMS
from clients.line import Line, bare_line, pointsman_line
from clients.play import play
from clients.script import ASK, PLAN, THANKS, Scenario, Turn, cut, look, say, unthought
from clients.ways import CHIEF, Way
from provider.answers import Fault

pytestmark = pytest.mark.slow

# A whole answer of the stand-in does not break off, so what Claude Code falls back to would not fail either.
# What is refused is refused in other words: see below.
ELSEWHERE = {"overload in every stream", "refused", "connection cut"}
LOOK = {kind: look(kind.run("cat timetable.txt")) for kind in (ClaudeCode, Codex)}
CUT = {
    kind: Scenario(
        "connection cut",
        (
            Turn(ASK, (unthought(cut(3)), LOOK[kind], unthought(cut(1)), say("09:12")), resume=""),
            Turn(THANKS, (say("09:40"),)),
        ),
    )
    for kind in LOOK
}
CASES = [
    (way, scenario)
    for way in CHIEF
    for scenario in (*way.kind.scenarios, CUT[way.kind])
    if scenario.name not in ELSEWHERE or scenario is CUT[way.kind]
]
SAME = ("exit code", "unused answers", "retries", "background")
FAILOVER = """\
models:
  kimi-k2.6:
    bindings: [openrouter/moonshotai/kimi-k2.6, moonshot/kimi-k2.6]
routes:
  - {name: two providers, requested: "*", turn: any, strategy: fixed, model: kimi-k2.6}
"""


@dataclass
class Lines:
    """One with everything translated, and the native one; opened when first asked for."""

    folder: Path
    stack: ExitStack
    made: dict[str, tuple[Line, Line]]

    def of(self, way: Way) -> tuple[Line, Line]:
        if PROGRAMS[way.kind] is None:
            pytest.skip(f"not installed; scripts/install-client {way.kind.package} does it")
        if way.name not in self.made:
            folder = self.folder / way.kind.name
            there = pointsman_line(folder / "there", way.name, way.config, {way.variable: way.key})
            self.made[way.name] = (
                self.stack.enter_context(there),
                self.stack.enter_context(bare_line(folder / "bare")),
            )
        return self.made[way.name]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    with ExitStack() as stack:
        yield Lines(tmp_path_factory.mktemp("trouble"), stack, {})


@pytest.mark.parametrize(
    ("way", "scenario"), CASES, ids=[f"{way.name}-{scenario.name}" for way, scenario in CASES]
)
def test_as_at_home(way: Way, scenario: Scenario, pairs: Lines, tmp_path: Path) -> None:
    there, bare = pairs.of(way)
    turns = tuple(replace(turn, steps=tuple(way.said(*turn.steps))) for turn in scenario.turns)
    translated = replace(scenario, turns=turns)
    account = uuid.uuid4().hex
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(play, translated, way.kind, there, tmp_path / "there", account)
        two = pool.submit(play, scenario, way.kind, bare, tmp_path / "bare", account)
        seen, native = one.result(), two.result()
    found, expected = facts(seen), facts(native)
    assert native.unused == 0
    assert {key: found[key] for key in SAME} == {key: expected[key] for key in SAME}
    assert _said(found) == _said(expected)
    assert {record.family for record in seen.main} == {way.family}
    cancelled = sum(turn.cancel for turn in scenario.turns)
    assert sum(record.gone for record in seen.main) >= cancelled
    there.provider.check()


def _said(found: dict[str, Any]) -> list[str | None]:
    """The final texts; an error that is shown is told in the words of whoever made it."""
    texts = found["final text"]
    return ["API Error" if text and text.startswith("API Error") else text for text in texts]


@pytest.mark.parametrize("way", CHIEF, ids=[way.name for way in CHIEF])
def test_refusals_name_who_refused(way: Way, pairs: Lines, tmp_path: Path) -> None:
    """And a key of the proxy's that is refused does not make the client doubt its own."""
    line, _ = pairs.of(way)
    line.provider.steps.clear()
    client = line.plain().client(way.kind, tmp_path / "client", uuid.uuid4().hex)
    told = []
    for fault in (Fault(400, "This request is refused by a policy"), Fault(401, "This key is unknown")):
        line.provider.script(*[fault] * (1 if fault.status == 400 else 30))
        run = client.prompt(ASK)
        line.provider.steps.clear()
        told.append(f"{run.text} {run.ending}")
        assert run.code == 1
    name = way.model.partition("/")[0]
    assert f"{name}: 400 This request is refused by a policy" in told[0]
    assert f"{name}: 401 This key is unknown" in told[1]
    for words in ("authenticate", "log in", "/login", "sign in"):
        assert words not in told[1].lower()


@pytest.mark.skipif(PROGRAMS[ClaudeCode] is None, reason="not installed")
def test_another_provider_goes_on(tmp_path: Path) -> None:
    """Also in the middle of a tool loop, and unseen by the client."""
    keys = {way.variable: way.key for way in CHIEF if way.family == "openrouter"}
    keys |= {"MOONSHOT_API_KEY": "sk-moonshot-proxy"}
    busy, see = Fault(503, "Overloaded"), LOOK[ClaudeCode]
    with pointsman_line(tmp_path / "line", "two", FAILOVER, keys) as line:
        client = line.plain().client(ClaudeCode, tmp_path / "client", "two")
        line.provider.script(busy, see, see, busy, say("09:12"))
        first = client.prompt(ASK)
        line.provider.script(see, busy, see, say("It is not."))
        second = client.prompt(PLAN, "latest")
        line.provider.check()
        served = [(record.family, record.status) for record in line.provider.main()]
    assert [(run.code, run.text) for run in (first, second)] == [(0, "09:12"), (0, "It is not.")]
    there, next_one = ("openrouter", 200), [("openrouter", 503), ("moonshot", 200)]
    assert served == [*next_one, there, *next_one, there, *next_one, there]
