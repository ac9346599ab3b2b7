"""The yardsticks, each with a paired bootstrap over the judged prompts.

Everything is computed for B + 1 weightings of the prompts at once: row 0 weighs all
alike and is the figure itself, the other rows are resamples. The resamples are the same
for every router, so that differences between routers have intervals of their own.

- *gain*: AIQ above the zero router's (see `aiq`), in points, hundredths of quality.
- *saving*: what is saved where the router's hull reaches the quality of the best single
  model; 0 if it never does (whoever wants that quality then takes the model itself).
- *apgr*, *cpt50*, *cpt80*: of two models, a weak and a strong one, after Ong et al.,
  "RouteLLM" (2024). Against the share of prompts that go to the strong model, the
  performance gap recovered is (q − q_weak) / (q_strong − q_weak). APGR is its mean over all
  shares: .5 for a random choice; CPT(x) the smallest share that recovers x % of the gap.
- *Brier*: mean square error of the expected score, less that of always expecting a
  model's mean; in thousandths, below 0 is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pointsman.training.aiq import Points, aiq, hull, reach
from pointsman.training.data import Floats
from pointsman.training.evaluation.pools import Pool
from pointsman.training.recipe import Indices

Weights = npt.NDArray[np.float32]
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def figure(drawn: Floats) -> Figure:
    """Of [B + 1] values, the first of which is the sample's own."""
    low, high = np.quantile(drawn[1:], INTERVAL)
    return Figure(float(drawn[0]), float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """A router with its knob turned, under B + 1 weightings."""

    cost: Floats  # [B + 1, L], means at L settings
    quality: Floats  # [B + 1, L]
    hulls: list[tuple[Points, Points]]  # [B + 1], vertices (costs, qualities)
    strong: Floats | None  # [B + 1, L], of two models: the share of the dearer one


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """The judged prompts of a pool, weighted in B + 1 ways."""

    pool: Pool
    weights: Weights  # [B + 1, n]
    cost: Floats  # [B + 1, M], of the single models
    quality: Floats  # [B + 1, M]

    def of(self, models: list[int]) -> Judge:
        """With some of the models, the same resamples."""
        return Judge(self.pool.of(models), self.weights, self.cost[:, models], self.quality[:, models])

    def sweep(self, chosen: Indices) -> Sweep:
        """`chosen` [n, L] are indices of models."""
        return self._swept(
            self._mean(np.take_along_axis(self.pool.cost_usd, chosen, axis=1)),
            self._mean(np.take_along_axis(self.pool.quality, chosen, axis=1)),
            self._mean(chosen == self.dearest) if self.two else None,
        )

    def singles(self) -> Sweep:
        """The models as they are: what the zero router mixes."""
        share = np.tile(np.arange(len(self.pool.models)) == self.dearest, (len(self.cost), 1))
        return self._swept(self.cost, self.quality, share.astype(np.float64) if self.two else None)

    def chord(self) -> Sweep:
        """A random mix of the cheapest and the dearest model."""
        ends = [int(self.cost[0].argmin()), self.dearest]
        share = np.tile([0.0, 1.0], (len(self.cost), 1))
        return self._swept(self.cost[:, ends], self.quality[:, ends], share if self.two else None)

    def oracle(self, money: Floats) -> Sweep:
        """Who knows every score and cost beforehand, for L worths of money [L] as in `choose`."""
        spread = float(np.ptp(self.cost[0])) or 1.0
        dear = self.pool.cost_usd / spread
        return self.sweep(np.stack([(self.pool.quality - m * dear).argmax(axis=1) for m in money], axis=1))

    @property
    def two(self) -> bool:
        return len(self.pool.models) == 2

    @property
    def dearest(self) -> int:
        return int(self.cost[0].argmax())

    @property
    def best(self) -> int:
        """The best single model, the cheaper of equals."""
        return int(np.lexsort((self.cost[0], -self.quality[0]))[0])

    def aiq(self, sweep: Sweep) -> Floats:
        """[B + 1], in points, over the range of the single models' costs in the sample."""
        low, high = float(self.cost[0].min()), float(self.cost[0].max())
        return 100 * np.array([aiq(x, y, low, high) for x, y in sweep.hulls])

    def saving(self, sweep: Sweep) -> Floats:
        """[B + 1], share of the best single model's cost."""
        best_cost, best_quality = self.cost[:, self.best], self.quality[:, self.best]
        needed = [reach(x, y, best) for (x, y), best in zip(sweep.hulls, best_quality, strict=True)]
        return np.asarray(1 - np.minimum(np.array(needed), best_cost) / best_cost)

    def recovered(self, sweep: Sweep) -> tuple[Floats, Floats, Floats]:
        """(APGR, CPT(50), CPT(80)), each [B + 1]; of a pool with two models."""
        assert sweep.strong is not None
        weak = 1 - self.dearest
        found = [
            recovered(share, q, ends[weak], ends[self.dearest])
            for share, q, ends in zip(sweep.strong, sweep.quality, self.quality, strict=True)
        ]
        apgr, cpt50, cpt80 = np.array(found).T
        return apgr, cpt50, cpt80

    def brier(self, expected: Floats) -> Floats:
        """[B + 1], mean square error over prompts and models; `expected` is [n, M]."""
        return self._mean(((expected - self.pool.quality) ** 2).mean(axis=1))

    def curve(self, sweep: Sweep, costs: Floats) -> Floats:
        """[B + 1, len(costs)]: height of the hull at given mean costs, NaN left of it."""
        return np.array([np.interp(costs, x, y, left=np.nan) for x, y in sweep.hulls])

    def _swept(self, cost: Floats, quality: Floats, strong: Floats | None) -> Sweep:
        return Sweep(cost, quality, [hull(c, q) for c, q in zip(cost, quality, strict=True)], strong)

    def _mean(self, values: npt.NDArray[np.generic]) -> Floats:
        return np.asarray(self.weights @ values.astype(np.float32), dtype=np.float64)  # the sums dominate


def judge(pool: Pool, bootstraps: int, seed: int = 0) -> Judge:
    count = len(pool.rows)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=bootstraps)
    weights = np.concatenate([np.ones((1, count)), drawn]).astype(np.float32) / np.float32(count)
    means = (np.asarray(weights @ table, np.float64) for table in (pool.cost_usd, pool.quality))
    return Judge(pool, weights, *means)


def recovered(share: Floats, quality: Floats, weak: float, strong: float) -> tuple[float, float, float]:
    """(APGR, CPT(50), CPT(80)) of a sweep; between its settings one can mix at random, so they are joined.

    NaN where the strong model is not the better one.
    """
    if strong <= weak:
        return np.nan, np.nan, np.nan
    order = np.lexsort((quality, share))
    x = np.concatenate([[0.0], share[order], [1.0]])
    y = np.concatenate([[0.0], (quality[order] - weak) / (strong - weak), [1.0]])
    return float(np.trapezoid(y, x)), _first(x, y, 0.5), _first(x, y, 0.8)


def _first(x: Floats, y: Floats, level: float) -> float:
    """Smallest x at which the line through the points reaches a level; the last point does."""
    at = int(np.argmax(y >= level))
    if at == 0 or y[at] == y[at - 1]:
        return float(x[at])
    return float(x[at - 1] + (level - y[at - 1]) / (y[at] - y[at - 1]) * (x[at] - x[at - 1]))
