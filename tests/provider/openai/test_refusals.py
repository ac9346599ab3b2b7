"""The stand-in refuses what OpenAI's models refuse, in their words, and names the parameter."""

from __future__ import annotations

from typing import Any

import pytest
from provider.openai.capabilities import MODELS
from provider.openai.family import OpenAI
from provider.openai.heads import make_login
from provider.openai.samples import CHAT_LS, HI, LS, PIXEL, ask, chat, refused, responses

LITE = {"x_openai_internal_codex_responses_lite": "true"}
NONE = {"reasoning_effort": "none"}
CALL = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}


@pytest.mark.parametrize(
    ("model", "more", "param"),
    [
        ("gpt-5-mini", {"max_tokens": 50}, "max_tokens"),
        ("o4-mini", {"max_tokens": 50}, "max_tokens"),
        ("gpt-4o", {"max_tokens": 20_000}, "max_tokens"),
        ("gpt-4o", {"max_completion_tokens": 0}, "max_completion_tokens"),
        ("gpt-5", {"temperature": 0.2}, "temperature"),
        ("gpt-5.6-luna", {"top_p": 0.5}, "top_p"),
        ("gpt-5.5", {"logprobs": True}, "logprobs"),
        ("gpt-6-sol", {"top_logprobs": 2}, "top_logprobs"),
        ("gpt-6-astra", {"stop": ["x"]}, "stop"),
        ("gpt-4o", {"temperature": 3}, "temperature"),
        ("gpt-5", NONE, "reasoning_effort"),
        ("gpt-5.1", {"reasoning_effort": "minimal"}, "reasoning_effort"),
        ("gpt-5.1", {"reasoning_effort": "xhigh"}, "reasoning_effort"),
        ("gpt-5.5", {"reasoning_effort": "max"}, "reasoning_effort"),
        ("gpt-6.1-sol", NONE, "reasoning_effort"),
        ("gpt-6-astra", {"reasoning_effort": "max"}, "reasoning_effort"),
        ("gpt-4.1", {"reasoning_effort": "low"}, None),
        ("gpt-6-astra", {"tools": [CHAT_LS]}, "reasoning_effort"),
        ("gpt-6.1-sol", {"tools": [CHAT_LS], "reasoning_effort": "low"}, "reasoning_effort"),
        ("gpt-6-sol", {"tools": [CHAT_LS]}, "reasoning_effort"),
        ("gpt-6-luna", {"tools": [CHAT_LS], "reasoning_effort": "low"}, "reasoning_effort"),
        ("gpt-5.6", {"tools": [CHAT_LS]}, "reasoning_effort"),
        ("gpt-5.4", {"tools": [CHAT_LS], "reasoning_effort": "high"}, "reasoning_effort"),
        ("gpt-4o", {"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ("gpt-4o", {"verbosity": "low"}, "verbosity"),
        ("gpt-4o", {"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ("gpt-5.6", {"prompt_cache_retention": "in_memory"}, "prompt_cache_retention"),
        ("gpt-4o", {"stream_options": {"include_usage": True}}, "stream_options"),
        ("gpt-4o", {"stream": True, "stream_options": {"router": 1}}, "stream_options.router"),
        ("gpt-4o", {"tool_choice": "auto"}, "tool_choice"),
        ("gpt-4o", {"parallel_tool_calls": False}, "parallel_tool_calls"),
        ("gpt-4o", {"n": 0}, "n"),
        ("gpt-4o", {"x_router": {}}, "x_router"),
        ("gpt-4o", {"input": "hi"}, "input"),
        ("gpt-4o", {"stream": "yes"}, "stream"),
        ("gpt-4o", {"service_tier": "bulk"}, "service_tier"),
        ("o3-mini", {"messages": [IMAGE]}, "messages[0].content[0].type"),
        ("gpt-5-codex", {}, "model"),
        ("gpt-5.5-pro", {}, "model"),
    ],
)
def test_chat_refuses_by_name(model: str, more: dict[str, Any], param: str | None) -> None:
    refusal = refused(chat(model, **more))
    assert refusal.param == param
    assert refusal.status == (404 if param == "model" else 400)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gpt-4o", {"max_tokens": 50, "temperature": 0.2, "top_p": 1, "logprobs": True, "stop": "x"}),
        ("gpt-5-mini", {"max_completion_tokens": 50, "temperature": 1, "reasoning_effort": "minimal"}),
        ("gpt-5.2", {"temperature": 0.2}),  # reasons only if asked to
        ("gpt-6-sol", {**NONE, "temperature": 0.2, "tools": [CHAT_LS], "tool_choice": "auto"}),
        ("gpt-5.4", {"tools": [CHAT_LS]}),
        ("gpt-5", {"tools": [CHAT_LS], "reasoning_effort": "high", "parallel_tool_calls": False}),
        ("gpt-6-astra", {"reasoning_effort": "xhigh", "verbosity": "low"}),
        ("gpt-5-2025-08-07", {"prompt_cache_retention": "in_memory"}),
        ("gpt-4o", {"messages": [IMAGE]}),
        ("gpt-5", {"messages": [HI, CALLED, RESULT], "tools": [CHAT_LS]}),
    ],
)
def test_chat_takes(model: str, more: dict[str, Any]) -> None:
    assert ask(OpenAI(), chat(model, **more)).message.blocks


@pytest.mark.parametrize(
    ("model", "more", "param"),
    [
        ("gpt-6.1-sol", {"reasoning": {"effort": "none"}}, "reasoning.effort"),
        ("gpt-5.6-luna", {"reasoning": {"effort": "minimal"}}, "reasoning.effort"),
        ("gpt-5.5-pro", {"reasoning": {"effort": "low"}}, "reasoning.effort"),
        ("gpt-4.1", {"reasoning": {"effort": "low"}}, "reasoning.effort"),
        ("gpt-4.1", {"reasoning": {"summary": "auto"}}, "reasoning.summary"),
        ("gpt-4.1", {"include": ["reasoning.encrypted_content"]}, "include"),
        ("gpt-5", {"include": ["everything"]}, "include[0]"),
        ("gpt-5", {"include": ["message.output_text.logprobs"]}, "include"),
        ("gpt-5", {"temperature": 1}, "temperature"),
        ("gpt-5", {"top_p": 0.5}, "top_p"),
        ("gpt-5", {"max_tokens": 50}, "max_tokens"),
        ("gpt-5", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("gpt-5", {"max_output_tokens": 15}, "max_output_tokens"),
        ("gpt-5", {"max_output_tokens": 200_000}, "max_output_tokens"),
        ("gpt-4o", {"text": {"verbosity": "high"}}, "text.verbosity"),
        ("gpt-5", {"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ("gpt-5-mini", {"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ("gpt-5", {"x_router": 1}, "x_router"),
        ("gpt-5", {"reasoning": {"router": 1}}, "reasoning.router"),
        ("gpt-5", {"stream": True, "stream_options": {"router": 1}}, "stream_options.router"),
        ("gpt-4o", {"tools": [{"type": "custom", "name": "x"}]}, "tools"),
        ("gpt-5", {"tools": [{"type": "apply_patch"}]}, "tools"),
        ("gpt-5", {"tools": [{"type": "magic"}]}, "tools[0].type"),
        ("gpt-5", {"tools": [{**LS, "name": "l s"}]}, "tools[0].name"),
        ("gpt-5", {"tools": [{**LS, "name": "x" * 65}]}, "tools[0].name"),
        ("gpt-5", {"tools": [{**LS, "parameters": {"type": "string"}}]}, "tools[0].parameters"),
        ("gpt-5", {"tools": [{**LS, "router": 1}]}, "tools[0].router"),
        ("gpt-5", {"tools": [LS], "tool_choice": {"type": "function", "name": "rm"}}, "tool_choice"),
        ("gpt-5", {"tool_choice": "maybe"}, "tool_choice"),
        ("gpt-5", {"conversation": "conv_1"}, "conversation"),
        ("gpt-5", {"prompt": {"id": "pmpt_1"}}, "prompt"),
        ("gpt-5", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("gpt-5", {"input": 5}, "input"),
    ],
)
def test_responses_refuses_by_name(model: str, more: dict[str, Any], param: str) -> None:
    refusal = refused(responses(model, **more))
    assert refusal.param == param
    assert refusal.status == (404 if param in ("conversation", "prompt") else 400)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gpt-6.1-sol", {"reasoning": {"effort": "max", "summary": "auto", "context": "all_turns"}}),
        ("gpt-6-astra", {"reasoning": {"effort": "max"}, "tools": [LS, {"type": "web_search"}]}),
        ("gpt-5.4-nano", {"temperature": 0.5, "reasoning": {"effort": "none", "summary": "auto"}}),
        ("gpt-4.1", {"temperature": 0.5, "max_output_tokens": 16, "text": {"verbosity": "medium"}}),
        ("gpt-5.4", {"tools": [{"type": "namespace", "name": "n", "description": "", "tools": [LS]}]}),
        ("gpt-5-codex", {"tools": [LS], "tool_choice": {"type": "function", "name": "ls"}}),
        ("gpt-5.5", {"prompt_cache_retention": "24h", "prompt_cache_key": "k", "service_tier": "flex"}),
        ("gpt-5", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PIXEL}]}]}),
    ],
)
def test_responses_takes(model: str, more: dict[str, Any]) -> None:
    assert ask(OpenAI(), responses(model, **more)).message.blocks


