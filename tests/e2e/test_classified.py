"""A task is classified once, by a strict provider, and served by its category's tier at another one."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from e2e.sdks import openai_client
from e2e.support import Rows, settled
from provider.answers import Answer, Fault, Pace, Step, Text
from provider.proxy import InProcessProxy, trust
from provider.record import Record
from provider.standin import StandIn

ROUTER = "router-classified-3tier"
TASK = "The button in the header is cut off on small screens."
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
    "kJggg=="
)
ISSUE = "Issue Resolution (other)"


class Tiers:
    """The providers of the tiers. `verdict` is what the classifier says, or does."""

    def __init__(self, provider: StandIn) -> None:
        self.provider = provider
        self.verdict: Step = Answer((Text("Frontend"),), think=None)
        provider.responder = self

    def __call__(self, record: Record) -> Step:
        return self.verdict if asks(record) else Answer((Text("Mended."),))

    @property
    def questions(self) -> list[Record]:
        return [record for record in self.provider.messages if asks(record)]

    @property
    def served(self) -> list[Record]:
        return [record for record in self.provider.messages if not asks(record)]


def asks(record: Record) -> bool:
    return b"You sort tasks" in record.request.body


@pytest.fixture
def keys(provider: StandIn, monkeypatch: pytest.MonkeyPatch, account: str) -> list[str]:
    """Keys of the tiers' providers, in the environment of the proxy."""
    made = {owner: provider.key(owner, f"{account}env") for owner in ("moonshot", "minimax", "openai")}
    for owner, key in made.items():
        monkeypatch.setenv(f"{owner.upper()}_API_KEY", key)
    return list(made.values())


@pytest.fixture
def tiers(
    proxy: InProcessProxy,
    provider: StandIn,
    keys: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Tiers]:
    config = tmp_path / "router.yaml"
    config.write_text("{}")
    caplog.set_level(logging.INFO, "pointsman")
    with proxy.setting(router_config=str(config)):
        yield Tiers(provider)
    assert not [key for key in keys if key in caplog.text]


@pytest.fixture
def client(proxy: InProcessProxy, provider: StandIn, account: str) -> Iterator[openai.OpenAI]:
    with openai_client(proxy, provider.key("openai", account)) as made:
        yield made


def ask(client: openai.OpenAI, task: Any = TASK, **members: Any) -> Any:
    messages = members.pop("messages", [{"role": "user", "content": task}])
    return client.chat.completions.with_raw_response.create(model=ROUTER, messages=messages, **members)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if line.startswith("intelligent-routing ")]


def test_a_category_and_its_tier(
    client: openai.OpenAI, tiers: Tiers, rows: Rows, caplog: pytest.LogCaptureFixture, keys: list[str]
) -> None:
    answer = ask(client, temperature=0.1, top_p=0.5)
    assert "Mended." in answer.parse().choices[0].message.content
    assert answer.headers["x-router-model"] == "kimi-k2.6", rows.last["classifier_reason"]
    (question,), (served,) = tiers.questions, tiers.served
    assert (question.family, question.model) == ("minimax", "MiniMax-M2.7")
    assert (question.body["temperature"], question.body["top_p"]) == (1.0, 0.95)
    assert TASK in json.dumps(question.body["messages"])
    assert (served.family, served.model) == ("moonshot", "kimi-k2.6")
    assert (served.body["temperature"], served.body["top_p"]) == (1.0, 0.5)  # the tier's, and the client's
    row = rows.last
    for name, expected in {
        "requested_model": ROUTER, "served_model": "kimi-k2.6", "strategy": "classified", "route": ROUTER,
        "upstream_provider": "moonshot", "category": "Frontend", "tier": "kimi-k2.6",
        "classifier": "minimax-m2.7", "classifier_raw": "Frontend", "classifier_reason": "",
        "vision_fallback": 0,
    }.items():  # fmt: skip
        assert row[name] == expected, name
    assert row["classifier_output_tokens"] > 0
    assert row["classifier_input_tokens"] > 100
    paid = row["classifier_input_tokens"] * 0.3 + row["classifier_output_tokens"] * 1.2
    assert 0 < row["classifier_cost_usd"] <= paid / 1e6 * 1.001
    assert row["classifier_ms"] > 0
    assert lines(caplog) == [
        f"intelligent-routing session={row['session']} category=Frontend model=kimi-k2.6 "
        "vision_fallback=False raw='Frontend'"
    ]
    stored = json.dumps([{name: str(value) for name, value in each.items()} for each in rows.all()])
    assert not [key for key in keys if key in stored]


