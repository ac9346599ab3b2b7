"""The recordings in this directory: decided as they were, understood, and their answers followed and marked.

A recording no longer decided as it was means that the rules, the catalogue or the bundle have changed: see
README.md for how to record again.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flows.record import OPENAI
from pointsman.cli.main import main
from pointsman.surface import Surface, surfaces
from pointsman.values import NO_CHANGES, Changes, Facts
from pointsman.wire import marker
from pointsman.wire.json_spans import Body
from provider.answers import Answer, Call
from sdk_py.scenarios import ANTHROPIC, GEMINI, Scenario

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # mitmproxy 12 uses old names of pyparsing 3.3
    from mitmproxy import http
    from mitmproxy.io import FlowReader

HERE = Path(__file__).resolve().parent
NAMES = ("anthropic-python", "anthropic-js", "openai-python", "openai-js", "genai-python", "genai-js")
SCENARIOS = {
    "anthropic-js": ANTHROPIC,
    "openai-python": OPENAI,
    "openai-js": OPENAI,
    "genai-python": GEMINI,
    "genai-js": GEMINI,
}
MARKER = marker.make("another-model", "best for this kind of prompt")
every = pytest.mark.parametrize("name", NAMES)


@dataclass(frozen=True)
class Saved:
    """One request for an answer, and the answer as the client got it."""

    flow: http.HTTPFlow
    surface: Surface
    facts: Facts

    @property
    def headers(self) -> dict[str, str]:
        assert self.flow.response is not None
        return {name.lower(): value for name, value in self.flow.response.headers.items()}

    @property
    def answer(self) -> bytes:
        assert self.flow.response is not None and self.flow.response.content is not None
        return self.flow.response.content

    @property
    def good(self) -> bool:
        return self.flow.response is not None and self.flow.response.status_code == 200


@cache
def recorded(name: str) -> tuple[http.HTTPFlow, ...]:
    with (HERE / f"{name}.mitm").open("rb") as file:
        return tuple(flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow))


@cache
def saved(name: str) -> tuple[Saved, ...]:
    """All requests that ask a model for an answer."""
    return tuple(found for flow in recorded(name) if (found := _read(flow)) is not None)


def _read(flow: http.HTTPFlow) -> Saved | None:
    request = flow.request
    for surface in surfaces().values():
        if request.pretty_host in surface.HOSTS and surface.recognise(request.method, request.path):
            endpoint = surface.recognise(request.method, request.path)
            headers = {name.lower(): value for name, value in request.headers.items()}
            body = Body.parse(request.content or b"")
            facts = surface.read_facts(body, headers, request.path, str(endpoint))
            return Saved(flow, surface, facts) if endpoint == "generate" else None
    return None


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the person who runs the tests."""
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "POINTSMAN_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))


