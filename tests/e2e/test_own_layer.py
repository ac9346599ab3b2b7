"""With a mitmproxy whose HTTP layer is not known: routing within the provider, by mitmproxy's own means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from e2e.support import Rows, Sdk
from pointsman.addon import Pointsman
from pointsman.upstream import routed_stream
from provider.answers import Answer, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn

ASK: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Which platform?"}],
}
TO_HAIKU = {"x-router-model": "claude-haiku-4-5"}


@pytest.fixture
def plain(proxy: InProcessProxy) -> Iterator[InProcessProxy]:
    """The proxy with mitmproxy's own layer in place."""
    addon: Any = proxy.addons[0]

    def leave() -> None:
        addon._uninstall()
        addon._uninstall = None
        addon._reconfigure()

    def back() -> None:
        addon._uninstall = routed_stream.install(addon.routes, addon.actions)
        addon._reconfigure()

    proxy.call(leave)
    yield proxy
    proxy.call(back)


def test_an_unknown_mitmproxy_is_said_once(
    proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(routed_stream.version, "VERSION", "99.0.0")
    loader: Any = type("Loader", (), {"add_option": lambda *_: None})()
    proxy.call(lambda: Pointsman().load(loader))
    said = [record.getMessage() for record in caplog.records if record.name == "pointsman"]
    assert len(said) == 1
    assert "mitmproxy 99.0.0 is not supported; install mitmproxy>=12.2,<13" in said[0]
    assert "without prelude and failover" in said[0]


@pytest.mark.parametrize("http2", [False, True])
def test_requests_are_routed_marked_and_stored(
    plain: InProcessProxy, connect: Sdk, provider: StandIn, rows: Rows, http2: bool
) -> None:
    client = connect(plain, http2=http2)
    provider.script(Answer((Text("Nine."),)), Answer((Text("Ten."),)))
    whole = client.messages.create(**ASK, extra_headers=TO_HAIKU)
    with client.messages.stream(**ASK, extra_headers=TO_HAIKU) as stream:
        streamed = stream.get_final_message()
    assert [record.model for record in provider.messages] == ["claude-haiku-4-5"] * 2
    for said, text in ((whole, "Nine."), (streamed, "Ten.")):
        assert said.model == ASK["model"]
        assert "Pointsman" in said.content[0].text and said.content[-1].text == text
    assert [row["complete"] for row in rows.all()] == [1, 1]
    assert all("x-router-model" not in dict(record.request.headers) for record in provider.messages)


def test_no_other_provider_is_asked(
    plain: InProcessProxy, connect: Sdk, provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key would stand in the flow, for everybody to see."""
    monkeypatch.setenv("OPENROUTER_API_KEY", provider.key("openrouter", "env"))
    plain.call(lambda: plain.addons[0]._reconfigure())
    client = connect(plain)
    with pytest.raises(anthropic.BadRequestError, match="openrouter"):
        client.messages.create(**ASK, extra_headers={"x-router-model": "openrouter/moonshotai/kimi-k2.6"})
    assert not provider.messages
