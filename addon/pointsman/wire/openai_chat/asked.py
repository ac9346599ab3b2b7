"""A router's own parameters (see wire/asked.py) in the words of Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import Adaptation, Model
from pointsman.wire.asked import set_member
from pointsman.wire.json_spans import Body

_LIMITS: Final = ("max_completion_tokens", "max_tokens")


def set_parameters(body: Body, parameters: Mapping[str, Any], model: Model | None) -> list[Adaptation]:
    """Ask for them in place of what the client said; their names are this API's own."""
    done: list[Adaptation] = []
    for name, value in parameters.items():
        if name != "max_tokens":
            set_member(body, name, value, done)
            continue
        limit = _limit(body, model)
        for other in _LIMITS:
            if other != limit and body.has(other):
                set_member(body, other, None, done)
        set_member(body, limit, value, done)
    return done


def _limit(body: Body, model: Model | None) -> str:
    """The name that the model has for it, else the client's, else the older one, which all servers know."""
    row = model.capabilities if model else {}
    return row.get("max_tokens_name") or next((name for name in _LIMITS if body.has(name)), "max_tokens")
