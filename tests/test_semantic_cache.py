"""What is kept, for how long, and who gives way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman.semantic_cache import (
    ENTRY_BYTES,
    LEAST_SHARES,
    OVERHEAD_BYTES,
    TTL_S,
    Kept,
    Limits,
    Place,
    SemanticCache,
)

VECTOR = np.array([1.0, 0.0], dtype=np.float32)
PLACE = Place("mine", ("anthropic", 3, "v0.1", "00ff"), b"rest", b"words", VECTOR, 0.95)
KEPT = Kept(b'{"type": "message"}', "application/json", "d1")

FEW = settings(max_examples=40, deadline=None)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def cache(**limits: float) -> SemanticCache:
    return SemanticCache(Limits(**limits), Clock())  # type: ignore[arg-type]


def place(caller: str = "mine", knobs: int = 0, number: int = 0) -> Place:
    bucket = ("anthropic", 3, "v0.1", f"{knobs:016x}")
    return replace(PLACE, caller=caller, bucket=bucket, rest=number.to_bytes(16, "big"))


def kept(size: int) -> Kept:
    return replace(KEPT, data=bytes(size))


# --- finding ----------------------------------------------------------------------------------


def test_what_was_kept_is_found_again() -> None:
    made = cache()
    assert made.find(PLACE) is None
    assert made.keep(PLACE, KEPT)
    hit = made.find(PLACE)
    assert hit is not None
    assert hit.kept is KEPT
    assert hit.cosine == pytest.approx(1)
    assert len(made) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, caller="another"),
        replace(PLACE, bucket=("openai_chat", 3, "v0.1", "00ff")),
        replace(PLACE, bucket=("anthropic", 4, "v0.1", "00ff")),
        replace(PLACE, bucket=("anthropic", 3, "v0.2", "00ff")),
        replace(PLACE, bucket=("anthropic", 3, "v0.1", "00fe")),
        replace(PLACE, rest=b"another"),
        replace(PLACE, vector=np.array([0.94, 0.34], dtype=np.float32)),
        replace(PLACE, vector=np.array([np.nan, 0.0], dtype=np.float32)),
        replace(PLACE, threshold=1.01),
    ],
    ids=["caller", "surface", "cluster", "bundle", "knobs", "rest", "vector", "no vector", "threshold"],
)
def test_everything_about_the_place_has_to_fit(other: Place) -> None:
    made = cache()
    made.keep(PLACE, KEPT)
    assert made.find(other) is None
    assert made.find(PLACE) is not None


def test_a_near_vector_and_other_words_are_enough_unless_the_answer_is_signed() -> None:
    near = replace(PLACE, vector=np.array([0.96, 0.28], dtype=np.float32), words=b"nearly the same words")
    made = cache()
    made.keep(PLACE, KEPT)
    assert made.find(near) is not None
    made.keep(PLACE, replace(KEPT, literal=True))
    assert made.find(near) is None
    assert made.find(PLACE) is not None


def test_after_an_hour_it_is_gone() -> None:
    clock = Clock()
    made = SemanticCache(Limits(), clock)
    made.keep(PLACE, KEPT)
    clock.now = TTL_S - 1
    hit = made.find(PLACE)
    assert hit is not None and hit.age_s == TTL_S - 1
    clock.now = TTL_S
    assert made.find(PLACE) is None
    assert (len(made), made.size) == (0, 0)


def test_a_newer_answer_takes_the_place_of_an_older_one() -> None:
    made = cache()
    made.keep(PLACE, kept(10_000))
    made.keep(PLACE, KEPT)
    hit = made.find(PLACE)
    assert hit is not None and hit.kept is KEPT
    assert (len(made), made.size) == (1, KEPT.size)


def test_clearing() -> None:
    made = cache()
    for number in range(5):
        made.keep(place(number=number), KEPT)
    assert made.clear() == 5
    assert (len(made), made.size, made.find(place())) == (0, 0, None)


# --- bounds -----------------------------------------------------------------------------------


def test_an_answer_may_have_a_mebibyte() -> None:
    made = cache()
    assert made.keep(place(number=1), kept(ENTRY_BYTES))
    assert not made.keep(place(number=2), kept(ENTRY_BYTES + 1))
    assert not cache(total_bytes=1 << 20).keep(PLACE, kept(1 << 17))  # an eighth is the most


def test_each_level_forgets_what_was_not_used_for_longest() -> None:
    made = cache(callers=3, buckets=3, answers=3)
    for number in range(3):
        made.keep(place(number=number), KEPT)
    made.find(place(number=0))
    made.keep(place(number=3), KEPT)
    assert [made.find(place(number=number)) is not None for number in range(4)] == [True, False, True, True]

    made = cache(callers=3, buckets=3, answers=3)
    for knobs in range(3):
        made.keep(place(knobs=knobs), KEPT)
        made.keep(place(knobs=knobs, number=1), KEPT)
    made.find(place(knobs=0))
    made.keep(place(knobs=3), KEPT)
    assert [made.find(place(knobs=knobs)) is not None for knobs in range(4)] == [True, False, True, True]
    assert made.find(place(knobs=1, number=1)) is None

    made = cache(callers=3)
    for caller in "abc":
        made.keep(place(caller), KEPT)
    made.find(place("a"))
    made.keep(place("d"), KEPT)
    assert [made.find(place(caller)) is not None for caller in "abcd"] == [True, False, True, True]
    assert made.size == 3 * KEPT.size


def test_looking_makes_nothing_larger() -> None:
    made = cache()
    for number in range(1000):
        made.find(place(f"caller {number}", number))
    assert (len(made), made.size, made._callers) == (0, 0, {})


def bounded(made: SemanticCache) -> None:
    limits, callers = made.limits, made._callers
    assert made.size <= limits.total_bytes
    assert len(callers) <= limits.callers
    for caller in callers.values():
        assert 0 < len(caller.buckets) <= limits.buckets
        sizes = [entry.kept.size for bucket in caller.buckets.values() for entry in bucket.values()]
        assert caller.size == sum(sizes)
        assert all(0 < len(bucket) <= limits.answers for bucket in caller.buckets.values())
    assert made.size == sum(caller.size for caller in callers.values())


def fill(callers: int, knobs: int) -> SemanticCache:
    made = cache()
    for caller in range(callers):
        for knob in range(knobs):
            made.keep(place(f"caller {caller}", knob), KEPT)
            made.find(place(f"caller {caller}", knob + 1))
    return made


@pytest.mark.parametrize(("callers", "knobs"), [(10_000, 1), (5, 1_000)])
def test_many_callers_and_many_knobs_stay_bounded(callers: int, knobs: int) -> None:
    made = fill(callers, knobs)
    bounded(made)
    assert len(made) == min(1024, callers) * min(512, knobs)


@pytest.mark.slow
def test_ten_thousand_callers_with_a_thousand_values_of_the_knobs_each() -> None:
    made = cache()
    buckets = [place(knobs=knobs).bucket for knobs in range(1_000)]
    for caller in range(10_000):
        name = f"caller {caller}"
        for bucket in buckets:
            made.keep(Place(name, bucket, b"rest", b"words", VECTOR, 0.95), KEPT)
    bounded(made)
    assert len(made._callers) == 1024


def test_a_churning_caller_pushes_out_only_its_own() -> None:
    made = cache(total_bytes=8 << 20)
    quiet = [place("quiet", knobs, number) for knobs in range(4) for number in range(20)]
    for one in quiet:
        made.keep(one, kept(8_000))
    assert made.held_by("quiet") < made.share
    for number in range(5_000):
        made.keep(place("churning", number % 1000, number), kept(2_000 + number % 7_000))
    bounded(made)
    assert made.held_by("churning") <= made.share
    assert all(made.find(one) for one in quiet)


def test_shares_shrink_as_callers_come_and_who_holds_more_gives_way() -> None:
    made = cache(total_bytes=1 << 20)
    for number in range(100):
        made.keep(place("first", 0, number), kept(1_000))
    first = made.held_by("first")
    assert (1 << 20) // LEAST_SHARES - OVERHEAD_BYTES - 1_000 < first <= (1 << 20) // LEAST_SHARES
    for caller in range(60):
        for number in range(10):
            made.keep(place(f"later {caller}", 0, number), kept(1_000))
    bounded(made)
    assert 0 < made.held_by("first") < first
    assert made.held_by("first") >= made.share - OVERHEAD_BYTES - 1_000


def test_other_limits_take_effect_at_once() -> None:
    made = fill(4, 100)
    made.resize(Limits(total_bytes=1 << 18))
    bounded(made)
    assert len(made) > 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from("abcde"), st.integers(0, 3), st.integers(0, 5), st.sampled_from([0, 900, 9_000])
    ),
    max_size=60,
)


@FEW
@given(STEPS, st.integers(20_000, 200_000))
def test_nobody_is_pushed_below_an_equal_share_by_others(
    steps: list[tuple[str, int, int, int]], total: int
) -> None:
    """After every step all is within bounds, and only the caller itself or one above its share has less."""
    made = SemanticCache(Limits(total, callers=5, buckets=3, answers=4), Clock())
    for caller, knobs, number, size in steps:
        before = {name: made.held_by(name) for name in "abcde"}
        made.keep(place(caller, knobs, number), kept(size))
        bounded(made)
        for name in set("abcde") - {caller}:
            assert made.held_by(name) == before[name] or before[name] > made.share
