"""Whether a body without host and path is one of this API's: it shares `messages` with Anthropic's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, dicts

_MEMBERS: Final = (
    "max_completion_tokens", "n", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
    "top_logprobs", "response_format", "stream_options", "seed", "reasoning_effort", "functions",
    "function_call", "parallel_tool_calls", "user", "store", "modalities", "audio", "prediction",
    "web_search_options", "verbosity", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
)  # fmt: skip
_ROLES: Final = {"developer", "tool", "function"}
_OF_A_MESSAGE: Final = ("tool_calls", "tool_call_id", "function_call")
_PARTS: Final = {"image_url", "input_audio", "video_url", "file", "refusal"}
_CHOICES: Final = ("function", "allowed_tools", "custom")


def outline(body: Body) -> tuple[str, ...] | None:
    """What in the body only this API has; None for a body that is none of its requests. Raises BodyError."""
    return tuple(_signs(body)) if body.has("messages") else None


def _signs(body: Body) -> Iterator[str]:
    yield from (name for name in _MEMBERS if body.has(name))
    if any(isinstance(tool.get(kind), dict) for tool in dicts(body.get("tools")) for kind in _CHOICES):
        yield "tools with a function"
    choice = body.get("tool_choice")
    if isinstance(choice, str) or as_dict(choice).get("type") in _CHOICES:
        yield "tool_choice"
    messages = dicts(body.get("messages"))
    roles = {role for message in messages if isinstance(role := message.get("role"), str)}
    yield from (f"the role {role}" for role in sorted(roles & _ROLES))
    yield from (name for name in _OF_A_MESSAGE if any(name in message for message in messages))
    parts = (part for message in messages for part in dicts(message.get("content")))
    kinds = {kind for part in parts if isinstance(kind := part.get("type"), str)}
    yield from (f"{kind} parts" for kind in sorted(kinds & _PARTS))
