"""OpenAI's own SDK behind the proxy, where its two APIs need more than a comparison with an unrouted run."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from e2e.sdks import MARKER, markers_in, openai_client
from e2e.support import Rows
from provider.answers import Answer, Call, Fault, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn

ASKED, SERVED = "gpt-5.4", "gpt-5.4-mini"
FORCED = {"x-router-model": SERVED}
HELLO: Any = [{"role": "user", "content": "Which platform does the night train leave from?"}]
both_apis = pytest.mark.parametrize("api", ["chat", "responses"])
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])


@pytest.fixture
def sdk(proxy: InProcessProxy, account: str) -> Iterator[openai.OpenAI]:
    """The real SDK behind the routed proxy."""
    client = openai_client(proxy, f"sk-proj-{account}")
    yield client
    client.close()


def ask(client: openai.OpenAI, api: str, streamed: bool, **request: Any) -> Any:
    """The answer, or the list of what was streamed."""
    request = {"model": ASKED, **request}
    if api == "chat":
        answer: Any = client.chat.completions.create(**{"messages": HELLO, **request}, stream=streamed)
    else:
        answer = client.responses.create(**{"input": HELLO, **request}, stream=streamed)
    return list(answer) if streamed else answer


def text_of(answer: Any) -> str:
    """All text of a body of either API, or of its stream."""
    if not isinstance(answer, list):
        return answer.output_text if answer.object == "response" else answer.choices[0].message.content or ""
    if hasattr(answer[0], "choices"):
        return "".join(choice.delta.content or "" for chunk in answer for choice in chunk.choices)
    return "".join(event.delta for event in answer if event.type == "response.output_text.delta")


@both_apis
@both_ways
def test_by_default_a_prompt_is_scored_and_never_served_by_a_dearer_model(
    sdk: openai.OpenAI, provider: StandIn, rows: Rows, api: str, streamed: bool
) -> None:
    provider.script(Answer((Text("Platform nine."),)))
    said = ask(sdk, api, streamed, model="gpt-5.5")
    (row,) = rows.wait(lambda found: len(found) == 1 and found[0]["complete"] is not None)
    assert (row["strategy"], row["requested_model"]) == ("cluster", "gpt-5.5")
    assert provider.last.model == row["served_model"]
    assert json.loads(row["candidates"]) and json.loads(row["clusters"])
    assert 0 < row["cost_usd"] <= row["requested_cost_usd"] * (1 + 1e-9)
    assert (row["status"], row["complete"], row["error"]) == (200, 1, None)
    assert [record.status for record in provider.messages] == [200]
    assert text_of(said).endswith("Platform nine.")
    changed = row["served_model"] != "gpt-5.5"
    assert markers_in(text_of(said)) == [row["served_model"]] * changed


@both_apis
def test_several_at_once(proxy: InProcessProxy, provider: StandIn, account: str, api: str) -> None:
    """The asynchronous client; each stream gets its own marker and its own answer."""
    provider.responder = lambda record: Answer((Text(re.findall(r"number \d\d", str(record.body))[0]),))

    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        given: Any = {"model": ASKED, "stream": True, "extra_headers": FORCED}
        question = [{"role": "user", "content": f"number {number:02}"}]
        if api == "chat":
            stream = await client.chat.completions.create(messages=question, **given)
            return "".join([c.delta.content or "" async for chunk in stream for c in chunk.choices])
        stream = await client.responses.create(input=question, **given)
        return "".join([e.delta async for e in stream if e.type == "response.output_text.delta"])

    async def all_of_them() -> list[str]:
        async with openai_client(proxy, f"sk-{account}", kind=openai.AsyncOpenAI) as client:
            return list(await asyncio.gather(*(one(client, number) for number in range(6))))

    said = asyncio.run(all_of_them())
    assert [markers_in(text) for text in said] == [[SERVED]] * 6
    assert [MARKER.sub("", text) for text in said] == [f"number {number:02}" for number in range(6)]
    assert {record.model for record in provider.messages} == {SERVED}


@both_apis
@both_ways
def test_the_head_names_the_requested_model_and_says_what_was_decided(
    sdk: openai.OpenAI, provider: StandIn, rows: Rows, api: str, streamed: bool
) -> None:
    resource: Any = sdk.chat.completions if api == "chat" else sdk.responses
    what = {"messages": HELLO} if api == "chat" else {"input": HELLO}
    raw = resource.with_raw_response.create(model=ASKED, stream=streamed, extra_headers=FORCED, **what)
    head = raw.headers
    said = raw.parse()
    said = list(said) if streamed else said
    assert head["openai-model"] == ASKED
    assert head["x-router-model"] == SERVED and head["x-router-provider"] == "openai"
    assert head["x-router-decision"] == rows.last["id"]
    assert head["x-request-id"] == provider.last.request_id == rows.last["request_id"]
    assert head["openai-organization"] and head["x-ratelimit-remaining-requests"]
    if api == "responses":
        assert head["x-codex-turn-state"]
    assert said


def test_no_chunk_without_choices_is_shown_unasked(sdk: openai.OpenAI, provider: StandIn, rows: Rows) -> None:
    """The router asks for the usage, keeps it, and takes its chunk out again."""
    chunks = ask(sdk, "chat", True, extra_headers=FORCED)
    assert provider.last.body["stream_options"] == {"include_usage": True}
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    (row,) = rows.wait(lambda found: bool(found[-1]["output_tokens"]))
    assert row["output_tokens"] == provider.last.message.output_tokens
    asked = ask(sdk, "chat", True, extra_headers=FORCED, stream_options={"include_usage": True})
    assert [bool(chunk.choices) for chunk in asked].count(False) == 1
    assert not asked[-1].choices and asked[-1].usage.completion_tokens == row["output_tokens"]
    options = {"include_obfuscation": False}
    ask(sdk, "chat", True, extra_headers=FORCED, stream_options=options)
    assert provider.last.body["stream_options"] == {**options, "include_usage": True}


@both_apis
def test_without_a_marker_the_program_finds_the_decision_in_the_answer(
    sdk: openai.OpenAI, rows: Rows, api: str
) -> None:
    said = ask(sdk, api, False, extra_headers={**FORCED, "x-router-marker": "off"})
    assert not markers_in(text_of(said))
    assert said.model_extra["x_router"]["decision"] == rows.last["id"]
    assert said.model_extra["x_router"]["model"] == SERVED


@both_apis
@pytest.mark.parametrize("mode", ["comment", "off"])
def test_a_comment_in_a_stream_is_no_matter_to_the_sdk(
    sdk: openai.OpenAI, proxy: InProcessProxy, provider: StandIn, rows: Rows, api: str, mode: str
) -> None:
    provider.script(*[Answer((Text("Platform nine."),))] * 2)
    headers = {**FORCED, "x-router-marker": mode}
    assert text_of(ask(sdk, api, True, extra_headers=headers)) == "Platform nine."
    resource: Any = sdk.chat.completions if api == "chat" else sdk.responses
    what = {"messages": HELLO} if api == "chat" else {"input": HELLO}
    raw = resource.with_raw_response.create(model=ASKED, stream=True, extra_headers=headers, **what)
    lines = list(raw.http_response.iter_lines())
    comments = [line for line in lines if line.startswith(":")]
    assert [SERVED in line for line in comments] == [True] * (mode == "comment")
    assert [row["marker"] for row in rows.all()] == [mode] * 2


def test_a_conversation_that_the_provider_keeps(
    sdk: openai.OpenAI, provider: StandIn, rows: Rows, account: str
) -> None:
    provider.families["openai"].store.resources.add((account, "conv_1"))  # type: ignore[attr-defined]
    for question in ("Which platform?", "And when?"):
        said = sdk.responses.create(model="gpt-5.5", input=question, conversation="conv_1")
        assert said.model == "gpt-5.5"
    assert [record.status for record in provider.messages] == [200] * 2
    assert [record.body["conversation"] for record in provider.messages] == ["conv_1"] * 2
    assert [row["served_model"] for row in rows.all()] == [record.model for record in provider.messages]


@both_apis
@both_ways
def test_what_no_person_reads_or_the_provider_keeps_is_left_alone(
    sdk: openai.OpenAI, provider: StandIn, rows: Rows, api: str, streamed: bool
) -> None:
    """Background responses are left alone; titles and probes are their client's own business."""
    if api == "responses":
        said = ask(sdk, api, streamed, background=True)
    else:
        title = [{"role": "user", "content": "Generate a title for this conversation:\nhello"}]
        said = ask(sdk, api, streamed, messages=title)
    assert provider.last.model == ASKED and not markers_in(text_of(said))
    assert rows.last["served_model"] == ASKED


