from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.scoring.bundle_files import AXES
from pointsman.scoring.cluster import blend
from pointsman.scoring.knobs import Knobs
from pointsman.training.recipe import (
    LAMBDAS,
    OWN_COUNT,
    alpha_for,
    borrowed_cells,
    cluster_lengths,
    own_cells,
    regressed,
    served,
    transferred_cells,
)


@given(st.integers(0, 10_000), st.floats(0.01, 3))
def test_the_fitted_alpha_gives_the_absolute_gap_back(seed: int, money: float) -> None:
    """Picking by the blend is picking by quality − λ·normalised cost, in every cluster."""
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((5, 4)), rng.random(4)
    axes = dict.fromkeys(AXES, np.full(4, np.nan)) | {"input_per_1k_usd": cost}
    blended = blend(quality, axes, Knobs(alpha_for(quality, money)))
    normalised = (cost - cost.min()) / (cost.max() - cost.min())
    assert np.array_equal(blended.argmax(axis=1), (quality - money * normalised).argmax(axis=1))


def test_money_of_no_worth_leaves_quality_alone() -> None:
    assert alpha_for(np.array([[0.2, 0.6]]), 0.0) == (1.0,)
    assert alpha_for(np.array([[0.5, 0.5]]), 0.0) == (0.0,)


def test_a_bundle_serves_the_better_model_first_and_the_cheaper_one_last() -> None:
    chosen = served(np.array([[0.2, 0.9], [0.8, 0.3]]), np.array([1.0, 5.0]), np.array([[0], [1]]))
    assert chosen.shape == (2, len(LAMBDAS))
    assert chosen[:, 0].tolist() == [1, 0]
    assert chosen[:, -1].tolist() == [0, 0]


def test_the_nearest_clusters_are_added_up() -> None:
    cells = np.array(
        [[0.1, 0.2, 0.3], [0.9, 0.8, 0.1]]
    )  # the second model is nobody's best and everybody's second
    price = np.array([1.0, 1.0, 5.0])
    assert served(cells, price, np.array([[0], [1]]))[:, 0].tolist() == [2, 0]
    assert served(cells, price, np.array([[0, 1]]))[:, 0].tolist() == [1]


def test_own_cells_are_means_shrunk_to_the_mean() -> None:
    quality = np.array([[1.0], [1.0], [0.0], [0.0]])
    cells = own_cells(np.array([0, 0, 1, 1]), quality, 3)
    share = 2 / (2 + OWN_COUNT)
    assert cells[:, 0] == pytest.approx([0.5 + share / 2, 0.5 - share / 2, 0.5])


def test_own_cells_are_shrunk_to_what_is_expected_there() -> None:
    quality = np.array([[1.0], [1.0], [0.0], [0.0]])
    cells = own_cells(np.array([0, 0, 1, 1]), quality, 3, np.array([[0.8], [1.0], [0.2], [0.2]]))
    share = 2 / (2 + OWN_COUNT)
    assert cells[:, 0] == pytest.approx([0.9 + share * 0.1, 0.2 - share * 0.2, 0.5])


def test_a_regression_finds_a_line_and_under_a_great_penalty_the_mean() -> None:
    x = np.random.default_rng(0).random((500, 3)).astype(np.float32)
    quality = 0.2 + x @ np.array([[0.5], [0.0], [-0.3]])
    assert np.abs(regressed(x, quality, 2 * x, 1e-3) - (0.2 + 2 * (quality - 0.2))).max() < 0.01
    assert np.allclose(regressed(x, quality, x, 1e9), quality.mean(), atol=1e-3)


def test_where_prompts_are_longer_the_dear_model_has_to_bring_more() -> None:
    cells, price = np.tile([0.5, 0.7], (2, 1)), np.array([1.0, 5.0])
    chosen = served(cells, price, np.array([[0], [1]]), np.array([0.5, 2.0]))
    assert (np.diff(chosen, axis=1) <= 0).all()
    assert chosen[0].sum() > chosen[1].sum() > 0


def test_lengths_are_relative_and_shrunk() -> None:
    cost = np.array([[1.0, 11.0]] * 1000 + [[1.0, 31.0]] * 1000)
    found = cluster_lengths(np.repeat([0, 1], 1000), cost, 3)
    assert found == pytest.approx([0.5, 1.5, 1.0], abs=0.02)


def test_no_cluster_is_without_length() -> None:
    cost = np.array([[1.0, 1.0]] * 1000 + [[1.0, 31.0]] * 1000)
    assert cluster_lengths(np.repeat([0, 1], 1000), cost, 2).tolist() == pytest.approx([0.05, 2], abs=0.05)
    assert cluster_lengths(np.zeros(5, np.intp), np.ones((5, 2)), 1)[0] > 0


def test_a_target_is_expected_to_find_hard_what_the_others_find_hard() -> None:
    cluster = np.repeat([0, 1], 500)
    references = np.stack([np.repeat([0.9, 0.5], 500), np.repeat([0.8, 0.3], 500)], axis=1)
    cells = transferred_cells(cluster, references, np.array([0.6]), 2)
    assert cells[0, 0] > 0.7
    assert cells[1, 0] < 0.5
    assert cells.mean() == pytest.approx(0.6, abs=0.01)


def test_where_no_pool_knows_a_cluster_a_target_is_as_good_as_ever() -> None:
    cluster = np.repeat([0, 1], 500)
    references = np.stack([np.repeat([0.9, 0.5], 500), np.repeat([0.8, 0.3], 500)], axis=1)
    cells = borrowed_cells([(cluster, references)], np.array([0.6]), 3)
    assert cells[0, 0] > 0.65
    assert cells[1, 0] < 0.5
    assert cells[2, 0] == pytest.approx(0.6)
