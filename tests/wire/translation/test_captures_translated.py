"""What real clients sent, translated into every other API: nothing of it is refused, neither by the reader
nor by a strict provider, and no turn changes what the turns before it said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pointsman.catalogue import Catalogue
from pointsman.surface import Surface, surfaces, translates
from pointsman.wire import translate_request
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import Request, Target
from wire.translation.strict import CHECKS, MODELS, writer

CAPTURES = Path(__file__).resolve().parents[4] / "shared" / "captures"
# What cannot be said elsewhere: conversations that the provider keeps.
STATEFUL = "previous_response_id"


def _entries() -> Iterator[Any]:
    if not CAPTURES.is_dir():
        yield pytest.param(None, marks=pytest.mark.skip("the captures of real clients are not here"))
        return
    for path in sorted(CAPTURES.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            entry = json.loads(line)
            if entry["kind"] == "http" and entry["method"] == "POST" and _read(entry) is not None:
                yield pytest.param(entry, id=f"{path.stem}-{number}")


def _read(entry: Any) -> tuple[Surface, Request] | None:
    for surface in surfaces().values():
        if entry["host"] not in surface.HOSTS or not translates(surface):
            continue
        if surface.recognise(entry["method"], entry["path"]) == "generate":
            headers = {name.lower(): value for name, value in entry["headers"]}
            return surface, surface.read_request(Body.parse(encode(entry["body"])), entry["path"], headers)
    return None


ENTRIES = list(_entries())
TARGETS = [name for name, surface in surfaces().items() if translates(surface)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_strict_provider_takes_it(entry: Any, target: str) -> None:
    found = _read(entry)
    assert found is not None
    surface, request = found
    if target == surface.SURFACE:
        return
    if STATEFUL in entry["body"]:
        assert translate_request.refusal(request, writer(target), Target("m")).startswith(
            f"cannot be translated: {STATEFUL}: "
        )
        return
    served = 0
    for name in MODELS[target]:
        at, model = Target(name), Catalogue.load().resolve(name)
        assert translate_request.refusal(request, writer(target), at) == ""
        facts = translate_request.facts_at(request, writer(target), at)
        assert model is not None and facts.requested_model == name
        if writer(target).ineligible(facts, model):
            continue
        sent = translate_request.translated(request, writer(target), at, model)
        CHECKS[target](sent.path, json.loads(sent.body), name)
        served += 1
    assert served
