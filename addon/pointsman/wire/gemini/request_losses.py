"""What a translation from and to Gemini's API loses and refuses; see `wire/translation/losses.py`."""

from __future__ import annotations

from typing import Final

from pointsman.wire.translation.losses import OTHERS, PERSONAL, Reading, Writing

READING: Final = Reading(
    lost={
        "thoughtSignature": "what a provider signed is for its own models",
        "safetySettings": "another provider has its own",
        "labels": PERSONAL,
        "store": "the answer is not kept at the provider",
        "serviceTier": "another provider has other tiers",
        "mediaResolution": "how closely pictures are looked at",
        "functionDeclarations[].response": "what a function gives back is not said elsewhere",
        "retrievalConfig": "where the person is",
        OTHERS: "members that the reader does not know",
    },
    refused={
        "cachedContent": "the beginning of the conversation is kept at Google",
        "candidateCount": "only one answer can be translated",
        "responseModalities": "only text is translated",
        "responseMimeType": "only text and JSON are translated",
        "logprobs": "other APIs do not tell probabilities",
        "tools[]": "only Google has this tool",
        "parts[]": "only Google knows what this part is",
        "files": "the file is kept at Google",
        "media": "sound and video are not translated",
    },
    says=frozenset({
        "separate texts", "thinking", "images in results", "documents", "documents by address",
        "images by address", "failed results", "top_k", "presence_penalty", "frequency_penalty", "seed",
        "stop", "many stop sequences", "json without a schema", "strict answers", "prefill",
        "order of texts and calls", "temperature above 1", "sampling while thinking",
        "thinking with a forced tool", "bounds in answers",
        "keywords in schemas",
    }),
)  # fmt: skip

WRITING: Final = Writing(
    lost={
        "instructions in the middle": "become reminders in the user's message",
        "thinking": "is left away: Google did not sign it",
        "images in results": "follow in a content of their own",
        "custom tools": "become functions with one text; the model is told their grammar, not held to it",
        "strict tools": "arguments are not held to the schema",
        "keywords in schemas": "those that Google does not read are left away",
        "parallel_calls": "a model calls as many tools at once as it likes",
        "verbosity": "does not exist",
        "cache_key": "does not exist",
    },
    refused={
        "images by address": "pictures have to be in the request",
        "documents by address": "documents have to be in the request",
        "many stop sequences": "five at most",
    },
)
