"""The quality dial: from 0, the cheapest, to 1, the best; equal travel means equal change of what is routed.

Alpha itself makes a poor dial. What is routed changes at a few values of it, often close together, and
between them turning it does nothing. So alpha is swept once from 0 to all that the speed weight leaves, in
`STEPS` steps, with every centroid for a prompt. Where the mix of picked models changes is a tick:

    change(i) = half the sum over models of | share at step i − share at step i − 1 |
    travel of a tick = change before it, and half of its own, over the whole change
    alpha(bias) = linear between the ticks, (0, 0) and (1, 1 − speed weight)

`alpha_floor` of a bundle holds in the sweep and in what comes out: no cluster goes below its own.

The sweep costs two blends, not 401: with the other knobs fixed a score is linear in alpha.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pointsman.errors import ClientError
from pointsman.scoring import cluster, knobs
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.bundle_files import Matrix
from pointsman.scoring.knobs import SUM_SLACK, Knobs, Layer, Overrides

STEPS = 401


@dataclass(frozen=True, slots=True)
class Dial:
    """Where the mix changes: `travel` [n + 2] from 0 to 1, and the `alpha` [n + 2] that goes with it."""

    travel: tuple[float, ...]
    alpha: tuple[float, ...]

    def alpha_at(self, bias: float) -> float:
        return float(np.interp(bias, self.travel, self.alpha))


def effective(
    bundle: Bundle,
    overrides: Overrides,
    *,
    below: Sequence[Layer] = (),
    prefix: str = knobs.PREFIXES[0],
    deployed: Collection[str] | None = None,
    eligible: Collection[str] | None = None,
) -> Knobs:
    """The knobs of one request: what is asked for over the bundle's own, a quality bias turned into alpha.

    See `knobs.merge` for the layers and what it raises, and `cluster.score` for the models. The dial is
    calibrated on what can be picked: the eligible ones, measured against all that are deployed.
    """
    if knobs.bias(overrides, below) is None:
        return knobs.merge(bundle.defaults, overrides, bundle.k, prefix=prefix, below=below)
    models = cluster.deployed_models(bundle, deployed)
    allowed = models
    if eligible is not None:
        allowed = cluster.deployed_models(bundle, frozenset(models).intersection(eligible))
    return _turned(bundle, models, allowed, overrides, tuple(below), prefix)


@lru_cache(maxsize=128)
def _turned(
    bundle: Bundle,
    models: tuple[str, ...],
    allowed: tuple[str, ...],
    overrides: Overrides,
    below: tuple[Layer, ...],
    prefix: str,
) -> Knobs:
    """Where a bias is asked for; kept, since it is dear, and bounded, since clients choose it."""
    weights = knobs.merge(bundle.defaults, overrides, bundle.k, prefix=prefix, below=below)
    bias = knobs.bias(overrides, below)
    assert bias is not None
    others = replace(weights, alpha=())
    room = max(0.0, 1.0 - others.speed_weight)
    floor = _floor(bundle)
    highest = int(np.argmax(floor))
    if floor[highest] > room + SUM_SLACK:
        raise ClientError(
            f"the speed weight ({others.speed_weight:g}) and the bundle's alpha_floor ({floor[highest]:g} in "
            f"cluster {highest}), to which a quality bias keeps, must not exceed 1 together; lower the first",
            source="x-router-speed-weight",
        )
    alpha = calibrate(bundle, models, allowed, others).alpha_at(bias)
    return replace(others, alpha=tuple(np.maximum(alpha, floor).tolist()))


@lru_cache(maxsize=128)
def calibrate(bundle: Bundle, models: tuple[str, ...], allowed: tuple[str, ...], others: Knobs) -> Dial:
    """The dial for what is deployed, allowed and set otherwise; the alpha of `others` does not matter."""
    room = max(0.0, 1.0 - others.speed_weight)
    if room == 0 or bundle.format == 1:
        return Dial((0.0, 1.0), (0.0, room))  # nothing moves: alpha has no weight, or no knob has
    alphas = np.linspace(0.0, room, STEPS)
    shares = _shares(bundle, models, allowed, others, alphas)
    moved = np.abs(np.diff(shares, axis=0)).sum(axis=1) / 2
    ticks = np.flatnonzero(moved)
    change = moved[ticks]
    travel = (np.cumsum(change) - change / 2) / (change.sum() or 1.0)
    return Dial((0.0, *travel.tolist(), 1.0), (0.0, *alphas[ticks + 1].tolist(), room))


def _shares(
    bundle: Bundle, models: tuple[str, ...], allowed: tuple[str, ...], others: Knobs, alphas: Matrix
) -> Matrix:
    """float64[steps, M]: which part of the centroids each allowed model is picked for."""
    columns = [models.index(model) for model in allowed]
    room = float(alphas[-1])
    cheap, best = (
        cluster.scores(bundle, models, replace(others, alpha=(alpha,) * bundle.k))[:, columns]
        for alpha in (0.0, room)
    )
    floor, near = _floor(bundle), _neighbours(bundle)
    weights = [np.maximum(alphas, floor[by, None]) / room for by in near.T]  # p × [K, steps]
    constant = cheap[near].sum(axis=1)
    top = np.full(weights[0].shape, -np.inf)
    winner = np.zeros(weights[0].shape, dtype=np.intp)
    for column, gain in enumerate((best - cheap).T):
        total = sum(weight * gain[by, None] for weight, by in zip(weights, near.T, strict=True))
        total += constant[:, column, None]
        np.copyto(winner, column, where=total > top)
        np.maximum(top, total, out=top)
    return np.stack([(winner == column).mean(axis=0) for column in range(len(columns))], axis=1)


@lru_cache(maxsize=32)
def _neighbours(bundle: Bundle) -> npt.NDArray[np.intp]:
    """[K, p]: the clusters that a prompt at each centroid would be scored with."""
    return np.stack([cluster.nearest(bundle, centroid)[0] for centroid in bundle.centroids])


def _floor(bundle: Bundle) -> Matrix:
    return np.zeros(bundle.k) if bundle.alpha_floor is None else np.array(bundle.alpha_floor)
