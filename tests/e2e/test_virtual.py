"""Virtual models and named providers through the whole proxy: every surface, and strict providers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import GPT, HELLO, MESSAGES, REQUESTS, Rows, Sdk, message_of
from provider.answers import Answer, Fault, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn

VARIABLES = {
    "moonshot": "MOONSHOT_API_KEY",
    "minimax": "MINIMAX_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "openai": "OPENAI_API_KEY",
}
ASK: dict[str, Any] = {"max_tokens": 50, "messages": [{"role": "user", "content": HELLO}]}
NINE = Answer((Text("Platform nine."),))

Configured = Callable[..., Any]


@pytest.fixture
def configured(
    proxy: InProcessProxy, provider: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Configured:
    """The proxy with the text of a router.yaml, and the environment's keys of these providers."""
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)

    @contextmanager
    def with_text(text: str, *keys: str, **options: Any) -> Iterator[None]:
        for name in keys:
            monkeypatch.setenv(VARIABLES[name], provider.key(name, "ours"))
        path = tmp_path / "router.yaml"
        path.write_text(text)
        with proxy.setting(router_config=str(path), **options):
            yield

    return with_text


def virtual(surface: str, name: str) -> tuple[str, dict[str, Any]]:
    """The surface's plain request, for a virtual model."""
    url, body, _ = REQUESTS[surface]
    if surface == "gemini":
        return url.replace("gemini-3.8-flash", name), body
    return url, {**body, "model": name}


@pytest.mark.parametrize("surface", REQUESTS)
def test_without_keys_a_virtual_model_is_one_of_the_clients_own_provider(
    web: httpx2.Client, provider: StandIn, rows: Rows, configured: Configured, surface: str
) -> None:
    url, body = virtual(surface, "router-cluster")
    with configured(""):
        answer = web.post(url, json=body)
    assert answer.status_code == 200, answer.text
    row, record = rows.last, provider.last
    assert row["requested_model"] == "router-cluster" == row["route"]
    assert record.model == row["served_model"] != "router-cluster"
    assert record.host == httpx2.URL(url).host
    assert "router-cluster" not in record.request.body.decode()


@pytest.mark.parametrize("surface", REQUESTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_behind_it_may_be_had_elsewhere(
    web: httpx2.Client,
    provider: StandIn,
    rows: Rows,
    configured: Configured,
    surface: str,
    streamed: bool,
) -> None:
    url, body = virtual(surface, "mine")
    if surface == "gemini" and streamed:
        url = url.replace(":generateContent", ":streamGenerateContent") + "?alt=sse"
    elif streamed:
        body = {**body, "stream": True}
    provider.script_at("moonshot", NINE)
    with configured("routers: {mine: {model: moonshot/kimi-k2.6}}", "moonshot"):
        answer = web.post(url, json=body)
    assert answer.status_code == 200, answer.text
    said = "".join(re.findall(r'"(?:text|content|delta)": ?"((?:[^"\\]|\\.)*)"', answer.text))
    assert "Platform nine." in said
    assert [name for name, _ in provider.attempts] == ["moonshot"]
    assert (provider.last.model, provider.last.account) == ("kimi-k2.6", "ours")
    row = rows.last
    assert (row["served_model"], row["upstream_provider"]) == ("kimi-k2.6", "moonshot")


def test_a_task_is_judged_once_and_its_tier_serves_with_its_parameters(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, rows: Rows, configured: Configured
) -> None:
    client = connect(proxy)
    provider.script_at("minimax", Answer((Text("Frontend"),)))
    provider.script_at("moonshot", NINE, NINE)
    with configured("", "minimax", "moonshot", "openai"):
        first = client.messages.create(model="router-classified-3tier", **ASK)
        again = client.messages.create(model="router-classified-3tier", **ASK)
    assert first.model == again.model == "router-classified-3tier"
    assert [name for name, _ in provider.attempts] == ["minimax", "moonshot", "moonshot"]
    assert provider.last.body["temperature"] == 1.0
    one, two = rows.all()
    assert (one["category"], one["tier"], one["reason"]) == (
        "Frontend",
        "kimi-k2.6",
        "fits this kind of task",
    )
    assert one["classifier_cost_usd"] > 0 and two["classifier_cost_usd"] is None


def test_a_refused_model_behind_a_virtual_one_gives_way_to_the_next(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows, configured: Configured
) -> None:
    text = "routers: {mine: {candidates: [claude-haiku-4-5, claude-sonnet-4-6, moonshot/kimi-k2.6]}}"
    absent = Fault(404, "model: claude-haiku-4-5")
    with configured(text):
        provider.script_at("anthropic", absent, NINE)
        said = client.messages.create(model="mine", extra_headers={"x-router-quality-bias": "0"}, **ASK)
        assert said.content[-1].text == "Platform nine."
        assert [record.model for record in provider.messages] == ["claude-haiku-4-5", "claude-sonnet-4-6"]
        assert (rows.last["served_model"], rows.last["reason"]) == (
            "claude-sonnet-4-6",
            "provider refused what was picked",
        )
    with configured("routers: {mine: {model: claude-haiku-4-5}}"), pytest.raises(anthropic.NotFoundError):
        provider.script_at("anthropic", absent)
        client.messages.create(model="mine", **ASK)


def test_a_refused_model_gives_way_to_one_that_is_had_elsewhere(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows, configured: Configured
) -> None:
    text = "routers: {mine: {candidates: [moonshot/kimi-k2.6, claude-haiku-4-5]}}"
    with configured(text, "moonshot"):
        provider.script_at("anthropic", Fault(404, "model: claude-haiku-4-5"))
        provider.script_at("moonshot", NINE)
        said = client.messages.create(model="mine", extra_headers={"x-router-alpha": "1"}, **ASK)
        served = [(record.family, record.model) for record in provider.messages]
        if len(served) == 2:
            assert served == [("anthropic", "claude-haiku-4-5"), ("moonshot", "kimi-k2.6")]
        assert said.content[-1].text == "Platform nine."
        assert rows.last["upstream_provider"] == "moonshot"


CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 32_000,
    "stream": True,
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "system": [{"type": "text", "text": "You mend points.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "Bash", "description": "runs", "input_schema": {"type": "object", "properties": {}}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": HELLO}]},
        {"role": "system", "content": "The user is in a hurry."},
    ],
}


