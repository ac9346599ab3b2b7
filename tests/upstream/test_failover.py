"""The table of what follows a failed attempt."""

from __future__ import annotations

import pytest
from pointsman.upstream import failover
from pointsman.upstream.failover import Step, next_step

NO_HEAD = ("connect", "reset", "timeout", "answer")


@pytest.mark.parametrize("kind", NO_HEAD)
def test_without_a_head_the_next_binding_is_asked(kind: str) -> None:
    assert next_step(kind, None, {}, others=True, tries=1) is Step.NEXT


@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 529, 599])
def test_what_another_binding_may_do_better_goes_there(status: int) -> None:
    assert next_step("held", status, {}, others=True, tries=1) is Step.NEXT


@pytest.mark.parametrize("status", [400, 405, 406, 410, 413, 415, 422, 301, 304])
def test_what_the_request_is_to_blame_for_ends_here(status: int) -> None:
    assert next_step("held", status, {}, others=True, tries=1) is Step.STOP


def test_a_success_without_an_answer_goes_on() -> None:
    assert next_step("held", 200, {}, others=True, tries=1) is Step.NEXT


@pytest.mark.parametrize(("said", "step"), [("true", Step.NEXT), (" TRUE ", Step.NEXT), ("false", Step.STOP)])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_the_provider_itself_knows_better(said: str, step: Step, status: int) -> None:
    assert next_step("held", status, {"x-should-retry": said}, others=True, tries=1) is step


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_is_no_use_at_this_binding_may_be_at_another(status: int) -> None:
    assert next_step("held", status, {"x-should-retry": "false"}, others=True, tries=1) is Step.NEXT


def test_what_it_says_otherwise_is_nothing() -> None:
    assert next_step("held", 400, {"x-should-retry": "maybe"}, others=True, tries=1) is Step.STOP


@pytest.mark.parametrize("kind", ["reset", "timeout", "answer", "held"])
def test_the_last_binding_is_not_asked_again_once_it_was_reached(kind: str) -> None:
    status = 503 if kind == "held" else None
    assert next_step(kind, status, {}, others=False, tries=1) is Step.STOP


def test_where_nothing_was_reached_it_is_tried_twice_more() -> None:
    steps = [next_step("connect", None, {}, others=False, tries=tries) for tries in (1, 2, 3, 4)]
    assert steps == [Step.SAME, Step.SAME, Step.STOP, Step.STOP]
    assert [failover.delay_s(tries) for tries in (1, 2)] == list(failover.CONNECT_DELAYS_S)
