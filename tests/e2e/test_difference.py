"""With and without Pointsman on the same stand-in: what may differ, and nothing else does."""

from __future__ import annotations

import gzip
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import Sdk
from provider.answers import Answer, Break, Call, Fault, Page, Text
from provider.anthropic.errors import error_body
from provider.proxy import InProcessProxy, SubprocessProxy, trust
from provider.standin import StandIn

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
ASK: dict[str, Any] = {
    "model": OPUS,
    "max_tokens": 5000,
    "messages": [{"role": "user", "content": "Which platform?"}],
}
ADAPTIVE: dict[str, Any] = {**ASK, "thinking": {"type": "adaptive"}}
TO_HAIKU = {"x-router-model": HAIKU}
STEP = Answer((Text("Platform nine. " * 5), Call("look", {"a": 1})))

Pair = list[tuple[httpx2.Response, tuple[tuple[str, str], ...], bytes]]


def both(
    bare: SubprocessProxy,
    proxy: InProcessProxy,
    provider: StandIn,
    headers: dict[str, str],
    router: dict[str, str],
    body: dict[str, Any],
    *,
    http2: bool = False,
) -> Pair:
    """One request without and with Pointsman: answers, and what the provider got."""
    found: Pair = []
    for one, extra in ((bare, {}), (proxy, router)):
        provider.reset()
        provider.script(STEP)
        with httpx2.Client(proxy=one.url, verify=trust(one.ca_file), timeout=10, http2=http2) as http:
            url = "https://api.anthropic.com/v1/messages?beta=true"
            answer = http.post(url, json=body, headers={**headers, **extra})
        request = provider.last.request
        found.append((answer, request.headers, request.body))
    return found


HEADERS = {
    "Accept": "application/json",
    "X-App": "cli",
    "anthropic-version": "2023-06-01",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "x-client-request-id": "acadc392",
}


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_not_routed_is_the_same_to_the_byte(
    bare_proxy: SubprocessProxy,
    proxy: InProcessProxy,
    provider: StandIn,
    account: str,
    streamed: bool,
    http2: bool,
) -> None:
    headers = {
        **HEADERS,
        "authorization": f"Bearer sk-ant-oat01-{account}",
        "anthropic-beta": "oauth-2025-04-20",
    }
    (plain, *sent), (routed, *passed) = both(
        bare_proxy, proxy, provider, headers, {}, {**ASK, "stream": streamed}, http2=http2
    )
    assert sent == passed
    assert routed.content == plain.content
    assert quiet(routed) == quiet(plain)


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_routed_request_differs_in_the_model_and_what_its_length_implies(
    bare_proxy: SubprocessProxy,
    proxy: InProcessProxy,
    provider: StandIn,
    key: str,
    streamed: bool,
    http2: bool,
) -> None:
    headers = {**HEADERS, "x-api-key": key}
    (plain, sent, body), (routed, passed, changed) = both(
        bare_proxy, proxy, provider, headers, TO_HAIKU, {**ASK, "stream": streamed}, http2=http2
    )
    assert changed == body.replace(OPUS.encode(), HAIKU.encode())
    may_differ = {"content-length", "accept-encoding"}
    assert [name for name, _ in sent] == [name for name, _ in passed]
    for (name, before), (_, after) in zip(sent, passed, strict=True):
        assert before == after or name.lower() in may_differ
    assert quiet(routed) == quiet(plain)
    assert {name for name in routed.headers if name.startswith("x-router-")} >= {
        "x-router-model",
        "x-router-decision",
        "x-router-strategy",
        "x-router-session",
        "x-router-provider",
    }


def test_a_stream_that_needs_no_marker_keeps_its_events_byte_for_byte(
    bare_proxy: SubprocessProxy, proxy: InProcessProxy, provider: StandIn, key: str
) -> None:
    (plain, *_), (routed, *_) = both(
        bare_proxy,
        proxy,
        provider,
        {**HEADERS, "x-api-key": key},
        {"x-router-model": OPUS},
        {**ASK, "stream": True},
    )
    before, after = plain.content.split(b"\n\n"), routed.content.split(b"\n\n")
    assert after[1:] == before[1:]
    assert len(after) == len(before)


def quiet(answer: httpx2.Response) -> list[tuple[str, str]]:
    """A head without the clock, the router and what the length of a body implies."""
    changing = ("date", "content-length", "transfer-encoding")
    return [
        (name, value)
        for name, value in answer.headers.items()
        if name not in changing and not name.startswith("x-router-") and not name.endswith("-reset")
    ]


def test_a_compressed_refusal_is_understood(client: anthropic.Anthropic, provider: StandIn) -> None:
    refusal = gzip.compress(error_body(400, "thinking.type: no", "req_1"))
    head = {"content-type": "application/json", "content-encoding": "gzip"}
    provider.script(Page(refusal, 400, head), STEP)
    said = client.messages.create(**ADAPTIVE, extra_headers=TO_HAIKU)
    assert said.content[-1].type == "tool_use"
    assert [record.model for record in provider.messages] == [HAIKU, OPUS]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_a_refusal_too_long_to_hold_reaches_the_client(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, http2: bool
) -> None:
    provider.script(Fault(400, "thinking: " + "no, " * 200_000))
    with pytest.raises(anthropic.BadRequestError) as refused:
        connect(proxy, http2=http2).messages.create(**ADAPTIVE, extra_headers=TO_HAIKU)
    assert len(str(refused.value)) > 800_000
    assert len(provider.messages) == 1


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_a_refusal_that_breaks_off_ends_as_an_error(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, http2: bool
) -> None:
    provider.script(Page(error_body(400, "thinking: no", "req_1"), 400, broken=Break(events=0, half=True)))
    with pytest.raises(anthropic.APIError):
        connect(proxy, http2=http2).messages.create(**ADAPTIVE, extra_headers=TO_HAIKU)
    said = connect(proxy).messages.create(**ASK, extra_headers=TO_HAIKU)
    assert said.content[-1].type == "text"


def test_a_refusal_without_a_body_passes(raw: httpx2.Client, provider: StandIn) -> None:
    provider.script(Page(b"", 400, {"content-type": "application/json"}))
    answer = raw.post("/v1/messages", json=ADAPTIVE, headers=TO_HAIKU)
    assert (answer.status_code, answer.content) == (400, b"")
    assert len(provider.messages) == 1
