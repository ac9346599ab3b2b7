"""Two thousand requests, forty at a time on HTTP/2, of whose attempts nearly a third fail somehow.

Each provider says nothing but a token of its own, again and again: an answer that two of them had a part in
would show it. What each decision says of its attempts is held against what the providers counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from e2e.sdks import MARKER
from e2e.support import Rows, settled
from provider.answers import Answer, Break, Fault, How, Pace, Page, Step, Text
from provider.proxy import InProcessProxy, trust
from provider.record import Record
from provider.standin import StandIn
from provider.traps import Trap

SEED, REQUESTS, AT_ONCE, FAILING = 20261129, 2000, 40, 0.3
URL = "https://api.anthropic.com/v1/messages"
SSE = {"content-type": "text/event-stream"}
TOKENS = {"anthropic": "ORIGIN ", "openrouter": "ROUTER ", "litellm": "LITELL "}
TIMES = 9  # that an answer repeats its token
CONFIG = """
providers:
  lite:
    base_url: https://litellm.example
    surface: anthropic
    key: {env: CHAOS_LITELLM_KEY}
models:
  claude-haiku-4-5:
    bindings:
      - origin
      - lite: claude-haiku-4-5
      - openrouter_anthropic: anthropic/claude-haiku-4.5
      - openrouter: anthropic/claude-haiku-4.5
