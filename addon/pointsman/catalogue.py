"""The models that Pointsman knows: prices, limits, what each can take, and how good it is held to be.

Two files ship with the package. `data/models.json` holds figures from a public price table and is written by
scripts/refresh-catalogue only. `data/overrides.yaml` adds what that table lacks, every cell with its source.
router.yaml may change or add rows (see config.py). Unknown is None, never zero.

Capabilities, each read by the rules of the surfaces that it is for. Of every provider:

    images, documents, tools   whether the model takes them
    prefill            whether the last message may be the assistant's
    thinking_default   what leaving out all about thinking amounts to: "on" or "off"; None if unknown
    service_tier, tool_types   values that it accepts
    needs              what of `Facts.needs` it has
    cache_min_tokens   the shortest prefix that its prompt cache keeps

Anthropic's:

    thinking           words that `thinking.type` may be
    effort             values of `output_config.effort`, weakest first; empty: the parameter is refused
    effort_unthinking  the same while thinking is off, where that is less
    sampling           "all", "one" (temperature or top_p, not both), "none"
    system_role        whether messages may have the role `system`
    effort_per_message whether such a message may set the effort of the turns after it
    forced_tool        whether `tool_choice` may demand a tool
    speed              values that it accepts

OpenAI's:

    effort             values of the reasoning effort, weakest first; empty: it does not reason
    effort_default     the effort that leaving it out amounts to
    sampling_needs_effort_none   temperature and its like only with effort none
    chat               False: served over Responses only
    chat_tools         tools over Chat Completions: "always", with "effort_none" or "effort_absent", "never"
    max_tokens_name    what the limit of the answer is called over Chat Completions
    rejects            parameters of Chat Completions that it refuses
    verbosity, prompt_cache_retention   values that it accepts
    prompt_cache_options   whether it takes them

Gemini's:

    thinking_level     values of `thinkingLevel`, weakest first; empty: it has budgets
    thinking_budget    the least and the most of `thinkingBudget`
    thinking_off       whether a budget of 0 stops its thinking
    thought_signature  whether calls of the current turn must carry one: "required" or "optional"
    candidates         the most that `candidateCount` may be
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from pointsman.errors import ConfigError
from pointsman.values import EMPTY, Binding, Model, Prices, Provider, Usage

DATA: Final = Path(__file__).resolve().parent / "data"

# Endings that name a version of a family: -20251001, @20250929, -2025-08-07, -latest, [1m].
_ENDING: Final = re.compile(r"(?:[-@:](?:20\d{6}|20\d\d-\d\d-\d\d|latest|default)|\[\w+\])$")
HOME: Final = Binding(None, "")
"""In a model's bindings: wherever it is had by default. See reach.py."""
# What a provider may call a model: some APIs have it in the path of a request.
_LEGAL: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9._:/@+~,=-]{0,199}")
UNSAID: Final = MappingProxyType({"tools": True})  # what is taken for granted of a model nothing is known of
_FLAGS: Final = ("images", "tools", "reasoning", "prompt_cache")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All rows by name, and all other names that resolve to one of them."""

    rows: Mapping[str, Model]
    other_names: Mapping[str, str]
    providers: Mapping[str, Provider] = field(default_factory=lambda: EMPTY)  # by name, with a key or without

    @classmethod
    def load(cls) -> Catalogue:
        """The shipped catalogue. Raises ConfigError when a data file cannot be read."""
        return _shipped()

    @classmethod
    def of(cls, models: Iterable[Model], providers: Mapping[str, Provider] = EMPTY) -> Catalogue:
        """Raises ConfigError when two models claim one name."""
        rows = {model.name: model for model in models}
        other: dict[str, str] = {}
        for model in rows.values():
            for alias in model.aliases:
                taken = alias.lower() in rows or other.setdefault(alias.lower(), model.name) != model.name
                if taken:
                    raise ConfigError(f"the name {alias!r} of {model.name} belongs to another model")
        return cls(MappingProxyType(dict(sorted(rows.items()))), MappingProxyType(other), providers)

    @property
    def models(self) -> tuple[Model, ...]:
        """Every row, by name."""
        return tuple(self.rows.values())

    def provider(self, name: str) -> tuple[Model, ...]:
        """The rows of one provider, by name; empty for an unknown one."""
        return tuple(model for model in self.rows.values() if model.provider == name)

    def resolve(self, name: str) -> Model | None:
        """The row that a client's name for a model means; None for an unknown one.

        Exact names and aliases first, then without provider prefix, date, `-latest` and `[1m]`.
        """
        return next((row for spelling in spellings(name) if (row := self._exact(spelling))), None)

    def matching(self, pattern: str) -> tuple[Model, ...]:
        """The rows that a glob matches by name, or the one that a plain name resolves to."""
        if not any(sign in pattern for sign in "*?["):
            row = self.resolve(pattern)
            return () if row is None else (row,)
        return tuple(row for row in self.rows.values() if fnmatchcase(row.name, pattern.lower()))

    def with_rows(self, rows: Iterable[Model]) -> Catalogue:
        """A copy in which `rows` replace or join those of the same name. Raises ConfigError."""
        return Catalogue.of((dict(self.rows) | {row.name: row for row in rows}).values(), self.providers)

    def with_providers(self, providers: Mapping[str, Provider]) -> Catalogue:
        """A copy that knows these providers."""
        return replace(self, providers=MappingProxyType(dict(providers)))

    def reference(self, name: str) -> Model | None:
        """What a name in the configuration means: `PROVIDER/NAME` is the model that is called NAME there.

        It is the catalogue's row if NAME is one's, to be had at that provider alone; else a model of which
        nothing is known. Any other name is a row's, or None.
        """
        head, slash, there = name.strip().partition("/")
        provider = self.providers.get(head.lower())
        if not slash or not there or provider is None:
            return self.resolve(name)
        if not _LEGAL.fullmatch(there) or ".." in there:
            return None
        # OpenRouter calls claude-haiku-4-5 anthropic/claude-haiku-4.5.
        row = self.resolve(there) or self.resolve(there.replace(".", "-"))
        if row is None:
            unknown = Model(f"{provider.name}/{there}", provider.models_of or provider.name)
            return replace(unknown, capabilities=UNSAID, bindings=(Binding(provider, there),), target=False)
        known = provider.names.get(there.lower(), there)
        return replace(row, bindings=(Binding(provider, known),))

    def _exact(self, name: str) -> Model | None:
        return self.rows.get(name) or self.rows.get(self.other_names.get(name, ""))


def merged(models: Iterable[Model]) -> dict[str, Model]:
    """Models by name, in the order in which they are named; one that is named more than once has all the

    bindings that it was named with, in order.
    """
    found: dict[str, Model] = {}
    for model in models:
        known = found.get(model.name)
        if known is not None:
            bindings = (*(known.bindings or (HOME,)), *(model.bindings or (HOME,)))
            model = replace(known, bindings=tuple(_once(bindings)))
        found[model.name] = model
    return found


def _once(bindings: Iterable[Binding]) -> list[Binding]:
    kept: list[Binding] = []
    for binding in bindings:
        if binding not in kept:
            kept.append(binding)
    return kept


def spellings(name: str) -> Iterator[str]:
    """A name and what is left of it without provider prefix, date, `-latest` and `[1m]`, longest first."""
    name = name.strip().lower()
    while True:
        yield name
        if "/" in name:
            yield name.rpartition("/")[2]
        shorter = _ENDING.sub("", name)
        if shorter == name:
            return
        name = shorter


# --- cost ---------------------------------------------------------------------------------


def cost_usd(usage: Usage, model: Model) -> float | None:
    """What an answer cost; None when a count or a price that it needs is unknown.

    Cache counts that the provider does not report count as none used; the plain ones are needed. What is
    written to a cache is paid as input where it has no price of its own. A prompt above
    `prices.above_tokens` (cached tokens included) is priced at `prices.above` throughout.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, write, write_1h = (
        usage.cache_read_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.cache_write_1h_tokens or 0,
    )
    prices = prices_for(model, usage.input_tokens + read + write + write_1h)
    parts = (
        (usage.input_tokens, prices.input),
        (usage.output_tokens, prices.output),
        (read, prices.cache_read),
        (write, _first(prices.cache_write, prices.input)),
        (write_1h, _first(prices.cache_write_1h, prices.cache_write, prices.input)),
    )
    total = 0.0
    for tokens, price in parts:
        if tokens and price is None:
            return None
        total += tokens * (price or 0.0)
    return total / 1e6