PARAMETERS = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
# What the usual clients of each API say of themselves, streamed and with a tool.
USUAL: dict[str, dict[str, Any]] = {
    "anthropic": CLAUDE_CODE,
    "openai_chat": {
        "model": GPT,
        "stream": True,
        "messages": [{"role": "system", "content": "Be brief."}, *MESSAGES],
        "tools": [{"type": "function", "function": {"name": "go", "parameters": PARAMETERS}}],
        "parallel_tool_calls": True,
        "reasoning_effort": "medium",
        "max_completion_tokens": 3_000,
        "seed": 3,
        "verbosity": "low",
        "user": "someone",
        "store": False,
    },
    "openai_responses": {
        "model": GPT,
        "stream": True,
        "store": False,
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": HELLO}]}],
        "tools": [
            {"type": "function", "name": "go", "parameters": PARAMETERS, "strict": False},
            {"type": "custom", "name": "note", "description": "takes notes"},
        ],
        "parallel_tool_calls": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "one",
        "text": {"verbosity": "low"},
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": HELLO}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "go", "parametersJsonSchema": PARAMETERS}]}],
        "generationConfig": {"temperature": 1, "topK": 64, "thinkingConfig": {"includeThoughts": True}},
    },
}
PRESETS = (
    ("kimi-k2.6", "moonshot", "MOONSHOT_API_KEY"),
    ("minimax-m2.7", "minimax", "MINIMAX_API_KEY"),
    ("glm-5", "zai", "ZAI_API_KEY"),
    ("deepseek-chat", "deepseek", "DEEPSEEK_API_KEY"),
    ("moonshot/kimi-k2.6", "moonshot", "MOONSHOT_API_KEY"),
    ("deepseek/deepseek-chat", "deepseek", "DEEPSEEK_API_KEY"),
    ("openrouter/moonshotai/kimi-k2.6", "openrouter", "OPENROUTER_API_KEY"),
    ("openrouter_anthropic/anthropic/claude-haiku-4.5", "openrouter", "OPENROUTER_API_KEY"),
    ("fireworks/accounts/fireworks/models/kimi-k2p6", "fireworks", "FIREWORKS_API_KEY"),
    ("together/moonshotai/Kimi-K2.6", "together", "TOGETHER_API_KEY"),
    ("groq/moonshotai/kimi-k2.6", "groq", "GROQ_API_KEY"),
    ("grok-4.3", "xai", "XAI_API_KEY"),
    ("mistral-large-latest", "mistral", "MISTRAL_API_KEY"),
    ("openai/gpt-5.5", "openai", "OPENAI_API_KEY"),
    ("anthropic/claude-haiku-4-5", "anthropic", "ANTHROPIC_API_KEY"),
    ("gemini/gemini-3.8-flash", "gemini", "GEMINI_API_KEY"),
)


