"""What a translation from and to Anthropic's API loses and refuses; see `wire/translation/losses.py`."""

from __future__ import annotations

from typing import Final

from pointsman.wire.translation.losses import OTHERS, PERSONAL, Reading, Writing

READING: Final = Reading(
    lost={
        "cache_control": "other providers cache by themselves",
        "thinking blocks": "what a provider signed is for its own models",
        "system[0]": "Claude Code's billing line is for Anthropic alone",
        "metadata": PERSONAL,
        "citations": "citations in the history; its texts stay",
        "context_management": "the history stays as long as it is",
        "messages[].output_config": "the effort of single turns",
        "messages[].clear_at": "reminders stay where they are",
        "tools[] hints": "how tools are loaded and streamed, and examples of their input",
        "service_tier": "another provider has other tiers",
        "speed": "another provider has other speeds",
        OTHERS: "members that the reader does not know",
    },
    refused={
        "tools[].type": "only Anthropic has this tool",
        "tools[].allowed_callers": "only Anthropic lets code call tools",
        "messages[].content[].type": "only Anthropic knows what this block is",
        "files": "the file is kept at Anthropic",
        "citations.enabled": "no other API cites documents like this",
        "mcp_servers": "only Anthropic calls these servers",
        "container": "the container is kept at Anthropic",
        "inference_geo": "no other API promises where it computes",
        "compaction": "only Anthropic compacts a history like this",
    },
    says=frozenset({
        "instructions in the middle", "thinking", "separate texts", "images in results", "documents",
        "documents by address", "images by address", "failed results", "strict tools", "parallel_calls",
        "top_k", "stop", "many stop sequences", "strict answers", "prefill", "cache_key",
        "order of texts and calls", "bounds in answers", "sampling while thinking", "keywords in schemas",
    }),
)  # fmt: skip

WRITING: Final = Writing(
    lost={
        "instructions in the middle": "become reminders in the user's message",
        "thinking": "is left away: Anthropic did not sign it",
        "custom tools": "become functions with one text; the model is told their grammar, not held to it",
        "strict tools": "arguments are not held to the schema",
        "presence_penalty": "does not exist",
        "frequency_penalty": "does not exist",
        "seed": "does not exist",
        "verbosity": "does not exist",
        "cache_key": "is not needed: the cache is asked for in the request",
        "json without a schema": "the model is told, not held to it",
        "sampling while thinking": "temperature, top_p and top_k are fixed while a model thinks",
        "temperature above 1": "becomes 1",
        "thinking with a forced tool": "the model does not think before a tool that it must call",
        "bounds in answers": "the schema of an answer cannot bound numbers and lengths",
    },
    refused={
        "documents": "only PDF and plain text are taken",
    },
)
