"""What is inside a bundle: its clusters, and who would serve what at each preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pointsman.scoring.bundle import Bundle
from pointsman.scoring.bundle_files import Matrix
from pointsman.scoring.cluster import blend
from pointsman.scoring.dial import effective
from pointsman.scoring.knobs import Overrides
from pointsman.training.clusters import About
from pointsman.training.mix import Vectors, choices, families, field, shares, strongest
from pointsman.values import Model

DEFAULT = "default"  # the bundle's own knobs, beside its presets


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster. `best` are models by expected quality (in a v1 bundle: by ranking), best first."""

    number: int
    about: About
    alpha: float
    best: tuple[tuple[str, float], ...]
    chosen: str  # by the blend at the default knobs, over all models


@dataclass(frozen=True, slots=True)
class Mix:
    """Who serves a family's main turns that ask for its strongest model."""

    family: str
    asked: str
    preset: str
    shares: Mapping[str, float]


def clusters(bundle: Bundle, about: Sequence[About]) -> tuple[Cluster, ...]:
    table, blended = _tables(bundle)
    return tuple(
        Cluster(
            number=at,
            about=about[at],
            alpha=bundle.defaults.alpha[at],
            best=tuple((bundle.models[m], float(row[m])) for m in np.argsort(-row, kind="stable")),
            chosen=bundle.models[int(blended[at].argmax())],
        )
        for at, row in enumerate(table)
    )


def _tables(bundle: Bundle) -> tuple[Matrix, Matrix]:
    """([K, M] quality or rankings, [K, M] scores at the default knobs)."""
    if bundle.quality is not None and bundle.format == 2:
        return bundle.quality, blend(bundle.quality, bundle.axes, bundle.defaults)
    assert bundle.rankings is not None  # a v1 bundle
    return bundle.rankings, bundle.rankings


def presets(bundle: Bundle) -> dict[str, Overrides]:
    """{name: knobs}, the default first. Knobs do nothing in a v1 bundle: it has the default alone."""
    return {DEFAULT: Overrides()} | (dict(bundle.presets) if bundle.format == 2 else {})


def mixes(
    bundle: Bundle,
    catalogue: Mapping[str, Model],
    vectors: Vectors,
    weights: Sequence[float] | None = None,
) -> tuple[Mix, ...]:
    """The mix of every family at every preset, over `vectors` [n, dim] that count `weights` [n]."""
    found = []
    for family in families(bundle):
        asked = strongest(bundle, catalogue, family)
        deployed, eligible = field(bundle, catalogue, asked)
        for name, asked_for in presets(bundle).items():
            knobs = effective(bundle, asked_for, deployed=deployed, eligible=eligible)
            chosen = choices(bundle, catalogue, vectors, asked, knobs)
            found.append(Mix(family, asked, name, shares(chosen, weights)))
    return tuple(found)


def sizes(about: Sequence[About]) -> list[float]:
    """What each centroid counts for where centroids stand for prompts; 1 where nothing is known."""
    known = [cluster.size for cluster in about]
    return known if any(known) else [1.0] * len(known)
