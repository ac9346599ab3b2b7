"""POST /v1/responses: the body's schema and what the model takes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider.openai import parameters
from provider.openai.capabilities import Takes
from provider.openai.errors import Refused, invalid_value, out_of_range, unsupported_parameter
from provider.openai.fields import REASONING, RESPONSES, STREAM_OPTIONS, TEXT, expect, only
from provider.openai.parameters import COMMON_TYPES, check_types
from provider.openai.store import Store

Json = Mapping[str, Any]
TYPES = (
    *COMMON_TYPES,
    ("input", (str, list), "one of a string or array of input items"),
    ("instructions", str, "a string"),
    ("reasoning", dict, "an object"),
    ("text", dict, "an object"),
    ("include", list, "an array of strings"),
    ("max_output_tokens", int, "an integer"),
    ("previous_response_id", str, "a string"),
    ("client_metadata", dict, "an object"),
    ("background", bool, "a boolean"),
)
MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
INCLUDABLE = (
    *("file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
    *("message.input_image.image_url", "computer_call_output.output.image_url"),
    *("code_interpreter_call.outputs", "reasoning.encrypted_content", "message.output_text.logprobs"),
)
LITE = "X-OpenAI-Internal-Codex-Responses-Lite"
LEAST_OUTPUT = 16


def check(body: Any, model: Takes, account: str, store: Store, *, lite: bool) -> None:
    """`body` is an object whose model was found; its items are checked elsewhere."""
    for key, name in MOVED.items():
        if key in body:
            text = f"Unsupported parameter: '{key}'. In the Responses API, this parameter has moved to "
            raise Refused(f"{text}'{name}'.", param=key, code="unsupported_parameter")
    only(body, RESPONSES)
    check_types(body, TYPES)
    parameters.check_ranges(body)
    only(body.get("stream_options") or {}, STREAM_OPTIONS["responses"], "stream_options")
    _check_output_limit(body, model)
    _check_reasoning(body, model)
    _check_text(body, model)
    _check_lite(body, model, lite=lite)
    parameters.check_retention(body, model)
    parameters.check_tool_types(body.get("tools"), model)
    _check_choice(body)
    parameters.check_sampling(body, effort_of(body), model, chat=False)
    _check_state(body, account, store)


def effort_of(body: Json) -> str | None:
    effort: str | None = (body.get("reasoning") or {}).get("effort")
    return effort


def _check_output_limit(body: Json, model: Takes) -> None:
    limit = body.get("max_output_tokens")
    if limit is not None and not LEAST_OUTPUT <= limit <= model.max_output_tokens:
        bound = LEAST_OUTPUT if limit < LEAST_OUTPUT else model.max_output_tokens
        raise out_of_range("max_output_tokens", limit, bound)


def _check_reasoning(body: Json, model: Takes) -> None:
    reasoning = body.get("reasoning") or {}
    only(reasoning, REASONING, "reasoning")
    for key, value in reasoning.items():
        if value is not None and not model.reasons:
            raise unsupported_parameter(f"reasoning.{key}")
    effort = reasoning.get("effort")
    if effort is not None and effort not in model.efforts:
        raise parameters.unsupported_value(effort, model, model.efforts, "reasoning.effort")
    for value in body.get("include") or []:
        if value not in INCLUDABLE:
            raise invalid_value("include[0]", value, INCLUDABLE)
        if value == "message.output_text.logprobs" and parameters.reasons(effort, model):
            raise Refused("logprobs are not supported with reasoning models.", param="include")
        if value == "reasoning.encrypted_content" and not model.reasons:
            raise Refused("Encrypted content is not supported with this model.", param="include")


def _check_text(body: Json, model: Takes) -> None:
    text = body.get("text") or {}
    only(text, TEXT, "text")
    expect(text, "format", dict, "an object", "text")
    parameters.check_verbosity(text.get("verbosity"), model, "text.verbosity")
    parameters.check_format(text.get("format"), "text.format")


def _check_lite(body: Json, model: Takes, *, lite: bool) -> None:
    if not lite:
        return
    if not model.lite:
        text = f"This model is not supported when using {LITE}."
        raise Refused(text, param="model", code="unsupported_value")
    if (body.get("reasoning") or {}).get("context") != "all_turns":
        raise Refused(f"reasoning.context must be 'all_turns' when using {LITE}.", param="reasoning.context")


def _check_choice(body: Json) -> None:
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise invalid_value("tool_choice", choice, ("none", "auto", "required"))
    if not isinstance(choice, dict) or choice.get("type") not in ("function", "custom"):
        return
    if not any(tool.get("name") == choice.get("name") for tool in body.get("tools") or []):
        text = f"Tool choice '{choice.get('name')}' not found in 'tools' parameter."
        raise Refused(text, param="tool_choice")


def _check_state(body: Json, account: str, store: Store) -> None:
    conversation, prompt = body.get("conversation"), body.get("prompt")
    if conversation is not None and body.get("previous_response_id") is not None:
        text = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise Refused(text, code="mutually_exclusive_parameters")
    store.need("Conversation", _id_of(conversation), account)
    store.need("Prompt", _id_of(prompt), account)


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value
