"""What one model takes and another refuses, where both APIs have it under some name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from provider.openai.capabilities import BY_NAME, Takes
from provider.openai.errors import (
    Refused,
    invalid_value,
    listed,
    missing,
    out_of_range,
    too_long,
    unsupported_parameter,
    wrong_type,
)
from provider.openai.fields import TOOLS, expect, need, only

Json = Mapping[str, Any]
NAME = re.compile(r"[a-zA-Z0-9_-]+")
MAX_NAME = 64
TIERS = ("auto", "default", "flex", "scale", "priority", "fast", "standard")
UNREASONED = ("temperature", "top_p", "top_logprobs", "logprobs")
ONLY_CHAT_UNREASONED = ("stop", "frequency_penalty", "presence_penalty", "logit_bias")


def find_model(body: Json) -> Takes:
    expect(body, "model", str, "a string")
    name = need(body, "model")
    model = BY_NAME.get(name)
    if model is None:
        text = f"The model `{name}` does not exist or you do not have access to it."
        raise Refused(text, 404, code="model_not_found")
    return model


def check_types(body: Json, kinds: Iterable[tuple[str, type | tuple[type, ...], str]]) -> None:
    for key, kind, words in kinds:
        expect(body, key, kind, words)


COMMON_TYPES = (
    ("model", str, "a string"),
    ("stream", bool, "a boolean"),
    ("store", bool, "a boolean"),
    ("tools", list, "an array of objects"),
    ("metadata", dict, "an object"),
    ("stream_options", dict, "an object"),
    ("parallel_tool_calls", bool, "a boolean"),
    ("temperature", (int, float), "a decimal"),
    ("top_p", (int, float), "a decimal"),
    ("top_logprobs", int, "an integer"),
    ("prompt_cache_key", str, "a string"),
    ("user", str, "a string"),
)


def check_ranges(body: Json) -> None:
    for key, highest in (("temperature", 2), ("top_p", 1), ("top_logprobs", 20)):
        value = body.get(key)
        if value is not None and not 0 <= value <= highest:
            kind = "decimal" if key != "top_logprobs" else "integer"
            raise out_of_range(key, value, 0 if value < 0 else highest, kind=kind)
    tier = body.get("service_tier")
    if tier is not None and tier not in TIERS:
        raise invalid_value("service_tier", tier, TIERS[:5])
    if body.get("stream_options") is not None and not body.get("stream"):
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(text, param="stream_options")


def check_retention(body: Json, model: Takes) -> None:
    asked = body.get("prompt_cache_retention")
    if asked is None or asked in model.retentions:
        return
    if not model.retentions:
        raise Refused("prompt_cache_retention is not supported on this model", param="prompt_cache_retention")
    raise unsupported_value(asked, model, model.retentions, "prompt_cache_retention")


def unsupported_value(value: object, model: Takes, supported: Iterable[str], param: str) -> Refused:
    text = f"Unsupported value: '{value}' is not supported with the '{model.name}' model. Supported values "
    return Refused(f"{text}are: {listed(list(supported))}.", param=param, code="unsupported_value")


def check_verbosity(value: Any, model: Takes, param: str) -> None:
    if value is not None and value not in model.verbosities:
        raise unsupported_value(value, model, model.verbosities, param)


def reasons(effort: str | None, model: Takes) -> bool:
    return model.reasons and (effort or model.effort) != "none"


def check_sampling(body: Json, effort: str | None, model: Takes, *, chat: bool) -> None:
    """Chat takes the defaults of a reasoning model where they are spelt out, Responses nothing."""
    if not reasons(effort, model):
        return
    for key in (*UNREASONED, *(ONLY_CHAT_UNREASONED if chat else ())):
        value = body.get(key)
        if value is None or value is False or (chat and key in ("temperature", "top_p") and value == 1):
            continue
        if chat and key in ("temperature", "top_p"):
            text = f"Unsupported value: '{key}' does not support {value} with this model."
            text += " Only the default (1) value is supported."
            raise Refused(text, param=key, code="unsupported_value")
        raise unsupported_parameter(key)


def check_tool_types(tools: Any, model: Takes, where: str = "tools") -> None:
    """The tools of a Responses request, or of one of its additional_tools items."""
    for place, tool in _each(tools, where):
        expect(tool, "type", str, "a string", place)
        kind = need(tool, "type", place)
        if kind not in TOOLS:
            raise invalid_value(f"{place}.type", kind, sorted(TOOLS))
        if kind not in model.tools:
            raise Refused(f"Tool '{kind}' is not supported with {model.name}.", param="tools")
        only(tool, TOOLS[kind] | {"type"}, place)
        if kind in ("function", "custom", "namespace"):
            check_name(tool.get("name"), f"{place}.name")
        if kind == "function":
            check_schema(tool.get("parameters"), tool["name"], f"{place}.parameters")
        if kind == "namespace":
            check_tool_types(tool.get("tools"), model, f"{place}.tools")


def check_chat_tools(body: Json, effort: str | None, model: Takes) -> None:
    tools = body.get("tools") or []
    if not tools:
        for key in ("tool_choice", "parallel_tool_calls"):
            if body.get(key) is not None:
                text = f"Invalid value for '{key}': '{key}' is only allowed when 'tools' are specified."
                raise Refused(text, param=key)
    for place, tool in _each(tools, "tools"):
        expect(tool, "type", str, "a string", place)
        kind = tool.get("type")
        if kind not in ("function", "custom"):
            raise invalid_value(f"{place}.type", kind, ("function", "custom"))
        if kind not in model.tools:
            raise Refused(f"Tool '{kind}' is not supported with {model.name}.", param="tools")
        only(tool, {"type", kind}, place)
        inner = tool.get(kind)
        if not isinstance(inner, dict):
            raise missing(f"{place}.{kind}")
        known = {"name", "description", "parameters", "strict"} if kind == "function" else TOOLS["custom"]
        only(inner, known, f"{place}.{kind}")
        check_name(inner.get("name"), f"{place}.{kind}.name")
        check_schema(inner.get("parameters"), inner["name"], f"{place}.{kind}.parameters")
    refused = {"always": False, "unasked": effort not in (None, "none"), "none": effort != "none"}
    if tools and refused[model.chat_tools]:
        text = f"Function tools with reasoning_effort are not supported for {model.name} in "
        text += "/v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to "
        text += "'none'."
        raise Refused(text, param="reasoning_effort")


def check_name(name: Any, where: str) -> None:
    if not isinstance(name, str):
        raise missing(where)
    if len(name) > MAX_NAME:
        raise too_long(where, MAX_NAME, name)
    if not NAME.fullmatch(name):
        text = f"Invalid '{where}': string does not match pattern. Expected a string that matches the"
        raise Refused(f"{text} pattern '^[a-zA-Z0-9_-]+$'.", param=where, code="invalid_value")


def check_schema(schema: Any, name: str, where: str) -> None:
    """The parameters of a function: an object, or nothing at all."""
    if schema is None:
        return
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "object":
        text = f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', "
        raise Refused(f"{text}got 'type: \"{kind}\"'.", param=where, code="invalid_function_parameters")


def check_format(form: Any, where: str) -> Json | None:
    """The schema that the answer has to fit; {} for any JSON object, None for plain text."""
    if not isinstance(form, dict) or form.get("type") == "text":
        return None
    if form.get("type") == "json_object":
        return {}
    if form.get("type") != "json_schema":
        raise invalid_value(f"{where}.type", form.get("type"), ("json_object", "json_schema", "text"))
    inner, place = (form["json_schema"], f"{where}.json_schema") if "json_schema" in form else (form, where)
    check_name(inner.get("name"), f"{place}.name")
    if not isinstance(inner.get("schema"), dict):
        raise missing(f"{place}.schema")
    schema: Json = inner["schema"]
    return schema


def _each(tools: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, tool in enumerate(tools or []):
        if not isinstance(tool, dict):
            raise wrong_type(f"{where}[{index}]", "an object", tool)
        yield f"{where}[{index}]", tool
