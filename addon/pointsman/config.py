"""router.yaml: which hosts, which routes, which models, and settings that options can override.

Every mistake is one ConfigError with file, line and key. docs/configuration.md explains each key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pointsman import yaml_nodes
from pointsman.catalogue import Catalogue, spellings
from pointsman.checks import Flag, Number, Places, Rule, Text, Word
from pointsman.config_models import read_models
from pointsman.errors import ConfigError
from pointsman.scoring.knobs import (
    MAX_EXPECTED_OUTPUT_TOKENS,
    MAX_OUTPUT_COST_RATIO,
    NOTHING,
    SUM_SLACK,
    Overrides,
)
from pointsman.surface import surfaces
from pointsman.values import Facts, TurnKind
from pointsman.yaml_nodes import Value, suggestion

STRATEGIES: Final = ("cluster", "fixed", "passthrough")
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
    "knobs", "max_price_ratio", "min_quality_tier",
)  # fmt: skip
_ONLY_CLUSTER: Final = ("candidates", "knobs", "max_price_ratio", "min_quality_tier")


@dataclass(frozen=True, slots=True)
class Route:
    """Which actions it is for, and how their model is picked. The first route that matches counts."""

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


@dataclass(frozen=True, slots=True)
class File:
    """What router.yaml says. `values` has only the settings that it gives."""

    values: Mapping[str, Any]
    hosts: Mapping[str, tuple[str, ...]]
    routes: tuple[Route, ...]
    catalogue: Catalogue
    warnings: tuple[str, ...] = ()


def read(path: Path | None, scalars: Mapping[str, Rule], catalogue: Catalogue) -> File:
    """router.yaml over the shipped catalogue; empty where there is no file. Raises ConfigError.

    `scalars` are the settings that are also options, with their rules.
    """
    document = yaml_nodes.load(path) if path else None
    if document is None:
        return File({}, {}, (), catalogue)
    fields = document.fields((*scalars, "hosts", "routes", "models"))
    models = fields.get("models")
    if models:
        catalogue = read_models(models, catalogue)
    routes = _routes(fields["routes"], catalogue) if "routes" in fields else ()
    return File(
        values={name: _setting(value, scalars[name]) for name, value in fields.items() if name in scalars},
        hosts=_hosts(fields["hosts"]) if "hosts" in fields else {},
        routes=routes,
        catalogue=catalogue,
        warnings=_shadowed(routes, path),
    )


def _setting(value: Value, rule: Rule) -> Any:
    """Paths are relative to the file, not to wherever the proxy was started."""
    if isinstance(rule, Places):
        return tuple(_beside(value, name) for item in value.items() for name in item.read(rule))
    setting = value.read(rule)
    return _beside(value, setting) if value.key in ("db", "bundle") else setting


def _beside(value: Value, name: str) -> str:
    is_path = os.sep in name or (name and value.key == "db")
    return str(Path(value.file).parent / Path(name).expanduser()) if is_path else name


# --- hosts --------------------------------------------------------------------------------


def _hosts(value: Value) -> dict[str, tuple[str, ...]]:
    hosts: dict[str, tuple[str, ...]] = {}
    for surface, entries in value.fields(surfaces()).items():
        for entry in entries.items():
            name = entry.read(Text(empty=False))
            if problem := host_problem(name):
                entry.fail(problem)
            hosts[surface] = (*hosts.get(surface, ()), name.lower())
    return hosts


def host_problem(name: str) -> str:
    """What is wrong with a host, with or without a port; "" if nothing."""
    host, colon, port = name.partition(":")
    labels = host.rstrip(".").split(".")
    legal = all(label and label.replace("-", "a").isalnum() and label.isascii() for label in labels)
    if not legal or len(host) > 253 or port.startswith("//"):
        return f"must be a host name like api.example.com or api.example.com:8443, not {name[:80]!r}"
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        return f"must have a port between 1 and 65535 after the colon, not {port[:20]!r}"
    return ""


def given_hosts(entries: Sequence[str], key: str) -> dict[str, tuple[str, ...]]:
    """Entries of the form surface=host, as the option has them. Raises ConfigError."""
    hosts: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        surface, equals, host = (part.strip() for part in entry.partition("="))
        if not equals:
            problem = f"must be surface=host, for example anthropic=llm.example.com, not {entry[:80]!r}"
            raise ConfigError(problem, key=key)
        if surface not in surfaces():
            raise ConfigError(f"{surface!r} is not a known surface{suggestion(surface, surfaces())}", key=key)
        if problem := host_problem(host):
            raise ConfigError(problem, key=key)
        hosts[surface] = (*hosts.get(surface, ()), host.lower())
    return hosts


def all_hosts(*added: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """(host, port) of each surface: the provider's own first, then what was added, without repeats."""
    merged: dict[str, tuple[tuple[str, int], ...]] = {}
    for name, surface in surfaces().items():
        names = [*surface.HOSTS, *(host for hosts in added for host in hosts.get(name, ()))]
        merged[name] = tuple(dict.fromkeys(_host_and_port(host) for host in names))
    return MappingProxyType(merged)


