"""Each line of the capability rules by name; then all of them at once against the strict stand-in provider.

The stand-in's table is written independently of the catalogue, so a wrong row shows up as a refusal.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pointsman.catalogue import Catalogue
from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.gemini import adapt, ineligible, read_facts, remedy, set_model
from pointsman.wire.gemini.signatures import SKIP
from pointsman.wire.json_spans import Body
from provider.gemini.capabilities import BY_NAME, Takes
from provider.gemini.checks import check
from provider.gemini.errors import Refusal
from provider.gemini.signatures import sign

CATALOGUE = Catalogue.load()
PRO_25, FLASH_25, LITE_25 = "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"
FLASH_3, PRO_31, FLASH_35, LITE_35 = (
    "gemini-3-flash-preview", "gemini-3.1-pro-preview", "gemini-3.5-flash", "gemini-3.5-flash-lite",
)  # fmt: skip
FLASH_36, FLASH_37, FLASH_38 = "gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash"
ACCOUNT = "account"
HELLO: list[Any] = [{"role": "user", "parts": [{"text": "hello"}]}]
CALL = {"functionCall": {"name": "f", "args": {}}}
RESULT = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
PREFILL = {"role": "model", "parts": [{"text": "It"}]}


def model(name: str) -> Model:
    row = CATALOGUE.resolve(name)
    assert row is not None
    return row


def request(contents: Any = HELLO, config: Any = None, **members: Any) -> bytes:
    body = {"contents": contents} | ({"generationConfig": config} if config is not None else {}) | members
    return json.dumps(body, separators=(",", ":")).encode()


def facts_of(data: bytes, requested: str = FLASH_38) -> Facts:
    return read_facts(Body.parse(data), {}, f"/v1beta/models/{requested}:generateContent", "generate")


def adapted(data: bytes, target: str, requested: str = FLASH_38) -> tuple[dict[str, Any], list[Adaptation]]:
    body = Body.parse(data)
    done = adapt(body, facts_of(data, requested), model(target))
    return json.loads(body.render()), done


def thinking(target: str, **given: Any) -> tuple[Any, list[tuple[str, str, str, str]]]:
    """The thinkingConfig that `target` gets, and what was done to it."""
    body, done = adapted(request(config={"temperature": 1, "thinkingConfig": given}), target)
    config = body["generationConfig"]
    assert config.pop("temperature") == 1
    shown = [(d.parameter.rpartition(".")[2], d.verb, d.before, d.after) for d in done]
    return config.get("thinkingConfig"), shown


def why_not(data: bytes, target: str, requested: str = FLASH_38) -> str:
    return ineligible(facts_of(data, requested), model(target))


# --- thinking -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "level", "budget"),
    [
        (PRO_25, "HIGH", 24_576), (PRO_25, "MEDIUM", 8_192), (PRO_25, "LOW", 1_024),
        (PRO_25, "MINIMAL", 1_024), (FLASH_25, "HIGH", 24_576), (LITE_25, "low", 1_024),
    ],
)  # fmt: skip
def test_a_level_becomes_a_budget_where_there_are_no_levels(target: str, level: str, budget: int) -> None:
    config, done = thinking(target, thinkingLevel=level, includeThoughts=True)
    assert config == {"includeThoughts": True, "thinkingBudget": budget}
    assert done == [
        ("thinkingLevel", "drop", json.dumps(level), ""),
        ("thinkingBudget", "map", "", str(budget)),
    ]


@pytest.mark.parametrize(
    ("target", "budget", "level"),
    [
        (FLASH_35, 0, "MINIMAL"), (FLASH_35, 1_024, "LOW"), (FLASH_35, 1_025, "MEDIUM"),
        (FLASH_35, 8_192, "MEDIUM"), (FLASH_35, 30_000, "HIGH"), (FLASH_37, 0, "LOW"), (PRO_31, 0, "LOW"),
        (FLASH_38, 512, "LOW"),
    ],
)  # fmt: skip
def test_a_budget_becomes_a_level_where_there_are_levels(target: str, budget: int, level: str) -> None:
    config, done = thinking(target, thinkingBudget=budget)
    assert config == {"thinkingLevel": level}
    assert [item[:2] for item in done] == [("thinkingBudget", "drop"), ("thinkingLevel", "map")]


def test_a_budget_that_leaves_it_to_the_model_goes_where_there_are_levels() -> None:
    assert thinking(FLASH_35, thinkingBudget=-1) == (None, [("thinkingBudget", "drop", "-1", "")])
    assert thinking(FLASH_25, thinkingBudget=-1) == ({"thinkingBudget": -1}, [])


@pytest.mark.parametrize("target", [FLASH_37, FLASH_38, PRO_31])
@pytest.mark.parametrize(("level", "fitting"), [("MINIMAL", "LOW"), ("minimal", "low"), ("HIGH", "HIGH")])
def test_minimal_is_clamped_where_it_is_not_taken(target: str, level: str, fitting: str) -> None:
    config, done = thinking(target, thinkingLevel=level)
    assert config == {"thinkingLevel": fitting}
    assert [item[1] for item in done] == ([] if level == fitting else ["clamp"])


@pytest.mark.parametrize(
    ("target", "budget", "fitting"),
    [
        (PRO_25, 0, 128), (PRO_25, 64, 128), (PRO_25, 32_768, 32_768), (PRO_25, 99_999, 32_768),
        (FLASH_25, 0, 0), (FLASH_25, 1, 1), (FLASH_25, 32_768, 24_576),
        (LITE_25, 0, 0), (LITE_25, 100, 512), (LITE_25, 24_576, 24_576),
    ],
)  # fmt: skip
def test_a_budget_is_clamped_to_the_model_s_range(target: str, budget: int, fitting: int) -> None:
    config, done = thinking(target, thinkingBudget=budget)
    assert config == {"thinkingBudget": fitting}
    assert [item[1] for item in done] == ([] if budget == fitting else ["clamp"])


def test_one_of_level_and_budget_goes() -> None:
    assert thinking(FLASH_35, thinkingLevel="LOW", thinkingBudget=9_000)[0] == {"thinkingLevel": "LOW"}
    assert thinking(FLASH_25, thinkingLevel="LOW", thinkingBudget=9_000)[0] == {"thinkingBudget": 9_000}


def test_both_spellings_are_read_and_kept() -> None:
    data = request(generation_config={"top_p": 1, "thinking_config": {"thinking_level": "LOW"}})
    body, _ = adapted(data, FLASH_25)
    assert body["generation_config"] == {"top_p": 1, "thinking_config": {"thinking_budget": 1_024}}


@pytest.mark.parametrize("given", [{"thinkingLevel": "EXTREME"}, {"includeThoughts": True}, {}])
def test_what_is_no_level_stays_for_the_provider_to_refuse(given: dict[str, Any]) -> None:
    assert thinking(FLASH_35, **given) == (given, [])


def test_nothing_said_stays_unsaid() -> None:
    for target in (PRO_25, FLASH_35, FLASH_38):
        data = request(config={"temperature": 0.5})
        body = Body.parse(data)
        assert adapt(body, facts_of(data), model(target)) == []
        assert body.render() is data


# --- other parameters ---------------------------------------------------------------------


def test_more_output_than_there_is_is_clamped() -> None:
    body, done = adapted(request(config={"maxOutputTokens": 100_000}), FLASH_35)
    assert body["generationConfig"] == {"maxOutputTokens": 65_536}
    assert done == [
        Adaptation("generationConfig.maxOutputTokens", "clamp", "100000", "65536", "max_output_tokens")
    ]


def test_what_is_to_be_counted_is_adapted_inside() -> None:
    config = {"maxOutputTokens": 100_000}
    inner = {"model": f"models/{FLASH_38}", "contents": HELLO, "generationConfig": config}
    data = json.dumps({"generateContentRequest": inner}).encode()
    body, done = adapted(data, FLASH_35)
    assert body["generateContentRequest"]["generationConfig"] == {"maxOutputTokens": 65_536}
    assert len(done) == 1


@pytest.mark.parametrize(
    ("data", "target", "reason"),
    [
        (request([*HELLO, PREFILL]), FLASH_37, "takes no prefilled answer"),
        (request([*HELLO, PREFILL]), FLASH_35, ""),
        (request(config={"candidateCount": 2}), FLASH_37, "gives no 2 candidates"),
        (request(config={"candidateCount": 2}), FLASH_25, ""),
        (request(config={"responseModalities": ["IMAGE"]}), FLASH_35, "has no image_output"),
        (request(config={"presencePenalty": 1}), FLASH_35, "has no penalties"),
        (request(tools=[{"computerUse": {}}]), FLASH_25, "has no computerUse"),
        (request(tools=[{"computerUse": {}}]), FLASH_36, ""),
        (request(tools=[{"googleSearch": {}}]), FLASH_25, ""),
        (request(tools=[{"notKnownYet": {}}]), FLASH_36, "has no notKnownYet"),
        (
            request(tools=[{"googleSearch": {}, "functionDeclarations": [{"name": "f"}]}]),
            FLASH_25,
            "has no functions_with_tools",
        ),
        (request(serviceTier="priority"), FLASH_25, "takes no service_tier priority"),
        (request(serviceTier="standard"), FLASH_25, ""),
        (request([{"parts": [{"text": "x" * 5_000_000}]}]), FLASH_35, "needs about"),
        (request([{"parts": [{"inlineData": {"mimeType": "application/pdf"}}]}]), FLASH_35, ""),
        (request(config={"thinkingConfig": {"thinkingLevel": "HIGH"}}), FLASH_25, ""),
        (request(toolConfig={"functionCallingConfig": {"mode": "ANY"}}), FLASH_35, ""),
    ],
)  # fmt: skip
def test_what_makes_a_model_ineligible(data: bytes, target: str, reason: str) -> None:
    found = why_not(data, target)
    assert found.startswith(reason) if reason else found == ""


def test_a_row_that_says_nothing_of_thinking_is_no_target() -> None:
    assert ineligible(facts_of(request()), Model("m", "gemini")) == "what it can take is not known"


# --- signatures of thoughts ---------------------------------------------------------------


def turn(*parts: Any) -> list[Any]:
    return [*HELLO, {"role": "model", "parts": list(parts)}, {"role": "user", "parts": [RESULT]}]


def signatures(contents: list[Any]) -> list[Any]:
    return [
        part.get("thoughtSignature", part.get("thought_signature"))
        for content in contents
        for part in content["parts"]
        if "functionCall" in part or "function_call" in part
    ]


def test_a_call_of_the_current_turn_without_a_signature_gets_the_documented_word() -> None:
    contents = [*turn({"text": "I look."}, CALL, CALL), *turn(CALL, CALL)[1:], *turn(CALL)[1:]]
    body, done = adapted(request(contents), FLASH_35, FLASH_25)
    assert signatures(body["contents"]) == [SKIP, None, SKIP, None, SKIP]
    assert done == [
        Adaptation("contents[].parts[].thoughtSignature", "map", "", f'3 × "{SKIP}"', "thought_signature")
    ]


def test_calls_of_earlier_turns_and_signed_ones_stay() -> None:
    contents = [*turn(CALL), *HELLO, *turn(CALL | {"thoughtSignature": "c2ln"})[1:]]
    data = request(contents)
    body = Body.parse(data)
    assert adapt(body, facts_of(data), model(FLASH_35)) == []
    assert body.render() is data


def test_the_word_is_spelled_as_its_neighbours() -> None:
    contents = [*HELLO, {"role": "model", "parts": [{"function_call": {"name": "f"}}]},
                {"role": "user", "parts": [{"function_response": {"name": "f"}}]}]  # fmt: skip
    body, _ = adapted(request(contents), FLASH_35)
    assert body["contents"][1]["parts"] == [{"function_call": {"name": "f"}, "thought_signature": SKIP}]


def test_a_model_that_asks_for_no_signatures_gets_none() -> None:
    assert adapted(request(turn(CALL)), FLASH_25, PRO_25)[1] == []


REFUSED = b'{"error":{"code":400,"message":"Corrupted thought signature.","status":"INVALID_ARGUMENT"}}'


@pytest.mark.parametrize(
    "message",
    [
        "Corrupted thought signature.",
        "Invalid thought signature.",
        "Function call is missing a thought_signature in functionCall parts.",
        "Thought signature is not valid",
        "... `thoughtSignature` ...",
    ],
)
def test_a_refused_signature_gives_way_to_the_word(message: str) -> None:
    signed = CALL | {"thoughtSignature": "c2ln"}
    contents = [*turn(signed, CALL), *HELLO, *turn({"text": "", "thoughtSignature": "eA=="}, CALL)[1:]]
    body = Body.parse(request(contents))
    done = remedy(body, json.dumps({"error": {"message": message}}).encode())
    after = json.loads(body.render())["contents"]
    assert signatures(after) == [SKIP, None, SKIP]
    assert after[4]["parts"][0] == {"text": "", "thoughtSignature": SKIP}
    assert [(item.parameter, item.verb) for item in done] == [
        ("contents[].parts[].thoughtSignature", "map")
    ] * 2


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (request(turn(CALL | {"thoughtSignature": SKIP})), REFUSED),  # nothing is left to be done
        (request(), REFUSED),
        (request(turn(CALL | {"thoughtSignature": "c2ln"})), b'{"error":{"message":"Thinking level"}}'),
        (request(turn(CALL | {"thoughtSignature": "c2ln"})), b""),
        (b'{"contents":"thought"}', REFUSED),
        (b'{"contents":[1,{"role":"model","parts":[2,{}]},{"role":"model","parts":"x"}]}', REFUSED),
    ],
)
def test_where_no_remedy_is_known_nothing_changes(data: bytes, refusal: bytes) -> None:
    body = Body.parse(data)
    assert remedy(body, refusal) == []
    assert body.render() is data


def test_the_remedy_is_one_to_the_stand_in() -> None:
    """Signatures of another account, of another model within the turn, and none at all."""
    foreign = CALL | {"thoughtSignature": sign(CALL, account="another", model=FLASH_38)}
    other = CALL | {"thoughtSignature": sign(CALL, account=ACCOUNT, model=FLASH_35)}
    for part in (foreign, other, CALL):
        data = request(turn(part), tools=[{"functionDeclarations": [{"name": "f"}]}])
        refusal = refused(json.loads(data), FLASH_38)
        assert "thought" in refusal.lower()
        body = Body.parse(data)
        assert remedy(body, json.dumps({"error": {"message": refusal}}).encode())
        assert refused(json.loads(body.render()), FLASH_38) == ""


# --- all at once --------------------------------------------------------------------------

TARGETS = [row.name for row in CATALOGUE.provider("gemini") if row.target and row.name in BY_NAME]
DECLARED = {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}


def refused(body: Any, name: str) -> str:
    """The stand-in's refusal, "" if it takes the request."""
    try:
        check(body, name, ACCOUNT)
    except Refusal as refusal:
        return str(refusal)
    return ""