def test_once_for_a_conversation(
    client: openai.OpenAI, tiers: Tiers, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    first = ask(client).parse().choices[0].message
    tiers.verdict = Answer((Text("Testing"),), think=None)
    history = [{"role": "user", "content": TASK}, {"role": "assistant", "content": first.content},
               {"role": "user", "content": "And now a test."}]  # fmt: skip
    again = ask(client, messages=history)
    assert again.headers["x-router-model"] == "kimi-k2.6"
    assert len(tiers.questions) == 1
    assert len(lines(caplog)) == 1
    before, after = rows.all()
    assert before["session"] == after["session"]
    assert (after["category"], after["tier"]) == ("Frontend", "kimi-k2.6")
    assert (after["classifier_ms"], after["classifier_cost_usd"]) == (None, None)
    assert before["classifier_cost_usd"] > 0


def test_actions_that_come_at_once_share_a_question(client: openai.OpenAI, tiers: Tiers, rows: Rows) -> None:
    tiers.verdict = Answer((Text("Testing"),), think=None, pace=Pace(head=0.3))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(client), range(8)))
    assert {answer.headers["x-router-model"] for answer in answers} == {"gpt-5.5"}
    assert len(tiers.questions) == 1
    found = rows.wait(lambda rows: len(rows) == 8)
    assert {row["category"] for row in found} == {"Testing"}
    assert sum(row["classifier_cost_usd"] is not None for row in found) == 1


@pytest.mark.parametrize(
    ("verdict", "word", "reason"),
    [
        (Answer((Text("Frontend or Testing, hard to say"),), think=None), "UNPARSED", "unparsed"),
        (Answer((Text(" "),), think=None), "EMPTY", "empty"),
        (Fault(500, "no capacity"), "ERROR", "error: minimax: 500 no capacity"),
        (Answer((Text("Frontend"),), cut_after=0), "ERROR", "error: minimax: no answer: "),
        (Answer((Text("Frontend"),), think=None, pace=Pace(head=5)), "TIMEOUT", "timeout"),
    ],
    ids=["unparsed", "empty", "error", "cut", "timeout"],
)
def test_without_a_category_the_fallback_serves(
    client: openai.OpenAI,
    proxy: InProcessProxy,
    tiers: Tiers,
    rows: Rows,
    caplog: pytest.LogCaptureFixture,
    verdict: Step,
    word: str,
    reason: str,
) -> None:
    tiers.verdict = verdict
    with proxy.setting(router_classify_timeout_ms=700):
        answer = ask(client)
    assert answer.headers["x-router-model"] == "gpt-5.5"
    (served,) = tiers.served
    assert served.family == "openai"
    effort = served.body.get("reasoning_effort") or served.body["reasoning"]["effort"]
    assert effort == "high"
    row = rows.last
    assert row["reason"] == "fallback of the router"
    assert row["classifier_reason"].startswith(reason)
    assert (row["category"], row["tier"]) == ("", "gpt-5.5")
    (line,) = lines(caplog)
    assert f" category={word} model=gpt-5.5 vision_fallback=False raw=" in line


