"""What a body without host and path is taken for, and what is asked where it could be several things."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from pointsman import dry_run
from pointsman.catalogue import Catalogue
from pointsman.dry_run import Asking, request_of, surface_of
from pointsman.errors import BodyError, ClientError
from pointsman.surface import surfaces
from pointsman.wire.json_spans import Body

MODELS = Catalogue.load()
HI = [{"role": "user", "content": "hi"}]
NAMES = st.sampled_from(("messages", "input", "contents", "model", "tools", "tool_choice", "system", "stop"))
INNER = st.sampled_from(("role", "content", "type", "name", "function", "tool_calls"))
WORDS = st.sampled_from(("user", "tool", "text", "image", "claude-opus-4-8", "gpt-5.5", "auto", ""))
JSON = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER, inner, max_size=3),
    max_leaves=8,
)
UNSAID = Asking()


def body_of(**members: Any) -> Body:
    return Body.parse(json.dumps(members).encode())


def told(asking: Asking = UNSAID, **members: Any) -> str:
    return surface_of(body_of(**members), asking, MODELS).SURFACE


def refused(asking: Asking = UNSAID, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        told(asking, **members)
    return str(caught.value)


@pytest.mark.parametrize(
    ("surface", "members"),
    [
        ("gemini", {"contents": []}),
        ("openai_responses", {"input": "hi"}),
        ("anthropic", {"messages": HI, "system": "x"}),
        ("anthropic", {"messages": HI, "tools": [{"name": "ls", "input_schema": {}}]}),
        ("anthropic", {"messages": HI, "tools": [{"type": "bash_20250124", "name": "bash"}]}),
        ("anthropic", {"messages": HI, "tool_choice": {"type": "any"}}),
        ("anthropic", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
        ("openai_chat", {"messages": HI, "max_completion_tokens": 5}),
        ("openai_chat", {"messages": HI, "stop": None}),
        ("openai_chat", {"messages": HI, "tools": [{"type": "function", "function": {"name": "ls"}}]}),
        ("openai_chat", {"messages": HI, "tool_choice": "auto"}),
        ("openai_chat", {"messages": [{"role": "tool", "content": "a"}]}),
        ("openai_chat", {"messages": [{"role": "assistant", "tool_calls": []}]}),
        ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        # Nothing but the model is only one's.
        ("anthropic", {"messages": HI, "model": "claude-opus-4-8", "max_tokens": 5}),
        ("openai_chat", {"messages": HI, "model": "gpt-5.5", "max_tokens": 5}),
        # What an API has by itself counts for more than whose the model is.
        ("openai_chat", {"messages": HI, "model": "claude-opus-4-8", "n": 1}),
    ],
)
def test_a_body_is_known_by_what_only_one_api_has(surface: str, members: dict[str, Any]) -> None:
    assert told(**members) == surface


@pytest.mark.parametrize("model", ["unheard-of", "openrouter/claude-opus-4-8", "gemini-3.8-flash", 5, None])
def test_a_body_that_may_be_of_two_apis_is_asked_about(model: Any) -> None:
    said = refused(messages=HI, model=model, max_tokens=5)
    assert "?surface=anthropic or ?surface=openai_chat" in said
    assert "--surface anthropic" in refused(Asking(surface_option="--surface "), messages=HI, model=model)
    assert told(Asking("openai_chat"), messages=HI, model=model) == "openai_chat"


def test_a_body_that_contradicts_itself_is_asked_about() -> None:
    said = refused(messages=HI, system="x", stop=["y"], seed=1)
    assert "it has system of anthropic, and stop, seed of openai_chat" in said
    assert refused(contents=[], input="x")


def test_a_body_of_no_api_and_a_surface_that_is_none() -> None:
    assert "none of anthropic, gemini, openai_chat, openai_responses" in refused(prompt="x")
    assert "'claude' is not one of anthropic, gemini" in refused(Asking("claude"), messages=HI)
    assert told(Asking(" Gemini "), anything=1) == "gemini"


def test_the_model_may_be_said_beside_the_body() -> None:
    def asked(name: str, asking: Asking, **members: Any) -> tuple[str, bytes]:
        request = request_of(surfaces()[name], body_of(**members), http.Headers(), asking)
        return request.pretty_url, request.content or b""

    gemini = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:generateContent"
    assert asked("gemini", Asking(model="gemini-3.8-flash"), contents=[]) == (gemini, b'{"contents": []}')
    assert asked("gemini", Asking(), model="models/gemini-3.8-flash")[0] == gemini
    assert json.loads(asked("anthropic", Asking(model="m"), model="n")[1]) == {"model": "m"}
    assert asked("openai_chat", Asking(), model="n")[1] == b'{"model": "n"}'
    with pytest.raises(ClientError, match=r"does not say for which model it is: add \?model=NAME"):
        asked("gemini", Asking(), contents=[], model=3)


def test_the_headers_go_along_but_for_those_of_the_connection() -> None:
    given = http.Headers([(b"Host", b"router.local"), (b"X-Api-Key", b"k"), (b"Content-Encoding", b"gzip")])
    request = request_of(surfaces()["anthropic"], body_of(model="m"), given, Asking())
    assert request.pretty_host == "api.anthropic.com"
    assert request.headers["x-api-key"] == "k"
    assert "content-encoding" not in request.headers
    assert request.headers["content-length"] == str(len(request.content or b""))


@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_any_body_has_one_surface_or_a_clear_question(members: dict[str, Any]) -> None:
    try:
        surface = surface_of(body_of(**members), Asking(), MODELS)
    except ClientError as error:
        assert "?surface=" in str(error)
    except BodyError:
        pass
    else:
        assert surface.outline(body_of(**members)) is not None


@pytest.mark.parametrize("value", ["TRUE", "1", "", "yes", "true,false", "\u0000" * 80])
def test_the_header_is_one_of_two_words(value: str) -> None:
    assert dry_run.wanted({dry_run.HEADER: " true "}) is True
    assert dry_run.wanted({dry_run.HEADER: "false"}) is dry_run.wanted({}) is False
    with pytest.raises(ClientError, match="exactly true or false"):
        dry_run.wanted({dry_run.HEADER: value})
