"""Documents of tiers: recognised, read with every mistake named, and who serves what."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pointsman
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pointsman.errors import ConfigError
from pointsman.scoring.tier_documents import loads, parse
from pointsman.scoring.tiers import (
    DEFAULT_ROUTING,
    Choice,
    Verdict,
    choose,
    classification,
    is_router_document,
    wanted,
)
from pointsman.values import Classification

SHIPPED = Path(pointsman.__file__).with_name("data") / "router-classified-3tier.json"
ENTRY: dict[str, Any] = json.loads(SHIPPED.read_text())
PLAIN: dict[str, Any] = ENTRY["llm_config"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The shipped document with one member set, or without it where the value is ... ."""
    document = copy.deepcopy(PLAIN)
    *parents, last = path.split("/")
    place = document
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


# --- recognition ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (PLAIN, True),
        ({"kind": "intelligent-router-v0", "tiers": {}}, True),
        ({"kind": "intelligent-router-v1", "tiers": {}}, False),
        ({"kind": None, "tiers": {}}, False),
        ({"tiers": {}}, False),
        ({"kind": "intelligent-router-v0"}, False),
        ({"model": "litellm_proxy/openai/gpt-5.5", "temperature": 1.0}, False),
        (ENTRY, False),
        ([("kind", "intelligent-router-v0")], False),
        ("intelligent-router-v0", False),
        (b"kind", False),
        (7, False),
        (None, False),
    ],
)
def test_recognition(value: object, is_one: bool) -> None:
    assert is_router_document(value) is is_one


# --- reading ----------------------------------------------------------------------------------


def test_the_shipped_document() -> None:
    document = parse(loads(SHIPPED.read_text()))
    assert (document.id, document.display_name) == (
        "router-classified-3tier",
        "Router (3-tier, classifier=minimax-m2.7)",
    )
    assert [(tier.id, tier.model, dict(tier.parameters), tier.sees) for tier in document.tiers] == [
        ("kimi-k2.6", "litellm_proxy/moonshot/kimi-k2.6", {"temperature": 1.0}, True),
        ("minimax-m2.7", "litellm_proxy/minimax/MiniMax-M2.7", {"temperature": 1.0, "top_p": 0.95}, False),
        ("gpt-5.5", "litellm_proxy/openai/gpt-5.5", {"reasoning_effort": "high"}, True),
    ]
    assert document.routing == DEFAULT_ROUTING
    assert (document.classifier, document.fallback) == ("minimax-m2.7", "gpt-5.5")
    assert not any(tier.extra for tier in document.tiers)


def test_json_yaml_bare_and_wrapped_say_the_same() -> None:
    bare = parse(PLAIN)
    assert parse(loads(json.dumps(PLAIN))) == bare
    assert parse(loads(yaml.safe_dump(PLAIN, sort_keys=False))) == bare
    assert parse(loads(yaml.safe_dump(ENTRY, sort_keys=False))) == parse(ENTRY)
    assert parse(ENTRY).tiers == bare.tiers


def test_what_may_be_left_out() -> None:
    document = changed("routing", ...)
    for name in ("fallback_model_id", "vision_capable_model_ids"):
        del document[name]
    read = parse(document)
    assert read.fallback == "minimax-m2.7"
    assert read.routing == DEFAULT_ROUTING
    assert {tier.sees for tier in read.tiers} == {None}


def test_a_tier_in_the_form_of_an_entry() -> None:
    tier = {
        "id": "kimi-k2.6",
        "display_name": "Kimi K2.6",
        "llm_config": {"model": "openrouter/moonshotai/kimi-k2.6", "top_p": None},
    }
    read = parse(changed("tiers/kimi-k2.6", tier)).tier("kimi-k2.6")
    assert (read.model, read.display_name) == ("openrouter/moonshotai/kimi-k2.6", "Kimi K2.6")
    assert read.parameters == {"top_p": None}


def test_what_a_tier_says_goes_to_the_provider_and_what_is_not_for_it_does_not() -> None:
    tier = {
        "model": "litellm_proxy/x",
        "max_output_tokens": 4096,
        "service_tier": "flex",
        "litellm_extra_body": {"enable_thinking": True, "chat_template_kwargs": {"x": [1]}},
        "disable_vision": True,
        "usage_id": "agent:x",
        "num_retries": 5,
        "log_completions": False,
        "api_key": None,
    }
    read = parse(changed("tiers/gpt-5.5", tier)).tier("gpt-5.5")
    assert read.parameters == {"max_tokens": 4096}
    assert read.extra == {
        "service_tier": "flex",
        "enable_thinking": True,
        "chat_template_kwargs": {"x": [1]},
    }
    assert read.sees is False


