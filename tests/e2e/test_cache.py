"""Answers given again, through real mitmproxy, as the real SDKs of every surface read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from e2e.sdks import genai_client, markers_in, openai_client
from e2e.support import Rows, Sdk
from pointsman.answer import Answer as AnswerToOne
from pointsman.semantic_cache import SemanticCache
from provider.answers import Answer, Call, Fault, Text
from provider.proxy import InProcessProxy, SubprocessProxy, trust
from provider.standin import StandIn

MODELS = {
    "anthropic": ("claude-opus-4-8", "claude-sonnet-5"),
    "openai_chat": ("gpt-5.4", "gpt-5.4-mini"),
    "openai_responses": ("gpt-5.4", "gpt-5.4-mini"),
    "gemini": ("gemini-3.1-pro-preview", "gemini-3-flash-preview"),
}
QUESTION = "How do I get to the night train?"
ANSWER = Answer((Text("Platform nine, from the far end of the hall."),), think=None)
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.1-pro-preview"
surfaces = pytest.mark.parametrize("surface", list(MODELS))
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])

Json = dict[str, Any]
Asked = Callable[..., tuple[Any, str]]


@pytest.fixture
def proxy(proxy: InProcessProxy) -> Iterator[InProcessProxy]:
    """The shared proxy with the cache on, and empty."""
    switch(proxy, "on")
    yield proxy
    switch(proxy, "off")


def switch(proxy: InProcessProxy, word: str) -> None:
    assert proxy.master is not None
    options = proxy.master.options
    proxy.call(lambda: options.update(router_cache=word))


@pytest.fixture
def ask(proxy: InProcessProxy, connect: Sdk, account: str) -> Iterator[Asked]:
    """`ask(surface, text, streamed, headers, …)`: what the SDK made of the answer, and `x-router-cache`."""
    clients = {
        "anthropic": connect(proxy),
        "openai": openai_client(proxy, f"sk-proj-{account}"),
        "gemini": genai_client(proxy, f"AIza-{account}"),
    }

    def one(
        surface: str, text: str = QUESTION, streamed: bool = False, headers: Json | None = None, **more: Any
    ) -> tuple[Any, str]:
        asked, served = MODELS[surface]
        headers = {"x-router-model": served, **(headers or {})}
        if surface == "gemini":
            return _ask_gemini(clients[surface], asked, text, streamed, headers, more)
        words = [{"role": "user", "content": text}]
        if surface == "anthropic":
            given = {"messages": words, "max_tokens": 500}
            resource: Any = clients[surface].messages
        elif surface == "openai_chat":
            given = {"messages": words}
            resource = clients["openai"].chat.completions
        else:
            given = {"input": text, "store": False}
            resource = clients["openai"].responses
        given = {"model": asked, **given, **more}
        raw = resource.with_raw_response.create(**given, stream=streamed, extra_headers=headers)
        said = raw.parse()
        said = [item.to_dict() for item in said] if streamed else said.to_dict()
        return said, raw.headers["x-router-cache"]

    yield one
    clients["openai"].close()
    clients["gemini"].close()


def _ask_gemini(
    client: Any, asked: str, text: str, streamed: bool, headers: Json, more: Json
) -> tuple[Any, str]:
    from google.genai import types

    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers), **more)
    given = {"model": asked, "contents": text, "config": config}
    models = client.models
    answers = [models.generate_content(**given)] if not streamed else []
    answers = answers or list(models.generate_content_stream(**given))
    said = [
        answer.model_dump(mode="json", exclude_none=True, exclude={"sdk_http_response"}) for answer in answers
    ]
    head = answers[0].sdk_http_response.headers
    return said if streamed else said[0], head["x-router-cache"]


def without_decision(said: Any) -> Any:
    """The answer without the id of its decision: each has its own."""

    def left(found: Json) -> Json:
        return {key: value for key, value in found.items() if key != "decision"}

    return json.loads(json.dumps(said), object_hook=left)


# --- hits -----------------------------------------------------------------------------------


@surfaces
@both_ways
def test_the_same_question_is_answered_again_without_the_provider(
    ask: Asked, provider: StandIn, rows: Rows, surface: str, streamed: bool
) -> None:
    provider.script(ANSWER, ANSWER)
    first, missed = ask(surface, streamed=streamed)
    # Gemini's answers are signed for the very words that they answer.
    words = QUESTION if surface == "gemini" else "how do I get to the night train"
    again, hit_it = ask(surface, words, streamed=streamed)
    found = rows.all()  # at once: what a client has seen is on disk
    assert (missed, hit_it) == ("miss", "hit"), [row["cache_detail"] for row in found]
    assert len(provider.messages) == 1
    assert without_decision(again) == without_decision(first)
    assert set(markers_in(again)) == {MODELS[surface][1]}
    miss, hit = found
    assert (miss["cache"], hit["cache"], hit["status"], hit["complete"]) == ("miss", "hit", 200, 1)
    assert hit["cache_detail"].startswith(f"the answer to {miss['id']}, ")
    assert hit["id"] != miss["id"]
    if surface != "gemini":  # whose SDK drops what it does not know
        assert hit["id"] in json.dumps(again) and miss["id"] not in json.dumps(again)
    assert hit["served_model"] == MODELS[surface][1]
    assert (hit["input_tokens"], hit["output_tokens"], hit["cost_usd"]) == (0, 0, 0.0)
    assert hit["requested_cost_usd"] == pytest.approx(miss["requested_cost_usd"])
    assert miss["cost_usd"] > 0


def test_a_stream_of_geminis_that_is_an_array_is_one_again(
    proxy: InProcessProxy, provider: StandIn, account: str
) -> None:
    provider.script(ANSWER, ANSWER)
    body = {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}
    headers = {"x-goog-api-key": f"AIza-{account}", "x-router-model": "gemini-3-flash-preview"}
    with httpx2.Client(proxy=proxy.url, verify=trust(proxy.ca_file), headers=headers, timeout=10) as client:
        answers = [client.post(f"{GEMINI}:streamGenerateContent", json=body) for _ in range(2)]
        assert [answer.headers["x-router-cache"] for answer in answers] == ["miss", "hit"]
        assert without_decision(answers[0].json()) == without_decision(answers[1].json())
        assert isinstance(answers[0].json(), list)
        assert answers[1].headers["content-type"] == answers[0].headers["content-type"]
        # Server-sent events of the same answer are another matter.
        sse = client.post(f"{GEMINI}:streamGenerateContent?alt=sse", json=body)
        assert sse.headers["x-router-cache"] == "miss"
    assert len(provider.messages) == 2


def test_a_hit_over_http2_and_without_a_marker(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, rows: Rows
) -> None:
    """The marker is this request's own affair: it is made anew for each."""
    provider.script(ANSWER)
    client = connect(proxy, http2=True)
    said = []
    for marker in ("text", "off"):
        headers = {"x-router-model": "claude-sonnet-5", "x-router-marker": marker}
        words: Any = [{"role": "user", "content": QUESTION}]
        given: Any = {"model": "claude-opus-4-8", "max_tokens": 500, "messages": words}
        with client.messages.stream(**given, extra_headers=headers) as stream:
            said.append(stream.get_final_message().to_dict())
    assert [bool(markers_in(one)) for one in said] == [True, False]
    assert said[0]["content"][1:] == said[1]["content"]
    assert [row["cache"] for row in rows.all()] == ["miss", "hit"]
    assert [one["model"] for one in said] == ["claude-opus-4-8"] * 2


