"""The Gemini surface at its edges: paths, accounts, markers, bodies and errors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.values import NO_CHANGES, Changes, CredentialKind, Facts, TurnKind, Usage
from pointsman.wire import gemini, marker
from pointsman.wire.json_spans import Body

SERVED, REQUESTED = "gemini-3.5-flash-lite", "gemini-3.8-flash"
MARKER = marker.make(SERVED, "best for this kind of prompt")
ROUTER = {"decision": "d1"}
CHANGES = Changes(REQUESTED, MARKER, None, ROUTER)
SALT = b"salt"
PATH = f"/v1beta/models/{REQUESTED}:streamGenerateContent?alt=sse"
HELLO = [{"role": "user", "parts": [{"text": "hello"}]}]


# --- paths --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("POST", "/v1/models/m:generateContent", "generate"),
        ("POST", "/v1beta/models/m:generateContent?key=K", "generate"),
        ("POST", "/v1alpha/models/m:streamGenerateContent", "generate"),
        ("POST", "/v1beta/models/m:streamGenerateContent?alt=sse", "generate"),
        ("post", "/v1beta/models/m:countTokens", "count_tokens"),
        ("POST", "/v1beta/models/gemini%2D3:generateContent", "generate"),
        ("POST", "/v1beta/models/m%3AgenerateContent", "generate"),
        ("GET", "/v1beta/models/m:generateContent", None),
        ("GET", "/v1beta/models", None),
        ("POST", "/v1beta/tunedModels/m:generateContent", None),
        ("POST", "/v1beta/models/tunedModels%2Fm:generateContent", None),
        ("POST", "/v1beta/models/a/b:generateContent", None),
        ("POST", "/v1beta/openai/chat/completions", None),
        ("POST", "/v1beta/cachedContents", None),
        ("POST", "/v1beta/models/m:batchGenerateContent", None),
        ("POST", "/v1beta/models/m:embedContent", None),
        ("POST", "/v1beta/models/m:batchEmbedContents", None),
        ("POST", "/v1beta/models/m:predict", None),
        ("POST", "/v1beta/models/:generateContent", None),
        ("POST", "/v1beta/models/m:generateContent/", None),
        ("POST", "/v2/models/m:generateContent", None),
        ("POST", "/v1/projects/p/locations/l/publishers/google/models/m:generateContent", None),
        ("POST", "/v1/messages", None),
        ("POST", "", None),
        ("POST", "/v1beta/models/%ff:generateContent", "generate"),
    ],
)
def test_what_is_recognised(method: str, path: str, endpoint: str | None) -> None:
    assert gemini.recognise(method, path) == endpoint


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PATH, f"/v1beta/models/{SERVED}:streamGenerateContent?alt=sse"),
        (
            "/v1/models/gemini%2D3.8-flash:generateContent?key=A%20b&x=a:generateContent",
            f"/v1/models/{SERVED}:generateContent?key=A%20b&x=a:generateContent",
        ),
        ("/v1/models/m%3acountTokens?", f"/v1/models/{SERVED}%3acountTokens?"),
        ("/v1/messages", "/v1/messages"),
    ],
)
def test_only_the_model_of_a_path_changes(path: str, expected: str) -> None:
    data = b'{"contents": []}'
    body = Body.parse(data)
    assert gemini.set_model(body, path, SERVED) == expected
    assert body.render() is data


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=20)


@given(NAMES, st.text(max_size=10))
def test_any_model_s_name_comes_back_from_the_path(name: str, query: str) -> None:
    path = gemini.set_model(Body.parse(b"{}"), f"{PATH}&x={quote(query)}", name)
    assert gemini.recognise("POST", path) == "generate"
    assert path.endswith(f"?alt=sse&x={quote(query)}")
    found = gemini.read_facts(Body.parse(b"{}"), {}, path, "generate")
    assert found.stream and (found.requested_model == name or not name.isascii() or not name.isprintable())


def test_a_body_that_names_the_model_is_made_to_agree() -> None:
    inner = {"model": f"models/{REQUESTED}", "contents": HELLO}
    body = Body.parse(json.dumps({"generateContentRequest": inner, "model": REQUESTED}).encode())
    gemini.set_model(body, f"/v1beta/models/{REQUESTED}:countTokens", SERVED)
    assert json.loads(body.render()) == {
        "generateContentRequest": {"model": f"models/{SERVED}", "contents": HELLO},
        "model": SERVED,
    }


# --- accounts -----------------------------------------------------------------------------

KEY, TOKEN = "AIza-secret", "ya29.secret"


@pytest.mark.parametrize(
    ("headers", "query", "kind", "same_as"),
    [
        ({"x-goog-api-key": KEY}, "", CredentialKind.API_KEY, KEY),
        ({}, f"?key={KEY}", CredentialKind.API_KEY, KEY),
        ({}, f"?alt=sse&key={KEY.replace('-', '%2D')}", CredentialKind.API_KEY, KEY),
        ({}, f"?$key={KEY}", CredentialKind.API_KEY, KEY),
        ({"x-goog-api-key": KEY}, "?key=another", CredentialKind.API_KEY, KEY),
        ({"authorization": f"Bearer {KEY}"}, "", CredentialKind.API_KEY, KEY),
        ({"authorization": f"Bearer {TOKEN}"}, "", CredentialKind.SUBSCRIPTION, TOKEN),
        ({"authorization": "Bearer eyJh.eyJi.c2ln"}, "", CredentialKind.SUBSCRIPTION, "eyJh.eyJi.c2ln"),
        ({"authorization": f"Bearer {TOKEN}", "x-goog-api-key": KEY}, "", CredentialKind.SUBSCRIPTION, TOKEN),
        ({}, f"?access_token={TOKEN}", CredentialKind.SUBSCRIPTION, TOKEN),
        ({}, "", CredentialKind.NONE, ""),
        ({"x-goog-api-key": " "}, "?key=", CredentialKind.NONE, ""),
    ],
)  # fmt: skip
def test_the_account(headers: dict[str, str], query: str, kind: CredentialKind, same_as: str) -> None:
    path = PATH.partition("?")[0] + query
    found = gemini.credential(headers, path, SALT)
    assert found.kind is kind
    plain = gemini.credential({"x-goog-api-key": same_as}, "/", SALT)
    assert found.fingerprint == plain.fingerprint
    assert "secret" not in repr(found)
    other = gemini.credential(headers, path, b"other")
    assert (found.fingerprint != other.fingerprint) == bool(same_as)


def test_facts_hold_no_secret() -> None:
    path = f"/v1beta/models/{REQUESTED}:generateContent?key={KEY}"
    headers = {"x-goog-api-key": KEY, "authorization": f"Bearer {TOKEN}"}
    assert "secret" not in repr(gemini.read_facts(Body.parse(b"{}"), headers, path, "generate"))


# --- where a marker may stand -------------------------------------------------------------


def facts_of(body: Any, path: str = PATH, headers: Any = None) -> tuple[Body, Facts]:
    parsed = Body.parse(json.dumps({"contents": HELLO} | body).encode())
    return parsed, gemini.read_facts(parsed, headers or {}, path, gemini.recognise("POST", path) or "")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, PATH),
        ({}, f"/v1/models/{REQUESTED}:generateContent"),
        ({"generationConfig": {"candidateCount": 2, "responseModalities": ["TEXT"]}}, PATH),
        ({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}, PATH),
        ({"generationConfig": {"maxOutputTokens": 500}}, PATH),
    ],
)
def test_where_a_marker_stands(body: Any, path: str) -> None:
    assert gemini.marker_modes(*facts_of(body, path), None) == ("text",)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, f"/v1beta/models/{REQUESTED}:streamGenerateContent"),  # a JSON array
        ({}, f"/v1beta/models/{REQUESTED}:countTokens"),
        ({"generationConfig": {"maxOutputTokens": 1}}, PATH),
        ({"generationConfig": {"responseMimeType": "application/json"}}, PATH),
        ({"generation_config": {"response_schema": {}}}, PATH),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, PATH),
        ({"generation_config": {"response_modalities": ["AUDIO"]}}, PATH),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, PATH),
        ({"contents": [*HELLO, {"role": "model", "parts": [{"text": "It is"}]}]}, PATH),
    ],
)
def test_where_no_marker_may_stand(body: Any, path: str) -> None:
    assert gemini.marker_modes(*facts_of(body, path), None) == ()


def test_background_work_gets_no_marker() -> None:
    headers = {"user-agent": "GeminiCLI/0.61.0/gemini-2.5-pro (linux; x64)"}
    body, facts = facts_of({}, f"/v1beta/models/{SERVED}:generateContent", headers)
    assert facts.turn is TurnKind.CLASSIFIER
    assert gemini.marker_modes(body, facts, None) == ()
    assert gemini.marker_modes(body, replace(facts, turn=TurnKind.MAIN), None) == ("text",)


def test_nothing_is_asked_for() -> None:
    body, facts = facts_of({})
    assert gemini.ask(body, facts) == [] and not body.changed


# --- whole answers ------------------------------------------------------------------------


def answer(*parts: Any, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "modelVersion": SERVED, "responseId": "r1"} | more


def rewritten(value: Any, changes: Changes = CHANGES) -> Any:
    return json.loads(gemini.rewrite_body(json.dumps(value).encode(), changes))


def parts_of(value: Any) -> list[Any]:
    return [part for candidate in value["candidates"] for part in candidate["content"]["parts"]]


CALL = {"functionCall": {"name": "f", "args": {"modelVersion": SERVED}}, "thoughtSignature": "c2ln"}
MARK = {"text": MARKER}
THOUGHT = {"text": "hm", "thought": True}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([{"text": "Hi"}], [MARK, {"text": "Hi"}]),
        ([CALL], [MARK, CALL]),
        ([THOUGHT, {"text": "Hi"}], [THOUGHT, MARK, {"text": "Hi"}]),
        ([{"text": "Hi", "thoughtSignature": "c2ln"}], [{"text": MARKER + "Hi", "thoughtSignature": "c2ln"}]),
        ([{"inlineData": {"mimeType": "image/png", "data": ""}}], None),
        ([THOUGHT], [THOUGHT]),
        ([{"text": " \n"}], [{"text": " \n"}]),
        ([], []),
    ],
)  # fmt: skip
def test_a_body_is_marked_before_its_first_words(parts: list[Any], expected: list[Any] | None) -> None:
    out = rewritten(answer(*parts))
    assert parts_of(out) == (expected if expected is not None else [MARK, *parts])
    assert (out["modelVersion"], out["x_router"], out["responseId"]) == (REQUESTED, ROUTER, "r1")


def test_each_candidate_of_a_body_is_marked() -> None:
    value = answer({"text": "A"})
    value["candidates"].append({"content": {"parts": [{"text": "B"}]}, "index": 1})
    value["candidates"].append({"finishReason": "SAFETY", "index": 2})
    out = rewritten(value)
    assert [c.get("content", {}).get("parts") for c in out["candidates"]] == [
        [MARK, {"text": "A"}], [MARK, {"text": "B"}], None
    ]  # fmt: skip


@pytest.mark.parametrize("style", [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}])
def test_what_a_body_says_besides_stays_byte_for_byte(style: Any) -> None:
    data = json.dumps(answer({"text": "✦ </b> é"}, usageMetadata={"promptTokenCount": 1}), **style).encode()
    assert gemini.rewrite_body(data, NO_CHANGES) is data
    assert gemini.rewrite_body(data, Changes(SERVED)) == data
    renamed = gemini.rewrite_body(data, Changes(REQUESTED))
    assert renamed == data.replace(SERVED.encode(), REQUESTED.encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b"<html>", b'{"totalTokens": 4}', b'{"error": {"code": 503}}', b"{" * 50,
     b'{"error": {"code": 503}, "candidates": []}', b'[{"error": {"code": 503}}]'],
)  # fmt: skip
def test_what_is_no_answer_stays(data: bytes) -> None:
    assert gemini.rewrite_body(data, CHANGES) is data


KEYS = st.sampled_from(["candidates", "content", "parts", "text", "modelVersion"])
ANY = st.recursive(
    st.none() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner),
)


@given(ANY)
def test_any_json_is_rewritten_or_stays(value: Any) -> None:
    data = json.dumps(value).encode()
    json.loads(gemini.rewrite_body(data, CHANGES))
    gemini.observe_body(data)


def test_what_a_body_says() -> None:
    usage = {"promptTokenCount": 100, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 5,
             "candidatesTokenCount": 7, "thoughtsTokenCount": 20, "totalTokenCount": 127}  # fmt: skip
    seen = gemini.observe_body(json.dumps(answer({"text": "Hi"}, usageMetadata=usage)).encode())
    assert (seen.message_id, seen.answered_model, seen.stop_reason) == ("r1", SERVED, "STOP")
    assert seen.complete and seen.started and seen.error is None
    assert seen.to_usage() == Usage(45, 27, 60)


@pytest.mark.parametrize("wrong", [None, -1, "9", 1.5, True, 1 << 60])
def test_counts_that_are_none_are_not_believed(wrong: Any) -> None:
    usage = {"promptTokenCount": wrong, "candidatesTokenCount": wrong}
    seen = gemini.observe_body(json.dumps(answer({"text": "Hi"}, usageMetadata=usage)).encode())
    assert seen.to_usage() == Usage()


def test_more_cached_than_there_is_does_not_go_below_nothing() -> None:
    usage = {"promptTokenCount": 10, "cachedContentTokenCount": 60}
    seen = gemini.observe_body(json.dumps(answer(usageMetadata=usage)).encode())
    assert seen.to_usage() == Usage(0, None, 60)


@pytest.mark.parametrize(
    ("body", "complete", "reason"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, True, "SAFETY"),
        ({"candidates": [{"index": 0}], "modelVersion": "m"}, False, None),
        ({"candidates": [{"finishReason": "STOP"}, {"index": 1}]}, False, "STOP"),
        ({"totalTokens": 3}, False, None),
    ],
)
def test_when_a_body_is_complete(body: Any, complete: bool, reason: str | None) -> None:
    seen = gemini.observe_body(json.dumps(body).encode())
    assert (seen.complete, seen.stop_reason) == (complete, reason)


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"),
        (408, "DEADLINE_EXCEEDED"), (409, "ABORTED"), (413, "INVALID_ARGUMENT"), (422, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (501, "UNIMPLEMENTED"), (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (599, "INTERNAL"),
    ],
)  # fmt: skip
def test_errors_have_google_s_words(status: int, word: str) -> None:
    data = gemini.error_body(status, 'No "provider" is left.\n')
    assert json.loads(data) == {
        "error": {"code": status, "message": 'No "provider" is left.\n', "status": word}
    }
    assert gemini.error_message(data) == 'No "provider" is left.\n'
    assert (gemini.observe_body(data).error or "").startswith(f"{word}: No")


ERROR = {"error": {"code": 400, "message": "Thinking level is not supported.", "status": "INVALID_ARGUMENT"}}


@pytest.mark.parametrize("value", [ERROR, [ERROR], [{}, ERROR]])
@pytest.mark.parametrize("indent", [None, 2])
def test_errors_are_read_alone_and_in_a_list(value: Any, indent: int | None) -> None:
    data = b"\n" + json.dumps(value, indent=indent).encode() + b"\n"
    assert gemini.error_message(data) == "Thinking level is not supported."
    assert gemini.observe_body(data).error == "INVALID_ARGUMENT: Thinking level is not supported."


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"7", b'{"error": null}', b'{"error": []}', b'{"error": {"message": 4}}',
     b"<html>", b'{"message": "x"}'],
)  # fmt: skip
def test_what_is_no_error_of_google_s_says_nothing(data: bytes) -> None:
    assert gemini.error_message(data) == ""


def test_a_long_error_is_kept_short() -> None:
    seen = gemini.observe_body(json.dumps({"error": {"code": 500, "message": "x" * 9000}}).encode())
    assert seen.error is not None and seen.error.startswith("500: xxx") and len(seen.error) == 500
