"""Routes of router.yaml: which actions, and how their model is picked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pointsman.catalogue import Catalogue, merged, spellings
from pointsman.checks import Flag, Number, Rule, Text, Word, listed
from pointsman.config_documents import read_tiers
from pointsman.config_models import known_model
from pointsman.scoring.knobs import (
    MAX_EXPECTED_OUTPUT_TOKENS,
    MAX_OUTPUT_COST_RATIO,
    NOTHING,
    SUM_SLACK,
    Overrides,
)
from pointsman.scoring.tiers import Document
from pointsman.surface import surfaces
from pointsman.values import EMPTY, Facts, Model, TurnKind
from pointsman.yaml_nodes import Value, suggestion

STRATEGIES: Final = ("cluster", "fixed", "classified", "passthrough")
_WORKING: Final = frozenset({TurnKind.MAIN, TurnKind.SUBAGENT})
_BACKGROUND: Final = frozenset(TurnKind) - _WORKING
TURNS: Final[Mapping[str, frozenset[TurnKind]]] = MappingProxyType(
    {str(kind): frozenset({kind}) for kind in TurnKind}
    | {"background": _BACKGROUND, "any": frozenset(TurnKind)}
)
KNOBS: Final[Mapping[str, Rule]] = MappingProxyType({
    "alpha": Number(0, 1),
    "speed_weight": Number(0, 1),
    "output_cost_ratio": Number(0, MAX_OUTPUT_COST_RATIO),
    "expected_output_tokens": Number(0, MAX_EXPECTED_OUTPUT_TOKENS, whole=True),
    "per_model_verbosity": Flag(),
    "quality_bias": Number(0, 1),
})  # fmt: skip
TIER: Final = Number(1, 4, whole=True)
RATIO: Final = Number(0, 1000)
ROUTE_KEYS: Final = (
    "name", "surface", "requested", "turn", "strategy", "candidates", "model",
    "document", "knobs", "max_price_ratio", "min_quality_tier",
)  # fmt: skip
# Which strategies a key says something to.
_FOR: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "candidates": ("cluster",),
    "knobs": ("cluster",),
    "model": ("fixed",),
    "document": ("classified",),
    "max_price_ratio": ("cluster", "classified"),
    "min_quality_tier": ("cluster", "classified"),
})  # fmt: skip
_NEEDS: Final = MappingProxyType({"fixed": "model", "classified": "document"})


@dataclass(frozen=True, slots=True)
class Route:
    """Which actions it is for, and how their model is picked. The first route that matches counts.

    A `virtual` one is a name that clients ask for as their model, and takes all that ask for it.
    """

    name: str
    surface: str = "*"
    requested: str = "*"  # glob over the requested model, also without its date
    turns: frozenset[TurnKind] = _WORKING
    names_turn: bool = False  # whether the file says `turn`: only then does a route take background turns
    strategy: str = "cluster"
    candidates: tuple[str, ...] | None = None  # names in the catalogue; None: the default policy's
    model: str = ""  # strategy fixed: the model to serve, as written
    knobs: Overrides = NOTHING
    max_price_ratio: float | None = None
    min_quality_tier: int | None = None
    models: Mapping[str, Model] = dataclasses.field(default_factory=lambda: EMPTY, compare=False)
    """What it names, by the name of the row; bindings are those that it says, if it does."""
    virtual: bool = False
    document: Document | None = None  # strategy classified
    tiers: Mapping[str, Model] = dataclasses.field(default_factory=lambda: EMPTY, compare=False)
    """The models of the document's tiers, by the tiers' ids; what a tier asks for is on the bindings."""
    against: Model | None = None  # whose price the ratio is of; None: the requested model's

    def matches(self, facts: Facts) -> bool:
        names = spellings(facts.requested_model)
        return (
            facts.turn in self.turns
            and fnmatchcase(facts.surface, self.surface)
            and any(fnmatchcase(name, self.requested.lower()) for name in names)
        )

    @property
    def allows(self) -> Callable[[str], bool] | None:
        """Whether a model is among the candidates; None where the route does not name any."""
        return None if self.candidates is None else self.candidates.__contains__

    def shadows(self, later: Route) -> bool:
        """Whether nothing that `later` matches can reach it past this route."""
        return (
            self.turns >= later.turns
            and self.surface in ("*", later.surface)
            and self.requested in ("*", later.requested)
        )


def read_routes(value: Value, catalogue: Catalogue) -> tuple[Route, ...]:
    routes: dict[str, Route] = {}
    for number, item in enumerate(value.items(), 1):
        route = _route(item, f"route {number}", catalogue)
        if route.name in routes:
            item.fail(f"there is a route named {route.name!r} already")
        routes[route.name] = route
    return tuple(routes.values())


def _route(value: Value, name: str, catalogue: Catalogue) -> Route:
    fields = value.fields(ROUTE_KEYS)
    if "strategy" not in fields and "model" in fields:
        fields["model"].fail("is for strategy fixed; the glob over requested models is called requested")
    route = Route(name)
    for key, field in fields.items():
        route = replace(route, **read_field(key, field, catalogue))
    say_what_is_missing(route, fields, value)
    return route


def say_what_is_missing(route: Route, fields: Mapping[str, Value], value: Value) -> None:
    """Raises ConfigError where what is said does not go with the strategy, or too little is said for it."""
    needed = _NEEDS.get(route.strategy)
    if needed and needed not in fields:
        what = "a model to serve" if needed == "model" else "a document with its tiers"
        fields.get("strategy", value).fail(f"needs {what}")
    for key, strategies in _FOR.items():
        if key in fields and route.strategy not in strategies:
            fields[key].fail(f"only goes with strategy {listed(strategies)}, not {route.strategy}")


def read_field(key: str, field: Value, catalogue: Catalogue) -> dict[str, Any]:
    match key:
        case "name":
            return {key: field.read(Text(empty=False))}
        case "surface":
            return {key: _glob(field, surfaces(), "surface")}
        case "requested":
            return {key: _glob(field, {**catalogue.rows, **catalogue.other_names}, "model")}
        case "turn":
            turns = [TURNS[item.read(Word(tuple(TURNS)))] for item in field.items()]
            return {"turns": frozenset[TurnKind]().union(*turns), "names_turn": True}
        case "strategy":
            return {key: field.read(Word(STRATEGIES))}
        case "candidates":
            models = _candidates(field, catalogue)
            return {key: tuple(models), "models": models}
        case "model":
            name = field.read(Text(empty=False))
            return {key: name, "models": merged([known_model(field, name, catalogue)])}
        case "document":
            tiers = read_tiers(field, catalogue)
            return {key: tiers.document, "tiers": tiers.models}
        case "knobs":
            return {key: _knobs(field)}
        case "max_price_ratio":
            return {key: field.read(RATIO)}
        case _:
            return {key: field.read(TIER)}


def _glob(value: Value, known: Mapping[str, Any], what: str) -> str:
    pattern: str = value.read(Text(empty=False))
    if pattern.count("[") != pattern.count("]"):
        value.fail(f"has an open bracket: {pattern[:80]!r}; [ and ] enclose a set of characters")
    if not any(fnmatchcase(spelling, pattern.lower()) for name in known for spelling in spellings(name)):
        value.fail(f"matches no known {what}: {pattern[:80]!r}{suggestion(pattern, tuple(known))}")
    return pattern


def _candidates(value: Value, catalogue: Catalogue) -> Mapping[str, Model]:
    """Models by name. A glob takes what may be a target; an exact name also what is opt-in."""
    models: list[Model] = []
    for item in value.items():
        pattern = item.read(Text(empty=False))
        if any(sign in pattern for sign in "*?["):
            _glob(item, catalogue.rows, "model")
            fitting = [row for row in catalogue.matching(pattern) if row.target and not row.opt_in]
        else:
            row = known_model(item, pattern, catalogue)
            fitting = [row] if row.target else []
        if not fitting:
            item.fail(
                f"{pattern[:80]!r} cannot be picked: a candidate needs prices, a context size and a tier, "
                "and must not be retired; a row under models can say so"
            )
        models += fitting
    if not models:
        value.fail("must name at least one model")
    return merged(models)


def _knobs(value: Value) -> Overrides:
    fields = value.fields(KNOBS)
    knobs = Overrides(**{key: field.read(KNOBS[key]) for key, field in fields.items()})
    if (knobs.alpha or 0.0) + (knobs.speed_weight or 0.0) > 1 + SUM_SLACK:
        value.fail("alpha and speed_weight must not exceed 1 together")
    if knobs.alpha is not None and knobs.quality_bias is not None:
        value.fail("alpha and quality_bias both say what quality weighs; keep one of them")
    return knobs


def shadowed(routes: Sequence[Route], path: Path | None) -> tuple[str, ...]:
    warnings = []
    for index, route in enumerate(routes):
        earlier = next((other for other in routes[:index] if other.shadows(route)), None)
        if earlier:
            warnings.append(f"{path}: {route.name} never applies, since {earlier.name} takes all of it")
    return tuple(warnings)
