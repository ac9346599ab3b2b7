"""One stand-in and one routed proxy for all tests here; each test gets an account of its own."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.bound import CONFIG, SECOND
from e2e.support import Rows, Sdk, deserted, routed, rows_of, settled
from provider.proxy import InProcessProxy, SubprocessProxy, trust
from provider.standin import StandIn

_accounts = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """mitmproxy 12 drops a connection unclosed if its peer leaves while it is being opened or read.

    The garbage collector may say so in any later test, of writer, transport or socket. What Pointsman
    itself opens are files and databases.
    """
    for what in ("<StreamWriter", "transport", "<socket"):
        config.addinivalue_line("filterwarnings", f"ignore:unclosed {what}:ResourceWarning")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that the person who runs the tests has configured is read."""
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in os.environ:
        if variable.upper().endswith("_PROXY") or variable.startswith("ANTHROPIC_"):
            monkeypatch.delenv(variable)


@pytest.fixture(autouse=True)
def all_gone(request: pytest.FixtureRequest) -> Iterator[None]:
    """When the clients of a test have left the routed proxy, no connection and no task of one is in it."""
    names = request.fixturenames
    proxy = request.getfixturevalue("shared_proxy") if "proxy" in names else None
    yield
    if proxy is not None:
        deserted(proxy)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs read no key, address or proxy of the person who runs the tests."""
    for variable in os.environ:
        if variable.startswith(("OPENAI_", "GOOGLE_", "GEMINI_")):
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mitmproxy makes its CA here once."""
    return tmp_path_factory.mktemp("conf")


@pytest.fixture(scope="session")
def shared_standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("standin")) as made, made.reachable():
        yield made


@pytest.fixture
def provider(shared_standin: StandIn) -> Iterator[StandIn]:
    """The stand-in, with nothing in its memory; whatever reached it must be free of the router's traces."""
    shared_standin.reset()
    yield shared_standin
    shared_standin.check()


@pytest.fixture(scope="session")
def shared_proxy(
    shared_standin: StandIn, confdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InProcessProxy]:
    with routed(shared_standin, confdir, tmp_path_factory.mktemp("db") / "pointsman.sqlite") as proxy:
        yield proxy
    gc.collect()  # what is dropped unclosed says so now, and is known: see pytest_configure


@pytest.fixture
def proxy(shared_proxy: InProcessProxy, provider: StandIn) -> Iterator[InProcessProxy]:
    """The routed proxy. Afterwards no action may be under way in it, and no traceback in its log."""
    shared_proxy.ears.heard.clear()
    yield shared_proxy
    settled(shared_proxy)


@pytest.fixture(scope="session")
def shared_bare_proxy(
    shared_standin: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SubprocessProxy]:
    folder = tmp_path_factory.mktemp("bare")
    with SubprocessProxy(shared_standin, folder, None, {"stream_large_bodies": "1"}) as proxy:
        yield proxy


@pytest.fixture
def bare_proxy(shared_bare_proxy: SubprocessProxy, provider: StandIn) -> SubprocessProxy:
    """mitmproxy without Pointsman on the same stand-in."""
    return shared_bare_proxy


@pytest.fixture
def bindings(
    proxy: InProcessProxy, provider: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcessProxy]:
    """The routed proxy, for whose models there is a second binding; no attempt may be silent for a second."""
    monkeypatch.setenv("OPENROUTER_API_KEY", provider.key(SECOND, "env"))
    path = tmp_path / "router.yaml"
    path.write_text(CONFIG)
    with proxy.setting(router_config=str(path), router_first_byte_timeout_s=1, router_stall_timeout_s=1):
        yield proxy


@pytest.fixture
def rows(proxy: InProcessProxy) -> Rows:
    return rows_of(Path(proxy.settings["router_db"]))


@pytest.fixture
def account() -> str:
    return f"acc{next(_accounts)}"


@pytest.fixture
def key(account: str) -> str:
    return f"sk-ant-api03-{account}"


@pytest.fixture
def connect(key: str) -> Iterator[Sdk]:
    """Makes SDK clients behind a proxy: `connect(proxy, api_key=…, http2=…, …)`."""
    made: list[anthropic.Anthropic] = []

    def make(
        proxy: InProcessProxy | SubprocessProxy, http2: bool = False, **options: Any
    ) -> anthropic.Anthropic:
        http = anthropic.DefaultHttpxClient(proxy=proxy.url, verify=trust(proxy.ca_file), http2=http2)
        given = {"max_retries": 0, "timeout": 30.0, **options}
        if "auth_token" not in given:
            given.setdefault("api_key", key)
        made.append(anthropic.Anthropic(http_client=http, **given))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Sdk, proxy: InProcessProxy) -> anthropic.Anthropic:
    """The real SDK behind the routed proxy."""
    return connect(proxy)


@pytest.fixture
def raw(proxy: InProcessProxy, key: str) -> Iterator[httpx2.Client]:
    """A plain HTTP client behind the routed proxy, with the headers every request needs."""
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    with httpx2.Client(
        proxy=proxy.url,
        verify=trust(proxy.ca_file),
        headers=headers,
        timeout=10,
        base_url="https://api.anthropic.com",
    ) as made:
        yield made


class Keys(httpx2.Auth):
    """To each provider its own key, as a client would; to the proxy itself all of them."""

    def __init__(self, account: str) -> None:
        self.by_host = {
            "api.anthropic.com": {"x-api-key": f"sk-ant-api03-{account}"},
            "api.openai.com": {"authorization": f"Bearer sk-proj-{account}"},
            "generativelanguage.googleapis.com": {"x-goog-api-key": f"AIza-{account}"},
        }

    def auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:
        everything = {name: value for keys in self.by_host.values() for name, value in keys.items()}
        for name, value in self.by_host.get(request.url.host, everything).items():
            request.headers.setdefault(name, value)
        yield request


@pytest.fixture
def web(proxy: InProcessProxy, account: str) -> Iterator[httpx2.Client]:
    """A client of all providers behind the routed proxy, with a key for each."""
    with httpx2.Client(
        proxy=proxy.url,
        verify=trust(proxy.ca_file),
        headers={"anthropic-version": "2023-06-01"},
        auth=Keys(account),
        timeout=10,
    ) as made:
        yield made
