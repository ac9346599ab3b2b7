"""POST …/chat/completions at a provider that copies it: stricter than OpenAI in some things."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from provider.compatible.hosts import COMMON, Host
from provider.compatible.models import Model
from provider.openai.chat_rules import check_pairing
from provider.openai.errors import (
    Refused,
    empty_array,
    invalid_value,
    missing,
    out_of_range,
    unsupported_parameter,
    wrong_type,
)
from provider.openai.fields import expect, need, only
from provider.openai.parameters import COMMON_TYPES, check_format, check_name, check_schema, check_types

Json = Mapping[str, Any]
TYPES = (
    *COMMON_TYPES,
    ("messages", list, "an array of objects"),
    ("n", int, "an integer"),
    ("max_tokens", int, "an integer"),
    ("max_completion_tokens", int, "an integer"),
    ("reasoning_effort", str, "a string"),
    ("reasoning", dict, "an object"),
    ("thinking", dict, "an object"),
    ("provider", dict, "an object"),
    ("response_format", dict, "an object"),
    ("stop", (str, list), "a string or an array of strings"),
    ("seed", int, "an integer"),
)
PARTS = {"text": frozenset({"text"}), "image_url": frozenset({"image_url"})}


def check(body: Json, host: Host, model: Model) -> None:
    """`body` is an object whose model was found."""
    only(body, (COMMON - host.without) | host.extra)
    check_types(body, TYPES)
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if not messages:
        raise empty_array("messages")
    for index, message in enumerate(messages):
        _check_message(f"messages[{index}]", message, host, model)
    check_pairing(messages)
    if model.echo:
        _check_echo(messages, host)
    _check_parameters(body, model)
    _check_tools(body)
    check_format(body.get("response_format"), "response_format")


def _check_message(where: str, message: Any, host: Host, model: Model) -> None:
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    role = need(message, "role", where)
    if role not in host.roles:
        raise invalid_value(f"{where}.role", role, sorted(host.roles))
    known = {"role", "content", "name"}
    if role == "assistant":
        known |= {"tool_calls"} | (host.returned or ({host.reasoning} if model.thinks else set()))
    elif role == "tool":
        known |= {"tool_call_id"}
    only(message, known, where)
    content = message.get("content")
    expect(message, "content", (str, list), "one of a string or array of objects", where)
    if content is None and not message.get("tool_calls"):
        raise wrong_type(f"{where}.content", "one of a string or array of objects", content)
    if isinstance(content, list):
        _check_parts(f"{where}.content", content, role, model)
    if role == "tool":
        _check_id(message.get("tool_call_id"), f"{where}.tool_call_id", host)
    if message.get("tool_calls") is not None:
        _check_calls(where, message["tool_calls"], host)


def _check_parts(where: str, parts: Sequence[Any], role: str, model: Model) -> None:
    if not parts:
        raise empty_array(where)
    allowed = tuple(PARTS) if role == "user" and model.images else ("text",)
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in allowed:
            raise invalid_value(f"{where}[{index}]", kind, allowed)
        only(part, PARTS[kind] | {"type"}, f"{where}[{index}]")
        need(part, kind, f"{where}[{index}]")


def _check_calls(where: str, calls: Any, host: Host) -> None:
    if not isinstance(calls, list) or not calls:
        raise empty_array(f"{where}.tool_calls")
    for index, call in enumerate(calls):
        place = f"{where}.tool_calls[{index}]"
        if not isinstance(call, dict) or call.get("type") != "function":
            raise invalid_value(f"{place}.type", (call or {}).get("type"), ("function",))
        only(call, {"id", "type", "function"}, place)
        _check_id(call.get("id"), f"{place}.id", host)
        inner = need(call, "function", place)
        only(inner, {"name", "arguments"}, f"{place}.function")
        check_name(inner.get("name"), f"{place}.function.name")
        _check_arguments(inner.get("arguments"), f"{place}.function.arguments")


def _check_arguments(arguments: Any, where: str) -> None:
    """Templates of open models read them as an object."""
    try:
        value = json.loads(arguments)
    except (TypeError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise Refused(f"Invalid '{where}': the arguments of a call must be a JSON object.", param=where)


def _check_id(value: Any, where: str, host: Host) -> None:
    if not isinstance(value, str):
        raise missing(where)
    if not re.fullmatch(host.call_id, value):
        text = f"Invalid '{where}': got '{value}', expected a string that matches '{host.call_id}'."
        raise Refused(text, param=where, code="invalid_value")


def _check_echo(messages: Sequence[Json], host: Host) -> None:
    """The calls since the last word of the user come back with the thoughts that led to them."""
    spoken = [index for index, message in enumerate(messages) if message["role"] == "user"]
    for index, message in enumerate(messages):
        late = not spoken or index > spoken[-1]
        thought = any(message.get(name) for name in host.returned or {host.reasoning})
        if late and message.get("tool_calls") and not thought:
            text = f"{host.reasoning} is missing in assistant tool call message at index {index}"
            raise Refused(f"thinking is enabled but {text}", param=f"messages[{index}].{host.reasoning}")


def _check_parameters(body: Json, model: Model) -> None:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refused("Give one of 'max_tokens' and 'max_completion_tokens'.", param="max_tokens")
    for key in ("max_tokens", "max_completion_tokens"):
        limit = body.get(key)
        if limit is not None and not 1 <= limit <= model.max_output_tokens:
            raise out_of_range(key, limit, 1 if limit < 1 else model.max_output_tokens)
    for key, highest in (("temperature", 2), ("top_p", 1)):
        value = body.get(key)
        if value is not None and not 0 <= value <= highest:
            raise out_of_range(key, value, 0 if value < 0 else highest, kind="decimal")
    effort = body.get("reasoning_effort")
    if effort is not None and not model.efforts:
        raise unsupported_parameter("reasoning_effort")
    if effort is not None and effort not in model.efforts:
        raise invalid_value("reasoning_effort", effort, model.efforts)
    if body.get("n") not in (None, 1):
        raise Refused("Only one choice can be asked for.", param="n")
    options = body.get("stream_options")
    if options is not None and not body.get("stream"):
        raise Refused("'stream_options' is only allowed when 'stream' is enabled.", param="stream_options")
    only(options or {}, {"include_usage"}, "stream_options")


def _check_tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is not None and not tools:
        raise empty_array("tools")
    if not tools:
        for key in ("tool_choice", "parallel_tool_calls"):
            if body.get(key) is not None:
                raise Refused(f"'{key}' is only allowed when 'tools' are specified.", param=key)
        return
    names = set()
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        if not isinstance(tool, dict) or tool.get("type") != "function":
            raise invalid_value(f"{place}.type", (tool or {}).get("type"), ("function",))
        only(tool, {"type", "function"}, place)
        inner = need(tool, "function", place)
        only(inner, {"name", "description", "parameters", "strict"}, f"{place}.function")
        check_name(inner.get("name"), f"{place}.function.name")
        check_schema(inner.get("parameters"), inner["name"], f"{place}.function.parameters")
        names.add(inner["name"])
    _check_choice(body.get("tool_choice"), names)


def _check_choice(choice: Any, names: set[str]) -> None:
    if choice is None or choice in ("none", "auto", "required"):
        return
    named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    if named not in names:
        raise invalid_value("tool_choice", choice, ("none", "auto", "required"))
