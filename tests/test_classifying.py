"""A conversation's task is classified once, whatever comes back; and what it cost is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from pointsman.classifying import MOST_TOKENS, Classifier, log_line
from pointsman.errors import UpstreamError
from pointsman.own_calls import Said
from pointsman.plan import Task
from pointsman.scoring.tier_documents import parse
from pointsman.scoring.tiers import Verdict, choose, classification, wanted
from pointsman.values import Binding, Model, Prices, Provider, Usage
from pointsman.wire.neutral import Request, TextPart

DOCUMENT = parse({
    "kind": "intelligent-router-v0",
    "classifier_model_id": "small",
    "fallback_model_id": "large",
    "tiers": {"small": {"model": "x/small"}, "large": {"model": "x/large"}},
    "routing": {"Frontend": "small", "Greenfield": "large"},
})  # fmt: skip
FIRST, SECOND = (
    Binding(Provider(name, "openai_chat", f"https://{name}"), "small") for name in ("one", "two")
)
MODEL = Model("small", "x", prices=Prices(input=1.0, output=2.0, cache_read=0.5))
TASK = Task("my-router", DOCUMENT, "Make the button blue", (FIRST,), MODEL)
USAGE = Usage(100, 10, 40)


class Script:
    """What is asked, and one scripted outcome after the other."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, Request, float]] = []
        self.now = 0.0

    async def __call__(self, binding: Binding, request: Request, model: Model, timeout_s: float) -> Said:
        self.asked.append((binding.name, request, timeout_s))
        await asyncio.sleep(0)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if callable(outcome):
            outcome = await outcome(self)
        assert isinstance(outcome, str)
        return Said(outcome, "", USAGE, 5.0)


def made(*outcomes: Any) -> tuple[Classifier, Script]:
    provider = Script(*outcomes)
    return Classifier(provider, lambda: provider.now), provider


def run[T](work: Callable[[], Awaitable[T]]) -> T:
    async def inner() -> T:
        return await work()

    return asyncio.run(inner())


def test_what_is_asked_and_what_it_cost() -> None:
    classifier, provider = made("frontend.")
    verdict = run(lambda: classifier.verdict("s1", TASK, 8.0))
    assert verdict == Verdict(
        "Frontend",
        raw="frontend.",
        ms=0.0,
        input_tokens=140,
        output_tokens=10,
        cost_usd=(100 + 20 + 20) / 1e6,
    )
    ((name, request, timeout_s),) = provider.asked
    assert (name, timeout_s, request.max_tokens, request.stream) == ("one", 8.0, MOST_TOKENS, False)
    assert "- Frontend: what people see" in request.system[0]
    (part,) = request.messages[0].parts
    assert isinstance(part, TextPart)
    assert "Make the button blue" in part.text


def test_a_bindings_own_prices_count() -> None:
    classifier, _ = made("Frontend")
    question = replace(
        TASK, bindings=(replace(FIRST, prices=Prices(input=10.0, output=0.0, cache_read=0.0)),)
    )
    assert run(lambda: classifier.verdict("s1", question, 8.0)).cost_usd == pytest.approx(0.001)
    unpriced = replace(TASK, model=replace(MODEL, prices=Prices()))
    classifier, _ = made("Frontend")
    verdict = run(lambda: classifier.verdict("s1", unpriced, 8.0))
    assert (verdict.cost_usd, verdict.output_tokens) == (None, 10)


def test_those_who_come_at_the_same_time_share_one_question() -> None:
    async def slowly(provider: Script) -> str:
        await asyncio.sleep(0.05)
        return "Frontend"

    classifier, provider = made(slowly)

    async def work() -> list[Verdict]:
        return await asyncio.gather(*(classifier.verdict("s1", TASK, 8.0) for _ in range(20)))

    verdicts = run(work)
    assert {verdict.category for verdict in verdicts} == {"Frontend"}
    assert sum(verdict.cost_usd is not None for verdict in verdicts) == 1
    assert len(provider.asked) == 1


