from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.errors import BundleError, ClientError
from pointsman.scoring.knobs import HEADERS, Knobs, Overrides, bias, check, merge, parse

WEAVE, OWN = "x-weave-routing-", "x-router-"
DEFAULTS = Knobs((0.4, 0.6), 0.1, 0.25, 1500, False)


def refused(headers: dict[str, str]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        parse(headers)
    assert caught.value.status == 400
    return caught.value


def test_no_headers_override_nothing() -> None:
    assert parse({"content-type": "application/json", "x-router-marker": "off"}) == Overrides()


@pytest.mark.parametrize("prefix", [WEAVE, OWN])
def test_all_five_under_both_names(prefix: str) -> None:
    headers = {
        f"{prefix}alpha": "0.25",
        f"{prefix}speed-weight": "1e-1",
        f"{prefix}output-cost-ratio": "10",
        f"{prefix}expected-output-tokens": "100000",
        f"{prefix}per-model-verbosity": "true",
    }
    assert parse(headers) == Overrides(0.25, 0.1, 10.0, 100_000, True)


def test_headers_lists_every_name_for_removal() -> None:
    assert len(HEADERS) == len(set(HEADERS)) == 11
    assert {f"{WEAVE}alpha", f"{OWN}per-model-verbosity", f"{OWN}quality-bias"} <= set(HEADERS)


def test_header_names_are_read_in_any_case() -> None:
    assert parse({"X-Weave-Routing-Alpha": ".5"}) == Overrides(alpha=0.5)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("text", ["", " ", "\t  \t"])
def test_header_empty_or_of_spaces_is_absent(name: str, text: str) -> None:
    assert parse({name: text}) == Overrides()


def test_header_spaces_around_a_value_do_not_matter() -> None:
    headers = {f"{OWN}alpha": "  .5\t", f"{OWN}expected-output-tokens": " 7 "}
    assert parse(headers | {f"{WEAVE}per-model-verbosity": "\ttrue"}) == Overrides(
        alpha=0.5, expected_output_tokens=7, per_model_verbosity=True
    )


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "inf", "-Inf", "Infinity", "1e999"])
def test_header_nan_and_inf_are_refused(name: str, text: str) -> None:
    assert refused({name: text}).source == name


@pytest.mark.parametrize("text", ["0", "1", "-0", "+1.0", ".5", "5.e-1", "1e-400"])
def test_numbers_within_range(text: str) -> None:
    assert parse({f"{OWN}alpha": text}) == Overrides(alpha=float(text))


def test_negative_zero_is_zero_for_the_hash_too() -> None:
    assert (
        merge(DEFAULTS, parse({f"{OWN}alpha": "-0"}), 2).hash == merge(DEFAULTS, Overrides(alpha=0.0), 2).hash
    )


BAD_FRACTIONS = ["nan", "NaN", "inf", "-Inf", "Infinity", "1e999", "-0.1", "1.0000001", "half", "0x1p-1",
                 "1_0", "٠", "0.5, 0.5", "0,5", "--1", "."]  # fmt: skip


@pytest.mark.parametrize("name", [f"{WEAVE}alpha", f"{WEAVE}speed-weight", f"{OWN}quality-bias"])
@pytest.mark.parametrize("text", BAD_FRACTIONS)
def test_fractions_out_of_range_name_header_and_rule(name: str, text: str) -> None:
    error = refused({name: text})
    assert str(error).startswith(f"{name} must be a finite number from 0 to 1, not ")
    assert error.source == name


@pytest.mark.parametrize("text", ["nan", "-1", "10.01", "1e9"])
def test_output_cost_ratio_up_to_ten(text: str) -> None:
    assert "from 0 to 10, not" in str(refused({f"{OWN}output-cost-ratio": text}))


@pytest.mark.parametrize("text", ["-1", "100001", "2000.0", "2e3", "two", "9" * 5000])
def test_expected_output_tokens_is_an_integer(text: str) -> None:
    assert "a whole number from 0 to 100000" in str(refused({f"{OWN}expected-output-tokens": text}))


@pytest.mark.parametrize("text", ["True", "1", "yes", "TRUE", "false,"])
def test_verbosity_is_exactly_true_or_false(text: str) -> None:
    assert "exactly true or false" in str(refused({f"{OWN}per-model-verbosity": text}))


