"""The Gemini family over TLS, byte by byte."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from provider.answers import Answer, Fault, Given, Text, overloaded, rate_limited
from provider.gemini.family import Gemini
from provider.standin import StandIn

MODEL = "gemini-3.8-flash"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def post(
    raw: httpx2.Client, verb: str, body: Any = None, model: str = MODEL, **headers: str
) -> httpx2.Response:
    path = f"/v1beta/models/{model}:{verb}"
    return raw.post(path, json=HELLO if body is None else body, headers=headers)


def test_a_stream_has_only_data_lines(provider: StandIn, raw: httpx2.Client) -> None:
    provider.script(Answer((Text("a<b", piece=2), Given({"text": "é"}))))
    reply = post(raw, "streamGenerateContent?alt=sse")
    first, second, third, last, rest = reply.text.split("\r\n\r\n")
    start = 'data: {"candidates": [{"content": {"parts": [{"text": "a\\u003c"}],"role": "model"},"index": 0}]'
    assert first.startswith(start + ',"usageMetadata": {"promptTokenCount": ')
    assert '{"text": "b"}' in second and '{"text": "é"}' in third
    assert '{"parts": [{"text": "","thoughtSignature": "' in last and '"finishReason": "STOP"' in last
    assert rest == "" and "\n" not in first + second + third + last
    assert reply.headers["content-type"] == "text/event-stream"


def test_a_stream_without_sse_is_an_array_in_pieces(provider: StandIn, raw: httpx2.Client) -> None:
    answer = Answer((Text("abcd", piece=2),))
    provider.script(answer, Answer(answer.blocks, overload_after=1))
    with raw.stream("POST", f"/v1/models/{MODEL}:streamGenerateContent", json=HELLO) as reply:
        pieces = list(reply.iter_raw())
    whole = b"".join(pieces)
    assert reply.headers["content-type"] == "application/json; charset=UTF-8"
    assert whole.startswith(b'[{\n  "candidates": [\n') and whole.endswith(b"\n}\n]")
    assert b"\n}\n,\r\n{\n" in whole and len(pieces) > 1
    parts = [part for chunk in json.loads(whole) for part in chunk["candidates"][0]["content"]["parts"]]
    assert [part["text"] for part in parts] == ["ab", "cd", ""]
    broken = post(raw, "streamGenerateContent").json()
    assert len(broken) == 2 and broken[-1]["error"]["status"] == "UNAVAILABLE"


def test_a_body_is_printed_over_several_lines(provider: StandIn, raw: httpx2.Client) -> None:
    reply = post(raw, "generateContent")
    assert reply.text.startswith('{\n  "candidates": [\n    {\n      "content": {\n        "parts": [\n')
    assert reply.text.endswith("\n}\n")
    assert list(reply.json()) == ["candidates", "usageMetadata", "modelVersion", "responseId"]
    assert reply.headers["content-type"] == "application/json; charset=UTF-8"
    assert reply.headers["x-gemini-service-tier"] == "standard"
    assert reply.headers["server-timing"].startswith("gfet4t7; dur=")
    assert provider.last.message.id == reply.json()["responseId"]


@pytest.mark.parametrize(
    ("verb", "kind", "start"),
    [
        ("generateContent", "application/json; charset=UTF-8", "{\n"),
        ("streamGenerateContent", "application/json; charset=UTF-8", "[{\n"),
        ("streamGenerateContent?alt=sse", "text/event-stream", "{\n"),
    ],
)
def test_errors_are_printed_over_several_lines(
    provider: StandIn, raw: httpx2.Client, verb: str, kind: str, start: str
) -> None:
    reply = post(raw, verb, {**HELLO, "nope": 1})
    assert (reply.status_code, reply.headers["content-type"]) == (400, kind)
    assert reply.text.startswith(start + '  "error": {\n    "code": 400,\n')


def test_faults_of_other_providers_are_put_into_googles_words(provider: StandIn, raw: httpx2.Client) -> None:
    provider.script(overloaded(), rate_limited(3), Fault(500, "Internal error encountered."))
    faults = [post(raw, "generateContent") for _ in range(3)]
    said = [(fault.status_code, fault.json()["error"]["status"]) for fault in faults]
    assert said == [(503, "UNAVAILABLE"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL")]
    assert faults[1].json()["error"]["details"][-1]["retryDelay"] == "3s"


def test_unknown_members_and_models_are_named(provider: StandIn, raw: httpx2.Client) -> None:
    error = post(raw, "generateContent", {**HELLO, "generation_config": {"nope": 1}}).json()["error"]
    text = "Invalid JSON payload received. Unknown name \"nope\" at 'generation_config': Cannot find field."
    assert (error["message"], error["status"]) == (text, "INVALID_ARGUMENT")
    violations = error["details"][0]["fieldViolations"]
    assert violations == [{"field": "generation_config", "description": text}]
    missing = post(raw, "generateContent", model="gemini-9").json()["error"]
    assert (missing["code"], missing["status"]) == (404, "NOT_FOUND")
    assert "models/gemini-9 is not found for API version v1beta" in missing["message"]
    page = raw.post("/v2/models/x:generateContent")
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")
    assert "Invalid JSON payload" in raw.post(f"/v1/models/{MODEL}:generateContent", content=b"{").text


def test_a_prompt_can_be_too_long(provider: StandIn, raw: httpx2.Client) -> None:
    long = {"contents": [{"parts": [{"text": "x" * (4 * 1_048_576 + 99)}]}]}
    message = post(raw, "generateContent", long).json()["error"]["message"]
    assert "exceeds the maximum number of tokens allowed (1048576)" in message


def test_credentials_in_the_address(provider: StandIn, raw: httpx2.Client) -> None:
    del raw.headers["x-goog-api-key"]
    post(raw, "streamGenerateContent?alt=sse&key=AIza-two")
    assert (provider.last.account, provider.last.subscription) == ("two", False)
    post(raw, "generateContent", authorization="Bearer ya29.three")
    assert (provider.last.account, provider.last.subscription) == ("three", True)
    bad = post(raw, "generateContent?key=nonsense").json()["error"]
    assert (bad["code"], bad["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert post(raw, "generateContent").status_code == 403


def test_a_classifier_of_gemini_cli_takes_no_step(provider: StandIn, raw: httpx2.Client) -> None:
    score = {"type": "INTEGER", "minimum": 1}
    schema = {"type": "OBJECT", "properties": {"complexity_score": score}, "required": ["complexity_score"]}
    asked = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    provider.script(Answer((Text("scripted"),)))
    aside = post(raw, "generateContent", {**HELLO, "generationConfig": asked}, "gemini-3.5-flash-lite").json()
    assert json.loads(aside["candidates"][0]["content"]["parts"][0]["text"]) == {"complexity_score": 1}
    agent = {"user-agent": "GeminiCLI-tui/0.61.0/gemini-2.5-pro (linux; x64; terminal)"}
    assert "scripted" not in post(raw, "generateContent", **agent).text
    assert "scripted" in post(raw, "streamGenerateContent?alt=sse", **agent).text


def test_older_turns_of_another_model_are_a_switch(
    provider: StandIn, raw: httpx2.Client, family: Gemini
) -> None:
    said = post(raw, "generateContent", model="gemini-3.6-flash").json()["candidates"][0]["content"]
    later = {"contents": [*HELLO["contents"], said, *HELLO["contents"]]}
    assert post(raw, "generateContent", later).status_code == 200
    assert provider.last.foreign_thinking == 1
    family.strict_history = True
    assert post(raw, "generateContent", later).json()["error"]["message"] == "Invalid thought signature."


def test_router_headers_and_markers_are_violations(running: StandIn, raw: httpx2.Client) -> None:
    running.reset()
    marked = {"contents": [{"role": "user", "parts": [{"text": "\u2063\u2060\u2063"}]}]}
    assert post(raw, "generateContent", marked, **{"x-router-model": "x"}).status_code == 200
    post(raw, "generateContent", {**HELLO, "x_router": {}})
    assert len(running.violations) == 3
    with pytest.raises(AssertionError):
        running.check()
