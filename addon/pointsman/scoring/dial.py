"""The quality dial: from 0, the cheapest, to 1, the best; equal travel means equal change of what is routed.

Alpha itself makes a poor dial. What is routed changes at a few values of it, often close together, and
between them turning it does nothing. So alpha is swept once from 0 to all that the speed weight leaves, in
`STEPS` steps, with every centroid for a prompt. Where one of them comes to pick another model is a tick,
found between two steps by where the old model's lead is used up:

    travel of the j-th of n ticks, by alpha = (j − ½) / n
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
    """Where picks change: `travel` [n + 2] from 0 to 1, and the `alpha` [n + 2] that goes with it."""

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
    ticks = _changes(bundle, models, allowed, others, room)
    travel = (np.arange(len(ticks)) + 0.5) / max(len(ticks), 1)
    return Dial((0.0, *travel.tolist(), 1.0), (0.0, *ticks.tolist(), room))


def _changes(
    bundle: Bundle, models: tuple[str, ...], allowed: tuple[str, ...], others: Knobs, room: float
) -> Matrix:
    """The alphas, sorted, at which a centroid comes to pick another of the allowed models."""
    columns = [models.index(model) for model in allowed]
    cheap, best = (
        cluster.scores(bundle, models, replace(others, alpha=(alpha,) * bundle.k))[:, columns]
        for alpha in (0.0, room)
    )
    alphas = np.linspace(0.0, room, STEPS)
    floor, near = _floor(bundle), _neighbours(bundle)
    weights = [np.maximum(alphas, floor[by, None]) / room for by in near.T]  # p × [K, steps]
    constant, gain = cheap[near].sum(axis=1), best - cheap
    top = np.full(weights[0].shape, -np.inf)
    winner = np.zeros(weights[0].shape, dtype=np.intp)
    for column in range(len(columns)):
        total = sum(weight * gain[by, column, None] for weight, by in zip(weights, near.T, strict=True))
        total += constant[:, column, None]
        np.copyto(winner, column, where=total > top)
        np.maximum(top, total, out=top)
    at, step = np.nonzero(winner[:, 1:] != winner[:, :-1])
    old, new = winner[at, step], winner[at, step + 1]

    def lead(step: npt.NDArray[np.intp]) -> Matrix:
        """By how much the old model's total is above the new one's."""
        ahead: Matrix = constant[at, old] - constant[at, new]
        for weight, by in zip(weights, near.T, strict=True):
            ahead = ahead + weight[at, step] * (gain[by[at], old] - gain[by[at], new])
        return ahead

    before, after = lead(step), lead(step + 1)
    lost = before - after
    part = np.divide(before, lost, out=np.ones_like(lost), where=lost > 0).clip(0.0, 1.0)
    return np.sort(alphas[step] + part * (alphas[step + 1] - alphas[step]))


@lru_cache(maxsize=32)
def _neighbours(bundle: Bundle) -> npt.NDArray[np.intp]:
    """[K, p]: the clusters that a prompt at each centroid would be scored with."""
    return np.stack([cluster.nearest(bundle, centroid)[0] for centroid in bundle.centroids])


def _floor(bundle: Bundle) -> Matrix:
    return np.zeros(bundle.k) if bundle.alpha_floor is None else np.array(bundle.alpha_floor)
