"""One script for all providers: what a test says once, each of them says in its own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from provider.answers import Answer, Call, Fault, Page, Text, overloaded, rate_limited
from provider.proxy import trust
from provider.record import Record
from provider.standin import StandIn

HI = [{"role": "user", "content": "hi"}]
ANTHROPIC = {"x-api-key": "sk-ant-api03-one", "anthropic-version": "2023-06-01"}
OPENAI = {"authorization": "Bearer sk-one"}
GOOGLE = {"x-goog-api-key": "AIza-one"}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
Ask = tuple[str, dict[str, str], dict[str, Any]]
ASKS: dict[str, Ask] = {
    "anthropic": (
        "https://api.anthropic.com/v1/messages",
        ANTHROPIC,
        {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": HI, "stream": True},
    ),
    "openai_chat": (
        "https://api.openai.com/v1/chat/completions",
        OPENAI,
        {"model": "gpt-4.1", "messages": HI, "stream": True},
    ),
    "openai_responses": (
        "https://api.openai.com/v1/responses",
        OPENAI,
        {"model": "gpt-4.1", "input": HI, "stream": True},
    ),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        GOOGLE,
        CONTENTS,
    ),
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("families")) as made, made.reachable():
        yield made
    made.check()


@pytest.fixture(params=ASKS)
def ask(request: pytest.FixtureRequest, provider: StandIn) -> Ask:
    provider.reset()
    return ASKS[request.param]


@pytest.fixture(scope="module")
def http(provider: StandIn) -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=trust(provider.ca_file), http2=True) as made:
        yield made


def send(http: httpx2.Client, ask: Ask) -> httpx2.Response:
    url, headers, body = ask
    return http.post(url, headers=headers, json=body)


def test_texts_and_calls(provider: StandIn, http: httpx2.Client, ask: Ask) -> None:
    provider.script(Answer((Text("Good morning"), Call("ls", {"path": "/"}), Call("ls", {"path": "/tmp"}))))
    answer = send(http, ask)
    assert answer.status_code == 200, answer.text
    assert "Good morni" in answer.text and '"ls"' in answer.text
    message = provider.last.message
    assert message.id in answer.text and message.model in answer.text
    assert message.output_tokens > 0 and message.stop_reason and message.blocks
    assert provider.last.counted.total > 0 and provider.last.account == "one"


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [(rate_limited(4), {429}), (overloaded(), {503, 529}), (Fault(500, "Oh"), {500})],
)
def test_faults(
    provider: StandIn, http: httpx2.Client, ask: Ask, fault: Fault, statuses: set[int]
) -> None:
    provider.script(fault)
    answer = send(http, ask)
    assert answer.status_code in statuses
    assert json.loads(answer.text.strip().removeprefix("data: "))["error"]["message"]
    assert provider.last.status == answer.status_code and provider.last.error == fault.message
    if answer.status_code == 429 and "google" not in ask[0]:
        assert answer.headers["retry-after"] == "4"


def test_streams_end_too_early(provider: StandIn, http: httpx2.Client, ask: Ask) -> None:
    provider.script(Answer(overload_after=2), Answer(cut_after=1))
    assert "error" in send(http, ask).text
    with pytest.raises(httpx2.RemoteProtocolError):
        send(http, ask)


def test_pages_and_responders(provider: StandIn, http: httpx2.Client, ask: Ask) -> None:
    provider.script(Page(b"<html>"))
    assert send(http, ask).content == b"<html>"
    seen: list[str] = []

    def respond(record: Record) -> Answer:
        seen.append(record.family)
        return Answer((Text("from a function"),))

    provider.responder = respond
    assert "from a functi" in send(http, ask).text and seen == [provider.last.family]


def test_a_page_of_one_host_is_not_anothers(provider: StandIn, http: httpx2.Client) -> None:
    provider.reset()
    provider.pages["GET chatgpt.com/backend-api/codex/models"] = Page(b'{"models":[]}')
    found = http.get("https://chatgpt.com/backend-api/codex/models", headers=OPENAI)
    assert found.content == b'{"models":[]}' and provider.records[-1].status == 200
    assert http.get("https://api.openai.com/backend-api/codex/models", headers=OPENAI).status_code == 404
    assert http.get("https://plain.example/").content == b"plain host\n"
