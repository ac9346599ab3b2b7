"""Who would serve what: the mix of a bundle over prompts, as the default policy picks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pointsman.scoring.bundle import Bundle
from pointsman.scoring.cluster import score
from pointsman.scoring.knobs import Knobs
from pointsman.values import Model, Prices

OUTPUT_WEIGHT = 0.25  # of the output price, where prices are compared

Vectors = npt.NDArray[np.floating[Any]]


def rows(bundle: Bundle, catalogue: Mapping[str, Model]) -> dict[str, Model]:
    """Every model of the bundle: the catalogue's row, or what the bundle says of provider and price."""
    return {
        name: catalogue.get(name) or Model(name, bundle.providers[name], _prices(bundle, at))
        for at, name in enumerate(bundle.models)
    }


def _prices(bundle: Bundle, at: int) -> Prices:
    """In USD per million tokens; a v1 bundle has none."""
    known = {name: float(values[at]) * 1000 for name, values in bundle.axes.items()}
    given, made = (known.get(name, np.nan) for name in ("input_per_1k_usd", "output_per_1k_usd"))
    return Prices(None if np.isnan(given) else given, None if np.isnan(made) else made)


def families(bundle: Bundle) -> dict[str, list[str]]:
    """{provider: its models} of providers with two models and more: among fewer nothing is chosen."""
    found: dict[str, list[str]] = {}
    for model in bundle.models:
        found.setdefault(bundle.providers[model], []).append(model)
    return {provider: models for provider, models in sorted(found.items()) if len(models) > 1}


def strongest(bundle: Bundle, catalogue: Mapping[str, Model], family: str) -> str:
    """The model of a family with the highest quality tier, then quality; opt-in ones left out if possible."""
    known = rows(bundle, catalogue)
    table = bundle.quality if bundle.quality is not None else bundle.rankings
    assert table is not None  # a bundle has one of the two
    mean = dict(zip(bundle.models, table.mean(axis=0).tolist(), strict=True))
    own = [m for m in bundle.models if bundle.providers[m] == family]
    usual = [m for m in own if not known[m].opt_in]
    return max(usual or own, key=lambda m: (known[m].quality_tier or 0, mean[m]))


def choices(
    bundle: Bundle,
    catalogue: Mapping[str, Model],
    vectors: Vectors,
    requested: str,
    knobs: Knobs | None = None,
) -> list[str]:
    """The model [n] of main turns with `vectors` [n, dim] that ask for `requested`."""
    deployed, eligible = field(bundle, catalogue, requested)
    return [score(bundle, v, knobs, deployed=deployed, eligible=eligible).model for v in vectors]


def field(
    bundle: Bundle, catalogue: Mapping[str, Model], requested: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(deployed, eligible) models of a main turn that asks for `requested`, without any configuration.

    Deployed is the family; eligible is what is not opt-in (unless asked for) and not priced above it.
    """
    known = rows(bundle, catalogue)
    family = tuple(m for m in bundle.models if bundle.providers[m] == bundle.providers[requested])
    limit = _price(known[requested])
    usual = (m for m in family if m == requested or (not known[m].opt_in and _price(known[m]) <= limit))
    return family, tuple(usual)


def shares(chosen: Sequence[str], weights: Sequence[float] | None = None) -> dict[str, float]:
    """{model: its share of the choices}, most frequent first; `weights` [n] are 1 if not given."""
    counts: Counter[str] = Counter()
    for model, weight in zip(chosen, weights or [1.0] * len(chosen), strict=True):
        counts[model] += weight  # type: ignore[assignment]  # a Counter of floats, see its documentation
    total = sum(counts.values())
    return {model: count / total for model, count in counts.most_common() if count}


def mix(bundle: Bundle, catalogue: Mapping[str, Model], vectors: Vectors, requested: str) -> dict[str, float]:
    """{model: share} of main turns that ask for `requested`, at the default knobs."""
    return shares(choices(bundle, catalogue, vectors, requested))


def _price(model: Model) -> float:
    return (model.prices.input or 0.0) + OUTPUT_WEIGHT * (model.prices.output or 0.0)
