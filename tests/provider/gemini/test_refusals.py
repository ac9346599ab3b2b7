"""The stand-in refuses what real Gemini models refuse, in the service's words."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from provider.gemini.cache import PromptCache
from provider.gemini.capabilities import BY_NAME
from provider.gemini.checks import Accepted, check
from provider.gemini.errors import Refusal
from provider.gemini.routes import authenticate, check_query, find_route
from provider.gemini.signatures import CORRUPTED, INVALID, sign
from provider.server import Request

HI: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}
SAID = {"role": "model", "parts": [{"text": "hello"}]}
ASK: dict[str, Any] = {"contents": [HI]}
CALL = {"functionCall": {"name": "ls", "args": {"path": "/é"}, "id": "c1"}}
RESULT = {"functionResponse": {"name": "ls", "response": {"output": "a"}, "id": "c1"}}
TOOLS = {"tools": [{"functionDeclarations": [{"name": "ls", "parametersJsonSchema": {"type": "object"}}]}]}
SKIP = "skip_thought_signature_validator"


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


def thinking(**fields: Any) -> dict[str, Any]:
    return config(thinkingConfig=fields)


def signed(
    model: str = "gemini-3.8-flash", account: str = "a", part: dict[str, Any] | None = None
) -> dict[str, Any]:
    part = CALL if part is None else part
    return part | {"thoughtSignature": sign(part, account=account, model=model)}


def step(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def results(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def accept(body: dict[str, Any], model: str = "gemini-3.8-flash", **how: Any) -> Accepted:
    return check(body, model, "a", **how)


def refused(body: Any, model: str = "gemini-3.8-flash", **how: Any) -> str:
    with pytest.raises(Refusal) as caught:
        check(body, model, "a", **how)
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "extra", "named"),
    [
        ("gemini-2.5-pro", thinking(thinkingLevel="HIGH"), "Thinking level is not supported"),
        ("gemini-2.5-flash", thinking(thinkingLevel="low"), "Thinking level is not supported"),
        ("gemini-3.7-flash", thinking(thinkingLevel="minimal"), "Thinking level MINIMAL is not supported"),
        ("gemini-3.8-flash", thinking(thinkingLevel="MINIMAL"), "Thinking level MINIMAL is not supported"),
        ("gemini-3.1-pro-preview", thinking(thinkingLevel="MINIMAL"), "Thinking level MINIMAL"),
        ("gemini-3.5-flash", thinking(thinkingLevel="LOW", thinkingBudget=0), "only set only one"),
        ("gemini-2.5-flash", thinking(thinkingLevel="LOW", thinkingBudget=9), "only set only one"),
        ("gemini-3.5-flash", thinking(thinkingLevel="XHIGH"), "ThinkingConfig.ThinkingLevel"),
        ("gemini-2.5-pro", thinking(thinkingBudget=0), "Budget 0 is invalid"),
        ("gemini-2.5-pro", thinking(thinkingBudget=100), "between 128 and 32768"),
        ("gemini-2.5-flash", thinking(thinkingBudget=24_577), "between 1 and 24576"),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=1), "between 512 and 24576"),
        ("gemini-3.8-flash", config(candidateCount=2), "Multiple candidates is not enabled"),
        ("gemini-3.6-flash", config(candidateCount=9), "candidate_count"),
        ("gemini-3.6-flash", config(maxOutputTokens=65_537), "maxOutputTokens value of 65537"),
        ("gemini-3.6-flash", config(temperature=2.1), "temperature"),
        ("gemini-3.6-flash", config(topP=1.1), "top_p"),
        ("gemini-3.6-flash", config(stopSequences=list("abcdef")), "stop_sequences"),
        ("gemini-3.6-flash", config(responseMimeType="text/html"), "response_mime_type"),
        ("gemini-3.6-flash", config(responseSchema={"type": "OBJECT"}), "response_mime_type"),
        ("gemini-2.5-flash", config(responseMimeType="application/json") | TOOLS, "Function calling with"),
        (
            "gemini-2.5-flash",
            config(responseMimeType="application/json") | {"tools": [{"googleSearch": {}}]},
            "Tool use with a response mime type",
        ),
        ("gemini-3.5-flash", {"tools": [{"computerUse": {}}]}, "computerUse"),
        ("gemini-3.8-flash", {"tools": [{"functionDeclarations": []}]}, "tools[0].tool_type"),
        ("gemini-3.8-flash", {"tools": [{}]}, "tools[0].tool_type"),
        ("gemini-3.8-flash", {"tools": TOOLS["tools"] * 2}, "Duplicate function declaration found: ls"),
        (
            "gemini-2.5-flash",
            {"tools": [*TOOLS["tools"], {"googleSearch": {}}]},
            "function calling is unsupported",
        ),
        (
            "gemini-3.8-flash",
            {"tools": [*TOOLS["tools"], {"googleSearch": {}}]},
            "server_side_tool_invocations",
        ),
        (
            "gemini-3.8-flash",
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            "Function calling config",
        ),
        ("gemini-3.8-flash", {"contents": [HI, SAID]}, "ending with a model turn"),
        (
            "gemini-3.8-flash",
            {"contents": [HI, {"role": "assistant", "parts": [{"text": "x"}]}]},
            "valid role",
        ),
        ("gemini-3.6-flash", {"contents": [{"role": "function", "parts": [{"text": "x"}]}]}, "'function'"),
        ("gemini-3.8-flash", {"model": "models/gemini-2.5-flash"}, "URL"),
        ("gemini-3.8-flash", {"x_router": {}}, 'Unknown name "x_router": Cannot find field.'),
        ("gemini-3.8-flash", {"messages": []}, 'Unknown name "messages"'),
        ("gemini-3.8-flash", config(reasoning=1), "Unknown name \"reasoning\" at 'generation_config'"),
        ("gemini-3.8-flash", thinking(level="LOW"), "at 'generation_config.thinking_config'"),
        ("gemini-3.8-flash", {"contents": [{"role": "user", "content": "x"}]}, "at 'contents[0]'"),
        ("gemini-3.8-flash", config(temperature="warm"), "Invalid value at 'generation_config.temperature'"),
        ("gemini-3.8-flash", {"cachedContent": 1}, "Invalid value at 'cached_content' (TYPE_STRING)"),
        ("gemini-3.8-flash", config(topP=1, top_p=1), "more than once"),
    ],
)
def test_a_parameter_that_the_model_cannot_take_is_refused_by_name(
    model: str, extra: dict[str, Any], named: str
) -> None:
    assert named in refused({**ASK, **extra}, model)


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        ("gemini-2.5-pro", thinking(thinkingBudget=-1, includeThoughts=True)),
        ("gemini-2.5-flash", thinking(thinkingBudget=0)),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=512)),
        ("gemini-3.5-flash-lite", thinking(thinkingLevel="minimal")),
        ("gemini-3.6-flash", thinking(thinkingLevel="MINIMAL")),
        ("gemini-3.8-flash", thinking(thinkingLevel="LOW")),
        ("gemini-3.8-flash", thinking(thinkingBudget=1024)),
        ("gemini-3.8-flash", config(temperature=1, topP=0.95, topK=64)),
        ("gemini-3.6-flash", config(candidateCount=3)),
        ("gemini-3.6-flash", {"contents": [HI, SAID]}),
        ("gemini-3.5-flash", {"contents": [{"role": "function", "parts": [{"text": "x"}]}]}),
        ("gemini-3.8-flash", config(responseMimeType="application/json") | TOOLS),
        (
            "gemini-3.8-flash",
            config(response_mime_type="application/json", response_schema={"type": "object"}),
        ),
        ("gemini-3.8-flash", {"system_instruction": {"parts": [{"text": "be kind"}]}}),
        (
            "gemini-3.8-flash",
            {"contents": {"parts": {"text": "one of each"}}, "model": "models/gemini-3.8-flash"},
        ),
        ("gemini-flash-latest", {"safetySettings": [{"category": "A", "threshold": "OFF"}]}),
        ("gemini-3.8-flash", {"serviceTier": "flex", "toolConfig": None}),
    ],
)
def test_what_the_model_can_take_is_accepted(model: str, extra: dict[str, Any]) -> None:
    accept({**ASK, **extra}, model)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contents is not specified"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "user"}]}, "contents[0].parts: contents.parts must not be empty."),
        ({"contents": [HI, {"role": "user", "parts": [{}]}]}, "contents[1].parts[0].data: required oneof"),
        ({"contents": [{"parts": [{"text": ""}]}]}, "contents[0].parts[0].data: required oneof"),
        ({"contents": [{"parts": [{"thought": True}]}]}, "contents[0].parts[0].data: required oneof"),
        ({**ASK, "systemInstruction": {"parts": []}}, "system_instruction.parts"),
        ({"contents": [{"parts": [{"text": "x", **RESULT}]}]}, "Cannot set 'function_response'"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "Name cannot be empty"),
        ([], "Invalid value"),
        ("hi", "Invalid value"),
    ],
)
def test_what_says_nothing_is_refused(body: Any, named: str) -> None:
    assert named in refused(body)


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        ([HI, step(signed()), results(RESULT, RESULT)], "number of function response parts"),
        ([HI, step(signed()), HI], "number of function response parts"),
        ([HI, step(signed(), CALL), results(RESULT), results(RESULT)], "number of function response parts"),
        ([HI, step(signed())], "number of function response parts"),
        ([HI, results(RESULT)], "function response turn comes immediately after"),
        ([results(RESULT), HI], "function response turn comes immediately after"),
        ([step(signed()), results(RESULT)], "function call turn comes immediately after"),
        ([{"role": "user", "parts": [CALL]}], "the model's"),
        (
            [HI, step(signed()), results({"functionResponse": {**RESULT["functionResponse"], "id": "c2"}})],
            "number",
        ),
    ],
)
def test_calls_and_results_belong_together(contents: list[Any], named: str) -> None:
    assert named in refused({"contents": contents})


def test_repeated_results_are_a_switch() -> None:
    body = {"contents": [HI, step(signed()), results(RESULT, RESULT)]}
    accept(body, repeated_results=True)
    other = {"functionResponse": RESULT["functionResponse"] | {"response": {"output": "b"}}}
    body["contents"][2] = results(RESULT, other)
    assert "number of function response parts" in refused(body, repeated_results=True)


def test_pieces_of_one_turn_of_the_model_belong_together() -> None:
    """The Python SDK keeps each chunk of a stream as a content of its own."""
    accept({"contents": [HI, SAID, step(signed()), step(CALL), results(RESULT, RESULT)]})


@pytest.mark.parametrize(
    ("model", "contents", "named"),
    [
        ("gemini-3.8-flash", [HI, step(CALL), results(RESULT)], "`default_api:ls` , position 2."),
        ("gemini-3-flash-preview", [HI, step(CALL), results(RESULT)], "missing a thought_signature"),
        (
            "gemini-3.8-flash",
            [HI, step(signed()), results(RESULT), step(CALL), results(RESULT)],
            "position 4",
        ),
        ("gemini-3.8-flash", [HI, step(CALL, signed()), results(RESULT, RESULT)], "position 2"),
        ("gemini-3.8-flash", [HI, step(signed("gemini-3.6-flash")), results(RESULT)], INVALID),
        ("gemini-2.5-flash", [HI, step(signed()), results(RESULT)], INVALID),
        ("gemini-3.8-flash", [HI, step(signed(account="b")), results(RESULT)], CORRUPTED),
        ("gemini-3.8-flash", [HI, step(signed(account="b")), results(RESULT), SAID, HI], CORRUPTED),
        ("gemini-3.8-flash", [HI, step(CALL | {"thoughtSignature": "AAAA"}), results(RESULT)], CORRUPTED),
        (
            "gemini-3.8-flash",
            [
                HI,
                step(CALL | {"thoughtSignature": signed(part=SAID["parts"][0])["thoughtSignature"]}),
                results(RESULT),
            ],
            CORRUPTED,
        ),
        ("gemini-3.8-flash", [HI, step(CALL | {"thoughtSignature": "%"}), results(RESULT)], "Base64"),
    ],
)
def test_signatures_are_checked(model: str, contents: list[Any], named: str) -> None:
    assert named in refused({"contents": contents}, model)


@pytest.mark.parametrize(
    ("model", "contents"),
    [
        ("gemini-2.5-flash", [HI, step(CALL), results(RESULT)]),
        ("gemini-3.8-flash", [HI, step(CALL), results(RESULT), SAID, HI]),
        ("gemini-3.8-flash", [HI, step(signed(), CALL), results(RESULT, RESULT)]),
        ("gemini-3.8-flash", [HI, step(CALL | {"thoughtSignature": SKIP}), results(RESULT)]),
        (
            "gemini-3.8-flash",
            [
                HI,
                step(CALL | {"thoughtSignature": base64.b64encode(SKIP.encode()).decode()}),
                results(RESULT),
            ],
        ),
        ("gemini-3.8-flash", [HI, step(signed(part={"text": ""})), HI]),
        ("gemini-3.8-flash", [HI, step(signed(part={"text": "hello"}) | {"text": "merged"}), HI]),
    ],
)
def test_signatures_that_may_stand_are_accepted(model: str, contents: list[Any]) -> None:
    assert accept({"contents": contents}, model).foreign == 0


def test_a_signature_of_another_model_in_an_older_turn_is_a_switch() -> None:
    body = {"contents": [HI, step(signed("gemini-3.6-flash")), results(RESULT), SAID, HI]}
    assert accept(body).foreign == 1
    assert refused(body, strict_history=True) == INVALID


def test_counting_asks_less() -> None:
    assert accept({"contents": [HI, SAID]}, verb="countTokens").body == {"contents": [HI, SAID]}
    whole = {"generateContentRequest": {"model": "models/gemini-3.8-flash", **ASK, **TOOLS}}
    assert accept(whole, verb="countTokens").body["tools"] == TOOLS["tools"]
    assert 'Unknown name "tools"' in refused({**ASK, **TOOLS}, verb="countTokens")
    assert "contents is not specified" in refused({}, verb="countTokens")


def test_unknown_models_are_a_404() -> None:
    for name in ("gemini-9", "claude-haiku-4-5", "models/gemini-3.8-flash"):
        with pytest.raises(Refusal, match="is not found for API version v1,") as caught:
            check(ASK, name, "a", version="v1")
        assert caught.value.status == 404


def test_prefixes_are_read_from_the_cache_by_the_same_account_and_model_only() -> None:
    cache, model = PromptCache(), BY_NAME["gemini-3.8-flash"]
    start = {"systemInstruction": {"parts": [{"text": "x" * 20_000}]}, "contents": [HI]}
    first = cache.count(start, model, "a")
    again = cache.count({**start, "contents": [HI, SAID, HI]}, model, "a")
    assert first.cached == 0 and first.prompt > 5000
    assert again.cached == first.prompt and again.input == again.prompt - first.prompt
    assert cache.count(start, model, "b").cached == 0
    assert cache.count(start, BY_NAME["gemini-3.6-flash"], "a").cached == 0
    assert (
        cache.count({**start, "systemInstruction": {"parts": [{"text": "y" * 20_000}]}}, model, "a").cached
        == 0
    )


def test_cached_contents_are_bound_to_account_and_model() -> None:
    cache, model = PromptCache(), BY_NAME["gemini-3.8-flash"]
    long = {"model": "models/gemini-3.8-flash", "contents": [{"parts": [{"text": "x" * 20_000}]}]}
    kept = cache.keep(long, "a", "v1beta")
    body = {**ASK, "cachedContent": kept.name}
    assert cache.count(body, model, "a").cached == kept.tokens
    with pytest.raises(Refusal, match="has to be the same"):
        cache.count(body, BY_NAME["gemini-3.6-flash"], "a")
    with pytest.raises(Refusal, match="permission denied") as caught:
        cache.count(body, model, "b")
    assert caught.value.status == 403
    with pytest.raises(Refusal, match="tool_config"):
        cache.count(body | TOOLS, model, "a")
    with pytest.raises(Refusal, match="too small"):
        cache.keep(long | ASK, "a", "v1beta")


def request(target: str, method: str = "POST", **headers: str) -> Request:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request("1.1", method, target, "generativelanguage.googleapis.com", fields, b"", 1)


@pytest.mark.parametrize(
    ("target", "headers", "account"),
    [
        ("?alt=sse", {"x_goog_api_key": "AIza-one"}, ("one", False)),
        ("?key=AIzaSy-two&alt=sse", {}, ("two", False)),
        ("", {"authorization": "Bearer ya29.three"}, ("three", True)),
        ("?key=AIza-two", {"x_goog_api_key": "fake-gemini"}, ("gemini", False)),
    ],
)
def test_credentials_name_an_account(target: str, headers: dict[str, str], account: tuple[str, bool]) -> None:
    asked = request(f"/v1beta/models/gemini-3.8-flash:streamGenerateContent{target}", **headers)
    route = find_route(asked)
    assert route is not None and route.streams and route.sse == ("sse" in target)
    check_query(route)
    assert authenticate(asked, route) == account


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 403, "unregistered callers"),
        ({"x_goog_api_key": "sk-ant-api03-a"}, 400, "API key not valid"),
        ({"authorization": "Bearer AIza-one"}, 401, "invalid authentication credentials"),
    ],
)
def test_bad_credentials(headers: dict[str, str], status: int, reason: str) -> None:
    asked = request("/v1/models/gemini-3.8-flash:generateContent", **headers)
    route = find_route(asked)
    assert route is not None
    with pytest.raises(Refusal, match=reason) as caught:
        authenticate(asked, route)
    assert caught.value.status == status
    if status == 400:
        assert caught.value.details[0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    "target",
    ["/v2/models/x:generateContent", "/v1/models/x:complete", "/v1/models", "/v1beta/models/a/b:countTokens"],
)
def test_other_addresses_are_none_of_the_service(target: str) -> None:
    assert find_route(request(target)) is None


def test_unknown_query_parameters_are_refused() -> None:
    route = find_route(request("/v1/models/x:generateContent?router=1"))
    assert route is not None
    with pytest.raises(Refusal, match="Cannot bind query parameter"):
        check_query(route)
