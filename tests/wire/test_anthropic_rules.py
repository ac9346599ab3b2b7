"""Each line of the capability rules by name; then all of them at once against the strict stand-in provider.

The stand-in's table is written independently of the catalogue, so a wrong row shows up as a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pointsman.catalogue import Catalogue
from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.anthropic.facts import read_facts
from pointsman.wire.anthropic.rules import adapt, ineligible
from pointsman.wire.json_spans import Body
from provider.anthropic.capabilities import BY_NAME, Takes
from provider.anthropic.rules import check_parameters, check_schema
from provider.anthropic.structure import check_structure
from provider.refusal import Refusal

CATALOGUE = Catalogue.load()
HAIKU, SONNET_46, OPUS_46 = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6"
OPUS_47, OPUS_48, SONNET_5, OPUS_5 = "claude-opus-4-7", "claude-opus-4-8", "claude-sonnet-5", "claude-opus-5"
SONNET_55, OPUS_55, HAIKU_55 = "claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5"
FABLE = "claude-fable-5"
HELLO = [{"role": "user", "content": "hello"}]


def model(name: str) -> Model:
    row = CATALOGUE.resolve(name)
    assert row is not None
    return row


def request(requested: str = OPUS_48, **members: Any) -> bytes:
    body = {"model": requested, "max_tokens": 4096, "messages": HELLO} | members
    return json.dumps(body, separators=(",", ":")).encode()


def facts_of(data: bytes) -> Facts:
    facts = read_facts(Body.parse(data), {}, "/", "generate")
    row = CATALOGUE.resolve(facts.requested_model)
    return replace(facts, thinking_default=row.capabilities["thinking_default"] if row else None)


def adapted(data: bytes, target: str) -> tuple[dict[str, Any], list[Adaptation]]:
    body = Body.parse(data)
    done = adapt(body, facts_of(data), model(target))
    return json.loads(body.render()), done


def why_not(data: bytes, target: str) -> str:
    return ineligible(facts_of(data), model(target))


# --- thinking -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", [OPUS_47, OPUS_48, SONNET_5, OPUS_5, SONNET_55, OPUS_55, HAIKU_55, FABLE])
def test_a_budget_becomes_adaptive_with_effort(target: str) -> None:
    data = request("claude-sonnet-4-5", thinking={"type": "enabled", "budget_tokens": 2000})
    body, done = adapted(data, target)
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "low"}
    assert [(item.parameter, item.verb) for item in done] == [
        ("output_config.effort", "map"),
        ("thinking", "map"),
    ]


@pytest.mark.parametrize(
    ("budget", "effort"), [(1024, "low"), (4096, "medium"), (10_000, "high"), (60_000, "high")]
)
def test_a_budget_sets_the_effort_and_never_above_high(budget: int, effort: str) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    body, _ = adapted(request(HAIKU, max_tokens=64_000, thinking=thinking), OPUS_48)
    assert body["output_config"]["effort"] == effort


def test_an_effort_that_is_given_wins_over_the_budget() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body, _ = adapted(request(OPUS_46, thinking=thinking, output_config={"effort": "max"}), OPUS_48)
    assert body["output_config"] == {"effort": "max"}


def test_a_budget_stays_where_it_is_taken() -> None:
    data = request("claude-sonnet-4-5", thinking={"type": "enabled", "budget_tokens": 2000})
    body = Body.parse(data)
    assert adapt(body, facts_of(data), model(HAIKU)) == []
    assert body.render() is data


@pytest.mark.parametrize(
    ("effort", "max_tokens", "budget"),
    [(None, 64_000, 16_000), ("low", 64_000, 4_000), ("xhigh", 64_000, 24_000), ("high", 4_096, 2_048)],
)
def test_adaptive_becomes_a_budget_below_max_tokens(effort: str | None, max_tokens: int, budget: int) -> None:
    config = {"output_config": {"effort": effort}} if effort else {}
    body, _ = adapted(request(max_tokens=max_tokens, thinking={"type": "adaptive"}, **config), HAIKU)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert budget < max_tokens
    assert "output_config" not in body


def test_adaptive_with_no_room_for_a_budget_is_turned_off() -> None:
    body, done = adapted(request(max_tokens=2000, thinking={"type": "adaptive"}), HAIKU)
    assert body["thinking"] == {"type": "disabled"}
    assert done == [Adaptation("thinking", "map", '{"type":"adaptive"}', '{"type":"disabled"}', "thinking")]


def test_display_survives_the_mapping() -> None:
    body, _ = adapted(request(thinking={"type": "adaptive", "display": "omitted"}), HAIKU)
    assert body["thinking"] == {"type": "enabled", "display": "omitted", "budget_tokens": 2048}


def test_disabled_becomes_between_tools_where_that_is_asked_for() -> None:
    body, _ = adapted(request(thinking={"type": "disabled"}), SONNET_55)
    assert body["thinking"] == {"type": "between_tools"}
    body, _ = adapted(request(SONNET_55, thinking={"type": "between_tools"}), SONNET_5)
    assert body["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize("target", [OPUS_55, FABLE, "claude-fable-5-1", "claude-mythos-5"])
def test_disabled_makes_a_model_that_always_thinks_ineligible(target: str) -> None:
    assert why_not(request(thinking={"type": "disabled"}), target) == "takes no thinking disabled"
    # So does leaving it out where that means off.
    assert why_not(request(OPUS_48), target) == "cannot go without thinking"
    assert why_not(request(OPUS_5), target) == ""


@pytest.mark.parametrize(
    ("requested", "target", "written"),
    [
        (OPUS_48, SONNET_5, {"type": "disabled"}),
        (OPUS_48, HAIKU_55, {"type": "disabled"}),
        (OPUS_48, SONNET_55, {"type": "between_tools"}),
        (OPUS_48, HAIKU, None),  # off there too
        (OPUS_5, SONNET_5, None),  # on there too
        (OPUS_5, HAIKU_55, {"type": "adaptive"}),
        (OPUS_5, OPUS_48, {"type": "adaptive"}),
        (OPUS_5, HAIKU, {"type": "enabled", "budget_tokens": 2048}),
        (HAIKU_55, SONNET_5, None),  # nobody says what it means
    ],
)
def test_absent_thinking_is_written_as_what_it_meant(requested: str, target: str, written: Any) -> None:
    body, done = adapted(request(requested), target)
    assert body.get("thinking") == written
    assert bool(done) == (written is not None)


def test_absent_thinking_means_off_with_a_forced_tool() -> None:
    data = request(OPUS_5, tools=[{"name": "t", "input_schema": {}}], tool_choice={"type": "any"})
    body, _ = adapted(data, HAIKU)
    assert "thinking" not in body
    body, _ = adapted(data, SONNET_5)
    assert body["thinking"] == {"type": "disabled"}


def test_an_unknown_kind_of_thinking_is_ineligible() -> None:
    assert why_not(request(thinking={"type": "sideways"}), OPUS_47) == "takes no thinking sideways"


def test_clear_thinking_goes_with_thinking_and_other_edits_stay() -> None:
    clear, tools = {"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}
    small = {"max_tokens": 1500, "thinking": {"type": "adaptive"}}
    body, done = adapted(request(**small, context_management={"edits": [clear]}), HAIKU)
    assert "context_management" not in body
    assert ("context_management", "drop") in [(item.parameter, item.verb) for item in done]
    body, _ = adapted(request(**small, context_management={"edits": [clear, tools]}), HAIKU)
    assert body["context_management"] == {"edits": [tools]}
    body, _ = adapted(request(**small, context_management={"edits": [clear], "extra": 1}), HAIKU)
    assert body["context_management"] == {"extra": 1}


def test_clear_thinking_stays_while_thinking_does() -> None:
    management = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    body, _ = adapted(request(thinking={"type": "adaptive"}, context_management=management), HAIKU)
    assert body["context_management"] == management


def test_thinking_blocks_in_the_history_are_never_touched() -> None:
    history = [
        *HELLO,
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "…", "signature": "x"}]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "y"}]},
        *HELLO,
    ]
    data = request(thinking={"type": "adaptive"}, messages=history)
    body = Body.parse(data)
    adapt(body, facts_of(data), model(HAIKU))
    assert body.raw("messages") == Body.parse(data).raw("messages")


# --- effort and sampling ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "effort", "kept"),
    [
        (OPUS_46, "xhigh", "high"),
        (OPUS_46, "max", "max"),
        ("claude-opus-4-5", "max", "high"),
        (HAIKU, "low", None),
    ],
)
def test_effort_is_clamped_to_what_is_taken_or_dropped(target: str, effort: str, kept: str | None) -> None:
    body, done = adapted(request(output_config={"effort": effort}), target)
    assert body.get("output_config", {}).get("effort") == kept
    assert [item.verb for item in done] == ([] if kept == effort else ["clamp" if kept else "drop"])


def test_opus_5_takes_no_more_than_high_effort_without_thinking() -> None:
    data = request(thinking={"type": "disabled"}, output_config={"effort": "max"})
    assert adapted(data, OPUS_5)[0]["output_config"] == {"effort": "high"}
    data = request(thinking={"type": "adaptive"}, output_config={"effort": "max"})
    assert adapted(data, OPUS_5)[0]["output_config"] == {"effort": "max"}


def test_the_rest_of_output_config_stays() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    body, _ = adapted(request(output_config={"effort": "high", "format": form}), HAIKU)
    assert body["output_config"] == {"format": form}


@pytest.mark.parametrize("target", [OPUS_47, OPUS_48, SONNET_5, OPUS_5, HAIKU_55])
def test_sampling_parameters_are_dropped(target: str) -> None:
    body, done = adapted(request(HAIKU, temperature=0.2, top_p=0.9, top_k=5), target)
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    assert [item.parameter for item in done[-3:]] == ["temperature", "top_p", "top_k"]
    assert done[-3].before == "0.2"


def test_of_temperature_and_top_p_the_4_5_models_keep_one() -> None:
    body, _ = adapted(request("claude-3-5-sonnet-latest", temperature=0.2, top_p=0.9), HAIKU)
    assert body["temperature"] == 0.2
    assert "top_p" not in body


# --- limits -------------------------------------------------------------------------------


def test_max_tokens_is_clamped_and_the_budget_stays_below_it() -> None:
    thinking = {"type": "enabled", "budget_tokens": 100_000}
    body, done = adapted(request(OPUS_46, max_tokens=128_000, thinking=thinking), HAIKU)
    assert body["max_tokens"] == 64_000
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 32_000}
    assert [item.verb for item in done] == ["clamp", "clamp"]


def test_the_context_window_counts_the_tokenizer_and_room_for_the_answer() -> None:
    small = model(HAIKU)
    facts = replace(facts_of(request()), input_tokens_estimate=150_000, max_tokens=50_000)
    assert ineligible(facts, small) == ""
    assert "context" in ineligible(replace(facts, input_tokens_estimate=150_001), small)
    # More than the model can write need not be kept free.
    assert ineligible(replace(facts, input_tokens_estimate=136_000, max_tokens=128_000), small) == ""
    denser = replace(small, token_factor=1.3)
    assert "needs about 245000 tokens of a context of 200000" in ineligible(facts, denser)


# --- what cannot be adapted ---------------------------------------------------------------


def test_a_forced_tool_is_ineligible_where_it_is_refused() -> None:
    data = request(tools=[{"name": "t", "input_schema": {}}], tool_choice={"type": "tool", "name": "t"})
    for target in (SONNET_55, OPUS_55, "claude-fable-5-1"):
        assert why_not(data, target) == "takes no forced tool_choice"
    assert why_not(data, SONNET_5) == ""


def test_prefill_is_ineligible_from_4_6_on() -> None:
    data = request(HAIKU, messages=[*HELLO, {"role": "assistant", "content": "{"}])
    assert why_not(data, "claude-sonnet-4-5") == ""
    assert why_not(data, SONNET_46) == "takes no prefilled answer"


def test_versioned_tools_are_capabilities() -> None:
    data = request(tools=[{"type": "computer_20251124", "name": "computer"}])
    assert why_not(data, OPUS_46) == ""
    assert why_not(data, HAIKU) == "has no computer_20251124"


@pytest.mark.parametrize(("target", "refused"), [(OPUS_48, ""), (SONNET_5, "takes no speed fast")])
def test_speed_is_never_dropped(target: str, refused: str) -> None:
    assert why_not(request(speed="fast"), target) == refused


def test_an_unknown_service_tier_is_ineligible() -> None:
    assert why_not(request(service_tier="standard_only"), HAIKU) == ""
    assert why_not(request(service_tier="priority_plus"), HAIKU) == "takes no service_tier priority_plus"


def test_images_documents_and_features_that_are_missing() -> None:
    blind = replace(model(HAIKU), capabilities=dict(model(HAIKU).capabilities) | {"images": False})
    facts = facts_of(request())
    assert ineligible(replace(facts, images=1), blind) == "takes no images"
    assert ineligible(replace(facts, documents=1), blind) == ""
    assert ineligible(replace(facts, needs=frozenset({"inference_geo"})), blind) == "has no inference_geo"


def test_a_row_without_capabilities_is_no_target() -> None:
    assert ineligible(facts_of(request()), Model("mystery", "anthropic")) == "what it can take is not known"


# --- role system --------------------------------------------------------------------------

NOTE = {"role": "system", "content": "be brief"}
REMINDER = {"type": "text", "text": "<system-reminder>\nbe brief\n</system-reminder>"}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "ok"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "t", "input": {}}]}


def folded(*messages: Any) -> list[Any]:
    body, _ = adapted(request(messages=list(messages)), HAIKU)
    return body["messages"]  # type: ignore[no-any-return]


def test_a_system_message_joins_the_users_before_it() -> None:
    text = {"type": "text", "text": "hello"}
    assert folded(*HELLO, NOTE) == [{"role": "user", "content": [text, REMINDER]}]
    assert folded({"role": "user", "content": [text]}, NOTE) == [
        {"role": "user", "content": [text, REMINDER]}
    ]


def test_two_in_a_row_stay_in_order() -> None:
    second = {"type": "text", "text": "<system-reminder>\nand kind\n</system-reminder>"}
    messages = folded(*HELLO, NOTE, {"role": "system", "content": [{"type": "text", "text": "and kind"}]})
    assert messages[0]["content"][1:] == [REMINDER, second]
    assert len(messages) == 1


def test_tool_results_stay_first() -> None:
    messages = folded(*HELLO, CALL, {"role": "user", "content": [RESULT]}, NOTE)
    assert messages[-1]["content"] == [RESULT, REMINDER]


def test_without_a_user_before_it_becomes_a_message_of_its_own() -> None:
    paused = {
        "role": "assistant",
        "content": [{"type": "server_tool_use", "id": "s", "name": "w", "input": {}}],
    }
    assert folded(*HELLO, paused, NOTE)[-1] == {"role": "user", "content": [REMINDER]}
    assert folded(NOTE, NOTE)[0] == {"role": "user", "content": [REMINDER, REMINDER]}


def test_cache_control_stays_on_its_block() -> None:
    block = {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}
    messages = folded(*HELLO, {"role": "system", "content": [block]})
    assert messages[0]["content"][1] == REMINDER | {"cache_control": {"type": "ephemeral"}}


def test_what_is_a_reminder_already_is_not_wrapped_again() -> None:
    text = "<system-reminder>\nbe brief\n</system-reminder>"
    assert folded(*HELLO, {"role": "system", "content": text})[0]["content"][1] == REMINDER


def test_an_empty_one_goes_and_an_empty_user_text_does_not_stay() -> None:
    assert folded(*HELLO, {"role": "system", "content": []}) == HELLO
    assert folded({"role": "user", "content": ""}, NOTE) == [{"role": "user", "content": [REMINDER]}]


def test_it_is_left_alone_where_it_is_taken() -> None:
    body, done = adapted(request(messages=[*HELLO, NOTE]), OPUS_5)
    assert body["messages"] == [*HELLO, NOTE]
    assert [item.parameter for item in done] == ["thinking"]


def test_the_adaptation_says_how_many() -> None:
    _, done = adapted(request(messages=[*HELLO, NOTE, NOTE]), HAIKU)
    assert done == [Adaptation("messages[].role", "map", '"system"', "2 × <system-reminder>", "system_role")]


def test_folding_changes_no_other_byte() -> None:
    head = b'{ "model": "claude-opus-4-8",\n "max_tokens": 10, "messages": [\n  '
    user = b'{"role": "user", "content": [ {"type": "text", "text": "\\u00e9"} ]}'
    answer = b'{"role": "assistant", "content": "ok" }'
    data = head + user + b',\n  {"role": "system", "content": "be brief"},\n  ' + answer + b"\n ]}"
    body = Body.parse(data)
    adapt(body, facts_of(data), model(HAIKU))
    reminder = b'{"type":"text","text":"<system-reminder>\\nbe brief\\n</system-reminder>"}'
    inserted = user.replace(b"} ]}", b"}," + reminder + b" ]}")
    assert body.render() == head + inserted + b",\n  " + answer + b"\n ]}"


# --- what a system message holds besides text ---------------------------------------------

EFFORT_LOW = {"role": "system", "content": [], "output_config": {"effort": "low"}}
NOTE_HIGH = NOTE | {"output_config": {"effort": "high"}}
ANSWER = {"role": "assistant", "content": "ho"}
MORE = {"role": "user", "content": "more"}
ADDITION = {"role": "system", "content": [{"type": "tool_addition", "tool": {"name": "t"}}]}


def test_an_effort_per_message_stays_where_it_is_taken() -> None:
    data = request(OPUS_55, messages=[*HELLO, NOTE_HIGH], output_config={"effort": "high"})
    body = Body.parse(data)
    assert adapt(body, facts_of(data), model(SONNET_55)) == []
    assert body.render() is data


@pytest.mark.parametrize("target", [OPUS_5, SONNET_5, OPUS_48])
def test_an_effort_per_message_becomes_that_of_the_request(target: str) -> None:
    adaptive = {"type": "adaptive"}
    data = request(OPUS_55, messages=[*HELLO, NOTE_HIGH, ANSWER, EFFORT_LOW, MORE], thinking=adaptive)
    body, done = adapted(data, target)
    assert body["messages"] == [*HELLO, NOTE, ANSWER, MORE]
    assert body["output_config"] == {"effort": "low"}
    assert done == [
        Adaptation("output_config.effort", "map", "", '"low"', "effort_per_message"),
        Adaptation("messages[].output_config", "drop", '2 × "low"', "", "effort_per_message"),
    ]


def test_an_effort_per_message_that_says_the_same_only_goes() -> None:
    """As Claude Code sends it on every turn."""
    members = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    body, done = adapted(request(OPUS_55, messages=[*HELLO, NOTE_HIGH], **members), OPUS_5)
    assert (body["messages"], body["output_config"]) == ([*HELLO, NOTE], {"effort": "high"})
    assert [item.parameter for item in done] == ["messages[].output_config"]


@pytest.mark.parametrize(
    ("messages", "effort"),
    [
        ([*HELLO, EFFORT_LOW], "low"),
        ([*HELLO, NOTE_HIGH, EFFORT_LOW], "low"),
        ([*HELLO, EFFORT_LOW, ANSWER, MORE, NOTE_HIGH], "high"),
        ([*HELLO, ANSWER, EFFORT_LOW, MORE, ANSWER, MORE], "low"),
        ([*HELLO, NOTE_HIGH, CALL, {"role": "user", "content": [RESULT]}, EFFORT_LOW], "high"),
        ([*HELLO, CALL, {"role": "user", "content": [RESULT]}, EFFORT_LOW], None),
        ([*HELLO, CALL, {"role": "user", "content": [RESULT]}, EFFORT_LOW, ANSWER, MORE], "low"),
        ([*HELLO, NOTE | {"output_config": {}}], None),
    ],
)
def test_the_effort_that_would_hold_for_the_answer_counts(messages: list[Any], effort: str | None) -> None:
    body, _ = adapted(request(OPUS_55, messages=messages, thinking={"type": "adaptive"}), OPUS_5)
    assert (body.get("output_config") or {}).get("effort") == effort
    assert not any("output_config" in message for message in body["messages"])


def test_folding_keeps_nothing_that_only_a_system_message_may_hold() -> None:
    """A budget follows the effort that held, and what was lost is told."""
    passing = NOTE | {"clear_at": "next_user_message", "output_config": {"effort": "low"}}
    data = request(
        OPUS_55,
        max_tokens=64_000,
        messages=[*HELLO, passing],
        thinking={"type": "adaptive", "display": "updates"},
    )
    body, done = adapted(data, HAIKU)
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hello"}, REMINDER]}]
    assert body["thinking"] == {"type": "enabled", "display": "updates", "budget_tokens": 4_000}
    assert "output_config" not in body
    assert [(item.parameter, item.verb) for item in done] == [
        ("output_config.effort", "map"),
        ("messages[].output_config", "drop"),
        ("thinking", "map"),
        ("output_config.effort", "drop"),
        ("messages[].role", "map"),
        ("messages[].clear_at", "drop"),
    ]
    alone, _ = adapted(request(OPUS_55, messages=[passing, *HELLO]), HAIKU)
    assert alone["messages"] == [{"role": "user", "content": [REMINDER]}, *HELLO]


def test_changes_of_tools_need_a_model_that_takes_them() -> None:
    data = request(OPUS_55, messages=[*HELLO, ADDITION], thinking={"type": "adaptive"})
    assert why_not(data, SONNET_55) == why_not(data, OPUS_48) == ""
    assert why_not(data, SONNET_5) == why_not(data, HAIKU) == "has no tool_addition"


# --- all at once --------------------------------------------------------------------------

TARGETS = [row.name for row in CATALOGUE.provider("anthropic") if row.target and row.name in BY_NAME]
EDITS = st.lists(
    st.sampled_from(
        [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    ),
    max_size=2,
)
TURNS = st.lists(
    st.sampled_from(
        [
            [{"role": "user", "content": "hi"}, ANSWER],
            [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, NOTE, ANSWER],
            [*HELLO, CALL, {"role": "user", "content": [RESULT]}, NOTE, NOTE, ANSWER],
            [*HELLO, NOTE, CALL, {"role": "user", "content": [RESULT]}, ANSWER],
            [*HELLO, NOTE_HIGH, ANSWER, EFFORT_LOW],
            [*HELLO, NOTE | {"clear_at": "next_user_message"}, ANSWER],
            [*HELLO, ADDITION, ANSWER],
        ]
    ),
    max_size=4,
)


def thinking_of(takes: Takes, max_tokens: int) -> st.SearchStrategy[dict[str, Any] | None]:
    """What a client of this model may say about thinking, None for nothing."""
    plain = [{"type": word} for word in sorted(takes.thinking - {"enabled"})]
    if "enabled" in takes.thinking and max_tokens > 1024:
        budgets = st.integers(1024, max_tokens - 1)
        enabled = st.builds(lambda budget: {"type": "enabled", "budget_tokens": budget}, budgets)
        return st.one_of(st.sampled_from([None, *plain]), enabled)
    return st.sampled_from([None, *plain])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request that the model it names takes, more often than not."""
    requested = draw(st.sampled_from(TARGETS))
    takes = BY_NAME[requested]
    limits = [limit for limit in (1, 1500, 4096, 64_000, 128_000) if limit <= takes.max_output_tokens]
    max_tokens = draw(st.sampled_from(limits))
    thinking = draw(thinking_of(takes, max_tokens))
    tails = [[], [], [NOTE], [NOTE_HIGH], [{"role": "assistant", "content": "{"}]]
    kinds = [None, "computer_20250124", "computer_20251124", "web_search_20260209"]
    optional = {
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "any"}]),
        "output_config": st.fixed_dictionaries({"effort": st.sampled_from(sorted(takes.efforts) or ["low"])}),
        "context_management": st.builds(lambda edits: {"edits": edits}, EDITS),
        "speed": st.just("standard"),
    }
    if takes.sampling != "refused":
        optional["temperature"] = st.sampled_from([0.3, 1] if takes.sampling == "free" else [1])
    if takes.sampling == "free":
        optional["top_p"] = st.sampled_from([0.5, 0.99])
    members = {name: draw(value) for name, value in optional.items() if draw(st.integers(0, 3)) == 0}
    kind = draw(st.sampled_from(kinds))
    tools = [{"name": "t", "input_schema": {"type": "object"}}] + (
        [{"type": kind, "name": "u"}] if kind else []
    )
    history = [message for turn in draw(TURNS) for message in turn]
    messages = [*history, *HELLO, *draw(st.sampled_from(tails))]
    if not takes.system_role:
        messages = [message for message in messages if message["role"] != "system"]
    if not takes.effort_per_message:
        messages = [message for message in messages if "output_config" not in message]
    said = {"thinking": thinking} if thinking else {}
    return request(requested, max_tokens=max_tokens, messages=messages, tools=tools, **said, **members)


