"""Google's own SDK behind the proxy, where its API needs more than a comparison with an unrouted run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from e2e.sdks import MARKER, genai_client, markers_in
from e2e.support import Rows
from provider.answers import Answer, Call, Text, Think
from provider.gemini.answers import blocked, exhausted
from provider.proxy import InProcessProxy, trust
from provider.standin import StandIn

pytest.importorskip("google.genai", reason="Google's SDK is not installed")
from google import genai
from google.genai import errors, types

ASKED, SERVED = "gemini-3.8-flash", "gemini-3.6-flash"
HELLO = "Which platform does the night train leave from?"
FORCED = {"x-router-model": SERVED}
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])
both_versions = pytest.mark.parametrize("api", ["v1", "v1beta"])


@pytest.fixture
def connect(proxy: InProcessProxy, account: str) -> Iterator[Callable[..., genai.Client]]:
    made: list[genai.Client] = []

    def make(api: str = "") -> genai.Client:
        made.append(genai_client(proxy, f"AIza-{account}", api))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def sdk(connect: Callable[..., genai.Client]) -> genai.Client:
    return connect()


def config(headers: dict[str, str] | None = None, **more: Any) -> types.GenerateContentConfig:
    given = FORCED if headers is None else headers
    return types.GenerateContentConfig(http_options=types.HttpOptions(headers=given), **more)


def ask(client: genai.Client, streamed: bool, **given: Any) -> list[types.GenerateContentResponse]:
    given = {"model": ASKED, "contents": HELLO, "config": config(), **given}
    if streamed:
        return list(client.models.generate_content_stream(**given))
    return [client.models.generate_content(**given)]


def text_of(answer: list[types.GenerateContentResponse]) -> str:
    return "".join(chunk.text or "" for chunk in answer)


@both_ways
@both_versions
def test_by_default_a_prompt_is_scored_and_never_served_by_a_dearer_model(
    connect: Callable[..., genai.Client], provider: StandIn, rows: Rows, api: str, streamed: bool
) -> None:
    provider.script(Answer((Text("Platform nine."),)))
    asked = "gemini-3.1-pro-preview"
    said = ask(connect(api), streamed, model=asked, config=config({}))
    (row,) = rows.wait(lambda found: len(found) == 1 and found[0]["complete"] is not None)
    assert (row["strategy"], row["requested_model"], row["surface"]) == ("cluster", asked, "gemini")
    assert provider.last.path.startswith(f"/{api}/models/{row['served_model']}:")
    assert json.loads(row["candidates"]) and json.loads(row["clusters"])
    assert 0 < row["cost_usd"] <= row["requested_cost_usd"] * (1 + 1e-9)
    assert (row["status"], row["complete"], row["error"]) == (200, 1, None)
    assert [record.status for record in provider.messages] == [200]
    assert {chunk.model_version for chunk in said} == {asked}
    changed = row["served_model"] != asked
    assert markers_in(text_of(said)) == [row["served_model"]] * changed
    assert MARKER.sub("", text_of(said)) == "Platform nine."


@pytest.mark.parametrize("models", [("gemini-3.6-flash", "gemini-3.8-flash"), ("gemini-2.5-flash", SERVED)])
def test_a_conversation_may_change_its_model_between_turns(
    sdk: genai.Client, provider: StandIn, rows: Rows, models: tuple[str, str]
) -> None:
    """The signatures of one model are read by the next, or are replaced where it would refuse them."""
    declared = types.FunctionDeclaration(name="timetable", parameters_json_schema={"type": "object"})
    tools = [types.Tool(function_declarations=[declared])]
    called = Answer((Think("Hm."), Text("I look."), Call("timetable", {"train": "9"})))
    said = Answer((Text("Nine."),))
    provider.script(called, said, called, said)
    chat = sdk.chats.create(model="gemini-3.1-pro-preview")
    for question, model in zip(("When does it leave?", "And where to?"), models, strict=True):
        given = config({"x-router-model": model}, tools=tools)
        chunks = list(chat.send_message_stream(question, given))
        (call,) = [call for chunk in chunks for call in chunk.function_calls or ()]
        result = types.FunctionResponse(id=call.id, name=call.name, response={"output": "ok"})
        chunks = list(chat.send_message_stream(types.Part(function_response=result), given))
        assert text_of(chunks).endswith("Nine.")
    answered = [record for record in provider.messages if record.status == 200]
    assert [record.model for record in answered] == [models[0]] * 2 + [models[1]] * 2
    assert len(provider.messages) == 4
    assert [row["served_model"] for row in rows.all()] == [record.model for record in answered]


@both_versions
def test_tokens_are_counted_for_the_serving_model(
    connect: Callable[..., genai.Client], provider: StandIn, rows: Rows, api: str
) -> None:
    client = connect(api)
    (said,) = ask(client, False)
    counted = client.models.count_tokens(model=ASKED, contents=HELLO)
    assert said.usage_metadata is not None
    assert counted.total_tokens == said.usage_metadata.prompt_token_count
    assert provider.records[-1].path == f"/{api}/models/{SERVED}:countTokens"
    assert [row["endpoint"] for row in rows.all()] == ["generate"]


@both_ways
def test_what_is_cached_for_a_model_stays_with_it(
    sdk: genai.Client, provider: StandIn, rows: Rows, streamed: bool
) -> None:
    kept = sdk.caches.create(model=ASKED, config=types.CreateCachedContentConfig(contents=["x" * 20_000]))
    said = ask(sdk, streamed, config=config({}, cached_content=kept.name))
    assert (provider.last.model, provider.last.status) == (ASKED, 200)
    assert not markers_in(text_of(said))
    usage = said[-1].usage_metadata
    assert usage is not None
    (row,) = rows.wait(lambda found: found[-1]["complete"] is not None)
    assert (row["served_model"], row["cache_read_tokens"]) == (ASKED, usage.cached_content_token_count)
    assert row["cache_read_tokens"] > 4096


@both_ways
def test_the_head_says_what_was_decided(
    sdk: genai.Client, provider: StandIn, rows: Rows, streamed: bool
) -> None:
    head: Any = ask(sdk, streamed)[0].sdk_http_response
    assert head.headers["x-router-model"] == SERVED
    assert head.headers["x-router-provider"] == "gemini"
    assert head.headers["x-router-decision"] == rows.last["id"]
    assert head.headers["server-timing"]


def test_a_stream_that_is_a_json_array_carries_no_marker(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, account: str
) -> None:
    """Without alt=sse: what no SDK asks for, but people with curl do."""
    provider.script(Answer((Text("Platform nine, at ten."),)))
    url = f"https://generativelanguage.googleapis.com/v1beta/models/{ASKED}:streamGenerateContent"
    head = {"x-goog-api-key": f"AIza-{account}", "x-router-marker": "text", **FORCED}
    body = {"contents": [{"role": "user", "parts": [{"text": HELLO}]}]}
    with httpx2.Client(proxy=proxy.url, verify=trust(proxy.ca_file)) as client:
        answer = client.post(url, json=body, headers=head)
    chunks = answer.json()
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "Platform nine, at ten."
    assert {chunk["modelVersion"] for chunk in chunks} == {ASKED}
    assert provider.last.model == SERVED
    (row,) = rows.wait(lambda found: found[-1]["complete"] is not None)
    assert row["complete"] and row["output_tokens"] == provider.last.message.output_tokens


def test_several_at_once(proxy: InProcessProxy, provider: StandIn, account: str) -> None:
    """The asynchronous half of the SDK; each stream gets its own marker and its own answer."""
    provider.responder = lambda record: Answer((Text(record.body["contents"][0]["parts"][0]["text"]),))

    async def one(client: Any, number: int) -> str:
        stream = await client.models.generate_content_stream(
            model=ASKED, contents=f"number {number}", config=config()
        )
        return "".join([chunk.text or "" async for chunk in stream])

    async def all_of_them() -> list[str]:
        async with genai_client(proxy, f"AIza-{account}").aio as client:
            return list(await asyncio.gather(*(one(client, number) for number in range(6))))

    said = asyncio.run(all_of_them())
    assert [markers_in(text) for text in said] == [[SERVED]] * 6
    assert [MARKER.sub("", text) for text in said] == [f"number {number}" for number in range(6)]


@pytest.mark.parametrize(
    "given",
    [
        {"response_mime_type": "application/json", "response_json_schema": {"type": "object"}},
        {"response_mime_type": "text/x.enum", "response_schema": {"type": "STRING", "enum": ["nine", "ten"]}},
        {"max_output_tokens": 1},
    ],
    ids=["json schema", "enum", "one token"],
)
def test_no_marker_where_a_program_reads(sdk: genai.Client, provider: StandIn, given: dict[str, Any]) -> None:
    provider.script(Answer((Text('{"nine": 9}'),)))
    said = text_of(ask(sdk, True, config=config(**given)))
    assert provider.last.model == SERVED
    assert not markers_in(said) and said


def test_what_google_says_instead_of_an_answer_reaches_the_program(
    sdk: genai.Client, provider: StandIn, rows: Rows
) -> None:
    provider.script(exhausted(7), blocked(), Answer((Text("Platform nine."),), overload_after=1))
    with pytest.raises(errors.ClientError) as limited:
        ask(sdk, True)
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    (refused,) = ask(sdk, False)
    assert refused.prompt_feedback is not None and not refused.candidates
    with pytest.raises(errors.ServerError) as broken:
        ask(sdk, True)
    assert broken.value.code == 503
    with pytest.raises(errors.ClientError) as bad:
        ask(sdk, True, config=config({"x-router-alpha": "much"}))
    assert (bad.value.code, bad.value.status) == (400, "INVALID_ARGUMENT")
    assert "x-router-alpha" in str(bad.value)
    found = rows.wait(lambda found: len(found) == 3 and found[-1]["error"])
    assert [row["status"] for row in found] == [429, 200, 200]


@pytest.mark.parametrize("tear", [1, 7])
def test_a_stream_in_the_smallest_pieces(sdk: genai.Client, provider: StandIn, tear: int) -> None:
    provider.script(Answer((Text("Gleis ⑨ ✦ \u2028 “done”"),), tear=tear))
    said = text_of(ask(sdk, True))
    assert markers_in(said) == [SERVED]
    assert MARKER.sub("", said) == "Gleis ⑨ ✦ \u2028 “done”"


def test_the_environment_alone_is_enough(
    monkeypatch: pytest.MonkeyPatch, proxy: InProcessProxy, provider: StandIn, account: str
) -> None:
    """HTTPS_PROXY and SSL_CERT_FILE, and the SDK as anybody would write it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.ca_file))
    monkeypatch.setenv("GEMINI_API_KEY", f"AIza-{account}")
    client = genai.Client()
    said = client.models.generate_content(model=ASKED, contents=HELLO, config=config())
    client.close()
    assert provider.last.model == SERVED and said.model_version == ASKED