def test_images_go_to_a_tier_that_sees(
    client: openai.OpenAI, tiers: Tiers, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    tiers.verdict = Answer((Text(ISSUE),), think=None)
    picture = [{"type": "text", "text": TASK}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    assert ask(client, picture).headers["x-router-model"] == "gpt-5.5"
    row = rows.last
    assert (row["category"], row["tier"], row["vision_fallback"]) == (ISSUE, "gpt-5.5", 1)
    assert row["classifier_reason"] == "minimax-m2.7 does not take images"
    assert f"category={ISSUE} model=gpt-5.5 vision_fallback=True raw='{ISSUE}'" in lines(caplog)[0]
    assert ask(client, f"{TASK} Really.").headers["x-router-model"] == "minimax-m2.7"
    assert "iVBOR" not in json.dumps([record.body for record in tiers.questions])


def test_a_stream_of_another_api(
    proxy: InProcessProxy, tiers: Tiers, rows: Rows, connect: Any, provider: StandIn
) -> None:
    """Claude Code's API in front, and a tier that is had over OpenAI's behind."""
    tiers.verdict = Answer((Text("Greenfield"),), think=None)
    claude: anthropic.Anthropic = connect(proxy)
    with claude.messages.stream(
        model=ROUTER, max_tokens=500, messages=[{"role": "user", "content": TASK}]
    ) as stream:
        said = stream.get_final_message()
    assert "Mended." in "".join(block.text for block in said.content if block.type == "text")
    assert said.model == ROUTER
    (served,) = tiers.served
    assert served.family == "openai"
    assert re.search(r'"effort": ?"high"', served.request.body.decode())
    assert rows.last["tier"] == "gpt-5.5"


GOOGLE = "https://generativelanguage.googleapis.com/v1beta/models"
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": (
        "https://api.anthropic.com/v1/messages",
        {
            "model": ROUTER,
            "max_tokens": 9000,
            "temperature": 0.2,
            "messages": [{"role": "user", "content": TASK}],
        },
    ),
    "openai_chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": ROUTER, "temperature": 0.2, "messages": [{"role": "user", "content": TASK}]},
    ),
    "openai_responses": (
        "https://api.openai.com/v1/responses",
        {"model": ROUTER, "temperature": 0.2, "reasoning": {"effort": "low"}, "input": TASK},
    ),
    "gemini": (
        f"{GOOGLE}/{ROUTER}:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": TASK}]}],
            "generationConfig": {"temperature": 0.2, "thinkingConfig": {"thinkingLevel": "LOW"}},
        },
    ),
}


@pytest.mark.parametrize("category", ["Frontend", ISSUE, "Greenfield"])
@pytest.mark.parametrize("surface", CLIENTS)
def test_a_tiers_parameters_arrive_whatever_is_spoken(
    web: httpx2.Client, tiers: Tiers, rows: Rows, surface: str, category: str
) -> None:
    """As they would for a model alone: in the words of the API that the provider speaks."""
    tiers.verdict = Answer((Text(category),), think=None)
    url, body = CLIENTS[surface]
    answer = web.post(url, json=body)
    assert answer.status_code == 200, answer.text
    assert "Mended." in answer.text
    (served,) = tiers.served
    sent = served.body
    asked = {"temperature": sent.get("temperature"), "top_p": sent.get("top_p")}
    effort = sent.get("reasoning_effort") or (sent.get("reasoning") or {}).get("effort")
    if category == "Greenfield":
        assert (served.family, served.model, effort) == ("openai", "gpt-5.5", "high")
    elif category == "Frontend":
        assert (served.family, served.model) == ("moonshot", "kimi-k2.6")
        assert asked == {"temperature": 1.0, "top_p": None}
    else:
        assert (served.family, served.model) == ("minimax", "MiniMax-M2.7")
        assert asked == {"temperature": 1.0, "top_p": 0.95}
    assert rows.last["tier"] == {"Frontend": "kimi-k2.6", ISSUE: "minimax-m2.7"}.get(category, "gpt-5.5")


