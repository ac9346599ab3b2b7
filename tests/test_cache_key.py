"""Any difference between two requests, but for how their newest words are spelled, is another request."""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman import cache_key
from pointsman.action import Action
from pointsman.embedding import EMBED_DIM, Vector
from pointsman.engine import Engine
from pointsman.errors import BodyError
from pointsman.options import build
from pointsman.semantic_cache import Kept
from pointsman.surface import surfaces
from pointsman.values import Adaptation, CredentialKind, TurnKind
from pointsman.wire.json_spans import Body
from samples import DECISION, FACTS

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # mitmproxy 12 uses old names of pyparsing 3.3
    from mitmproxy import http
    from mitmproxy.io import FlowReader

FLOWS = Path(__file__).parent / "flows"
QUESTION = "How do I get to the night train?"
Json = dict[str, Any]

_SCHEMA: Json = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
_HEADERS = {"user-agent": "tests/1", "accept": "application/json", "content-type": "application/json"}
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# One request of each surface with as much in it as an answer may be kept for: (host, path, headers, body).
REQUESTS: dict[str, tuple[str, str, Json, Json]] = {
    "anthropic": (
        "api.anthropic.com",
        "/v1/messages?beta=true",
        {"x-api-key": "sk-ant-api03-one", "anthropic-version": "2023-06-01", "anthropic-beta": "context-1m"},
        {
            "model": "claude-opus-4-8",
            "max_tokens": 500,
            "system": [{"type": "text", "text": "You sell tickets.", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "timetable", "description": "Looks.", "input_schema": _SCHEMA}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "thinking": {"type": "disabled"},
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u1"},
            "temperature": 0,
            "messages": [
                {"role": "user", "content": "Good evening."},
                {"role": "assistant", "content": [{"type": "text", "text": "Where to?"}]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": _PICTURE},
                        },
                        {"type": "text", "text": QUESTION},
                    ],
                },
            ],
        },
    ),
    "openai_chat": (
        "api.openai.com",
        "/v1/chat/completions",
        {"authorization": "Bearer sk-proj-one", "openai-organization": "org-1", "openai-project": "proj-1"},
        {
            "model": "gpt-5.4",
            "messages": [
                {"role": "developer", "content": "You sell tickets."},
                {"role": "user", "content": "Good evening."},
                {"role": "assistant", "content": "Where to?"},
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PICTURE}"}},
                        {"type": "text", "text": QUESTION},
                    ],
                },
            ],
            "tools": [{"type": "function", "function": {"name": "timetable", "parameters": _SCHEMA}}],
            "reasoning_effort": "low",
            "max_completion_tokens": 500,
            "seed": 7,
            "stream": True,
            "stream_options": {"include_usage": True},
            "user": "u1",
            "logit_bias": {"50256": -100},
        },
    ),
    "openai_responses": (
        "api.openai.com",
        "/v1/responses",
        {"authorization": "Bearer sk-proj-one", "openai-beta": "x=1"},
        {
            "model": "gpt-5.4",
            "instructions": "You sell tickets.",
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "input": [
                {"role": "user", "content": "Good evening."},
                {"role": "assistant", "content": [{"type": "output_text", "text": "Where to?"}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": f"data:image/png;base64,{_PICTURE}"},
                        {"type": "input_text", "text": QUESTION},
                    ],
                },
            ],
            "tools": [{"type": "function", "name": "timetable", "parameters": _SCHEMA, "strict": True}],
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "low"},
            "max_output_tokens": 500,
            "metadata": {"k": "v"},
            "prompt_cache_key": "k1",
        },
    ),
    "gemini": (
        "generativelanguage.googleapis.com",
        "/v1beta/models/gemini-3.1-pro-preview:streamGenerateContent?alt=sse",
        {"x-goog-api-key": "AIza-one-two-three", "x-goog-user-project": "p1"},
        {
            "systemInstruction": {"parts": [{"text": "You sell tickets."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Good evening."}]},
                {"role": "model", "parts": [{"text": "Where to?"}]},
                {
                    "role": "user",
                    "parts": [
                        {"inlineData": {"mimeType": "image/png", "data": _PICTURE}},
                        {"text": QUESTION},
                    ],
                },
            ],
            "tools": [{"functionDeclarations": [{"name": "timetable", "parameters": _SCHEMA}]}],
            "generationConfig": {"temperature": 0, "seed": 3, "thinkingConfig": {"thinkingLevel": "low"}},
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "labels": {"a": "b"},
        },
    ),
}
every = pytest.mark.parametrize("surface", list(REQUESTS))

FEW = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("key")
    (folder / "router.yaml").touch()
    given = {"router_db": str(folder / "db.sqlite"), "router_config": str(folder / "router.yaml")}
    made = Engine.open(build(SimpleNamespace(**given, router_cache="on")))
    yield made
    made.close()


def request(surface: str, body: Json | bytes | None = None, **changes: Any) -> http.Request:
    host, path, headers, own = REQUESTS[surface]
    data = body if isinstance(body, bytes) else json.dumps(own if body is None else body).encode()
    headers = {**_HEADERS, **headers, **changes.get("headers", {})}
    fields = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    url = f"https://{changes.get('host', host)}{changes.get('path', path)}"
    return http.Request.make("POST", url, data, http.Headers(fields))


def decided(engine: Engine, surface: str, asked: http.Request) -> Action:
    """The action after it was decided; the same vector for every text, so that nothing hides behind it."""
    vector = np.zeros(EMBED_DIM, dtype=np.float32)
    vector[0] = 1.0

    async def embed(text: str) -> Vector:
        return vector

    action = Action(surfaces()[surface], "generate", engine, asked, "client", time.monotonic())
    try:
        action.decide(embed).send(None)  # it waits for nothing, so it needs no event loop
    except StopIteration:
        return action
    except Exception:  # what would be refused, or passed on as it is, finds nothing either
        assert action.hit is None
    return action


def keep(engine: Engine, surface: str, asked: http.Request) -> None:
    assert engine.cache is not None
    engine.cache.clear()
    place = decided(engine, surface, asked).place
    assert place is not None
    assert engine.cache.keep(place, Kept(b"{}", "application/json", "d1"))
    assert decided(engine, surface, asked).hit is not None


# --- one thing at a time ----------------------------------------------------------------------


def variants(value: Any) -> Iterator[Any]:
    """The value with one thing in it changed, at every place in turn."""
    if isinstance(value, dict):
        for key in value:
            yield {name: member for name, member in value.items() if name != key}
            yield {f"{name}_" if name == key else name: member for name, member in value.items()}
            for other in variants(value[key]):
                yield {name: other if name == key else member for name, member in value.items()}
        yield {**value, "something_new": 1}
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield [*value[: at + 1], item, *value[at + 1 :]]
            for other in variants(item):
                yield [*value[:at], other, *value[at + 1 :]]
        if value != value[::-1]:
            yield value[::-1]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, str(value))
    elif isinstance(value, str):
        yield from (f"{value} not", value[1:] or None)
    else:
        yield 0


