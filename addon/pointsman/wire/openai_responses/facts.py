"""What a Responses request says, read once.

Every member may be missing or of a wrong type; what cannot be understood counts as absent, and the provider
gives its own answer to it. Only a body that is no JSON raises BodyError. Where the conversation stands at the
provider (`previous_response_id`, `conversation`, a stored prompt), only what is new in it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.values import Facts
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, clean, dicts
from pointsman.wire.openai.client import CLIENTS, session_hint
from pointsman.wire.openai.parameters import forces_tool
from pointsman.wire.openai_responses.items import (
    COMPACTIONS,
    ROLES_OF_PROGRAMS,
    SETTINGS,
    is_output,
    kind_of,
)
from pointsman.wire.openai_responses.turn import TEXT_PARTS, own_texts, turn_kind
from pointsman.wire.texts import (
    BYTES_PER_TOKEN,
    FIRST_TEXT_LIMIT,
    IMAGE_TOKENS,
    client_name,
    model_name,
    newest,
    retry_count,
)

SAMPLING: Final = ("temperature", "top_p", "top_logprobs")
LITE_HEADER: Final = "x-openai-internal-codex-responses-lite"
LOGPROBS: Final = "message.output_text.logprobs"

# A page of a PDF is about 100 KB in base64 and about 3,000 tokens.
_DOCUMENT_BYTES_PER_TOKEN: Final = 32
# The provider caches by itself for five minutes and more; `prompt_cache_retention` asks for longer.
_CACHE_S: Final = {"24h": 86_400}
_SHORT_CACHE_S: Final = 300
_MEMBERS: Final = (
    "model", "input", "tools", "tool_choice", "max_output_tokens", "stream", "reasoning", "include", "text",
    "previous_response_id", "conversation", "prompt", "background", "generate", "service_tier", "temperature",
    "top_p", "top_logprobs", "prompt_cache_key", "prompt_cache_retention", "client_metadata",
    "context_management",
)  # fmt: skip
# What may follow the newest item: Codex also puts what other agents have said there, whenever it comes.
_ASIDE: Final = SETTINGS | {"reasoning", "agent_message"}


def read_facts(body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> Facts:
    """`headers` has lower-case names; `endpoint` is what `recognise` said. Raises BodyError."""
    members = {name: body.get(name) for name in _MEMBERS}
    history = _read_input(members.get("input"))
    lite = (headers.get(LITE_HEADER) or "").strip().lower() not in ("", "false")
    reasoning = as_dict(members.get("reasoning"))
    hint = _session_hint(members, history, headers)
    return Facts(
        surface="openai_responses",
        endpoint=endpoint,
        requested_model=model_name(members.get("model")),
        stream=members.get("stream") is True,
        turn=turn_kind(members, history.newest_kind, history.newest_texts, headers),
        user_texts=tuple(clean(text) for text in history.user_texts),
        tool_loop=history.tool_loop,
        session_hint=hint,
        # Of a conversation that the provider keeps nobody sees the first words: its id alone is the key.
        first_user_text="" if _conversation(members) else clean(history.first_user_text),
        client=client_name(headers, CLIENTS),
        message_count=history.count,
        input_tokens_estimate=_estimate(body.size, history),
        max_tokens=as_int(members.get("max_output_tokens")),
        images=history.images,
        documents=history.documents,
        tools=len(functions := list(_tools(members, history))),
        tool_types=frozenset(kind for tool in functions if (kind := _kind(tool)) != "function"),
        forced_tool=forces_tool(members.get("tool_choice")),
        pure_json=as_dict(as_dict(members.get("text")).get("format")).get("type") not in (None, "text"),
        effort=as_text(reasoning.get("effort")),
        sampling=frozenset(name for name in SAMPLING if members.get(name) is not None),
        service_tier=as_text(members.get("service_tier")),
        retry_count=retry_count(headers),
        bound=_bound(members, history, lite=lite),
        continues=as_text(members.get("previous_response_id")),
        cache_ttl_s=_CACHE_S.get(as_text(members.get("prompt_cache_retention")) or "", _SHORT_CACHE_S),
        needs=frozenset(_needs(members, history, lite=lite)),
    )


# --- the input ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Input:
    """Gathered in one pass over the items. `image_bytes` and `document_bytes` are base64 characters."""

    count: int = 0
    images: int = 0
    documents: int = 0
    image_bytes: int = 0
    document_bytes: int = 0
    tool_loop: bool = False
    newest_kind: str = ""
    kinds: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    more_tools: list[dict[str, Any]] = field(default_factory=list)
    first_user_text: str = ""
    user_texts: list[str] = field(default_factory=list)
    newest_texts: list[str] = field(default_factory=list)  # of the user's messages at the end


def _read_input(given: Any) -> _Input:
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    items = dicts(given)
    found = _Input(count=len(as_list(given)))
    for item in items:
        kind = kind_of(item)
        found.kinds.add(kind)
        if kind == "additional_tools":
            found.more_tools += dicts(item.get("tools"))
        for part in _parts(item):
            _count_part(part, found)
        if kind == "image_generation_call":
            _count_part({"type": "input_image", "image_url": item.get("result")}, found)
    texts = [own_texts(item) for item in items]
    found.user_texts = newest(text for own in reversed(texts) for text in reversed(own))
    found.first_user_text = next((text for own in texts for text in own if text), "")[:FIRST_TEXT_LIMIT]
    found.newest_kind = kind_of(items[-1]) if items else ""
    _read_newest(items, texts, found)
    return found


def _parts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a message and of a tool's output; a screenshot is an output by itself."""
    for key in ("content", "output"):
        value = item.get(key)
        yield from dicts([value] if isinstance(value, dict) else value)


