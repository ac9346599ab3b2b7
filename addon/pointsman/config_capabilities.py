"""The `capabilities` of a model, or of all models of a provider; catalogue.py explains the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pointsman.checks import Flag, Number, Rule, Text, Word
from pointsman.wire.openai.parameters import EFFORTS
from pointsman.yaml_nodes import Value

TOKENS: Final = Number(1, 1_000_000_000, whole=True)


@dataclass(frozen=True, slots=True)
class _Each:
    """A list whose items follow one rule."""

    rule: Rule


_WORDS: Final = _Each(Text(empty=False))
CAPABILITIES: Final[Mapping[str, Rule | _Each]] = MappingProxyType({
    # of every provider
    "images": Flag(), "documents": Flag(), "tools": Flag(), "prefill": Flag(),
    "thinking_default": Word(("on", "off")),
    "cache_min_tokens": TOKENS,
    "service_tier": _WORDS, "tool_types": _WORDS, "needs": _WORDS,
    # Anthropic's and OpenAI's
    "effort": _WORDS,
    # Anthropic's
    "system_role": Flag(), "effort_per_message": Flag(), "forced_tool": Flag(),
    "sampling": Word(("all", "one", "none")),
    "thinking": _WORDS, "effort_unthinking": _WORDS, "speed": _WORDS,
    # OpenAI's
    "chat": Flag(), "sampling_needs_effort_none": Flag(), "prompt_cache_options": Flag(),
    "chat_tools": Word(("always", "effort_absent", "effort_none", "never")),
    "effort_default": Word(EFFORTS),
    "max_tokens_name": Word(("max_tokens", "max_completion_tokens")),
    "rejects": _WORDS, "verbosity": _WORDS, "prompt_cache_retention": _WORDS,
    # Gemini's
    "thinking_level": _WORDS, "thinking_budget": _Each(TOKENS), "thinking_off": Flag(),
    "thought_signature": Word(("required", "optional")),
    "candidates": Number(1, 100, whole=True),
})  # fmt: skip
"""What a row may say about a model; catalogue.py explains the keys."""


def read_capabilities(value: Value, old: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section over what was known before. Raises ConfigError."""
    changed = dict(old)
    for key, item in value.fields(CAPABILITIES).items():
        rule = CAPABILITIES[key]
        if isinstance(rule, _Each):
            changed[key] = tuple(part.read(rule.rule) for part in item.items())
        else:
            changed[key] = None if item.is_null else item.read(rule)
    return MappingProxyType(changed)
