"""The SDKs of OpenAI and Google: their answers and their histories are what they would be without Pointsman.

Each conversation is held twice, on a provider that remembers nothing: over bare mitmproxy with the model that
is to serve, and over Pointsman with another one, which the router replaces. Ids and signatures that the
provider makes depend on nothing but the account and the number of the request, so that both must come out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from e2e.sdks import (
    Proxy,
    genai_client,
    markers_in,
    model_names,
    openai_client,
    play,
    renamed,
    unmarked,
    without_usage_option,
)
from e2e.support import Rows
from provider.proxy import InProcessProxy, SubprocessProxy
from provider.standin import StandIn
from sdk_py.scenarios import CHAT, GEMINI, RESPONSES, Scenario

Player = Callable[..., list[Any]]
SCENARIOS = [*CHAT, *RESPONSES, *GEMINI]


@pytest.fixture
def player(account: str) -> Iterator[Callable[[Scenario, Proxy], Player]]:
    """Plays a scenario with a client behind a proxy: `player(scenario, proxy)(model, headers, streamed)`."""
    made: list[Any] = []

    def make(scenario: Scenario, proxy: Proxy) -> Player:
        if scenario.surface == "gemini":
            pytest.importorskip("google.genai", reason="Google's SDK is not installed")
            client = genai_client(proxy, f"AIza-{account}", scenario.api)
        else:
            client = openai_client(proxy, f"sk-{account}")
        made.append(client)
        function = getattr(import_module(f"sdk_py.{scenario.surface}"), scenario.name)
        return lambda *given: function(client, *given)

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_nothing_but_the_marker_tells_that_another_model_answered(
    player: Callable[[Scenario, Proxy], Player],
    proxy: InProcessProxy,
    bare_proxy: SubprocessProxy,
    provider: StandIn,
    rows: Rows,
    scenario: Scenario,
    streamed: bool,
) -> None:
    bare, routed = player(scenario, bare_proxy), player(scenario, proxy)
    headers = {"x-router-model": scenario.served, "x-router-marker": "text"}
    plain, expected = play(provider, scenario, lambda: bare(scenario.served, {}, streamed))
    answers, sent = play(provider, scenario, lambda: routed(scenario.asked, headers, streamed))

    assert [(path, without_usage_option(body)) for path, body in sent] == [
        (path, without_usage_option(body)) for path, body in expected
    ]
    assert all(record.status == 200 for record in provider.messages)
    shown = [markers_in(answer) for answer in answers]
    assert shown == [[scenario.served] * scenario.shown] * len(answers)
    assert [model_names(answer) for answer in answers] == [{scenario.asked}] * len(answers)
    assert [unmarked(scenario, answer) for answer in answers] == [
        renamed(answer, scenario.asked) for answer in plain
    ]
    found = rows.wait(lambda found: len(found) == len(sent) and all(row["output_tokens"] for row in found))
    for row, record in zip(found, provider.messages, strict=True):
        assert (row["requested_model"], row["served_model"]) == (scenario.asked, scenario.served)
        assert (row["surface"], row["status"], row["error"]) == (scenario.surface, 200, None)
        assert row["message_id"] == record.message.id
        assert row["output_tokens"] == record.message.output_tokens
        assert row["input_tokens"] + (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0) == (
            record.counted.total
        )
        assert row["cost_usd"] > 0 and row["stop_reason"]
