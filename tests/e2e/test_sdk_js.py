"""The three SDKs for JavaScript, put through what those for Python are: see test_history_sdks.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from e2e.sdks import Player, Proxy, hold_freely, hold_twice
from e2e.support import Rows
from provider.proxy import InProcessProxy, SubprocessProxy
from provider.standin import StandIn
from sdk_js.node import Node, installed
from sdk_py.scenarios import ANTHROPIC, CHAT, GEMINI, RESPONSES, Scenario

pytestmark = pytest.mark.slow
ALL = (*ANTHROPIC, *CHAT, *RESPONSES, *GEMINI)
LONG = [scenario for scenario in ALL if len(scenario.steps) > 2]
KEYS = {"anthropic": "sk-ant-api03-", "gemini": "AIza-"}


@pytest.fixture(scope="module")
def nodes(
    shared_proxy: InProcessProxy, shared_bare_proxy: SubprocessProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Node]]:
    """A process behind each of the two proxies, by its address."""
    sdks = installed()
    if sdks is None:
        pytest.skip("needs node and the SDKs that scripts/install-sdks installs")
    home = tmp_path_factory.mktemp("home")
    bare, routed = (
        Node(sdks, proxy.url, proxy.ca_file, home) for proxy in (shared_bare_proxy, shared_proxy)
    )
    with bare, routed:
        yield {shared_bare_proxy.url: bare, shared_proxy.url: routed}


@pytest.fixture
def player(nodes: dict[str, Node], account: str) -> Callable[[Scenario, Proxy], Player]:
    def make(scenario: Scenario, proxy: Proxy) -> Player:
        key = KEYS.get(scenario.surface, "sk-") + account
        return partial(nodes[proxy.url].play, scenario, key)

    return make


@pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.id + scenario.api)
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
    hold_twice(provider, rows, scenario, bare, routed, streamed, compact=not streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("scenario", LONG, ids=lambda scenario: scenario.id + scenario.api)
def test_a_conversation_that_is_routed_by_default_is_taken_and_leaves_no_trace(
    player: Callable[[Scenario, Proxy], Player],
    proxy: InProcessProxy,
    bare_proxy: SubprocessProxy,
    provider: StandIn,
    rows: Rows,
    scenario: Scenario,
    streamed: bool,
) -> None:
    bare, routed = player(scenario, bare_proxy), player(scenario, proxy)
    hold_freely(provider, rows, scenario, bare, routed, streamed, compact=not streamed)


def test_the_folder_of_another_installation_can_be_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POINTSMAN_SDKS", str(tmp_path))
    assert installed() is None
