"""The stand-in over TLS, through bare mitmproxy and with the real SDK: what the end-to-end tests stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic.types import MessageParam
from provider.answers import Answer, Call, Page, Text, overloaded, rate_limited
from provider.proxy import SubprocessProxy, trust
from provider.standin import StandIn

HELLO: list[MessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StandIn, SubprocessProxy]]:
    folder: Path = tmp_path_factory.mktemp("bare")
    with (
        StandIn(folder) as provider,
        SubprocessProxy(provider, folder, script=None, settings={"stream_large_bodies": "1"}) as proxy,
    ):
        yield provider, proxy
    provider.check()


@pytest.fixture(params=["h1", "h2"])
def client(
    request: pytest.FixtureRequest, bare: tuple[StandIn, SubprocessProxy]
) -> Iterator[anthropic.Anthropic]:
    provider, proxy = bare
    http = anthropic.DefaultHttpxClient(
        proxy=proxy.url, verify=trust(proxy.ca_file), http2=request.param == "h2"
    )
    with anthropic.Anthropic(api_key="sk-ant-api03-bare", http_client=http, max_retries=0) as made:
        yield made
    assert provider.last.request.http == ("2" if request.param == "h2" else "1.1")


def test_the_sdk_reads_streams_and_bodies(
    bare: tuple[StandIn, SubprocessProxy], client: anthropic.Anthropic
) -> None:
    said = client.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    bare[0].script(Answer((Text("Élan. " * 40), Call("ls", {"path": "/tmp/é"})), tear=3))
    with client.messages.stream(
        model="claude-opus-4-8", max_tokens=50, thinking={"type": "adaptive"}, messages=HELLO
    ) as stream:
        streamed = stream.get_final_message()
    assert said.content[0].type == "text"
    assert [block.type for block in streamed.content] == ["thinking", "text", "tool_use"]
    counted = bare[0].last.counted
    assert counted is not None and streamed.usage.input_tokens == counted.input


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_compressed_stream_is_flushed_event_by_event(
    bare: tuple[StandIn, SubprocessProxy], client: anthropic.Anthropic, encoding: str
) -> None:
    bare[0].script(Answer((Text("hello " * 30),), encoding=encoding))
    with client.messages.stream(model="claude-haiku-4-5", max_tokens=50, messages=HELLO) as stream:
        assert stream.get_final_text() == "hello " * 30


def test_faults_have_anthropics_shape(
    bare: tuple[StandIn, SubprocessProxy], client: anthropic.Anthropic
) -> None:
    bare[0].script(rate_limited(7), overloaded(), Page(b"<html>"))
    with pytest.raises(anthropic.RateLimitError) as limited:
        client.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.APIStatusError) as busy:
        client.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    assert busy.value.status_code == 529
    page = client.messages.with_raw_response.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)
    assert page.http_response.content == b"<html>"


def test_streams_break_where_they_are_told(
    bare: tuple[StandIn, SubprocessProxy], client: anthropic.Anthropic
) -> None:
    bare[0].script(Answer(overload_after=4), Answer(cut_after=4))
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(model="claude-haiku-4-5", max_tokens=50, messages=HELLO) as stream,
    ):
        stream.get_final_message()
    with (
        pytest.raises(httpx2.RemoteProtocolError),
        client.messages.stream(model="claude-haiku-4-5", max_tokens=50, messages=HELLO) as stream,
    ):
        stream.get_final_message()


def test_router_headers_and_markers_are_violations(tmp_path: Path) -> None:
    with StandIn(tmp_path) as provider:
        http = httpx2.Client(verify=trust(provider.ca_file), http2=True)
        with provider.reachable(), http:
            headers = {"x-api-key": "sk-ant-api03-a", "anthropic-version": "2023-06-01"}
            headers["X-Router-Model"] = "x"
            marked = [{"role": "user", "content": "\u2063\u2060\u2063"}]
            body = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": marked}
            answer = http.post("https://api.anthropic.com/v1/messages", headers=headers, json=body)
            headers["x-api-key"] = "nonsense"
            refused = http.post("https://api.anthropic.com/v1/messages", headers=headers, json=body)
        assert answer.status_code == 200
        assert len(provider.violations) == 4
        with pytest.raises(AssertionError):
            provider.check()
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