# --- misses ---------------------------------------------------------------------------------


@pytest.mark.slow
@surfaces
def test_a_stream_serves_no_whole_answer_and_no_other_account(
    ask: Asked, connect: Sdk, proxy: InProcessProxy, provider: StandIn, account: str, surface: str
) -> None:
    provider.script(*[ANSWER] * 2)
    assert [ask(surface, streamed=streamed)[1] for streamed in (False, True, False, True)] == [
        "miss", "miss", "hit", "hit",
    ]  # fmt: skip
    if surface == "anthropic":
        provider.script(ANSWER)
        words: Any = [{"role": "user", "content": QUESTION}]
        other = connect(proxy, api_key=f"sk-ant-api03-{account}000")
        raw = other.messages.with_raw_response.create(
            model="claude-opus-4-8", max_tokens=500, messages=words,
            extra_headers={"x-router-model": "claude-sonnet-5"},
        )  # fmt: skip
        assert raw.headers["x-router-cache"] == "miss"


@pytest.mark.slow
@surfaces
@pytest.mark.parametrize(
    "answer",
    [
        Answer((Text("Let me look."), Call("timetable", {"from": "nine"})), think=None),
        Answer((Text("Platform ni"),), think=None, stop_reason="cut"),
        Fault(400, "no"),
    ],
    ids=["call", "cut", "error"],
)
@both_ways
def test_what_is_no_whole_answer_in_words_is_not_kept(
    ask: Asked, provider: StandIn, surface: str, streamed: bool, answer: Answer | Fault
) -> None:
    cut = {"anthropic": "max_tokens", "openai_chat": "length", "gemini": "MAX_TOKENS"}
    more: Json = {}
    if isinstance(answer, Answer) and answer.stop_reason == "cut":
        if surface not in cut:
            pytest.skip("its own way to be cut is in the next test")
        answer = Answer(answer.blocks, think=None, stop_reason=cut[surface])
    elif isinstance(answer, Answer):
        more = {"tools": [TOOLS[surface]]}
    provider.script(answer, ANSWER)
    try:
        ask(surface, streamed=streamed, **more)
    except Exception:
        assert isinstance(answer, Fault)
    assert ask(surface, streamed=streamed, **more)[1] == "miss"
    assert len(provider.messages) == 2


_SCHEMA = {"type": "object", "properties": {"from": {"type": "string"}}}
TOOLS: Json = {
    "anthropic": {"name": "timetable", "input_schema": _SCHEMA},
    "openai_chat": {"type": "function", "function": {"name": "timetable", "parameters": _SCHEMA}},
    "openai_responses": {"type": "function", "name": "timetable", "parameters": _SCHEMA},
    "gemini": {"function_declarations": [{"name": "timetable", "parameters_json_schema": _SCHEMA}]},
}