@pytest.mark.slow
@every
def test_any_difference_in_the_body_is_a_miss(engine: Engine, surface: str) -> None:
    _, _, _, body = REQUESTS[surface]
    keep(engine, surface, request(surface))
    tried = 0
    for other in variants(body):
        assert other != body
        assert decided(engine, surface, request(surface, other)).hit is None, json.dumps(other)
        tried += 1
    assert tried > 100
    assert decided(engine, surface, request(surface, copy.deepcopy(body))).hit is not None


@every
def test_without_tools_too(engine: Engine, surface: str) -> None:
    """Where the words need not be the same to the letter; all else has to be."""
    body = _without_tools(surface)
    keep(engine, surface, request(surface, body))
    spelled = json.dumps(body).replace(QUESTION, "how do I get to the night train").encode()
    assert decided(engine, surface, request(surface, spelled)).hit is not None
    for other in variants(body):
        assert decided(engine, surface, request(surface, other)).hit is None, json.dumps(other)


def _without_tools(surface: str) -> Json:
    _, _, _, body = REQUESTS[surface]
    return {name: value for name, value in body.items() if name not in ("tools", "tool_choice")}


@every
def test_any_difference_in_headers_host_or_path_is_a_miss(engine: Engine, surface: str) -> None:
    host, path, headers, _ = REQUESTS[surface]
    keep(engine, surface, request(surface))
    for name, value in {**_HEADERS, **headers}.items():
        for other in (f"{value}x", None):
            asked = request(surface, headers={name: other})
            assert decided(engine, surface, asked).hit is None, name
    assert decided(engine, surface, request(surface, headers={"x-new-header": "1"})).hit is None
    assert decided(engine, surface, request(surface, headers={"anthropic-beta": "other"})).hit is None
    assert decided(engine, surface, request(surface, host=f"eu.{host}")).hit is None
    elsewhere = request(surface)  # by the name in its headers it is for the same host
    elsewhere.host, elsewhere.headers["host"] = f"eu.{host}", host
    assert elsewhere.pretty_host == host
    assert decided(engine, surface, elsewhere).hit is None
    longer = f"{path}{'&' if '?' in path else '?'}x=1"
    assert decided(engine, surface, request(surface, path=longer)).hit is None


