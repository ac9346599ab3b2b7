"""A Gemini request as a neutral one; see `wire/neutral.py`. Its contents are read in `request_contents`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.wire.gemini import route
from pointsman.wire.gemini.facts import inner_request, modalities
from pointsman.wire.gemini.request_contents import Contents
from pointsman.wire.gemini.request_losses import READING
from pointsman.wire.gemini.spelling import camel, given, items
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text
from pointsman.wire.neutral import Choice, JsonAnswer, Reasoning, Request, Tool
from pointsman.wire.texts import model_name
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.schemas import from_google
from pointsman.wire.translation.values import number

_READ: Final = frozenset({
    "model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent",
})  # fmt: skip
_CONFIG: Final = frozenset({
    "candidateCount", "stopSequences", "maxOutputTokens", "temperature", "topP", "topK", "seed",
    "presencePenalty", "frequencyPenalty", "responseMimeType", "responseSchema", "responseJsonSchema",
    "_responseJsonSchema", "responseModalities", "responseLogprobs", "logprobs", "speechConfig",
    "imageConfig", "thinkingConfig",
})  # fmt: skip
_JSON_TYPE: Final = "application/json"
_TEXT_TYPES: Final = (None, "", "text/plain")
_LEVELS: Final = ("minimal", "low", "medium", "high")
_MODES: Final = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "any", "NONE": "none"}


def read_request(body: Body, path: str, headers: Mapping[str, str]) -> Request:
    """`headers` has lower-case names. Raises BodyError."""
    asked = route.parse(path)
    whole = inner_request(body) or body
    members = {camel(name): whole.get(name) for name in whole.names()}
    notes = Notes(READING)
    config = {camel(name): value for name, value in as_dict(members.get("generationConfig")).items()}
    notes.lose_members((name for name, value in members.items() if value is not None), _READ)
    notes.lose_members((name for name, value in config.items() if value is not None), _CONFIG)
    _refuse(members, config, notes)
    contents = Contents(notes)
    contents.read(members.get("contents"))
    tools = tuple(_tools(members.get("tools"), notes))
    tools, choice = _choice(tools, as_dict(members.get("toolConfig")), notes)
    return Request(
        model=model_name(asked.model if asked else ""),
        messages=tuple(contents.messages),
        system=tuple(contents.texts(members.get("systemInstruction"))),
        tools=tools,
        choice=choice,
        max_tokens=as_int(config.get("maxOutputTokens")),
        temperature=number(config.get("temperature")),
        top_p=number(config.get("topP")),
        top_k=_whole(config.get("topK")),
        presence_penalty=number(config.get("presencePenalty")),
        frequency_penalty=number(config.get("frequencyPenalty")),
        seed=as_int(config.get("seed")),
        stop=tuple(text for text in as_list(config.get("stopSequences")) if isinstance(text, str) and text),
        reasoning=_reasoning(as_dict(config.get("thinkingConfig"))),
        json=_json(config),
        stream=asked is not None and asked.streams,
        stream_array=asked is not None and asked.array,
        refused=tuple(notes.refusals),
        losses=tuple(notes.losses),
    )


def _refuse(members: Mapping[str, Any], config: Mapping[str, Any], notes: Notes) -> None:
    if members.get("cachedContent"):
        notes.refuse("cachedContent")
    if (as_int(config.get("candidateCount")) or 1) > 1:
        notes.refuse("candidateCount")
    if modalities(config) - {"TEXT"} or config.get("speechConfig") or config.get("imageConfig"):
        notes.refuse("responseModalities")
    if config.get("responseLogprobs") or config.get("logprobs"):
        notes.refuse("logprobs")
    kind = config.get("responseMimeType")
    if kind not in (*_TEXT_TYPES, _JSON_TYPE):
        notes.refuse("responseMimeType", str(kind))


def _whole(value: Any) -> int | None:
    """topK is a whole number that SDKs write as a float."""
    found = number(value)
    return None if found is None else int(found)


# --- tools --------------------------------------------------------------------------------


def _tools(value: Any, notes: Notes) -> Iterator[Tool]:
    for tool in items(value):
        for name, inner in tool.items():
            if inner is None or inner == []:
                continue
            if camel(name) != "functionDeclarations":
                notes.refuse("tools[]", camel(name))
                continue
            for declared in items(inner):
                yield from _function(declared, notes)


def _function(declared: Mapping[str, Any], notes: Notes) -> Iterator[Tool]:
    if given(declared, "response") is not None or given(declared, "responseJsonSchema") is not None:
        notes.lose("functionDeclarations[].response")
    schema = given(declared, "parametersJsonSchema") or given(declared, "parameters")
    if name := as_text(declared.get("name")):
        yield Tool(name, as_text(declared.get("description")) or "", from_google(as_dict(schema)))


def _choice(
    tools: tuple[Tool, ...], config: Mapping[str, Any], notes: Notes
) -> tuple[tuple[Tool, ...], Choice | None]:
    """Where the model may call some of the tools only, only these are offered."""
    if given(config, "retrievalConfig") is not None:
        notes.lose("retrievalConfig")
    calling = as_dict(given(config, "functionCallingConfig"))
    word = as_text(calling.get("mode"))
    mode = _MODES.get(word.upper()) if word else None
    if mode is None:
        return tools, None
    allowed = as_list(given(calling, "allowedFunctionNames"))
    if mode == "any" and len(allowed) == 1:
        return tools, Choice("tool", str(allowed[0]))
    kept = tuple(tool for tool in tools if tool.name in allowed) if allowed else tools
    return kept, Choice(mode)


# --- how it is to be answered -------------------------------------------------------------


def _reasoning(thinking: Mapping[str, Any]) -> Reasoning:
    """A budget of 0 is no thinking, one of -1 is as much as the model likes."""
    level, budget = given(thinking, "thinkingLevel"), as_int(given(thinking, "thinkingBudget"))
    shown = given(thinking, "includeThoughts") is True
    word = level.lower() if isinstance(level, str) else ""
    if word in _LEVELS:
        return Reasoning(on=True, effort=word, shown=shown)
    if budget is None:
        return Reasoning(shown=shown)
    if budget == 0:
        return Reasoning(on=False)
    return Reasoning(on=True, budget_tokens=budget if budget > 0 else None, shown=shown)


def _json(config: Mapping[str, Any]) -> JsonAnswer | None:
    if config.get("responseMimeType") != _JSON_TYPE:
        return None
    names = ("responseJsonSchema", "_responseJsonSchema", "responseSchema")
    schema = next((found for name in names if (found := as_dict(config.get(name)))), None)
    return JsonAnswer(from_google(schema), strict=True if schema else None)
