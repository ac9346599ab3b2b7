from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.training.aiq import aiq, hull, reach


def points(*pairs: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])


def vertices(*pairs: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return hull(*points(*pairs))


def test_paying_more_for_less_is_off_the_hull() -> None:
    x, y = hull(*points((1, 0.5), (2, 0.4), (3, 0.7)))
    assert (x.tolist(), y.tolist()) == ([1, 3], [0.5, 0.7])


def test_mixing_two_settings_beats_what_lies_below_their_line() -> None:
    x, _ = hull(*points((0, 0.0), (1, 0.4), (2, 1.0)))
    assert x.tolist() == [0, 2]


def test_the_area_by_hand() -> None:
    # Up from (0, 0) to (1, .8), then flat to 2: (.4 + .8) / 2.
    assert aiq(*vertices((0, 0.0), (1, 0.8), (2, 0.3)), 0.0, 2.0) == pytest.approx(0.6)


def test_left_of_the_hull_its_first_quality_holds_and_right_of_it_its_last() -> None:
    assert aiq(*vertices((1, 0.5), (2, 1.0)), 0.0, 3.0) == pytest.approx((0.5 + 0.75 + 1.0) / 3)


def test_a_range_without_width() -> None:
    assert aiq(*vertices((1, 0.5), (1, 0.7)), 1.0, 1.0) == 0.7


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8), st.floats(0, 1))
def test_the_hull_is_the_best_that_mixing_two_points_can_do(
    pairs: list[tuple[float, float]], at: float
) -> None:
    x, y = hull(*points(*pairs))
    height = float(np.interp(at, x, y))
    reachable = [q for c, q in pairs if c <= at]
    for c1, q1 in pairs:
        reachable += [q1 + (q2 - q1) * (at - c1) / (c2 - c1) for c2, q2 in pairs if c1 < at < c2]
    if reachable:
        assert height == pytest.approx(max(reachable), abs=1e-9)
    assert (np.diff(y) > 0).all()


def test_the_least_cost_of_a_quality() -> None:
    three = vertices((1, 0.5), (2, 0.7), (4, 0.8))
    assert reach(*three, 0.6) == pytest.approx(1.5)
    assert reach(*three, 0.4) == 1
    assert reach(*three, 0.8) == 4
    assert reach(*three, 0.9) == np.inf