@both_apis
@pytest.mark.parametrize(
    "given",
    [
        {"tool_choice": "required"},
        {"tool_choice": {"mode": "required", "type": "allowed_tools"}},
    ],
    ids=["required", "allowed"],
)
def test_no_marker_before_a_call_that_has_to_come(
    sdk: openai.OpenAI, provider: StandIn, api: str, given: dict[str, Any]
) -> None:
    function = {"name": "timetable", "parameters": {"type": "object"}}
    tool = {"type": "function", "function": function} if api == "chat" else {"type": "function", **function}
    choice: Any = given["tool_choice"]
    if isinstance(choice, dict):
        named = {"type": "function", **({"function": {"name": "timetable"}} if api == "chat" else function)}
        named.pop("parameters", None)
        allowed = {"mode": "required", "tools": [named]}
        choice = {"type": "allowed_tools", **({"allowed_tools": allowed} if api == "chat" else allowed)}
    provider.script(Answer((Text("I look."), Call("timetable", {}))))
    said = ask(sdk, api, True, tools=[tool], tool_choice=choice, extra_headers=FORCED)
    assert provider.last.model == SERVED
    assert text_of(said) == "I look."


@both_apis
def test_errors_are_those_of_the_provider_and_of_the_router_in_its_words(
    sdk: openai.OpenAI, provider: StandIn, api: str
) -> None:
    provider.script(Fault(429, "Slow down.", "rate_limit_exceeded", {"retry-after": "7"}))
    with pytest.raises(openai.RateLimitError) as limited:
        ask(sdk, api, True, extra_headers=FORCED)
    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.BadRequestError) as bad:
        ask(sdk, api, True, extra_headers={"x-router-alpha": "much"})
    assert "x-router-alpha" in bad.value.message and bad.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError, match="claude-haiku-4-5"):
        ask(sdk, api, False, extra_headers={"x-router-model": "claude-haiku-4-5"})


