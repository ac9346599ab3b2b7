"""What a Chat Completions request says, read once.

Every member may be missing or of a wrong type; what cannot be understood counts as absent, and the provider
gives its own answer to it. Only a body that is no JSON raises BodyError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.values import Facts
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, clean, dicts
from pointsman.wire.openai.client import CLIENTS, session_hint
from pointsman.wire.openai.parameters import SAMPLING, forces_tool
from pointsman.wire.openai_chat.turn import turn_kind
from pointsman.wire.texts import (
    BYTES_PER_TOKEN,
    FIRST_TEXT_LIMIT,
    IMAGE_TOKENS,
    client_name,
    model_name,
    newest,
    retry_count,
)

SURFACE: Final = "openai_chat"

_SYSTEM_ROLES: Final = ("system", "developer")
_TOOL_ROLES: Final = ("tool", "function")
_LOW_IMAGE_TOKENS: Final = 85  # an image with detail "low", whatever its size (OpenAI's vision guide)
# A page of a PDF is about 100 KB in base64 and about 3,000 tokens; a second of speech is 10 tokens, and about
# 20 KB as base64 of an mp3.
_DOCUMENT_BYTES_PER_TOKEN: Final = 32
_AUDIO_BYTES_PER_TOKEN: Final = 2_000
# The provider caches by itself for five minutes and more; these ask for longer.
_SHORT_CACHE_S: Final = 300
_CACHE_S: Final = {"24h": 86_400, "30m": 1_800}
_MEMBERS: Final = (
    "model", "messages", "tools", "functions", "tool_choice", "function_call", "max_tokens",
    "max_completion_tokens", "stream", "n", "stop", "response_format", "reasoning_effort", "modalities",
    "audio", "prediction", "web_search_options", "moderation", "service_tier", "prompt_cache_key",
    "prompt_cache_retention", "prompt_cache_options", *SAMPLING,
)  # fmt: skip
# Features that not every model has, by their name in the API.
_FEATURES: Final = ("prediction", "web_search_options", "moderation", "stop", "audio")
_PART_FEATURES: Final = ("input_audio", "video_url")


def read_facts(body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> Facts:
    """`headers` has lower-case names; `endpoint` is what `recognise` said. Raises BodyError."""
    members = {name: body.get(name) for name in _MEMBERS}
    history = _read_history(as_list(members.get("messages")))
    tools = dicts(members.get("tools"))
    choices = as_int(members.get("n")) or 1
    return Facts(
        surface=SURFACE,
        endpoint=endpoint,
        requested_model=model_name(members.get("model")),
        stream=members.get("stream") is True,
        turn=turn_kind(members, history.system_text, history.newest_texts, headers),
        user_texts=tuple(clean(text) for text in history.user_texts),
        tool_loop=history.newest_role in _TOOL_ROLES,
        session_hint=session_hint(headers, members.get("prompt_cache_key"), history.first_user_text),
        first_user_text=clean(history.first_user_text),
        client=client_name(headers, CLIENTS),
        message_count=history.count,
        input_tokens_estimate=_estimate(body.size, history),
        max_tokens=_max_tokens(members),
        images=history.images,
        documents=history.documents,
        tools=len(tools) + len(dicts(members.get("functions"))),
        tool_types=frozenset(_tool_types(tools)),
        forced_tool=any(forces_tool(members.get(name)) for name in ("tool_choice", "function_call")),
        prefill=history.newest_role == "assistant",
        pure_json=as_dict(members.get("response_format")).get("type") not in (None, "text"),
        effort=as_text(members.get("reasoning_effort")),
        sampling=frozenset(name for name in SAMPLING if members.get(name) is not None),
        service_tier=as_text(members.get("service_tier")),
        retry_count=retry_count(headers),
        choices=max(1, choices),
        cache_ttl_s=_cache_ttl_s(members),
        needs=frozenset(_needs(members, history, choices)),
    )


# --- the history --------------------------------------------------------------------------


@dataclass(slots=True)
class _History:
    """Gathered in one pass over the messages. Sizes are characters of base64."""

    count: int = 0
    images: int = 0
    image_tokens: int = 0
    documents: int = 0
    image_bytes: int = 0
    document_bytes: int = 0
    audio_bytes: int = 0
    parts: set[str] = field(default_factory=set)  # types of parts, and `prompt_cache_breakpoint`
    newest_role: str = ""
    system_text: str = ""
    first_user_text: str = ""
    user_texts: list[str] = field(default_factory=list)
    newest_texts: list[str] = field(default_factory=list)  # of the user's messages at the end


def _read_history(given: list[Any]) -> _History:
    messages = dicts(given)
    history = _History(count=len(given))
    for message in messages:
        for part in dicts(message.get("content")):
            _count_part(part, history)
    users = [_texts(message) if message.get("role") == "user" else [] for message in messages]
    history.user_texts = newest(text for texts in reversed(users) for text in reversed(texts))
    history.first_user_text = next((text for texts in users for text in texts if text), "")[:FIRST_TEXT_LIMIT]
    leading = messages[:1] if messages and messages[0].get("role") in _SYSTEM_ROLES else []
    history.system_text = next((text for message in leading for text in _texts(message)), "")
    _read_newest(messages, users, history)
    return history


def _read_newest(messages: list[dict[str, Any]], users: list[list[str]], history: _History) -> None:
    """The role at the end, instructions left out, and the texts of the user's messages there."""
    for message, texts in zip(reversed(messages), reversed(users), strict=True):
        role = as_text(message.get("role")) or ""
        if role in _SYSTEM_ROLES:
            continue
        history.newest_role = history.newest_role or role
        if role != "user":
            return
        history.newest_texts[:0] = texts


