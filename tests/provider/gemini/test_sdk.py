"""Google's own SDK for Python takes the stand-in's answers, and the stand-in takes its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx2
import pytest
from provider.answers import Answer, Call, Fault, Text, Think
from provider.gemini.answers import blocked, exhausted, unavailable
from provider.proxy import trust
from provider.standin import StandIn

pytest.importorskip("google.genai", reason="Google's SDK is not installed")
from google import genai
from google.genai import errors, types

MODEL = "gemini-3.8-flash"


@pytest.fixture
def connect(provider: StandIn) -> Iterator[Callable[[str], genai.Client]]:
    """Google's SDK with the key of an account."""
    made: list[genai.Client] = []

    def client(account: str) -> genai.Client:
        options = types.HttpOptions(client_args={"verify": trust(provider.ca_file)})
        made.append(genai.Client(api_key=f"AIza-{account}", http_options=options))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(connect: Callable[[str], genai.Client]) -> genai.Client:
    return connect("one")


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def test_the_sdk_reads_bodies_and_streams(provider: StandIn, client: genai.Client) -> None:
    said = client.models.generate_content(model=MODEL, contents="hi")
    provider.script(Answer((Text("Élan <b>. " * 9),), tear=3))
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert said.text == "Hello from the stand-in provider."
    assert said.model_version == MODEL and said.response_id
    assert "".join(chunk.text or "" for chunk in chunks) == "Élan <b>. " * 9
    assert {chunk.response_id for chunk in chunks} == {chunks[0].response_id}
    ends = [chunk.candidates and chunk.candidates[0].finish_reason for chunk in chunks]
    assert ends == [None] * (len(chunks) - 1) + [types.FinishReason.STOP]
    usage, counted = chunks[-1].usage_metadata, provider.last.counted
    assert usage is not None and counted is not None
    assert (usage.prompt_token_count, usage.thoughts_token_count) == (counted.total, 8)
    assert usage.total_token_count == counted.total + provider.last.message.output_tokens


def test_thoughts_are_shown_to_who_asks(provider: StandIn, client: genai.Client) -> None:
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    provider.script(*[Answer((Think("Hm."), Text("Yes.")))] * 2)
    shown = client.models.generate_content(model=MODEL, contents="hi", config=config)
    hidden = client.models.generate_content(model=MODEL, contents="hi")
    assert shown.parts is not None and [part.thought for part in shown.parts] == [True, None]
    assert hidden.parts is not None and [part.text for part in hidden.parts] == ["Yes."]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model", [MODEL, "gemini-3.5-flash", "gemini-2.5-flash"])
def test_the_sdk_runs_tools_over_several_turns(
    provider: StandIn, client: genai.Client, model: str, streamed: bool
) -> None:
    """Signatures come back as they were, or the stand-in would refuse the next request."""
    chat = client.chats.create(model=model, config=types.GenerateContentConfig(tools=[get_weather]))
    paris, rome = (Call("get_weather", {"city": city}) for city in ("Paris", "Rome"))
    provider.script(Answer((Text("I look."), paris, rome)), Answer((rome,)))
    provider.script(Answer((Text("Sunny."),)), Answer((Text("Again."),)))
    told = []
    for prompt in ("weather?", "and now?"):
        if streamed:
            told.append("".join(chunk.text or "" for chunk in chat.send_message_stream(prompt)))
        else:
            told.append(chat.send_message(prompt).text or "")
    assert [text.removeprefix("I look.") for text in told] == ["Sunny.", "Again."]
    assert [record.status for record in provider.messages] == [200] * 4
    parts = [part for content in provider.last.body["contents"] for part in content["parts"]]
    calls = [part for part in parts if "functionCall" in part]
    assert ["thoughtSignature" in part for part in calls] == [True, False, True]
    assert {"id" in part["functionCall"] for part in calls} == {model != "gemini-2.5-flash"}
    results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    assert results[0] == {"result": "sunny in Paris"}


def test_the_sdk_reads_structured_output(client: genai.Client) -> None:
    asked = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": ["ICE", "TGV"]},
            "stops": {"$ref": "#/$defs/stops"},
        },
        "required": ["name", "stops"],
        "$defs": {"stops": {"type": "array", "items": {"type": "integer", "minimum": 3}, "minItems": 2}},
    }
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=asked)
    reply = client.models.generate_content(model=MODEL, contents="hi", config=config)
    assert reply.parsed == {"name": "ICE", "stops": [3, 3]}
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema={"type": "BOOLEAN"}
    )
    old = client.models.generate_content(model="gemini-2.5-flash", contents="hi", config=config)
    assert old.text == "false"


