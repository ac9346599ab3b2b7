"""Names that stand for other models: what serves behind them, and that they do not break."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pipelines import EASY, HARD, KEY, LOGIN, STAMP, decide, fits, make_bundle, maker
from pointsman.asked import Asked
from pointsman.errors import ClientError
from pointsman.pipeline import Pipeline, Plan, Reason
from pointsman.reach import anywhere
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.tiers import Verdict
from pointsman.values import Decision, Facts, TurnKind
from samples import FACTS

HOST = "api.anthropic.com"
KEYS = {"MOONSHOT_API_KEY": "k", "MINIMAX_API_KEY": "k", "OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}
OPEN = replace(FACTS, requested_model="router-cluster")
TIERED = replace(FACTS, requested_model="router-classified-3tier")
FRONTEND, ISSUE = Verdict("Frontend", raw="Frontend"), Verdict("Issue Resolution (other)")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "v1")


@pytest.fixture
def make(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return maker(bundle, tmp_path, monkeypatch, KEYS)


ask = partial(decide, host=HOST, reaches=anywhere)


def plan_of(pipeline: Pipeline, facts: Facts) -> Plan:
    return pipeline.plan(facts, KEY, Asked(), fits, HOST, anywhere)


def served(pipeline: Pipeline, decision: Decision) -> None:
    pipeline.sessions.served(decision.session, decision.served_model, decision.requested_model)


def where(decision: Decision) -> list[str]:
    return [binding.name for binding in decision.bindings]


# --- router-cluster -----------------------------------------------------------------------


def test_it_scores_everything_that_can_be_had(make: Any) -> None:
    pipeline = make()
    easy, hard = ask(pipeline, OPEN), ask(pipeline, OPEN, HARD)
    assert {item.model for item in easy.candidates} == {
        "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8", "gpt-5.5", "kimi-k2.6",
    }  # fmt: skip
    assert not [item for item in easy.candidates if item.excluded]
    assert (easy.served_model, where(easy)) == ("kimi-k2.6", ["moonshot_anthropic"])
    assert (hard.served_model, where(hard)) == ("gpt-5.5", ["openai"])
    assert (hard.strategy, hard.route, hard.requested_model) == (
        "cluster",
        "router-cluster",
        "router-cluster",
    )


def test_at_the_origin_it_needs_no_key(make: Any) -> None:
    decision = ask(make(environ={}), OPEN)
    assert (decision.served_model, decision.bindings) == ("claude-haiku-4-5", ())
    assert {item.model.partition("-")[0] for item in decision.candidates} == {"claude"}


def test_on_a_host_of_which_nothing_is_known_only_providers_serve(make: Any) -> None:
    chat = replace(OPEN, surface="openai_chat")
    decision = ask(make(environ={"MOONSHOT_API_KEY": "k"}), chat, host="localhost")
    assert (decision.served_model, where(decision)) == ("kimi-k2.6", ["moonshot"])
    with pytest.raises(
        ClientError, match="router-cluster: none of its models can serve this request"
    ) as caught:
        ask(make(environ={}), chat, host="localhost")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "name", ["router-cluster", "Router-Cluster", "gateway/router-cluster", "router-cluster[1m]"]
)
def test_its_name_may_be_spelled_as_models_are(make: Any, name: str) -> None:
    assert ask(make(), replace(OPEN, requested_model=name)).route == "router-cluster"


def test_routes_and_the_price_ratio_are_for_real_models(make: Any) -> None:
    config = "max_price_ratio: 0\nroutes: [{name: all, strategy: passthrough, turn: any}]"
    assert ask(make(config), OPEN, HARD).served_model == "gpt-5.5"
    limited = make("routers: {router-cluster: {max_price_ratio: 1, against: claude-haiku-4-5}}")
    decision = ask(limited, OPEN, HARD)
    assert decision.served_model == "kimi-k2.6"
    assert {item.model for item in decision.candidates if "is above" in item.excluded} == {
        "claude-sonnet-4-6", "claude-opus-4-8", "gpt-5.5",
    }  # fmt: skip


def test_a_quality_floor_holds(make: Any) -> None:
    decision = ask(make("routers: {good: {min_quality_tier: 4}}"), replace(OPEN, requested_model="good"))
    assert decision.served_model in ("claude-opus-4-8", "gpt-5.5")


def test_a_conversation_stays_with_its_model_mid_tool_loop(make: Any) -> None:
    pipeline = make()
    first = ask(pipeline, OPEN)
    served(pipeline, first)
    step = ask(pipeline, replace(OPEN, tool_loop=True), HARD)
    assert (step.served_model, step.reason, where(step)) == (
        "kimi-k2.6",
        Reason.TOOL_LOOP.value,
        where(first),
    )
    gone = replace(pipeline, settings=replace(pipeline.settings, available=frozenset({"openai"})))
    assert ask(gone, replace(OPEN, tool_loop=True), HARD).served_model == "gpt-5.5"
    other = replace(OPEN, requested_model="router-classified-3tier", tool_loop=True)
    assert ask(pipeline, other, verdict=ISSUE).served_model == "minimax-m2.7"


def test_background_calls_go_to_the_cheapest(make: Any) -> None:
    decision = ask(make(), replace(OPEN, turn=TurnKind.TITLE), HARD)
    assert (decision.served_model, decision.reason) == ("kimi-k2.6", Reason.BACKGROUND.value)


def test_without_words_something_good_serves_that_is_not_the_dearest(make: Any) -> None:
    wordless = replace(OPEN, user_texts=())
    decision = ask(make(), wordless)
    assert (decision.served_model, decision.reason) == ("gpt-5.5", Reason.NO_TEXT.value)
    pipeline = make()
    served(pipeline, ask(pipeline, OPEN))
    assert ask(pipeline, wordless).served_model == "kimi-k2.6"


def test_tokens_are_counted_at_the_origin_if_anything_of_it_is_had_there(make: Any) -> None:
    count = replace(OPEN, endpoint="count_tokens")
    counted = ask(make(), count)
    assert counted.served_model.startswith("claude") and counted.bindings == ()
    only_away = make("routers: {away: {candidates: [kimi-k2.6]}}")
    counted = ask(only_away, replace(count, requested_model="away"))
    assert (counted.served_model, where(counted)) == ("kimi-k2.6", ["moonshot_anthropic"])


# --- of one's own -------------------------------------------------------------------------


def test_named_candidates_are_all_that_competes(make: Any) -> None:
    pipeline = make("routers: {mine: {candidates: [claude-sonnet-4-6, groq/kimi-k2.6]}}")
    facts = replace(FACTS, requested_model="mine")
    assert where(ask(pipeline, facts)) == ["groq"]
    assert ask(pipeline, facts, HARD).served_model == "claude-sonnet-4-6"
    assert len(ask(pipeline, facts).candidates) == 2


def test_a_name_for_one_model(make: Any) -> None:
    pipeline = make("routers: {kimi: {model: groq/moonshotai/kimi-k2.6}}")
    facts = replace(FACTS, requested_model="kimi")
    for change in ({}, {"tool_loop": True}, {"turn": TurnKind.TITLE}, {"user_texts": ()}):
        decision = ask(pipeline, replace(facts, **change))  # type: ignore[arg-type]
        assert (decision.served_model, where(decision)) == ("kimi-k2.6", ["groq"])
    with pytest.raises(ClientError, match=r"kimi: none of its models .*: kimi-k2\.6: no key for groq"):
        ask(make("routers: {kimi: {model: groq/moonshotai/kimi-k2.6}}", environ={}), facts)


def test_a_header_may_name_one_and_the_requested_model_still_says_what_the_origin_has(make: Any) -> None:
    pipeline = make("routers: {mine: {candidates: [claude-sonnet-4-6, kimi-k2.6]}}")
    decision = ask(pipeline, asked=Asked(model="Mine"))
    assert (decision.served_model, decision.route) == ("kimi-k2.6", "mine")
    assert decision.requested_model == "claude-opus-4-8"
    assert ask(pipeline, asked=Asked(model="mine"), vector=HARD).served_model == "claude-sonnet-4-6"
    unknown = replace(FACTS, requested_model="claude-unheard-of")
    assert ask(pipeline, unknown, asked=Asked(model="mine")).served_model == "kimi-k2.6"


def test_models_that_no_bundle_knows_serve_in_their_order(make: Any) -> None:
    config = """
    models:
      qwen-a: &row {provider: local, quality_tier: 1, context_tokens: 90000, prices: {input: 0, output: 0}}
      qwen-b: *row
    providers: {local: {base_url: http://localhost:1/v1}}
    routers: {mine: {candidates: [qwen-b, qwen-a]}}
    """
    decision = ask(make(config), replace(FACTS, requested_model="mine"))
    assert (decision.served_model, decision.reason, where(decision)) == (
        "qwen-b",
        Reason.FALLBACK.value,
        ["local"],
    )
    assert {item.excluded for item in decision.candidates} == {"is not in the bundle"}


def test_an_unknown_name_passes_through_as_ever(make: Any) -> None:
    decision = ask(make(), replace(FACTS, requested_model="router-clutser"))
    assert (decision.served_model, decision.reason) == ("router-clutser", Reason.UNKNOWN_MODEL.value)


def test_a_login_is_told_why_it_is_not_routed(make: Any) -> None:
    for facts in (OPEN, TIERED):
        with pytest.raises(ClientError, match="subscription login are not routed"):
            ask(make(), facts, credential=LOGIN)
    routed = ask(make(subscription="route"), OPEN, HARD, credential=LOGIN)
    assert (routed.served_model, routed.bindings) == ("claude-opus-4-8", ())
    with pytest.raises(ClientError, match="stays with its host"):
        ask(make(subscription="route"), TIERED, credential=LOGIN)


def test_switched_off_even_these_pass_through(make: Any) -> None:
    decision = ask(make(enabled=False), OPEN)
    assert (decision.served_model, decision.reason) == ("router-cluster", Reason.DISABLED.value)


# --- classified ---------------------------------------------------------------------------


def test_a_task_is_asked_about_once_and_its_tier_serves(make: Any) -> None:
    pipeline = make()
    plan = plan_of(pipeline, TIERED)
    assert plan.settled is None and not plan.needs_vector
    assert plan.task is not None
    assert (plan.task.router, plan.task.text) == ("router-classified-3tier", "mend the points")
    assert [(one.name, one.model) for one in plan.task.bindings] == [("minimax_anthropic", "MiniMax-M2.7")]
    assert plan.task.bindings[0].parameters == {"temperature": 1.0, "top_p": 0.95}
    assert plan.task.model.name == "minimax-m2.7"

    verdict = replace(FRONTEND, ms=3.0, input_tokens=9, output_tokens=1, cost_usd=0.5)
    pipeline.judged(plan, verdict)
    first = pipeline.decide(plan, None, STAMP, verdict)
    assert (first.served_model, first.strategy, first.reason) == (
        "kimi-k2.6",
        "classified",
        Reason.CLASSIFIED.value,
    )
    assert where(first) == ["moonshot_anthropic"]
    assert first.bindings[0].parameters == {"temperature": 1.0}
    assert first.classification is not None
    assert (first.classification.category, first.classification.tier) == ("Frontend", "kimi-k2.6")
    assert (first.classification.classifier, first.classification.cost_usd) == ("minimax-m2.7", 0.5)
    served(pipeline, first)

    later = plan_of(pipeline, replace(TIERED, message_count=5))
    assert later.task is None and later.verdict == verdict.remembered
    again = pipeline.decide(later, None, STAMP)
    assert again.served_model == "kimi-k2.6"
    assert again.classification is not None
    assert (again.classification.category, again.classification.cost_usd) == ("Frontend", None)
    other = plan_of(pipeline, replace(TIERED, first_user_text="another conversation"))
    assert other.task is not None


@pytest.mark.parametrize(
    ("verdict", "model"),
    [(FRONTEND, "kimi-k2.6"), (ISSUE, "minimax-m2.7"), (Verdict("Testing"), "gpt-5.5")],
)
def test_each_kind_of_task_has_its_tier(make: Any, verdict: Verdict, model: str) -> None:
    assert ask(make(), TIERED, verdict=verdict).served_model == model


@pytest.mark.parametrize("verdict", [Verdict("", "timeout"), Verdict("Gardening"), None])
def test_without_a_category_the_fallback_serves(make: Any, verdict: Verdict | None) -> None:
    decision = ask(make(), TIERED, verdict=verdict)
    assert decision.served_model == "gpt-5.5"
    assert decision.classification is not None
    if verdict and verdict.why:
        assert (decision.reason, decision.classification.reason) == (Reason.FALLBACK.value, "timeout")


def test_a_failed_verdict_is_remembered_too(make: Any) -> None:
    pipeline = make()
    assert ask(pipeline, TIERED, verdict=Verdict("", "timeout")).served_model == "gpt-5.5"
    assert plan_of(pipeline, TIERED).task is None


def test_a_litellm_proxy_comes_first_where_one_is_set_up(make: Any) -> None:
    proxy = {"LITELLM_PROXY_API_BASE": "http://localhost:4000", "LITELLM_PROXY_API_KEY": "k"}
    decision = ask(make(environ=KEYS | proxy), TIERED, verdict=FRONTEND)
    assert [(one.name, one.model) for one in decision.bindings] == [
        ("litellm_proxy", "moonshot/kimi-k2.6"),
        ("moonshot_anthropic", "kimi-k2.6"),
    ]
    alone = plan_of(make(environ=proxy), TIERED)
    assert alone.task and [one.name for one in alone.task.bindings] == ["litellm_proxy"]


def test_images_go_to_a_tier_that_sees(make: Any) -> None:
    decision = ask(make(), replace(TIERED, images=2), verdict=ISSUE)
    assert decision.served_model == "gpt-5.5"
    assert decision.classification is not None
    assert decision.classification.vision_fallback
    assert decision.detail == "minimax-m2.7 does not take images"
    no_openai = {name: key for name, key in KEYS.items() if name != "OPENAI_API_KEY"}
    assert ask(make(environ=no_openai), replace(TIERED, images=2), verdict=ISSUE).served_model == "kimi-k2.6"
    assert ask(make(), replace(TIERED, images=2), verdict=FRONTEND).served_model == "kimi-k2.6"


def test_a_tier_that_cannot_be_had_leaves_its_tasks_to_the_fallback_and_says_so(make: Any) -> None:
    environ = {"MINIMAX_API_KEY": "k", "OPENAI_API_KEY": "k"}
    decision = ask(make(environ=environ), TIERED, verdict=FRONTEND)
    assert decision.served_model == "gpt-5.5"
    assert decision.detail == "kimi-k2.6: " + next(
        item.excluded for item in decision.candidates if item.model == "kimi-k2.6"
    )
    assert "MOONSHOT_API_KEY" in decision.detail and "LITELLM_PROXY_API_KEY" in decision.detail


def test_without_a_key_for_the_classifier_nobody_is_asked(make: Any) -> None:
    plan = plan_of(make(environ={"MOONSHOT_API_KEY": "k"}), TIERED)
    assert plan.task is None and plan.verdict is not None
    assert plan.verdict.why.startswith("no classifier: minimax-m2.7: ") and not plan.verdict.asked


def test_the_classifier_is_never_asked_with_the_clients_own_credential(make: Any) -> None:
    document = "{kind: intelligent-router-v0, classifier_model_id: a, fallback_model_id: a, routing: {x: a}, "
    config = f"routers: {{mine: {{document: {document} tiers: {{a: {{model: claude-haiku-4-5}}}}}}}}}}"
    facts = replace(FACTS, requested_model="mine")
    plan = plan_of(make(config), facts)
    assert plan.task is None
    decision = ask(make(config), facts)
    assert (decision.served_model, decision.bindings) == ("claude-haiku-4-5", ())
    keyed = plan_of(make(config, environ={"ANTHROPIC_API_KEY": "k"}), facts)
    assert keyed.task and [one.name for one in keyed.task.bindings] == ["anthropic"]


@pytest.mark.parametrize(
    ("change", "why"), [({"turn": TurnKind.TITLE}, "background call"), ({"user_texts": ()}, "no task")]
)
def test_what_has_no_task_is_served_without_asking(make: Any, change: dict[str, Any], why: str) -> None:
    plan = plan_of(make(), replace(TIERED, **change))
    assert plan.task is None and plan.verdict == Verdict("", why, asked=False)
    pipeline = make()
    decision = ask(pipeline, replace(TIERED, **change))
    assert decision.served_model == "gpt-5.5"
    assert decision.classification is not None and decision.classification.classifier == ""
    assert plan_of(pipeline, TIERED).task is not None


def test_after_a_restart_a_conversation_keeps_the_tier_that_served_it(make: Any) -> None:
    pipeline = make()
    pipeline.sessions.restore([(plan_of(pipeline, TIERED).session, "kimi-k2.6", 0.0, TIERED.requested_model)])
    decision = ask(pipeline, TIERED)
    assert (decision.served_model, decision.reason) == ("kimi-k2.6", Reason.CLASSIFIED.value)
    assert decision.classification is not None and decision.classification.tier == "kimi-k2.6"


def test_when_nothing_behind_it_can_be_had_the_error_says_why(make: Any) -> None:
    with pytest.raises(ClientError, match=r"kimi-k2\.6: .*MOONSHOT_API_KEY.*minimax-m2\.7: .*gpt-5\.5: "):
        ask(make(environ={}), TIERED)


def test_a_route_may_classify_too_and_the_requested_model_serves_where_no_tier_can(make: Any) -> None:
    text = "routes: [{name: by task, strategy: classified, document: router-classified-3tier%s}]"
    decision = ask(make(text % ""), verdict=ISSUE)
    assert (decision.served_model, decision.route, decision.strategy) == (
        "minimax-m2.7",
        "by task",
        "classified",
    )
    bare = ask(make(text % "", environ={}))
    assert (bare.served_model, bare.bindings) == ("claude-opus-4-8", ())
    strict = ask(make(text % ", min_quality_tier: 4"), verdict=ISSUE)
    assert strict.served_model == "gpt-5.5" and "quality tier" in strict.detail
    cheap = ask(make(text % ", max_price_ratio: 0.2"), verdict=Verdict("Testing"))
    assert cheap.served_model == "kimi-k2.6" and "price is above" in cheap.detail
    assert ask(make(text % ""), credential=LOGIN).served_model == "claude-opus-4-8"


def test_a_route_that_came_mid_tool_loop_asks_nobody(make: Any) -> None:
    pipeline = make("routes: [{name: by task, strategy: classified, document: router-classified-3tier}]")
    step = replace(FACTS, tool_loop=True)
    assert plan_of(pipeline, step).task is None
    assert ask(pipeline, step).served_model == "claude-opus-4-8"
    pipeline.sessions.served(plan_of(pipeline, step).session, "claude-sonnet-4-6", "claude-opus-4-8")
    assert ask(pipeline, step).served_model == "claude-sonnet-4-6"
    served(pipeline, ask(pipeline, verdict=FRONTEND))
    assert ask(pipeline, step).served_model == "kimi-k2.6"


# --- failure ------------------------------------------------------------------------------


@pytest.mark.parametrize(("facts", "model"), [(OPEN, "gpt-5.5"), (TIERED, "gpt-5.5")])
def test_when_routing_fails_its_fallback_serves(make: Any, facts: Facts, model: str) -> None:
    pipeline = make()
    decision = pipeline.give_up(plan_of(pipeline, facts), fits, STAMP)
    assert (decision.served_model, decision.reason) == (model, Reason.FAILED.value)
    assert decision.changes_answer
    first = ask(pipeline, facts, verdict=FRONTEND)
    served(pipeline, first)
    again = pipeline.give_up(plan_of(pipeline, facts), fits, STAMP)
    assert (again.served_model, again.bindings) == (first.served_model, first.bindings)


def test_with_nothing_left_a_failure_is_passed_on(make: Any) -> None:
    pipeline = make()
    plan = plan_of(pipeline, OPEN)
    nothing = replace(plan, ways=replace(plan.ways, available=frozenset(), maker="", homes={}))
    decision = pipeline.give_up(nothing, fits, STAMP)
    assert (decision.served_model, decision.strategy) == ("router-cluster", "passthrough")


def test_of_named_candidates_the_first_serves_when_routing_fails(make: Any) -> None:
    pipeline = make("routers: {mine: {candidates: [groq/kimi-k2.6, claude-opus-4-8]}}")
    decision = pipeline.give_up(plan_of(pipeline, replace(FACTS, requested_model="mine")), fits, STAMP)
    assert (decision.served_model, where(decision)) == ("kimi-k2.6", ["groq"])


def test_after_a_refusal_the_next_model_serves_and_never_the_virtual_name(make: Any) -> None:
    pipeline = make("routers: {mine: {candidates: [claude-haiku-4-5, claude-opus-4-8]}}", environ={})
    facts = replace(FACTS, requested_model="mine")
    first = ask(pipeline, facts)
    assert first.served_model == "claude-haiku-4-5"
    second = pipeline.instead(plan_of(pipeline, facts), first)
    assert second is not None
    assert (second.served_model, second.reason) == ("claude-opus-4-8", Reason.REFUSED.value)
    assert ask(pipeline, facts).served_model == "claude-opus-4-8"
    for text in ("model: claude-haiku-4-5", "candidates: [claude-haiku-4-5]"):
        lone = make(f"routers: {{mine: {{{text}}}}}", environ={})
        assert lone.instead(plan_of(lone, facts), ask(lone, facts)) is None
        assert ask(lone, facts).served_model == "claude-haiku-4-5"
    by_header = lone.plan(FACTS, KEY, Asked(model="mine"), fits, HOST, anywhere)
    as_made = lone.instead(by_header, lone.decide(by_header, None, STAMP))
    assert as_made is not None and as_made.served_model == "claude-opus-4-8"


def test_refusals_of_all_tiers_are_no_reason_to_serve_nobody(make: Any) -> None:
    pipeline = make(environ={"MOONSHOT_API_KEY": "k"})
    first = ask(pipeline, TIERED)
    assert first.served_model == "kimi-k2.6"
    assert pipeline.instead(plan_of(pipeline, TIERED), first) is None
    assert ask(pipeline, TIERED).served_model == "kimi-k2.6"


def test_after_a_refusal_a_real_model_is_what_the_client_asked_for(make: Any) -> None:
    pipeline = make("models: {claude-haiku-4-5: {bindings: [origin, groq/haiku]}}")
    first = ask(pipeline)
    assert where(first) == ["origin", "groq"]
    second = pipeline.instead(plan_of(pipeline, FACTS), first)
    assert second is not None
    assert (second.served_model, second.bindings, second.reason) == (
        "claude-opus-4-8",
        (),
        Reason.REFUSED.value,
    )
    assert ask(pipeline).served_model != "claude-haiku-4-5"


@pytest.mark.parametrize(("facts", "vector"), [(OPEN, EASY), (OPEN, HARD), (TIERED, EASY)])
def test_a_replay_decides_what_was_decided(make: Any, facts: Facts, vector: Any) -> None:
    """Keys may be gone by then: what could be had is told to the pipeline."""
    pipeline = make()
    first = ask(pipeline, facts, vector, verdict=FRONTEND)
    settings = replace(make(environ={}).settings, available=pipeline.settings.available)
    again = replace(make(environ={}), settings=settings)
    assert ask(again, facts, vector, verdict=FRONTEND) == first
