"""The quality dial: where the mix changes, and that equal travel means equal change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.errors import ClientError
from pointsman.scoring import dial
from pointsman.scoring.bundle import Bundle, load_bundle, resolve
from pointsman.scoring.cluster import score
from pointsman.scoring.knobs import Knobs, Overrides

Writer = Callable[..., Path]
KNOBS = "metadata.yaml/training/default_routing_knobs"
SHIPPED = resolve(Path(__file__).parents[2] / "bundles")


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(SHIPPED)


@pytest.fixture
def bundle(write_bundle: Writer) -> Bundle:
    return load_bundle(write_bundle())


def family(bundle: Bundle, provider: str = "anthropic") -> tuple[str, ...]:
    return tuple(model for model in bundle.models if bundle.providers[model] == provider)


def picked(bundle: Bundle, knobs: Knobs, models: tuple[str, ...]) -> Counter[str]:
    """For how many centroids each model is picked, by the scoring that serves."""
    return Counter(score(bundle, vector, knobs, deployed=models).model for vector in bundle.centroids)


def picks(bundle: Bundle, knobs: Knobs, models: tuple[str, ...]) -> list[str]:
    return [score(bundle, vector, knobs, deployed=models).model for vector in bundle.centroids]


def at(bundle: Bundle, bias: float, models: tuple[str, ...], **others: Any) -> Knobs:
    return dial.effective(bundle, Overrides(quality_bias=bias, **others), deployed=models)


def test_zero_is_the_cheapest_and_one_the_best(bundle: Bundle) -> None:
    assert at(bundle, 0.0, bundle.models).alpha == (0.0, 0.0, 0.0)
    assert at(bundle, 1.0, bundle.models).alpha == (1.0, 1.0, 1.0)
    assert set(picked(bundle, at(bundle, 0.0, bundle.models), bundle.models)) == {"alder"}


@pytest.mark.parametrize("provider", ["anthropic", "openai", "gemini"])
def test_equal_travel_means_equal_change(shipped: Bundle, provider: str) -> None:
    """Each tenth of the way brings a tenth of all changes of a pick, give or take one at either end."""
    models = family(shipped, provider)
    mixes = [picks(shipped, at(shipped, step / 10, models), models) for step in range(11)]
    moves = [sum(a != b for a, b in zip(old, new, strict=True)) for old, new in pairwise(mixes)]
    ticks = dial.calibrate(shipped, models, models, replace(shipped.defaults, alpha=()))
    changes = len(ticks.alpha) - 2
    assert changes > shipped.k
    # Who changes twice within one tenth moves once; so a few may be missing, none may be too many.
    assert sum(moves) > 0.9 * changes
    assert all(move <= changes / 10 + 2 for move in moves)


def test_alpha_itself_makes_a_poor_dial(shipped: Bundle) -> None:
    """What the calibration is for: most of the way along alpha nothing changes."""
    models = family(shipped)
    mixes = [
        picked(shipped, replace(shipped.defaults, alpha=(step / 20,) * shipped.k), models)
        for step in range(21)
    ]
    still = sum(a == b for a, b in pairwise(mixes))
    turned = [picked(shipped, at(shipped, step / 20, models), models) for step in range(21)]
    assert still > 5 > sum(a == b for a, b in pairwise(turned))


def test_a_tick_lies_where_the_mix_changes(bundle: Bundle) -> None:
    others = replace(bundle.defaults, alpha=())
    ticks = dial.calibrate(bundle, bundle.models, bundle.models, others)
    assert len(ticks.alpha) > 2
    for alpha in ticks.alpha[1:-1]:
        before, after = (
            picked(bundle, replace(bundle.defaults, alpha=(a,) * 3), bundle.models)
            for a in (alpha - 1e-6, alpha + 1e-6)
        )
        assert before != after


@pytest.mark.parametrize("seed", range(8))
def test_every_change_of_a_pick_is_a_tick_and_every_tick_a_change(
    seed: int, files: dict[str, Any], write_bundle: Writer
) -> None:
    """Against the scoring that serves, on random bundles, every other one with a floor."""
    random = Random(seed)
    training = files["metadata.yaml"]["training"]
    training["top_p"] = random.choice([1, 2, 3])
    for row in files["quality_means.json"]["quality_means"].values():
        row |= {model: random.random() for model in row}
    for row in files["model_axes.json"]["axes"].values():
        row["input_per_1k_usd"] = random.random()
    if seed % 2:
        training["default_routing_knobs"]["alpha_floor"] = [random.random() for _ in range(3)]
    bundle = load_bundle(write_bundle(files))
    floor = bundle.alpha_floor or (0.0, 0.0, 0.0)
    ticks = dial.calibrate(bundle, bundle.models, bundle.models, replace(bundle.defaults, alpha=())).alpha[
        1:-1
    ]

    def picked_at(alpha: float) -> list[str]:
        held = tuple(max(alpha, least) for least in floor)
        return picks(bundle, replace(bundle.defaults, alpha=held), bundle.models)

    steps = [step / 200 for step in range(201)]
    for low, high in pairwise(steps):
        if picked_at(low) != picked_at(high):
            assert any(low - 1 / 400 <= tick <= high + 1 / 400 for tick in ticks)
    for tick in ticks:
        assert picked_at(max(0.0, tick - 1 / 400)) != picked_at(min(1.0, tick + 1 / 400))


def test_the_mix_that_can_be_picked_counts_and_not_what_is_excluded(bundle: Bundle) -> None:
    """Whatever the models, half the way makes half the change, though all are measured against all."""
    for eligible in (("alder", "birch"), ("birch", "cedar")):
        knobs = dial.effective(bundle, Overrides(quality_bias=0.5), eligible=eligible)
        picks = {score(bundle, vector, knobs, eligible=eligible).model for vector in bundle.centroids}
        assert picks == set(eligible)


def test_the_floor_of_alpha_holds(files: dict[str, Any], write_bundle: Writer) -> None:
    files["metadata.yaml"]["training"]["default_routing_knobs"]["alpha_floor"] = [0.0, 0.35, 0.9]
    bundle = load_bundle(write_bundle(files))
    for bias in (0.0, 0.3, 1.0):
        alpha = at(bundle, bias, bundle.models).alpha
        assert alpha == (alpha[0], max(alpha[0], 0.35), max(alpha[0], 0.9))
    assert dial.effective(bundle, Overrides(alpha=0.0)).alpha == (0.0, 0.0, 0.0)  # said outright, it is meant


def test_below_its_floor_a_cluster_takes_no_travel(files: dict[str, Any], write_bundle: Writer) -> None:
    """Held at their best model, clusters 0 and 1 never change: all ticks are those of cluster 2."""
    free = load_bundle(write_bundle(files, "free"))
    files["metadata.yaml"]["training"]["default_routing_knobs"]["alpha_floor"] = [1.0, 1.0, 0.0]
    held = load_bundle(write_bundle(files, "held"))
    others = replace(free.defaults, alpha=())
    assert len(dial.calibrate(free, free.models, free.models, others).alpha) > 2
    assert dial.calibrate(held, held.models, held.models, others).alpha == (0.0, 1.0)


def test_what_the_speed_weight_takes_alpha_cannot_have(bundle: Bundle) -> None:
    assert at(bundle, 1.0, bundle.models, speed_weight=0.3).alpha == (0.7, 0.7, 0.7)
    assert at(bundle, 0.5, bundle.models, speed_weight=1.0).alpha == (0.0, 0.0, 0.0)


def test_a_floor_and_a_speed_weight_above_one_are_the_clients_error(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    files["metadata.yaml"]["training"]["default_routing_knobs"]["alpha_floor"] = [0.0, 0.6, 0.2]
    bundle = load_bundle(write_bundle(files))
    with pytest.raises(ClientError, match=r"0\.5.*alpha_floor \(0\.6 in cluster 1\)") as caught:
        at(bundle, 0.5, bundle.models, speed_weight=0.5)
    assert caught.value.source == "x-router-speed-weight"


def test_the_other_knobs_shift_the_ticks(bundle: Bundle) -> None:
    biases = [at(bundle, 0.4, bundle.models, output_cost_ratio=ratio).alpha for ratio in (0.0, 10.0)]
    assert biases == [at(bundle, 0.4, bundle.models, output_cost_ratio=ratio).alpha for ratio in (0.0, 10.0)]
    speed = at(bundle, 0.4, bundle.models, speed_weight=0.4).alpha
    assert speed != biases[0]


def test_one_model_leaves_nothing_to_turn(bundle: Bundle) -> None:
    assert at(bundle, 0.25, ("birch",)).alpha == (0.25, 0.25, 0.25)


def test_v1_has_no_ticks(files: dict[str, Any], write_bundle: Writer) -> None:
    del files["quality_means.json"], files["model_axes.json"]
    bundle = load_bundle(write_bundle(files))
    assert at(bundle, 0.25, bundle.models).alpha == (0.25, 0.25, 0.25)


def test_the_hash_is_that_of_the_alpha_it_stands_for(bundle: Bundle) -> None:
    turned = at(bundle, 0.5, bundle.models)
    assert turned.hash == dial.effective(bundle, Overrides(alpha=turned.alpha[0])).hash
    assert turned.hash != at(bundle, 0.6, bundle.models).hash


def test_what_is_remembered_is_bounded(bundle: Bundle) -> None:
    for step in range(200):
        at(bundle, step / 200, bundle.models)
    assert dial._turned.cache_info().currsize == 128
    assert dial.calibrate.cache_parameters()["maxsize"] == 128


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    from scoring.conftest import contents, write

    yield load_bundle(write(tmp_path_factory.mktemp("turning") / "v1", contents()))


@given(bias=st.floats(0, 1), more=st.floats(0, 1), speed=st.floats(0, 1))
def test_more_bias_is_never_less_alpha(turning: Bundle, bias: float, more: float, speed: float) -> None:
    low, high = (
        at(turning, value, turning.models, speed_weight=speed).alpha[0] for value in sorted((bias, more))
    )
    assert 0 <= low <= high <= 1 - speed
