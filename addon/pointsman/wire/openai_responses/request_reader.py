"""A Responses request as a neutral one; see `wire/neutral.py`. Its items are read in `request_items`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, dicts
from pointsman.wire.neutral import Choice, JsonAnswer, Reasoning, Request, Tool
from pointsman.wire.openai_responses.facts import LOGPROBS
from pointsman.wire.openai_responses.request_items import Items
from pointsman.wire.openai_responses.request_losses import READING
from pointsman.wire.texts import model_name
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.values import number

_READ: Final = frozenset({
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens",
    "temperature", "top_p", "reasoning", "text", "stream", "prompt_cache_key", "previous_response_id",
    "conversation", "prompt", "background", "generate", "context_management", "include", "top_logprobs",
})  # fmt: skip
_STATE: Final = ("previous_response_id", "conversation", "prompt")
_MODES: Final = {"auto": "auto", "none": "none", "required": "any"}
_OWN_TOOLS: Final = ("function", "custom")


def read_request(body: Body, path: str, headers: Mapping[str, str]) -> Request:
    """`headers` has lower-case names. Raises BodyError."""
    members = {name: body.get(name) for name in body.names()}
    notes = Notes(READING)
    notes.lose_members((name for name, value in members.items() if value is not None), _READ)
    _refuse(members, notes)
    items = Items(notes)
    items.read(members.get("input"))
    instructions = as_text(members.get("instructions")) or ""
    tools = tuple(_tools([*dicts(members.get("tools")), *items.tools], notes))
    tools, choice = _allowed(tools, members.get("tool_choice"), notes)
    parallel = members.get("parallel_tool_calls")
    return Request(
        model=model_name(members.get("model")),
        messages=tuple(items.messages),
        system=((instructions,) if instructions else ()) + tuple(items.system),
        tools=tools,
        choice=choice,
        parallel_calls=parallel if isinstance(parallel, bool) else None,
        max_tokens=as_int(members.get("max_output_tokens")),
        temperature=number(members.get("temperature")),
        top_p=number(members.get("top_p")),
        reasoning=_reasoning(as_dict(members.get("reasoning")), notes),
        verbosity=as_text(as_dict(members.get("text")).get("verbosity")),
        json=_json(as_dict(as_dict(members.get("text")).get("format"))),
        stream=members.get("stream") is True,
        cache_key=(as_text(members.get("prompt_cache_key")) or "")[:64],
        refused=tuple(notes.refusals),
        losses=tuple(notes.losses),
    )


def _refuse(members: Mapping[str, Any], notes: Notes) -> None:
    for name in _STATE:
        if members.get(name):
            notes.refuse(name)
    if members.get("background") is True:
        notes.refuse("background")
    if members.get("generate") is False:
        notes.refuse("generate")
    if members.get("context_management"):
        notes.refuse("context_management")
    included = as_list(members.get("include"))
    if members.get("top_logprobs") or LOGPROBS in included:
        notes.refuse("logprobs")
    if included:
        notes.lose("include")


# --- tools --------------------------------------------------------------------------------


def _tools(given: Iterable[Mapping[str, Any]], notes: Notes, namespace: str = "") -> Iterator[Tool]:
    for tool in given:
        kind, name = as_text(tool.get("type")) or "function", as_text(tool.get("name")) or ""
        description = as_text(tool.get("description")) or ""
        if kind == "namespace":
            yield from _tools(dicts(tool.get("tools")), notes, name)
        elif kind not in _OWN_TOOLS:
            notes.refuse("tools[].type", kind)
        elif name and kind == "custom":
            form = tool.get("format")
            form = form if isinstance(form, dict) else None
            yield Tool(name, description, custom=True, namespace=namespace, format=form)
        elif name:
            schema, strict = tool.get("parameters"), tool.get("strict")
            yield Tool(
                name,
                description,
                schema if isinstance(schema, dict) else None,
                strict if isinstance(strict, bool) else None,
                namespace=namespace,
            )


def _allowed(tools: tuple[Tool, ...], given: Any, notes: Notes) -> tuple[tuple[Tool, ...], Choice | None]:
    """Where the client allows some of its tools, only these are offered."""
    if isinstance(given, str):
        return tools, Choice(_MODES[given]) if given in _MODES else None
    chosen = as_dict(given)
    kind, name = chosen.get("type"), as_text(chosen.get("name"))
    if kind == "allowed_tools":
        names = {as_text(tool.get("name")) for tool in dicts(chosen.get("tools"))}
        kept = tuple(tool for tool in tools if tool.name in names)
        return kept, Choice("any" if chosen.get("mode") == "required" else "auto")
    if kind in _OWN_TOOLS and name:
        found = next((tool.namespace for tool in tools if tool.name == name), "")
        return tools, Choice("tool", name, as_text(chosen.get("namespace")) or found)
    if kind is not None:
        notes.refuse("tool_choice", str(kind))
    return tools, None


# --- how it is to be answered -------------------------------------------------------------


def _reasoning(given: Mapping[str, Any], notes: Notes) -> Reasoning:
    if given.get("context") is not None:
        notes.lose("reasoning.context")
    effort = as_text(given.get("effort"))
    shown = any(given.get(name) is not None for name in ("summary", "generate_summary"))
    if effort is None:
        return Reasoning(shown=shown)
    return Reasoning(on=effort != "none", effort=None if effort == "none" else effort, shown=shown)


def _json(form: Mapping[str, Any]) -> JsonAnswer | None:
    kind = form.get("type")
    if kind == "json_object":
        return JsonAnswer()
    if kind != "json_schema":
        return None
    schema, strict = form.get("schema"), form.get("strict")
    return JsonAnswer(
        schema if isinstance(schema, dict) else None,
        as_text(form.get("name")) or "",
        strict if isinstance(strict, bool) else None,
    )
