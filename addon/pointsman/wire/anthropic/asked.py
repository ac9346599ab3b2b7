"""A router's own parameters (see wire/asked.py) in the words of the Messages API.

An effort is `output_config.effort`, with thinking on; a model that has no efforts gets a budget instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pointsman.values import EMPTY, Adaptation, Model
from pointsman.wire.anthropic.rules import budget_within, nearest_effort
from pointsman.wire.asked import has_no, note, set_member, stops
from pointsman.wire.edits import edit
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict

_NAMES: Final = MappingProxyType({
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_tokens": "max_tokens",
    "stop": "stop_sequences", "reasoning_effort": "output_config",
})  # fmt: skip


def set_parameters(body: Body, parameters: Mapping[str, Any], model: Model | None) -> list[Adaptation]:
    """Ask for them in place of what the client said. What this API has no word for is noted as dropped."""
    done: list[Adaptation] = []
    for name, value in parameters.items():
        if name == "stop":
            set_member(body, "stop_sequences", stops(value) or None, done)
        elif name == "max_tokens" and value is None:
            continue  # the API demands one
        elif name in _NAMES and name != "reasoning_effort":
            set_member(body, _NAMES[name], value, done)
    if "reasoning_effort" in parameters:
        _set_effort(body, parameters["reasoning_effort"], model.capabilities if model else EMPTY, done)
    has_no(_NAMES, parameters, done)
    return done


def _set_effort(body: Body, effort: str | None, row: Mapping[str, Any], done: list[Adaptation]) -> None:
    thinking, before = body.get("thinking"), as_dict(body.get("output_config")).get("effort")
    words = row.get("thinking", ("adaptive", "disabled"))
    if effort == "none":
        off = next((word for word in ("disabled", "between_tools") if word in words), None)
        if off:
            body.set("thinking", {"type": off})
        effort = None
    elif effort is not None and not row.get("effort", ("high",)) and "enabled" in words:
        budget = budget_within(effort, body.get("max_tokens"))
        body.set("thinking", {"type": "enabled", "budget_tokens": budget} if budget else {"type": "disabled"})
        effort = None
    elif effort is not None:
        effort = nearest_effort(effort, row)
        if "adaptive" in words and as_dict(thinking).get("type") != "adaptive":
            body.set("thinking", {"type": "adaptive"})
    if isinstance(body.get("output_config"), dict | None) and (effort is not None or before is not None):
        edit(body, "output_config", {"effort": effort})
        note(done, "output_config.effort", before, effort)
    note(done, "thinking", thinking, body.get("thinking"))
