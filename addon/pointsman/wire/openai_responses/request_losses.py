"""What a translation from and to the Responses API loses and refuses; see `wire/translation/losses.py`."""

from __future__ import annotations

from typing import Final

from pointsman.wire.translation.losses import OTHERS, PERSONAL, Reading, Writing

READING: Final = Reading(
    lost={
        "reasoning items": "what a provider encrypted is for its own models",
        "include": "nothing but encrypted reasoning was wanted",
        "store": "the answer is not kept at the provider; `previous_response_id` cannot name it",
        "metadata": PERSONAL,
        "client_metadata": PERSONAL,
        "user": PERSONAL,
        "safety_identifier": PERSONAL,
        "service_tier": "another provider has other tiers",
        "truncation": "a conversation that is too long is refused",
        "max_tool_calls": "bounds tools that only OpenAI calls",
        "stream_options": "padding of events",
        "prompt_cache_retention": "another provider has other lifetimes",
        "prompt_cache_options": "another provider caches otherwise",
        "reasoning.context": "all of the conversation is in the request",
        "input_image.detail": "how closely a picture is looked at",
        "input[].configuration_update": "settings in the middle of the conversation",
        OTHERS: "members that the reader does not know",
    },
    refused={
        "previous_response_id": "the conversation is kept at OpenAI",
        "conversation": "the conversation is kept at OpenAI",
        "prompt": "the prompt is kept at OpenAI",
        "background": "the answer would be kept at OpenAI",
        "generate": "nothing is to be answered",
        "context_management": "only OpenAI compacts a history like this",
        "files": "the file is kept at OpenAI",
        "logprobs": "other APIs do not tell probabilities",
        "input[].type": "only OpenAI knows what this item is",
        "input[].content[].type": "only OpenAI knows what this part is",
        "tools[].type": "only OpenAI has this tool",
        "tool_choice": "only OpenAI has this tool",
    },
    says=frozenset({
        "instructions in the middle", "thinking", "separate texts", "images in results", "documents",
        "documents by address", "images by address", "custom tools", "strict tools", "parallel_calls",
        "verbosity", "json without a schema", "strict answers", "prefill", "cache_key",
        "order of texts and calls", "temperature above 1", "sampling while thinking",
        "thinking with a forced tool", "bounds in answers",
        "keywords in schemas",
    }),
)  # fmt: skip

WRITING: Final = Writing(
    lost={
        "thinking": "is left away: OpenAI did not encrypt it",
        "failed results": "only the text says that a tool failed",
        "strict tools": "arguments are held to the schema only if OpenAI's strict mode takes it",
        "strict answers": "answers are held to the schema only if OpenAI's strict mode takes it",
        "top_k": "does not exist",
        "presence_penalty": "does not exist",
        "frequency_penalty": "does not exist",
        "seed": "does not exist",
    },
    refused={
        "stop": "there are no stop sequences",
        "prefill": "no answer is begun by the client",
    },
)
