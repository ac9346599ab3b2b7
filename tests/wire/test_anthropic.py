from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers
from pointsman.values import NO_CHANGES, Changes, CredentialKind, Model
from pointsman.wire import marker
from pointsman.wire.anthropic import (
    credential,
    error_body,
    error_message,
    error_type,
    marker_modes,
    observe_body,
    read_facts,
    recognise,
    rewrite_body,
    set_model,
    thinks,
)
from pointsman.wire.json_spans import Body

MARKER = marker.make("claude-haiku-4-5", "cluster")
SALT = b"0123456789abcdef"


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("POST", "/v1/messages", "generate"),
        ("POST", "/v1/messages?beta=true", "generate"),
        ("post", "/v1/messages/count_tokens?x=/v1/messages", "count_tokens"),
        ("GET", "/v1/messages", None),
        ("POST", "/v1/messages/", None),
        ("POST", "/v1/messages/batches", None),
        ("GET", "/v1/messages/batches/b1/results", None),
        ("POST", "/v1/files", None),
        ("POST", "/v1/complete", None),
        ("GET", "/v1/models?path=/v1/messages", None),
        ("POST", "//v1/messages", None),
        ("POST", "", None),
    ],
)
def test_what_is_routed(method: str, path: str, endpoint: str | None) -> None:
    assert recognise(method, path) == endpoint


JWT = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"X-Api-Key": "sk-ant-api03-abc"}, CredentialKind.API_KEY),
        ({"Authorization": "Bearer sk-ant-api03-abc"}, CredentialKind.API_KEY),
        ({"Authorization": "Bearer sk-ant-oat01-abc"}, CredentialKind.SUBSCRIPTION),
        ({"authorization": "bearer  sk-ant-oat01-abc "}, CredentialKind.SUBSCRIPTION),
        ({"Authorization": JWT}, CredentialKind.SUBSCRIPTION),
        ({"Authorization": "Bearer x", "anthropic-beta": "a,oauth-2025-04-20"}, CredentialKind.SUBSCRIPTION),
        ({"x-api-key": "k", "Authorization": "Bearer sk-ant-oat01-abc"}, CredentialKind.SUBSCRIPTION),
        ({"x-api-key": "sk-ant-oat01-abc"}, CredentialKind.SUBSCRIPTION),
        (
            {"Authorization": "Bearer gateway-token", "anthropic-beta": "effort-2025-11-24"},
            CredentialKind.API_KEY,
        ),
        ({}, CredentialKind.NONE),
        ({"x-api-key": "", "authorization": "Bearer "}, CredentialKind.NONE),
    ],
)
def test_whose_account_pays(headers: dict[str, str], kind: CredentialKind) -> None:
    sent = Headers(**{name.replace("-", "_"): value for name, value in headers.items()})
    found = credential(sent, "/", SALT)
    assert found.kind is kind
    assert bool(found.fingerprint) == (kind is not CredentialKind.NONE)
    assert not any(secret in repr(found) for secret in ("abc", "gateway", "eyJ"))


def test_a_fingerprint_depends_on_secret_and_salt_only() -> None:
    def fingerprint(salt: bytes, **headers: str) -> str:
        return credential(Headers(**headers), "/", salt).fingerprint

    one = fingerprint(SALT, x_api_key="k1")
    assert one == fingerprint(SALT, authorization="Bearer k1") == fingerprint(SALT, x_api_key=" k1 ")
    assert len(one) == 16
    assert len({one, fingerprint(SALT, x_api_key="k2"), fingerprint(b"other", x_api_key="k1")}) == 3
    assert fingerprint(b"x" * 200, x_api_key="schlüssel\udcff")


def test_the_model_is_all_that_changes() -> None:
    data = b'{ "model" : "claude-opus-4-8","n":1e400, "messages":[]}'
    body = Body.parse(data)
    assert set_model(body, "/v1/messages?beta=true", "claude-haiku-4-5") == "/v1/messages?beta=true"
    assert body.render() == data.replace(b"opus-4-8", b"haiku-4-5")


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503, 529])
def test_the_real_sdk_reads_our_errors(status: int) -> None:
    answer = httpx2.Response(
        status, headers={"content-type": "application/json"}, content=error_body(status, "Why.")
    )
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    client = anthropic.Anthropic(api_key="none", http_client=http, max_retries=0)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert caught.value.status_code == status
    assert caught.value.body == {"type": "error", "error": {"type": error_type(status), "message": "Why."}}


def test_error_words() -> None:
    assert error_message(error_body(400, "thinking: no")) == "thinking: no"
    for data in (b"", b"<html>", b"[1]", b"{}", b'{"error":"x"}', b'{"error":{"message":5}}'):
        assert error_message(data) == ""
    assert [error_type(status) for status in (400, 404, 418, 429, 500, 502, 529)] == [
        "invalid_request_error",
        "not_found_error",
        "invalid_request_error",
        "rate_limit_error",
        "api_error",
        "api_error",
        "overloaded_error",
    ]
    assert json.loads(error_body(400, 'quo"te\ud800'))["error"]["message"] == 'quo"te\ud800'


