"""What an Anthropic request says, read once.

Every member may be missing or of a wrong type; what cannot be understood counts as absent,
and the provider gives its own answer to it. Only a body that is no JSON raises BodyError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pointsman.values import Facts, TurnKind
from pointsman.wire.anthropic.turn import turn_kind
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, clean, dicts
from pointsman.wire.texts import (
    BYTES_PER_TOKEN,
    FIRST_TEXT_LIMIT,
    IMAGE_TOKENS,
    client_name,
    model_name,
    newest,
    retry_count,
)

# A page of a PDF is about 100 KB in base64 and about 3,000 tokens.
_DOCUMENT_BYTES_PER_TOKEN = 32

_CLIENTS = (
    ("claude-cli/", "claude-code"),
    ("opencode/", "opencode"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-js"),
)
_MEMBERS = (
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "thinking",
    "output_config", "output_format", "temperature", "top_p", "top_k", "metadata", "speed", "service_tier",
    "cache_control", "context_management", "inference_geo",
)  # fmt: skip
_SAMPLING = ("temperature", "top_p", "top_k")
_REMINDER = "<system-reminder>"
_OLD_USER_ID = re.compile(r"_session_([0-9a-fA-F-]{8,})\Z")  # Claude Code before its user id was JSON


def read_facts(body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> Facts:
    """`headers` has lower-case names; `endpoint` is what `recognise` said. Raises BodyError."""
    members = {name: body.get(name) for name in _MEMBERS}
    history = _read_history(as_list(members.get("messages")))
    client = client_name(headers, _CLIENTS)
    tools = dicts(members.get("tools"))
    ttl_s = _cache_ttl_s(members, history)
    turn = turn_kind(
        members, history.newest_texts, headers, client, short=history.count <= 3, cached=ttl_s is not None
    )
    thinking = as_dict(members.get("thinking"))
    output = as_dict(members.get("output_config"))
    return Facts(
        surface="anthropic",
        endpoint=endpoint,
        requested_model=model_name(members.get("model")),
        stream=members.get("stream") is True,
        turn=turn,
        user_texts=tuple(clean(text) for text in history.user_texts),
        tool_loop=history.tool_loop,
        session_hint=_session_hint(members, history, headers, turn),
        first_user_text=clean(history.first_user_text),
        client=client,
        message_count=history.count,
        input_tokens_estimate=_estimate(body.size, history),
        max_tokens=as_int(members.get("max_tokens")),
        images=history.images,
        documents=history.documents,
        tools=len(tools),
        tool_types=frozenset(_versioned(tools)),
        forced_tool=as_dict(members.get("tool_choice")).get("type") in ("any", "tool"),
        prefill=history.prefill,
        system_role=history.system_role,
        pure_json=bool(output.get("format") or members.get("output_format")),
        thinking=as_text(thinking.get("type")),
        thinking_budget_tokens=as_int(thinking.get("budget_tokens")),
        effort=as_text(output.get("effort")),
        sampling=frozenset(name for name in _SAMPLING if members.get(name) is not None),
        speed=as_text(members.get("speed")),
        service_tier=as_text(members.get("service_tier")),
        retry_count=retry_count(headers),
        cache_ttl_s=ttl_s,
        needs=frozenset(_needs(members)) | history.needs,
    )


# --- the history --------------------------------------------------------------------------


@dataclass(slots=True)
class _History:
    """Gathered in one pass over the messages. `image_bytes` and `document_bytes` are base64 characters."""

    count: int = 0
    images: int = 0
    documents: int = 0
    image_bytes: int = 0
    document_bytes: int = 0
    cache_ttl_s: int = 0
    system_role: bool = False
    tool_loop: bool = False
    prefill: bool = False
    needs: set[str] = field(default_factory=set)  # what system messages hold besides text: changes of tools
    first_user_text: str = ""
    user_texts: list[str] = field(default_factory=list)
    newest_texts: list[str] = field(default_factory=list)  # of the newest message, if it is the user's


def _read_history(messages: list[Any]) -> _History:
    history = _History(count=len(messages))
    for message in messages:
        if not isinstance(message, dict):
            continue
        if message.get("role") == "system":
            history.system_role = True
            history.needs |= {kind for b in dicts(message.get("content")) if (kind := as_text(b.get("type")))}
        for block in _blocks(message.get("content")):
            _count_block(block, history)
    history.needs.discard("text")
    history.user_texts = newest(text for m in reversed(messages) for text in reversed(_user_texts(m)))
    history.first_user_text = _first_user_text(messages)
    _read_newest(messages, history)
    return history


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    """The blocks of a content and those inside its tool results and documents."""
    for block in dicts(content):
        yield block
        inner = block.get("content")
        if isinstance(inner, list):
            yield from dicts(inner)


def _count_block(block: dict[str, Any], history: _History) -> None:
    if "cache_control" in block:
        history.cache_ttl_s = max(history.cache_ttl_s, _ttl_s(block))
    kind = block.get("type")
    if kind == "image":
        history.images += 1
        history.image_bytes += _data_size(block)
    elif kind == "document":
        history.documents += 1
        history.document_bytes += _data_size(block)


def _data_size(block: dict[str, Any]) -> int:
    source = as_dict(block.get("source"))
    data = source.get("data")
    return len(data) if source.get("type") == "base64" and isinstance(data, str) else 0


def _user_texts(message: Any) -> list[str]:
    if not isinstance(message, dict) or message.get("role") != "user":
        return []
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    texts = (block.get("text") for block in dicts(content) if block.get("type") == "text")
    return [text for text in texts if isinstance(text, str)]


def _first_user_text(messages: list[Any]) -> str:
    """The first text that the person wrote, not the client's reminders before it."""
    for message in messages:
        for text in _user_texts(message):
            if text and not text.lstrip().startswith(_REMINDER):
                return text[:FIRST_TEXT_LIMIT]
    return ""


