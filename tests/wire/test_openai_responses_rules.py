"""Each line of the capability rules by name, and what is taken out of a request that was refused.

Then both at once against the strict stand-in provider. Its table is written independently of the catalogue,
so a wrong row shows up as a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pointsman.catalogue import Catalogue
from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_responses import adapt, ineligible, read_facts, remedy
from provider.openai import items as standin_items
from provider.openai import responses_rules, sealed
from provider.openai.capabilities import BY_NAME
from provider.openai.errors import Refused
from provider.openai.store import Store

CATALOGUE = Catalogue.load()
GPT_41, GPT_5, GPT_5_MINI, GPT_52 = "gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-5.2"
GPT_55, SOL_56, LUNA_56 = "gpt-5.5", "gpt-5.6-sol", "gpt-5.6-luna"
ASTRA, SOL, LUNA, SOL_61, TERRA_61 = "gpt-6-astra", "gpt-6-sol", "gpt-6-luna", "gpt-6.1-sol", "gpt-6.1-terra"
CODEX = "gpt-5.2-codex"
LITE = {"x-openai-internal-codex-responses-lite": "true"}
EXEC = {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
MORE_TOOLS = {"type": "additional_tools", "role": "developer", "tools": [EXEC]}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def model(name: str) -> Model:
    row = CATALOGUE.resolve(name)
    assert row is not None
    return row


def request(requested: str = SOL_61, **members: Any) -> bytes:
    body = {"model": requested, "input": "hello"} | members
    return json.dumps(body, separators=(",", ":")).encode()


def facts_of(data: bytes, headers: Mapping[str, str] | None = None) -> Facts:
    facts = read_facts(Body.parse(data), headers or {}, "/v1/responses", "generate")
    row = CATALOGUE.resolve(facts.requested_model)
    return replace(facts, thinking_default=row.capabilities.get("thinking_default") if row else None)


def adapted(data: bytes, target: str) -> tuple[dict[str, Any], list[Adaptation]]:
    body = Body.parse(data)
    done = adapt(body, facts_of(data), model(target))
    again = Body.parse(body.render())
    assert adapt(again, facts_of(data), model(target)) == []
    assert not again.changed
    return json.loads(body.render()), done


def why_not(data: bytes, target: str, headers: Mapping[str, str] | None = None) -> str:
    return ineligible(facts_of(data, headers), model(target))


# --- before scoring -----------------------------------------------------------------------


@pytest.mark.parametrize("target", [SOL_56, LUNA_56, ASTRA, SOL, LUNA, TERRA_61])
def test_codex_in_lite_mode_goes_to_models_that_codex_speaks_it_to(target: str) -> None:
    data = request(input=[MORE_TOOLS, {"role": "user", "content": "hi"}, REASONING])
    assert why_not(data, target, LITE) == ""


@pytest.mark.parametrize("target", [GPT_41, GPT_5, GPT_52, GPT_55, "gpt-5.6", "o3", CODEX])
def test_codex_in_lite_mode_goes_nowhere_else(target: str) -> None:
    assert why_not(request(), target, LITE) == "has no lite"
    assert why_not(request(input=[MORE_TOOLS]), target) != ""


@pytest.mark.parametrize(
    ("members", "target", "why"),
    [
        ({"tools": [{"type": "function", "name": "f"}]}, GPT_41, ""),
        ({"tools": [{"type": "custom", "name": "f"}]}, GPT_41, "has no custom"),
        ({"tools": [{"type": "custom", "name": "f"}]}, GPT_5_MINI, ""),
        ({"tools": [{"type": "web_search"}]}, GPT_5_MINI, ""),
        ({"tools": [{"type": "web_search"}]}, "gpt-4.1-nano", "has no web_search"),
        ({"tools": [{"type": "local_shell"}]}, SOL, "has no local_shell"),
        ({"tools": [{"type": "apply_patch"}]}, SOL, "has no apply_patch"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, SOL, "has no mcp"),
        ({"tools": [{"type": "computer"}]}, SOL, ""),
        ({"tools": [{"type": "computer"}]}, GPT_55, "has no computer"),
        ({"tools": [EXEC]}, GPT_52, "has no namespace"),
        ({"tools": [EXEC]}, GPT_55, ""),
        ({"input": [REASONING]}, GPT_41, "has no reasoning"),
        ({"input": [REASONING]}, GPT_5, ""),
        ({"input": [{"type": "configuration_update"}]}, SOL, "has no configuration_update"),
        ({"input": [{"type": "configuration_update"}]}, TERRA_61, ""),
        ({"context_management": [{"type": "compaction"}]}, SOL, "has no context_management.compaction"),
        ({"service_tier": "auto"}, SOL, ""),
        ({"service_tier": "scale"}, SOL, "takes no service_tier scale"),
        ({"max_output_tokens": 100}, GPT_41, ""),
        ({"input": "x" * 4_000_000}, GPT_5, "needs about 1008008 tokens of a context of 272000"),
        ({"previous_response_id": "resp_1"}, GPT_5, ""),
        ({"conversation": "conv_1"}, GPT_5, ""),
        ({"prompt": {"id": "pmpt_1"}}, GPT_5, ""),
    ],
)
def test_what_makes_a_model_ineligible(members: dict[str, Any], target: str, why: str) -> None:
    assert why_not(request(**members), target) == why


def test_a_compaction_is_for_the_models_that_share_it() -> None:
    data = request(input=[{"type": "compaction", "encrypted_content": "x"}])
    assert why_not(data, LUNA, LITE) == ""
    assert why_not(data, GPT_55, LITE) != ""
    assert facts_of(data, LITE).bound == ""
    assert facts_of(data).bound != ""


def test_a_model_of_which_nothing_is_known_is_ineligible() -> None:
    row = Model(name="new", provider="openai")
    assert ineligible(facts_of(request()), row) == "what it can take is not known"


# --- after the decision -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "effort", "target", "sent", "verb"),
    [
        (SOL_61, "xhigh", GPT_5, "high", "clamp"),
        (SOL_61, "max", TERRA_61, "max", None),
        (SOL_61, "max", GPT_52, "xhigh", "clamp"),
        (GPT_5, "minimal", GPT_52, "none", "clamp"),
        (GPT_52, "none", ASTRA, "low", "clamp"),
        (GPT_52, "none", GPT_5, "minimal", "clamp"),
        (GPT_52, None, GPT_5, "minimal", "map"),  # saying nothing is none there
        (GPT_5, None, GPT_52, "medium", "map"),  # and medium here
        (GPT_5, None, "gpt-5-mini", None, None),
        (GPT_52, None, "gpt-5.4-nano", None, None),
        (SOL_61, None, GPT_5, None, None),  # nobody says what it means
        (SOL_61, "sideways", GPT_5, "sideways", None),
        (GPT_41, None, GPT_5, "minimal", "map"),
    ],
)
def test_efforts(requested: str, effort: str | None, target: str, sent: str | None, verb: str | None) -> None:
    reasoning = {"reasoning": {"effort": effort, "summary": "auto"}} if effort else {}
    body, done = adapted(request(requested, **reasoning), target)
    assert body.get("reasoning", {}).get("effort") == sent
    assert body.get("reasoning", {}).get("summary") == ("auto" if effort else None)
    assert [item.verb for item in done if item.parameter == "reasoning.effort"] == ([verb] if verb else [])


@pytest.mark.parametrize("reasoning", [None, {}, {"effort": None}, [], "low", 3])
def test_a_reasoning_of_any_shape_raises_nothing(reasoning: Any) -> None:
    body, _ = adapted(request(GPT_52, reasoning=reasoning), GPT_5)
    if reasoning in (None, {}, {"effort": None}):
        assert body["reasoning"]["effort"] == "minimal"
    else:
        assert body["reasoning"] == reasoning


def test_a_model_that_does_not_reason_gets_nothing_about_it() -> None:
    include = ["reasoning.encrypted_content", "web_search_call.action.sources"]
    body, done = adapted(request(reasoning={"effort": "low"}, include=include, temperature=0.5), GPT_41)
    assert "reasoning" not in body
    assert (body["include"], body["temperature"]) == (["web_search_call.action.sources"], 0.5)
    assert [(item.parameter, item.verb) for item in done] == [("reasoning", "drop"), ("include", "drop")]
    body, _ = adapted(request(include=include[:1]), GPT_41)
    assert "include" not in body


def test_sampling_goes_unless_the_effort_is_none() -> None:
    logprobs = {"top_logprobs": 3, "include": ["message.output_text.logprobs"]}
    sampling = {"temperature": 0.2, "top_p": 0.9, **logprobs}
    body, done = adapted(request(GPT_41, **sampling, reasoning={"effort": "low"}), GPT_52)
    assert not sampling.keys() & body.keys()
    assert [item.parameter for item in done] == ["temperature", "top_p", "top_logprobs", "include"]
    body, done = adapted(request(GPT_41, **sampling, reasoning={"effort": "none"}), GPT_52)
    assert (sampling.items() <= body.items(), done) == (True, [])
    body, done = adapted(request(GPT_41, **sampling), GPT_52)  # none by default, both of them
    assert (sampling.items() <= body.items(), done) == (True, [])


@pytest.mark.parametrize(
    ("target", "verbosity", "kept"),
    [(GPT_5, "low", True), (GPT_41, "low", False), (GPT_41, "medium", True), (CODEX, "high", False)],
)
def test_verbosity(target: str, verbosity: str, kept: bool) -> None:
    text = {"verbosity": verbosity, "format": {"type": "text"}}
    body, done = adapted(request(text=text), target)
    assert body["text"] == (text if kept else {"format": {"type": "text"}})
    assert [item.parameter for item in done] == ([] if kept else ["text.verbosity"])
    body, _ = adapted(request(text={"verbosity": verbosity}), target)
    assert ("text" in body) is kept


def test_cache_lifetimes_and_limits() -> None:
    data = request(prompt_cache_retention="24h", prompt_cache_key="k", max_output_tokens=100_000)
    body, done = adapted(data, GPT_41)
    assert "prompt_cache_retention" not in body
    assert (body["prompt_cache_key"], body["max_output_tokens"]) == ("k", 32_768)
    assert {(item.parameter, item.verb) for item in done} == {
        ("max_output_tokens", "clamp"),
        ("prompt_cache_retention", "drop"),
    }
    body, done = adapted(data, GPT_5)
    assert (body, done) == (json.loads(data), [])


def test_what_fits_keeps_its_bytes() -> None:
    data = request(
        input=[MORE_TOOLS, REASONING],
        reasoning={"effort": "low", "context": "all_turns"},
        include=["reasoning.encrypted_content"],
        text={"verbosity": "low"},
        store=False,
    )
    for target in (LUNA, TERRA_61, SOL_56):
        body = Body.parse(data)
        assert adapt(body, facts_of(data, LITE), model(target)) == []
        assert body.render() is data


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning": st.fixed_dictionaries(
            {}, optional={"effort": st.sampled_from(["none", "minimal", "low", "high", "xhigh", "max", None])}
        ),
        "temperature": st.floats(0, 2),
        "top_logprobs": st.integers(0, 5),
        "include": st.lists(st.sampled_from(["reasoning.encrypted_content", "message.output_text.logprobs"])),
        "text": st.fixed_dictionaries({}, optional={"verbosity": st.sampled_from(["low", "medium"])}),
        "prompt_cache_retention": st.sampled_from(["24h", "in_memory"]),
        "max_output_tokens": st.integers(1, 400_000),
    },
)
ROWS = [row.name for row in CATALOGUE.provider("openai")]


TOOLS = st.lists(
    st.sampled_from([
        {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "exec"}, {"type": "web_search"}, {"type": "computer"},
        {"type": "tool_search"}, EXEC, {"type": "apply_patch"}, {"type": "shell"},
    ]),
    max_size=2,
)  # fmt: skip


def refusal(data: bytes, name: str, *, lite: bool) -> str:
    """What the stand-in says to a request for a model; "" if it takes it."""
    body = json.loads(data)
    try:
        responses_rules.check(body, BY_NAME[name], "account", Store(), lite=lite)
        standin_items.read(body["input"], BY_NAME[name], "account", Store())
    except Refused as refused:
        return f"{refused.param}: {refused}"
    return ""


@given(PARAMETERS, TOOLS, st.booleans(), st.sampled_from(ROWS), st.sampled_from(ROWS))
def test_an_adapted_request_is_one_that_the_target_takes(
    members: dict[str, Any], tools: list[Any], lite: bool, requested: str, target: str
) -> None:
    if lite:
        members = {**members, "reasoning": {**members.get("reasoning", {}), "context": "all_turns"}}
    data = request(requested, **members, **({"tools": tools} if tools else {}))
    assume(not refusal(data, requested, lite=lite))
    assume(not why_not(data, target, LITE if lite else None))
    body, _ = adapted(data, target)
    body["model"] = target
    assert refusal(json.dumps(body).encode(), target, lite=lite) == ""


# --- after a refusal ----------------------------------------------------------------------

REFUSED = json.dumps({
    "error": {
        "message": "The encrypted content for item rs_1 could not be verified.",
        "type": "invalid_request_error", "param": None, "code": "invalid_encrypted_content",
    }
}).encode()  # fmt: skip
USER = {"type": "message", "id": "msg_u", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def said(name: str | None) -> dict[str, Any]:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    return item if name is None else {"type": item["type"], "id": name, **item}


def call(kind: str, name: str | None) -> dict[str, Any]:
    item = {"type": kind, "call_id": f"call_{kind}", "name": "f"}
    return item if name is None else {"type": kind, "id": name, **item}


def result(kind: str) -> dict[str, Any]:
    return {"type": f"{kind}_output", "id": "out_1", "call_id": f"call_{kind}", "output": "ok"}


def mended(items: list[Any]) -> tuple[list[Any] | None, list[Adaptation]]:
    body = Body.parse(request(input=items, store=False))
    done = remedy(body, REFUSED)
    assert body.changed == bool(done)
    return json.loads(body.render())["input"], done


def test_reasoning_goes_and_what_follows_it_loses_its_id() -> None:
    items, done = mended([
        USER, REASONING, said("msg_1"), call("function_call", "fc_1"), result("function_call"),
        REASONING, call("custom_tool_call", "ctc_1"), result("custom_tool_call"), USER,
    ])  # fmt: skip
    assert items == [
        USER, said(None), call("function_call", None), result("function_call"),
        call("custom_tool_call", None), result("custom_tool_call"), USER,
    ]  # fmt: skip
    assert done == [Adaptation("input", "drop", "2 × encrypted", "", "invalid_encrypted_content")]


def test_ids_without_encrypted_reasoning_before_them_stay() -> None:
    before = [USER, said("msg_1"), call("function_call", "fc_1"), result("function_call"), USER]
    items, _ = mended([*before, REASONING, said("msg_2")])
    assert items == [*before, said(None)]
    stored = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": None}
    looked = [stored, call("function_call", "fc_1"), result("function_call")]
    items, _ = mended([*looked, REASONING, said("msg_2")])
    assert items == [*looked, said(None)]


def test_compactions_go_too() -> None:
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}
    assert mended([compaction, USER])[0] == [USER]
    summary = {"type": "compaction", "id": "cmp_1", "summary": "in plain words"}
    assert mended([summary, USER]) == ([summary, USER], [])
    task = {"type": "agent_message", "content": [{"type": "encrypted_content", "encrypted_content": "gAAA"}]}
    assert mended([REASONING, task])[0] == [task]


def test_calls_that_the_provider_carried_out_go_with_their_reasoning() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    shell = {"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "action": {}}
    answer = {"type": "local_shell_call_output", "id": "call_1", "output": "ok"}
    items, _ = mended([search, USER, REASONING, search, said("msg_1"), USER, REASONING, shell, answer])
    assert items == [search, USER, said(None), USER, shell, answer]  # that one needs its id


@pytest.mark.parametrize(
    "refusal",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"error":"invalid_encrypted_content"}',
        b'{"error":{"code":"context_length_exceeded","message":"invalid_encrypted_content"}}',
    ],
)
def test_other_refusals_are_not_ours_to_mend(refusal: bytes) -> None:
    data = request(input=[REASONING, said("msg_1")])
    body = Body.parse(data)
    assert remedy(body, refusal) == []
    assert body.render() is data


@pytest.mark.parametrize("items", ["hello", [], [USER], [REASONING], [3], {"type": "reasoning"}, None])
def test_where_nothing_can_be_taken_out_nothing_is(items: Any) -> None:
    data = request(input=items)
    body = Body.parse(data)
    assert remedy(body, REFUSED) == []
    assert body.render() is data


ITEM_OF_COMPACTION = {"type": "compaction", "encrypted_content": "x"}
ITEMS = st.lists(
    st.sampled_from([
        USER, REASONING, said("msg_1"), said(None), call("function_call", "fc_1"), result("function_call"),
        call("custom_tool_call", "ctc_1"), result("custom_tool_call"),
        {"type": "web_search_call", "id": "ws_1"}, ITEM_OF_COMPACTION,
        {"type": "item_reference", "id": "msg_9"}, 7, "x",
    ]),
    max_size=12,
)  # fmt: skip


@given(ITEMS)
def test_what_is_left_says_the_same_without_an_orphan(items: list[Any]) -> None:
    """The whole rule, said again: encrypted items go, and ids and searches of the answers that they began."""
    expected: list[Any] = []
    reasoned = False
    for item in items:
        kind = item.get("type") if isinstance(item, dict) else ""
        if kind in ("reasoning", "compaction"):
            reasoned = True
            continue
        if kind.endswith("_output") or (isinstance(item, dict) and item.get("role") == "user"):
            reasoned = False
        if reasoned and kind == "web_search_call":
            continue
        nameless = reasoned and isinstance(item, dict) and kind != "item_reference"
        expected.append({key: item[key] for key in item if key != "id"} if nameless else item)
    left, done = mended(items)
    assert left == (expected if done else items)
    assert bool(done) == (bool(expected) and any(item in items for item in (REASONING, ITEM_OF_COMPACTION)))


@pytest.mark.parametrize("stored", [True, False])
def test_the_stand_in_takes_what_is_left(stored: bool) -> None:
    """A history whose items the provider remembers, sealed for another organisation since."""
    account, store = "account", Store()
    thought = {**REASONING, "encrypted_content": sealed.seal("hm", "another")}
    called = {**call("function_call", "fc_1"), "arguments": "{}"}
    answer = [thought, {**said("msg_1"), "status": "completed"}, called]
    store.keep({"id": "resp_1", "output": answer}, (), account, stored=stored)
    output = {"type": "function_call_output", "call_id": "call_function_call", "output": "ok"}
    body = Body.parse(request(input=[USER, *answer, output], store=False))

    def refused() -> Refused | None:
        try:
            given = standin_items.read(body.get("input"), BY_NAME[SOL_61], account, store)
            standin_items.check_conversation(given, account, store)
        except Refused as found:
            return found
        return None

    first = refused()
    assert first is not None
    assert first.code == "invalid_encrypted_content"
    assert remedy(body, json.dumps({"error": {"code": first.code, "message": str(first)}}).encode())
    assert refused() is None
