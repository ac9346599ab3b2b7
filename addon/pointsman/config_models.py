"""The `models` section of router.yaml: changes of catalogue rows, and new rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final

from pointsman.catalogue import Catalogue, usable
from pointsman.checks import Flag, Number, Rule, Text, Word
from pointsman.errors import ConfigError
from pointsman.values import Model, Prices
from pointsman.wire.openai.parameters import EFFORTS
from pointsman.yaml_nodes import Value, suggestion

_PRICE: Final = Number(0, 100_000)
_UNSAID: Final = MappingProxyType({"tools": True})  # what a new row starts with
_TOKENS: Final = Number(1, 1_000_000_000, whole=True)
_PRICES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_FIELDS: Final[Mapping[str, Rule]] = MappingProxyType({
    "provider": Text(empty=False),
    "context_tokens": _TOKENS,
    "max_output_tokens": _TOKENS,
    "quality_tier": Number(1, 4, whole=True),
    "token_factor": Number(0.1, 10),
    "opt_in": Flag(),
    "target": Flag(),
})  # fmt: skip
_NULLABLE: Final = ("context_tokens", "max_output_tokens", "quality_tier")
_LISTS: Final = ("strengths", "aliases")
KEYS: Final = ("like", "prices", "capabilities", *_LISTS, *_FIELDS)
_WORD: Final = Text(empty=False)


@dataclass(frozen=True, slots=True)
class _Each:
    """A list whose items follow one rule."""

    rule: Rule


_WORDS: Final = _Each(_WORD)
CAPABILITIES: Final[Mapping[str, Rule | _Each]] = MappingProxyType({
    # of every provider
    "images": Flag(), "documents": Flag(), "tools": Flag(), "prefill": Flag(),
    "thinking_default": Word(("on", "off")),
    "cache_min_tokens": _TOKENS,
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
    "thinking_level": _WORDS, "thinking_budget": _Each(_TOKENS), "thinking_off": Flag(),
    "thought_signature": Word(("required", "optional")),
    "candidates": Number(1, 100, whole=True),
})  # fmt: skip
"""What a row may say about a model; catalogue.py explains the keys."""


def read_models(value: Value, catalogue: Catalogue) -> Catalogue:
    """The catalogue with the section's rows. Raises ConfigError."""
    for name, section in value.members().items():
        row = _row(name.strip().lower(), section, catalogue)
        try:
            catalogue = catalogue.with_rows([row])
        except ConfigError as error:
            section.fail(str(error))
    return catalogue


def _row(name: str, section: Value, catalogue: Catalogue) -> Model:
    given = section.fields(KEYS)
    row = _base(name, section, given, catalogue)
    changes: dict[str, Any] = {}
    for key, value in given.items():
        if key == "prices":
            changes[key] = _prices(value, row.prices)
        elif key == "capabilities":
            changes[key] = _capabilities(value, row.capabilities)
        elif key in _LISTS:
            changes[key] = tuple(item.read(_WORD) for item in value.items())
        elif key in _FIELDS:
            changes[key] = None if value.is_null and key in _NULLABLE else value.read(_FIELDS[key])
    row = replace(row, **changes)
    wanted = changes.get("target", row.target or name not in catalogue.rows)
    return replace(row, target=wanted and usable(row))


def _base(name: str, section: Value, given: Mapping[str, Value], catalogue: Catalogue) -> Model:
    """The row to start from: the shipped one, that of `like`, or an empty one."""
    if "like" in given:
        wanted = given["like"].read(_WORD)
        model = catalogue.resolve(wanted)
        if model is None:
            given["like"].fail(
                f"{wanted[:80]!r} is not in the catalogue{suggestion(wanted, tuple(catalogue.rows))}"
            )
        return replace(model, name=name, aliases=())
    if name in catalogue.rows:
        return catalogue.rows[name]
    if "provider" not in given:
        family = catalogue.resolve(name)
        known = f" ({family.name} is)" if family else suggestion(name, tuple(catalogue.rows))
        problem = f"{name[:80]!r} is not in the catalogue{known}"
        section.fail(f"{problem}; a new row needs a provider, or like: MODEL")
    return Model(name=name, provider="", capabilities=_UNSAID)


def _prices(value: Value, old: Prices) -> Prices:
    """USD per million tokens; null is unknown. A price above a length does not survive a change of prices."""
    given = {
        key: None if price.is_null else price.read(_PRICE) for key, price in value.fields(_PRICES).items()
    }
    kept = {field.name: getattr(old, field.name) for field in fields(old) if field.name in _PRICES}
    return Prices(**(kept | given))


def _capabilities(value: Value, old: Mapping[str, Any]) -> Mapping[str, Any]:
    changed = dict(old)
    for key, item in value.fields(CAPABILITIES).items():
        rule = CAPABILITIES[key]
        if isinstance(rule, _Each):
            changed[key] = tuple(part.read(rule.rule) for part in item.items())
        else:
            changed[key] = None if item.is_null else item.read(rule)
    return MappingProxyType(changed)