"""
_ID = re.compile(rb"question (\d+)")


def failure(dice: random.Random, good: Answer, *, streamed: bool) -> Step:
    """One of the ways to fail, before the answer begins or in it."""
    events, size = dice.randrange(9), dice.randrange(1500)
    # The end of a connection is the end of all that goes on over it: it is rarer than that of one stream.
    how = dice.choices([How.RESET, How.REFUSE, How.CLOSE, How.GOAWAY], [20, 20, 1, 1])[0]
    again = {"x-should-retry": "true"}
    return dice.choice(
        [
            Fault(dice.choice([408, 409, 425, 500, 502, 503, 529]), headers=again),
            Fault(429, headers={"retry-after": "3", **again}),
            Fault(dice.choice([401, 402, 403, 404]), headers={"x-should-retry": ""}),
            Page(b"<html>busy</html>", dice.choice([200, 503])),
            Page(b"", headers=SSE),
            Page(b'{"id":"x","content":[', headers={"content-type": "application/json"}),
            Answer(good.blocks, broken=Break(how), pace=good.pace),
            Answer(good.blocks, broken=Break(how, events=events, half=dice.random() < 0.5), pace=good.pace),
            Answer(good.blocks, broken=Break(how, size=size), pace=good.pace),
            Answer(good.blocks, overload_after=events, pace=good.pace),
            # A body may take as long as it likes, so that only streams fall silent.
            Answer(good.blocks, broken=Break(How.STALL if streamed else how, size=dice.choice([0, size]))),
        ]
    )


def respond(record: Record) -> Step:
    """What this attempt meets depends on the question and the provider alone."""
    token = TOKENS[record.family]
    good = Answer((Text(token * TIMES, piece=len(token)),), pace=Pace(head=0.002, between=0.0005))
    dice = random.Random(f"{SEED} {number_of(record)} {record.family} {record.path}")
    streamed = bool(record.body.get("stream"))
    return failure(dice, good, streamed=streamed) if dice.random() < FAILING else good


def number_of(record: Record) -> int:
    found = _ID.search(record.request.body)
    assert found
    return int(found[1])


@dataclass(slots=True)
class Got:
    """What the client got for one question."""

    status: int | None = None
    decision: str = ""
    text: str = ""
    markers: int = 0
    complete: bool = False
    error: str = ""  # in the answer, or what ended it


@pytest.fixture
def chaos(
    proxy: InProcessProxy, provider: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcessProxy]:
    monkeypatch.setenv("OPENROUTER_API_KEY", provider.key("openrouter", "env"))
    monkeypatch.setenv("CHAOS_LITELLM_KEY", provider.key("litellm", "env"))
    path = tmp_path / "router.yaml"
    path.write_text(CONFIG)
    provider.responder = respond
    dice = random.Random(SEED)
    traps = [trap for trap in Trap if trap is not Trap.SILENT]
    provider.connecting = lambda host: dice.choice(traps) if dice.random() < 0.1 else None
    with proxy.setting(
        router_config=str(path),
        router_first_byte_timeout_s=2,
        router_stall_timeout_s=2,
        router_prelude_grace_ms="30",
    ):
        yield proxy


async def ask_all(proxy: InProcessProxy, key: str, count: int) -> dict[int, Got]:
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    headers |= {"x-router-model": "claude-haiku-4-5", "x-router-marker": "text"}
    found: dict[int, Got] = {}
    numbers = iter(range(count))
    async with httpx2.AsyncClient(
        proxy=proxy.url, verify=trust(proxy.ca_file), http2=True, headers=headers, timeout=30
    ) as http:

        async def work() -> None:
            for number in numbers:
                found[number] = await ask(http, number)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return found


async def ask(http: httpx2.AsyncClient, number: int) -> Got:
    streamed = number % 4 > 0
    body = {"model": "claude-opus-4-8", "max_tokens": 500, "stream": streamed}
    body["messages"] = [{"role": "user", "content": f"question {number} of many"}]
    got, data = Got(), b""
    try:
        async with http.stream("POST", URL, json=body) as answer:
            assert answer.http_version == "HTTP/2"
            got.status, got.decision = answer.status_code, answer.headers.get("x-router-decision", "")
            async for chunk in answer.aiter_bytes():
                data += chunk
    except httpx2.HTTPError as error:
        got.error = type(error).__name__
    if got.status == 200 and streamed:
        _read_stream(got, data.decode())
    elif got.status is not None and not got.error:
        _read_body(got, json.loads(data))
    got.markers, got.text = len(MARKER.findall(got.text)), MARKER.sub("", got.text)
    return got


def _read_stream(got: Got, data: str) -> None:
    for event in re.findall(r"^data: (.+)$", data, re.MULTILINE):
        value = json.loads(event)
        got.text += value.get("delta", {}).get("text", "")
        got.complete = got.complete or value["type"] == "message_stop"
        if value["type"] == "error":
            got.error = value["error"]["type"]


def _read_body(got: Got, body: dict[str, Any]) -> None:
    if got.status == 200:
        got.text, got.complete = "".join(block["text"] for block in body["content"]), True
    else:
        assert (body["type"], set(body["error"]) >= {"type", "message"}) == ("error", True)
        got.error = body["error"]["type"]


@pytest.mark.parametrize("count", [80, pytest.param(REQUESTS, marks=pytest.mark.slow)])
def test_every_answer_is_complete_or_an_error_and_none_is_of_two_providers(
    chaos: InProcessProxy, provider: StandIn, rows: Rows, key: str, count: int
) -> None:
    found = asyncio.run(ask_all(chaos, key, count))
    settled(chaos)
    decided = {row["id"]: row for row in rows.wait(lambda all_: len(all_) == count and not still_open(all_))}
    tried: dict[int, list[Record]] = defaultdict(list)
    for record in provider.messages:
        tried[number_of(record)].append(record)
    outcomes: Counter[str] = Counter()
    for number, got in sorted(found.items()):
        outcomes[clean(number, got)] += 1
        row = decided.pop(got.decision) if got.decision else None
        if row is not None:
            agrees(row, got, tried[number])
    assert all(row["error"] and not row["complete"] for row in decided.values()), decided
    assert outcomes["complete"] > 0.75 * count, outcomes
    failed = sum(each.outcome != "200" for each in provider.messages)
    slack = 0.1 if count == REQUESTS else 0.2  # where the dice fall depends on how connections are shared
    assert FAILING - slack < failed / len(provider.messages) < FAILING + slack, failed


def still_open(rows: list[dict[str, Any]]) -> bool:
    return any(row["complete"] is None for row in rows)


def clean(number: int, got: Got) -> str:
    """What kind of answer it is. Fails for one that is not clean."""
    where = f"question {number}: {got}"
    assert got.status is not None and "Timeout" not in got.error, where
    if got.status >= 400:
        assert got.error and not got.text and not got.markers, where
        return "refused"
    whole = [token * TIMES for token in TOKENS.values()]
    if got.complete:
        assert got.text in whole and got.markers == 1 and not got.error, where
        return "complete"
    assert got.error, where
    assert any(text.startswith(got.text) for text in whole) and got.markers <= 1, where
    return "broken off"


def agrees(row: dict[str, Any], got: Got, tried: list[Record]) -> None:
    """The decision says what the client got, and what the providers counted."""
    said = json.loads(row["attempts"]) if row["attempts"] else [one_attempt(row)]
    where = f"{got}\n{said}\n{[(each.family, each.path, each.outcome) for each in tried]}"
    assert bool(row["complete"]) == got.complete or got.status != 200, where
    assert bool(row["error"]) == bool(got.error), where
    counted = [(each.family, each.path) for each in tried]
    claimed = [place(attempt["provider"]) for attempt in said]
    assert not Counter(counted) - Counter(claimed), where
    assert len(claimed) == len(set(claimed)) or set(claimed) == {claimed[-1]}, where
    for attempt in said:
        seen = [each for each in tried if (each.family, each.path) == place(attempt["provider"])]
        if not seen:  # never reached: no connection
            assert attempt["status"] is None and attempt["error"], where
        elif attempt["status"] is not None:
            assert attempt["status"] == seen[-1].status, where
    if got.complete:
        last = max(tried, key=lambda each: each.at)
        assert got.text.startswith(TOKENS[last.family]), where
        assert row["output_tokens"] == last.message.output_tokens, where
        assert place(row["upstream_provider"] or "origin") == (last.family, last.path), where


def one_attempt(row: dict[str, Any]) -> dict[str, Any]:
    """A decision whose first attempt was the only one lists none."""
    return {"provider": row["upstream_provider"] or "origin", "status": row["status"], "error": row["error"]}


def place(provider: str) -> tuple[str, str]:
    """Where a provider's requests go."""
    return {
        "origin": ("anthropic", "/v1/messages"),
        "lite": ("litellm", "/v1/messages"),
        "openrouter_anthropic": ("openrouter", "/api/v1/messages"),
        "openrouter": ("openrouter", "/api/v1/chat/completions"),
    }[provider]
