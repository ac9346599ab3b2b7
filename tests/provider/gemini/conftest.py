"""One stand-in for the tests of the Gemini family, and two ways to speak to it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from provider.gemini.family import Gemini
from provider.proxy import trust
from provider.standin import StandIn

HOST = "https://generativelanguage.googleapis.com"
KEY = {"x-goog-api-key": "AIza-raw"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("gemini")) as made, made.reachable():
        yield made


@pytest.fixture
def provider(running: StandIn) -> Iterator[StandIn]:
    running.reset()
    yield running
    running.check()


@pytest.fixture
def family(provider: StandIn) -> Gemini:
    found = provider.families["gemini"]
    assert isinstance(found, Gemini)
    return found


@pytest.fixture
def raw(running: StandIn) -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=trust(running.ca_file), base_url=HOST, headers=KEY) as made:
        yield made