def test_a_route_by_tasks(
    web: httpx2.Client, proxy: InProcessProxy, tiers: Tiers, rows: Rows, tmp_path: Path
) -> None:
    """Clients that know nothing of it ask for their own model."""
    config = tmp_path / "route.yaml"
    route = {"name": "by task", "requested": "claude-opus-*", "strategy": "classified", "document": ROUTER}
    config.write_text(json.dumps({"routes": [route]}))
    url, body = CLIENTS["anthropic"]
    with proxy.setting(router_config=str(config)):
        answer = web.post(url, json=body | {"model": "claude-opus-4-8", "temperature": 1})
    assert answer.json()["model"] == "claude-opus-4-8"
    row = rows.last
    assert (row["route"], row["category"], row["served_model"]) == ("by task", "Frontend", "kimi-k2.6")
    assert (row["strategy"], row["upstream_provider"]) == ("classified", "moonshot_anthropic")


def test_a_tier_at_the_clients_own_host(
    client: openai.OpenAI,
    proxy: InProcessProxy,
    tiers: Tiers,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    account: str,
) -> None:
    """Where the proxy has no key for it the client's own pays, and the tier's parameters hold there, too."""
    monkeypatch.delenv("OPENAI_API_KEY")
    tiers.verdict = Answer((Text("Greenfield"),), think=None)
    with proxy.setting(router_cache_mb=65):  # any change takes up the environment
        answer = ask(client, reasoning_effort="low")
    assert answer.headers["x-router-model"] == "gpt-5.5"
    (served,) = tiers.served
    assert (served.family, served.account) == ("openai", account)
    assert served.body["reasoning_effort"] == "high"
    row = rows.last
    assert row["upstream_provider"] in ("origin", None)
    changed = {item["parameter"]: item["after"] for item in json.loads(row["adaptations"])}
    assert changed["reasoning_effort"] == '"high"'


@pytest.mark.parametrize("http2", [False, True])
def test_a_client_that_leaves_while_it_is_classified(
    proxy: InProcessProxy, tiers: Tiers, provider: StandIn, account: str, http2: bool
) -> None:
    """Nothing is left of it; the next action needs no second question.

    mitmproxy tells of a stream that was reset once the hook has returned: over HTTP/2 the request has gone by
    then, and is broken off.
    """
    tiers.verdict = Answer((Text("Testing"),), think=None, pace=Pace(head=1.0))
    url, body = CLIENTS["openai_chat"]
    headers = {"authorization": f"Bearer {provider.key('openai', account)}"}
    with httpx2.Client(proxy=proxy.url, verify=trust(proxy.ca_file), http2=http2, timeout=0.4) as short:
        with pytest.raises(httpx2.ReadTimeout):
            short.post(url, json=body, headers=headers)
        time.sleep(1.2)
        settled(proxy)
        assert len(tiers.served) <= http2
        short.timeout = 10
        assert short.post(url, json=body, headers=headers).headers["x-router-model"] == "gpt-5.5"
    assert len(tiers.questions) == 1


def test_a_dry_run_asks_nobody(client: openai.OpenAI, tiers: Tiers, provider: StandIn) -> None:
    decision = ask(client, extra_headers={"x-router-dry-run": "true"}).http_response.json()["decision"]
    assert decision["classification"]["tier"] == "gpt-5.5"
    assert provider.records == []


def test_without_tiers_it_says_so(
    client: openai.OpenAI, proxy: InProcessProxy, provider: StandIn, tmp_path: Path
) -> None:
    config = tmp_path / "empty.yaml"
    document = {"kind": "intelligent-router-v0", "tiers": {}, "routing": {}}
    config.write_text(json.dumps({"routers": {"empty": {"document": document}}}))
    with proxy.setting(router_config=str(config)), pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="empty", messages=[{"role": "user", "content": TASK}])
    assert "empty: none of its models can serve this request" in caught.value.message
    assert provider.records == []