@pytest.mark.parametrize("surface", USUAL)
def test_what_usual_clients_ask_is_taken_by_each_preset(
    web: httpx2.Client,
    provider: StandIn,
    rows: Rows,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    surface: str,
) -> None:
    """One strict stand-in for each; the address is what tells a stream from a body only with Gemini."""
    url = REQUESTS[surface][0].replace(":generateContent", ":streamGenerateContent?alt=sse")
    for model, family, key in PRESETS:
        monkeypatch.setenv(key, provider.key(family, "ours"))
        with configured(f"routes: [{{strategy: fixed, model: '{model}'}}]"):
            answer = web.post(url, json=USUAL[surface], headers={"anthropic-beta": "effort-2025-11-24"})
        assert answer.status_code == 200, f"{model}: {answer.text}"
        assert provider.attempts[-1] == (family, "200"), model
        assert (rows.last["complete"], rows.last["reason"]) == (1, "fixed by route"), model
        assert provider.last.account == "ours"
    assert len(provider.attempts) == len(PRESETS)


def test_a_server_of_ones_own_takes_no_key_and_no_tls(
    web: httpx2.Client, provider: StandIn, rows: Rows, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_LOCAL_URL", f"{provider.local_url}/v1")
    with configured("routes: [{strategy: fixed, model: local/qwen3-coder}]"):
        answer = web.post("https://api.anthropic.com/v1/messages", json=CLAUDE_CODE)
    assert answer.status_code == 200, answer.text
    assert provider.attempts == [("local", "200")]
    sent = {name.lower() for name, _ in provider.last.request.headers}
    assert not sent & {"authorization", "x-api-key"}
    assert rows.last["served_model"] == "local/qwen3-coder"


@pytest.mark.parametrize("surface", REQUESTS)
def test_where_nothing_behind_it_can_be_had_the_client_is_told_why(
    web: httpx2.Client, provider: StandIn, configured: Configured, surface: str
) -> None:
    url, body = virtual(surface, "mine")
    with configured("routers: {mine: {model: openrouter/moonshotai/kimi-k2.6}}"):
        answer = web.post(url, json=body)
    assert answer.status_code == 400
    assert message_of(answer, surface).startswith("mine: none of its models can serve this request")
    assert "OPENROUTER_API_KEY" in message_of(answer, surface)
    assert provider.records == []


def test_an_environment_key_goes_to_its_own_provider_and_into_no_row(
    client: anthropic.Anthropic,
    provider: StandIn,
    proxy: InProcessProxy,
    rows: Rows,
    configured: Configured,
    key: str,
) -> None:
    """That no key reaches another host than its own is checked by the stand-in, for every test."""
    text = "models: {claude-haiku-4-5: {bindings: [openrouter/anthropic/claude-haiku-4.5, origin]}}"
    route = "\nroutes: [{strategy: fixed, model: claude-haiku-4-5}]"
    with configured(text + route, "openrouter"):
        client.messages.create(model="claude-opus-4-8", **ASK)
        assert provider.last.host == "openrouter.ai"
        provider.script_at("openrouter", Fault(500, "broken"))
        client.messages.create(model="claude-opus-4-8", **ASK)
    assert [record.host for record in provider.messages] == [
        "openrouter.ai",
        "openrouter.ai",
        "api.anthropic.com",
    ]
    database = Path(proxy.settings["router_db"])
    stored = b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))
    ours = provider.key("openrouter", "ours")
    assert ours.encode() not in stored and key.encode() not in stored
    assert not [line for line in proxy.ears.heard if ours in str(line) or key in str(line)]