def thinking_of(takes: Takes) -> st.SearchStrategy[dict[str, Any]]:
    """What a client of this model may say about thinking."""
    low, high = takes.budgets
    budgets = st.one_of(st.sampled_from([0, -1, low, high]), st.integers(low, high))
    said = [st.just({}), st.builds(lambda budget: {"thinkingBudget": budget}, budgets)]
    if takes.levels:
        said.append(st.builds(lambda level: {"thinkingLevel": level}, st.sampled_from(sorted(takes.levels))))
    return st.one_of(*said)


@st.composite
def histories(draw: st.DrawFn, requested: str) -> list[Any]:
    """Turns with and without calls, signed by the models that served them or as Gemini CLI does."""
    contents: list[Any] = []
    for _ in range(draw(st.integers(0, 3))):
        contents += HELLO
        if draw(st.booleans()):
            by = draw(st.sampled_from([requested, *TARGETS]))
            word = draw(st.sampled_from([SKIP, sign(CALL, account=ACCOUNT, model=by)]))
            contents += [
                {"role": "model", "parts": [{"text": "I look."}, CALL | {"thoughtSignature": word}, CALL]},
                {"role": "user", "parts": [RESULT, RESULT]},
            ]
        contents.append({"role": "model", "parts": [{"text": "Done."}]})
    return [*contents, *HELLO]


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A request that the model it names takes, more often than not."""
    requested = draw(st.sampled_from(TARGETS))
    takes = BY_NAME[requested]
    config: dict[str, Any] = {}
    if given_thinking := draw(thinking_of(takes)):
        config["thinkingConfig"] = given_thinking
    optional: dict[str, st.SearchStrategy[Any]] = {
        "temperature": st.sampled_from([0, 1]),
        "maxOutputTokens": st.sampled_from([1, 8_192, 65_536]),
        "candidateCount": st.sampled_from([1, 2]),
        "responseMimeType": st.sampled_from(["application/json", "text/plain"]),
    }
    config |= {name: draw(value) for name, value in optional.items() if draw(st.integers(0, 3)) == 0}
    tools = draw(st.sampled_from([[], [DECLARED], [DECLARED], [{"googleSearch": {}}], [{"computerUse": {}}]]))
    members: dict[str, Any] = {"tools": tools} if tools else {}
    if tools == [DECLARED] and draw(st.booleans()):
        members["toolConfig"] = {"functionCallingConfig": {"mode": draw(st.sampled_from(["ANY", "AUTO"]))}}
    contents = draw(histories(requested))
    tail = draw(st.sampled_from([[], [], [], [PREFILL]]))
    return requested, request([*contents, *tail], config, **members)


@settings(max_examples=200, deadline=None)
@given(requests())
def test_what_one_model_takes_every_eligible_one_takes_adapted(made: tuple[str, bytes]) -> None:
    requested, data = made
    assume(refused(json.loads(data), requested) == "")
    for target in TARGETS:
        if target == requested or why_not(data, target, requested):
            continue
        body, done = adapted(data, target, requested)
        assert refused(body, target) == "", (target, done, body)


@settings(max_examples=100, deadline=None)
@given(requests())
def test_a_second_time_nothing_is_adapted(made: tuple[str, bytes]) -> None:
    requested, data = made
    for target in TARGETS:
        once, twice = Body.parse(data), Body.parse(data)
        assert adapt(once, facts_of(data, requested), model(target)) == adapt(
            twice, facts_of(data, requested), model(target)
        )
        assert once.render() == twice.render()
        again = Body.parse(once.render())
        assert adapt(again, facts_of(data, requested), model(target)) == []


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["contents", "parts", "role", "functionCall", "thoughtSignature", "generationConfig",
             "thinkingConfig", "thinkingBudget", "thinkingLevel", "maxOutputTokens", "generateContentRequest"]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


TOP = st.sampled_from(["contents", "generationConfig", "generateContentRequest"])


@given(st.dictionaries(TOP, ANY), st.data())
def test_any_json_is_adapted_and_remedied(value: dict[str, Any], data: st.DataObject) -> None:
    raw = json.dumps(value).encode()
    body = Body.parse(raw)
    adapt(body, facts_of(raw), model(data.draw(st.sampled_from(TARGETS))))
    remedy(body, REFUSED)
    set_model(body, "/v1/models/m:generateContent", FLASH_35)
    json.loads(body.render())