# --- decisions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What is decided today for each recording; the models that score are loaded once."""
    empty = tmp_path_factory.mktemp("config") / "router.yaml"
    empty.touch()
    files = [str(HERE / f"{name}.mitm") for name in NAMES]
    result = CliRunner().invoke(main, ["replay", *files, "--config", str(empty), "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for item in json.loads(result.output)["requests"]:
        found[Path(item["file"]).stem].append(item)
    return found


@every
def test_a_recording_is_decided_as_it_was(replayed: dict[str, list[dict[str, Any]]], name: str) -> None:
    again = [item for item in replayed[name] if item.get("endpoint") == "generate"]
    before = [one for one in saved(name) if "x-router-model" in one.headers]
    assert len(again) == len(before) > 5
    for item, one in zip(again, before, strict=True):
        where = f"{one.flow.request.path} {one.flow.comment}"
        assert item["surface"] == one.surface.SURFACE
        assert item["served_model"] == one.headers["x-router-model"], where
        assert item["strategy"] == one.headers["x-router-strategy"], where
        assert item["provider"] == one.headers["x-router-provider"], where
        assert one.flow.comment.endswith(item["reason"]), where
    sessions = [one.headers["x-router-session"] for one in before]
    conversations = [item["conversation"] for item in again]
    pairs = set(zip(sessions, conversations, strict=True))
    assert len(pairs) == len(set(sessions)) == len(set(conversations))


# --- facts ----------------------------------------------------------------------------------


def expected(scenarios: tuple[Scenario, ...]) -> Iterator[dict[str, Any]]:
    """What the facts of a recording must be, from what was played."""
    for number, scenario in enumerate(scenarios):
        called = False
        for step in scenario.steps:
            yield {
                "surface": scenario.surface,
                "requested_model": scenario.asked,
                "stream": number % 2 == 0,
                "tool_loop": called,
                "images": int(scenario.name == "image"),
                "pure_json": scenario.name in ("structured", "json_mode"),
                "forced_tool": scenario.name == "forced",
                "choices": {"choices": 3, "candidates": 2}.get(scenario.name, 1),
            }
            assert isinstance(step, Answer)
            called = any(isinstance(block, Call) for block in step.blocks)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_facts_are_those_of_what_was_played(name: str) -> None:
    wanted = list(expected(SCENARIOS[name]))
    found = [{key: getattr(one.facts, key) for key in wanted[0]} for one in saved(name)]
    assert found == wanted
    language = {"python": "python", "js": "js"}[name.partition("-")[2]]
    assert all(language in one.facts.client.lower() for one in saved(name) if one.facts.client)


@every
def test_no_history_keeps_a_trace_of_a_marker(name: str) -> None:
    stripped = 0
    for one in saved(name):
        body = Body.parse(one.flow.request.content or b"")
        stripped += one.surface.strip(body)
        assert not marker.present(body.render())
        assert one.surface.strip(Body.parse(body.render())) == 0
    assert stripped


# --- answers --------------------------------------------------------------------------------


def followed(one: Saved, changes: Changes, size: int = 0) -> tuple[bytes, Any]:
    """The answer as the client gets it, and what was learnt from it; fed in pieces of `size`, 0 is whole."""
    content_type = one.headers.get("content-type", "")
    machine = one.surface.stream(content_type, one.facts, changes)
    if machine is None:
        return one.surface.rewrite_body(one.answer, changes), one.surface.observe_body(one.answer)
    size = size or len(one.answer)
    out = [
        piece
        for at in range(0, len(one.answer), size)
        for piece in machine.feed(one.answer[at : at + size])
    ]
    return b"".join([*out, *machine.flush()]), machine.observation


@every
def test_an_answer_is_followed_to_its_end_and_stays_as_it_is(name: str) -> None:
    for one in saved(name):
        if not one.good:
            continue
        for size in (0, 97):
            same, seen = followed(one, NO_CHANGES, size)
            assert same == one.answer
            assert seen.complete and seen.message_id and seen.stop_reason and seen.error is None
            assert seen.answered_model == one.facts.requested_model
            silent = one.facts.stream and one.facts.surface == "openai_chat"
            assert seen.output_tokens or (silent and b'"usage"' not in one.answer)


@every
def test_an_answer_is_marked_and_renamed_wherever_it_may_be(name: str) -> None:
    marked = 0
    for one in saved(name):
        if not one.good:
            continue
        modes = one.surface.marker_modes(Body.parse(one.flow.request.content or b""), one.facts, None)
        refuses = one.facts.surface == "openai_chat" and b"I cannot help" in one.answer  # says no text
        text = MARKER if "text" in modes and not refuses else None
        changes = Changes("asked-for", text, None, {"decision": "d1"})
        made, seen = followed(one, changes)
        assert (made, seen) == followed(one, changes, 13)
        assert b"asked-for" in made and b"another-model" in made if text else b"another-model" not in made
        marked += text is not None
        assert seen.complete and seen.error is None
    assert marked > 3


@every
def test_nothing_of_this_machine_is_recorded(name: str) -> None:
    data = (HERE / f"{name}.mitm").read_bytes()
    assert len(data) < 400_000
    for trace in (b"/home/", b"/root/", b"/tmp/", b"BEGIN CERTIFICATE", b"site-packages"):
        assert trace not in data
    keys = {
        value
        for flow in recorded(name)
        for field in ("x-api-key", "authorization", "x-goog-api-key")
        if (value := flow.request.headers.get(field))
    }
    assert keys and all("recorded" in key for key in keys)
