"""What the two OpenAI surfaces share: accounts, conversations, errors, usage, and rules about parameters."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pointsman.values import Adaptation, CredentialKind
from pointsman.wire import openai
from pointsman.wire.json_spans import Body
from pointsman.wire.observation import Observation
from pointsman.wire.openai.client import CLIENTS, credential, session_hint
from pointsman.wire.openai.errors import error_body, error_message, error_type
from pointsman.wire.openai.parameters import (
    EFFORTS,
    drop_cache_lifetime,
    drop_sampling,
    fitting_effort,
    lacks_tier,
)
from pointsman.wire.openai.usage import see_usage
from pointsman.wire.texts import client_name
from samples import FACTS

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl"
ACCOUNT = {"chatgpt-account-id": "acc-1"}


def test_what_is_shared_is_no_surface() -> None:
    assert not hasattr(openai, "SURFACE")


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"authorization": "Bearer sk-proj-abc"}, CredentialKind.API_KEY),
        ({"authorization": "bearer  sk-abc "}, CredentialKind.API_KEY),
        ({"authorization": "Bearer sk-abc", **ACCOUNT}, CredentialKind.API_KEY),
        ({"authorization": f"Bearer {JWT}"}, CredentialKind.SUBSCRIPTION),
        ({"authorization": f"Bearer {JWT}", **ACCOUNT}, CredentialKind.SUBSCRIPTION),
        ({"authorization": "Bearer opaque", **ACCOUNT}, CredentialKind.SUBSCRIPTION),
        ({"authorization": "Bearer gsk_of-a-gateway"}, CredentialKind.API_KEY),
        ({"api-key": "0123abcd"}, CredentialKind.API_KEY),
        ({"x-api-key": "0123abcd"}, CredentialKind.API_KEY),
        ({"authorization": ""}, CredentialKind.NONE),
        ({"authorization": "Bearer "}, CredentialKind.NONE),
        (ACCOUNT, CredentialKind.NONE),
        ({}, CredentialKind.NONE),
    ],
)
def test_credentials(headers: dict[str, str], kind: CredentialKind) -> None:
    found = credential(headers, "/v1/chat/completions", b"salt")
    assert found.kind is kind
    assert bool(found.fingerprint) is (kind is not CredentialKind.NONE)


def test_a_fingerprint_tells_keys_apart_and_holds_none() -> None:
    def fingerprint(key: str, salt: bytes) -> str:
        return credential({"authorization": f"Bearer {key}"}, "/", salt).fingerprint

    assert fingerprint("sk-one", b"s") == fingerprint("sk-one", b"s")
    assert len({fingerprint("sk-one", b"s"), fingerprint("sk-two", b"s"), fingerprint("sk-one", b"t")}) == 3
    assert "one" not in fingerprint("sk-one", b"s")


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("OpenAI/Python 3.52.0", "openai-python"),
        ("AsyncOpenAI/Python 3.52.0", "openai-python"),
        ("OpenAI/JS 6.49.0", "openai-js"),
        ("codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)", "codex"),
        ("codex_cli_rs/0.169.0 (Debian 12.0.0; x86_64)", "codex"),
        ("opencode/1.18.33 (linux 6.18; x64) ai-sdk/provider-utils/4.0.40 runtime/bun/1.3.14", "opencode"),
        ("curl/8.9.1", "unknown"),
    ],
)
def test_clients(agent: str, client: str) -> None:
    assert client_name({"user-agent": agent}, CLIENTS) == client


@pytest.mark.parametrize(
    ("headers", "cache_key", "hint"),
    [
        ({"session-id": "s", "thread-id": "s"}, "s", "s"),
        ({"session-id": "s", "thread-id": "t"}, "s", "s/t"),
        ({"session_id": "s"}, None, "s"),
        ({"thread-id": "t"}, None, "t"),
        ({"x-session-id": "ses_1", "x-session-affinity": "ses_1"}, None, "ses_1"),
        ({"x-session-affinity": "ses_1"}, "other", "ses_1"),
        ({"session-id": "  "}, "k", "k/hello"),
        ({}, "k", "k/hello"),
        ({}, 7, None),
        ({}, "", None),
        ({}, None, None),
    ],
)
def test_session_hints(headers: dict[str, str], cache_key: Any, hint: str | None) -> None:
    assert session_hint(headers, cache_key, "hello") == hint


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Consumer 'api_key:AIzaSyD-9tSrke72PouQMnMX_a7eZSW0jkFMBWY' has been suspended.",
         "Consumer 'api_key:[secret]' has been suspended."),
        ("Incorrect API key provided: sk-proj-abc_DEF-0123456789. You can find it",
         "Incorrect API key provided: [secret]. You can find it"),
        (f"the token {JWT} has expired", "the token [secret] has expired"),
        ("Bearer ya29.a0AfH6SMB_x-1 is no key", "Bearer [secret] is no key"),
        ('{"api_key": "0123456789abcdef"}', '{"api_key": "[secret]"}'),
        ("Received API Key = sk-...1234, Key Hash =abc", "Received API Key = sk-...1234, Key Hash =abc"),
        ("API key not valid. Pass a valid API key.", "API key not valid. Pass a valid API key."),
        ("the task-oriented disk-based risk-averse model", "the task-oriented disk-based risk-averse model"),
    ],
)  # fmt: skip
def test_what_a_provider_repeats_of_a_secret_is_not_kept(said: str, kept: str) -> None:
    observation = Observation()
    observation.fail("PERMISSION_DENIED", said)
    assert observation.error == f"PERMISSION_DENIED: {kept}"


def test_one_cache_key_for_all_users_is_not_one_conversation() -> None:
    assert session_hint({}, "app", "first") != session_hint({}, "app", "second")


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_an_error_has_the_providers_shape(status: int, kind: str) -> None:
    assert error_type(status) == kind
    assert json.loads(error_body(status, "no ✦")) == {
        "error": {"message": "no ✦", "type": kind, "param": None, "code": None}
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (error_body(400, "no"), "no"),
        (b'{"error": "plain"}', "plain"),
        (b'{"detail": "of the ChatGPT backend"}', "of the ChatGPT backend"),
        (b'{"detail": [{"loc": ["body", "n", 0], "msg": "no"}, {"msg": "x"}, 7]}', "body.n.0: no; x"),
        (b'{"message": {"detail": [{"loc": ["body", "n"], "msg": "no"}]}}', "body.n: no"),
        (b'{"object": "error", "message": "of vLLM"}', "of vLLM"),
        (b'{"detail": [{"loc": 7, "msg": 7}], "message": {"detail": 7}}', ""),
        (b'{"error": {"message": 7}}', ""),
        (b'{"error": null}', ""),
        (b"[]", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_what_an_error_says(body: bytes, said: str) -> None:
    assert error_message(body) == said


# --- usage --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}, (12, 9, None, None)),
        (
            {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64}},
            (36, 9, 64, None),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 30},
            },
            (6, 9, 64, 30),
        ),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 40},
                "total_tokens": 150,
            },
            (100, 50, 0, None),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 40},
                "total_tokens": 55,
            },
            (10, 45, None, None),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, (6, 5, 4, None)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4}, (6, 5, 4, None)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}},
            (0, 5, 99, None),
        ),
        ({"prompt_tokens": 10}, (10, None, None, None)),
    ],
)
def test_usage(usage: dict[str, Any], counts: tuple[int | None, ...]) -> None:
    seen = Observation()
    assert see_usage(seen, usage)
    assert counts == (seen.input_tokens, seen.output_tokens, seen.cache_read_tokens, seen.cache_write_tokens)


@pytest.mark.parametrize(
    "usage", [None, 7, [], {}, {"prompt_tokens": "12"}, {"prompt_tokens": -1, "completion_tokens": True}]
)
def test_no_usage(usage: Any) -> None:
    seen = Observation()
    assert not see_usage(seen, usage)
    assert seen == Observation()


# --- parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "accepted", "fitting"),
    [
        ("high", ("low", "medium", "high"), "high"),
        ("max", ("none", "low", "high", "xhigh"), "xhigh"),
        ("none", ("low", "medium"), "low"),
        ("none", ("medium", "low"), "low"),
        ("minimal", ("low", "high"), "low"),
        ("minimal", ("none", "low"), "none"),
        ("high", (), None),
        ("turbo", ("low",), "turbo"),
    ],
)
def test_an_effort_is_clamped_to_what_is_accepted(
    effort: str, accepted: tuple[str, ...], fitting: str | None
) -> None:
    assert fitting_effort(effort, accepted) == fitting


def test_a_clamped_effort_is_never_above_the_asked_one_where_there_is_another() -> None:
    for effort in EFFORTS:
        for accepted in (EFFORTS[1:], EFFORTS[:3], EFFORTS[2:5]):
            fitting = fitting_effort(effort, accepted)
            assert fitting in accepted
            above = EFFORTS.index(str(fitting)) > EFFORTS.index(effort)
            assert not above or fitting == accepted[0]


@pytest.mark.parametrize(
    ("tier", "row", "refused"),
    [
        (None, {}, False),
        ("auto", {}, False),
        ("default", {}, False),
        ("flex", {}, True),
        ("flex", {"service_tier": ("flex",)}, False),
        ("priority", {"service_tier": ("flex",)}, True),
    ],
)
def test_service_tiers(tier: str | None, row: dict[str, Any], refused: bool) -> None:
    assert bool(lacks_tier(replace(FACTS, service_tier=tier), row)) is refused


SAMPLED = b'{"a":1,"temperature":0.2,"top_p":null,"logprobs":true,"top_logprobs":3,"stop":"x"}'
STRICT = {"sampling_needs_effort_none": True}


@pytest.mark.parametrize(
    ("row", "effort", "kept"),
    [
        ({}, None, True),
        (STRICT, "none", True),
        (STRICT | {"effort_default": "none"}, None, True),
        (STRICT, None, False),
        (STRICT, "low", False),
        (STRICT | {"effort_default": "none"}, "low", False),
    ],
)
def test_sampling_needs_effort_none(row: dict[str, Any], effort: str | None, kept: bool) -> None:
    body, done = Body.parse(SAMPLED), list[Adaptation]()
    drop_sampling(body, effort, row, done)
    if kept:
        assert body.render() == SAMPLED and not done
        return
    assert body.render() == b'{"a":1,"top_p":null,"stop":"x"}'
    assert [(a.parameter, a.verb, a.before) for a in done] == [
        ("temperature", "drop", "0.2"),
        ("logprobs", "drop", "true"),
        ("top_logprobs", "drop", "3"),
    ]


CACHED = b'{"prompt_cache_key":"k","prompt_cache_retention":"24h","prompt_cache_options":{"ttl":"30m"}}'


@pytest.mark.parametrize(
    ("row", "left"),
    [
        ({}, ["prompt_cache_key"]),
        ({"prompt_cache_retention": ("24h",)}, ["prompt_cache_key", "prompt_cache_retention"]),
        ({"prompt_cache_retention": ("in_memory",)}, ["prompt_cache_key"]),
        ({"prompt_cache_options": True}, ["prompt_cache_key", "prompt_cache_options"]),
    ],
)
def test_wishes_about_the_cache(row: dict[str, Any], left: list[str]) -> None:
    body, done = Body.parse(CACHED), list[Adaptation]()
    drop_cache_lifetime(body, row, done)
    assert body.names() == left
    assert len(done) == 3 - len(left)
