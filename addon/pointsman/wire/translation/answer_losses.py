"""What an answer loses in translation, as data: what its readers pass over, and what its writers cannot say.

docs/translation.md is made of these tables; tests hold the readers and writers to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PASSED_OVER: Final[Mapping[str, Mapping[str, str]]] = {
    "anthropic": {
        "signatures": "thinking goes on without its signature: no other provider could read it",
        "redacted thinking": "nobody but the provider can read it",
        "server tools": "calls that the provider carries out itself, and their results, are left out",
        "citations": "a text goes on without its sources",
        "stop details": "why an answer was declined",
    },
    "openai_chat": {
        "further choices": "the first one counts",
        "logprobs": "other APIs do not tell probabilities",
        "audio": "only text is translated",
        "annotations": "a text goes on without its sources",
        "stop sequences": "few tell that one ended the answer, so it has just ended",
    },
    "openai_responses": {
        "sealed reasoning": "nobody but the provider can read it",
        "hosted tools": "calls that the provider carries out itself, and their results, are left out",
        "annotations": "a text goes on without its sources",
        "logprobs": "other APIs do not tell probabilities",
    },
    "gemini": {
        "thought signatures": "no other provider could read them",
        "further candidates": "the first one counts",
        "data": "images and other data that the model made are left out",
        "code": "code that the provider runs itself, and what came out, are left out",
        "grounding": "a text goes on without its sources",
        "safety ratings": "only the reason to finish tells of them",
        "stop sequences": "it does not tell that one ended the answer, so it has just ended",
    },
}
"""By the provider's surface."""

UNSAID: Final[Mapping[str, Mapping[str, str]]] = {
    "anthropic": {
        "blanks": "a text of nothing but blanks is left out",
        "refusal": "words of refusal are a text; that it is one, the reason to stop tells",
        "reasoning tokens": "they are counted as output and not apart",
    },
    "openai_chat": {
        "thinking": "it is left out",
        "blanks": "a text of nothing but blanks is left out",
        "order": "a whole answer has one text, before all calls",
        "context": "a full context window is called `length`",
        "stop sequence": "it is called `stop`, and which one it was is not told",
        "pause": "it is called `stop`",
    },
    "openai_responses": {
        "blanks": "a text of nothing but blanks is left out",
        "context": "a full context window is called `max_output_tokens`",
        "stop sequence": "the answer is complete, and which one it was is not told",
        "pause": "the answer is complete",
    },
    "gemini": {
        "blanks": "a text of nothing but blanks is left out",
        "refusal": "words of refusal are a text, and the answer ends with STOP",
        "context": "a full context window is called MAX_TOKENS",
        "stop sequence": "it is called STOP, and which one it was is not told",
        "pause": "it is called STOP",
        "cache writes": "tokens written to a cache are counted as input and not apart",
        "cut calls": "a call that the length cut off is left out",
        "fragments": "a call is told once all of its arguments have come",
    },
}
"""By the client's surface."""