@both_apis
def test_an_error_inside_a_stream_reaches_the_program(
    sdk: openai.OpenAI, provider: StandIn, rows: Rows, api: str
) -> None:
    """The SDK raises over Chat Completions; over Responses it hands the event on."""
    provider.script(Answer((Text("Platform nine, at ten."),), overload_after=2 if api == "chat" else 6))
    if api == "chat":
        with pytest.raises(openai.APIError, match="overloaded"):
            ask(sdk, api, True, extra_headers=FORCED)
    else:
        events = ask(sdk, api, True, extra_headers=FORCED)
        assert (events[-1].type, events[-1].code) == ("error", "server_is_overloaded")
        assert [event.sequence_number for event in events] == list(range(len(events)))
    (row,) = rows.wait(lambda found: found[-1]["complete"] is not None)
    assert "overloaded" in row["error"]


@both_apis
@pytest.mark.parametrize("tear", [1, 7])
def test_a_stream_in_the_smallest_pieces(sdk: openai.OpenAI, provider: StandIn, api: str, tear: int) -> None:
    provider.script(Answer((Text("Gleis ⑨ ✦ \u2028 “done”"),), tear=tear))
    said = text_of(ask(sdk, api, True, extra_headers=FORCED))
    assert markers_in(said) == [SERVED]
    assert MARKER.sub("", said) == "Gleis ⑨ ✦ \u2028 “done”"


def test_the_environment_alone_is_enough(
    monkeypatch: pytest.MonkeyPatch, proxy: InProcessProxy, provider: StandIn, account: str
) -> None:
    """HTTPS_PROXY and SSL_CERT_FILE, and the SDK as anybody would write it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.ca_file))
    monkeypatch.setenv("OPENAI_API_KEY", f"sk-{account}")
    with openai.OpenAI() as client:
        said = client.responses.create(model=ASKED, input="hello", extra_headers=FORCED)
    assert provider.last.model == SERVED and said.model == ASKED