def test_without_tiers_it_can_be_read_but_not_serve() -> None:
    read = parse(changed("tiers", {}))
    assert read.tiers == ()
    assert choose(read, "gpt-5.5", {}) is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("classifier_model_id", "minimax-m2.6", "'minimax-m2.6' is not a tier; did you mean minimax-m2.7?"),
        ("classifier_model_id", ..., "is missing"),
        ("fallback_model_id", "gpt55", "'gpt55' is not a tier; did you mean gpt-5.5?"),
        ("fallback_model_id", 5.5, "must be text, not 5.5"),
        ("routing/Frontend", "kimi-k26", "'kimi-k26' is not a tier; did you mean kimi-k2.6?"),
        ("routing/Testing", "x", "'x' is not a tier; there are kimi-k2.6, minimax-m2.7, gpt-5.5"),
        ("routing/testing", "gpt-5.5", "cannot be told from 'Testing' in an answer"),
        ("routing/...", "gpt-5.5", "must be text for text"),
        ("routing", {}, "must name at least one category"),
        ("routing", ["Testing"], "must be a mapping of keys to values, not a list"),
        (
            "vision_capable_model_ids",
            ["kimi-k2.6", "gtp-5.5"],
            "'gtp-5.5' is not a tier; did you mean gpt-5.5?",
        ),
        ("vision_capable_model_ids", "kimi-k2.6", "must be a list of tier ids, not 'kimi-k2.6'"),
        ("kind", "intelligent-router-v1", "must be intelligent-router-v0, not 'intelligent-router-v1'"),
        ("tiers", ..., "is missing"),
        ("tiers", None, "must be a mapping of keys to values, not nothing"),
        ("tiers/gpt-5.5", "gpt-5.5", "must be a mapping of keys to values, not 'gpt-5.5'"),
        ("tiers/gpt-5.5/model", ..., "must say which model it is"),
        ("tiers/gpt-5.5/temperature", "hot", "must be a number, not 'hot'"),
        ("tiers/gpt-5.5/temperature", True, "must be a number, not True"),
        ("tiers/gpt-5.5/top_p", float("nan"), "cannot be sent: nan"),
        ("tiers/gpt-5.5/reasoning_effort", 3, "must be text, not 3"),
        ("tiers/gpt-5.5/extra_body", [1], "must be a mapping of keys to values, not a list"),
        ("tiers/gpt-5.5/api_key", "sk-secret", "has no place here"),
        ("tiers/gpt-5.5/base_url", "https://x", "has no place here"),
        ("tiers/gpt-5.5/messages", [], "is for the client to say"),
    ],
)
def test_every_mistake_is_named_where_it_stands(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(changed(path, value), key="routers.my-router", file="router.yaml")
    where = path.replace("/", ".")
    assert str(caught.value).startswith(f"router.yaml: routers.my-router.{where}: {message}")
    assert "sk-secret" not in str(caught.value)


def test_mistakes_deeper_inside() -> None:
    for path, value, message in (
        ("tiers/gpt-5.5/x", {"y": [float("inf")]}, "tiers.gpt-5.5.x.y: cannot be sent: inf"),
        ("tiers/gpt-5.5/llm_config", {"model": ""}, "tiers.gpt-5.5.llm_config.model: must say which model"),
        (
            "category_descriptions",
            {"Fronted": ""},
            "category_descriptions.Fronted: 'Fronted' is not a category",
        ),
    ):
        with pytest.raises(ConfigError, match="^" + re.escape(message)):
            parse(changed(path, value))


@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_what_is_no_mapping_is_no_document(value: object) -> None:
    with pytest.raises(ConfigError, match="must be a mapping of keys to values"):
        parse(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": 1,\n "tiers" 2}', "r.json:2: is not JSON"),
        ('{"tiers": {"a": 1, "a": 2}}', "r.json: the key 'a' is there twice"),
        ("tiers:\n  a: 1\n  a: 2\n", "r.json: the key 'a' is there twice"),
        ("tiers:\n\t- a\n", "r.json:2: is not YAML"),
        ("kind: [", "r.json:1: is not YAML"),
        ("[" * 100_000, "r.json: is nested too deeply"),
        ("- " * 100_000, "r.json: is not YAML"),
    ],
)
def test_text_that_is_neither(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text, "r.json")
    assert str(caught.value).startswith(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = ["kind", "tiers", "tiers/gpt-5.5", "tiers/gpt-5.5/model", "tiers/gpt-5.5/stop", "tiers/gpt-5.5/other",
         "tiers/gpt-5.5/llm_config", "tiers/gpt-5.5/extra_body", "classifier_model_id", "fallback_model_id",
         "routing", "routing/Testing", "vision_capable_model_ids", "category_descriptions"]  # fmt: skip


@given(st.sampled_from(PATHS), JSON)
def test_whatever_stands_anywhere_it_is_a_document_or_a_named_mistake(path: str, value: Any) -> None:
    try:
        document = parse(changed(path, value), key="x")
    except ConfigError as error:
        assert error.key.startswith("x.")
        return
    ids = {tier.id for tier in document.tiers}
    if ids:
        assert {document.classifier, document.fallback, *document.routing.values()} <= ids
    for tier in document.tiers:
        json.dumps([dict(tier.parameters), dict(tier.extra)], allow_nan=False)


# --- who serves -------------------------------------------------------------------------------

DOCUMENT = parse(PLAIN)
KIMI, MINIMAX, GPT = (tier.id for tier in DOCUMENT.tiers)
ISSUE = "Issue Resolution (other)"
BLIND = "minimax-m2.7 does not take images"


@pytest.mark.parametrize(
    ("verdict", "tier"),
    [
        (Verdict("Frontend"), KIMI),
        (Verdict(ISSUE), MINIMAX),
        (Verdict("Testing"), GPT),
        (Verdict("", "timeout"), GPT),
        (Verdict("a category of an older document"), GPT),
    ],
)
def test_the_tier_of_a_verdict(verdict: Verdict, tier: str) -> None:
    assert wanted(DOCUMENT, verdict) == tier


@pytest.mark.parametrize(
    ("first", "unusable", "blind", "expected"),
    [
        (KIMI, {}, (), Choice(KIMI)),
        (MINIMAX, {}, (), Choice(MINIMAX)),
        # Images: the fallback if it can, else the first in the document's order.
        (MINIMAX, {}, (MINIMAX,), Choice(GPT, BLIND, True)),
        (MINIMAX, {}, (MINIMAX, GPT), Choice(KIMI, BLIND, True)),
        (KIMI, {}, (MINIMAX, GPT), Choice(KIMI)),
        (GPT, {}, (GPT,), Choice(KIMI, "gpt-5.5 does not take images", True)),
        # What cannot be reached.
        (KIMI, {KIMI: "no provider has a key"}, (), Choice(GPT, "kimi-k2.6: no provider has a key")),
        (KIMI, {KIMI: "x", GPT: "y"}, (), Choice(MINIMAX, "kimi-k2.6: x")),
        (KIMI, {KIMI: "x", GPT: "y"}, (MINIMAX,), None),
        (MINIMAX, {MINIMAX: "x"}, (MINIMAX,), Choice(GPT, "minimax-m2.7: x")),
        (KIMI, {KIMI: "x", MINIMAX: "y", GPT: "z"}, (), None),
    ],
)
def test_choice(
    first: str, unusable: dict[str, str], blind: tuple[str, ...], expected: Choice | None
) -> None:
    assert choose(DOCUMENT, first, unusable, blind) == expected


def test_what_the_decision_says() -> None:
    verdict = Verdict(
        ISSUE, raw="issue resolution.", ms=12.0, input_tokens=300, output_tokens=4, cost_usd=0.01
    )
    choice = Choice(GPT, BLIND, True)
    asked = classification(DOCUMENT, verdict, choice)
    assert asked == Classification(ISSUE, GPT, MINIMAX, BLIND, "issue resolution.", True, 12.0, 300, 4, 0.01)
    again = classification(DOCUMENT, verdict.remembered, choice)
    assert again == dataclasses.replace(asked, ms=None, input_tokens=None, output_tokens=None, cost_usd=None)
    failed = classification(DOCUMENT, Verdict("", "timeout"), Choice(KIMI, "gpt-5.5: no key"))
    assert (failed.reason, failed.classifier) == ("timeout; gpt-5.5: no key", MINIMAX)
    assert classification(DOCUMENT, Verdict("", "no task", asked=False), choice).classifier == ""
