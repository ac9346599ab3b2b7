"""A bundle from the evaluation data: centroids, expected qualities, alpha, and where each came from.

1. K-means over the training prompts, agent prompts weighted up so that coding work gets
   clusters of its own among thousands of examination questions.
2. Difficulty of every cluster in every source of prompts that somebody scored (`transfer`);
   for agent prompts without scores, the difficulty of the benchmark that they are from.
3. Ability of today's models on each source (`abilities`), and from both a quality per
   source and cluster; a cluster's quality is their mean, weighted by its prompts.
4. Each cell is lowered by half its error: cluster (leave-one-out) and ability together.
5. Alpha per cluster from the gap between the best and the worst model there, averaged over
   the families that most clients talk to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pointsman.training import transfer
from pointsman.training.abilities import Ability, Fit
from pointsman.training.data import NOT_SHIPPABLE, Data, Floats
from pointsman.training.recipe import kmeans, nearest
from pointsman.training.vectors import Vectors

AGENT_WEIGHT = 6.0  # of an agent prompt: 1,381 of them then make up about a quarter of the whole
OUTPUT_COST_RATIO = 0.25  # output tokens per input token; agents read far more than they write
FAMILIES = ("anthropic", "openai", "gemini")
MONEY = 0.15  # λ: expected quality that the dearest model of a family must bring over the cheapest
LOWERED_BY = 0.5  # of a cell's root mean square error

# Sources whose prompts carry scores of single models.
SCORED = ("mmlu_pro", "llmrouter", "routellm_mmlu", "routellm_gsm8k", "routerarena")
# Agent prompts: the instrument that says how hard they are. A pair is a pool and its categories.
INSTRUMENTS: Mapping[str, str | tuple[str, str]] = {
    "mbpp": ("llmrouter", "mbpp"),
    "humaneval": ("llmrouter", "human_eval"),
    "exercism_polyglot": "aider_polyglot",
    "aider_chat": "swebench_pro",  # an assumption: turns of people who code with an agent, never scored
    "tau2_retail": "tau2_retail",
    "tau2_airline": "tau2_airline",
}


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What a bundle is written from. K clusters, M models in the order of `models`."""

    models: tuple[str, ...]
    centroids: Vectors  # float32[K, dim]
    quality: Floats  # [K, M], lowered
    error: Floats  # [K, M], the root mean square error it was lowered by half of
    alpha: tuple[float, ...]
    sources: list[dict[str, float]]  # per cluster: weighted prompts of each source


def usable(data: Data) -> npt.NDArray[np.bool_]:
    """[n]: prompts that shipped artifacts may be derived from."""
    return np.array([p.train and p.source not in NOT_SHIPPABLE for p in data.prompts])


def prompt_weights(data: Data) -> Floats:
    return np.array([AGENT_WEIGHT if p.agent else 1.0 for p in data.prompts])


def build(
    data: Data,
    vectors: Vectors,
    abilities: Mapping[str, Ability],
    made: Fit,
    prices: Mapping[str, tuple[str, float]],
    *,
    k: int,
    seed: int,
) -> Built:
    """Build from vectors [n, dim] of all prompts; `prices` are (provider, blended USD) per model."""
    inside = usable(data)
    weights = prompt_weights(data)
    centroids = kmeans(vectors[inside], weights[inside], k, seed)
    cluster = nearest(vectors, centroids, 1)[:, 0]
    models = tuple(sorted(abilities))
    shares, total, error = _sources(data, cluster, k), np.zeros((k, len(models))), np.zeros((k, len(models)))
    for source, share in shares.items():
        cells, square = _instrument(data, source, cluster, k, [abilities[m] for m in models], made)
        total += share[:, None] * cells
        error += share[:, None] * square
    weight = np.sum(list(shares.values()), axis=0)[:, None]
    root = np.sqrt(error / weight)
    quality = np.clip(total / weight - LOWERED_BY * root, 0.0, 1.0)
    listed = [
        {source: float(share[at]) for source, share in shares.items() if share[at] > 0} for at in range(k)
    ]
    return Built(models, centroids, quality, root, _alpha(models, quality, prices), listed)


def _sources(data: Data, cluster: npt.NDArray[np.intp], k: int) -> dict[str, Floats]:
    """{source: [K] weighted prompts}, of sources with an instrument."""
    shares = {source: np.zeros(k) for source in (*SCORED, *INSTRUMENTS)}
    weights = prompt_weights(data)
    for at, prompt in enumerate(data.prompts):
        if prompt.train and prompt.source in shares:
            shares[prompt.source][cluster[at]] += weights[at]
    if (empty := np.flatnonzero(np.sum(list(shares.values()), axis=0) == 0)).size:
        raise ValueError(
            f"clusters {empty.tolist()} hold no prompt of known difficulty; choose another seed or k"
        )
    return shares