@every
def test_another_served_model_and_other_knobs_are_a_miss(engine: Engine, surface: str) -> None:
    body = _without_tools(surface)
    keep(engine, surface, request(surface, body))
    models = {"anthropic": "claude-haiku-4-5", "gemini": "gemini-3-flash-preview"}
    forced = {"x-router-model": models.get(surface, "gpt-5.4-mini")}
    assert decided(engine, surface, request(surface, body, headers=forced)).hit is None
    scored = decided(engine, surface, request(surface, body))
    knobs = decided(engine, surface, request(surface, body, headers={"x-router-alpha": "0.123"}))
    if scored.place and knobs.place and scored.place.bucket[3]:
        assert knobs.place.bucket != scored.place.bucket
        assert knobs.hit is None
    said = decided(engine, surface, request(surface, body, headers={"x-router-cache": "off"}))
    assert said.hit is None and said.place is None


@every
def test_with_tools_the_words_count_to_the_letter(engine: Engine, surface: str) -> None:
    spelled = json.dumps(REQUESTS[surface][3]).replace(QUESTION, "how do I get to the night train").encode()
    keep(engine, surface, request(surface))
    assert decided(engine, surface, request(surface, spelled)).hit is None


@pytest.mark.parametrize(
    "other",
    [
        {"requested_model": "claude-opus-4-7"},
        {"served_model": "claude-haiku-4-5"},
        {"adaptations": (Adaptation("stream_options.include_usage", "add", "", "true", "usage"),)},
    ],
    ids=lambda other: str(*other),
)
def test_models_and_what_was_adapted_to_them_count(other: Json) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": FACTS.user_texts[-1]}]}).encode()
    made = cache_key.rest(FACTS, DECISION, {}, (), body)
    assert made == cache_key.rest(FACTS, DECISION, {}, (), body)
    assert made != cache_key.rest(FACTS, replace(DECISION, **other), {}, (), body)


@every
def test_what_says_nothing_about_the_answer_makes_no_difference(engine: Engine, surface: str) -> None:
    keep(engine, surface, request(surface))
    for headers in (
        {"x-stainless-retry-count": "1"},
        {"accept-encoding": "br"},
        {"x-router-marker": "off"},
        {"traceparent": "00-1-2-3"},
    ):
        assert decided(engine, surface, request(surface, headers=headers)).hit is not None


@every
def test_an_echoed_marker_in_the_history_makes_no_difference(engine: Engine, surface: str) -> None:
    """It is taken out before anything is compared."""
    from pointsman.wire import marker

    keep(engine, surface, request(surface))
    shown = json.dumps(marker.make("another-model", "best for this kind of prompt"))[1:-1]
    echoed = json.dumps(REQUESTS[surface][3]).replace("Where to?", f"{shown}Where to?").encode()
    assert decided(engine, surface, request(surface, echoed)).hit is not None


# --- words ------------------------------------------------------------------------------------


@every
def test_a_text_that_stands_twice(engine: Engine, surface: str) -> None:
    """Whichever of the two is cut out, a difference in the other is one."""
    plain = json.dumps(_without_tools(surface))
    both = plain.replace("You sell tickets.", QUESTION).encode()
    keep(engine, surface, request(surface, both))
    for one in (plain.replace("You sell tickets.", "how do I get to the night train"), plain):
        assert decided(engine, surface, request(surface, one.encode())).hit is None
    for times in (1, 2):
        other = both.replace(QUESTION.encode(), b"how do I get to the night train", times)
        hit = decided(engine, surface, request(surface, other)).hit
        assert hit is None or json.loads(other) == json.loads(both)


def test_words_of_a_program_alone_are_none(engine: Engine) -> None:
    words = [{"role": "user", "content": "<system-reminder>Mind the gap.</system-reminder>"}]
    body = json.dumps({"model": "claude-opus-4-8", "max_tokens": 9, "messages": words}).encode()
    headers = {"x-router-model": "claude-haiku-4-5"}
    assert decided(engine, "anthropic", request("anthropic", body, headers=headers)).place is None


