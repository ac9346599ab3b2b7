"""Rules about the shape of a conversation: roles, blocks, tool calls and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provider.refusal import Refusal

Block = Mapping[str, Any]

USER_BLOCKS = frozenset({"text", "image", "document", "tool_result", "search_result", "container_upload"})
ASSISTANT_BLOCKS = frozenset(
    {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result"}
    | {"mcp_tool_use", "mcp_tool_result", "code_execution_tool_result", "fallback", "compaction"}
)
RESULT_BLOCKS = USER_BLOCKS | {"tool_reference"}
SYSTEM_BLOCKS = frozenset({"text", "tool_addition", "tool_removal"})
FIELDS: dict[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "tool_reference": frozenset({"type", "tool_name", "cache_control"}),
    "tool_addition": frozenset({"type", "tool", "cache_control"}),
    "tool_removal": frozenset({"type", "tool", "cache_control"}),
}


def blocks_of(message: Mapping[str, Any]) -> list[Block]:
    """A message's blocks; a string is one text block."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def check_structure(body: Mapping[str, Any]) -> None:
    messages = body["messages"]
    if not messages:
        raise Refusal("messages: at least one message is required")
    for index, message in enumerate(messages):
        _check_message(index, message, last=index == len(messages) - 1)
    if messages[0]["role"] != "user":
        raise Refusal('messages: first message must use the "user" role')
    _check_blocks(body.get("system"), "system", frozenset({"text"}))
    _check_pairing([message for message in messages if message["role"] != "system"])


def _check_message(index: int, message: Any, *, last: bool) -> None:
    where = f"messages.{index}"
    if not isinstance(message, dict):
        raise Refusal(f"{where}: Input should be a valid dictionary")
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise Refusal(f"{where}.role: Input should be 'user', 'assistant' or 'system'")
    for key in message:
        if key not in ("role", "content") and not (role == "system" and key in ("output_config", "clear_at")):
            raise Refusal(f"{where}.{key}: Extra inputs are not permitted")
    if role == "system" and _check_control(where, message) and not content:
        return
    if not isinstance(content, (str, list)):
        raise Refusal(f"{where}.content: Input should be a valid string or list")
    prefill = last and role == "assistant"
    if not content and not prefill:
        raise Refusal(
            f"{where}: all messages must have non-empty content "
            "except for the optional final assistant message"
        )
    allowed = {"user": USER_BLOCKS, "assistant": ASSISTANT_BLOCKS, "system": SYSTEM_BLOCKS}[role]
    _check_blocks(content, f"{where}.content", allowed)
    if prefill and blocks_of(message) and str(blocks_of(message)[-1].get("text", "x")).rstrip() == "":
        raise Refusal("messages: final assistant content cannot end with trailing whitespace")


def _check_control(where: str, message: Mapping[str, Any]) -> bool:
    """What only a system message may hold. Does it set an effort, and so may go without content?"""
    config = message.get("output_config")
    if not isinstance(config, dict | None):
        raise Refusal(f"{where}.output_config: Input should be a valid dictionary")
    for key in config or ():
        if key != "effort":
            raise Refusal(f"{where}.output_config.{key}: Extra inputs are not permitted")
    if message.get("clear_at", "never") not in ("next_user_message", "never"):
        raise Refusal(f"{where}.clear_at: Input should be 'next_user_message' or 'never'")
    return bool(config)


def _check_blocks(content: Any, where: str, allowed: frozenset[str]) -> None:
    if content is None or isinstance(content, str):
        return
    for number, block in enumerate(content):
        here = f"{where}.{number}"
        if not isinstance(block, dict) or str(block.get("type")) not in allowed:
            found = block.get("type") if isinstance(block, dict) else block
            raise Refusal(
                f"{here}: Input tag '{found}' found using 'type' does not match any of the expected tags"
            )
        kind = block["type"]
        for key in block:
            if key not in FIELDS.get(kind, block.keys()):
                raise Refusal(f"{here}.{kind}.{key}: Extra inputs are not permitted")
        if kind == "text" and not isinstance(block.get("text"), str):
            raise Refusal(f"{here}.text.text: Input should be a valid string")
        if kind == "text" and not block["text"].strip():
            raise Refusal("messages: text content blocks must contain non-whitespace text")
        if kind == "tool_result" and isinstance(block.get("content"), list):
            _check_blocks(block["content"], f"{here}.tool_result.content", RESULT_BLOCKS)
        if kind == "image":
            _check_image(block.get("source"), here)


def _check_image(source: Any, where: str) -> None:
    if not isinstance(source, dict) or source.get("type") not in ("base64", "url", "file"):
        raise Refusal(f"{where}.image.source: Input should be a valid source")
    if source["type"] == "base64" and not (source.get("data") and source.get("media_type")):
        raise Refusal(f"{where}.image.source.base64.data: Field required")


def _check_pairing(messages: Sequence[Mapping[str, Any]]) -> None:
    """Each tool_use is answered in the next message, first of all; each tool_result answers one."""
    seen: set[str] = set()
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        blocks = blocks_of(message)
        results = [block for block in blocks if block["type"] == "tool_result"]
        if open_calls and message["role"] == "user":
            _check_results(index, blocks, results, open_calls)
        elif open_calls:
            raise Refusal(_unanswered(index - 1, open_calls))
        elif results:
            raise Refusal(
                f"messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{results[0].get('tool_use_id')}. Each `tool_result` block must have a corresponding "
                "`tool_use` block in the previous message."
            )
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(calls)) != len(calls) or seen & set(calls):
            raise Refusal("messages: `tool_use` ids must be unique")
        seen.update(calls)
        open_calls = calls
    if open_calls and messages[-1]["role"] == "assistant":
        raise Refusal(_unanswered(len(messages) - 1, open_calls))


def _check_results(
    index: int, blocks: Sequence[Block], results: Sequence[Block], open_calls: Sequence[str]
) -> None:
    answered = [block.get("tool_use_id") for block in results]
    missing = [call for call in open_calls if call not in answered]
    if missing:
        raise Refusal(_unanswered(index - 1, missing))
    if set(answered) - set(open_calls) or len(set(answered)) != len(answered):
        raise Refusal(f"messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks")
    if any(block["type"] != "tool_result" for block in blocks[: len(results)]):
        raise Refusal(f"messages.{index}.content: `tool_result` blocks must come first in the message")


def _unanswered(index: int, calls: Sequence[str]) -> str:
    return (
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )
