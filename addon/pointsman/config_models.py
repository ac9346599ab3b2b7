"""The `models` section of router.yaml: changes of rows, new rows; and what may name a model anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final

from pointsman.catalogue import UNSAID, Catalogue, usable
from pointsman.checks import Flag, Number, Rule, Text
from pointsman.config_capabilities import TOKENS, read_capabilities
from pointsman.config_providers import ORIGIN, read_extra
from pointsman.errors import ConfigError
from pointsman.values import EMPTY, Binding, Model, Prices, Provider
from pointsman.yaml_nodes import Value, suggestion

_PRICE: Final = Number(0, 100_000)
_PRICES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_FIELDS: Final[Mapping[str, Rule]] = MappingProxyType({
    "provider": Text(empty=False),
    "context_tokens": TOKENS,
    "max_output_tokens": TOKENS,
    "quality_tier": Number(1, 4, whole=True),
    "token_factor": Number(0.1, 10),
    "opt_in": Flag(),
    "target": Flag(),
})  # fmt: skip
_NULLABLE: Final = ("context_tokens", "max_output_tokens", "quality_tier")
_LISTS: Final = ("strengths", "aliases")
KEYS: Final = ("like", "prices", "capabilities", "bindings", *_LISTS, *_FIELDS)
BINDING_KEYS: Final = ("provider", "model", "prices", "context_tokens", "max_output_tokens", "extra")
_WORD: Final = Text(empty=False)


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
            changes[key] = read_capabilities(value, row.capabilities)
        elif key == "bindings":
            changes[key] = _bindings(value, name, catalogue)
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
        return replace(model, name=name, aliases=(), bindings=())
    if name in catalogue.rows:
        return catalogue.rows[name]
    if "provider" not in given and "bindings" in given:
        first = next((one for one in _bindings(given["bindings"], name, catalogue) if one.provider), None)
        if first is not None and first.provider is not None:
            maker = first.provider.models_of or first.provider.name
            return Model(name=name, provider=maker, capabilities=UNSAID)
    if "provider" not in given:
        family = catalogue.resolve(name)
        known = f" ({family.name} is)" if family else suggestion(name, tuple(catalogue.rows))
        problem = f"{name[:80]!r} is not in the catalogue{known}"
        section.fail(f"{problem}; a new row needs a provider, or like: MODEL")
    return Model(name=name, provider="", capabilities=UNSAID)


# --- names of models ----------------------------------------------------------------------


def known_model(value: Value, name: str, catalogue: Catalogue) -> Model:
    """What a name means: a row, or `PROVIDER/NAME`. Raises ConfigError for what is neither."""
    head, slash, there = name.strip().partition("/")
    known = name.strip().lower() in catalogue.other_names or head.lower() in catalogue.providers
    if slash and not known:
        hint = suggestion(head.lower(), catalogue.providers)
        value.fail(f"{name[:80]!r} begins with no provider's name{hint}")
    model = catalogue.reference(name) if there or not slash else None
    if model is None:
        value.fail(f"{name[:80]!r} is not in the catalogue{suggestion(name, tuple(catalogue.rows))}")
    return model


# --- bindings -----------------------------------------------------------------------------


def _bindings(value: Value, model: str, catalogue: Catalogue) -> tuple[Binding, ...]:
    """Where the model is had, in order. Raises ConfigError."""
    bindings: list[Binding] = []
    for item in value.items():
        binding = _binding(item, model, catalogue)
        if any((one.name, one.model) == (binding.name, binding.model) for one in bindings):
            item.fail(f"names {binding.name} with {binding.model[:80]} a second time")
        bindings.append(binding)
    if not bindings:
        value.fail("must name at least one provider, or origin; leave it out for what is usual")
    return tuple(bindings)


def _binding(item: Value, model: str, catalogue: Catalogue) -> Binding:
    """`origin`, `PROVIDER/NAME`, {PROVIDER: NAME}, or the long form with prices and limits of its own."""
    if item.is_scalar:
        head, slash, there = item.read(_WORD).strip().partition("/")
        if slash and not there:
            item.fail(f"must be PROVIDER/NAME, where NAME is what {head[:80]} calls the model")
        provider = _provider(item, head, catalogue)
        return Binding(provider, there or _own_name(provider, model))
    members = item.members()
    if "provider" not in members and len(members) == 1:
        ((name, there_value),) = members.items()
        if name not in BINDING_KEYS:
            provider = _provider(there_value, name, catalogue)
            return Binding(provider, there_value.read(_WORD).strip())
    fields = item.fields(BINDING_KEYS)
    if "provider" not in fields:
        item.fail("must say the provider, or origin")
    provider = _provider(fields["provider"], fields["provider"].read(_WORD), catalogue)
    row = catalogue.rows.get(model) or Model(model, "")
    limits = {
        key: fields[key].read(TOKENS) for key in ("context_tokens", "max_output_tokens") if key in fields
    }
    return Binding(
        provider=provider,
        model=fields["model"].read(_WORD).strip() if "model" in fields else _own_name(provider, model),
        prices=_prices(fields["prices"], row.prices) if "prices" in fields else None,
        extra=read_extra(fields["extra"]) if "extra" in fields else EMPTY,
        **limits,
    )


def _provider(value: Value, name: str, catalogue: Catalogue) -> Provider | None:
    name = name.strip().lower()
    if name == ORIGIN:
        return None
    if name not in catalogue.providers:
        known = {ORIGIN: None} | dict(catalogue.providers)
        value.fail(f"{name[:80]!r} is not a provider{suggestion(name, known)}")
    return catalogue.providers[name]


def _own_name(provider: Provider | None, model: str) -> str:
    return provider.names.get(model, model) if provider else model


# --- prices and capabilities --------------------------------------------------------------


def _prices(value: Value, old: Prices) -> Prices:
    """USD per million tokens; null is unknown. A price above a length does not survive a change of prices."""
    given = {
        key: None if price.is_null else price.read(_PRICE) for key, price in value.fields(_PRICES).items()
    }
    kept = {field.name: getattr(old, field.name) for field in fields(old) if field.name in _PRICES}
    return Prices(**(kept | given))
