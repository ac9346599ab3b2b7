"""The blend against a plain loop that was written from the words of its definition.

No numpy in the reference, and no view, cache or matrix: lists, dicts, min and max.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.bundle_files import AXES
from pointsman.scoring.cluster import score
from pointsman.scoring.knobs import Knobs

CASES = 10_000


@dataclass
class Case:
    centroids: list[list[float]]
    vector: list[float]
    quality: list[dict[str, float]]
    axes: dict[str, dict[str, float | None]]
    deployed: list[str]
    eligible: list[str]
    knobs: Knobs
    top_p: int
    v1: bool


def reference(case: Case) -> tuple[str, str, dict[str, float], list[int]]:
    products = [sum(a * b for a, b in zip(row, case.vector, strict=True)) for row in case.centroids]
    clusters = sorted(range(len(products)), key=lambda k: (-products[k], k))[: case.top_p]
    scores = dict.fromkeys(case.deployed, 0.0)
    for k in clusters:
        for m in case.deployed:
            scores[m] += case.quality[k][m] if case.v1 else blend(case, k, m)
    ranked = sorted(case.eligible, key=lambda m: (-scores[m], m))
    return ranked[0], ranked[1] if len(ranked) > 1 else "", scores, clusters


def blend(case: Case, k: int, m: str) -> float:
    knobs = case.knobs
    wq, ws = knobs.alpha[k], knobs.speed_weight
    wc = max(0.0, 1 - wq - ws)
    q = min_max({n: case.quality[k][n] for n in case.deployed}, m)
    c = min_max({n: cost(case, n) for n in case.deployed}, m)
    times = {n: time(case, n) for n in case.deployed}
    known = [t for t in times.values() if t is not None]
    if known and max(known) > min(known):
        return wq * q + wc * (1 - c) + ws * (1 - min_max(times, m))
    if wq + wc == 0:
        return q
    return wq / (wq + wc) * q + wc / (wq + wc) * (1 - c)


def min_max(values: dict[str, float | None], m: str) -> float:
    known = [v for v in values.values() if v is not None]
    if not known or max(known) == min(known):
        return 0.0
    value = values[m]
    return 1.0 if value is None else (value - min(known)) / (max(known) - min(known))


def cost(case: Case, m: str) -> float | None:
    price_in, price_out = case.axes[m]["input_per_1k_usd"], case.axes[m]["output_per_1k_usd"]
    if case.knobs.output_cost_ratio == 0:
        return price_in
    if price_in is None or price_out is None:
        return None
    return price_in + case.knobs.output_cost_ratio * price_out * verbosity(case, m)


def verbosity(case: Case, m: str) -> float:
    known = sorted(v for n in case.deployed if (v := case.axes[n]["verbosity_tokens"]) is not None)
    own = case.axes[m]["verbosity_tokens"]
    if not case.knobs.per_model_verbosity or own is None or not known[len(known) // 2]:
        return 1.0
    return own / known[len(known) // 2]


def time(case: Case, m: str) -> float | None:
    first, rate = case.axes[m]["ttft_s"], case.axes[m]["tps"]
    return None if first is None or not rate else first + case.knobs.expected_output_tokens / rate


def draw(rng: random.Random) -> Case:
    """Half the cases on coarse grids, where ties and zero ranges are common and sums are exact."""
    coarse = rng.random() < 0.5
    k, dim, m = rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 6)
    names = sorted(rng.sample(["ash", "bay", "elm", "fir", "oak", "yew", "box", "fig"], m))
    real = (lambda: rng.choice([0.0, 0.25, 0.5, 1.0])) if coarse else rng.random
    centre = (lambda: rng.choice([-1.0, 0.0, 0.5, 1.0])) if coarse else (lambda: rng.gauss(0, 1))
    unknown = rng.choice([0.0, 0.3, 1.0])
    axes = {name: {axis: None if rng.random() < unknown else real() for axis in AXES} for name in names}
    deployed = sorted(rng.sample(names, rng.randint(1, m)))
    speed = rng.choice([0.0, 0.25, 1.0, rng.random()])
    alpha = tuple((1 - speed) * rng.choice([0.0, 0.5, 1.0, rng.random()]) for _ in range(k))
    return Case(
        centroids=[[float(np.float32(centre())) for _ in range(dim)] for _ in range(k)],
        vector=[float(np.float32(centre())) for _ in range(dim)],
        quality=[{name: real() for name in names} for _ in range(k)],
        axes=axes,
        deployed=deployed,
        eligible=rng.sample(deployed, rng.randint(1, len(deployed))),
        knobs=Knobs(
            alpha, speed, rng.choice([0.0, 0.5, 10 * rng.random()]), rng.choice([0, 2000]), rng.random() < 0.5
        ),
        top_p=rng.randint(1, 7),
        v1=rng.random() < 0.1,
    )


def bundle_of(case: Case) -> Bundle:
    models = tuple(sorted(case.axes))
    table = np.array([[row[m] for m in models] for row in case.quality])
    return Bundle(
        path=Path("drawn"),
        version="drawn",
        format=1 if case.v1 else 2,
        models=models,
        providers=dict.fromkeys(models, ""),
        centroids=np.array(case.centroids),
        quality=None if case.v1 else table,
        rankings=table if case.v1 else None,
        axes={
            axis: np.array([np.nan if (v := case.axes[m][axis]) is None else v for m in models])
            for axis in AXES
        },
        top_p=1,
        defaults=Knobs((0.53,) * len(case.centroids)),
        alpha_floor=None,
        presets={},
        cache_thresholds=(),
        embedder="",
        metadata={},
    )


def test_a_plain_loop_agrees_on_ten_thousand_random_bundles() -> None:
    rng = random.Random(52)
    tied = ranged = untimed = talked = 0
    for number in range(CASES):
        case = draw(rng)
        model, runner_up, scores, clusters = reference(case)
        got = score(
            bundle_of(case),
            np.array(case.vector, dtype=np.float32),
            case.knobs,
            deployed=case.deployed,
            eligible=case.eligible,
            top_p=case.top_p,
        )
        assert [k for k, _ in got.clusters] == clusters, number
        assert got.scores.keys() == scores.keys(), number
        assert max(abs(got.scores[m] - scores[m]) for m in scores) <= 1e-12, number
        assert (got.model, got.runner_up) == (model, runner_up), number
        tied += got.margin == 0
        ranged += len({case.quality[clusters[0]][m] for m in case.deployed}) == 1 < len(case.deployed)
        times = [time(case, m) for m in case.deployed]
        untimed += None in times and any(t is not None for t in times)
        talked += case.knobs.per_model_verbosity and not case.v1
    # The draw reaches what the definition treats apart; without these counts it could pass by luck.
    assert min(tied, ranged, untimed, talked) > 200
