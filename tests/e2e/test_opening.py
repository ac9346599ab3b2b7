"""A stream that begins before its provider's, with every kind of marker: whole over both versions of HTTP."""

from __future__ import annotations

import pytest
from e2e.asking import SERVED, Asker
from e2e.troubles import GOOD
from provider.proxy import InProcessProxy
from provider.standin import StandIn


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("marker", ["text", "comment", "off"])
@pytest.mark.parametrize("surface", ["anthropic", "openai_chat", "gemini"])
def test_what_begins_at_once_does_not_end_there(
    surface: str, marker: str, http2: bool, proxy: InProcessProxy, provider: StandIn, account: str
) -> None:
    provider.script(GOOD)
    headers = {"x-router-model": SERVED[surface], "x-router-marker": marker}
    with proxy.setting(router_prelude_grace_ms="0"):
        heard = Asker(surface, proxy, account, http2)(True, headers)
    assert (heard.error, heard.text) == ("", "Platform nine and three quarters.")
    assert heard.markers == (marker == "text")
