"""A Chat Completions request as a neutral one; see `wire/neutral.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_int, as_list, as_text, dicts
from pointsman.wire.neutral import Choice, JsonAnswer, Reasoning, Request, Tool
from pointsman.wire.openai_chat.request_losses import READING
from pointsman.wire.openai_chat.request_messages import Messages
from pointsman.wire.texts import model_name
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.values import number

_READ: Final = frozenset({
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_completion_tokens", "max_tokens",
    "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "stop",
    "reasoning_effort", "verbosity", "response_format", "stream", "stream_options", "prompt_cache_key", "n",
    "logprobs", "top_logprobs", "logit_bias", "audio", "modalities", "functions", "function_call",
    "web_search_options", "moderation",
})  # fmt: skip
_MODES: Final = {"auto": "auto", "none": "none", "required": "any"}


def read_request(body: Body, path: str, headers: Mapping[str, str]) -> Request:
    """`headers` has lower-case names. Raises BodyError."""
    members = {name: body.get(name) for name in body.names()}
    notes = Notes(READING)
    notes.lose_members((name for name, value in members.items() if value is not None), _READ)
    _refuse(members, notes)
    options = as_dict(members.get("stream_options"))
    if set(options) - {"include_usage"}:
        notes.lose("stream_options")
    system, messages = Messages(notes).read(members.get("messages"))
    tools, choice = _allowed(tuple(_tools(members.get("tools"), notes)), members.get("tool_choice"))
    parallel = members.get("parallel_tool_calls")
    limits = (as_int(members.get(name)) for name in ("max_completion_tokens", "max_tokens"))
    stop = members.get("stop")
    stops = [stop] if isinstance(stop, str) else as_list(stop)
    return Request(
        model=model_name(members.get("model")),
        messages=messages,
        system=system,
        tools=tools,
        choice=choice,
        parallel_calls=parallel if isinstance(parallel, bool) else None,
        max_tokens=next((limit for limit in limits if limit is not None), None),
        temperature=number(members.get("temperature")),
        top_p=number(members.get("top_p")),
        top_k=as_int(members.get("top_k")),
        presence_penalty=number(members.get("presence_penalty")),
        frequency_penalty=number(members.get("frequency_penalty")),
        seed=as_int(members.get("seed")),
        stop=tuple(text for text in stops if isinstance(text, str) and text),
        reasoning=_reasoning(as_text(members.get("reasoning_effort"))),
        verbosity=as_text(members.get("verbosity")),
        json=_json(as_dict(members.get("response_format"))),
        stream=members.get("stream") is True,
        stream_usage=options.get("include_usage") is True,
        cache_key=(as_text(members.get("prompt_cache_key")) or "")[:64],
        refused=tuple(notes.refusals),
        losses=tuple(notes.losses),
    )


def _refuse(members: Mapping[str, Any], notes: Notes) -> None:
    if (as_int(members.get("n")) or 1) > 1:
        notes.refuse("n")
    if members.get("logprobs") or members.get("top_logprobs"):
        notes.refuse("logprobs")
    if members.get("audio") or "audio" in as_list(members.get("modalities")):
        notes.refuse("audio")
    if members.get("functions") or members.get("function_call"):
        notes.refuse("functions")
    for name in ("logit_bias", "web_search_options", "moderation"):
        if members.get(name) not in (None, {}, []) or (name == "web_search_options" and name in members):
            notes.refuse(name)


# --- tools --------------------------------------------------------------------------------


def _tools(given: Any, notes: Notes) -> Iterator[Tool]:
    for tool in dicts(given):
        kind = as_text(tool.get("type")) or "function"
        inner = as_dict(tool.get(kind))
        name, description = as_text(inner.get("name")), as_text(inner.get("description")) or ""
        if kind not in ("function", "custom"):
            notes.refuse("tools[].type", kind)
        elif name and kind == "custom":
            form = inner.get("format")
            yield Tool(name, description, custom=True, format=form if isinstance(form, dict) else None)
        elif name:
            schema, strict = inner.get("parameters"), inner.get("strict")
            yield Tool(
                name,
                description,
                schema if isinstance(schema, dict) else None,
                strict if isinstance(strict, bool) else None,
            )


def _allowed(tools: tuple[Tool, ...], given: Any) -> tuple[tuple[Tool, ...], Choice | None]:
    """Where the client allows some of its tools, only these are offered."""
    chosen = as_dict(given)
    if isinstance(given, str):
        return tools, Choice(_MODES[given]) if given in _MODES else None
    if chosen.get("type") == "allowed_tools":
        allowed = as_dict(chosen.get("allowed_tools"))
        names = {_name_of(tool) for tool in dicts(allowed.get("tools"))}
        kept = tuple(tool for tool in tools if tool.name in names)
        return kept, Choice("any" if allowed.get("mode") == "required" else "auto")
    name = _name_of(chosen)
    return tools, Choice("tool", name) if name else None


def _name_of(chosen: Mapping[str, Any]) -> str:
    return as_text(as_dict(chosen.get(str(chosen.get("type")))).get("name")) or ""


# --- how it is to be answered -------------------------------------------------------------


def _reasoning(effort: str | None) -> Reasoning:
    if effort is None:
        return Reasoning()
    return Reasoning(on=effort != "none", effort=None if effort == "none" else effort)


def _json(form: Mapping[str, Any]) -> JsonAnswer | None:
    kind = form.get("type")
    if kind == "json_object":
        return JsonAnswer()
    if kind != "json_schema":
        return None
    inner = as_dict(form.get("json_schema"))
    schema, strict = inner.get("schema"), inner.get("strict")
    return JsonAnswer(
        schema if isinstance(schema, dict) else None,
        as_text(inner.get("name")) or "",
        strict if isinstance(strict, bool) else None,
    )
