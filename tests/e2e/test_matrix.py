"""Every model to every other, with every parameter: what is adapted is accepted by the strict stand-in.

Two tables written apart meet here: the product's catalogue and the stand-in's. A request that its own
model takes is either ineligible for the target, or accepted by it after adaptation.
"""

from __future__ import annotations

import copy
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from pointsman.catalogue import Catalogue
from pointsman.wire import anthropic as surface
from pointsman.wire.json_spans import Body
from provider.anthropic import rules, structure, thinking
from provider.anthropic.capabilities import MODELS, Takes
from provider.refusal import Refusal

TOOL = {"name": "ls", "input_schema": {"type": "object"}}
USER = {"role": "user", "content": "hi"}
THINKING: list[dict[str, Any]] = [
    {},
    {"thinking": {"type": "adaptive"}},
    {"thinking": {"type": "adaptive", "display": "omitted"}},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    {"thinking": {"type": "enabled", "budget_tokens": 30_000}},
    {"thinking": {"type": "disabled"}},
    {"thinking": {"type": "between_tools"}},
]
EFFORT: list[dict[str, Any]] = [
    {},
    *({"output_config": {"effort": effort}} for effort in ("low", "medium", "high", "xhigh", "max")),
]
OTHERS: list[dict[str, Any]] = [
    {},
    {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
    {
        "context_management": {
            "edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]
        }
    },
    {"temperature": 1},
    {"temperature": 0.3},
    {"top_p": 0.97},
    {"top_k": 40},
    {"temperature": 0.3, "top_p": 0.9, "top_k": 3},
    {"messages": [USER, {"role": "system", "content": "be kind"}]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "system", "content": "x"},
        ]
    },
    {"messages": [USER, {"role": "assistant", "content": "{"}]},
    {"tools": [TOOL], "tool_choice": {"type": "any"}},
    {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "ls"}},
    {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    {"tools": [TOOL], "tool_choice": {"type": "none"}},
    {"tools": [{"type": "computer_20251124", "name": "computer"}]},
    {"tools": [{"type": "computer_20250124", "name": "computer"}]},
    {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    {"speed": "fast"},
    {"speed": "standard"},
    {"service_tier": "standard_only"},
    {"max_tokens": 1100},
    {"max_tokens": 20},
    {"max_tokens": 128_000},
]
MODELS_BY_NAME = {model.name: model for model in MODELS if model.name != "claude-unlisted-preview"}


def refusal(body: dict[str, Any], model: Takes) -> str:
    """What the stand-in says against it, "" if nothing."""
    try:
        rules.check_schema(body, counting=False)
        structure.check_structure(body)
        rules.check_parameters(body, model, zero_retention=False)
        thinking.check_thinking(body, model, "a")
    except Refusal as refused:
        return str(refused)
    return ""


def requests_for(asked: Takes) -> list[dict[str, Any]]:
    base = {"model": asked.name, "max_tokens": 40_000, "messages": [USER]}
    parts = [*itertools.product(THINKING, EFFORT, [{}]), *itertools.product(THINKING, EFFORT[::3], OTHERS)]
    found = [copy.deepcopy({**base, **a, **b, **c}) for a, b, c in parts]
    return [body for body in found if not refusal(body, asked)]


@pytest.mark.parametrize("asked", MODELS_BY_NAME)
def test_every_request_is_adapted_or_ineligible(asked: str) -> None:
    catalogue = Catalogue.load()
    own = catalogue.resolve(asked)
    assert own is not None
    default = own.capabilities["thinking_default"]
    accepted = 0
    wrong: list[str] = []
    for request in requests_for(MODELS_BY_NAME[asked]):
        data = json.dumps(request).encode()
        facts = replace(surface.read_facts(Body.parse(data), {}, "/", "generate"), thinking_default=default)
        for target in MODELS_BY_NAME.values():
            model = catalogue.resolve(target.name)
            assert model is not None, target.name
            if target.name == asked or surface.ineligible(facts, model):
                continue
            body = Body.parse(data)
            surface.adapt(body, facts, model)
            surface.set_model(body, "/", target.name)
            sent = json.loads(body.render())
            said = refusal(sent, target)
            accepted += 1
            if said:
                wrong.append(f"{target.name}: {said}: {short(request)} → {short(sent)}")
            elif (default or "thinking" in request) and turned(request, MODELS_BY_NAME[asked], sent, target):
                wrong.append(f"{target.name}: thinking turned: {short(request)} → {short(sent)}")
    assert not wrong, f"{len(wrong)} of {accepted}:\n" + "\n".join(wrong[:: max(1, len(wrong) // 6)])
    assert accepted > 300


def turned(request: dict[str, Any], asked: Takes, sent: dict[str, Any], target: Takes) -> bool:
    """Thinks where it did not, or the reverse; adaptive may be off where there is no room for a budget."""
    before, after = thinks(request, asked), thinks(sent, target)
    if before and not after:
        adaptive = (request.get("thinking") or {"type": "adaptive"})["type"] == "adaptive"
        return not (adaptive and request["max_tokens"] < 2 * rules.MINIMUM_BUDGET)
    return after and not before


def thinks(body: dict[str, Any], model: Takes) -> bool:
    """Before it answers: a forced tool leaves no room for it, and between_tools is one model's "disabled"."""
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    between = body.get("thinking") == {"type": "between_tools"}
    return rules.thinking_is_on(body, model) and not forced and not between


def short(body: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in body.items() if key != "model"})