def _read_newest(messages: list[Any], history: _History) -> None:
    # Claude Code 2.1 puts a role "system" entry after the user's message.
    newest = next((m for m in reversed(messages) if as_dict(m).get("role") != "system"), None)
    role, kinds = as_dict(newest).get("role"), [b.get("type") for b in dicts(as_dict(newest).get("content"))]
    if role == "user":
        history.tool_loop = "tool_result" in kinds
        history.newest_texts = _user_texts(newest)
    elif role == "assistant":
        # A paused turn goes on from the server's own tool call; all else is the start of the answer.
        paused = bool(kinds) and isinstance(kinds[-1], str) and kinds[-1].endswith(_SERVER_TOOLS)
        history.tool_loop, history.prefill = paused, not paused


_SERVER_TOOLS = ("server_tool_use", "mcp_tool_use", "tool_result")


# --- single facts -------------------------------------------------------------------------


def _versioned(tools: list[dict[str, Any]]) -> Iterator[str]:
    for tool in tools:
        kind = as_text(tool.get("type"))
        if kind and kind != "custom":
            yield kind


def _needs(members: dict[str, Any]) -> Iterator[str]:
    """Context edits by their type, and inference_geo: not every model has them."""
    for edit in dicts(as_dict(members.get("context_management")).get("edits")):
        if kind := as_text(edit.get("type")):
            yield kind
    if members.get("inference_geo") is not None:
        yield "inference_geo"


def _estimate(size: int, history: _History) -> int:
    """Input tokens: text at four bytes each, every image alike, documents by their size."""
    text = max(0, size - history.image_bytes - history.document_bytes)
    documents = history.document_bytes // _DOCUMENT_BYTES_PER_TOKEN
    return text // BYTES_PER_TOKEN + IMAGE_TOKENS * history.images + documents


def _ttl_s(block: dict[str, Any]) -> int:
    control = block.get("cache_control")
    if not isinstance(control, dict):
        return 0
    return 3600 if control.get("ttl") == "1h" else 300


def _cache_ttl_s(members: dict[str, Any], history: _History) -> int | None:
    others = [members, *dicts(members.get("system")), *dicts(members.get("tools"))]
    return max(history.cache_ttl_s, *(_ttl_s(other) for other in others)) or None


def _session_hint(
    members: dict[str, Any], history: _History, headers: Mapping[str, str], turn: TurnKind
) -> str | None:
    """The client's own id of the conversation; a sub-agent's is its parent's with something of its own."""
    names = ("x-claude-code-session-id", "x-session-id", "x-session-affinity")
    given = next((value for name in names if (value := (headers.get(name) or "").strip())), None)
    hint = given or _user_id_session(as_dict(members.get("metadata")).get("user_id"))
    if hint and turn is TurnKind.SUBAGENT:
        agent = (headers.get("x-claude-code-agent-id") or "").strip()
        hint = f"{hint}/{agent or history.first_user_text[:200]}"
    return clean(hint) if hint else None


def _user_id_session(user_id: Any) -> str | None:
    """The session inside `metadata.user_id`; an id that names only a person is none."""
    if not isinstance(user_id, str) or len(user_id) > 4096:
        return None
    if found := _OLD_USER_ID.search(user_id):
        return found[1]
    try:
        session = as_dict(json.loads(user_id)).get("session_id")
    except (ValueError, RecursionError):
        return None
    return session if isinstance(session, str) and session else None
