"""The stand-in refuses what real models refuse, and names the parameter."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from provider.answers import Answer, Call, Text, Think
from provider.anthropic import betas, rules, structure, thinking
from provider.anthropic.answers import compose
from provider.anthropic.cache import PromptCache
from provider.anthropic.capabilities import BY_NAME
from provider.refusal import Refusal

ASK: dict[str, Any] = {"max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]}
ENABLED = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
ADAPTIVE = {"thinking": {"type": "adaptive"}}
DISABLED = {"thinking": {"type": "disabled"}}
CLEAR = {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}
SYSTEM_ROLE = {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "be kind"}]}
PREFILL = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]}
EFFORT = {"role": "system", "content": [], "output_config": {"effort": "low"}}
ADDITION = {"role": "system", "content": [{"type": "tool_addition", "tool": {"name": "ls"}}]}
HI = {"role": "user", "content": "hi"}
TOOL = {"name": "ls", "input_schema": {"type": "object"}}


def accept(body: dict[str, Any], account: str = "a") -> None:
    rules.check_schema(body, counting=False)
    model = rules.find_model(body)
    structure.check_structure(body)
    rules.check_parameters(body, model, zero_retention=False)
    thinking.check_thinking(body, model, account)


def refused(body: dict[str, Any], account: str = "a") -> str:
    with pytest.raises(Refusal) as caught:
        accept(body, account)
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "extra", "named"),
    [
        ("claude-opus-4-7", ENABLED, "thinking"),
        ("claude-sonnet-5", ENABLED, "thinking"),
        ("claude-fable-5", ENABLED, "thinking"),
        ("claude-haiku-4-5", ADAPTIVE, "adaptive"),
        ("claude-haiku-4-5", {"output_config": {"effort": "high"}}, "effort"),
        ("claude-opus-4-6", {"output_config": {"effort": "xhigh"}}, "effort"),
        ("claude-fable-5", DISABLED, "thinking"),
        ("claude-opus-5-5", DISABLED, "thinking"),
        ("claude-sonnet-5-5", DISABLED, "thinking"),
        ("claude-opus-5", {"thinking": {"type": "between_tools"}}, "thinking"),
        ("claude-haiku-4-5", CLEAR, "clear_thinking_20251015"),
        ("claude-opus-5", {**DISABLED, **CLEAR}, "clear_thinking_20251015"),
        ("claude-opus-4-7", {"temperature": 1}, "temperature"),
        ("claude-opus-5", {"top_k": 5}, "top_k"),
        ("claude-sonnet-5", {"top_p": 0.5}, "top_p"),
        ("claude-haiku-4-5", {**ENABLED, "temperature": 0.5}, "temperature"),
        ("claude-haiku-4-5", SYSTEM_ROLE, "role"),
        ("claude-opus-4-7", SYSTEM_ROLE, "role"),
        ("claude-haiku-4-5", {"messages": [HI, EFFORT]}, "role"),
        ("claude-opus-5", {"messages": [HI, EFFORT]}, "output_config.effort"),
        ("claude-fable-5", {"messages": [HI, EFFORT]}, "output_config.effort"),
        ("claude-sonnet-5", {"messages": [HI, ADDITION]}, "tool changes"),
        ("claude-opus-5-5", {"messages": [HI, EFFORT | {"output_config": {"effort": "none"}}]}, "effort"),
        ("claude-opus-5", {"thinking": {"type": "disabled", "display": "omitted"}}, "display"),
        ("claude-opus-5", {"thinking": {"type": "adaptive", "display": "raw"}}, "display"),
        ("claude-opus-5", {"thinking": {"type": "adaptive", "budget_tokens": 2048}}, "budget_tokens"),
        ("claude-opus-5-5", {"tools": [TOOL], "tool_choice": {"type": "any"}}, "tool_choice"),
        ("claude-opus-4-6", PREFILL, "prefill"),
        (
            "claude-haiku-4-5",
            {"tools": [{"type": "computer_20251124", "name": "computer"}]},
            "computer_20251124",
        ),
        ("claude-haiku-4-5", {"speed": "fast"}, "speed"),
        ("claude-haiku-4-5", {"max_tokens": 64_001}, "max_tokens"),
        ("claude-haiku-4-5", {"thinking": {"type": "enabled", "budget_tokens": 4096}}, "budget_tokens"),
        ("claude-haiku-4-5", {"router": 1}, "router"),
    ],
)
def test_a_parameter_that_the_model_cannot_take_is_refused_by_name(
    model: str, extra: dict[str, Any], named: str
) -> None:
    assert named in refused({**ASK, "model": model, **extra})


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        ("claude-haiku-4-5-20251001", {**ENABLED, "temperature": 1}),
        ("claude-haiku-4-5", {"temperature": 0.2, "top_k": 5}),
        ("claude-haiku-4-5", PREFILL),
        ("claude-opus-4-8", {**ADAPTIVE, **CLEAR, **SYSTEM_ROLE, "output_config": {"effort": "xhigh"}}),
        ("claude-opus-5-5", {"messages": [HI, {**EFFORT, "content": "be kind"}]}),
        ("claude-fable-5-1", {"messages": [HI, EFFORT]}),
        ("claude-opus-5", {"messages": [HI, {"role": "system", "content": "x", "output_config": {}}]}),
        ("claude-opus-4-8", {"messages": [HI, ADDITION | {"clear_at": "never"}]}),
        ("claude-opus-4-7", {"thinking": {"type": "adaptive", "display": "updates"}}),
        ("claude-haiku-4-5", {"thinking": {**ENABLED["thinking"], "display": "updates"}}),
        ("claude-opus-4-8", {**DISABLED, "speed": "fast"}),
        ("claude-sonnet-5", {**DISABLED, "temperature": 1}),
        ("claude-sonnet-5", CLEAR),
        ("claude-sonnet-5-5", {"thinking": {"type": "between_tools"}}),
        ("claude-opus-4-8", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "ls"}}),
    ],
)
def test_what_the_model_can_take_is_accepted(model: str, extra: dict[str, Any]) -> None:
    accept({**ASK, "model": model, **extra})


def test_fable_is_closed_to_zero_data_retention() -> None:
    body = {**ASK, "model": "claude-fable-5"}
    with pytest.raises(Refusal, match="zero data retention"):
        rules.check_parameters(body, BY_NAME["claude-fable-5"], zero_retention=True)


def test_unknown_models_are_a_404() -> None:
    with pytest.raises(Refusal) as caught:
        rules.find_model({"model": "claude-nonesuch"})
    assert caught.value.status == 404


CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "ls", "input": {}}]}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
FOUND = {"type": "tool_reference", "tool_name": "ls"}
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "at least one message"),
        ([CALL], "first message"),
        ([USER, {"role": "user", "content": [{"type": "text", "text": " "}]}], "non-whitespace"),
        ([USER, CALL, USER], "without `tool_result`"),
        ([USER, {"role": "user", "content": [RESULT]}], "unexpected `tool_use_id`"),
        ([USER, CALL, {"role": "user", "content": [{"type": "text", "text": "x"}, RESULT]}], "come first"),
        ([USER, {"role": "tool", "content": "x"}], "role"),
        ([USER, {"role": "user", "content": [{"type": "text", "text": "x", "x_router": 1}]}], "x_router"),
        ([USER, {"role": "user", "content": 5}], "valid string or list"),
        ([USER, {"role": "system", "content": []}], "non-empty"),
        ([USER, {"role": "system", "content": [], "output_config": {}}], "non-empty"),
        ([{**USER, "output_config": {"effort": "low"}}], "messages.0.output_config"),
        ([USER, {**EFFORT, "output_config": {"effort": "low", "format": {}}}], "output_config.format"),
        ([USER, {**EFFORT, "output_config": "low"}], "output_config"),
        ([USER, {**EFFORT, "clear_at": "noon"}], "clear_at"),
        ([USER, {"role": "system", "content": [RESULT]}], "tool_result"),
        ([USER, {"role": "user", "content": [FOUND]}], "tool_reference"),
    ],
)
def test_the_shape_of_a_conversation_is_checked(messages: list[Any], words: str) -> None:
    assert words in refused({**ASK, "model": "claude-haiku-4-5", "messages": messages})


@pytest.mark.parametrize(
    ("extra", "beta", "named"),
    [
        ({"messages": [USER, EFFORT]}, "per-turn-control-2026-07-01", "messages.1.output_config"),
        (
            {"messages": [USER, EFFORT]},
            "mid-conversation-output-config-2026-07-01",
            "messages.1.output_config",
        ),
        (
            {"messages": [USER, {"role": "system", "content": "x", "clear_at": "never"}]},
            "mid-conversation-system-clear-at-2026-08-21",
            "messages.1.clear_at",
        ),
        ({"messages": [USER, ADDITION]}, "mid-conversation-tool-changes-2026-07-01", "messages.1.content"),
        (
            {"thinking": {"type": "adaptive", "display": "updates"}},
            "thinking-display-updates-2026-08-18",
            "thinking.display",
        ),
        (
            {"thinking": {"type": "adaptive", "block_binding": {}}},
            "thinking-binding-controls-2026-08-01",
            "thinking.block_binding",
        ),
    ],
)
def test_what_is_in_beta_wants_its_header(extra: dict[str, Any], beta: str, named: str) -> None:
    body = {**ASK, "model": "claude-opus-5-5", **extra}
    with pytest.raises(Refusal, match=named):
        betas.check_betas(body, "interleaved-thinking-2025-05-14")
    betas.check_betas(body, f"interleaved-thinking-2025-05-14, {beta}")
    betas.check_betas({**ASK, **ADAPTIVE, **SYSTEM_ROLE}, None)


def test_a_tool_result_may_name_tools_that_were_found() -> None:
    found = {"role": "user", "content": [RESULT | {"content": [FOUND]}]}
    accept({**ASK, "model": "claude-haiku-4-5", "messages": [USER, CALL, found]})


def conversation(*models: str, account: str = "a") -> dict[str, Any]:
    """One question and one thinking answer per model."""
    body: dict[str, Any] = copy.deepcopy(ASK) | ADAPTIVE
    for number, name in enumerate(models):
        step = Answer((Think(f"thought {number}"), Text(f"answer {number}")))
        counted = PromptCache().count(body, BY_NAME[name], account)
        said = compose(
            step, body, model=name, account=account, thinks=True, counted=counted, number=number
        ).blocks
        body["messages"] += [{"role": "assistant", "content": list(said)}, {"role": "user", "content": "on"}]
    return body


def test_thinking_of_other_models_of_the_account_is_taken_and_dropped() -> None:
    body = conversation("claude-opus-4-8", "claude-sonnet-5") | {"model": "claude-opus-4-8"}
    accept(body)
    assert thinking.check_thinking(body, BY_NAME["claude-opus-4-8"], "a") == 1


def test_thinking_that_is_altered_foreign_moved_or_missing_is_refused() -> None:
    whole = conversation("claude-opus-4-8", "claude-sonnet-5") | {"model": "claude-opus-5"}
    assert "Invalid `signature`" in refused(whole, account="b")
    altered = copy.deepcopy(whole)
    altered["messages"][1]["content"][0]["thinking"] += "!"
    assert "messages.1.content.0: Invalid `signature`" in refused(altered)
    foreign = copy.deepcopy(whole)
    foreign["messages"][1]["content"][0]["signature"] = "Zm9yZWlnbg=="
    assert "Invalid `signature`" in refused(foreign)
    missing = copy.deepcopy(whole)
    del missing["messages"][1]["content"][0]
    assert "messages.3.content.0: `thinking`" in refused(missing)
    moved = copy.deepcopy(whole)
    moved["messages"][3]["content"].insert(0, {"type": "text", "text": "a marker"})
    assert "messages.3.content.1: `thinking`" in refused(moved)
    bare = copy.deepcopy(whole)
    del bare["messages"][1]["content"][0], bare["messages"][3]["content"][0]
    accept(bare)


def test_with_a_budget_a_tool_loop_starts_with_thinking() -> None:
    loop = {"messages": [USER, CALL, {"role": "user", "content": [RESULT]}]}
    assert "Expected `thinking`" in refused({**ASK, **ENABLED, **loop, "model": "claude-haiku-4-5"})
    accept({**ASK, **ADAPTIVE, **loop, "model": "claude-opus-4-8"})


def test_a_prompt_is_cached_by_its_exact_prefix_per_account_and_model() -> None:
    cache, model = PromptCache(), BY_NAME["claude-sonnet-4-5"]
    system = [{"type": "text", "text": "long " * 2000, "cache_control": {"type": "ephemeral"}}]
    body = {**ASK, "system": system}
    first = cache.count(body, model, "a")
    assert first.write_5m > 2000 and first.read == 0
    again = cache.count(body, model, "a")
    assert (again.read, again.write_5m, again.total) == (first.write_5m, 0, first.total)
    assert cache.count(body, model, "b").read == 0
    assert cache.count(body, BY_NAME["claude-sonnet-4-6"], "a").read == 0
    other = {**ASK, "system": [{**system[0], "text": "Long " * 2000}]}
    assert cache.count(other, model, "a").read == 0
    grown = {**body, "messages": [USER, {"role": "assistant", "content": "yes"}, USER]}
    assert cache.count(grown, model, "a").read == first.write_5m


def test_calls_are_answered_with_ids_and_fragments() -> None:
    counted = PromptCache().count(ASK, BY_NAME["claude-haiku-4-5"], "a")
    step = Answer((Call("ls", {"path": "/tmp"}),))
    said = compose(step, ASK, model="claude-haiku-4-5", account="a", thinks=False, counted=counted, number=7)
    assert said.stop_reason == "tool_use"
    assert sum(b"input_json_delta" in frame for frame in said.events()) > 2
