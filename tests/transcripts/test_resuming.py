"""Real clients go on from a cleaned conversation as from one that never had a marker.

Needs what scripts/install-client installs. The provider itself says the markers, in the places where
Pointsman puts them, so that all that is on trial is what the clients keep and what `clean` leaves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clients.client import Client
from clients.kinds import KINDS, PROGRAMS
from clients.line import Line, bare_line
from clients.script import THANKS
from pointsman import transcripts
from pointsman.wire import marker
from provider.answers import Answer, Part, Text

pytestmark = pytest.mark.slow

MARK = marker.make("small/model-1", "best for this kind of prompt")
PROMPTS = ("When does the first train leave?", "And the next?")
FORMS = ("of its own", "merged")

# What differs between two conversations without being a word of them: ids, times, durations.
CHANGING = (
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    re.compile(r"(?<![0-9])[0-9]{13}_"),
    re.compile(r'(?<="create_time": )[0-9.]+'),
    re.compile(r'(?<=wall_time_seconds\\":)[0-9.e-]+'),
    re.compile(r'(?<=chunk_id\\":\\")[0-9a-f]+'),
    re.compile(r"(?<=Wall time )[0-9.]+"),
    re.compile(r'(?<=id": ")[A-Za-z0-9_-]+'),
    re.compile(r"(?<=PGID: )[0-9]+"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No configuration or data of the person who runs the tests is read or written."""
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_cleaned_conversation_is_one_that_was_never_marked(kind: type[Client], tmp_path: Path) -> None:
    if PROGRAMS[kind] is None:
        pytest.skip(f"not installed; scripts/install-client {kind.package} does it")
    with bare_line(tmp_path / "line") as line:
        plain = _begin(line, kind, tmp_path / "plain", "")
        expected = _gone_on(line, plain)
        for form in FORMS:
            client = _begin(line, kind, tmp_path / form.replace(" ", "-"), form)
            assert _clean(client) > 0
            assert _gone_on(line, client) == expected


def _begin(line: Line, kind: type[Client], folder: Path, form: str) -> Client:
    """Two prompts, each with a call of a tool; the second one without a word before it."""
    client = line.plain().client(kind, folder, "tester")
    look = kind.run("cat timetable.txt")
    steps = [
        (_said(Text("Let me look."), look), _said(Text("At 09:12."))),
        (_said(look), _said(Text("At 09:40."))),
    ]
    for prompt, answers in zip(PROMPTS, steps, strict=True):
        line.provider.script(*(_marked(answer, form) for answer in answers))
        ran = client.prompt(prompt, "latest" if client.prompts else "")
        assert ran.code == 0, ran
    return client


def _said(*blocks: Part) -> Answer:
    """Without thoughts: the provider would sign them together with the markers that it said before."""
    return Answer(blocks, think=None)


def _marked(answer: Answer, form: str) -> Answer:
    """With the marker before all else, or at the beginning of the first text."""
    first, *rest = answer.blocks
    if not form:
        return answer
    if form == "merged" and isinstance(first, Text):
        return replace(answer, blocks=(replace(first, text=MARK + first.text), *rest))
    return replace(answer, blocks=(Text(MARK), *answer.blocks))


def _clean(client: Client) -> int:
    """What `pointsman clean` does without arguments."""
    home = client.folder / "home"
    places = [place for one in transcripts.CLIENTS for place in one.places({}, home) if place.exists()]
    return sum(transcripts.clean_file(file) for place in places for file in transcripts.find(place))


def _gone_on(line: Line, client: Client) -> dict[str, Any]:
    """The request that follows: its history and what stands around it."""
    line.provider.script(_said(Text("You are welcome.")))
    before = len(line.provider.records)
    assert client.prompt(THANKS, "latest").code == 0
    asked = line.provider.main(before)[-1].body
    text = json.dumps(asked, ensure_ascii=False).replace(str(client.folder), "FOLDER")
    assert marker.SENTINEL not in text
    for changing in CHANGING:
        text = changing.sub("0", text)
    body: dict[str, Any] = json.loads(text)
    return {key: body[key] for key in ("messages", "input", "contents", "tools", "model") if key in body}
