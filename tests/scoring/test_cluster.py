"""Named hazards of the blend; the numbers are worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pointsman.errors import BundleError
from pointsman.scoring.bundle import Bundle, load_bundle
from pointsman.scoring.cluster import score
from pointsman.scoring.knobs import Knobs, Overrides, merge

Writer = Callable[..., Path]
FIRST = np.array([1, 0, 0, 0], dtype=np.float32)
SECOND = np.array([0, 1, 0, 0], dtype=np.float32)
FLAT = np.array([0, 0, 1, 0], dtype=np.float32)  # the cluster where all qualities are equal


def knobs(
    alpha: float, speed: float = 0.0, ratio: float = 0.0, tokens: int = 2000, talk: bool = False
) -> Knobs:
    return Knobs((alpha,) * 3, speed, ratio, tokens, talk)


@pytest.fixture
def bundle(write_bundle: Writer) -> Bundle:
    return load_bundle(write_bundle())


def with_axis(files: dict[str, Any], axis: str, **values: float | None) -> dict[str, Any]:
    for model, value in values.items():
        files["model_axes.json"]["axes"][model][axis] = value
    return files


def test_worked_example(bundle: Bundle) -> None:
    # q̂ = 0, .6, 1; ĉ = 0, 2/9, 1; alpha .5.
    scored = score(bundle, FIRST, knobs(0.5))
    assert scored.scores == pytest.approx({"alder": 0.5, "birch": 0.3 + 0.5 * 7 / 9, "cedar": 0.5})
    assert (scored.model, scored.runner_up) == ("birch", "alder")
    assert scored.margin == pytest.approx(0.3 + 0.5 * 7 / 9 - 0.5)
    assert scored.quality == pytest.approx({"alder": 0.3, "birch": 0.6, "cedar": 0.8})
    assert scored.clusters == ((0, 1.0),)


def test_quality_alone_and_price_alone(bundle: Bundle) -> None:
    assert score(bundle, FIRST, knobs(1.0)).model == "cedar"
    assert score(bundle, FIRST, knobs(0.0)).model == "alder"


def test_nearest_clusters_tie_to_the_lower_index(bundle: Bundle) -> None:
    between = np.array([0, 0.5, 0.5, 0], dtype=np.float32)
    assert [k for k, _ in score(bundle, between, top_p=1).clusters] == [1]
    assert [k for k, _ in score(bundle, between, top_p=2).clusters] == [1, 2]
    assert [k for k, _ in score(bundle, np.zeros(4, np.float32), top_p=3).clusters] == [0, 1, 2]


def test_more_clusters_than_there_are_means_all(bundle: Bundle) -> None:
    assert [k for k, _ in score(bundle, SECOND, top_p=9).clusters] == [1, 0, 2]


def test_scores_add_up_over_the_nearest_clusters(bundle: Bundle) -> None:
    near_two = np.array([0.8, 0.6, 0, 0], dtype=np.float32)
    one, two = (score(bundle, v, knobs(0.7)).scores for v in (FIRST, SECOND))
    both = score(bundle, near_two, knobs(0.7), top_p=2).scores
    assert both == {m: one[m] + two[m] for m in one}


def test_each_cluster_has_its_own_alpha(bundle: Bundle) -> None:
    mixed = replace(knobs(0.0), alpha=(1.0, 0.0, 0.0))
    assert score(bundle, FIRST, mixed).model == "cedar"
    assert score(bundle, SECOND, mixed).model == "alder"


def test_degenerate_range_of_quality_gives_zero_and_leaves_it_to_the_price(bundle: Bundle) -> None:
    scored = score(bundle, FLAT, knobs(0.9))
    assert scored.model == "alder"
    assert scored.scores["cedar"] == 0.0


def test_degenerate_ranges_everywhere_tie_to_the_alphabetically_first(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "input_per_1k_usd", alder=0.01, birch=0.01, cedar=0.01)
    scored = score(load_bundle(write_bundle(files)), FLAT, knobs(0.5))
    assert (scored.model, scored.runner_up, scored.margin) == ("alder", "birch", 0.0)


def test_exclusion_never_shifts_the_normalisation(bundle: Bundle) -> None:
    everyone = score(bundle, FIRST, knobs(0.5))
    without = score(bundle, FIRST, knobs(0.5), eligible=["cedar", "alder"])
    assert without.scores == everyone.scores
    assert (without.model, without.runner_up, without.margin) == ("alder", "cedar", 0.0)


def test_deployment_does_shift_the_normalisation(bundle: Bundle) -> None:
    scored = score(bundle, FIRST, knobs(0.5), deployed=["alder", "birch"])
    assert scored.scores == {"alder": 0.5, "birch": 0.5}
    assert scored.model == "alder"


def test_one_model_left_has_no_runner_up(bundle: Bundle) -> None:
    scored = score(bundle, FIRST, eligible={"birch"})
    assert (scored.model, scored.runner_up, scored.margin) == ("birch", "", None)


@pytest.mark.parametrize(
    "choice", [{"eligible": []}, {"eligible": ["yew"]}, {"deployed": []}, {"deployed": ["yew"]}]
)
def test_nobody_left_is_an_error(bundle: Bundle, choice: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="deployed and eligible"):
        score(bundle, FIRST, **choice)


def test_names_the_bundle_does_not_know_are_ignored(bundle: Bundle) -> None:
    assert score(bundle, FIRST, deployed=["alder", "yew"]).scores.keys() == {"alder"}


def test_speed_counts(bundle: Bundle) -> None:
    # Seconds at 2,000 tokens: 20.5, 41, 82, so ŝ = 0, 1/3, 1.
    scored = score(bundle, FIRST, knobs(0.0, speed=1.0))
    assert scored.scores == pytest.approx({"alder": 1.0, "birch": 2 / 3, "cedar": 0.0})


def test_expected_tokens_weigh_decoding_against_the_first_token(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "ttft_s", alder=9.0)
    bundle = load_bundle(write_bundle(files))
    assert score(bundle, FIRST, knobs(0.0, speed=1.0, tokens=0)).model == "birch"
    assert score(bundle, FIRST, knobs(0.0, speed=1.0, tokens=2000)).model == "alder"


def test_one_untimed_among_timed_is_as_slow_as_the_slowest(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "tps", alder=None)
    scored = score(load_bundle(write_bundle(files)), FIRST, knobs(0.0, speed=1.0))
    assert scored.scores == {"alder": 0.0, "birch": 1.0, "cedar": 0.0}


def test_zero_tokens_per_second_is_unknown(files: dict[str, Any], write_bundle: Writer) -> None:
    with_axis(files, "tps", alder=0.0)
    assert score(load_bundle(write_bundle(files)), FIRST, knobs(0.0, speed=1.0)).scores["alder"] == 0.0


def test_all_untimed_speed_goes_to_the_others_in_proportion(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "tps", alder=None, birch=None, cedar=None)
    bundle = load_bundle(write_bundle(files))
    assert score(bundle, FIRST, knobs(0.3, speed=0.4)).scores == pytest.approx(
        score(bundle, FIRST, knobs(0.5)).scores
    )


def test_zero_speed_range_is_redistributed_too(files: dict[str, Any], write_bundle: Writer) -> None:
    with_axis(files, "tps", alder=50.0, birch=50.0, cedar=50.0)
    with_axis(files, "ttft_s", alder=1.0, birch=1.0, cedar=None)
    bundle = load_bundle(write_bundle(files))
    assert score(bundle, FIRST, knobs(0.3, speed=0.4)).scores == pytest.approx(
        score(bundle, FIRST, knobs(0.5)).scores
    )


def test_pure_speed_with_all_timing_missing_falls_back_to_quality(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "ttft_s", alder=None, birch=None, cedar=None)
    scored = score(load_bundle(write_bundle(files)), FIRST, knobs(0.0, speed=1.0))
    assert scored.scores == pytest.approx({"alder": 0.0, "birch": 0.6, "cedar": 1.0})


def test_pure_speed_with_missing_timing_takes_the_fastest_of_the_timed(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "tps", alder=None)
    scored = score(
        load_bundle(write_bundle(files)), FIRST, knobs(0.0, speed=1.0), eligible=["alder", "cedar"]
    )
    assert (scored.model, scored.runner_up) == ("alder", "cedar")  # both as slow as can be: the first by name
    assert score(load_bundle(write_bundle(files)), FIRST, knobs(0.0, speed=1.0)).model == "birch"


def test_a_degenerate_range_of_price_leaves_it_to_quality_and_speed(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "input_per_1k_usd", alder=0.01, birch=0.01, cedar=0.01)
    # ĉ is 0 for all, so each has the whole weight of the price.
    scored = score(load_bundle(write_bundle(files)), FIRST, knobs(0.3, speed=0.2))
    assert scored.scores == pytest.approx({"alder": 0.7, "birch": 0.18 + 0.5 + 0.2 * 2 / 3, "cedar": 0.8})


def test_a_sum_within_the_slack_never_turns_the_price_around(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "tps", alder=None, birch=None, cedar=None)
    slack = Knobs((1e-10,) * 3, 1.0)  # wq + wc would be rounding noise of either sign
    scored = score(load_bundle(write_bundle(files)), FIRST, slack)
    assert scored.scores == pytest.approx({"alder": 0.0, "birch": 0.6, "cedar": 1.0})


def test_output_price_counts_by_the_ratio(files: dict[str, Any], write_bundle: Writer) -> None:
    with_axis(files, "output_per_1k_usd", alder=1.0)
    bundle = load_bundle(write_bundle(files))
    assert score(bundle, FLAT, knobs(0.0, ratio=0.0)).model == "alder"
    assert score(bundle, FLAT, knobs(0.0, ratio=1.0)).model == "birch"


def test_verbosity_is_measured_by_the_upper_median(files: dict[str, Any], write_bundle: Writer) -> None:
    # Of 400 and 800 the upper median is 800: alder's output counts half, birch's whole.
    with_axis(files, "verbosity_tokens", cedar=None)
    with_axis(files, "input_per_1k_usd", alder=0.0, birch=0.0, cedar=0.0)
    with_axis(files, "output_per_1k_usd", alder=2.0, birch=2.0, cedar=3.0)
    bundle = load_bundle(write_bundle(files))
    talk = score(bundle, FLAT, knobs(0.0, ratio=1.0, talk=True)).scores
    assert talk == pytest.approx({"alder": 1.0, "birch": 0.5, "cedar": 0.0})
    assert score(bundle, FLAT, knobs(0.0, ratio=1.0)).scores["alder"] == 1.0


def test_unknown_price_is_as_dear_as_the_dearest_never_free(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "input_per_1k_usd", alder=None)
    scored = score(load_bundle(write_bundle(files)), FLAT, knobs(0.0))
    assert scored.scores == {"alder": 0.0, "birch": 1.0, "cedar": 0.0}


def test_unknown_output_price_matters_only_where_output_does(
    files: dict[str, Any], write_bundle: Writer
) -> None:
    with_axis(files, "output_per_1k_usd", alder=None)
    bundle = load_bundle(write_bundle(files))
    assert score(bundle, FLAT, knobs(0.0, ratio=0.0)).model == "alder"
    assert score(bundle, FLAT, knobs(0.0, ratio=0.1)).model == "birch"


def test_absurd_but_legal_figures_do_not_overflow(files: dict[str, Any], write_bundle: Writer) -> None:
    with_axis(files, "tps", alder=5e-324)
    with_axis(files, "verbosity_tokens", alder=1e12, birch=5e-324, cedar=None)
    scored = score(load_bundle(write_bundle(files)), FIRST, knobs(0.2, speed=0.3, ratio=10.0, talk=True))
    assert all(np.isfinite(value) for value in scored.scores.values())


def test_v1_sums_the_rankings_and_ignores_knobs(write_bundle: Writer) -> None:
    bundle = load_bundle(write_bundle(), format=1)
    scored = score(bundle, FIRST, knobs(1.0), top_p=2)
    assert scored.scores == {"alder": -0.002, "birch": -0.006, "cedar": -0.02}
    assert scored == score(bundle, FIRST, knobs(0.0), top_p=2)
    assert scored.quality == {}


def test_an_override_leaves_nothing_behind(bundle: Bundle) -> None:
    before = score(bundle, FIRST)
    score(bundle, FIRST, merge(bundle.defaults, Overrides(alpha=1.0, speed_weight=0.0), 3))
    assert score(bundle, FIRST) == before
    assert bundle.defaults.alpha == (0.5, 0.6, 0.7)


def test_answers_belong_to_the_caller(bundle: Bundle) -> None:
    scored = score(bundle, FIRST)
    scored.scores["alder"] = 99.0
    assert score(bundle, FIRST).scores["alder"] != 99.0


@pytest.mark.parametrize("vector", [np.zeros(3), np.zeros((1, 4))])
def test_another_shape_is_refused(bundle: Bundle, vector: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        score(bundle, vector)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_without_finite_numbers_is_refused(bundle: Bundle, bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        score(bundle, np.array([bad, 0, 0, 0]))


def test_knobs_for_another_number_of_clusters_are_the_bundles_fault(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="2 values of alpha for 3 clusters"):
        score(bundle, FIRST, Knobs((0.5, 0.5)))
