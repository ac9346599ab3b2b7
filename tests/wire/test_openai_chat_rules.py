"""Each rule by name; then all of them at once against the strict stand-in provider.

The stand-in's table is written independently of the catalogue, so a wrong row shows up as a refusal.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pointsman.catalogue import Catalogue
from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_chat import adapt, ineligible, read_facts
from provider.openai.capabilities import BY_NAME
from provider.openai.chat_rules import check
from provider.openai.errors import Refused

CATALOGUE = Catalogue.load()
GPT_41, MINI, NANO, GPT_51, GPT_54 = "gpt-4.1", "gpt-5-mini", "gpt-5-nano", "gpt-5.1", "gpt-5.4"
GPT_56, SOL, LUNA, ASTRA = "gpt-5.6", "gpt-6-sol", "gpt-6-luna", "gpt-6-astra"
SOL_61, O3 = "gpt-6.1-sol", "o3"
UNREASONED = "takes tools here only without reasoning"
HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CUSTOM = [{"type": "custom", "custom": {"name": "f"}}]


def model(name: str) -> Model:
    row = CATALOGUE.resolve(name)
    assert row is not None
    return row


def request(requested: str = SOL, **members: Any) -> bytes:
    body = {"model": requested, "messages": HELLO} | members
    return json.dumps(body, separators=(",", ":")).encode()


def facts_of(data: bytes) -> Facts:
    facts = read_facts(Body.parse(data), {}, "/", "generate")
    row = CATALOGUE.resolve(facts.requested_model)
    return replace(facts, thinking_default=row.capabilities.get("thinking_default") if row else None)


def adapted(data: bytes, target: str | Model) -> tuple[dict[str, Any], list[Adaptation]]:
    body = Body.parse(data)
    row = model(target) if isinstance(target, str) else target
    done = adapt(body, facts_of(data), row)
    got = json.loads(body.render())
    assert adapt(Body.parse(body.render()), facts_of(body.render()), row) == []  # nothing the second time
    del got["model"], got["messages"]
    return got, done


def why_not(data: bytes, target: str | Model) -> str:
    return ineligible(facts_of(data), model(target) if isinstance(target, str) else target)


# --- before scoring -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "members", "target", "why"),
    [
        (SOL, {}, MINI, ""),
        (SOL, {}, "gpt-5-codex", "is not served over Chat Completions"),
        (SOL, {}, "gpt-5.5-pro", "is not served over Chat Completions"),
        # tools
        (SOL, {"tools": TOOLS}, MINI, ""),
        (SOL, {"tools": TOOLS}, GPT_51, ""),
        (SOL, {"tools": TOOLS}, GPT_41, ""),
        (SOL, {"tools": TOOLS}, ASTRA, "takes no tools here"),
        (SOL, {"tools": TOOLS}, SOL_61, "takes no tools here"),
        (SOL, {"tools": TOOLS, "reasoning_effort": "none"}, ASTRA, "takes no tools here"),
        (SOL, {"tools": TOOLS}, "gpt-6.1-terra", "takes no tools here"),
        (SOL, {"tools": TOOLS}, LUNA, UNREASONED),
        (SOL, {"tools": TOOLS, "reasoning_effort": "low"}, LUNA, UNREASONED),
        (SOL, {"tools": TOOLS, "reasoning_effort": "none"}, LUNA, ""),
        (MINI, {"tools": TOOLS}, GPT_56, UNREASONED),
        (GPT_41, {"tools": TOOLS}, GPT_56, ""),  # it does not reason, so none is what was asked
        (GPT_51, {"tools": TOOLS}, GPT_56, ""),  # nor does this one by itself
        (GPT_51, {"tools": TOOLS}, GPT_54, ""),
        (GPT_51, {"tools": TOOLS, "reasoning_effort": "low"}, GPT_54, UNREASONED),
        (SOL, {"functions": [{"name": "f"}]}, ASTRA, "takes no tools here"),
        (SOL, {"tools": CUSTOM}, MINI, ""),
        (SOL, {"tools": CUSTOM}, GPT_41, "has no custom"),
        # features
        (GPT_41, {"stop": ["x"]}, "gpt-4.1-mini", ""),
        (GPT_41, {"stop": ["x"]}, MINI, "has no stop"),
        (GPT_41, {"n": 2}, "gpt-4.1-mini", ""),
        (GPT_41, {"n": 2}, MINI, "has no n"),
        (GPT_41, {"prediction": {"type": "content", "content": "x"}}, "gpt-4o", ""),
        (GPT_41, {"prediction": {"type": "content", "content": "x"}}, MINI, "has no prediction"),
        (GPT_41, {"web_search_options": {}}, MINI, "has no web_search_options"),
        (GPT_41, {"modalities": ["text", "audio"]}, "gpt-4o", "has no audio"),
        # tiers
        (SOL, {"service_tier": "auto"}, GPT_41, ""),
        (SOL, {"service_tier": "flex"}, MINI, ""),
        (SOL, {"service_tier": "flex"}, GPT_41, "takes no service_tier flex"),
        (SOL, {"service_tier": "priority"}, NANO, "takes no service_tier priority"),
        # room
        (GPT_41, {"user": "x" * 1_200_000}, MINI, "needs about 308032 tokens of a context of 272000"),
    ],
)
def test_eligibility(requested: str, members: dict[str, Any], target: str, why: str) -> None:
    found = why_not(request(requested, **members), target)
    assert found == why or (why.startswith("needs about") and found.startswith("needs about"))


def test_a_row_that_says_nothing_is_no_target() -> None:
    assert why_not(request(), Model("m", "openai")) == "what it can take is not known"


def test_pictures_and_files_need_a_row_that_takes_them() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    file = {"type": "file", "file": {"file_id": "file-1"}}
    row = model(MINI)
    deaf = replace(row, capabilities={**row.capabilities, "images": False, "documents": False})
    for part, word in ((image, "images"), (file, "documents")):
        data = request(messages=[{"role": "user", "content": [part]}])
        assert why_not(data, deaf) == f"takes no {word}" and why_not(data, MINI) == ""


# --- after the decision -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "members", "target", "left", "done"),
    [
        (SOL, {}, MINI, {}, []),
        # limits
        (
            GPT_41,
            {"max_tokens": 9},
            GPT_51,
            {"max_completion_tokens": 9},
            [("max_tokens", "map", "9", "max_completion_tokens")],
        ),
        (GPT_41, {"max_tokens": 9}, "gpt-4o", {"max_tokens": 9}, []),
        (SOL, {"max_completion_tokens": 9}, GPT_41, {"max_completion_tokens": 9}, []),
        (
            SOL,
            {"max_completion_tokens": 100_000},
            GPT_41,
            {"max_completion_tokens": 32_768},
            [("max_completion_tokens", "clamp", "100000", "32768")],
        ),
        (
            GPT_51,
            {"max_tokens": 9, "max_completion_tokens": 8},
            SOL,
            {"max_completion_tokens": 8, "reasoning_effort": "none"},
            [("max_tokens", "drop", "9", ""), ("reasoning_effort", "map", "", '"none"')],
        ),
        # efforts
        (SOL, {"reasoning_effort": "low"}, MINI, {"reasoning_effort": "low"}, []),
        (
            SOL,
            {"reasoning_effort": "xhigh"},
            MINI,
            {"reasoning_effort": "high"},
            [("reasoning_effort", "clamp", '"xhigh"', '"high"')],
        ),
        (
            SOL,
            {"reasoning_effort": "max"},
            ASTRA,
            {"reasoning_effort": "xhigh"},
            [("reasoning_effort", "clamp", '"max"', '"xhigh"')],
        ),
        (
            SOL,
            {"reasoning_effort": "none"},
            MINI,
            {"reasoning_effort": "minimal"},
            [("reasoning_effort", "clamp", '"none"', '"minimal"')],
        ),
        (SOL, {"reasoning_effort": "low"}, GPT_41, {}, [("reasoning_effort", "drop", '"low"', "")]),
        (SOL, {"reasoning_effort": None}, MINI, {"reasoning_effort": None}, []),
        # leaving it out means something else there
        (GPT_41, {}, MINI, {"reasoning_effort": "minimal"}, [("reasoning_effort", "map", "", '"minimal"')]),
        (GPT_41, {}, GPT_51, {}, []),
        (MINI, {}, GPT_51, {"reasoning_effort": "medium"}, [("reasoning_effort", "map", "", '"medium"')]),
        (MINI, {}, O3, {}, []),
        (SOL, {}, GPT_51, {}, []),  # what it means for the requested model is not known
        # with tools
        (
            GPT_51,
            {"tools": TOOLS},
            GPT_56,
            {"tools": TOOLS, "reasoning_effort": "none"},
            [("reasoning_effort", "map", "", '"none"')],
        ),
        (
            SOL,
            {"tools": TOOLS, "reasoning_effort": "none"},
            GPT_54,
            {"tools": TOOLS},
            [("reasoning_effort", "drop", '"none"', "")],
        ),
        # sampling
        (
            SOL,
            {"temperature": 0.2, "top_p": None, "seed": 1},
            "gpt-5.5",
            {"top_p": None, "seed": 1},
            [("temperature", "drop", "0.2", "")],
        ),
        (
            SOL,
            {"temperature": 0.2, "reasoning_effort": "none"},
            LUNA,
            {"temperature": 0.2, "reasoning_effort": "none"},
            [],
        ),
        (GPT_41, {"temperature": 0.2}, GPT_51, {"temperature": 0.2}, []),
        (
            GPT_41,
            {"temperature": 0.2},
            NANO,
            {"reasoning_effort": "minimal"},
            [("reasoning_effort", "map", "", '"minimal"'), ("temperature", "drop", "0.2", "")],
        ),
        (SOL, {"temperature": 0.2}, GPT_41, {"temperature": 0.2}, []),
        (GPT_41, {"presence_penalty": 1}, GPT_51, {}, [("presence_penalty", "drop", "1", "")]),
        (GPT_41, {"logit_bias": {"1": 2}}, GPT_51, {}, [("logit_bias", "drop", '{"1":2}', "")]),
        (
            MINI,
            {"parallel_tool_calls": False, "tools": TOOLS},
            O3,
            {"tools": TOOLS},
            [("parallel_tool_calls", "drop", "false", "")],
        ),
        # the rest
        (SOL, {"verbosity": "low"}, MINI, {"verbosity": "low"}, []),
        (SOL, {"verbosity": "low"}, GPT_41, {}, [("verbosity", "drop", '"low"', "")]),
        (SOL, {"verbosity": "medium"}, GPT_41, {"verbosity": "medium"}, []),
        (SOL, {"prompt_cache_retention": "24h"}, "gpt-5.5", {"prompt_cache_retention": "24h"}, []),
        (
            SOL,
            {"prompt_cache_retention": "24h"},
            MINI,
            {},
            [("prompt_cache_retention", "drop", '"24h"', "")],
        ),
        (
            SOL,
            {"prompt_cache_options": {"ttl": "30m"}},
            "gpt-5.5",
            {},
            [("prompt_cache_options", "drop", '{"ttl":"30m"}', "")],
        ),
        (SOL, {"prompt_cache_options": {"ttl": "30m"}}, LUNA, {"prompt_cache_options": {"ttl": "30m"}}, []),
        (SOL, {"store": True, "metadata": {}, "x": 1}, MINI, {"store": True, "metadata": {}, "x": 1}, []),
    ],
)
def test_adaptation(
    requested: str,
    members: dict[str, Any],
    target: str,
    left: dict[str, Any],
    done: list[tuple[str, str, str, str]],
) -> None:
    data = request(requested, **members)
    assert why_not(data, target) == ""
    got, adaptations = adapted(data, target)
    assert got == left
    assert [(item.parameter, item.verb, item.before, item.after) for item in adaptations] == done


def test_a_gateways_model_may_want_the_older_name() -> None:
    row = Model("m", "x", capabilities={"tools": True, "max_tokens_name": "max_tokens"})
    got, done = adapted(request(max_completion_tokens=9), row)
    assert got == {"max_tokens": 9} and [item.verb for item in done] == ["map"]


def test_of_a_gateways_model_nothing_is_assumed() -> None:
    row = Model("m", "x", capabilities={"tools": True})
    members = {"max_tokens": 9, "reasoning_effort": "low", "temperature": 1, "stop": "x", "n": 2}
    data = request(**members)
    assert why_not(data, row) == "" and adapted(data, row) == (members, [])
    assert why_not(request(tools=TOOLS), row) == ""


def test_what_is_not_adapted_keeps_its_bytes() -> None:
    data = b'{ "messages" : [] , "temperature" : 0.20 , "model":"gpt-6-sol", "seed" : 1e0 }'
    body = Body.parse(data)
    assert [item.parameter for item in adapt(body, facts_of(data), model("gpt-5.5"))] == ["temperature"]
    assert body.render() == data.replace(b'"temperature" : 0.20 , ', b"")


# --- all at once --------------------------------------------------------------------------

SERVED = [row.name for row in CATALOGUE.provider("openai") if row.name in BY_NAME]
VALUES: dict[str, list[Any]] = {
    "reasoning_effort": ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
    "temperature": [0, 0.5],
    "top_p": [0.9],
    "logprobs": [True],
    "max_tokens": [5, 16_000],
    "max_completion_tokens": [6, 120_000],
    "stop": [["x"]],
    "presence_penalty": [0.1],
    "frequency_penalty": [0.1],
    "logit_bias": [{"1": 1}],
    "verbosity": ["low", "medium", "high"],
    "prompt_cache_retention": ["24h", "in_memory"],
    "prompt_cache_options": [{"ttl": "30m"}],
    "tools": [TOOLS, CUSTOM],
    "n": [2],
    "service_tier": ["auto", "flex", "priority"],
}
MEMBERS = st.lists(
    st.sampled_from([(key, value) for key, values in VALUES.items() for value in values]), max_size=4
).map(dict)


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
@given(MEMBERS, st.sampled_from(SERVED), st.sampled_from(SERVED))
def test_what_an_eligible_model_gets_it_takes(members: dict[str, Any], requested: str, target: str) -> None:
    data = request(requested, **members)
    assume(requested != target and taken(json.loads(data)) and why_not(data, target) == "")
    body = Body.parse(data)
    done = adapt(body, facts_of(data), model(target))
    body.set("model", target)
    got = json.loads(body.render())
    check(got, BY_NAME[target])
    changed = {item.parameter for item in done} | {"max_completion_tokens"}
    assert {key: got.get(key) for key in members if key not in changed} == {
        key: members[key] for key in members if key not in changed
    }


def taken(body: dict[str, Any]) -> bool:
    """Whether the stand-in takes the request as the client made it: else there is nothing to be adapted."""
    try:
        check(body, BY_NAME[body["model"]])
    except Refused:
        return False
    return True


@pytest.mark.parametrize("target", SERVED)
def test_the_stand_in_refuses_what_is_not_adapted(target: str) -> None:
    """Else the test above would hold nothing."""
    everything = request(
        target, temperature=0.5, verbosity="low", reasoning_effort="max", max_tokens=10**6, tools=TOOLS
    )
    assert not taken(json.loads(everything))
