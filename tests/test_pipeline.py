"""From facts to a decision: what settles it, in which order, and what is said about it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pipelines import (
    EASY,
    HARD,
    KEY,
    LOGIN,
    QUALITY,
    STAMP,
    decide,
    fits,
    make_bundle,
    make_pipeline,
    shelf_of,
)
from pointsman.asked import Asked, read_asked
from pointsman.errors import BundleError, ClientError
from pointsman.pipeline import Pipeline, Plan, Reason, costs
from pointsman.scoring import knobs
from pointsman.scoring.bundle import Bundle
from pointsman.session import Sessions
from pointsman.values import Credential, CredentialKind, Decision, Facts, Model, TurnKind, Usage
from pointsman.wire import openai_chat
from samples import FACTS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "v1")


@pytest.fixture
def make(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A pipeline with the given options, and the text of a router.yaml if there is one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    return partial(make_pipeline, bundle, tmp_path)


def test_a_request_that_is_bound_to_its_model_goes_to_no_other(make: Any) -> None:
    bound = replace(FACTS, bound="its cache is bound to its model")
    pipeline = make()
    assert decide(pipeline).served_model == "claude-haiku-4-5"
    decision = decide(pipeline, bound)
    assert (decision.served_model, decision.reason) == ("claude-opus-4-8", "no alternative fits")
    assert {c.excluded for c in decision.candidates if c.model == "claude-haiku-4-5"} == {bound.bound}
    pipeline.sessions.served(decision.session, "claude-haiku-4-5", "claude-opus-4-8")
    assert decide(pipeline, replace(bound, tool_loop=True)).served_model == "claude-opus-4-8"
    with pytest.raises(ClientError, match="bound to its model"):
        decide(pipeline, bound, asked=Asked(model="claude-haiku-4-5"))
    plan = pipeline.plan(replace(bound, tool_loop=True), KEY, Asked(), fits)
    assert pipeline.give_up(plan, fits, STAMP).served_model == "claude-opus-4-8"


def test_an_answer_that_the_provider_keeps_is_gone_on_from_in_its_conversation(make: Any) -> None:
    """The next request has the answer's id and the tool's output, and nothing else of the conversation."""
    pipeline = make()
    account = pipeline.plan(FACTS, KEY, Asked(), fits, "api.openai.com").account
    first = decide(pipeline)
    pipeline.sessions.served(first.session, first.served_model, first.requested_model)
    pipeline.sessions.answered(account, "resp_1", first.session)
    output = replace(FACTS, first_user_text="", user_texts=(), tool_loop=True, continues="resp_1")
    plan = pipeline.plan(output, KEY, Asked(), fits, "api.openai.com")
    assert plan.session == first.session
    assert plan.settled and plan.settled.model == first.served_model == "claude-haiku-4-5"

    unknown = pipeline.plan(replace(output, continues="resp_2"), KEY, Asked(), fits, "api.openai.com")
    assert unknown.session != first.session
    assert unknown.settled and unknown.settled.model == "claude-opus-4-8"
    other = Credential(CredentialKind.API_KEY, "c" * 16)
    assert pipeline.plan(output, other, Asked(), fits, "api.openai.com").session != first.session


def test_models_of_ones_own_are_served_by_a_fixed_route(make: Any) -> None:
    """They are in no bundle, and nothing is said of what they can take: tools, at least."""
    row = "{provider: mine, quality_tier: 2, context_tokens: 30000, prices: {input: 0, output: 0}}"
    config = f"""
    models: {{qwen-big: {row}, qwen-small: {row}}}
    routes: [{{surface: openai_chat, requested: qwen-*, strategy: fixed, model: qwen-small}}]
    """
    facts = replace(FACTS, surface="openai_chat", requested_model="qwen-big", tools=3)
    decision = decide(make(config), facts, ineligible=openai_chat.ineligible)
    assert (decision.served_model, decision.reason) == ("qwen-small", "fixed by route")


def test_other_models_of_a_gateway_are_named_as_the_client_names_them(make: Any) -> None:
    decision = decide(make(), replace(FACTS, requested_model="anthropic/claude-opus-4-8"))
    assert decision.served_model == "anthropic/claude-haiku-4-5"


GATED = "claude-fable-5-1"


def excluded(decision: Decision) -> dict[str, str]:
    """Why models are out, but for the one that is out unless somebody names it."""
    return {
        item.model: item.excluded for item in decision.candidates if item.excluded and item.model != GATED
    }


def test_an_easy_prompt_goes_to_the_cheapest_and_a_hard_one_to_the_best(make: Any) -> None:
    pipeline = make()
    assert decide(pipeline, vector=EASY).served_model == "claude-haiku-4-5"
    assert decide(pipeline, vector=HARD).served_model == "claude-opus-4-8"


def test_a_decision_can_be_explained(make: Any) -> None:
    decision = decide(make(), vector=HARD)
    assert decision.reason == Reason.CLUSTER.value
    assert decision.strategy == "cluster"
    assert decision.bundle == "v1"
    assert decision.clusters == ((1, 1.0),)
    assert decision.runner_up == "claude-sonnet-4-6"
    assert decision.margin is not None and decision.margin > 0
    quality = {item.model: item.quality for item in decision.candidates if item.model != GATED}
    assert quality == {name: row[1] for name, row in QUALITY.items()}
    assert decision.knobs["alpha"] == [0.5, 0.9]
    assert len(decision.knobs_hash) == 16


def test_candidates_stay_with_the_provider_and_gated_models_need_to_be_named(make: Any) -> None:
    decision = decide(make(max_price_ratio=9.0), vector=HARD)
    assert {item.model for item in decision.candidates} == {*QUALITY, GATED}
    assert next(item for item in decision.candidates if item.model == GATED).excluded.startswith("opt-in")
    assert decision.served_model != GATED
    named = make("routes: [{candidates: [claude-fable-5-1, claude-opus-4-8]}]\n", max_price_ratio=9.0)
    assert (
        decide(named, vector=HARD, asked=Asked(knobs.Overrides(alpha=1.0))).served_model == "claude-fable-5-1"
    )


def test_a_gated_model_serves_where_it_was_asked_for(make: Any) -> None:
    asked = Asked(knobs.Overrides(alpha=1.0))
    decision = decide(make(), replace(FACTS, requested_model="claude-fable-5-1"), HARD, asked=asked)
    assert decision.served_model == "claude-fable-5-1"


def test_never_a_model_priced_above_the_requested_one(make: Any) -> None:
    decision = decide(make(), replace(FACTS, requested_model="claude-sonnet-4-6"), HARD)
    assert decision.served_model == "claude-sonnet-4-6"
    assert list(excluded(decision)) == ["claude-opus-4-8"]
    dearer = decide(make(max_price_ratio=3.0), replace(FACTS, requested_model="claude-sonnet-4-6"), HARD)
    assert dearer.served_model == "claude-opus-4-8"


def test_a_model_that_cannot_take_the_request_is_excluded_but_still_measured_against(make: Any) -> None:
    def no_haiku(facts: Facts, model: Model) -> str:
        return "no images" if model.name == "claude-haiku-4-5" else ""

    free, bound = decide(make()), decide(make(), ineligible=no_haiku)
    assert bound.served_model == "claude-sonnet-4-6"
    assert excluded(bound) == {"claude-haiku-4-5": "no images"}
    assert [item.score for item in bound.candidates] == [item.score for item in free.candidates]


def test_with_no_alternative_nothing_needs_to_be_embedded(make: Any) -> None:
    def none_fits(facts: Facts, model: Model) -> str:
        return "no"

    plan = make().plan(FACTS, KEY, Asked(), none_fits)
    assert plan.settled.reason is Reason.ONLY_CHOICE
    assert plan.settled.model == "claude-opus-4-8"


@pytest.mark.parametrize(
    ("change", "credential", "reason"),
    [
        ({"requested_model": "claude-unheard-of"}, KEY, Reason.UNKNOWN_MODEL),
        ({"requested_model": "claude-opus-4-6"}, KEY, Reason.NOT_SCORED),
        ({"turn": TurnKind.TITLE}, KEY, Reason.BACKGROUND),
        ({"turn": TurnKind.PROBE}, KEY, Reason.BACKGROUND),
        ({}, LOGIN, Reason.SUBSCRIPTION),
    ],
)
def test_what_passes_through_by_default(
    make: Any, change: Any, credential: Credential, reason: Reason
) -> None:
    facts = replace(FACTS, **change)
    decision = decide(make(), facts, credential=credential)
    assert (decision.served_model, decision.strategy) == (facts.requested_model, "passthrough")
    assert decision.reason == reason.value


def test_a_subscription_is_routed_only_where_the_user_says_so(make: Any) -> None:
    decision = decide(make(subscription="route"), credential=LOGIN)
    assert decision.served_model == "claude-haiku-4-5"


def test_switched_off_nothing_is_routed(make: Any) -> None:
    assert decide(make(enabled=False)).reason == Reason.DISABLED.value


def test_switched_off_neither_a_route_nor_a_header_changes_the_model(make: Any) -> None:
    pipeline = make(FIXED, enabled=False)
    for asked in (Asked(), Asked(model="claude-haiku-4-5")):
        decision = decide(pipeline, asked=asked)
        assert (decision.served_model, decision.reason) == ("claude-opus-4-8", Reason.DISABLED.value)


def test_a_dated_name_is_its_family_and_keeps_its_spelling(make: Any) -> None:
    dated = replace(FACTS, requested_model="claude-haiku-4-5-20251001")
    decision = decide(make(), dated)
    assert decision.served_model == "claude-haiku-4-5-20251001"
    assert decision.strategy == "cluster"


def test_mid_tool_loop_the_serving_model_goes_on(make: Any) -> None:
    pipeline = make()
    first = decide(pipeline, vector=HARD)
    pipeline.sessions.served(first.session, "claude-sonnet-4-6")
    step = decide(pipeline, replace(FACTS, tool_loop=True, message_count=3))
    assert (step.served_model, step.reason) == ("claude-sonnet-4-6", Reason.TOOL_LOOP.value)
    turn = decide(pipeline, replace(FACTS, message_count=5))
    assert (turn.served_model, turn.previous_model) == ("claude-haiku-4-5", "claude-sonnet-4-6")


def test_a_tool_loop_that_nothing_is_known_of_stays_with_the_requested_model(make: Any) -> None:
    step = decide(make(), replace(FACTS, tool_loop=True))
    assert (step.served_model, step.reason) == ("claude-opus-4-8", Reason.TOOL_LOOP.value)


def test_a_tool_loop_leaves_a_model_that_became_ineligible(make: Any) -> None:
    pipeline = make()
    key = decide(pipeline).session
    pipeline.sessions.served(key, "claude-haiku-4-5")

    def full(facts: Facts, model: Model) -> str:
        return "context window" if model.name == "claude-haiku-4-5" else ""

    step = decide(pipeline, replace(FACTS, tool_loop=True), ineligible=full)
    assert step.served_model == "claude-opus-4-8"


def test_mid_tool_loop_a_client_that_asks_for_another_model_gets_it(make: Any) -> None:
    """As when planning ends and a cheaper model goes on, or when the client falls back by itself."""
    pipeline = make()
    first = decide(pipeline, vector=HARD)
    assert first.served_model == "claude-opus-4-8"
    pipeline.sessions.served(first.session, first.served_model, first.requested_model)
    step = replace(FACTS, requested_model="claude-sonnet-4-6", tool_loop=True, message_count=3)
    for facts in (step, replace(step, endpoint="count_tokens")):
        assert decide(pipeline, facts).served_model == "claude-sonnet-4-6"
    plan = pipeline.plan(step, KEY, Asked(), fits)
    assert pipeline.give_up(plan, fits, STAMP).served_model == "claude-sonnet-4-6"


@pytest.mark.parametrize("change", [{"user_texts": ()}, {"endpoint": "count_tokens"}])
def test_what_needs_no_score_does_not_go_to_a_model_that_cannot_take_it(make: Any, change: Any) -> None:
    pipeline = make()
    pipeline.sessions.served(decide(pipeline).session, "claude-haiku-4-5", "claude-opus-4-8")

    def no_haiku(facts: Facts, model: Model) -> str:
        return "takes no images" if model.name == "claude-haiku-4-5" else ""

    assert decide(pipeline, replace(FACTS, **change)).served_model == "claude-haiku-4-5"
    decision = decide(pipeline, replace(FACTS, **change), ineligible=no_haiku)
    assert decision.served_model == "claude-opus-4-8"


def test_without_words_a_conversation_does_not_stay_with_a_dearer_model_than_asked_for(make: Any) -> None:
    pipeline = make()
    pipeline.sessions.served(decide(pipeline).session, "claude-opus-4-8", "claude-opus-4-8")
    decision = decide(pipeline, replace(FACTS, requested_model="claude-sonnet-4-6", user_texts=()))
    assert decision.served_model == "claude-sonnet-4-6"


def test_without_words_the_conversation_keeps_its_model(make: Any) -> None:
    pipeline = make()
    wordless = replace(FACTS, user_texts=("<system-reminder>x</system-reminder>",))
    assert decide(pipeline, wordless).served_model == "claude-opus-4-8"
    pipeline.sessions.served(decide(pipeline, wordless).session, "claude-haiku-4-5")
    decision = decide(pipeline, wordless)
    assert (decision.served_model, decision.reason) == ("claude-haiku-4-5", Reason.NO_TEXT.value)


def test_tokens_are_counted_for_the_model_that_serves(make: Any) -> None:
    pipeline = make()
    pipeline.sessions.served(decide(pipeline).session, "claude-haiku-4-5")
    count = decide(pipeline, replace(FACTS, endpoint="count_tokens"))
    assert count.served_model == "claude-haiku-4-5"


def test_a_model_that_was_refused_is_no_candidate_in_that_conversation(make: Any) -> None:
    pipeline = make()
    pipeline.sessions.refused(decide(pipeline).session, "claude-haiku-4-5", instead="claude-opus-4-8")
    decision = decide(pipeline)
    assert decision.served_model == "claude-sonnet-4-6"
    assert "refused" in excluded(decision)["claude-haiku-4-5"]


FIXED = """\
routes:
  - name: small
    requested: "claude-*"
    strategy: fixed
    model: claude-haiku-4-5
