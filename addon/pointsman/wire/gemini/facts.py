"""What a Gemini request says, read once.

Every member may be missing or of a wrong type; what cannot be understood counts as absent, and the provider
gives its own answer to it. Only a body that is no JSON raises BodyError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pointsman.values import Facts, TurnKind
from pointsman.wire.gemini import route
from pointsman.wire.gemini.contents import Contents, read_contents
from pointsman.wire.gemini.spelling import camel, given, items, snake, spelled
from pointsman.wire.gemini.turn import CLI, turn_kind
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_text, clean
from pointsman.wire.texts import client_name, model_name, retry_count

_CLIENTS: Final = (
    ("geminicli", CLI),
    ("cloudcodevscode/", CLI),  # the same program inside an editor
    ("opencode/", "opencode"),
)
_SDK: Final = "google-genai-sdk/"
_SAMPLING: Final = ("temperature", "topP", "topK")
_PENALTIES: Final = ("presencePenalty", "frequencyPenalty")
_LOGPROBS: Final = ("logprobs", "responseLogprobs")
_SCHEMAS: Final = ("responseSchema", "responseJsonSchema", "_responseJsonSchema")
_SESSION_HEADERS: Final = ("x-session-id", "x-session-affinity")
_ID_LIMIT: Final = 200  # characters
_IMPLICIT_CACHE_S: Final = 300  # Google names no time; OpenAI names this one as the least


@dataclass(frozen=True, slots=True)
class GeminiFacts(Facts):
    """Facts of this surface. `array`: the answer is streamed as one JSON array."""

    array: bool = False


def read_facts(body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> GeminiFacts:
    """`headers` has lower-case names; `endpoint` is what `recognise` said. Raises BodyError."""
    asked = route.parse(path)
    request = inner_request(body) or body
    members = {name: request.get(spelled(request, name)) for name in _MEMBERS}
    config = as_dict(members["generationConfig"])
    calling = as_dict(given(as_dict(members["toolConfig"]), "functionCallingConfig"))
    thinking = as_dict(given(config, "thinkingConfig"))
    contents = read_contents(members["contents"])
    functions, kinds = _tools(items(members["tools"]))
    client = _client(headers)
    level = as_text(given(thinking, "thinkingLevel"))
    budget = as_int(given(thinking, "thinkingBudget"))
    max_tokens = as_int(given(config, "maxOutputTokens"))
    turn = turn_kind(
        headers, client, contents.newest_texts, set(functions), max_tokens,
        stream=asked is not None and asked.streams, short=contents.count <= 3,
    )  # fmt: skip
    cached = members["cachedContent"]
    return GeminiFacts(
        surface="gemini",
        endpoint=endpoint,
        requested_model=model_name(asked.model if asked else ""),
        stream=asked is not None and asked.streams,
        array=asked is not None and asked.array,
        turn=turn,
        user_texts=tuple(clean(text) for text in contents.user_texts),
        tool_loop=contents.tool_loop,
        session_hint=_session_hint(headers, turn, contents.first_user_text),
        first_user_text=clean(contents.first_user_text),
        client=client,
        message_count=contents.count,
        input_tokens_estimate=contents.tokens(body.size),
        max_tokens=max_tokens,
        images=contents.images,
        documents=contents.documents,
        tools=len(functions) + len(kinds),
        tool_types=frozenset(kinds),
        forced_tool=calling.get("mode") in ("ANY", "any"),
        prefill=contents.prefill,
        pure_json=_pure_json(config),
        thinking="level" if level else None if budget is None else "budget",
        thinking_budget_tokens=budget,
        effort=level.lower() if level else None,
        sampling=frozenset(snake(name) for name in _SAMPLING if given(config, name) is not None),
        service_tier=as_text(members["serviceTier"]),
        retry_count=retry_count(headers),
        choices=max(1, as_int(given(config, "candidateCount")) or 1),
        bound="cachedContent is bound to its model" if cached else "",
        cache_ttl_s=_IMPLICIT_CACHE_S,
        needs=frozenset(_needs(config, calling, members, contents, functions, kinds)),
    )


_MEMBERS: Final = (
    "contents", "tools", "toolConfig", "generationConfig", "cachedContent", "serviceTier",
)  # fmt: skip


def inner_request(body: Body) -> Body | None:
    """The request whose tokens are to be counted, where it is wrapped in a member. Raises BodyError."""
    raw = body.raw(spelled(body, "generateContentRequest"))
    return Body.parse(raw) if raw is not None and raw.startswith(b"{") else None


def modalities(config: Mapping[str, Any]) -> set[str]:
    """Kinds of output that are asked for, in upper case; empty where nothing is said, which means text."""
    wanted = given(config, "responseModalities")
    return {clean(str(kind)).upper() for kind in (wanted if isinstance(wanted, list) else [wanted]) if kind}


# --- single facts -------------------------------------------------------------------------


def _client(headers: Mapping[str, str]) -> str:
    agent = (headers.get("user-agent") or "").lower()
    if not agent.startswith(_SDK):
        return client_name(headers, _CLIENTS)
    return "google-genai-python" if "gl-python/" in agent else "google-genai-js"


def _session_hint(headers: Mapping[str, str], turn: TurnKind, first_user_text: str) -> str | None:
    """The client's own id of the conversation. Gemini CLI sends none: its install id names a computer."""
    given_ids = ((headers.get(name) or "").strip()[:_ID_LIMIT] for name in _SESSION_HEADERS)
    hint = next(filter(None, given_ids), None)
    if hint and turn is TurnKind.SUBAGENT:
        hint = f"{hint}/{first_user_text[:_ID_LIMIT]}"
    return clean(hint) if hint else None


def _tools(tools: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The names of declared functions, and the kinds of the provider's own tools in camel case."""
    functions: list[str] = []
    kinds: list[str] = []
    for tool in tools:
        for name, value in tool.items():
            if value is None or value == []:
                continue
            if camel(name) == "functionDeclarations":
                functions += [as_text(item.get("name")) or "" for item in items(value)]
            else:
                kinds.append(clean(camel(name)))
    return functions, kinds


def _pure_json(config: Mapping[str, Any]) -> bool:
    """Whether a program reads the answer: JSON, or one word of an enumeration."""
    kind = given(config, "responseMimeType")
    plain = kind in (None, "", "text/plain")
    return not plain or any(given(config, name) is not None for name in _SCHEMAS)


def _needs(
    config: Mapping[str, Any],
    calling: Mapping[str, Any],
    members: Mapping[str, Any],
    contents: Contents,
    functions: list[str],
    kinds: list[str],
) -> Iterator[str]:
    """What not every model has, besides kinds of tools; the words are those of the catalogue."""
    yield from contents.needs
    yield from (f"{kind.lower()}_output" for kind in modalities(config) if kind != "TEXT")
    if given(config, "speechConfig") is not None:
        yield "audio_output"
    if given(config, "imageConfig") is not None:
        yield "image_output"
    for need, names in (("penalties", _PENALTIES), ("logprobs", _LOGPROBS)):
        if any(given(config, name) not in (None, False, 0) for name in names):
            yield need
    if functions and kinds:
        yield "functions_with_tools"
    if (functions or kinds) and given(config, "responseMimeType") == "application/json":
        yield "json_with_tools"
    if given(calling, "streamFunctionCallArguments"):
        yield "streamed_arguments"
    if given(as_dict(members["toolConfig"]), "includeServerSideToolInvocations"):
        yield "functions_with_tools"
