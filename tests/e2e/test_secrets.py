"""A key from the environment is seen by its provider, and by nothing that anybody keeps or looks at."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from e2e.support import Sdk, settled
from mitmproxy import http, io
from mitmproxy.tools.web.app import flow_to_json
from provider.answers import Answer, Break, Fault, Page, Text, overloaded
from provider.proxy import InProcessProxy
from provider.standin import StandIn
from provider.traps import Trap

CONFIG = """
models:
  claude-haiku-4-5:
    bindings: [origin, {openrouter: anthropic/claude-haiku-4.5}, {moonshot: kimi-k2.6}]
"""
ASK: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Which platform?"}],
    "extra_headers": {"x-router-model": "claude-haiku-4-5"},
}
OK = Answer((Text("Nine."),))


class Watching(logging.Handler):
    """All that mitmproxy and Pointsman log, at every level, with tracebacks.

    mitmproxy's programs silence hpack, which logs all headers; the client's libraries run here too.
    """

    OTHERS = ("hpack", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2")

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] not in self.OTHERS:
            self.lines.append(logging.Formatter().format(record))


class Looking:
    """An addon that sees flows as mitmweb shows them, at each of their hooks."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def _look(self, flow: http.HTTPFlow) -> None:
        self.seen.append(json.dumps(flow_to_json(flow)) + repr(flow.get_state()))

    def request(self, flow: http.HTTPFlow) -> None:
        self._look(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        self._look(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        self._look(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._look(flow)

    def router_verdict(self, flow: http.HTTPFlow) -> None:
        self._look(flow)


@pytest.fixture
def watching() -> Iterator[Watching]:
    handler, root = Watching(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


def test_a_key_of_the_environment_is_kept_nowhere(
    connect: Sdk,
    proxy: InProcessProxy,
    provider: StandIn,
    watching: Watching,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {name: provider.key(name, "planted") for name in ("openrouter", "moonshot")}
    monkeypatch.setenv("OPENROUTER_API_KEY", keys["openrouter"])
    monkeypatch.setenv("MOONSHOT_API_KEY", keys["moonshot"])
    config = tmp_path / "router.yaml"
    config.write_text(CONFIG)
    flows, har, looking = tmp_path / "flows", tmp_path / "flows.har", Looking()
    assert proxy.master is not None
    proxy.call(lambda: proxy.master.addons.add(looking))  # type: ignore[union-attr]
    try:
        with proxy.setting(
            router_config=str(config), save_stream_file=str(flows), hardump=str(har)
        ):
            for http2 in (False, True):
                _converse(connect(proxy, http2=http2), provider, keys)
        settled(proxy)
    finally:
        proxy.call(lambda: proxy.master.addons.remove(looking))  # type: ignore[union-attr]
    used = {record.family for record in provider.messages}
    assert used == {"anthropic", "openrouter", "moonshot"}
    kept = {
        "flows": flows.read_bytes(),
        "web": "\n".join(looking.seen).encode(),
        "log": "\n".join(watching.lines).encode(),
        **{path.name: path.read_bytes() for path in _database(proxy)},
    }
    if har.exists():
        kept["har"] = har.read_bytes()
    with flows.open("rb") as file:
        saved = list(io.FlowReader(file).stream())
    assert len(saved) >= 2 * CASES
    for place, data in kept.items():
        assert data, place
        for key in keys.values():
            at = data.find(key.encode())
            assert at < 0, (place, data[max(0, at - 300) : at + 60])


CASES = 7


def _converse(client: anthropic.Anthropic, provider: StandIn, keys: dict[str, str]) -> None:
    """Everything that an attempt with a key can come to; some providers repeat the key in what they say."""
    told = Fault(401, f"invalid key {keys['openrouter']}")
    page = Page(f"<p>{keys['openrouter']}</p>".encode())
    steps: list[tuple[Any, Any]] = [
        (OK, None),
        (told, OK),
        (page, OK),
        (Answer(broken=Break(events=0)), OK),
        (Trap.REFUSED, OK),
        (told, Fault(403, f"no: {keys['moonshot']}")),
        (Answer(broken=Break(events=3)), None),
    ]
    assert len(steps) == CASES
    for number, (first, second) in enumerate(steps):
        provider.script_at("anthropic", overloaded())
        provider.script_at("openrouter", first)
        if second is not None:
            provider.script_at("moonshot", second)
        try:
            with client.messages.stream(**ASK) as stream:
                said = stream.get_final_text()
        except anthropic.APIError as error:
            assert number >= CASES - 2, error
            assert not any(key in str(error) for key in keys.values())
        else:
            assert said.endswith("Nine.")


def _database(proxy: InProcessProxy) -> list[Path]:
    path = Path(proxy.settings["router_db"])
    return [found for found in path.parent.iterdir() if found.name.startswith(path.name)]
