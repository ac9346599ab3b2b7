"""POST /v1/chat/completions: the body's schema, its messages, and what the model takes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provider.openai import parameters
from provider.openai.capabilities import Takes
from provider.openai.errors import (
    Refused,
    empty_array,
    invalid_value,
    listed,
    missing,
    out_of_range,
    too_long,
    wrong_type,
)
from provider.openai.fields import CHAT, CHAT_PARTS, MESSAGES, STREAM_OPTIONS, expect, need, only
from provider.openai.parameters import COMMON_TYPES, check_types

Json = Mapping[str, Any]
MAX_ID = 40
TYPES = (
    *COMMON_TYPES,
    ("messages", list, "an array of objects"),
    ("n", int, "an integer"),
    ("max_tokens", int, "an integer"),
    ("max_completion_tokens", int, "an integer"),
    ("reasoning_effort", str, "a string"),
    ("response_format", dict, "an object"),
    ("logprobs", bool, "a boolean"),
    ("stop", (str, list), "a string or an array of strings"),
)


def check(body: Any, model: Takes) -> None:
    """`body` is an object whose model was found."""
    only(body, CHAT)
    check_types(body, TYPES)
    if not model.chat:
        text = "This model is only supported in v1/responses and not in v1/chat/completions."
        raise Refused(text, 404, param="model")
    check_messages(body.get("messages"), model)
    parameters.check_ranges(body)
    only(body.get("stream_options") or {}, STREAM_OPTIONS["chat"], "stream_options")
    _check_lengths(body, model)
    effort = body.get("reasoning_effort")
    _check_effort(effort, model)
    parameters.check_verbosity(body.get("verbosity"), model, "verbosity")
    parameters.check_retention(body, model)
    parameters.check_chat_tools(body, effort, model)
    parameters.check_sampling(body, effort, model, chat=True)
    parameters.check_format(body.get("response_format"), "response_format")


def _check_lengths(body: Json, model: Takes) -> None:
    if body.get("max_tokens") is not None and model.reasons:
        text = "Unsupported parameter: 'max_tokens' is not supported with this model."
        text += " Use 'max_completion_tokens' instead."
        raise Refused(text, param="max_tokens", code="unsupported_parameter")
    for key in ("max_tokens", "max_completion_tokens"):
        limit = body.get(key)
        if limit is not None and limit < 1:
            raise out_of_range(key, limit, 1)
        if limit is not None and limit > model.max_output_tokens:
            text = f"{key} is too large: {limit}. This model supports at most {model.max_output_tokens} "
            text += f"completion tokens, whereas you provided {limit}."
            raise Refused(text, param=key, code="invalid_value")
    count = body.get("n")
    if count is not None and not 1 <= count <= 128:
        raise Refused(f"Invalid 'n': expected a value from 1 to 128, but got {count} instead.", param="n")


def _check_effort(effort: str | None, model: Takes) -> None:
    if effort is None:
        return
    if not model.reasons:
        raise Refused("Unrecognized request argument supplied: reasoning_effort")
    supported = [each for each in model.efforts if model.max_effort_in_chat or each != "max"]
    if effort not in supported:
        text = f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model."
        text += f" Supported values are: {listed(supported)}."
        raise Refused(text, param="reasoning_effort", code="unsupported_value")


def check_messages(messages: Any, model: Takes) -> None:
    if messages is None:
        raise missing("messages")
    if not messages:
        raise empty_array("messages")
    for index, message in enumerate(messages):
        _check_message(f"messages[{index}]", message, model)
    check_pairing(messages)


def _check_message(where: str, message: Any, model: Takes) -> None:
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    expect(message, "role", str, "a string", where)
    role = need(message, "role", where)
    if role not in MESSAGES:
        raise invalid_value(f"{where}.role", role, tuple(MESSAGES))
    only(message, MESSAGES[role] | {"role"}, where)
    content = message.get("content")
    expect(message, "content", (str, list), "one of a string or array of objects", where)
    instead = role == "assistant" and (message.get("tool_calls") or message.get("refusal"))
    if content is None and not instead:
        raise wrong_type(f"{where}.content", "one of a string or array of objects", content)
    if isinstance(content, list):
        _check_parts(f"{where}.content", content, role, model)
    _check_calls(where, message)


def _check_parts(where: str, parts: list[Any], role: str, model: Takes) -> None:
    if not parts:
        raise empty_array(where)
    allowed = {"assistant": ("text", "refusal"), "user": tuple(CHAT_PARTS)}.get(role, ("text",))
    for index, part in enumerate(parts):
        place = f"{where}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in allowed:
            raise invalid_value(place, kind, allowed)
        only(part, CHAT_PARTS[kind] | {"type"}, place)
        if kind == "image_url" and not model.images:
            text = "Invalid content type. image_url is only supported by certain models."
            raise Refused(text, param=f"{place}.type")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise missing(f"{place}.text")


def _check_calls(where: str, message: Json) -> None:
    calls = message.get("tool_calls")
    if calls is None:
        return
    if not isinstance(calls, list) or not calls:
        raise empty_array(f"{where}.tool_calls")
    for index, call in enumerate(calls):
        place = f"{where}.tool_calls[{index}]"
        kind = call.get("type") if isinstance(call, dict) else None
        if kind not in ("function", "custom"):
            raise invalid_value(f"{place}.type", kind, ("function", "custom"))
        only(call, {"id", "type", kind}, place)
        expect(call, "id", str, "a string", place)
        expect(call, kind, dict, "an object", place)
        if len(need(call, "id", place)) > MAX_ID:
            raise too_long(f"{place}.id", MAX_ID, call["id"])
        value = "arguments" if kind == "function" else "input"
        _check_call(need(call, kind, place), value, f"{place}.{kind}")


def _check_call(inner: Json, value: str, where: str) -> None:
    only(inner, {"name", value}, where)
    for key in ("name", value):
        expect(inner, key, str, "a string", where)
        need(inner, key, where)


def check_pairing(messages: Sequence[Json]) -> None:
    """Each call is answered before the conversation goes on, and nothing else is answered."""
    owed: list[str] = []
    where = ""
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in owed:
                text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
                raise Refused(f"{text} message with 'tool_calls'.", param=f"messages.[{index}].role")
            owed.remove(message["tool_call_id"])
            continue
        _none_owed(owed, where)
        owed = [call["id"] for call in message.get("tool_calls") or []]
        where = f"messages.[{index + 1}].role"
    _none_owed(owed, where)


def _none_owed(owed: Sequence[str], where: str) -> None:
    if owed:
        text = "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        text += "'tool_call_id'. The following tool_call_ids did not have response messages: "
        raise Refused(text + ", ".join(owed), param=where)
