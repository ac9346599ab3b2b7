"""A router's own parameters (see wire/asked.py) in the words of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pointsman.values import Adaptation, Model
from pointsman.wire.asked import has_no, note, set_member
from pointsman.wire.edits import edit
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict

_NAMES: Final = MappingProxyType({
    "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning",
})  # fmt: skip


def set_parameters(body: Body, parameters: Mapping[str, Any], model: Model | None) -> list[Adaptation]:
    """Ask for them in place of what the client said. What this API has no word for is noted as dropped."""
    done: list[Adaptation] = []
    for name, value in parameters.items():
        if name == "reasoning_effort":
            _set_effort(body, value, done)
        elif name in _NAMES:
            set_member(body, _NAMES[name], value, done)
    has_no(_NAMES, parameters, done)
    return done


def _set_effort(body: Body, effort: str | None, done: list[Adaptation]) -> None:
    given = body.get("reasoning")
    if not isinstance(given, dict):
        body.delete("reasoning")
    if effort is None and not isinstance(given, dict):
        return
    edit(body, "reasoning", {"effort": effort})
    note(done, "reasoning.effort", as_dict(given).get("effort"), effort)
