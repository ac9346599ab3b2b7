"""Which models of other providers take part, where they are asked for, and what never leaves its host."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pipelines import EASY, HARD, KEY, LOGIN, STAMP, decide, fits, make_bundle, maker
from pointsman.asked import Asked
from pointsman.errors import ClientError
from pointsman.pipeline import Reason, costs
from pointsman.reach import anywhere
from pointsman.scoring.bundle import Bundle
from pointsman.session import account_of
from pointsman.values import Binding, Decision, Facts, Model, TurnKind, Usage
from pointsman.wire import anthropic
from samples import FACTS

KEYS = {"MOONSHOT_API_KEY": "k", "OPENROUTER_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}
HOST = "api.anthropic.com"
CHEAP = "routes: [{name: cheap, candidates: [claude-haiku-4-5, kimi-k2.6]}]\n"
TO_KIMI = "routes: [{name: away, strategy: fixed, model: kimi-k2.6}]\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "v1")


@pytest.fixture
def make(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return maker(bundle, tmp_path, monkeypatch, KEYS)


ask = partial(decide, host=HOST, reaches=anywhere)


def where(decision: Decision) -> list[tuple[str, str]]:
    return [(binding.name, binding.model) for binding in decision.bindings]


def why(decision: Decision, model: str) -> str:
    (found,) = [item.excluded for item in decision.candidates if item.model == model]
    return found


# --- who takes part -----------------------------------------------------------------------


def test_without_a_word_of_it_every_request_stays_with_its_own_provider_and_account(make: Any) -> None:
    for vector in (EASY, HARD):
        decision = ask(make(), vector=vector)
        assert decision == ask(make(environ={}), vector=vector)
        assert decision.bindings == ()
        assert {item.model.partition("-")[0] for item in decision.candidates} == {"claude"}


def test_a_model_of_another_provider_is_a_candidate_where_a_route_names_it(make: Any) -> None:
    decision = ask(make(CHEAP))
    assert (decision.served_model, decision.strategy) == ("kimi-k2.6", "cluster")
    assert where(decision) == [("moonshot_anthropic", "kimi-k2.6")]
    hard = ask(make(CHEAP), vector=HARD)
    assert (hard.served_model, hard.bindings) == ("claude-opus-4-8", ())


def test_a_provider_without_a_key_is_never_a_candidate(make: Any) -> None:
    decision = ask(make(CHEAP, environ={"OPENROUTER_API_KEY": "k"}))
    assert decision.served_model == "claude-haiku-4-5"
    assert why(decision, "kimi-k2.6") == "no key for moonshot_anthropic (MOONSHOT_API_KEY)"
    fixed = ask(make(TO_KIMI, environ={}))
    assert (fixed.served_model, fixed.bindings) == ("claude-haiku-4-5", ())
    with pytest.raises(ClientError, match="is served by moonshot, and cannot be had here: no key"):
        ask(make(environ={}), asked=Asked(model="kimi-k2.6"))


def test_what_is_available_is_a_value_and_a_replay_can_have_another(make: Any) -> None:
    pipeline = make(CHEAP, environ={})
    with_key = replace(pipeline, settings=replace(pipeline.settings, available=frozenset({"moonshot"})))
    decision = decide(with_key, host=HOST, reaches=anywhere)
    assert where(decision) == [("moonshot", "kimi-k2.6")]


def test_the_clients_own_api_is_taken_where_a_provider_speaks_several(make: Any) -> None:
    chat = replace(FACTS, surface="openai_chat", requested_model="gpt-5.5")
    pipeline = make("routes: [{strategy: fixed, requested: gpt-*, model: kimi-k2.6}]")
    assert where(ask(pipeline, chat, host="api.openai.com")) == [("moonshot", "kimi-k2.6")]
    gemini = replace(FACTS, surface="gemini", requested_model="gpt-5.5")
    assert where(ask(pipeline, gemini)) == [("moonshot", "kimi-k2.6")]


def test_never_is_another_account_charged_for_what_the_origin_serves(make: Any) -> None:
    """All keys are set; only what names a provider, or lists it in `bindings`, may use them."""
    for text in ("", CHEAP, "routes: [{strategy: fixed, model: claude-haiku-4-5}]"):
        for facts in (FACTS, replace(FACTS, tool_loop=True), replace(FACTS, turn=TurnKind.TITLE)):
            decision = ask(make(text), facts, vector=HARD)
            assert decision.served_model.startswith("claude") and decision.bindings == ()
    forced = ask(make(), asked=Asked(model="claude-haiku-4-5"))
    assert forced.bindings == ()


def test_prices_are_compared_as_they_are_at_the_first_binding(make: Any) -> None:
    text = CHEAP + "models: {kimi-k2.6: {bindings: [{provider: openrouter, prices: {input: 9, output: 9}}]}}"
    decision = ask(make(text))
    assert decision.served_model == "claude-haiku-4-5"
    assert why(decision, "kimi-k2.6") == "input price is above the requested model's"
    dear = text.replace("}]}}", "}, {provider: moonshot}]}}")
    assert ask(make(dear)).served_model == "claude-haiku-4-5"
    assert ask(make(dear, environ={"MOONSHOT_API_KEY": "k"})).served_model == "kimi-k2.6"


def test_a_binding_with_too_small_a_context_is_left_out_and_the_next_one_serves(make: Any) -> None:
    text = CHEAP + (
        "models: {kimi-k2.6: {bindings: [{provider: moonshot, context_tokens: 12000}, "
        "openrouter/moonshotai/kimi-k2.6]}}"
    )
    assert where(ask(make(text), replace(FACTS, input_tokens_estimate=1_000))) == [
        ("moonshot", "kimi-k2.6"),
        ("openrouter", "moonshotai/kimi-k2.6"),
    ]
    assert where(ask(make(text))) == [("openrouter", "moonshotai/kimi-k2.6")]
    alone = ask(make(text.replace(", openrouter/moonshotai/kimi-k2.6", "")))
    assert alone.served_model == "claude-haiku-4-5"
    assert "of a context of 12000" in why(alone, "kimi-k2.6")


def test_what_cannot_be_translated_is_left_out_before_anything_is_scored(make: Any) -> None:
    def not_chat(binding: Binding, model: Model) -> str:
        assert binding.provider is not None
        return "has a prefill" if binding.provider.surface == "openai_chat" else ""

    text = CHEAP + "models: {kimi-k2.6: {bindings: [openrouter/k, moonshot_anthropic]}}"
    assert where(ask(make(text), reaches=not_chat)) == [("moonshot_anthropic", "kimi-k2.6")]
    lone = make(text.replace(", moonshot_anthropic", ""))
    assert why(ask(lone, reaches=not_chat), "kimi-k2.6") == "has a prefill"
    assert "speaks openai_chat, and the client anthropic" in why(ask(lone, reaches=None), "kimi-k2.6")

    def broken(binding: Binding, model: Model) -> str:
        raise RuntimeError("a defect")

    assert why(ask(lone, reaches=broken), "kimi-k2.6") == "cannot be translated: RuntimeError"


def test_of_several_bindings_each_says_why(make: Any) -> None:
    text = (
        CHEAP
        + "models: {kimi-k2.6: {bindings: [origin, groq/kimi, {provider: moonshot, context_tokens: 9}]}}"
    )
    decision = ask(make(text))
    assert why(decision, "kimi-k2.6") == (
        "origin: the client's host has no models of moonshot; groq: no key for groq (GROQ_API_KEY); "
        "moonshot: needs about 14000 tokens of a context of 9"
    )


def test_images_go_to_models_that_are_known_to_take_them(make: Any) -> None:
    seen = replace(FACTS, images=1)
    assert ask(make(TO_KIMI), seen).served_model == "kimi-k2.6"
    blind = make("routes: [{strategy: fixed, model: openrouter/someone/something-new}]")
    assert ask(blind).served_model == "openrouter/someone/something-new"
    assert ask(blind, seen).bindings == ()


def test_data_that_must_stay_in_its_region_does_not_leave(make: Any) -> None:
    assert ask(make(TO_KIMI), replace(FACTS, needs=frozenset({"clear_thinking_20251015"}))).bindings
    decision = ask(make(TO_KIMI), replace(FACTS, needs=frozenset({"inference_geo"})))
    assert decision.bindings == ()


# --- where a model is asked for -----------------------------------------------------------


def test_bindings_are_asked_in_order_and_an_origin_among_them_by_the_name_that_is_sent(make: Any) -> None:
    text = (
        "models: {claude-haiku-4-5: {bindings: [origin, openrouter/anthropic/claude-haiku-4.5, anthropic]}}"
    )
    expected = [
        ("origin", "claude-haiku-4-5"),
        ("openrouter", "anthropic/claude-haiku-4.5"),
        ("anthropic", "claude-haiku-4-5"),
    ]
    assert where(ask(make(text))) == expected
    assert where(ask(make(text, environ={"ANTHROPIC_API_KEY": "k"}))) == [expected[0], expected[2]]
    assert where(ask(make(text, environ={}))) == []
    gateway = ask(make(text), replace(FACTS, requested_model="anthropic/claude-opus-4-8"))
    assert gateway.served_model == gateway.bindings[0].model == "anthropic/claude-haiku-4-5"


def test_the_requested_model_has_its_bindings_too(make: Any) -> None:
    text = "models: {claude-opus-4-8: {bindings: [openrouter/anthropic/claude-opus-4.8, origin]}}"
    decision = ask(make(text), vector=HARD)
    assert decision.served_model == "claude-opus-4-8"
    assert [name for name, _ in where(decision)] == ["openrouter", "origin"]
    lost = make("models: {claude-opus-4-8: {bindings: [groq/opus]}}")
    other = ask(lost, vector=HARD)
    assert other.served_model == "claude-sonnet-4-6"
    assert why(other, "claude-opus-4-8") == "no key for groq (GROQ_API_KEY)"


def test_calls_that_are_not_routed_go_where_their_model_is_had(make: Any) -> None:
    text = (
        "models: {claude-opus-4-8: {bindings: [anthropic]}, claude-opus-4-6: {bindings: [origin, anthropic]}}"
    )
    title = ask(make(text), replace(FACTS, turn=TurnKind.TITLE))
    assert (title.served_model, title.reason) == ("claude-opus-4-8", Reason.BACKGROUND.value)
    assert where(title) == [("anthropic", "claude-opus-4-8")]
    unscored = ask(make(text), replace(FACTS, requested_model="claude-opus-4-6"))
    assert unscored.reason == Reason.NOT_SCORED.value
    assert [name for name, _ in where(unscored)] == ["origin", "anthropic"]
    for config in (text + "\nenabled: false", text + "\nroutes: [{strategy: passthrough, turn: any}]"):
        assert ask(make(config), replace(FACTS, turn=TurnKind.TITLE)).bindings == ()


def test_tokens_are_counted_at_the_origin_unless_it_is_not_to_see_them(make: Any) -> None:
    count = replace(FACTS, endpoint="count_tokens")
    both = "models: {claude-opus-4-8: {bindings: [anthropic, origin]}}"
    for config in ("", both, CHEAP):
        decision = ask(make(config), count)
        assert (decision.served_model, decision.bindings) == ("claude-opus-4-8", ())
    fixed = ask(make(TO_KIMI), count)
    assert fixed.served_model == "kimi-k2.6" and all(one.provider for one in fixed.bindings)
    pipeline = make(CHEAP)
    pipeline.sessions.served(decide(pipeline).session, "kimi-k2.6", "claude-opus-4-8")
    served = ask(pipeline, count)
    assert served.served_model == "kimi-k2.6" and all(one.provider for one in served.bindings)


def test_a_name_with_a_provider_serves_from_there(make: Any) -> None:
    pipeline = make("routes: [{strategy: fixed, model: anthropic/claude-haiku-4-5-20251001}]")
    decision = ask(pipeline)
    assert decision.served_model == "claude-haiku-4-5"
    assert where(decision) == [("anthropic", "claude-haiku-4-5-20251001")]
    forced = ask(make(), asked=Asked(model="openrouter/moonshotai/kimi-k2.6"))
    assert (forced.served_model, forced.reason) == ("kimi-k2.6", Reason.FORCED.value)
    assert where(forced) == [("openrouter", "moonshotai/kimi-k2.6")]
    with pytest.raises(ClientError, match="x-router-model: 'opnrouter/x' is not in the catalogue"):
        ask(make(), asked=Asked(model="opnrouter/x"))


def test_a_name_that_the_client_asks_for_is_not_taken_apart(make: Any) -> None:
    """A gateway's client says `anthropic/claude-…`, and the preset of that name has a key."""
    decision = ask(make(), replace(FACTS, requested_model="anthropic/claude-opus-4-8"), host="gw.example.com")
    assert (decision.served_model, decision.bindings) == ("anthropic/claude-haiku-4-5", ())
    pipeline = make()
    pipeline.sessions.served(decision.session, decision.served_model, "anthropic/claude-opus-4-8")
    step = replace(FACTS, requested_model="anthropic/claude-opus-4-8", tool_loop=True)
    again = ask(pipeline, step, host="gw.example.com")
    assert (again.served_model, again.bindings) == ("anthropic/claude-haiku-4-5", ())