@pytest.mark.parametrize("escaped", [True, False])
def test_words_in_either_spelling_of_json(engine: Engine, escaped: bool) -> None:
    texts = ("¿Cómo llego al tren?", "cómo llego al tren")
    bodies = []
    for text in texts:
        body = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
        bodies.append(json.dumps(body, ensure_ascii=escaped).encode())
    from pointsman.wording import canonical

    same = canonical(texts[0]) == canonical(texts[1])
    keep(engine, "anthropic", request("anthropic", bodies[0]))
    assert (decided(engine, "anthropic", request("anthropic", bodies[1])).hit is not None) == same


@FEW
@given(st.text(max_size=12), st.text(max_size=12))
def test_words_with_another_meaning_make_another_request(one: str, other: str) -> None:
    from pointsman.wording import canonical

    bodies = [json.dumps({"messages": [{"role": "user", "content": text}]}).encode() for text in (one, other)]
    facts = [replace(FACTS, user_texts=(text,)) for text in (one, other)]
    made = [cache_key.rest(fact, DECISION, {}, (), body) for fact, body in zip(facts, bodies, strict=True)]
    assert (made[0] == made[1]) == (canonical(one) == canonical(other))


# --- what is left out ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "decision", "body", "why"),
    [
        ({}, {"strategy": "passthrough"}, b"", "it passes through"),
        ({}, {"credential_kind": CredentialKind.SUBSCRIPTION}, b"", "no API key"),
        ({}, {"credential_kind": CredentialKind.NONE}, b"", "no API key"),
        ({"turn": TurnKind.TITLE}, {}, b"", "background call"),
        ({"endpoint": "count_tokens"}, {}, b"", "background call"),
        ({"tool_loop": True}, {}, b"", "mid tool loop"),
        ({"forced_tool": True}, {}, b"", "a tool is demanded"),
        ({"tool_types": frozenset({"web_search_20250305"})}, {}, b"", "tools of the provider"),
        ({"continues": "resp_1"}, {}, b"", "the provider keeps a part of it"),
        ({"bound": "cachedContent is bound to its model"}, {}, b"", "the provider keeps a part of it"),
        ({"choices": 2}, {}, b"", "several answers asked for"),
        ({"user_texts": ()}, {}, b"", "no words of the user"),
        ({"images": 1}, {}, b'{"url":"https://example.com/a.png"}', "something at an address"),
        ({"documents": 1}, {}, b'{"fileUri": "gs:\\/\\/bucket/a.pdf"}', "something at an address"),
        ({"images": 1}, {}, b'{"data":"aGVsbG8="}', ""),
        ({}, {}, b'{"text":"https://example.com"}', ""),
        ({}, {}, b"", ""),
    ],
)
def test_what_is_left_out(facts: Json, decision: Json, body: bytes, why: str) -> None:
    assert cache_key.left_out(replace(FACTS, **facts), replace(DECISION, **decision), body) == why


# --- recorded traffic -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["anthropic-python", "anthropic-js", "openai-python", "openai-js", "genai-python", "genai-js"]
)
def test_any_difference_in_a_recorded_request_is_a_miss(engine: Engine, name: str) -> None:
    kept = 0
    with (FLOWS / f"{name}.mitm").open("rb") as file:
        flows = [flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]
    for flow in flows:
        asked = flow.request
        found = engine.recognise(asked.pretty_host, asked.port, asked.method, asked.path)
        if found is None or found[1] != "generate":
            continue
        surface = found[0].SURFACE
        asked.headers.pop("x-router-cache", None)
        try:
            without_markers = Body.parse(asked.content or b"")
        except BodyError:
            continue
        found[0].strip(without_markers)
        body, asked.content = json.loads(without_markers.render()), without_markers.render()
        if decided(engine, surface, asked).place is None:
            continue
        keep(engine, surface, asked)
        kept += 1
        for other in variants(body):
            changed = asked.copy()
            changed.content = json.dumps(other).encode()
            assert decided(engine, surface, changed).hit is None, json.dumps(other)
        for header in asked.headers:
            if not cache_key._is_aside(header.lower()):
                changed = asked.copy()
                changed.headers[header] += "x"
                assert decided(engine, surface, changed).hit is None, header
    assert kept