def test_whoever_asked_first_may_leave() -> None:
    async def slowly(provider: Script) -> str:
        await asyncio.sleep(0.05)
        return "Frontend"

    classifier, provider = made(slowly)

    async def work() -> Verdict:
        first = asyncio.create_task(classifier.verdict("s1", TASK, 8.0))
        await asyncio.sleep(0)
        second = asyncio.create_task(classifier.verdict("s1", TASK, 8.0))
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert run(work) == Verdict("Frontend", raw="Frontend")
    assert len(provider.asked) == 1


def test_each_conversation_and_each_router_is_asked_about() -> None:
    classifier, provider = made("Frontend", "Greenfield", "Frontend")

    async def work() -> list[Verdict]:
        return await asyncio.gather(
            classifier.verdict("s1", TASK, 8.0),
            classifier.verdict("s2", TASK, 8.0),
            classifier.verdict("s1", replace(TASK, router="other"), 8.0),
        )

    assert [verdict.category for verdict in run(work)] == ["Frontend", "Greenfield", "Frontend"]
    assert len(provider.asked) == 3


@pytest.mark.parametrize(
    ("said", "why"),
    [("", "empty"), ("<think>hm", "empty"), ("Frontend or Greenfield", "unparsed"), ("No idea.", "unparsed")],
)
def test_an_answer_that_is_none(said: str, why: str) -> None:
    classifier, _ = made(said)
    verdict = run(lambda: classifier.verdict("s1", TASK, 8.0))
    assert (verdict.category, verdict.why) == ("", why)
    assert verdict.cost_usd is not None  # it has to be paid all the same
    assert wanted(DOCUMENT, verdict) == "large"


def test_what_goes_wrong_is_said() -> None:
    for error, why in (
        (UpstreamError("503 busy", kind="status", status=503), "error: one: 503 busy"),
        (UpstreamError("ONE_KEY is not set", kind="key"), "error: one: ONE_KEY is not set"),
        (KeyError("a defect"), "error: KeyError"),
    ):
        classifier, provider = made(error)

        verdict = run(lambda: classifier.verdict("s1", TASK, 8.0))  # noqa: B023
        assert (verdict.category, verdict.why, verdict.cost_usd) == ("", why, None)
        assert len(provider.asked) == 1


def test_the_next_binding_is_asked_with_what_is_left_of_the_time() -> None:
    async def late(provider: Script) -> str:
        provider.now += 3.0
        raise UpstreamError("no connection within 3 s", kind="timeout")

    classifier, provider = made(late, "Greenfield")
    verdict = run(lambda: classifier.verdict("s1", replace(TASK, bindings=(FIRST, SECOND)), 8.0))
    assert [(name, timeout_s) for name, _, timeout_s in provider.asked] == [("one", 8.0), ("two", 5.0)]
    assert (verdict.category, verdict.ms) == ("Greenfield", 3000.0)


def test_when_the_time_is_up_nobody_else_is_asked() -> None:
    async def late(provider: Script) -> str:
        provider.now += 8.0
        raise UpstreamError("no answer within 8 s", kind="timeout")

    classifier, provider = made(late, "Greenfield")
    verdict = run(lambda: classifier.verdict("s1", replace(TASK, bindings=(FIRST, SECOND)), 8.0))
    assert (verdict.category, verdict.why, verdict.ms) == ("", "timeout", 8000.0)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("verdict", "blind", "category", "tier", "raw"),
    [
        (Verdict("Frontend", raw="frontend."), (), "Frontend", "small", "'frontend.'"),
        (Verdict("Frontend", raw="it's"), ("small",), "Frontend", "large", '"it\'s"'),
        (Verdict("", "timeout"), (), "TIMEOUT", "large", "''"),
        (Verdict("", "no task", asked=False), (), "NO_TASK", "large", "''"),
        (Verdict("", "unparsed", raw="x"), ("large",), "UNPARSED", "small", "'x'"),
        (Verdict("", "error: one: 503"), (), "ERROR", "large", "''"),
    ],
)
def test_the_log_line(verdict: Verdict, blind: tuple[str, ...], category: str, tier: str, raw: str) -> None:
    choice = choose(DOCUMENT, wanted(DOCUMENT, verdict), {}, blind)
    assert choice is not None
    assert log_line("0123abcd", classification(DOCUMENT, verdict, choice)) == (
        f"intelligent-routing session=0123abcd category={category} model={tier} "
        f"vision_fallback={bool(blind)} raw={raw}"
    )