def test_a_gateway_may_have_what_a_row_says_that_it_has(make: Any) -> None:
    text = TO_KIMI + "models: {kimi-k2.6: {bindings: [origin, moonshot]}}"
    chat = replace(FACTS, surface="openai_chat", requested_model="gpt-5.5")
    assert [name for name, _ in where(ask(make(text), chat, host="gw.example.com"))] == ["origin", "moonshot"]
    assert [name for name, _ in where(ask(make(text), chat, host="api.openai.com"))] == ["moonshot"]


# --- what stays ---------------------------------------------------------------------------

AWAY = """
models:
  claude-opus-4-8: {bindings: [anthropic, origin]}
  claude-haiku-4-5: {bindings: [anthropic]}
  claude-sonnet-4-6: {bindings: [origin, anthropic]}
routes:
  - {name: sub, turn: subagent, strategy: fixed, model: kimi-k2.6}
  - {name: title, turn: title, strategy: fixed, model: openrouter/moonshotai/kimi-k2.6}
  - {name: main, turn: main, candidates: [kimi-k2.6, claude-haiku-4-5, claude-sonnet-4-6]}
"""


@pytest.mark.parametrize("turn", [TurnKind.MAIN, TurnKind.SUBAGENT, TurnKind.TITLE, TurnKind.COMPACTION])
@pytest.mark.parametrize("subscription", ["passthrough", "route"])
@pytest.mark.parametrize("tool_loop", [False, True])
@pytest.mark.parametrize("before", ["", "kimi-k2.6", "claude-haiku-4-5"])
def test_a_subscription_never_leaves(
    make: Any, turn: TurnKind, subscription: str, tool_loop: bool, before: str
) -> None:
    pipeline = make(AWAY, subscription=subscription)
    facts = replace(FACTS, turn=turn, tool_loop=tool_loop)
    first = decide(pipeline, facts, credential=LOGIN)
    assert [binding for binding in first.bindings if binding.provider] == []
    if before:
        pipeline.sessions.served(first.session, before, "claude-opus-4-8")
    for vector in (EASY, HARD):
        decision = ask(pipeline, facts, credential=LOGIN, vector=vector)
        assert decision.bindings == ()
        assert decision.served_model in ("claude-opus-4-8", "claude-sonnet-4-6")
    plan = pipeline.plan(facts, LOGIN, Asked(), fits, HOST, anywhere)
    assert pipeline.give_up(plan, fits, STAMP).bindings == ()