def test_codex_header_is_refused_by_models_that_do_not_know_it() -> None:
    asked = {"reasoning": {"context": "all_turns"}}
    refusal = refused(responses("gpt-5.5", **asked), **LITE)
    assert (refusal.param, refusal.code) == ("model", "unsupported_value")
    ask(OpenAI(), responses("gpt-6.1-sol", **asked), **LITE)
    assert refused(responses("gpt-6.1-sol"), **LITE).param == "reasoning.context"
    known = {model.name for model in MODELS if model.lite}
    assert {"gpt-6.1-sol", "gpt-6.1-terra", "gpt-5.6-luna"} <= known
    assert not known & {"gpt-5.4-mini", "gpt-4.1", "o3"}


def test_unknown_models_are_a_404() -> None:
    for body in (chat("gpt-nonesuch"), responses("claude-opus-4-8")):
        refusal = refused(body)
        assert (refusal.status, refusal.code) == (404, "model_not_found")
    assert refused({"input": "hi"}).code == "missing_required_parameter"
    assert refused({"input": "hi", "model": 5}).code == "invalid_type"


def test_credentials() -> None:
    body = responses("gpt-5.5", stream=True, store=False)
    assert refused(body, authorization="").status == 401
    assert refused(body, authorization="Bearer nonsense").status == 401
    assert refused(body, authorization=f"Bearer {make_login('acc')}").code == "missing_scope"
    backend = {"host": "chatgpt.com", "path": "/backend-api/codex/responses"}
    assert refused(body, **backend).status == 401
    login = {**backend, "authorization": f"Bearer {make_login('acc')}"}
    record = ask(OpenAI(), body, **login)
    assert (record.account, record.subscription) == ("acc", True)
    assert "Store" in str(refused(responses("gpt-5.5", stream=True), **login))
    assert "Stream" in str(refused(responses("gpt-5.5", store=False), **login))
    assert "ChatGPT account" in str(refused(responses("gpt-4o", stream=True, store=False), **login))


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "empty array"),
        ([{"role": "user", "content": []}], "messages[0].content': empty array"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "robot", "content": "x"}], "Supported values are: 'developer'"),
        ([{"content": "x"}], "messages[0].role"),
        ([{**HI, "x_router": 1}], "Unknown parameter: 'messages[0].x_router'"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "x"}]}], "messages[0].content[0]"),
        ([{"role": "assistant", "content": [{"type": "image_url"}]}], "'text', and 'refusal'"),
        ([HI, CALLED], "did not have response messages: c1"),
        ([HI, CALLED, HI], "did not have response messages: c1"),
        ([HI, RESULT], "preceeding message with 'tool_calls'"),
        ([HI, CALLED, RESULT, RESULT], "preceeding message"),
        ([HI, {**CALLED, "content": "x", "tool_calls": []}], "tool_calls': empty array"),
        ([HI, {**CALLED, "tool_calls": [{**CALL, "index": 0}]}, RESULT], "messages[1].tool_calls[0].index"),
        ([HI, {**CALLED, "tool_calls": [{**CALL, "id": None}]}, RESULT], "messages[1].tool_calls[0].id"),
        ([5], "messages[0]"),
    ],
)
def test_the_shape_of_a_chat_is_checked(messages: list[Any], words: str) -> None:
    refusal = refused(chat("gpt-4o", messages=messages))
    assert words in f"{refusal} {refusal.param}"
