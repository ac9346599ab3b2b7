"""What a translation from and to Chat Completions loses and refuses; see `wire/translation/losses.py`."""

from __future__ import annotations

from typing import Final

from pointsman.wire.translation.losses import OTHERS, PERSONAL, Reading, Writing

READING: Final = Reading(
    lost={
        "metadata": PERSONAL,
        "user": PERSONAL,
        "safety_identifier": PERSONAL,
        "store": "the answer is not kept at the provider",
        "service_tier": "another provider has other tiers",
        "prediction": "nothing is predicted; the answer only takes longer",
        "prompt_cache_retention": "another provider has other lifetimes",
        "prompt_cache_options": "another provider caches otherwise",
        "image_url.detail": "how closely a picture is looked at",
        "messages[].name": "names of who says something",
        "stream_options": "beside the usage, which is kept",
        OTHERS: "members that the reader does not know, those of gateways among them",
    },
    refused={
        "n": "only one answer can be translated",
        "logprobs": "other APIs do not tell probabilities",
        "logit_bias": "other APIs have other tokens",
        "audio": "speech is not translated",
        "functions": "the older form of tools is not translated",
        "web_search_options": "only OpenAI searches like this",
        "moderation": "only OpenAI moderates like this",
        "files": "the file is kept at OpenAI",
        "messages[].content[].type": "what this part is, is not known",
        "messages[].role": "what this role is, is not known",
        "tools[].type": "what this tool is, is not known",
    },
    says=frozenset({
        "instructions in the middle", "thinking", "separate texts", "documents", "images by address",
        "custom tools", "strict tools", "parallel_calls", "presence_penalty", "frequency_penalty", "seed",
        "stop", "verbosity", "json without a schema", "strict answers", "prefill", "cache_key",
        "temperature above 1", "sampling while thinking", "thinking with a forced tool", "bounds in answers",
        "many stop sequences",
        "keywords in schemas",
    }),
)  # fmt: skip

WRITING: Final = Writing(
    lost={
        "instructions in the middle": "become reminders in the user's message",
        "thinking": "is left away, unless the provider wants it back (the quirk `reasoning_content`)",
        "separate texts": "texts of one message become one, a blank line between them",
        "order of texts and calls": "an assistant's text comes before its calls",
        "images in results": "follow in a user's message",
        "failed results": "only the text says that a tool failed",
        "custom tools": "become functions with one text; the model is told their grammar, not held to it",
        "strict tools": "arguments are held to the schema only if OpenAI's strict mode takes it",
        "strict answers": "answers are held to the schema only if OpenAI's strict mode takes it",
        "parallel_calls": "with the quirk `no_parallel` only",
        "top_k": "does not exist, unless the provider has it (the quirk `top_k`)",
        "verbosity": "is not known everywhere (the quirk `verbosity`)",
        "cache_key": "is not known everywhere",
    },
    refused={
        "prefill": "no answer is begun by the client",
        "documents": "only PDF and plain text are taken",
        "documents by address": "documents have to be in the request",
        "many stop sequences": "four at most",
    },
)
