from __future__ import annotations

import numpy as np
import pytest
from pointsman.training.transfer import (
    cell_sums,
    fit_difficulty,
    leave_one_out_rmse,
    logit,
    predict,
    sigmoid,
)

DIFFICULTY = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])
ABILITY = np.array([-1.0, -0.3, 0.2, 0.8, 1.5, 2.0])
COUNT = 4000.0


def world(ability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sums, counts, means) of models that follow a Rasch model exactly."""
    cells = sigmoid(DIFFICULTY[:, None] + ability)
    return cells * COUNT, np.full_like(cells, COUNT), cells.mean(axis=0)


def test_sums_and_counts_leave_out_what_nobody_measured() -> None:
    member = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    quality = np.array([[1.0, np.nan], [0.5, 1.0], [0.0, 0.25]])
    sums, counts = cell_sums(member, quality)
    assert sums.tolist() == [[1.5, 1.0], [0.0, 0.25]]
    assert counts.tolist() == [[2.0, 1.0], [1.0, 1.0]]


def test_a_model_never_seen_is_predicted_from_its_mean_alone() -> None:
    sums, counts, means = world(ABILITY[:-1])
    _, _, unseen = world(ABILITY[-1:])
    predicted = predict(fit_difficulty(sums, counts, means), unseen)[:, 0]
    truth = sigmoid(DIFFICULTY + ABILITY[-1])
    assert np.abs(predicted - truth).max() < 0.03
    assert np.abs(predicted - truth).max() < np.abs(unseen - truth).max() / 5


def test_predictions_have_the_mean_they_were_made_from() -> None:
    sums, counts, means = world(ABILITY)
    fit = fit_difficulty(sums, counts, means)
    asked = np.array([0.1, 0.5, 0.97])
    assert fit.weight @ predict(fit, asked) == pytest.approx(asked, abs=1e-9)


def test_without_data_a_cluster_is_like_the_average() -> None:
    sums, counts, means = world(ABILITY)
    sums[0], counts[0] = 0.0, 0.0
    fit = fit_difficulty(sums, counts, means)
    assert fit.b[0] == pytest.approx(0, abs=1e-12)
    assert fit.a[0] == pytest.approx(1, abs=1e-12)


def test_slopes_are_shrunk_to_one_the_more_the_less_is_known() -> None:
    def slope(scale: float) -> float:
        cells = sigmoid(np.outer([1.0, 1.0], 2.0 * ABILITY))  # true slope 2
        cells[1] = sigmoid(ABILITY)
        return float(fit_difficulty(cells * scale, np.full_like(cells, scale), sigmoid(ABILITY)).a[0])

    assert 1 < slope(20) < slope(200) < slope(20_000) < 2.01


def test_harder_clusters_are_harder_for_everyone() -> None:
    sums, counts, means = world(ABILITY)
    predicted = predict(fit_difficulty(sums, counts, means), np.array([0.3, 0.9]))
    assert (np.diff(predicted, axis=0) > 0).all()


def test_leave_one_out_error_is_small_where_the_model_holds_and_large_where_it_does_not() -> None:
    sums, counts, means = world(ABILITY)
    calm = leave_one_out_rmse(sums, counts, means)
    sums[2, 3] *= 0.5
    assert calm.max() < 0.05
    assert leave_one_out_rmse(sums, counts, means)[2] > 0.1


def test_one_reference_is_judged_by_its_own_spread() -> None:
    sums, counts, means = world(ABILITY[:1])
    spread = np.abs(sigmoid(DIFFICULTY + ABILITY[0]) - means)
    assert leave_one_out_rmse(sums, counts, means) == pytest.approx(spread, abs=1e-3)


def test_logit_and_sigmoid_undo_each_other() -> None:
    p = np.array([0.01, 0.5, 0.99])
    assert sigmoid(logit(p)) == pytest.approx(p)
