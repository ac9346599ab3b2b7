"""Whether a body without host and path is one of this API's: it shares `messages` with Chat Completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, dicts

# Left out is what gateways have taken over into Chat Completions: thinking, top_k, cache_control.
_MEMBERS: Final = (
    "system", "stop_sequences", "output_config", "output_format", "context_management", "mcp_servers",
    "container", "inference_geo", "anthropic_version",
)  # fmt: skip
_BLOCKS: Final = {
    "tool_use", "tool_result", "image", "document", "thinking", "redacted_thinking", "server_tool_use",
    "mcp_tool_use", "search_result",
}  # fmt: skip
_CHOICES: Final = ("auto", "any", "tool", "none")


def outline(body: Body) -> tuple[str, ...] | None:
    """What in the body only this API has; None for a body that is none of its requests. Raises BodyError."""
    return tuple(_signs(body)) if body.has("messages") else None


def _signs(body: Body) -> Iterator[str]:
    yield from (name for name in _MEMBERS if body.has(name))
    if any("input_schema" in tool or "name" in tool for tool in dicts(body.get("tools"))):
        yield "tools with a name of their own"
    if as_dict(body.get("tool_choice")).get("type") in _CHOICES:
        yield "tool_choice"
    blocks = (block for message in dicts(body.get("messages")) for block in dicts(message.get("content")))
    kinds = {kind for block in blocks if isinstance(kind := block.get("type"), str)}
    yield from (f"{kind} blocks" for kind in sorted(kinds & _BLOCKS))
