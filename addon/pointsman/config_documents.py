"""The document of a classified strategy: inside router.yaml, in a file of its own, or the shipped one.

scoring/tier_documents.py reads it; here its mistakes get their lines, and its tiers their models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pointsman import yaml_nodes
from pointsman.catalogue import DATA, HOME, Catalogue
from pointsman.checks import Text
from pointsman.config_models import known_model
from pointsman.errors import ConfigError
from pointsman.scoring.tier_documents import loads, parse
from pointsman.scoring.tiers import Document, Tier
from pointsman.values import Binding, Model
from pointsman.yaml_nodes import Value

SHIPPED: Final = "router-classified-3tier"


@dataclass(frozen=True, slots=True)
class Tiers:
    """A document, and the models of its tiers by their ids: what a tier asks for is on the bindings."""

    document: Document
    models: Mapping[str, Model]


def read_tiers(value: Value, catalogue: Catalogue) -> Tiers:
    """A document in the file, or the path of one. Raises ConfigError with the line of what is wrong."""
    if not value.is_scalar:
        value.members()
        return _tiers(_parsed(value.plain(), value), value, catalogue)
    name = value.read(Text(empty=False))
    if name == SHIPPED:
        return shipped_tiers(catalogue)
    path = Path(value.file).parent / Path(name).expanduser()
    if not path.is_file():
        value.fail(f"{name[:80]!r} is neither a file nor {SHIPPED}, which is shipped")
    return _tiers(*_from_file(path), catalogue)


def shipped_tiers(catalogue: Catalogue) -> Tiers:
    """The shipped one. Its models are had through a LiteLLM proxy, and else where they usually are."""
    document, place = _shipped()
    tiers = _tiers(document, place, catalogue)
    models = {
        id: replace(model, bindings=(*model.bindings, *_for_tier((HOME,), document.tier(id))))
        for id, model in tiers.models.items()
    }
    return Tiers(document, MappingProxyType(models))


@cache
def _shipped() -> tuple[Document, Value]:
    return _from_file(DATA / f"{SHIPPED}.json")


def _from_file(path: Path) -> tuple[Document, Value]:
    """The document, and the same file with lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise ConfigError(f"cannot be read: {why}", file=str(path)) from error
    given = loads(text, str(path))
    return _parsed(given, place := _place(path)), place


def _place(path: Path) -> Value:
    try:
        found = yaml_nodes.load(path)
    except ConfigError:  # JSON that is no YAML: without lines, then
        found = None
    return found or Value(yaml_nodes.NOTHING, "", str(path), 1)


def _parsed(given: object, place: Value) -> Document:
    try:
        return parse(given, key=place.key, file=place.file)
    except ConfigError as error:
        found = _find(place, error.key)
        line = error.line or (found.line if found else place.line)
        raise ConfigError(error.problem, file=error.file, line=line, key=error.key) from None


def _find(place: Value, key: str) -> Value | None:
    """The value that a dotted key leads to, or the last one on the way there. Keys may have dots in them."""
    best: Value | None = None
    for value in _ways(place, key.removeprefix(place.key).removeprefix(".")):
        if best is None or len(value.key) > len(best.key):
            best = value
    return best


def _ways(value: Value, rest: str) -> Iterator[Value]:
    yield value
    if not value.is_mapping:
        return
    for name, member in value.members().items():
        if rest == name or rest.startswith(f"{name}."):
            yield from _ways(member, rest[len(name) + 1 :])
        elif name == "llm_config":  # keys are said without it
            yield from _ways(member, rest)


def _tiers(document: Document, place: Value, catalogue: Catalogue) -> Tiers:
    models: dict[str, Model] = {}
    for tier in document.tiers:
        key = f"tiers.{tier.id}.model"
        found = _find(place, f"{place.key}.{key}" if place.key else key) or place
        where = replace(found, key=f"{place.key}.{key}" if place.key else key)
        model = known_model(where, tier.model, catalogue)
        models[tier.id] = replace(model, bindings=_for_tier(model.bindings or (HOME,), tier))
    return Tiers(document, MappingProxyType(models))


def _for_tier(bindings: tuple[Binding, ...], tier: Tier) -> tuple[Binding, ...]:
    return tuple(
        replace(binding, parameters=tier.parameters, extra=_with(binding.extra, tier.extra))
        for binding in bindings
    )


def _with(extra: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType({**extra, **more}) if more else extra