def _texts(message: dict[str, Any]) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    texts = (part.get("text") for part in dicts(content) if part.get("type") == "text")
    return [text for text in texts if isinstance(text, str)]


def _count_part(part: dict[str, Any], history: _History) -> None:
    kind = as_text(part.get("type")) or ""
    history.parts.add(kind)
    if "prompt_cache_breakpoint" in part:
        history.parts.add("prompt_cache_breakpoint")
    if kind == "image_url":
        image = as_dict(part.get("image_url"))
        history.images += 1
        history.image_tokens += _LOW_IMAGE_TOKENS if image.get("detail") == "low" else IMAGE_TOKENS
        history.image_bytes += _data_size(image.get("url"))
    elif kind == "file":
        history.documents += 1
        history.document_bytes += _data_size(as_dict(part.get("file")).get("file_data"))
    elif kind == "input_audio":
        history.audio_bytes += _data_size(as_dict(part.get("input_audio")).get("data"))


def _data_size(value: Any) -> int:
    """What stands in the request itself; an address costs nothing."""
    return len(value) if isinstance(value, str) and not value.startswith(("http:", "https:")) else 0


# --- single facts -------------------------------------------------------------------------


def _max_tokens(members: Mapping[str, Any]) -> int | None:
    limits = (as_int(members.get(name)) for name in ("max_completion_tokens", "max_tokens"))
    return next((limit for limit in limits if limit is not None), None)


def _tool_types(tools: list[dict[str, Any]]) -> Iterator[str]:
    """Tools that are no functions: `custom`, and what gateways have besides."""
    for tool in tools:
        kind = as_text(tool.get("type"))
        if kind and kind != "function":
            yield kind


def _needs(members: Mapping[str, Any], history: _History, choices: int) -> Iterator[str]:
    yield from (name for name in _FEATURES if members.get(name) not in (None, [], ""))
    if "audio" in as_list(members.get("modalities")):
        yield "audio"
    yield from history.parts.intersection(_PART_FEATURES)
    if "prompt_cache_breakpoint" in history.parts:
        yield "prompt_cache_breakpoint"
    if choices > 1:
        yield "n"


def _cache_ttl_s(members: Mapping[str, Any]) -> int:
    wishes = (
        members.get("prompt_cache_retention"),
        as_dict(members.get("prompt_cache_options")).get("ttl"),
    )
    return max((_CACHE_S.get(as_text(wish) or "", 0) for wish in wishes), default=0) or _SHORT_CACHE_S


def _estimate(size: int, history: _History) -> int:
    """Input tokens: text at four bytes each, images by their detail, documents and audio by their size."""
    data = history.image_bytes + history.document_bytes + history.audio_bytes
    text = max(0, size - data) // BYTES_PER_TOKEN
    documents = history.document_bytes // _DOCUMENT_BYTES_PER_TOKEN
    return text + history.image_tokens + documents + history.audio_bytes // _AUDIO_BYTES_PER_TOKEN