def _count_part(part: dict[str, Any], found: _Input) -> None:
    kind = part.get("type")
    if isinstance(kind, str):
        found.parts.add(kind)
    if kind in ("input_image", "computer_screenshot"):
        found.images += 1
        found.image_bytes += _data_size(part.get("image_url"))
    elif kind == "input_file":
        found.documents += 1
        found.document_bytes += _data_size(part.get("file_data"))


def _data_size(value: Any) -> int:
    """A file that stands in the request itself; an address or an id costs nothing."""
    return len(value) if isinstance(value, str) and not value.startswith(("http:", "https:")) else 0


def _read_newest(items: list[dict[str, Any]], texts: list[list[str]], found: _Input) -> None:
    """What stands at the end, but for what programs and other agents say and what the model thought."""
    for item, own in zip(reversed(items), reversed(texts), strict=True):
        kind, role = kind_of(item), item.get("role")
        if kind == "message" and role == "user" and own:
            found.newest_texts[:0] = own
            continue
        if found.newest_texts:
            if kind == "message" and role == "user":
                continue
            return
        if kind in _ASIDE or role in ROLES_OF_PROGRAMS or _says_only_text(item):
            continue
        found.tool_loop = is_output(kind) or kind in COMPACTIONS  # which is mid-turn too
        return


def _says_only_text(item: dict[str, Any]) -> bool:
    """A user's message without a picture or file: with no word of the person in it, it is the client's."""
    if item.get("role") != "user":
        return False
    return all(part.get("type") in TEXT_PARTS for part in dicts(item.get("content")))


# --- single facts -------------------------------------------------------------------------


def _tools(members: Mapping[str, Any], history: _Input) -> Iterator[dict[str, Any]]:
    """Every tool, those in the input and in namespaces too; a namespace is one beside its tools."""
    for tool in dicts(members.get("tools")) + history.more_tools:
        yield tool
        if _kind(tool) == "namespace":
            yield from dicts(tool.get("tools"))


def _kind(tool: dict[str, Any]) -> str:
    return as_text(tool.get("type")) or "function"


def _needs(members: Mapping[str, Any], history: _Input, *, lite: bool) -> Iterator[str]:
    """Features that not every model has, by their name in the API or, for Codex's lite mode, `lite`."""
    if lite:
        yield "lite"
    yield from history.kinds & {"additional_tools", "configuration_update", "agent_message"}
    # What the provider keeps is not seen here, and others refuse what its reasoning models have put there
    # (openai/openai-python#2364).
    if "reasoning" in history.kinds or members.get("previous_response_id") or _conversation(members):
        yield "reasoning"
    if lite and _compacted(history):
        yield "compaction"
    if "input_audio" in history.parts:
        yield "input_audio"
    for edit in dicts(members.get("context_management")):
        if kind := as_text(edit.get("type")):
            yield f"context_management.{kind}"


def _bound(members: Mapping[str, Any], history: _Input, *, lite: bool) -> str:
    """Why only the requested model may serve; "" for most."""
    if members.get("background") is True:
        return "background responses are left alone"
    if _compacted(history) and not lite:
        return "its compacted history may be read by its own model only"
    return ""


def _compacted(history: _Input) -> bool:
    """Compactions are encrypted for models of one generation; those of Codex's lite mode are of one."""
    return bool(history.kinds & COMPACTIONS)


def _session_hint(members: Mapping[str, Any], history: _Input, headers: Mapping[str, str]) -> str | None:
    """The client's own id of the conversation. `previous_response_id` is another one with every answer."""
    own = session_hint(headers, None, history.first_user_text)
    kept = _conversation(members)
    return own or kept or session_hint({}, members.get("prompt_cache_key"), history.first_user_text)


def _conversation(members: Mapping[str, Any]) -> str:
    """The id of the conversation that the provider keeps; "" for none."""
    given = members.get("conversation")
    name = given.get("id") if isinstance(given, dict) else given
    return clean(name.strip())[:200] if isinstance(name, str) else ""


def _estimate(size: int, history: _Input) -> int:
    """Input tokens: text at four bytes each, every image alike, documents by their size."""
    text = max(0, size - history.image_bytes - history.document_bytes)
    documents = history.document_bytes // _DOCUMENT_BYTES_PER_TOKEN
    return text // BYTES_PER_TOKEN + IMAGE_TOKENS * history.images + documents
