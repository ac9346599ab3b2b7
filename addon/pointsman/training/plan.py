"""What to train from: sources, evidence, models and the numbers of the recipe, as one YAML document.

roster.yaml is that of the default bundle. For other data a plan is made from what the files say: see `made`.
Whatever a document leaves out has the value of `Plan`'s field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from pointsman.errors import DataError
from pointsman.training.data import Data

SHIPPED: Final = Path(__file__).with_name("roster.yaml")
PER_CLUSTER: Final = (
    100  # train prompts that a cluster should have where the plan does not say how many there are
)
MOST_CLUSTERS: Final = 64

OWN: Final = "own"
NONE: Final = "none"

_UI_DEFAULTS: Final = {
    "quality": {"alpha": 0.9, "speed_weight": 0.0, "output_cost_ratio": 0.25},
    "balanced": {"alpha": 0.6, "speed_weight": 0.0, "output_cost_ratio": 0.25},
    "economy": {"alpha": 0.25, "speed_weight": 0.0, "output_cost_ratio": 0.25},
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where prompts come from.

    `difficulty` says by what they are as hard as they are: their own scores (unknown, if nobody scored them),
    those of another source or of one of its categories, a benchmark's total, or nothing.
    """

    weight: float = 1.0
    ship: bool = True  # False: nothing that is written may be derived from it
    difficulty: str | tuple[str, str] = OWN


@dataclass(frozen=True, slots=True)
class Plan:
    name: str  # of the document, for the provenance
    sources: Mapping[str, Source]  # what is not named here has the defaults of `Source`
    evidence: Mapping[str, Mapping[str, Any]]  # model → benchmark → names there, or "pool" → source → column
    models: Mapping[str, Mapping[str, Any]]  # what can be routed to; see roster.yaml
    sizes: tuple[tuple[str, str], ...] = ()
    generations: tuple[tuple[str, str], ...] = ()
    anchor: str = ""  # the source whose logit scale abilities are measured on
    families: tuple[str, ...] = ()  # providers whose mean gap sets alpha; none: of all that have two models
    k: int | None = None  # clusters; None: one for each hundred train prompts, from 2 to 64
    top_p: int = 1
    seed: int = 0
    money: float = 0.15  # λ: expected quality that the dearest model must bring over the cheapest
    lowered_by: float = 0.5  # of a transferred cell's root mean square error
    output_cost_ratio: float = 0.25  # output tokens per input token; agents read far more than they write
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType(_UI_DEFAULTS))

    def source(self, name: str) -> Source:
        return self.sources.get(name) or Source()

    def nearest(self, k: int) -> int:
        """How many clusters score, of `k`: two of three would be nearly all there are."""
        return min(self.top_p, max(1, k // 4))

    def clusters(self, prompts: int) -> int:
        """How many there are to be for so many train prompts."""
        return self.k or max(2, min(MOST_CLUSTERS, prompts // PER_CLUSTER))


def read(path: Path = SHIPPED) -> Plan:
    """Raises DataError that names the key at fault."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: must be a mapping")
    known = {item.name for item in fields(Plan)} - {"name"}
    if strangers := sorted(map(str, document.keys() - known)):
        raise DataError(f"{path}: {strangers[0]}: unknown; there are {', '.join(sorted(known))}")
    for key in ("sources", "evidence", "models", "presets"):
        if not isinstance(document.get(key, {}), dict):
            raise DataError(f"{path}: {key}: must be a mapping")
    values: dict[str, Any] = {"evidence": {}, "models": {}} | document
    values["sources"] = {name: _source(path, name, row) for name, row in values.pop("sources", {}).items()}
    values |= {key: _pairs(path, key, values.get(key, [])) for key in ("sizes", "generations")}
    values["families"] = tuple(values.get("families", ()))
    values["models"] = {name: row or {} for name, row in values["models"].items()}
    for key, low in (("k", 1), ("top_p", 1), ("seed", 0)):
        value = values.get(key, low)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
            raise DataError(f"{path}: {key}: must be a whole number of at least {low}, not {value!r}")
    for key in ("money", "lowered_by", "output_cost_ratio"):
        value = values.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
            raise DataError(f"{path}: {key}: must be a number of at least 0, not {value!r}")
    return Plan(name=path.name, **values)


def _source(path: Path, name: str, row: Any) -> Source:
    known = [item.name for item in fields(Source)]
    if not isinstance(row, dict) or (strangers := row.keys() - set(known)):
        what = f"unknown member {min(map(str, strangers))}" if isinstance(row, dict) else "must be a mapping"
        raise DataError(f"{path}: sources: {name}: {what}; there are {', '.join(known)}")
    difficulty = row.get("difficulty", OWN)
    if isinstance(difficulty, dict) and difficulty.keys() == {"source", "category"}:
        difficulty = str(difficulty["source"]), str(difficulty["category"])
    if not isinstance(difficulty, (str, tuple)):
        raise DataError(
            f"{path}: sources: {name}: difficulty: must be own, none, a source, a benchmark, or a mapping of "
            f"source and category, not {difficulty!r}"
        )
    return Source(**{**row, "difficulty": difficulty})


def _pairs(path: Path, key: str, rows: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise DataError(f"{path}: {key}: must be a list of pairs")
    return tuple((str(first), str(second)) for first, second in rows)


# --- for any data ---------------------------------------------------------------------------------


def fits(plan: Plan, data: Data) -> bool:
    """Whether all that a plan names is in the data."""
    return not lacks(plan, data)


def lacks(plan: Plan, data: Data) -> list[str]:
    """What a plan names and the data has not, in words."""
    sources = {prompt.source for prompt in data.prompts}
    missing = [f"prompts of the source {name}" for name in plan.sources if name not in sources]
    for model, rows in plan.evidence.items():
        for benchmark, names in rows.items():
            if benchmark == "pool":
                missing += [
                    f"scores of {column} on {source} (the evidence of {model})"
                    for source, column in names.items()
                    if column not in data.scores.get(source, {})
                ]
            else:
                missing += [
                    f"a row of {name} on {benchmark} (the evidence of {model})"
                    for name in names
                    if (benchmark, name) not in data.leaderboards
                ]
    return missing


def made(data: Data, routable: Collection[str]) -> Plan:
    """A plan for any data: every routable model with scores or leaderboard rows under its own name is one to
    route to, and every model with a name in two places ties these places together.
    """
    evidence: dict[str, dict[str, Any]] = {}
    for source, columns in data.scores.items():
        for model in columns:
            evidence.setdefault(model, {}).setdefault("pool", {})[source] = model
    for benchmark, model in data.leaderboards:
        evidence.setdefault(model, {})[benchmark] = [model]
    kept = {
        model: rows
        for model, rows in sorted(evidence.items())
        if model in routable or "pool" in rows or len(rows) > 1
    }
    sizes = Counter({source: len(columns) for source, columns in sorted(data.scores.items())})
    return Plan(
        name="none: made from the data",
        sources={},
        evidence=kept,
        models={model: {} for model in kept if model in routable},
        anchor=sizes.most_common(1)[0][0] if sizes else "",
    )