@pytest.mark.slow
@surfaces
def test_with_tools_the_words_have_to_be_the_same_to_the_letter(
    ask: Asked, provider: StandIn, surface: str
) -> None:
    provider.script(ANSWER, ANSWER)
    texts = (QUESTION, QUESTION.removesuffix("?"), QUESTION)
    assert [ask(surface, text, tools=[TOOLS[surface]])[1] for text in texts] == ["miss", "miss", "hit"]


@pytest.mark.slow
@surfaces
def test_what_varies_or_is_stored_at_the_provider_is_left_alone(
    ask: Asked, provider: StandIn, rows: Rows, surface: str
) -> None:
    provider.script(*[ANSWER] * 4)
    more: Json = {"store": True} if surface.startswith("openai") else {"temperature": 0.7}
    if surface == "anthropic":
        more = {"stop_sequences": ["x"], "extra_body": {"temperature": 0.7}}
    assert [ask(surface, **more)[1] for _ in range(2)] == ["off", "off"]
    assert rows.all()[0]["cache_detail"] in (
        "the provider stores the answer",
        "the provider stores the answer (store is not false)",
        "a temperature above 0",
    )
    assert len(provider.messages) == 2


# --- saying so ------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["no-store", "OFF"])
def test_one_request_can_be_left_out(ask: Asked, provider: StandIn, rows: Rows, word: str) -> None:
    provider.script(*[ANSWER] * 3)
    assert ask("anthropic")[1] == "miss"
    assert ask("anthropic", headers={"x-router-cache": word})[1] == "off"
    assert ask("anthropic")[1] == "hit"
    assert rows.all()[1]["cache_detail"] == "x-router-cache says so"


def test_another_word_is_refused(ask: Asked, provider: StandIn) -> None:
    with pytest.raises(Exception, match="x-router-cache must be off or no-store, not 'on'"):
        ask("anthropic", headers={"x-router-cache": "on"})
    assert not provider.messages


def test_it_can_be_cleared_by_a_command_and_through_the_proxy(
    ask: Asked, proxy: InProcessProxy, provider: StandIn
) -> None:
    provider.script(*[ANSWER] * 3)
    master = proxy.master
    assert master is not None
    assert [ask("anthropic")[1] for _ in range(2)] == ["miss", "hit"]
    proxy.call(lambda: master.commands.call("router.cache.clear"))
    assert [ask("anthropic")[1] for _ in range(2)] == ["miss", "hit"]
    with httpx2.Client(proxy=proxy.url, timeout=10) as client:
        answer = client.post("http://router.local/v1/cache/clear")
        assert answer.json() == {"cache": "on", "forgotten": 1}
    assert ask("anthropic")[1] == "miss"


@pytest.mark.parametrize("what", ["find", "repeated", "keep"])
def test_where_the_cache_fails_the_provider_answers(
    ask: Asked, proxy: InProcessProxy, provider: StandIn, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    provider.script(*[ANSWER] * 2)
    assert ask("anthropic", streamed=True)[1] == "miss"
    monkeypatch.setattr(AnswerToOne if what == "repeated" else SemanticCache, what, broken)
    said, word = ask("anthropic", QUESTION if what != "keep" else "Where is the door?", streamed=True)
    assert word == ("miss" if what == "keep" else "off")
    assert "Platform nine" in json.dumps(said)
    assert len(provider.messages) == 2
    assert any("broken" in line for line in proxy.warnings)


@pytest.mark.slow
def test_what_a_client_has_seen_of_a_hit_outlives_a_kill(provider: StandIn, tmp_path: Path, key: str) -> None:
    provider.script(ANSWER)
    database = tmp_path / "killed.sqlite"
    (tmp_path / "router.yaml").write_text("cache: on\n")
    settings = {"router_db": str(database), "router_config": str(tmp_path / "router.yaml")}
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    words = [{"role": "user", "content": QUESTION}]
    body = {"model": "claude-opus-4-8", "max_tokens": 500, "stream": True, "messages": words}
    with SubprocessProxy(provider, tmp_path, settings=settings) as proxy:
        known = trust(proxy.ca_file)
        with httpx2.Client(proxy=proxy.url, verify=known, headers=headers, timeout=10) as client:
            url = "https://api.anthropic.com/v1/messages"
            client.post(url, json=body)
            with client.stream("POST", url, json=body) as answer:
                proxy.kill()
                assert answer.headers["x-router-cache"] == "hit"
    last = Rows(database, 0).last
    assert (last["cache"], last["id"]) == ("hit", answer.headers["x-router-decision"])
    assert (last["status"], last["complete"], last["cost_usd"]) == (200, 1, 0.0)


def test_switched_off_it_forgets(ask: Asked, proxy: InProcessProxy, provider: StandIn) -> None:
    provider.script(*[ANSWER] * 3)
    assert ask("anthropic")[1] == "miss"
    switch(proxy, "off")
    assert ask("anthropic")[1] == "off"
    switch(proxy, "on")
    assert ask("anthropic")[1] == "miss"