# --- whole answers ------------------------------------------------------------------------

ANSWER = (
    b'{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001", '
    b'"content": [{"type": "text", "text": "x"}, {"type": "tool_use", "id": "t", "name": "n", "input": {}}], '
    b'"stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 4, "n": 1e400}}'
)


def test_a_whole_answer_is_rewritten_by_span() -> None:
    got = rewrite_body(ANSWER, Changes("claude-opus-4-8", MARKER, None, {"id": "d1"}))
    block = json.dumps({"type": "text", "text": MARKER}, separators=(",", ":"), ensure_ascii=False).encode()
    expected = (
        ANSWER.replace(b"claude-haiku-4-5-20251001", b"claude-opus-4-8")
        .replace(b'"content": [', b'"content": [' + block + b", ")
        .replace(b"1e400}}", b'1e400}, "x_router": {"id":"d1"}}')
    )
    assert got == expected
    assert rewrite_body(ANSWER, NO_CHANGES) is ANSWER
    assert rewrite_body(ANSWER, Changes("claude-haiku-4-5-20251001")) is ANSWER


def test_a_marker_is_never_the_whole_answer() -> None:
    empty = b'{"type":"message","model":"a","content":[],"stop_reason":"refusal"}'
    assert rewrite_body(empty, Changes("b", MARKER)) == empty.replace(b'"a"', b'"b"')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        b'{"input_tokens":42}',
        b'{"type":"message","model":"a","content":"text"}',
        b'{"type":"message"}',
        b"\xff{}",
    ],
)
def test_what_is_no_message_passes(data: bytes) -> None:
    assert rewrite_body(data, Changes(marker_text=MARKER)) == data


def test_whole_answers_are_observed() -> None:
    seen = observe_body(ANSWER)
    assert (seen.message_id, seen.answered_model, seen.stop_reason) == (
        "msg_1",
        "claude-haiku-4-5-20251001",
        "tool_use",
    )
    assert (seen.complete, seen.error) == (True, None)
    assert (seen.input_tokens, seen.output_tokens, seen.to_usage().cache_read_tokens) == (3, 4, None)
    failed = observe_body(error_body(529, "Overloaded"))
    assert (failed.error, failed.complete) == ("overloaded_error: Overloaded", False)
    assert observe_body(b"<html>") == observe_body(b'{"type":"message"') == observe_body(b"[1]")


@given(st.binary(max_size=80))
def test_garbage_answers_pass(data: bytes) -> None:
    assert rewrite_body(data, Changes("m", MARKER, None, {})) == data
    assert not observe_body(data).complete


# --- where no marker may be ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"max_tokens": 1}, False),
        ({"max_tokens": 8}, True),
        ({"tool_choice": {"type": "any"}}, False),
        ({"tool_choice": {"type": "tool", "name": "n"}}, False),
        ({"tool_choice": {"type": "auto"}}, True),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, False),
        ({"output_format": {"type": "json_schema"}}, False),
        ({"output_config": {"effort": "low"}}, True),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]}, False),
        ({"messages": [{"role": "user", "content": "Generate a title for this conversation:\n"}]}, False),
    ],
)
def test_where_no_marker_may_be(change: dict[str, Any], allowed: bool) -> None:
    request = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}], **change}
    body = Body.parse(json.dumps(request).encode())
    facts = read_facts(body, Headers(), "/v1/messages", "generate")
    assert marker_modes(body, facts, None) == (("text", "comment") if allowed else ())
    count = read_facts(body, Headers(), "/v1/messages/count_tokens", "count_tokens")
    assert marker_modes(body, count, None) == ()


def test_a_comment_is_better_where_a_text_would_do_harm() -> None:
    body = Body.parse(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    facts = read_facts(body, Headers(), "/v1/messages", "generate")
    thinking = Model("m", "anthropic", capabilities={"thinking_default": "on"})
    assert marker_modes(body, facts, thinking) == ("comment", "text")
    assert marker_modes(body, replace(facts, client="claude-code"), None) == ("comment", "text")
    assert marker_modes(body, facts, replace(thinking, capabilities={})) == ("text", "comment")


@pytest.mark.parametrize(
    ("thinking", "default", "expected"),
    [
        (b"", "on", True),
        (b"", "off", False),
        (b"", None, False),
        (b'"thinking":{"type":"disabled"}', "on", False),
        (b'"thinking":{"type":"adaptive"}', "off", True),
        (b'"thinking":{"type":"between_tools"}', "on", False),
        (b'"thinking":{"type":"between_tools"},"tools":[]', "on", False),
        (b'"thinking":{"type":"between_tools"},"tools":[{"name":"t"}]', "off", True),
        (b'"thinking":7', "on", True),
    ],
)
def test_whether_an_answer_may_hold_thinking(thinking: bytes, default: str | None, expected: bool) -> None:
    assert thinks(Body.parse(b"{" + thinking + b"}"), default) is expected