def _host_and_port(name: str) -> tuple[str, int]:
    host, _, port = name.partition(":")
    return host.rstrip("."), int(port or 443)


# --- routes -------------------------------------------------------------------------------


def _routes(value: Value, catalogue: Catalogue) -> tuple[Route, ...]:
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
        route = replace(route, **_route_field(key, field, catalogue))
    if (route.strategy == "fixed") != ("model" in fields):
        fields["strategy"].fail(
            "needs a model to serve" if route.strategy == "fixed" else "takes no model, but candidates"
        )
    served = catalogue.resolve(route.model) if route.model else None
    asked = {row.provider for row in catalogue.matching(route.requested)}
    if served and asked and served.provider not in asked:
        fields["model"].fail(
            f"{served.name} is of {served.provider}, and {route.requested} of {', '.join(sorted(asked))}: "
            "a request is served by its own provider"
        )
    for key in _ONLY_CLUSTER:
        if key in fields and route.strategy != "cluster":
            fields[key].fail(f"only goes with strategy cluster, not {route.strategy}")
    return route


def _route_field(key: str, field: Value, catalogue: Catalogue) -> dict[str, Any]:
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
            return {key: _candidates(field, catalogue)}
        case "model":
            return {key: _known_model(field, field.read(Text(empty=False)), catalogue)}
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


def _candidates(value: Value, catalogue: Catalogue) -> tuple[str, ...]:
    """Names of the catalogue. A glob takes what may be a target; an exact name also what is opt-in."""
    names: dict[str, None] = {}
    for item in value.items():
        pattern = item.read(Text(empty=False))
        if any(sign in pattern for sign in "*?["):
            _glob(item, catalogue.rows, "model")
            fitting = [row.name for row in catalogue.matching(pattern) if row.target and not row.opt_in]
        else:
            _known_model(item, pattern, catalogue)
            fitting = [row.name for row in catalogue.matching(pattern) if row.target]
        if not fitting:
            item.fail(
                f"{pattern[:80]!r} cannot be picked: a candidate needs prices, a context size and a tier, "
                "and must not be retired; a row under models can say so"
            )
        names |= dict.fromkeys(fitting)
    if not names:
        value.fail("must name at least one model")
    return tuple(names)


def _known_model(value: Value, name: str, catalogue: Catalogue) -> str:
    if catalogue.resolve(name) is None:
        value.fail(f"{name[:80]!r} is not in the catalogue{suggestion(name, tuple(catalogue.rows))}")
    return name


def _knobs(value: Value) -> Overrides:
    fields = value.fields(KNOBS)
    knobs = Overrides(**{key: field.read(KNOBS[key]) for key, field in fields.items()})
    if (knobs.alpha or 0.0) + (knobs.speed_weight or 0.0) > 1 + SUM_SLACK:
        value.fail("alpha and speed_weight must not exceed 1 together")
    if knobs.alpha is not None and knobs.quality_bias is not None:
        value.fail("alpha and quality_bias both say what quality weighs; keep one of them")
    return knobs


def _shadowed(routes: Sequence[Route], path: Path | None) -> tuple[str, ...]:
    warnings = []
    for index, route in enumerate(routes):
        earlier = next((other for other in routes[:index] if other.shadows(route)), None)
        if earlier:
            warnings.append(f"{path}: {route.name} never applies, since {earlier.name} takes all of it")
    return tuple(warnings)


# --- changes on disk ----------------------------------------------------------------------


def stamp(path: Path | None) -> str:
    """Changes whenever the file does: one `stat`, no reading. "" where there is no file."""
    if path is None:
        return ""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_mtime_ns}.{status.st_size}.{status.st_ino}"
