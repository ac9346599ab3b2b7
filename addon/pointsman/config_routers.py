"""Virtual models: names that a client may ask for, each with a strategy that picks what serves.

The `routers` section of router.yaml, and the two that are shipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from pointsman.catalogue import Catalogue
from pointsman.checks import Text, Word
from pointsman.config_documents import SHIPPED, read_tiers, shipped_tiers
from pointsman.config_models import known_model
from pointsman.config_routes import RATIO, Route, read_field, say_what_is_missing
from pointsman.yaml_nodes import Value

CLUSTER: Final = "router-cluster"
STRATEGIES: Final = ("cluster", "fixed", "classified")
ROUTER_KEYS: Final = (
    "strategy", "candidates", "model", "document", "knobs", "min_quality_tier", "max_price_ratio", "against",
)  # fmt: skip
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,95}")


def read_routers(value: Value | None, catalogue: Catalogue) -> Mapping[str, Route]:
    """By name: what is shipped, changed and added to by the section. Raises ConfigError."""
    tiers = shipped_tiers(catalogue)
    routers = {
        SHIPPED: Route(
            SHIPPED, strategy="classified", virtual=True, document=tiers.document, tiers=tiers.models
        ),
        CLUSTER: Route(CLUSTER, virtual=True),
    }
    for name, section in value.members().items() if value else ():
        routers[name.lower()] = _router(name.lower(), section, catalogue)
    return MappingProxyType(routers)


def _router(name: str, section: Value, catalogue: Catalogue) -> Route:
    if not _NAME.fullmatch(name):
        section.fail("cannot be the name of a model: small letters, digits, and . _ : - between them")
    if catalogue.resolve(name) is not None:
        section.fail("is the name of a model already")
    fields = section.fields(ROUTER_KEYS)
    router = Route(name, strategy=_implied(fields), virtual=True)
    for key, field in fields.items():
        router = replace(router, **_router_field(key, field, catalogue))
    if ("max_price_ratio" in fields) != ("against" in fields):
        given = fields.get("max_price_ratio") or fields["against"]
        given.fail("max_price_ratio and against go together: so many times the price of which model?")
    say_what_is_missing(router, fields, section)
    return router


def _implied(fields: Mapping[str, Value]) -> str:
    """What a router does that does not say its strategy."""
    return "classified" if "document" in fields else "fixed" if "model" in fields else "cluster"


def _router_field(key: str, field: Value, catalogue: Catalogue) -> dict[str, Any]:
    match key:
        case "strategy":
            return {key: field.read(Word(STRATEGIES))}
        case "document":
            tiers = read_tiers(field, catalogue)
            return {key: tiers.document, "tiers": tiers.models}
        case "against":
            return {key: known_model(field, field.read(Text(empty=False)), catalogue)}
        case "max_price_ratio":
            return {key: field.read(RATIO)}
        case _:
            return read_field(key, field, catalogue)
