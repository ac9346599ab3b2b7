"""Which parameters a model refuses: the schema first, then the rules per model.

The order and the words follow the real service where they are known; every message names the
parameter, since clients (and a router's one retry) look for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provider.anthropic.capabilities import BY_NAME, Takes
from provider.anthropic.structure import blocks_of
from provider.refusal import Refusal

Json = Mapping[str, Any]

TOP_LEVEL = frozenset(
    {"model", "messages", "max_tokens", "system", "tools", "tool_choice", "thinking", "temperature", "top_p"}
    | {"top_k", "stop_sequences", "stream", "metadata", "service_tier", "context_management", "speed"}
    | {"output_config", "output_format", "container", "mcp_servers", "cache_control", "inference_geo"}
    | {"diagnostics", "fallbacks", "compaction"}
)
COUNT_TOKENS_REFUSES = frozenset(
    {"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata"}
)
MINIMUM_BUDGET = 1024
THINKING_FIELDS = {
    "enabled": frozenset({"type", "budget_tokens", "display", "block_binding"}),
    "adaptive": frozenset({"type", "display", "block_binding"}),
    "disabled": frozenset({"type"}),
    "between_tools": frozenset({"type"}),
}
DISPLAYS = ("summarized", "omitted", "updates", None)


def check_schema(body: Any, *, counting: bool) -> None:
    """Types and required fields of the top level, as a strict schema would."""
    if not isinstance(body, dict):
        raise Refusal("Input should be a valid dictionary")
    for key in body:
        if key not in TOP_LEVEL or (counting and key in COUNT_TOKENS_REFUSES):
            raise Refusal(f"{key}: Extra inputs are not permitted")
    for key in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        if key not in body:
            raise Refusal(f"{key}: Field required")
    for key in ("model", "messages", "max_tokens"):
        if key in body and body[key] is None:
            raise Refusal(f"{key}: Input should be a valid value")
    _expect(body, "model", str, "a valid string")
    _expect(body, "messages", list, "a valid list")
    _expect(body, "max_tokens", int, "a valid integer")
    _expect(body, "stream", bool, "a valid boolean")
    _expect(body, "tools", list, "a valid list")
    _expect(body, "stop_sequences", list, "a valid list")
    for key in ("thinking", "tool_choice", "metadata", "context_management", "output_config"):
        _expect(body, key, dict, "a valid dictionary")
    for key in ("temperature", "top_p", "top_k"):
        _expect(body, key, (int, float), "a valid number")
    _expect(body, "system", (str, list), "a valid string or list")
    if not isinstance(body.get("thinking", {}).get("type", "") if body.get("thinking") else "", str):
        raise Refusal("thinking.type: Input should be a valid string")
    for tool in body.get("tools") or []:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise Refusal("tools.0.name: Field required")


def _expect(body: Json, key: str, kind: type | tuple[type, ...], words: str) -> None:
    value = body.get(key)
    if value is None:
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Refusal(f"{key}: Input should be {words}")


def find_model(body: Json, models: Mapping[str, Takes] = BY_NAME) -> Takes:
    model = models.get(body["model"])
    if model is None:
        raise Refusal(f"model: {body['model']}", 404)
    return model


def thinking_is_on(body: Json, model: Takes) -> bool:
    kind = (body.get("thinking") or {}).get("type")
    return model.thinks_unasked if kind is None else kind != "disabled"


def check_parameters(body: Json, model: Takes, *, zero_retention: bool) -> None:
    """Everything that one model takes and another refuses."""
    if zero_retention and not model.zero_retention:
        raise Refusal(f"model: {model.name} is not available to organizations with zero data retention")
    _check_max_tokens(body, model)
    _check_thinking(body, model)
    _check_effort(body, model)
    _check_context_management(body, model)
    _check_sampling(body, model)
    _check_tools(body, model)
    _check_conversation(body, model)
    if body.get("speed", "standard") not in model.speeds:
        raise Refusal(f"speed: '{body['speed']}' is not supported on this model.")
    if body.get("service_tier", "auto") not in ("auto", "standard_only"):
        raise Refusal("service_tier: Input should be 'auto' or 'standard_only'")


def _check_max_tokens(body: Json, model: Takes) -> None:
    limit = body.get("max_tokens")
    if limit is None:
        return
    if limit < 1:
        raise Refusal("max_tokens: Input should be greater than or equal to 1")
    if limit > model.max_output_tokens:
        raise Refusal(
            f"max_tokens: {limit} > {model.max_output_tokens}, which is the maximum allowed number of "
            f"output tokens for {model.name}"
        )


def _check_thinking(body: Json, model: Takes) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind not in THINKING_FIELDS:
        raise Refusal(
            f"thinking.type: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )
    if kind == "adaptive" and kind not in model.thinking:
        raise Refusal("adaptive thinking is not supported on this model")
    if kind not in model.thinking:
        hint = " Use thinking.type 'adaptive' and output_config.effort." if kind == "enabled" else ""
        raise Refusal(f"thinking.type: '{kind}' is not supported on this model.{hint}")
    for key in thinking:
        if key not in THINKING_FIELDS[kind]:
            raise Refusal(f"thinking.{kind}.{key}: Extra inputs are not permitted")
    if thinking.get("display") not in DISPLAYS:
        raise Refusal(f"thinking.{kind}.display: Input should be 'summarized', 'omitted' or 'updates'")
    if kind == "enabled":
        _check_budget(body, thinking.get("budget_tokens"))


def _check_budget(body: Json, budget: Any) -> None:
    if not isinstance(budget, int):
        raise Refusal("thinking.enabled.budget_tokens: Field required")
    if budget < MINIMUM_BUDGET:
        raise Refusal("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget >= body.get("max_tokens", budget + 1):
        raise Refusal("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_effort(body: Json, model: Takes) -> None:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None:
        return
    if not model.efforts:
        raise Refusal("output_config.effort: This model does not support the effort parameter.")
    if effort not in model.efforts:
        raise Refusal(f"output_config.effort: '{effort}' is not supported on this model.")


def _check_context_management(body: Json, model: Takes) -> None:
    edits = (body.get("context_management") or {}).get("edits") or []
    clears = any(edit.get("type") == "clear_thinking_20251015" for edit in edits)
    if clears and not thinking_is_on(body, model):
        raise Refusal(
            "context_management: `clear_thinking_20251015` strategy requires `thinking` to be enabled"
        )


def _check_sampling(body: Json, model: Takes) -> None:
    given = [key for key in ("temperature", "top_p", "top_k") if body.get(key) is not None]
    if given and model.sampling == "refused":
        raise Refusal(f"{given[0]}: `{given[0]}` is not supported on this model.")
    for key in given:
        if model.sampling == "defaults" and not (key in ("temperature", "top_p") and body[key] == 1):
            raise Refusal(f"{key}: only the default value is supported on this model.")
    if not thinking_is_on(body, model):
        return
    if body.get("temperature", 1) != 1:
        raise Refusal("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise Refusal("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p", 1) < 0.95:
        raise Refusal("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")


def _check_tools(body: Json, model: Takes) -> None:
    for index, tool in enumerate(body.get("tools") or []):
        kind = tool.get("type") or "custom"
        if kind not in model.tool_types:
            raise Refusal(f"tools.{index}: '{model.name}' does not support tool types: {kind}.")
    choice = (body.get("tool_choice") or {}).get("type")
    if choice not in ("any", "tool"):
        return
    if not model.forced_tool:
        raise Refusal(f"tool_choice: forced tool use ('{choice}') is not supported on this model.")
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        raise Refusal("Thinking may not be enabled when tool_choice forces tool use.")


def _check_conversation(body: Json, model: Takes) -> None:
    messages = body["messages"]
    for index, message in enumerate(messages):
        if isinstance(message, dict) and message.get("role") == "system":
            _check_system_message(f"messages.{index}", message, model)
    last = messages[-1] if messages and isinstance(messages[-1], dict) else {}
    if last.get("role") == "assistant":
        if not model.prefill:
            raise Refusal(
                "This model does not support assistant message prefill. "
                "The conversation must end with a user message."
            )
        if thinking_is_on(body, model):
            raise Refusal("messages: final assistant content cannot be set when thinking is enabled")


def _check_system_message(where: str, message: Json, model: Takes) -> None:
    if not model.system_role:
        raise Refusal(f"{where}.role: role 'system' is not supported on this model")
    effort = (message.get("output_config") or {}).get("effort")
    if effort is not None and not model.effort_per_message:
        raise Refusal(f"{where}: output_config.effort requires a model that supports per-turn effort")
    if effort is not None and effort not in model.efforts:
        raise Refusal(f"{where}: output_config.effort: '{effort}' is not supported on this model.")
    kinds = [block.get("type") for block in blocks_of(message)]
    if not model.tool_changes and set(kinds) - {"text"}:
        raise Refusal(f"{where}.content: mid-conversation tool changes are not supported on this model")


_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_version(version: str | None) -> None:
    if version is None:
        raise Refusal("anthropic-version: header is required")
    if not _VERSION.fullmatch(version):
        raise Refusal(f'anthropic-version: "{version}" is not a valid version')
