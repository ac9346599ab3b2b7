"""What changed between two bundles: models, prices, qualities, alpha, and who serves what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pointsman.errors import BundleError
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.bundle_files import Matrix
from pointsman.training.mix import Vectors, choices, families, shares, strongest
from pointsman.values import Model


@dataclass(frozen=True, slots=True)
class Change:
    """One figure, before and after; None where it was unknown."""

    what: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Shift:
    """A family's mix before and after, and the share of prompts whose model is another one."""

    family: str
    asked: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    moved: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`cells` and `alpha` per cluster only where both have the same centroids; `quality` in any case."""

    same_centroids: bool
    added: tuple[str, ...]
    removed: tuple[str, ...]
    prices: tuple[Change, ...]  # USD per million tokens
    knobs: tuple[Change, ...]
    alpha: tuple[Change, ...]  # per cluster
    cells: tuple[Change, ...]  # quality (or ranking) per cluster and model
    quality: tuple[Change, ...]  # per model, mean over the prompts
    shifts: tuple[Shift, ...]

    @property
    def empty(self) -> bool:
        same = self.same_centroids and not any(shift.moved for shift in self.shifts)
        return same and not (
            self.added or self.removed or self.prices or self.knobs or self.alpha or self.cells
        )


def compare(
    before: Bundle,
    after: Bundle,
    catalogue: Mapping[str, Model],
    vectors: Vectors,
    weights: Sequence[float] | None = None,
) -> Comparison:
    """Compare over prompts with `vectors` [n, dim] that count `weights` [n].

    Raises BundleError if the two were made for different encoders: no prompt goes into both.
    """
    if (before.embedder, before.dim) != (after.embedder, after.dim):
        raise BundleError(
            f"{after.path}: made for the encoder {after.embedder!r} with dim {after.dim}, but {before.path} "
            f"for {before.embedder!r} with dim {before.dim}; the two cannot be compared"
        )
    same = np.array_equal(before.centroids, after.centroids)
    both = [m for m in before.models if m in after.models]
    return Comparison(
        same_centroids=same,
        added=tuple(m for m in after.models if m not in before.models),
        removed=tuple(m for m in before.models if m not in after.models),
        prices=_prices(before, after, both),
        knobs=_knobs(before, after),
        alpha=_alpha(before, after) if same else (),
        cells=_cells(before, after, both) if same else (),
        quality=_quality(before, after, both, vectors, weights),
        shifts=_shifts(before, after, catalogue, vectors, weights),
    )


def _prices(before: Bundle, after: Bundle, models: Sequence[str]) -> tuple[Change, ...]:
    found = []
    for model in models:
        for axis, name in (("input_per_1k_usd", "input"), ("output_per_1k_usd", "output")):
            old, new = (_axis(bundle, axis, model) for bundle in (before, after))
            if old != new:
                found.append(Change(f"{model} {name}", old, new))
    return tuple(found)


def _axis(bundle: Bundle, axis: str, model: str) -> float | None:
    """USD per million tokens; None where the bundle does not say."""
    if axis not in bundle.axes:
        return None
    value = float(bundle.axes[axis][bundle.models.index(model)])
    return None if np.isnan(value) else round(value * 1000, 9)


def _knobs(before: Bundle, after: Bundle) -> tuple[Change, ...]:
    pairs: list[tuple[str, float, float]] = [
        (name, getattr(before, name), getattr(after, name)) for name in ("k", "top_p", "format")
    ]
    pairs += [("alpha, mean", float(np.mean(before.defaults.alpha)), float(np.mean(after.defaults.alpha)))]
    for name in ("speed_weight", "output_cost_ratio", "expected_output_tokens", "per_model_verbosity"):
        pairs.append((name, getattr(before.defaults, name), getattr(after.defaults, name)))
    return tuple(Change(name, float(old), float(new)) for name, old, new in pairs if old != new)


def _alpha(before: Bundle, after: Bundle) -> tuple[Change, ...]:
    pairs = enumerate(zip(before.defaults.alpha, after.defaults.alpha, strict=True))
    return _largest_first(Change(f"cluster {at}", old, new) for at, (old, new) in pairs if old != new)


def _cells(before: Bundle, after: Bundle, models: Sequence[str]) -> tuple[Change, ...]:
    """Of the form that both have: qualities, else rankings."""
    old, new = _common(before, after)
    if old is None or new is None:
        return ()
    found = []
    for model in models:
        first, second = old[:, before.models.index(model)], new[:, after.models.index(model)]
        for at in np.flatnonzero(first != second):
            found.append(Change(f"cluster {at}, {model}", float(first[at]), float(second[at])))
    return _largest_first(found)


def _common(before: Bundle, after: Bundle) -> tuple[Matrix | None, Matrix | None]:
    if before.quality is not None and after.quality is not None:
        return before.quality, after.quality
    return before.rankings, after.rankings


def _quality(
    before: Bundle, after: Bundle, models: Sequence[str], vectors: Vectors, weights: Sequence[float] | None
) -> tuple[Change, ...]:
    if before.quality is None or after.quality is None:
        return ()
    old, new = (_over_prompts(bundle, vectors, weights) for bundle in (before, after))
    return _largest_first(
        Change(model, old[model], new[model]) for model in models if old[model] != new[model]
    )


def _over_prompts(bundle: Bundle, vectors: Vectors, weights: Sequence[float] | None) -> dict[str, float]:
    """{model: mean expected quality over the prompts}."""
    assert bundle.quality is not None
    near = np.argsort(-np.einsum("kd,nd->nk", bundle.centroids, vectors), axis=1, kind="stable")
    each = bundle.quality[near[:, : bundle.top_p]].mean(axis=1)  # [n, M]
    return dict(zip(bundle.models, np.average(each, axis=0, weights=weights).tolist(), strict=True))


def _shifts(
    before: Bundle,
    after: Bundle,
    catalogue: Mapping[str, Model],
    vectors: Vectors,
    weights: Sequence[float] | None,
) -> tuple[Shift, ...]:
    """Of families that both have, each asked for what is its strongest model in each bundle."""
    found = []
    for family in families(before):
        if family not in families(after):
            continue
        asked = strongest(after, catalogue, family)
        old = choices(before, catalogue, vectors, strongest(before, catalogue, family))
        new = choices(after, catalogue, vectors, asked)
        moved = float(np.average([a != b for a, b in zip(old, new, strict=True)], weights=weights))
        found.append(Shift(family, asked, shares(old, weights), shares(new, weights), moved))
    return tuple(found)


def _largest_first(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda c: (-abs((c.after or 0) - (c.before or 0)), c.what)))
