"""One stand-in for the tests of the OpenAI family, and the SDK in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import openai
import pytest
from provider.openai.family import OpenAI
from provider.proxy import trust
from provider.standin import StandIn

Connect = Callable[[str], openai.OpenAI]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("openai")) as made, made.reachable():
        yield made


@pytest.fixture
def provider(running: StandIn) -> Iterator[StandIn]:
    running.reset()
    yield running
    running.check()


@pytest.fixture
def family(provider: StandIn) -> OpenAI:
    found = provider.families["openai"]
    assert isinstance(found, OpenAI)
    return found


@pytest.fixture
def connect(running: StandIn) -> Iterator[Connect]:
    """The SDK with the key of an account."""
    made: list[openai.OpenAI] = []

    def client(account: str) -> openai.OpenAI:
        http = openai.DefaultHttpxClient(verify=trust(running.ca_file))
        made.append(openai.OpenAI(api_key=f"sk-{account}", http_client=http, max_retries=0))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(connect: Connect, provider: StandIn) -> openai.OpenAI:
    return connect("one")
