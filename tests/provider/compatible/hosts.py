"""Providers that copy somebody else's API: where they live, and what they do otherwise than it.

Written by hand from their documentation, not imported from the product: see `openai/capabilities.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provider.compatible.models import (
    CLAUDE_HAIKU,
    CLAUDE_OPUS,
    DEEPSEEK,
    GLM,
    GPT,
    GPT_OSS,
    GROK,
    KIMI,
    LLAMA,
    MINIMAX,
    MISTRAL,
    QWEN,
    REASONER,
    Copied,
    Model,
)

COMMON = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "stop", "n"}
    | {"tools", "tool_choice", "response_format", "presence_penalty", "frequency_penalty", "seed", "user"}
    | {"parallel_tool_calls", "logprobs", "top_logprobs", "logit_bias"}
)
ANY_ID = r"[\x21-\x7e]{1,40}"


@dataclass(frozen=True, slots=True)
class Host:
    """One provider. `chat` is the path above its chat completions, `messages` that above an Anthropic API.

    `models` are those of the chat API by the provider's own names, `copied` those of the other. `usage` is
    when a stream ends with it: "asked" for by stream_options, "always", or "cannot" be asked for but always.
    """

    name: str
    host: str
    chat: str
    models: Mapping[str, Model]
    messages: str | None = None
    copied: Mapping[str, Copied] = field(default_factory=dict)
    extra: frozenset[str] = frozenset()  # members of the body beyond the common ones
    without: frozenset[str] = frozenset()  # common ones that it refuses
    roles: frozenset[str] = frozenset({"system", "user", "assistant", "tool"})
    reasoning: str = "reasoning_content"  # what it calls a model's thoughts
    call_id: str = ANY_ID
    whole_calls: bool = False  # a call comes in one delta
    returned: frozenset[str] = frozenset()  # names by which thoughts are given back, for whatever model
    comments: bool = False  # SSE comments while a model is busy
    usage: str = "asked"
    keyless: bool = False  # any request is taken, but a key that is not its own is not


OPENROUTER = Host(
    "openrouter",
    "openrouter.ai",
    "/api/v1",
    {
        "moonshotai/kimi-k2.6": KIMI,
        "minimax/minimax-m2.7": MINIMAX,
        "openai/gpt-5.5": GPT,
        "deepseek/deepseek-chat": DEEPSEEK,
        "z-ai/glm-5": GLM,
        "anthropic/claude-opus-4.8": CLAUDE_OPUS,
        "anthropic/claude-haiku-4.5": CLAUDE_HAIKU,
    },
    messages="/api",
    copied={
        "anthropic/claude-opus-4.8": Copied("claude-opus-4-8"),
        "anthropic/claude-haiku-4.5": Copied("claude-haiku-4-5"),
        "anthropic/claude-sonnet-5": Copied("claude-sonnet-5"),
    },
    extra=frozenset(
        {"provider", "reasoning", "reasoning_effort", "models", "route", "plugins", "transforms", "usage"}
        | {"top_k", "min_p", "top_a", "repetition_penalty", "max_completion_tokens", "verbosity"}
    ),
    roles=frozenset({"system", "developer", "user", "assistant", "tool"}),
    reasoning="reasoning",
    returned=frozenset({"reasoning", "reasoning_content"}),
    comments=True,
    usage="always",
)
GROQ = Host(
    "groq",
    "api.groq.com",
    "/openai/v1",
    {"openai/gpt-oss-120b": GPT_OSS, "llama-3.3-70b-versatile": LLAMA, "moonshotai/kimi-k2.6": KIMI},
    extra=frozenset({"max_completion_tokens", "reasoning_effort", "reasoning_format", "service_tier"}),
    without=frozenset({"logprobs", "top_logprobs", "logit_bias"}),
    reasoning="reasoning",
    whole_calls=True,
)
DEEPSEEK_OWN = Host(
    "deepseek",
    "api.deepseek.com",
    "",
    {"deepseek-chat": DEEPSEEK, "deepseek-reasoner": REASONER},
    messages="/anthropic",
    copied={"deepseek-chat": Copied(), "deepseek-reasoner": Copied(thinks=True)},
    extra=frozenset({"thinking"}),
    without=frozenset({"n", "seed", "user", "parallel_tool_calls", "logit_bias"}),
)
FIREWORKS = Host(
    "fireworks",
    "api.fireworks.ai",
    "/inference/v1",
    {
        "accounts/fireworks/models/kimi-k2p6": KIMI,
        "accounts/fireworks/models/minimax-m2p7": MINIMAX,
        "accounts/fireworks/models/deepseek-v3p2": DEEPSEEK,
        "accounts/fireworks/models/glm-5": GLM,
    },
    extra=frozenset(
        {"top_k", "min_p", "reasoning_effort", "prompt_cache_key", "context_length_exceeded_behavior"}
    ),
)
TOGETHER = Host(
    "together",
    "api.together.ai",
    "/v1",
    {"moonshotai/Kimi-K2.6": KIMI, "MiniMaxAI/MiniMax-M2.7": MINIMAX, "openai/gpt-oss-120b": GPT_OSS},
    extra=frozenset(
        {"top_k", "min_p", "repetition_penalty", "reasoning", "reasoning_effort", "safety_model"}
    ),
    without=frozenset({"user", "parallel_tool_calls"}),
    reasoning="reasoning",
    usage="always",
)
MOONSHOT = Host(
    "moonshot",
    "api.moonshot.ai",
    "/v1",
    {"kimi-k2.6": KIMI},
    messages="/anthropic",
    copied={"kimi-k2.6": Copied(thinks=True)},
    extra=frozenset({"thinking", "prompt_cache_key", "max_completion_tokens"}),
    without=frozenset({"seed", "logit_bias", "logprobs", "top_logprobs", "parallel_tool_calls"}),
)
MINIMAX_OWN = Host(
    "minimax",
    "api.minimax.io",
    "/v1",
    {"MiniMax-M2.7": MINIMAX},
    messages="/anthropic",
    copied={"MiniMax-M2.7": Copied(thinks=True)},
    extra=frozenset({"reasoning_split", "max_completion_tokens"}),
    without=frozenset(
        {"logit_bias", "logprobs", "top_logprobs", "seed", "presence_penalty", "frequency_penalty"}
    ),
)
ZAI = Host(
    "zai",
    "api.z.ai",
    "/api/paas/v4",
    {"glm-5": GLM},
    messages="/api/anthropic",
    copied={"glm-5": Copied(thinks=True)},
    extra=frozenset({"thinking", "do_sample", "request_id", "user_id", "tool_stream"}),
    without=frozenset(
        {"n", "seed", "user", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"}
        | {"logit_bias", "parallel_tool_calls"}
    ),
)
MISTRAL_OWN = Host(
    "mistral",
    "api.mistral.ai",
    "/v1",
    {"mistral-large-latest": MISTRAL, "devstral-medium-latest": MISTRAL},
    extra=frozenset({"random_seed", "safe_prompt", "prediction", "prompt_mode"}),
    without=frozenset({"seed", "user", "stream_options", "logprobs", "top_logprobs", "logit_bias"}),
    call_id="[a-zA-Z0-9]{9}",
    whole_calls=True,
    usage="cannot",
)
XAI = Host(
    "xai",
    "api.x.ai",
    "/v1",
    {"grok-4.3": GROK},
    extra=frozenset({"reasoning_effort", "max_completion_tokens", "search_parameters", "deferred"}),
    without=frozenset({"presence_penalty", "frequency_penalty", "stop", "logit_bias"}),
    roles=frozenset({"system", "developer", "user", "assistant", "tool"}),
)
LITELLM = Host(
    "litellm",
    "litellm.example",
    "",
    {
        "kimi-k2.6": KIMI,
        "moonshot/kimi-k2.6": KIMI,
        "minimax-m2.7": MINIMAX,
        "minimax/MiniMax-M2.7": MINIMAX,
        "gpt-5.5": GPT,
        "openai/gpt-5.5": GPT,
        "claude-haiku-4-5": CLAUDE_HAIKU,
    },
    messages="",
    copied={"claude-haiku-4-5": Copied("claude-haiku-4-5"), "claude-opus-4-8": Copied("claude-opus-4-8")},
    extra=frozenset(
        {"reasoning_effort", "max_completion_tokens", "metadata", "top_k", "thinking", "verbosity"}
    ),
    roles=frozenset({"system", "developer", "user", "assistant", "tool"}),
)
LOCAL = Host(
    "local",
    "127.0.0.1",
    "/v1",
    {
        "qwen3-coder": QWEN,
        "gpt-oss-120b": GPT_OSS,
        "gpt-5.5": GPT,
        "kimi-k2.6": KIMI,
        "minimax-m2.7": MINIMAX,
    },
    messages="",
    copied={"qwen3-coder": Copied()},
    extra=frozenset({"top_k", "min_p", "repetition_penalty", "reasoning_effort", "max_completion_tokens"}),
    keyless=True,
)
HOSTS = (
    *(OPENROUTER, GROQ, DEEPSEEK_OWN, FIREWORKS, TOGETHER, MOONSHOT, MINIMAX_OWN, ZAI),
    *(MISTRAL_OWN, XAI, LITELLM, LOCAL),
)