def test_both_aliases_with_one_value_are_fine() -> None:
    assert parse({f"{WEAVE}alpha": "0.5", f"{OWN}alpha": "0.50"}) == Overrides(alpha=0.5)
    assert parse({f"{WEAVE}alpha": "0.5", f"{OWN}alpha": " "}) == Overrides(alpha=0.5)


def test_both_aliases_with_different_values_are_refused() -> None:
    message = str(refused({f"{WEAVE}alpha": "0.5", f"{OWN}alpha": "0.6"}))
    assert f"{WEAVE}alpha" in message
    assert f"{OWN}alpha" in message
    assert "contradict" in message


@pytest.mark.parametrize("prefix", [WEAVE, OWN])
def test_alpha_and_a_quality_bias_say_the_same_thing_twice(prefix: str) -> None:
    error = refused({f"{prefix}alpha": "0.5", f"{OWN}quality-bias": "0.5"})
    assert str(error) == (
        f"{prefix}alpha and {OWN}quality-bias both say what quality weighs; send one of them"
    )
    assert error.source == f"{OWN}quality-bias"


def test_every_refused_header_is_named_at_once() -> None:
    error = refused(
        {f"{WEAVE}alpha": "nan", f"{OWN}expected-output-tokens": "x", f"{OWN}speed-weight": "0.5"}
    )
    assert error.source == f"{WEAVE}alpha,{OWN}expected-output-tokens"
    assert len(str(error).split("; ")) == 2


def test_alpha_and_speed_above_one_have_a_message_of_their_own() -> None:
    message = str(refused({f"{WEAVE}alpha": "0.7", f"{OWN}speed-weight": "0.4"}))
    assert message == f"{WEAVE}alpha (0.7) and {OWN}speed-weight (0.4) must not add up to more than 1"


def test_the_range_of_the_speed_weight_is_told_before_the_sum() -> None:
    message = str(refused({f"{WEAVE}alpha": "0.7", f"{WEAVE}speed-weight": "1.4"}))
    assert "speed-weight must be a finite number from 0 to 1" in message
    assert "add up" not in message


def test_the_sum_has_a_billionth_of_slack() -> None:
    assert parse({f"{OWN}alpha": "0.5000000009", f"{OWN}speed-weight": "0.5"}).alpha == 0.5000000009
    refused({f"{OWN}alpha": "0.5000000011", f"{OWN}speed-weight": "0.5"})


def test_speed_weight_alone_is_summed_with_the_bundles_alpha() -> None:
    with pytest.raises(
        ClientError, match=r"bundle's alpha \(0\.6 in cluster 1\).*send x-weave-routing-alpha too"
    ):
        merge(DEFAULTS, Overrides(speed_weight=0.5), 2)
    assert merge(DEFAULTS, Overrides(alpha=0.5, speed_weight=0.5), 2).alpha == (0.5, 0.5)


def test_alpha_alone_is_summed_with_the_bundles_speed_weight() -> None:
    with pytest.raises(ClientError, match="the bundle's speed weight"):
        merge(DEFAULTS, Overrides(alpha=0.95), 2)


ROUTE = ("the route's ", Overrides(alpha=0.7, speed_weight=0.2))
PRESET = ("the preset's ", Overrides(alpha=0.3, output_cost_ratio=2.0))


def test_each_knob_is_that_of_the_last_layer_that_names_it() -> None:
    assert merge(DEFAULTS, Overrides(), 2, below=[ROUTE]) == Knobs((0.7, 0.7), 0.2, 0.25, 1500, False)
    assert merge(DEFAULTS, Overrides(), 2, below=[ROUTE, PRESET]) == Knobs((0.3, 0.3), 0.2, 2.0, 1500, False)
    asked = Overrides(alpha=0.1, per_model_verbosity=True)
    assert merge(DEFAULTS, asked, 2, below=[ROUTE, PRESET]) == Knobs((0.1, 0.1), 0.2, 2.0, 1500, True)


def test_a_sum_above_one_names_whose_weights_they_are() -> None:
    with pytest.raises(
        ClientError, match=r"the route's alpha \(0\.7\) and x-router-speed-weight \(0\.4\) must"
    ):
        merge(DEFAULTS, Overrides(speed_weight=0.4), 2, below=[ROUTE], prefix=OWN)
    with pytest.raises(ClientError, match=r"alpha \(0\.9\) and the route's speed weight \(0\.2\) must not"):
        merge(DEFAULTS, Overrides(alpha=0.9), 2, below=[ROUTE])