def accepted(body: Mapping[str, Any], name: str) -> str:
    """The stand-in's refusal, "" if it takes the request."""
    try:
        check_schema(body, counting=False)
        check_parameters(body, BY_NAME[name], zero_retention=False)
        check_structure(body)
    except Refusal as refusal:
        return str(refusal)
    return ""


def eligible(data: bytes) -> list[str]:
    requested = json.loads(data)["model"]
    return [name for name in TARGETS if name != requested and not why_not(data, name)]


@settings(max_examples=200, deadline=None)
@given(requests())
def test_what_one_model_takes_every_eligible_one_takes_adapted(data: bytes) -> None:
    assume(accepted(json.loads(data), json.loads(data)["model"]) == "")
    for target in eligible(data):
        body, done = adapted(data, target)
        assert accepted(body | {"model": target}, target) == "", (target, done, body)


@settings(max_examples=50, deadline=None)
@given(requests())
def test_adapting_is_deterministic_and_done_once(data: bytes) -> None:
    facts = facts_of(data)
    for target in eligible(data):
        row = model(target)
        first, second = Body.parse(data), Body.parse(data)
        assert adapt(first, facts, row) == adapt(second, facts, row)
        assert first.render() == second.render()
        again = Body.parse(first.render())
        assert adapt(again, facts, row) == []
        assert again.render() == first.render()


@settings(max_examples=150, deadline=None)
@given(TURNS, TURNS, st.sampled_from([HAIKU, OPUS_5]))
def test_a_conversation_adapts_to_a_prefix_of_itself_continued(earlier: Any, later: Any, target: str) -> None:
    def messages(turns: Any) -> bytes:
        flat = [message for turn in turns for message in turn] + [*HELLO, NOTE]
        data = request(messages=flat)
        body = Body.parse(data)
        adapt(body, facts_of(data), model(target))
        return (body.raw("messages") or b"").rstrip(b"]")

    assume(later)
    continued = [*earlier, [*HELLO, NOTE, {"role": "assistant", "content": "go on"}], *later]
    assert messages(continued).startswith(messages(earlier))
