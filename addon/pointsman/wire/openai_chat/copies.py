"""A client's own request, made to fit a copy of Chat Completions.

`quirks` are those of request_writer.py, which says them of translated requests. What belongs to an account at
OpenAI, or only its own models understand, no copy gets unless its quirks say so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pointsman.values import Adaptation
from pointsman.wire.edits import short
from pointsman.wire.json_spans import Body
from pointsman.wire.openai.parameters import drop

RULE: Final = "copy"
_OPENAIS: Final = (
    "store", "metadata", "safety_identifier", "user", "service_tier", "prompt_cache_key",
    "prompt_cache_retention", "prompt_cache_options",
)  # fmt: skip
_REFUSED: Final = {
    "no_stream_options": "stream_options",
    "no_effort": "reasoning_effort",
    "no_parallel": "parallel_tool_calls",
}
_RENAMED: Final = {
    "max_tokens": ("max_completion_tokens", "max_tokens"),
    "random_seed": ("seed", "random_seed"),
}


def imitate(body: Body, quirks: Collection[str]) -> list[Adaptation]:
    """What was changed, in order; nothing the second time. Raises BodyError."""
    done: list[Adaptation] = []
    drop(body, _OPENAIS, RULE, done)
    if "verbosity" not in quirks:
        drop(body, ("verbosity",), RULE, done)
    for quirk, name in _REFUSED.items():
        if quirk in quirks:
            drop(body, (name,), quirk, done)
    for quirk, (name, theirs) in _RENAMED.items():
        if quirk in quirks:
            _rename(body, name, theirs, quirk, done)
    if "thinking_switch" in quirks:
        _switch_thinking(body, done)
    return done


def _rename(body: Body, name: str, theirs: str, quirk: str, done: list[Adaptation]) -> None:
    value = body.get(name)
    if value is None:
        return
    body.delete(name)
    if body.get(theirs) is None:
        body.set(theirs, value)
    done.append(Adaptation(name, "map", short(value), theirs, quirk))


def _switch_thinking(body: Body, done: list[Adaptation]) -> None:
    """An effort becomes thinking on or off; a client that knows the provider's own switch has said it."""
    effort = body.get("reasoning_effort")
    if effort is None:
        return
    body.delete("reasoning_effort")
    after = ""
    if body.get("thinking") is None:
        after = "disabled" if effort == "none" else "enabled"
        body.set("thinking", {"type": after})
    done.append(Adaptation("reasoning_effort", "map", short(effort), after, "thinking_switch"))
