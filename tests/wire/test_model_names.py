"""Routers stand in the providers' lists of models, in the providers' own shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pointsman.surface import surfaces
from pointsman.wire.model_names import Listed

LISTED = (
    Listed("router-classified-3tier", "Router (3-tier, classifier=minimax-m2.7)", 1_790_000_000),
    Listed("my-router", "my-router", 1_790_000_000),
)
NAMES = [item.name for item in LISTED]

ANTHROPIC = b"""{"data": [
    {"type": "model", "id": "claude-opus-4-8", "display_name": "Opus", "created_at": "2026-05-01T00:00:00Z"}
  ], "has_more": false, "first_id": "claude-opus-4-8", "last_id": "claude-opus-4-8"}"""
OPENAI = b"""{
  "object": "list",
  "data": [
    {"id": "gpt-5.5", "object": "model", "created": 1686935002, "owned_by": "openai"}
  ]
}
"""
GEMINI = (
    b"""{"models": [{"name": "models/gemini-3.8-flash", "version": "001", "inputTokenLimit": 1048576}]}"""
)
LISTS = {"anthropic": ANTHROPIC, "openai_chat": OPENAI, "openai_responses": OPENAI, "gemini": GEMINI}
PLACES = {"anthropic": ("data", "id"), "openai_chat": ("data", "id"), "openai_responses": ("data", "id"),
          "gemini": ("models", "name")}  # fmt: skip


def added(surface: str, data: bytes, path: str = "") -> Any:
    out = surfaces()[surface].model_list(data, path, LISTED)
    return None if out is None else json.loads(out)


@pytest.mark.parametrize("surface", LISTS)
def test_the_names_come_after_the_providers_own(surface: str) -> None:
    member, key = PLACES[surface]
    before, after = json.loads(LISTS[surface])[member], added(surface, LISTS[surface])[member]
    assert after[: len(before)] == before
    assert [model[key].removeprefix("models/") for model in after[len(before) :]] == NAMES
    for listed, model in zip(LISTED, after[len(before) :], strict=True):
        assert json.loads(surfaces()[surface].model_card(listed)) == model


def test_the_shapes_of_the_entries() -> None:
    cards = {name: json.loads(surfaces()[name].model_card(LISTED[0])) for name in LISTS}
    assert cards["anthropic"] == {
        "type": "model",
        "id": NAMES[0],
        "display_name": "Router (3-tier, classifier=minimax-m2.7)",
        "created_at": "2026-09-21T14:13:20Z",
    }
    assert cards["openai_chat"] == cards["openai_responses"]
    assert cards["openai_chat"] == {
        "id": NAMES[0],
        "object": "model",
        "created": 1_790_000_000,
        "owned_by": "pointsman",
    }
    assert cards["gemini"]["name"] == f"models/{NAMES[0]}"
    assert "generateContent" in cards["gemini"]["supportedGenerationMethods"]


def test_what_the_provider_said_stays_byte_for_byte() -> None:
    out = surfaces()["openai_chat"].model_list(OPENAI, "", LISTED[:1])
    assert out is not None
    head, _, tail = OPENAI.partition(b'"openai"}')
    assert out.startswith(head + b'"openai"}')
    assert out.endswith(tail)


def test_anthropics_list_says_where_it_ends() -> None:
    said = added("anthropic", ANTHROPIC)
    assert (said["first_id"], said["last_id"], said["has_more"]) == ("claude-opus-4-8", "my-router", False)
    empty = added("anthropic", b'{"data": [], "has_more": false, "first_id": null, "last_id": null}')
    assert (empty["first_id"], empty["last_id"]) == (NAMES[0], NAMES[1])


@pytest.mark.parametrize(
    ("surface", "data", "path"),
    [
        ("anthropic", ANTHROPIC.replace(b"false", b"true"), "/v1/models?limit=1"),
        ("anthropic", ANTHROPIC, "/v1/models?before_id=x"),
        ("anthropic", OPENAI, ""),
        ("openai_chat", ANTHROPIC, ""),
        ("openai_chat", b'{"object": "list", "data": {}}', ""),
        ("openai_chat", b'{"object": "list"}', ""),
        ("openai_chat", b'{"error": {"message": "no"}}', ""),
        ("openai_chat", b"[]", ""),
        ("openai_chat", b"<html>", ""),
        ("openai_chat", b"", ""),
        ("gemini", b'{"models": [], "nextPageToken": "x"}', ""),
        ("gemini", b'{"models": 7}', ""),
        ("gemini", b"\xff", ""),
    ],
)
def test_other_pages_and_other_answers_stay_as_they_are(surface: str, data: bytes, path: str) -> None:
    assert added(surface, data, path) is None


def test_a_name_that_is_there_already_is_not_added_again() -> None:
    for surface, data in LISTS.items():
        once = surfaces()[surface].model_list(data, "", LISTED[:1])
        assert once is not None
        assert surfaces()[surface].model_list(once, "", LISTED[:1]) is None
        twice = surfaces()[surface].model_list(once, "", LISTED)
        assert twice is not None
        member, key = PLACES[surface]
        names = [model[key].removeprefix("models/") for model in json.loads(twice)[member]]
        assert names[-2:] == NAMES
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("surface", "method", "path", "expected"),
    [
        ("anthropic", "GET", "/v1/models", ""),
        ("anthropic", "GET", "/v1/models?limit=1000", ""),
        ("anthropic", "get", "/api/v1/models/my-router", "my-router"),
        ("anthropic", "POST", "/v1/models", None),
        ("anthropic", "GET", "/v1/messages", None),
        ("anthropic", "GET", "/v2/models", None),
        ("openai_chat", "GET", "/v1/models/", None),
        ("openai_chat", "GET", "/v1/models", ""),
        ("openai_responses", "GET", "/v1/models/anthropic%2Fclaude", "anthropic/claude"),
        ("openai_chat", "GET", "/openai/models", ""),
        ("openai_chat", "GET", "/models", None),
        ("gemini", "GET", "/v1beta/models?key=x&pageSize=5", ""),
        ("gemini", "GET", "/v1beta/models/my-router", "my-router"),
        ("gemini", "GET", "/v1beta/models/gemini-3.8-flash:generateContent", None),
    ],
)
def test_which_requests_ask_for_models(surface: str, method: str, path: str, expected: str | None) -> None:
    assert surfaces()[surface].models_asked(method, path) == expected