def test_of_alpha_and_a_quality_bias_the_last_one_counts() -> None:
    turned = ("the route's ", Overrides(quality_bias=0.8))
    assert bias(Overrides(), [turned]) == 0.8
    assert bias(Overrides(alpha=0.5), [turned]) is None
    assert bias(Overrides(), [turned, PRESET]) is None
    assert bias(Overrides(quality_bias=0.2), [ROUTE, PRESET]) == 0.2
    assert bias(Overrides(speed_weight=0.2), [PRESET, turned]) == 0.8
    assert bias(Overrides()) is None
    assert merge(DEFAULTS, Overrides(alpha=0.5), 2, below=[turned]).alpha == (0.5, 0.5)
    # What alpha a bias stands for is not known here, and the replaced one must not count in a sum.
    heavy = ("the route's ", Overrides(alpha=0.9))
    assert merge(DEFAULTS, Overrides(quality_bias=0.2, speed_weight=0.6), 2, below=[heavy]).alpha == (0, 0)


def test_merge_keeps_what_is_not_overridden() -> None:
    assert merge(DEFAULTS, Overrides(), 2) == DEFAULTS
    assert merge(DEFAULTS, Overrides(expected_output_tokens=0), 2) == Knobs((0.4, 0.6), 0.1, 0.25, 0, False)
    assert merge(DEFAULTS, Overrides(output_cost_ratio=0.0, per_model_verbosity=True), 2) == Knobs(
        (0.4, 0.6), 0.1, 0.0, 1500, True
    )


def test_scalar_alpha_replaces_the_vector_of_this_copy_only() -> None:
    assert merge(DEFAULTS, Overrides(alpha=0.2), 2).alpha == (0.2, 0.2)
    assert DEFAULTS.alpha == (0.4, 0.6)


def test_alpha_length_mismatch_is_the_bundles_fault() -> None:
    with pytest.raises(BundleError, match="2 values for 3 clusters"):
        merge(DEFAULTS, Overrides(alpha=0.2), 3)


def test_the_hash_is_over_the_packed_form() -> None:
    packed = struct.pack("<I", 2) + struct.pack("<dd", 0.4, 0.6) + struct.pack("<ddIB", 0.1, 0.25, 1500, 0)
    assert DEFAULTS.hash == hashlib.sha256(packed).digest()[:8].hex()


def test_hash_stability_across_processes() -> None:
    """Cache keys and rows are compared by it: neither the process nor Python's own hashing may matter."""
    program = (
        "from pointsman.scoring.knobs import Knobs; print(Knobs((0.4, 0.6), 0.1, 0.25, 1500, False).hash)"
    )
    for seed in ("1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == DEFAULTS.hash == "f48d577a80987b21"


@pytest.mark.parametrize(
    "changed",
    [Overrides(alpha=0.5), Overrides(speed_weight=0.2), Overrides(output_cost_ratio=0.3),
     Overrides(expected_output_tokens=1501), Overrides(per_model_verbosity=True)],
)  # fmt: skip
def test_every_knob_changes_the_hash(changed: Overrides) -> None:
    assert merge(DEFAULTS, changed, 2).hash != DEFAULTS.hash


def test_the_log_shows_a_uniform_alpha_as_one_number() -> None:
    assert merge(DEFAULTS, Overrides(alpha=0.2), 2).as_log()["alpha"] == 0.2
    assert DEFAULTS.as_log()["alpha"] == [0.4, 0.6]


@pytest.mark.parametrize(
    ("knobs", "problem"),
    [
        (Knobs((0.5, 1.5)), "alpha of cluster 1"),
        (Knobs((0.5, float("nan"))), "alpha of cluster 1"),
        (Knobs((0.5, 0.9), 0.2), "alpha of cluster 1 and speed_weight"),
        (Knobs((0.5,), -0.2), "speed_weight"),
        (Knobs((0.5,), 0.0, 10.5), "output_cost_ratio"),
        (Knobs((0.5,), 0.0, 0.0, -1), "expected_output_tokens"),
    ],
)
def test_check_names_what_is_wrong_with_a_bundles_defaults(knobs: Knobs, problem: str) -> None:
    assert problem in check(knobs)
    assert check(DEFAULTS) == ""


@given(st.dictionaries(st.sampled_from(HEADERS), st.text()))
def test_any_text_is_read_or_refused(headers: dict[str, str]) -> None:
    try:
        overrides = parse(headers)
    except ClientError as error:
        assert error.source
        assert str(error).isascii()
        return
    assert check(merge(Knobs((0.0,)), overrides, 1)) == ""