def test_several_candidates_are_told_apart(client: genai.Client) -> None:
    config = types.GenerateContentConfig(candidate_count=2)
    whole = client.models.generate_content(model="gemini-3.6-flash", contents="hi", config=config)
    assert [candidate.index for candidate in whole.candidates or ()] == [0, 1]
    texts = {0: "", 1: ""}
    for chunk in client.models.generate_content_stream(
        model="gemini-3.6-flash", contents="hi", config=config
    ):
        for candidate in chunk.candidates or ():
            assert candidate.content is not None
            texts[candidate.index or 0] += "".join(part.text or "" for part in candidate.content.parts or ())
    assert texts[0] == texts[1] == "Hello from the stand-in provider."


def test_the_sdk_counts_lists_and_caches(provider: StandIn, client: genai.Client) -> None:
    tokens = client.models.count_tokens(model=MODEL, contents="hi")
    assert tokens.total_tokens and not provider.messages
    names = [model.name for model in client.models.list(config={"page_size": 5})]
    assert f"models/{MODEL}" in names and len(names) == len(set(names)) == 13
    found = client.models.get(model=MODEL)
    assert (found.name, found.input_token_limit) == (f"models/{MODEL}", 1_048_576)
    kept = client.caches.create(model=MODEL, config={"contents": ["x" * 20_000]})
    assert kept.name is not None and client.caches.get(name=kept.name).model == f"models/{MODEL}"
    config = types.GenerateContentConfig(cached_content=kept.name)
    usage = client.models.generate_content(model=MODEL, contents="hi", config=config).usage_metadata
    assert usage is not None and (usage.cached_content_token_count or 0) > 5000
    with pytest.raises(errors.ClientError, match="has to be the same"):
        client.models.generate_content(model="gemini-3.6-flash", contents="hi", config=config)


def test_the_prompt_cache_shows_in_the_usage(connect: Callable[[str], genai.Client]) -> None:
    config = types.GenerateContentConfig(system_instruction="x" * 20_000)
    cached = []
    for account in ("one", "one", "two"):
        reply = connect(account).models.generate_content(model=MODEL, contents="hi", config=config)
        assert reply.usage_metadata is not None
        cached.append(bool(reply.usage_metadata.cached_content_token_count))
    assert cached == [False, True, False]


def test_faults_reach_the_sdk(provider: StandIn, client: genai.Client) -> None:
    provider.script(exhausted(7), unavailable(), Fault(400, "No.", kind="FAILED_PRECONDITION"), blocked())
    with pytest.raises(errors.ClientError) as limited:
        client.models.generate_content(model=MODEL, contents="hi")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert limited.value.details["error"]["details"][-1]["retryDelay"] == "7s"
    with pytest.raises(errors.ServerError) as busy:
        next(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert (busy.value.code, "UNAVAILABLE" in str(busy.value)) == (503, True)
    with pytest.raises(errors.ClientError) as failed:
        client.models.generate_content(model=MODEL, contents="hi")
    assert failed.value.status == "FAILED_PRECONDITION"
    refused = client.models.generate_content(model=MODEL, contents="hi")
    assert refused.prompt_feedback is not None
    assert refused.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT


@pytest.mark.parametrize("kind", [None, "bare"])
def test_an_error_inside_a_stream_reaches_the_sdk(
    provider: StandIn, client: genai.Client, kind: str | None
) -> None:
    provider.script(Answer(overload_after=2, overload_kind=kind))
    texts = []
    with pytest.raises(errors.ServerError) as caught:
        for chunk in client.models.generate_content_stream(model=MODEL, contents="hi"):
            texts.append(chunk.text)
    assert texts == ["Hello from th", "e stand-in pr"] and caught.value.code == 503


def test_a_cut_stream_breaks_the_sdk(provider: StandIn, client: genai.Client) -> None:
    provider.script(Answer(cut_after=1))
    with pytest.raises(httpx2.TransportError):
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_stream_is_flushed_event_by_event(
    provider: StandIn, client: genai.Client, encoding: str
) -> None:
    provider.script(Answer((Text("hello " * 30),), encoding=encoding))
    chunks = client.models.generate_content_stream(model=MODEL, contents="hi")
    assert "".join(chunk.text or "" for chunk in chunks) == "hello " * 30


def test_accounts_do_not_share_signatures(provider: StandIn, connect: Callable[[str], genai.Client]) -> None:
    provider.script(Answer((Call("ls", {}),)))
    first = connect("one").models.generate_content(model=MODEL, contents="hi")
    assert first.candidates is not None and first.candidates[0].content is not None
    result = types.Part.from_function_response(name="ls", response={"output": ""})
    history = [types.UserContent("hi"), first.candidates[0].content, types.UserContent([result])]
    with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
        connect("two").models.generate_content(model=MODEL, contents=history)
    with pytest.raises(errors.ClientError, match="Invalid thought signature"):
        connect("one").models.generate_content(model="gemini-3.6-flash", contents=history)
    connect("one").models.generate_content(model=MODEL, contents=history)
    assert [record.status for record in provider.messages] == [200, 400, 400, 200]
