"""Who asks stays between a client and its provider, and a key between Pointsman and whose it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from e2e.support import Rows, settled
from provider.answers import Fault, Page
from provider.proxy import InProcessProxy
from provider.standin import StandIn

CONFIG = """
models:
  claude-haiku-4-5:
    bindings: [openrouter_anthropic: anthropic/claude-haiku-4.5]
  gpt-4.1-mini:
    bindings: [groq: openai/gpt-oss-120b]
"""
ANTHROPIC: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Which platform?"}],
    "metadata": {"user_id": "user_7f3a_account_9b1c_session_5d2e"},
}
CHAT: dict[str, Any] = {
    "model": "gpt-5.5",
    "messages": [{"role": "user", "content": "Which platform?"}],
    "user": "person-7f3a",
    "safety_identifier": "hash-9b1c",
    "metadata": {"customer": "5d2e"},
}
PERSONAL = ("7f3a", "9b1c", "5d2e")


@pytest.fixture
def bound(
    proxy: InProcessProxy, provider: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The keys, by provider, with models that are had elsewhere only."""
    keys = {name: provider.key(name, "planted0123456789") for name in ("openrouter", "groq")}
    monkeypatch.setenv("OPENROUTER_API_KEY", keys["openrouter"])
    monkeypatch.setenv("GROQ_API_KEY", keys["groq"])
    config = tmp_path / "router.yaml"
    config.write_text(CONFIG)
    with proxy.setting(router_config=str(config)):
        yield keys


@pytest.mark.parametrize(
    ("url", "body", "model"),
    [
        ("https://api.anthropic.com/v1/messages?beta=true", ANTHROPIC, "claude-haiku-4-5"),
        ("https://api.openai.com/v1/chat/completions", CHAT, "gpt-4.1-mini"),
    ],
    ids=["anthropic", "openai_chat"],
)
def test_who_asks_is_said_to_nobody_else(
    web: httpx2.Client, provider: StandIn, bound: dict[str, str], url: str, body: dict[str, Any], model: str
) -> None:
    personal = {
        "x-router-model": model,
        "cookie": "session=7f3a",
        "openai-organization": "org-7f3a",
        "x-stainless-lang": "7f3a",
        "x-claude-code-session-id": "5d2e",
        "user-agent": "client of 7f3a",
    }
    assert web.post(url, json=body, headers=personal).status_code == 200
    request = provider.last.request
    assert provider.last.family in bound
    assert json.loads(request.body)["messages"]
    told = request.body.decode() + request.target + str(request.headers)
    assert not [word for word in PERSONAL if word in told]


def test_a_key_of_any_form_that_a_provider_repeats_is_told_to_nobody(
    web: httpx2.Client, proxy: InProcessProxy, provider: StandIn, bound: dict[str, str], rows: Rows
) -> None:
    key = bound["groq"]
    assert not key.startswith("sk-")  # nor has it any other form that is known
    event = {"error": {"message": f"no such key: {key}", "type": "invalid_request_error"}}
    broken = Page(f"data: {json.dumps(event)}\n\n".encode(), headers={"content-type": "text/event-stream"})
    for step in (Fault(401, f"no such key: {key}"), Fault(400, f"no such key: {key}"), broken):
        provider.script_at("groq", step)
        answer = web.post(
            "https://api.openai.com/v1/chat/completions",
            json={**CHAT, "stream": True},
            headers={"x-router-model": "gpt-4.1-mini"},
        )
        assert "no such key: [secret]" in answer.text and key not in answer.text
    settled(proxy)
    found = rows.wait(lambda all_of_them: len(all_of_them) == 3 and all(row["error"] for row in all_of_them))
    assert not [row for row in found if key in json.dumps(row, default=repr)]
    assert not [line for line in proxy.warnings if key in line]
