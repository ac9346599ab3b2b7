"""The members that the two APIs know. All others are a 400 that names them, so that nothing slips through.

From the request types of the openai SDK 3.52, and from what Codex 0.169 sends beyond them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from provider.openai.errors import missing, unknown_parameter, wrong_type

BOTH = frozenset(
    {"metadata", "model", "moderation", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options"}
    | {"prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream", "stream_options"}
    | {"temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user"}
)
CHAT = BOTH | {
    *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs"),
    *("max_completion_tokens", "max_tokens", "messages", "modalities", "n", "prediction"),
    *("presence_penalty", "reasoning_effort", "response_format", "seed", "stop", "verbosity"),
    "web_search_options",
}
RESPONSES = BOTH | {
    *("access_programs", "background", "context_management", "conversation", "image", "include", "input"),
    *("instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt", "reasoning"),
    *("text", "truncation", "client_metadata"),
}
REASONING = frozenset({"context", "effort", "generate_summary", "mode", "summary"})
TEXT = frozenset({"format", "verbosity"})
STREAM_OPTIONS = {"chat": frozenset({"include_usage", "include_obfuscation"})}
STREAM_OPTIONS["responses"] = frozenset({"include_obfuscation"})

MESSAGES = {
    "developer": frozenset({"content", "name"}),
    "system": frozenset({"content", "name"}),
    "user": frozenset({"content", "name"}),
    "assistant": frozenset(
        {"audio", "content", "function_call", "name", "refusal", "tool_calls", "annotations"}
    ),
    "tool": frozenset({"content", "tool_call_id"}),
    "function": frozenset({"content", "name"}),
}
CHAT_PARTS = {
    "text": frozenset({"text", "prompt_cache_breakpoint"}),
    "refusal": frozenset({"refusal"}),
    "image_url": frozenset({"image_url", "prompt_cache_breakpoint"}),
    "input_audio": frozenset({"input_audio", "prompt_cache_breakpoint"}),
    "file": frozenset({"file", "prompt_cache_breakpoint"}),
}
PARTS = {
    "input_text": frozenset({"text", "prompt_cache_breakpoint"}),
    "input_image": frozenset({"detail", "file_id", "image_url", "prompt_cache_breakpoint"}),
    "input_file": frozenset(
        {"detail", "file_data", "file_id", "file_url", "filename", "prompt_cache_breakpoint"}
    ),
    "output_text": frozenset({"text", "annotations", "logprobs"}),
    "refusal": frozenset({"refusal"}),
    "encrypted_content": frozenset({"encrypted_content"}),
}


def _fields(**types: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(members.split()) for name, members in types.items()}


ITEMS = _fields(
    message="content id phase role status",
    file_search_call="id queries results status",
    computer_call="action actions call_id id pending_safety_checks status",
    computer_call_output="acknowledged_safety_checks call_id id output status",
    web_search_call="action id status",
    function_call="arguments async call_id caller id name namespace status",
    function_call_output="call_id caller id name namespace output status",
    tool_search_call="arguments call_id execution id status",
    tool_search_output="call_id execution id status tools",
    additional_tools="id role tools",
    configuration_update="id reasoning text",
    reasoning="content encrypted_content id status summary",
    compaction="encrypted_content id",
    compaction_trigger="id",
    image_generation_call="action background error id output_format quality result revised_prompt size "
    "status svg_usage",
    code_interpreter_call="code container_id id outputs status",
    local_shell_call="action call_id id status",
    local_shell_call_output="call_id id output status",
    shell_call="action call_id caller environment id status",
    shell_call_output="call_id caller id max_output_length output status",
    apply_patch_call="call_id caller id operation status",
    apply_patch_call_output="call_id caller id output status",
    mcp_list_tools="error id server_label tools",
    mcp_approval_request="arguments id name server_label",
    mcp_approval_response="approval_request_id approve id reason",
    mcp_call="approval_request_id arguments error id name output server_label status",
    custom_tool_call="async call_id caller id input name namespace status",
    custom_tool_call_output="call_id caller id output status",
    item_reference="id",
    program="call_id code fingerprint id",
    program_output="call_id id result status",
)
ANY_ITEM = frozenset({"type", "internal_chat_message_metadata_passthrough"})
TOOLS = _fields(
    function="allowed_callers async defer_loading description name output_schema parameters strict",
    file_search="filters max_num_results ranking_options vector_store_ids",
    computer="",
    computer_use_preview="display_height display_width environment",
    web_search="external_web_access filters search_context_size user_location search_content_types",
    web_search_preview="search_content_types search_context_size user_location",
    mcp="allowed_callers allowed_tools authorization connector_id defer_loading headers require_approval "
    "server_description server_label server_url tunnel_id",
    code_interpreter="allowed_callers container",
    programmatic_tool_calling="",
    image_generation="action background input_fidelity input_image_mask model moderation output_compression "
    "output_format partial_images quality size",
    local_shell="",
    shell="allowed_callers environment",
    custom="allowed_callers async defer_loading description format name",
    namespace="description name tools",
    tool_search="description execution parameters",
    apply_patch="allowed_callers",
)
TOOLS["web_search_2025_08_26"] = TOOLS["web_search"]
TOOLS["web_search_preview_2025_03_11"] = TOOLS["web_search_preview"]


def only(value: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
    """`where` is the path of `value`, such as "input[0]"; "" is the body."""
    for key in value:
        if key not in known:
            raise unknown_parameter(f"{where}.{key}" if where else key)


def expect(
    value: Mapping[str, Any], key: str, kind: type | tuple[type, ...], words: str, where: str = ""
) -> None:
    """A type error names the path. Absent and null are fine."""
    found = value.get(key)
    wrong = not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool)
    if found is not None and wrong:
        raise wrong_type(f"{where}.{key}" if where else key, words, found)


def need(value: Mapping[str, Any], key: str, where: str = "") -> Any:
    if value.get(key) is None:
        raise missing(f"{where}.{key}" if where else key)
    return value[key]
