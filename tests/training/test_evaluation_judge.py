"""The yardsticks against hand-made truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.training.evaluation.judge import Judge, figure, judge, recovered
from pointsman.training.evaluation.pools import Pool

WEAK, STRONG = 0, 1


def pool(quality: np.ndarray, cost: np.ndarray) -> Pool:
    rows = np.arange(len(quality))
    return Pool("p", ("p",), tuple("abcdef"[: quality.shape[1]]), rows, quality, cost)


@pytest.fixture(scope="module")
def two() -> Judge:
    """A weak model right on half of the prompts, a strong one on all, at ten times the price."""
    quality = np.stack([np.arange(400) % 2, np.ones(400)], axis=1).astype(float)
    return judge(pool(quality, np.tile([1.0, 10.0], (400, 1))), bootstraps=200)


def rising(judged: Judge, first: np.ndarray, settings: int = 41) -> np.ndarray:
    """Choices [n, settings] that send ever more prompts to the strong model, in the order `first` [n]."""
    rank = np.argsort(np.argsort(first))
    return (rank[:, None] < np.linspace(0, len(first), settings)).astype(np.intp)


def test_the_single_models_are_the_zero_router_and_a_pair_of_them_its_chord(two: Judge) -> None:
    assert two.aiq(two.singles())[0] == pytest.approx(75)
    assert np.allclose(two.aiq(two.chord()), two.aiq(two.singles()))


def test_a_random_choice_recovers_half_of_the_gap_and_gains_nothing(two: Judge) -> None:
    sweep = two.sweep(rising(two, np.random.default_rng(1).random(400)))
    apgr, cpt50, cpt80 = two.recovered(sweep)
    assert apgr[0] == pytest.approx(0.5, abs=0.05)
    assert (cpt50[0], cpt80[0]) == pytest.approx((0.5, 0.8), abs=0.05)
    assert abs(two.aiq(sweep)[0] - 75) < 2


def test_the_chord_recovers_exactly_half(two: Judge) -> None:
    apgr, cpt50, cpt80 = (values[0] for values in two.recovered(two.chord()))
    assert (apgr, cpt50, cpt80) == pytest.approx((0.5, 0.5, 0.8))


def test_who_sends_only_what_the_weak_model_gets_wrong(two: Judge) -> None:
    sweep = two.sweep(rising(two, two.pool.quality[:, WEAK]))
    apgr, cpt50, cpt80 = (values[0] for values in two.recovered(sweep))
    assert (apgr, cpt50, cpt80) == pytest.approx((0.75, 0.25, 0.4), abs=1e-5)
    assert two.saving(sweep)[0] == pytest.approx(1 - 5.5 / 10, abs=1e-5)


def test_the_oracle_is_always_right_at_the_least_cost(two: Judge) -> None:
    sweep = two.oracle(np.array([0.01]))
    assert sweep.quality[0, 0] == pytest.approx(1)
    assert sweep.cost[0, 0] == pytest.approx(5.5)
    assert two.saving(sweep)[0] == pytest.approx(0.45, abs=1e-5)


def test_what_never_reaches_the_best_model_saves_nothing(two: Judge) -> None:
    assert two.saving(two.sweep(np.zeros((400, 1), np.intp))).tolist() == [0.0] * 201
    assert two.saving(two.sweep(np.ones((400, 1), np.intp)))[0] == pytest.approx(0, abs=1e-5)


def test_a_strong_model_that_is_not_better_has_no_gap_to_recover() -> None:
    assert np.isnan(recovered(np.array([0.5]), np.array([0.5]), 0.6, 0.6)).all()


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10),
    st.floats(0, 0.4),
    st.floats(0.6, 1),
)
def test_more_of_the_gap_takes_no_fewer_calls(
    points: list[tuple[float, float]], weak: float, strong: float
) -> None:
    share, quality = np.array(points).T
    _, cpt50, cpt80 = recovered(share, quality, weak, strong)
    assert 0 <= cpt50 <= cpt80 <= 1


def test_brier_is_that_of_scikit_learn(two: Judge) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs the train extra")
    expected = np.random.default_rng(2).random((400, 2))
    by_hand = [metrics.brier_score_loss(two.pool.quality[:, m].astype(int), expected[:, m], pos_label=1)
               for m in (WEAK, STRONG)]  # fmt: skip
    assert two.brier(expected)[0] == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_resamples_are_the_same_for_everything_and_every_time(two: Judge) -> None:
    again = judge(two.pool, bootstraps=200)
    sweep = two.sweep(rising(two, np.random.default_rng(1).random(400)))
    assert np.array_equal(again.weights, two.weights)
    assert np.array_equal(two.aiq(sweep), again.aiq(sweep))
    assert not np.array_equal(judge(two.pool, bootstraps=200, seed=1).weights, two.weights)
    assert np.allclose(two.weights.sum(axis=1), 1, atol=1e-5)


def test_a_difference_has_a_narrower_interval_than_its_sides() -> None:
    """Paired: what makes a resample easy makes it easy for both."""
    rng = np.random.default_rng(4)
    easy = (rng.random(500) < 0.5).astype(float)
    judged = judge(pool(np.stack([easy, easy], axis=1), np.tile([1.0, 2.0], (500, 1))), bootstraps=300)
    one = judged.brier(np.full((500, 2), 0.7))
    other = judged.brier(np.full((500, 2), 0.71))
    width = figure(one).high - figure(one).low
    assert figure(one - other).high - figure(one - other).low < width / 5


def test_an_interval_covers_its_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(100):
        quality = (rng.random((200, 2)) < [0.4, 0.7]).astype(float)
        found = figure(judge(pool(quality, np.tile([1.0, 2.0], (200, 1))), 100).quality[:, 1])
        covered += found.low <= 0.7 <= found.high
    assert 85 <= covered <= 100


def test_the_curve_is_the_hull_and_is_unknown_left_of_it(two: Judge) -> None:
    curve = two.curve(two.singles(), np.array([0.5, 1.0, 5.5, 10.0, 12.0]))
    assert curve[0] == pytest.approx([np.nan, 0.5, 0.75, 1.0, 1.0], nan_ok=True)


def test_of_some_models(two: Judge) -> None:
    three = judge(pool(np.random.default_rng(0).random((50, 3)), np.tile([1.0, 2, 3], (50, 1))), 10)
    part = three.of([0, 2])
    assert part.pool.models == ("a", "c")
    assert np.array_equal(part.quality, three.quality[:, [0, 2]])
    assert (part.dearest, three.dearest) == (1, 2)
