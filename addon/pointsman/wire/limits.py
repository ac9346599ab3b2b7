"""What every surface asks of a model before scoring: kinds of input, features, and room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import Facts, Model

RESERVE_TOKENS: Final = 8_000  # room for the answer where the request names no limit


def lacks_input(facts: Facts, row: Mapping[str, Any]) -> str:
    """Which kind of input the row does not take, "" if it takes all."""
    for name, count in (("images", facts.images), ("documents", facts.documents), ("tools", facts.tools)):
        if count and not row.get(name):
            return f"takes no {name}"
    return ""


def lacks_feature(facts: Facts, row: Mapping[str, Any]) -> str:
    """Which kind of tool or other feature is not in the row's lists, "" if all are."""
    for key, wanted in (("tool_types", facts.tool_types), ("needs", facts.needs)):
        if missing := wanted - set(row.get(key) or ()):
            return f"has no {min(missing)}"
    return ""


def lacks_room(facts: Facts, model: Model) -> str:
    """Whether prompt and answer do not fit into the model's context, "" if they do."""
    reserve = facts.max_tokens or RESERVE_TOKENS
    reserve = min(reserve, model.max_output_tokens or reserve)
    need = round(facts.input_tokens_estimate * model.token_factor) + reserve
    if model.context_tokens is not None and need > model.context_tokens:
        return f"needs about {need} tokens of a context of {model.context_tokens}"
    return ""