@pytest.mark.parametrize(
    "name", ["kimi-k2.6", "openrouter/moonshotai/kimi-k2.6", "anthropic/claude-haiku-4-5"]
)
def test_a_subscription_does_not_leave_by_a_header_either(make: Any, name: str) -> None:
    with pytest.raises(ClientError, match="a subscription login stays with its host"):
        ask(make(subscription="route"), asked=Asked(model=name), credential=LOGIN)
    with pytest.raises(ClientError, match="router_subscription"):
        ask(make(), asked=Asked(model=name), credential=LOGIN)


@pytest.mark.parametrize(
    "change",
    [{"continues": "resp_1"}, {"bound": "its cache is bound to its model"}],
    ids=["continues", "bound"],
)
def test_what_only_the_host_has_does_not_leave(make: Any, change: dict[str, str]) -> None:
    pipeline = make(AWAY)
    assert where(ask(pipeline)) and where(ask(pipeline, vector=HARD))
    for vector in (EASY, HARD):
        assert ask(pipeline, replace(FACTS, **change), vector=vector).bindings == ()  # type: ignore[arg-type]


# --- conversations ------------------------------------------------------------------------


def test_mid_tool_loop_a_conversation_stays_where_it_is(make: Any) -> None:
    text = "routes: [{candidates: [openrouter/moonshotai/kimi-k2.6, claude-haiku-4-5]}]"
    pipeline = make(text)
    first = ask(pipeline)
    assert where(first) == [("openrouter", "moonshotai/kimi-k2.6")]
    pipeline.sessions.served(first.session, first.served_model, first.requested_model)
    step = ask(pipeline, replace(FACTS, tool_loop=True), vector=HARD)
    assert (step.reason, where(step)) == (Reason.TOOL_LOOP.value, where(first))