"""


def test_a_fixed_route_waits_for_the_end_of_a_tool_loop(make: Any) -> None:
    pipeline = make(FIXED)
    first = decide(pipeline)
    assert (first.served_model, first.reason) == ("claude-haiku-4-5", Reason.FIXED.value)
    pipeline.sessions.served(first.session, "claude-opus-4-8")
    step = decide(pipeline, replace(FACTS, tool_loop=True, message_count=3))
    assert (step.served_model, step.reason) == ("claude-opus-4-8", Reason.TOOL_LOOP.value)


def test_a_fixed_route_does_not_wait_where_the_client_changes_the_model_itself(make: Any) -> None:
    pipeline = make(FIXED)
    pipeline.sessions.served(decide(pipeline).session, "claude-opus-4-8", "claude-opus-4-8")
    step = replace(FACTS, requested_model="claude-sonnet-4-6", tool_loop=True, message_count=3)
    assert decide(pipeline, step).served_model == "claude-haiku-4-5"


def test_a_fixed_route_does_not_insist_on_a_model_that_was_refused(make: Any) -> None:
    pipeline = make(FIXED)
    pipeline.sessions.refused(decide(pipeline).session, "claude-haiku-4-5", instead="claude-opus-4-8")
    assert decide(pipeline).served_model != "claude-haiku-4-5"


# --- the prompt cache -------------------------------------------------------------------------

LONG = replace(FACTS, input_tokens_estimate=300_000, cache_ttl_s=300, message_count=5)


def after(pipeline: Pipeline, model: str) -> Pipeline:
    """The conversation was last served by `model`."""
    pipeline.sessions.served(decide(pipeline, LONG).session, model)
    return pipeline


def test_a_long_conversation_does_not_move_for_less_than_its_cache_is_worth(make: Any) -> None:
    text = "routes:\n  - {name: two, candidates: [claude-sonnet-4-6, claude-opus-4-8]}\n"
    decision = decide(after(make(text), "claude-opus-4-8"), LONG)
    assert (decision.served_model, decision.strategy) == ("claude-opus-4-8", "sticky")
    assert decision.reason == Reason.KEEPS_CACHE.value
    assert decision.detail == "claude-sonnet-4-6 was best for this prompt"
    assert decision.clusters and decision.candidates


def test_a_short_conversation_moves_and_so_does_one_without_a_cache(make: Any) -> None:
    pipeline = after(make(), "claude-opus-4-8")
    short = replace(LONG, input_tokens_estimate=2_000)
    assert decide(pipeline, short).served_model == "claude-haiku-4-5"
    assert decide(pipeline, replace(LONG, cache_ttl_s=None)).served_model == "claude-haiku-4-5"


def test_a_cache_that_has_expired_holds_nothing_back(make: Any) -> None:
    now = [0.0]
    text = "routes:\n  - {name: two, candidates: [claude-sonnet-4-6, claude-opus-4-8]}\n"
    pipeline = after(replace(make(text), sessions=Sessions(10_000, lambda: now[0])), "claude-opus-4-8")
    now[0] = 299.0
    assert decide(pipeline, LONG).strategy == "sticky"
    now[0] = 301.0
    assert decide(pipeline, LONG).strategy == "cluster"


def test_a_prompt_that_needs_a_better_model_gets_it(make: Any) -> None:
    decision = decide(after(make(), "claude-haiku-4-5"), LONG, HARD)
    assert (decision.served_model, decision.strategy) == ("claude-opus-4-8", "cluster")


def test_a_model_that_cannot_take_the_request_is_left_whatever_its_cache_is_worth(make: Any) -> None:
    def no_sonnet(facts: Facts, model: Model) -> str:
        return "no" if model.name == "claude-sonnet-4-6" else ""

    decision = decide(after(make(), "claude-sonnet-4-6"), LONG, ineligible=no_sonnet)
    assert decision.strategy == "cluster"


# --- what the client asks of the router -------------------------------------------------------


def test_a_forced_model_comes_before_everything(make: Any) -> None:
    asked = read_asked({"x-router-model": "claude-sonnet-4-6"})
    pipeline = make("routes: [{name: leave, strategy: passthrough}]\n")
    decision = decide(pipeline, replace(FACTS, tool_loop=True), asked=asked)
    assert (decision.served_model, decision.reason) == ("claude-sonnet-4-6", Reason.FORCED.value)


def test_a_subscription_is_not_routed_by_a_header_either(make: Any) -> None:
    with pytest.raises(ClientError, match="router_subscription"):
        decide(make(), asked=Asked(model="claude-sonnet-4-6"), credential=LOGIN)
    routed = decide(make(subscription="route"), asked=Asked(model="claude-sonnet-4-6"), credential=LOGIN)
    assert routed.served_model == "claude-sonnet-4-6"


@pytest.mark.parametrize(
    ("name", "says"),
    [("claude-unheard-of", "not in the catalogue"), ("gpt-5.5", "served by openai")],
)
def test_a_forced_model_that_cannot_be_is_the_clients_error(make: Any, name: str, says: str) -> None:
    with pytest.raises(ClientError, match=says) as raised:
        decide(make(), asked=Asked(model=name))
    assert raised.value.status == 400


def test_a_forced_model_that_cannot_take_the_request_is_the_clients_error(make: Any) -> None:
    with pytest.raises(ClientError, match="cannot take this request: no images"):
        decide(make(), asked=Asked(model="claude-haiku-4-5"), ineligible=lambda facts, model: "no images")


def test_knob_headers_turn_the_decision(make: Any) -> None:
    pipeline = make()
    cheap = decide(pipeline, vector=HARD, asked=read_asked({"x-weave-routing-alpha": "0"}))
    assert cheap.served_model == "claude-haiku-4-5"
    assert decide(pipeline, vector=HARD).served_model == "claude-opus-4-8"
    assert cheap.knobs_hash != decide(pipeline, vector=HARD).knobs_hash


def test_a_refused_marker_header_names_what_would_be_right() -> None:
    with pytest.raises(ClientError, match="x-router-marker must be one of auto, text, comment, off"):
        read_asked({"x-router-marker": "loud"})


# --- router.yaml ------------------------------------------------------------------------------


def test_a_route_can_fix_a_model(make: Any) -> None:
    pipeline = make(
        "routes:\n  - {name: cheap, requested: 'claude-opus-*', strategy: fixed, model: claude-haiku-4-5}\n"
    )
    decision = decide(pipeline, vector=HARD)
    assert (decision.served_model, decision.reason, decision.route) == (
        "claude-haiku-4-5",
        Reason.FIXED.value,
        "cheap",
    )


def test_a_route_does_not_fix_the_model_of_a_subscription(make: Any) -> None:
    pipeline = make("routes:\n  - {name: cheap, strategy: fixed, model: claude-haiku-4-5}\n")
    assert decide(pipeline, credential=LOGIN).served_model == "claude-opus-4-8"


def test_a_route_can_pass_through_narrow_the_candidates_and_set_a_floor(make: Any) -> None:
    text = (
        "routes:\n"
        "  - {name: leave, requested: 'claude-sonnet-*', strategy: passthrough}\n"
        "  - {name: two, turn: main, candidates: [claude-sonnet-4-6, claude-opus-4-8]}\n"
        "  - {name: good, turn: subagent, min_quality_tier: 4}\n"
    )
    pipeline = make(text)
    left = decide(pipeline, replace(FACTS, requested_model="claude-sonnet-4-6"))
    assert left.reason == Reason.ROUTE_PASSTHROUGH.value
    assert {item.model for item in decide(pipeline).candidates} == {"claude-sonnet-4-6", "claude-opus-4-8"}
    floor = decide(pipeline, replace(FACTS, turn=TurnKind.SUBAGENT))
    assert floor.served_model == "claude-opus-4-8"
    assert set(excluded(floor)) == {"claude-haiku-4-5", "claude-sonnet-4-6"}


def test_a_route_that_names_background_turns_routes_them(make: Any) -> None:
    pipeline = make("routes:\n  - {name: small, turn: background}\n")
    assert decide(pipeline, replace(FACTS, turn=TurnKind.TITLE)).served_model == "claude-haiku-4-5"


def test_the_clients_knobs_win_over_the_routes(make: Any) -> None:
    pipeline = make("routes:\n  - {name: cheap, knobs: {alpha: 0}}\n")
    assert decide(pipeline, vector=HARD).served_model == "claude-haiku-4-5"
    asked = read_asked({"x-router-alpha": "1"})
    assert decide(pipeline, vector=HARD, asked=asked).served_model == "claude-opus-4-8"


PRESETS = {
    "economy": knobs.Overrides(alpha=0.0, output_cost_ratio=0.25),
    "quality": knobs.Overrides(alpha=1.0),
}


def test_a_preset_stands_between_the_route_and_the_clients_own_knobs(make: Any, bundle: Bundle) -> None:
    pipeline = make("routes:\n  - {name: best, knobs: {alpha: 1, expected_output_tokens: 7}}\n")
    pipeline = replace(pipeline, shelf=shelf_of(replace(bundle, presets=PRESETS)))
    named = {"x-router-preset": " economy "}
    cheap = decide(pipeline, vector=HARD, asked=read_asked(named))
    assert (cheap.served_model, cheap.knobs["preset"]) == ("claude-haiku-4-5", "economy")
    assert (cheap.knobs["output_cost_ratio"], cheap.knobs["expected_output_tokens"]) == (0.25, 7)
    own = decide(pipeline, vector=HARD, asked=read_asked(named | {"x-weave-routing-alpha": "0.95"}))
    assert own.served_model == "claude-opus-4-8"
    assert (own.knobs["alpha"], own.knobs["output_cost_ratio"]) == (0.95, 0.25)
    without = decide(pipeline, vector=HARD)
    assert (without.served_model, "preset" in without.knobs) == ("claude-opus-4-8", False)


@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, turn=TurnKind.TITLE)], ids=["scored", "passes"])
def test_an_unknown_preset_names_the_known_ones(make: Any, bundle: Bundle, facts: Facts) -> None:
    pipeline = replace(make(), shelf=shelf_of(replace(bundle, presets=PRESETS)))
    with pytest.raises(ClientError, match="'Economy' is no preset of bundle v1; there are: economy, quality"):
        decide(pipeline, facts, asked=read_asked({"x-router-preset": "Economy"}))
    with pytest.raises(ClientError, match="there are: none"):
        decide(make(), facts, asked=read_asked({"x-router-preset": "economy"}))


def test_a_quality_bias_turns_the_decision_and_is_told(make: Any) -> None:
    pipeline = make("routes:\n  - {name: dear, knobs: {quality_bias: 1}}\n")
    best = decide(pipeline, vector=HARD)
    assert (best.served_model, best.knobs["quality_bias"], best.knobs["alpha"]) == (
        "claude-opus-4-8",
        1.0,
        1.0,
    )
    cheap = decide(pipeline, vector=HARD, asked=read_asked({"x-router-quality-bias": "0"}))
    assert (cheap.served_model, cheap.knobs["quality_bias"]) == ("claude-haiku-4-5", 0.0)
    assert cheap.knobs_hash == replace(pipeline.bundle.defaults, alpha=(0.0, 0.0)).hash
    alpha = decide(pipeline, vector=HARD, asked=read_asked({"x-router-alpha": "0.5"}))
    assert (alpha.knobs["alpha"], "quality_bias" in alpha.knobs) == (0.5, False)


# --- several bundles --------------------------------------------------------------------------


@pytest.fixture
def turned(bundle: Bundle) -> Bundle:
    """Another version, which holds the clusters to be the other way round and has a preset of its own."""
    assert bundle.quality is not None
    presets = {"lavish": knobs.Overrides(alpha=1.0)}
    return replace(bundle, version="v2", quality=bundle.quality[::-1].copy(), presets=presets)


def test_a_request_may_name_another_bundle_that_is_loaded(make: Any, bundle: Bundle, turned: Bundle) -> None:
    pipeline = replace(make(), shelf=shelf_of(bundle, turned))
    for name in ("v1", " ", " v2 "):
        decision = decide(pipeline, asked=read_asked({"x-router-bundle": name}))
        assert (decision.bundle, decision.warnings) == (name.strip() or "v1", ())
    assert decide(pipeline, vector=HARD).served_model == "claude-opus-4-8"
    other = decide(pipeline, vector=HARD, asked=read_asked({"x-router-bundle": "v2"}))
    assert (other.served_model, other.bundle) == ("claude-haiku-4-5", "v2")
    asked = read_asked({"x-router-bundle": "v2", "x-router-preset": "lavish"})
    assert decide(pipeline, asked=asked).knobs["preset"] == "lavish"
    with pytest.raises(ClientError, match="'lavish' is no preset of bundle v1"):
        decide(pipeline, asked=read_asked({"x-router-preset": "lavish"}))


@pytest.mark.parametrize("name", ["v3", "v1/../v1", "latest", "\u00e9" * 500])
@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, turn=TurnKind.TITLE)], ids=["scored", "passes"])
def test_a_bundle_that_is_not_loaded_is_a_warning_and_the_default(
    make: Any, bundle: Bundle, turned: Bundle, facts: Facts, name: str
) -> None:
    pipeline = replace(make(), shelf=shelf_of(bundle, turned))
    asked = read_asked({"x-router-bundle": name})
    decision = decide(pipeline, facts, asked=asked)
    assert decision == replace(decide(pipeline, facts), warnings=decision.warnings)
    (warning,) = decision.warnings
    assert warning.startswith("x-router-bundle: ") and "so v1 was used; loaded: v1, v2" in warning
    assert warning.isascii() and len(warning) < 700
    plan = pipeline.plan(facts, KEY, asked, fits)
    assert pipeline.give_up(plan, fits, STAMP).warnings == decision.warnings


def test_knobs_that_do_nothing_are_warned_about(make: Any, bundle: Bundle) -> None:
    """A v1 bundle was blended when it was trained."""
    older = replace(bundle, version="v0", format=1, rankings=bundle.quality, quality=None, presets=PRESETS)
    pipeline = replace(make(), shelf=shelf_of(bundle, older))
    for headers in ({"x-router-alpha": "0"}, {"x-router-quality-bias": "0"}, {"x-router-preset": "economy"}):
        decision = decide(pipeline, vector=HARD, asked=read_asked(headers | {"x-router-bundle": "v0"}))
        assert decision.served_model == "claude-opus-4-8"
        assert decision.warnings == (
            "knobs do nothing with bundle v0, which was blended when it was trained",
        )
    assert decide(pipeline, asked=read_asked({"x-router-bundle": "v0"})).warnings == ()


def test_alpha_length_mismatch_is_the_bundles_fault_and_no_clients(make: Any, bundle: Bundle) -> None:
    """What no bundle on disk can have: it is checked when it is loaded."""
    broken = replace(bundle, defaults=knobs.Knobs((0.5, 0.5, 0.5)))
    pipeline = replace(make(), shelf=shelf_of(broken))
    for headers in ({}, {"x-router-alpha": "0.5"}, {"x-router-quality-bias": "0.5"}):
        with pytest.raises(BundleError, match="3 values for 2 clusters") as caught:
            decide(pipeline, asked=read_asked(headers))
        assert not isinstance(caught.value, ClientError)


def test_override_isolation_under_64_concurrent_requests(make: Any, bundle: Bundle, turned: Bundle) -> None:
    """Alone and among 63 others, through one pipeline and the caches behind it, each decides the same."""
    pipeline = replace(make(), shelf=shelf_of(bundle, replace(turned, presets=PRESETS)))
    headers: list[dict[str, str]] = []
    for weight in (str(number / 16) for number in range(16)):
        headers += [
            {"x-router-alpha": weight},
            {"x-router-quality-bias": weight, "x-router-bundle": "v2", "x-router-output-cost-ratio": "0.1"},
            {"x-router-preset": "economy", "x-router-bundle": "v2", "x-router-output-cost-ratio": weight},
            {"x-router-alpha": "0", "x-router-speed-weight": weight, "x-router-expected-output-tokens": "9"},
        ]
    asked = [read_asked(given) for given in headers]
    alone = [decide(pipeline, vector=HARD, asked=one) for one in asked]
    assert len({(decision.bundle, decision.knobs_hash) for decision in alone}) == 64
    plain = decide(pipeline, vector=HARD)
    together = threading.Barrier(64)

    def one(number: int) -> list[Decision]:
        together.wait(10)
        return [decide(pipeline, vector=HARD, asked=asked[(number + step) % 64]) for step in range(8)]

    with ThreadPoolExecutor(64) as pool:
        for number, decisions in enumerate(pool.map(one, range(64))):
            assert decisions == [alone[(number + step) % 64] for step in range(8)]
    assert decide(pipeline, vector=HARD) == plain
    assert plain.knobs_hash == bundle.defaults.hash


# --- failure ----------------------------------------------------------------------------------


def test_a_router_that_fails_goes_on_with_the_conversations_model(make: Any) -> None:
    pipeline = make()
    plan: Plan = pipeline.plan(FACTS, KEY, Asked(), fits)
    assert pipeline.give_up(plan, fits, STAMP).served_model == "claude-opus-4-8"
    pipeline.sessions.served(plan.session, "claude-haiku-4-5")
    plan = pipeline.plan(FACTS, KEY, Asked(), fits)
    decision = pipeline.give_up(plan, fits, STAMP)
    assert (decision.served_model, decision.reason) == ("claude-haiku-4-5", Reason.FAILED.value)


# --- cost -------------------------------------------------------------------------------------


def test_the_requested_models_cost_is_for_the_same_text(make: Any) -> None:
    pipeline = make()
    models = pipeline.settings.catalogue
    decision = decide(pipeline)
    served, asked = models.resolve("claude-haiku-4-5"), models.resolve("claude-opus-4-8")
    assert served is not None and asked is not None
    cost, requested = costs(decision, Usage(input_tokens=1_000_000, output_tokens=0), models)
    assert cost == pytest.approx(served.prices.input)
    scale = asked.token_factor / served.token_factor
    assert requested == pytest.approx((asked.prices.input or 0) * scale)


def test_unknown_usage_costs_unknown_not_nothing(make: Any) -> None:
    pipeline = make()
    assert costs(decide(pipeline), Usage(), pipeline.settings.catalogue) == (None, None)
