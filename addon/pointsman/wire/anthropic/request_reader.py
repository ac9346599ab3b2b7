"""An Anthropic request as a neutral one; see `wire/neutral.py`.

What has the wrong type counts as absent, as everywhere. Claude Code's billing line (`system[0]`, which
changes between sessions) is left away: it is for Anthropic, and would cost others their prompt cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.wire.anthropic.request_blocks import Blocks
from pointsman.wire.anthropic.request_losses import READING
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, dicts
from pointsman.wire.neutral import Choice, JsonAnswer, Message, Reasoning, Request, TextPart, Tool
from pointsman.wire.texts import model_name
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.values import number

_READ: Final = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "thinking",
    "output_config", "output_format", "temperature", "top_p", "top_k", "stop_sequences", "mcp_servers",
    "container", "inference_geo", "context_management", "compaction",
})  # fmt: skip
_BILLING: Final = "x-anthropic-billing-header:"
_HELPING: Final = ("cache_control", "eager_input_streaming", "defer_loading", "input_examples")
_CHOICES: Final = ("auto", "any", "none", "tool")


def read_request(body: Body, path: str, headers: Mapping[str, str]) -> Request:
    """`headers` has lower-case names. Raises BodyError."""
    members = {name: body.get(name) for name in body.names()}
    notes = Notes(READING)
    notes.lose_members((name for name, value in members.items() if value is not None), _READ)
    _refuse_state(members, notes)
    blocks = Blocks(notes)
    messages = tuple(_messages(members.get("messages"), blocks, notes))
    choice = as_dict(members.get("tool_choice"))
    output = as_dict(members.get("output_config"))
    return Request(
        model=model_name(members.get("model")),
        messages=messages,
        system=tuple(_system(members.get("system"), notes)),
        tools=tuple(_tools(members.get("tools"), notes)),
        choice=_choice(choice),
        parallel_calls=False if choice.get("disable_parallel_tool_use") is True else None,
        max_tokens=as_int(members.get("max_tokens")),
        temperature=number(members.get("temperature")),
        top_p=number(members.get("top_p")),
        top_k=as_int(members.get("top_k")),
        stop=tuple(text for text in as_list(members.get("stop_sequences")) if isinstance(text, str) and text),
        reasoning=_reasoning(as_dict(members.get("thinking")), output),
        json=_json(output.get("format") or members.get("output_format")),
        stream=members.get("stream") is True,
        cache_key=(headers.get("x-claude-code-session-id") or "").strip()[:64],
        refused=tuple(notes.refusals),
        losses=tuple(notes.losses),
    )


def _refuse_state(members: Mapping[str, Any], notes: Notes) -> None:
    for name in ("mcp_servers", "container", "inference_geo", "compaction"):
        if members.get(name):
            notes.refuse(name)
    for edit in dicts(as_dict(members.get("context_management")).get("edits")):
        if str(edit.get("type")).startswith("compact"):
            notes.refuse("compaction")
        else:
            notes.lose("context_management")


# --- what is said -------------------------------------------------------------------------


def _system(given: Any, notes: Notes) -> Iterator[str]:
    texts = [given] if isinstance(given, str) else [as_text(block.get("text")) for block in dicts(given)]
    for text in texts:
        if text and text.startswith(_BILLING):
            notes.lose("system[0]")
        elif text and text.strip():
            yield text


def _messages(given: Any, blocks: Blocks, notes: Notes) -> Iterator[Message]:
    for message in dicts(given):
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant", "system"):
            continue
        for name in ("output_config", "clear_at"):
            if message.get(name) is not None:
                notes.lose(f"messages[].{name}")
        if isinstance(content, str):
            yield Message(role, (TextPart(content),))
        elif parts := tuple(blocks.parts(content)):
            yield Message(role, parts)


# --- tools --------------------------------------------------------------------------------


def _tools(given: Any, notes: Notes) -> Iterator[Tool]:
    for tool in dicts(given):
        kind, name = as_text(tool.get("type")) or "custom", as_text(tool.get("name"))
        if kind != "custom":
            notes.refuse("tools[].type", kind)
        elif name:
            if set(map(str, as_list(tool.get("allowed_callers")))) - {"direct"}:
                notes.refuse("tools[].allowed_callers")
            if any(tool.get(helping) for helping in _HELPING):
                notes.lose("tools[] hints")
            schema = tool.get("input_schema")
            strict = tool.get("strict")
            yield Tool(
                name,
                as_text(tool.get("description")) or "",
                schema if isinstance(schema, dict) else None,
                strict if isinstance(strict, bool) else None,
            )


def _choice(choice: Mapping[str, Any]) -> Choice | None:
    mode = choice.get("type")
    return Choice(mode, as_text(choice.get("name")) or "") if mode in _CHOICES else None


# --- how it is to be answered -------------------------------------------------------------


def _reasoning(thinking: Mapping[str, Any], output: Mapping[str, Any]) -> Reasoning:
    kind = thinking.get("type")
    on = None if kind is None else kind in ("enabled", "adaptive")
    if on is False:
        return Reasoning(on=False)
    return Reasoning(
        on=on,
        effort=as_text(output.get("effort")),
        budget_tokens=as_int(thinking.get("budget_tokens")),
        shown=on is True and thinking.get("display") != "omitted",
    )


def _json(given: Any) -> JsonAnswer | None:
    schema = as_dict(given).get("schema")
    return JsonAnswer(schema=schema, strict=True) if isinstance(schema, dict) else None