def _first(*prices: float | None) -> float | None:
    return next((price for price in prices if price is not None), None)


def prices_for(model: Model, prompt_tokens: int) -> Prices:
    """The prices that hold for a prompt of this length."""
    prices = model.prices
    if prices.above is None or prices.above_tokens is None or prompt_tokens <= prices.above_tokens:
        return prices
    return prices.above


# --- the shipped files --------------------------------------------------------------------


@cache
def _shipped() -> Catalogue:
    figures = _read(DATA / "models.json", json.loads)["models"]
    overrides = _read(DATA / "overrides.yaml", _load_yaml)
    cells: dict[str, dict[str, Any]] = {name: _from_figures(row) for name, row in figures.items()}
    for group in overrides["groups"]:
        for name in _members(group, cells):
            _apply(cells.setdefault(name, {"capabilities": {}}), group)
    return Catalogue.of(row_from(name, row) for name, row in cells.items())


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"the shipped catalogue cannot be read: {error}", file=str(path)) from error


def _load_yaml(text: str) -> Any:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where libyaml is built in
    return yaml.load(text, Loader=loader)  # noqa: S506


def _members(group: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Names that the group's globs match, and those that it names outright, known or new."""
    wanted, unwanted = group["for"], group.get("except", [])
    names = [name for name in known if any(fnmatchcase(name, glob) for glob in wanted)]
    names += [name for name in wanted if name not in names and not any(sign in name for sign in "*?[")]
    return [name for name in names if not any(fnmatchcase(name, glob) for glob in unwanted)]


def _from_figures(row: Mapping[str, Any]) -> dict[str, Any]:
    capabilities = {flag: row[flag] for flag in _FLAGS} | {"cache_min_tokens": row["cache_min_tokens"]}
    cells = {f"prices.{name}": value for name, value in row["prices"].items()}
    cells |= {key: row[key] for key in ("provider", "context_tokens", "max_output_tokens")}
    key = row["litellm_key"]
    return cells | {"capabilities": capabilities, "aliases": [key] if "/" in key else []}


def _apply(cells: dict[str, Any], group: Mapping[str, Any]) -> None:
    for key, cell in group.items():
        if key == "capabilities":
            cells["capabilities"] |= {name: value["is"] for name, value in cell.items()}
        elif key == "aliases":
            cells["aliases"] = [*cells.get("aliases", []), *cell["is"]]
        elif key not in ("for", "except"):
            cells[key] = cell["is"]


def row_from(name: str, cells: Mapping[str, Any]) -> Model:
    """One row from flat cells (`prices.input`, `quality_tier`, …); lists become tuples."""
    prices = {key.removeprefix("prices."): value for key, value in cells.items() if key.startswith("prices.")}
    if prices.get("above"):
        prices["above"] = Prices(**prices["above"])
    rest = {key: frozen(value) for key, value in cells.items() if not key.startswith("prices.")}
    rest.setdefault("provider", "")
    row = Model(name=name, **rest, prices=Prices(**prices))
    return replace(row, target=row.target and usable(row))


def usable(row: Model) -> bool:
    """Only what is priced, bounded and rated may be picked: a missing price would look like a bargain."""
    needed = (row.prices.input, row.prices.output, row.context_tokens, row.quality_tier)
    return None not in needed


def frozen(value: Any) -> Any:
    """What YAML or JSON was read into, so that nobody can change it: tuples for lists, read-only mappings."""
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    return value
