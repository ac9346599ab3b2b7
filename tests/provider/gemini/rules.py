"""Which parameters a Gemini model refuses. The words follow the real service where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider.gemini.capabilities import BY_NAME, Takes
from provider.gemini.errors import Refusal

Json = Mapping[str, Any]

CONFIG = "GenerateContentRequest.generation_config"
JSON_TYPE = "application/json"
MIME_TYPES = ("text/plain", JSON_TYPE, "text/x.enum", "application/xml", "application/yaml")


def find_model(name: str, version: str, method: str) -> Takes:
    model = BY_NAME.get(name)
    if model is None:
        raise Refusal(
            f"models/{name} is not found for API version {version}, or is not supported for {method}. "
            "Call ModelService.ListModels to see the list of available models and their supported methods.",
            404,
        )
    return model


def config_of(body: Json) -> Json:
    config: Json = body.get("generationConfig") or {}
    return config


def is_thinking(body: Json, model: Takes) -> bool:
    budget = (config_of(body).get("thinkingConfig") or {}).get("thinkingBudget")
    return model.thinks_unasked if budget is None else budget != 0


def wants_json(body: Json) -> bool:
    return config_of(body).get("responseMimeType") == JSON_TYPE


def functions_of(body: Json) -> list[str]:
    """Names of all declared functions, in order."""
    declared = [tool.get("functionDeclarations") or [] for tool in body.get("tools") or []]
    return [function.get("name", "") for tool in declared for function in tool]


def check_parameters(body: Json, model: Takes) -> None:
    """Everything that one model takes and another refuses, and the ranges of what all take."""
    config = config_of(body)
    _check_thinking(config.get("thinkingConfig") or {}, model)
    _check_candidates(config.get("candidateCount"), model)
    _check_ranges(config)
    _check_output(config, model)
    _check_format(body, config, model)
    _check_tools(body, model)


def _check_thinking(thinking: Json, model: Takes) -> None:
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if level is not None and budget is not None:
        raise Refusal("You can only set only one of thinking budget and thinking level.")
    if level not in (None, "THINKING_LEVEL_UNSPECIFIED") and level not in model.levels:
        if not model.levels:
            raise Refusal("Thinking level is not supported for this model.")
        raise Refusal(
            f"Thinking level {level} is not supported for this model. Please retry with other thinking level."
        )
    if budget == 0 and not model.can_stop_thinking:
        raise Refusal("Budget 0 is invalid. This model only works in thinking mode.")
    low, high = model.budgets
    if budget is not None and budget not in (0, -1) and not low <= budget <= high:
        raise Refusal(
            f"The thinking budget {budget} is invalid. Please choose a value between {max(low, 1)} and "
            f"{high}."
        )


def _check_candidates(count: Any, model: Takes) -> None:
    if count is None:
        return
    if count > 1 and model.candidates == 1:
        raise Refusal("Multiple candidates is not enabled for this model")
    if not 1 <= count <= model.candidates:
        limit = model.candidates
        raise Refusal(f"* {CONFIG}.candidate_count: candidate_count must be in the range [1, {limit}].\n")


def _check_ranges(config: Json) -> None:
    for name, field, limit in (("temperature", "temperature", 2.0), ("topP", "top_p", 1.0)):
        value = config.get(name)
        if value is not None and not 0 <= value <= limit:
            raise Refusal(f"* {CONFIG}.{field}: {field} must be in the range [0.0, {limit}].\n")
    if len(config.get("stopSequences") or ()) > 5:
        raise Refusal(f"* {CONFIG}.stop_sequences: at most 5 stop sequences are allowed.\n")


def _check_output(config: Json, model: Takes) -> None:
    limit = config.get("maxOutputTokens")
    if limit is not None and not 1 <= limit <= model.output_tokens:
        raise Refusal(
            f"Unable to submit request because it has a maxOutputTokens value of {limit} but the supported "
            f"range is from 1 (inclusive) to {model.output_tokens + 1} (exclusive). Update the value and try "
            "again."
        )


def _check_format(body: Json, config: Json, model: Takes) -> None:
    kind = config.get("responseMimeType")
    if kind is not None and kind not in MIME_TYPES:
        allowed = ", ".join(f"`{name}`" for name in MIME_TYPES)
        raise Refusal(f"* {CONFIG}.response_mime_type: allowed mimetypes are {allowed}.\n")
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(schemas) == 2:
        raise Refusal(f"* {CONFIG}: only one of response_schema and response_json_schema can be set.\n")
    if schemas and kind not in (JSON_TYPE, "text/x.enum"):
        raise Refusal(f"* {CONFIG}.response_mime_type: a response schema needs `{JSON_TYPE}`.\n")
    if kind == JSON_TYPE and body.get("tools") and not model.json_with_functions:
        what = "Function calling" if functions_of(body) else "Tool use"
        raise Refusal(f"{what} with a response mime type: '{JSON_TYPE}' is unsupported")


def _check_tools(body: Json, model: Takes) -> None:
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        kinds = [kind for kind in tool if tool[kind] != []]
        if not kinds:
            raise Refusal(
                f"* GenerateContentRequest.tools[{index}].tool_type: required one_of 'tool_type' must have "
                "one initialized field\n"
            )
        for kind in kinds:
            if kind not in model.tool_types:
                raise Refusal(f"Tool {kind} is not supported for models/{model.name}.")
    names = functions_of(body)
    for name in names:
        if not name:
            where = "GenerateContentRequest.tools[0].function_declarations[0].name"
            raise Refusal(f"* {where}: Invalid function name.\n")
        if names.count(name) > 1:
            raise Refusal(f"Duplicate function declaration found: {name}")
    _check_mixture(body, model, names)
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    for name in calling.get("allowedFunctionNames") or []:
        if name not in names:
            raise Refusal(f"Function calling config is set with unknown function name: {name}")
    if calling.get("mode") == "ANY" and not names:
        raise Refusal("Function calling config is set without function_declarations.")


def _check_mixture(body: Json, model: Takes, names: list[str]) -> None:
    built_in = {kind for tool in body.get("tools") or [] for kind in tool} - {"functionDeclarations"}
    if not names or not built_in:
        return
    if not model.levels:
        raise Refusal("Tool use with function calling is unsupported")
    if not (body.get("toolConfig") or {}).get("includeServerSideToolInvocations"):
        raise Refusal(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with "
            "Function calling."
        )
