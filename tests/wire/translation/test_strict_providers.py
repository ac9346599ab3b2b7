"""Whatever a client says, what is written for a strict provider is taken by it, or was refused before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.catalogue import Catalogue
from pointsman.wire import translate_request
from pointsman.wire.neutral import Message, Request, Target, Tool
from wire.translation.said import members, messy, tools
from wire.translation.strict import CHECKS, MODELS, writer

CATALOGUE = Catalogue.load()


@pytest.mark.parametrize("name", CHECKS)
@given(data=st.data())
def test_what_is_written_is_taken(name: str, data: st.DataObject) -> None:
    offered: tuple[Tool, ...] = data.draw(tools())
    messages: tuple[Message, ...] = data.draw(messy())
    more: dict[str, Any] = data.draw(members(offered))
    request = Request("m", messages, **more)
    target = Target(data.draw(st.sampled_from(MODELS[name])), most_tokens=8_000)
    surface, model = writer(name), CATALOGUE.resolve(target.model)
    assert model is not None
    if translate_request.refusal(request, surface, target):
        return
    if surface.ineligible(translate_request.facts_at(request, surface, target), model):
        return
    sent = translate_request.translated(request, surface, target, model)
    CHECKS[name](sent.path, json.loads(sent.body), target.model)
    assert sent == translate_request.translated(request, surface, target, model)