def test_mid_tool_loop_a_model_is_left_that_cannot_be_had_any_more(make: Any) -> None:
    pipeline = make(CHEAP)
    pipeline.sessions.served(ask(pipeline).session, "kimi-k2.6", "claude-opus-4-8")
    step = replace(FACTS, tool_loop=True)
    assert ask(pipeline, step).served_model == "kimi-k2.6"
    gone = replace(pipeline, settings=replace(pipeline.settings, available=frozenset()))
    assert (ask(gone, step).served_model, ask(gone, step).bindings) == ("claude-opus-4-8", ())
    image = ask(pipeline, step, reaches=lambda binding, model: "cannot be said there")
    assert image.served_model == "claude-opus-4-8"


def test_a_refusal_counts_for_the_account_that_was_refused(make: Any) -> None:
    text = CHEAP + "models: {kimi-k2.6: {bindings: [moonshot, openrouter/moonshotai/kimi-k2.6]}}"
    pipeline = make(text)
    pipeline.sessions.refused_account(account_of("", "moonshot"), "kimi-k2.6")
    assert [name for name, _ in where(ask(pipeline))] == ["openrouter"]
    pipeline = make("models: {claude-haiku-4-5: {bindings: [origin, anthropic]}}")
    pipeline.sessions.refused_account(account_of(KEY.fingerprint, HOST), "claude-haiku-4-5")
    assert [name for name, _ in where(ask(pipeline))] == ["anthropic"]


