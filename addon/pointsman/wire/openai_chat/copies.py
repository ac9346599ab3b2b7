"""A client's own request, made to fit a copy of Chat Completions.

`quirks` are those of request_writer.py, which says them of translated requests. What belongs to an account at
OpenAI, or only its own models understand, no copy gets unless its quirks say so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pointsman.values import Adaptation
from pointsman.wire.edits import short
from pointsman.wire.json_spans import Body, array_spans, edit_array
from pointsman.wire.openai.parameters import drop
from pointsman.wire.openai_chat.request_messages import THOUGHTS

RULE: Final = "copy"
NO_THOUGHT: Final = " "  # Moonshot refuses a call without thinking before it, and an empty one too
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
    if "reasoning_content" in quirks:
        _give_back_thoughts(body, done)
    return done


def _give_back_thoughts(body: Body, done: list[Adaptation]) -> None:
    """A call without thoughts before it is refused, and SDKs that know of none have left them away."""
    raw = body.raw("messages") or b""
    if b'"tool_calls"' not in raw or not raw.startswith(b"["):
        return
    replaced: dict[int, bytes | None] = {}
    for index, (start, end) in enumerate(array_spans(raw)):
        message = Body.parse(raw[start:end])
        if message.get("tool_calls") and not any(message.get(name) for name in THOUGHTS):
            message.set(THOUGHTS[0], NO_THOUGHT)
            replaced[index] = message.render()
    if replaced:
        body.set_raw("messages", edit_array(raw, replaced))
        where = f"messages[].{THOUGHTS[0]}"
        done.append(Adaptation(where, "add", "", short(NO_THOUGHT), "reasoning_content"))


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