def _instrument(
    data: Data, source: str, cluster: npt.NDArray[np.intp], k: int, abilities: list[Ability], made: Fit
) -> tuple[Floats, Floats]:
    """(expected quality, squared error), each [K, M], of a source's prompts in every cluster."""
    instrument = INSTRUMENTS.get(source, source)
    if isinstance(instrument, tuple):
        rows, quality = _scored(data, *instrument)
        member = np.ones((len(rows), 1))
    elif instrument in SCORED:
        rows, quality = _scored(data, instrument)
        member = np.eye(k)[cluster[rows]]
    else:
        return _benchmark(instrument, k, abilities, made)
    sums, counts = transfer.cell_sums(member, quality)
    means = np.asarray(np.nanmean(quality, axis=0))
    difficulty = transfer.fit_difficulty(sums, counts, means)
    cells = _moved(difficulty, instrument, abilities, made, 0)
    slack = _moved(difficulty, instrument, abilities, made, 1) - _moved(
        difficulty, instrument, abilities, made, -1
    )
    square = transfer.leave_one_out_rmse(sums, counts, means)[:, None] ** 2 + (slack / 2) ** 2
    return np.broadcast_to(cells, (k, len(abilities))), np.broadcast_to(square, (k, len(abilities)))


def _scored(data: Data, source: str, category: str | None = None) -> tuple[npt.NDArray[np.intp], Floats]:
    """(rows [n], scores [n, R]) of a source's train prompts, all of its models as references."""
    columns = data.scores[source]
    rows = [
        at
        for at, prompt in enumerate(data.prompts)
        if prompt.source == source and prompt.train and category in (None, prompt.category)
    ]
    quality = np.array([[columns[m].get(at, (np.nan, 0.0))[0] for m in sorted(columns)] for at in rows])
    return np.array(rows, dtype=np.intp), quality


def _moved(
    difficulty: transfer.Difficulty,
    instrument: str | tuple[str, str],
    abilities: list[Ability],
    made: Fit,
    deviations: float,
) -> Floats:
    """[K, M] for abilities that are so many standard deviations higher than thought."""
    pool = instrument if isinstance(instrument, str) else instrument[0]
    return transfer.predict(difficulty, _expected(pool, abilities, made, deviations))


def _benchmark(name: str, k: int, abilities: list[Ability], made: Fit) -> tuple[Floats, Floats]:
    """A benchmark known by its total alone is as hard in every cluster."""
    low, middle, high = (_expected(name, abilities, made, deviations) for deviations in (-1, 0, 1))
    shape = (k, len(abilities))
    return np.broadcast_to(middle, shape), np.broadcast_to(((high - low) / 2) ** 2, shape)


def _expected(name: str, abilities: list[Ability], made: Fit, deviations: float) -> Floats:
    return np.array([made.expected(name, a.theta + deviations * a.sd) for a in abilities])


def _alpha(
    models: tuple[str, ...], quality: Floats, prices: Mapping[str, tuple[str, float]]
) -> tuple[float, ...]:
    """gap / (gap + λ) per cluster, the gap being the families' mean (see `recipe.alpha_for`)."""
    gaps = []
    for family in FAMILIES:
        own = quality[:, [at for at, model in enumerate(models) if prices[model][0] == family]]
        gaps.append(own.max(axis=1) - own.min(axis=1))
    gap = np.mean(gaps, axis=0)
    return tuple(np.round(gap / (gap + MONEY), 4).tolist())


def describe(built: Built, abilities: Mapping[str, Ability], made: Fit) -> dict[str, Any]:
    """Provenance for the `meta` of quality_means.json: per model, per benchmark, per cluster."""
    return {
        "what": "expected score, 0…1, transferred from global abilities and lowered by half its error",
        "models": {
            m: {"ability": round(a.theta, 3), "sd": round(a.sd, 3), "basis": a.basis}
            for m, a in sorted(abilities.items())
        },
        "benchmarks": {
            b: {"slope": round(made.slope[b], 3), "difficulty": round(made.difficulty[b], 3)}
            for b in sorted(made.slope)
        },
        "ability_row_error_logits": round(made.row_error, 3),
        "clusters": {
            str(at): {"prompts": sources, "error": round(float(built.error[at].mean()), 4)}
            for at, sources in enumerate(built.sources)
        },
    }
