"""The SDKs of OpenAI and Google: their answers and their histories are what they would be without Pointsman.

Each conversation is held twice, on a provider that remembers nothing: over bare mitmproxy with the model that
is to serve, and over Pointsman with another one, which the router replaces. Ids and signatures that the
provider makes depend on nothing but the account and the number of the request: both must come out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from e2e.sdks import Player, Proxy, genai_client, hold_freely, hold_twice, openai_client
from e2e.support import Rows
from provider.proxy import InProcessProxy, SubprocessProxy
from provider.standin import StandIn
from sdk_py.scenarios import CHAT, GEMINI, RESPONSES, Scenario

LONG = [case for case in (*CHAT, *RESPONSES, *GEMINI) if len(case.steps) > 2 and case.name != "helper"]
# A helper without a stream is no helper, and v1beta takes the way of v1 twice.
CASES = [
    pytest.param(scenario, streamed, id=f"{scenario.id}{scenario.api}-{'stream' if streamed else 'body'}")
    for scenario in (*CHAT, *RESPONSES, *GEMINI)
    for streamed in (False, True)
    if streamed or not (scenario.name == "helper" or scenario.api == "v1beta")
]


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


@pytest.mark.parametrize(("scenario", "streamed"), CASES)
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
    hold_twice(provider, rows, scenario, bare, routed, streamed, compact=streamed)


@pytest.mark.parametrize("scenario", LONG, ids=lambda scenario: scenario.id + scenario.api)
def test_a_conversation_that_is_routed_by_default_is_taken_and_leaves_no_trace(
    player: Callable[[Scenario, Proxy], Player],
    proxy: InProcessProxy,
    bare_proxy: SubprocessProxy,
    provider: StandIn,
    rows: Rows,
    scenario: Scenario,
) -> None:
    bare, routed = player(scenario, bare_proxy), player(scenario, proxy)
    hold_freely(provider, rows, scenario, bare, routed, streamed=True, compact=True)
