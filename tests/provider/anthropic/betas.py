"""Members that the service knows only when the request names their beta; without it they are extra inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provider.anthropic.structure import blocks_of
from provider.refusal import Refusal

EFFORT_PER_MESSAGE = frozenset({"mid-conversation-output-config-2026-07-01", "per-turn-control-2026-07-01"})
CLEAR_AT = frozenset({"mid-conversation-system-clear-at-2026-08-21"})
TOOL_CHANGES = frozenset({"mid-conversation-tool-changes-2026-07-01"})
BLOCK_BINDING = frozenset({"thinking-binding-controls-2026-08-01"})
DISPLAY_UPDATES = frozenset({"thinking-display-updates-2026-08-18"})


def check_betas(body: Mapping[str, Any], header: str | None) -> None:
    """`header` is anthropic-beta, `body` one whose structure was checked."""
    named = {beta.strip() for beta in (header or "").split(",")}
    for where, betas in _needed(body):
        if not betas & named:
            raise Refusal(f"{where}: Extra inputs are not permitted")


def _needed(body: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    thinking = body.get("thinking") or {}
    if "block_binding" in thinking:
        yield "thinking.block_binding", BLOCK_BINDING
    if thinking.get("display") == "updates":
        yield "thinking.display", DISPLAY_UPDATES
    for index, message in enumerate(body["messages"]):
        if "output_config" in message:
            yield f"messages.{index}.output_config", EFFORT_PER_MESSAGE
        if "clear_at" in message:
            yield f"messages.{index}.clear_at", CLEAR_AT
        if any(str(block["type"]).startswith("tool_") for block in _system_blocks(message)):
            yield f"messages.{index}.content", TOOL_CHANGES


def _system_blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return blocks_of(message) if message["role"] == "system" else []