def test_a_router_that_fails_goes_on_with_the_conversations_model_where_that_is_had(make: Any) -> None:
    pipeline = make(CHEAP)
    plan = pipeline.plan(FACTS, KEY, Asked(), fits, HOST, anywhere)
    pipeline.sessions.served(plan.session, "kimi-k2.6", "claude-opus-4-8")
    plan = pipeline.plan(FACTS, KEY, Asked(), fits, HOST, anywhere)
    decision = pipeline.give_up(plan, fits, STAMP)
    assert (decision.served_model, decision.reason) == ("kimi-k2.6", Reason.FAILED.value)
    assert where(decision) == [("moonshot_anthropic", "kimi-k2.6")]
    assert decision.changes_answer


# --- rules of the surfaces ----------------------------------------------------------------


def test_the_surfaces_own_rules_hold_at_another_account_of_its_provider(make: Any) -> None:
    def no_haiku(facts: Facts, model: Model) -> str:
        return "takes no haiku" if model.name == "claude-haiku-4-5" else ""

    text = "routes: [{strategy: fixed, model: anthropic/claude-haiku-4-5}]"
    assert ask(make(text)).served_model == "claude-haiku-4-5"
    assert ask(make(text), ineligible=no_haiku).bindings == ()


def test_another_providers_models_need_no_row_of_the_surfaces_own_kind(make: Any) -> None:
    """Nothing is known of `thinking` for Moonshot's models, and its API copies Anthropic's."""
    facts = replace(FACTS, tools=3, thinking="adaptive")
    decision = ask(make(TO_KIMI), facts, ineligible=anthropic.ineligible)
    assert where(decision) == [("moonshot_anthropic", "kimi-k2.6")]
    for change in ({"tool_types": frozenset({"web_search_20250305"})}, {"prefill": True}):
        refused = ask(make(TO_KIMI), replace(facts, **change), ineligible=anthropic.ineligible)
        assert refused.bindings == ()


def test_openais_rules_for_chat_hold_for_openais_models_there(make: Any) -> None:
    text = "routes: [{strategy: fixed, model: %s/gpt-6-astra}]"
    tools = replace(FACTS, tools=1)
    assert where(ask(make(text % "openai"), tools)) == [("openai", "gpt-6-astra")]
    assert ask(make(text % "openai_chat"), tools).bindings == ()
    assert where(ask(make(text % "openrouter"), tools)) == [("openrouter", "gpt-6-astra")]


# --- cost ---------------------------------------------------------------------------------


def test_an_answer_costs_what_it_costs_at_the_binding_that_gave_it(make: Any) -> None:
    text = CHEAP + "models: {kimi-k2.6: {bindings: [moonshot, {provider: openrouter, prices: {input: 2}}]}}"
    pipeline = make(text)
    decision = ask(pipeline)
    models = pipeline.settings.catalogue
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    first, second = decision.bindings
    assert costs(decision, usage, models, first)[0] == pytest.approx(models.rows["kimi-k2.6"].prices.input)
    assert costs(decision, usage, models, second)[0] == pytest.approx(2.0)
    unknown = ask(make(), asked=Asked(model="openrouter/someone/something-new"))
    assert costs(unknown, usage, models)[0] is None
