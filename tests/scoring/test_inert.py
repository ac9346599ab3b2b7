"""Knobs that do nothing are found by turning them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pointsman.scoring.bundle import load_bundle
from pointsman.scoring.inert import dormant_knobs, inert_knobs
from pointsman.scoring.knobs import NAMES


@pytest.fixture
def files(files: dict[str, Any]) -> dict[str, Any]:
    """The small bundle, with prices and times that are not proportional to each other."""
    axes = files["model_axes.json"]["axes"]
    axes["alder"]["output_per_1k_usd"] *= 3
    axes["birch"]["ttft_s"] = 3.0
    return files


def without(files: dict[str, Any], *axes: str) -> dict[str, Any]:
    for row in files["model_axes.json"]["axes"].values():
        row.update(dict.fromkeys(axes))
    return files


def test_a_complete_bundle_has_no_inert_knob(write_bundle: Any, files: dict[str, Any]) -> None:
    assert inert_knobs(load_bundle(write_bundle(files))) == ()


def test_where_output_costs_the_same_multiple_everywhere_its_ratio_is_inert(
    write_bundle: Any, files: dict[str, Any]
) -> None:
    for row in files["model_axes.json"]["axes"].values():
        row["output_per_1k_usd"] = 5 * row["input_per_1k_usd"]
    assert inert_knobs(load_bundle(write_bundle(files))) == ("output-cost-ratio",)


def test_knobs_that_need_another_one_are_dormant(write_bundle: Any, files: dict[str, Any]) -> None:
    """The bundle's default gives speed no weight, so the length of the answer weighs nothing yet."""
    bundle = load_bundle(write_bundle(files))
    assert bundle.defaults.speed_weight == 0
    assert dormant_knobs(bundle) == ("expected-output-tokens",)


@pytest.mark.parametrize(
    ("axes", "inert"),
    [
        (("ttft_s", "tps"), ("speed-weight", "expected-output-tokens")),
        (("tps",), ("speed-weight", "expected-output-tokens")),
        (("verbosity_tokens",), ("per-model-verbosity",)),
    ],
)
def test_what_lacks_its_data_is_inert(
    write_bundle: Any, files: dict[str, Any], axes: tuple[str, ...], inert: tuple[str, ...]
) -> None:
    bundle = load_bundle(write_bundle(without(files, *axes)))
    assert inert_knobs(bundle) == inert
    assert not set(dormant_knobs(bundle)) & set(inert)


def test_nothing_acts_in_a_bundle_that_was_blended_when_trained(
    write_bundle: Any, files: dict[str, Any], tmp_path: Path
) -> None:
    del files["quality_means.json"], files["model_axes.json"]
    assert inert_knobs(load_bundle(write_bundle(files))) == NAMES
