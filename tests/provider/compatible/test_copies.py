"""The providers that copy an API: what they refuse, and that the real SDKs read what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from provider.answers import Answer, Call, Text, Think
from provider.compatible.hosts import HOSTS, LITELLM, LOCAL, MISTRAL_OWN, OPENROUTER, Host
from provider.proxy import trust
from provider.standin import StandIn

HI = [{"role": "user", "content": "hi"}]
LS = {"type": "function", "function": {"name": "ls", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "abcdefgh1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "abcdefgh1", "content": "ok"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
names = pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("copies")) as made, made.reachable():
        yield made


@pytest.fixture
def provider(running: StandIn) -> Iterator[StandIn]:
    running.reset()
    yield running
    running.check()


@pytest.fixture(scope="module")
def http(running: StandIn) -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=trust(running.ca_file), http2=True) as made:
        yield made


def base(provider: StandIn, host: Host) -> str:
    return provider.local_url if host is LOCAL else f"https://{host.host}"


def refusal(provider: StandIn, http: httpx2.Client, host: Host, body: dict[str, Any]) -> str:
    """What the provider has against it; "" if nothing."""
    keys = {"authorization": f"Bearer {provider.key(host.name, 'one')}"}
    url = f"{base(provider, host)}{host.chat}/chat/completions"
    answer = http.post(url, json={"model": next(iter(host.models)), "messages": HI, **body}, headers=keys)
    if answer.status_code == 200:
        return ""
    assert answer.status_code in (400, 404)
    error = answer.json()["error"]
    return f"{error['param']}: {error['message']}"


@names
def test_the_sdk_reads_streams_and_bodies(provider: StandIn, host: Host) -> None:
    http = openai.DefaultHttpxClient(verify=trust(provider.ca_file))
    url, key = f"{base(provider, host)}{host.chat}", provider.key(host.name, "one")
    answer = Answer((Think("Let me see."), Text("Platform nine"), Call("ls", {"path": "/tmp/é"})))
    with openai.OpenAI(api_key=key, base_url=url, http_client=http, max_retries=0) as client:
        assert client.models.list().data[0].id in host.models
        for name, model in host.models.items():
            provider.script(answer, answer)
            asked: Any = {"model": name, "messages": HI, "tools": [LS]}
            said = client.chat.completions.create(**asked).choices[0]
            options: Any = {} if "stream_options" in host.without else {"include_usage": True}
            more: Any = {"stream_options": options} if options else {}
            chunks = list(client.chat.completions.create(**asked, stream=True, **more))
            assert said.message.content == "Platform nine" and said.finish_reason == "tool_calls"
            assert said.message.tool_calls and said.message.tool_calls[0].function.name == "ls"  # type: ignore[union-attr]
            deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
            assert "".join(delta.content or "" for delta in deltas) == "Platform nine"
            thoughts = "".join(getattr(delta, host.reasoning, None) or "" for delta in deltas)
            assert thoughts == ("Let me see." if model.thinks else "")
            pieces = [call.function for delta in deltas for call in delta.tool_calls or ()]
            assert "".join(each.arguments or "" for each in pieces if each) == '{"path": "/tmp/é"}'
            usage = [chunk.usage for chunk in chunks if chunk.usage]
            assert [each.completion_tokens for each in usage] == [provider.last.message.output_tokens]
            assert {chunk.model for chunk in chunks} == {name}
    http.close()


@pytest.mark.parametrize(
    "host", [host for host in HOSTS if host.messages is not None], ids=lambda host: host.name
)
def test_the_sdk_reads_copies_of_messages(provider: StandIn, host: Host) -> None:
    http = anthropic.DefaultHttpxClient(verify=trust(provider.ca_file))
    url, key = f"{base(provider, host)}{host.messages}", provider.key(host.name, "one")
    with anthropic.Anthropic(auth_token=key, base_url=url, http_client=http, max_retries=0) as client:
        for name in host.copied:
            asked: Any = {"model": name, "max_tokens": 50, "messages": HI}
            assert client.messages.create(**asked).model == name
            with client.messages.stream(**asked) as stream:
                assert stream.get_final_text() == "Hello from the stand-in provider."
            assert client.messages.count_tokens(model=name, messages=HI).input_tokens > 0  # type: ignore[arg-type]
    http.close()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"router": 1}, "router"),
    ({"model": "claude-haiku"}, "claude-haiku"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": "hi", "cache_control": {}}]}, "messages[0].cache_control"),
    ({"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}]}, "tool_call"),
    ({"messages": [*HI, RESULT]}, "tool"),
    ({"messages": [*HI, {"role": "assistant", "content": None}]}, "content"),
    ({"messages": [{"role": "critic", "content": "hi"}]}, "critic"),
    ({"tools": []}, "tools"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tools": [LS], "tool_choice": {"type": "function", "function": {"name": "rm"}}}, "tool_choice"),
    ({"max_tokens": 10_000_000}, "max_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"n": 2}, "choice"),
    ({"store": False}, "store"),
    ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
    ({"stream": "yes"}, "stream"),
]


@pytest.mark.parametrize("host", [OPENROUTER, MISTRAL_OWN, LOCAL], ids=lambda host: host.name)
@pytest.mark.parametrize(("body", "named"), BAD)
def test_what_none_of_them_takes(
    provider: StandIn, http: httpx2.Client, host: Host, body: dict[str, Any], named: str
) -> None:
    if named == "choice" and "n" in host.without:
        named = "'n'"
    assert named in refusal(provider, http, host, body)


@names
def test_ids_of_calls(provider: StandIn, http: httpx2.Client, host: Host) -> None:
    said = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    if next(iter(host.models.values())).thinks:
        said[host.reasoning] = "Hm."
    asked = {"messages": [*HI, said, RESULT], "tools": [LS]}
    assert refusal(provider, http, host, asked) == ""
    for length in (41, *([24] if host.name == "mistral" else [])):
        said["tool_calls"] = [{**CALL, "id": "a" * length}]
        assert "id" in refusal(provider, http, host, asked)
    said["tool_calls"] = [{**CALL, "function": {"name": "ls", "arguments": "{"}}]
    assert "arguments" in refusal(provider, http, host, asked)


@pytest.mark.parametrize(
    ("host", "body", "named"),
    [
        (OPENROUTER, {"model": "moonshotai/kimi-k2.6", "reasoning": {"effort": "low"}}, ""),
        (OPENROUTER, {"provider": {"order": ["x"]}, "reasoning": {"enabled": False}}, ""),
        (LITELLM, {"provider": {"order": ["x"]}}, "provider"),
        (LITELLM, {"reasoning": {"effort": "low"}}, "reasoning"),
        (LITELLM, {"model": "kimi-k2.6", "messages": [{"role": "user", "content": [IMAGE]}]}, ""),
        (LITELLM, {"model": "minimax-m2.7", "messages": [{"role": "user", "content": [IMAGE]}]}, "image_url"),
        (LITELLM, {"model": "claude-haiku-4-5", "reasoning_effort": "low"}, "reasoning_effort"),
        (LITELLM, {"stream_options": {"include_usage": True}}, "stream_options"),
        (LITELLM, {"stream": True, "stream_options": {"include_obfuscation": True}}, "include_obfuscation"),
        (LITELLM, {"max_tokens": 9, "max_completion_tokens": 9}, "max_tokens"),
    ],
)
def test_where_they_differ(
    provider: StandIn, http: httpx2.Client, host: Host, body: dict[str, Any], named: str
) -> None:
    found = refusal(provider, http, host, body)
    assert named in found and bool(named) == bool(found)


def test_thoughts_go_back_within_a_tool_loop(provider: StandIn, http: httpx2.Client) -> None:
    said: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    asked = {"messages": [*HI, said, RESULT], "tools": [LS], "model": "kimi-k2.6"}
    assert "reasoning_content is missing" in refusal(provider, http, LITELLM, asked)
    asked["messages"] = [*HI, said | {"reasoning_content": "Hm."}, RESULT]
    assert refusal(provider, http, LITELLM, asked) == ""
    asked["messages"] = [*HI, said, RESULT, {"role": "assistant", "content": "ok"}, *HI]
    assert refusal(provider, http, LITELLM, asked) == ""


@pytest.mark.parametrize("secret", ["", "nonsense"])
def test_without_a_key_of_its_own(provider: StandIn, http: httpx2.Client, secret: str) -> None:
    keys = {"authorization": f"Bearer {secret}"} if secret else {}
    for host in HOSTS:
        body = {"model": next(iter(host.models)), "messages": HI}
        answer = http.post(f"{base(provider, host)}{host.chat}/chat/completions", json=body, headers=keys)
        assert answer.status_code == (200 if host.keyless and not secret else 401)
