"""The real SDK takes the stand-in's answers, and the stand-in takes its requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseInputParam
from provider.answers import Answer, Call, Text, Think, overloaded, rate_limited
from provider.encodings import compress
from provider.openai.family import OpenAI
from provider.openai.samples import CHAT_LS, LS
from provider.standin import StandIn
from pydantic import BaseModel

MODEL = "gpt-6.1-sol"
HELLO: Any = [{"role": "user", "content": "hi"}]


def test_chat_bodies_and_streams(provider: StandIn, client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model="gpt-5-mini", messages=HELLO)
    assert said.choices[0].message.content == "Hello from the stand-in provider."
    assert said.usage is not None and said.usage.prompt_tokens == provider.last.counted.total
    provider.script(Answer((Text("Élan. " * 9), Call("ls", {"path": "/é"}), Call("ls", {})), tear=3))
    with client.chat.completions.stream(
        model="gpt-5-mini", messages=HELLO, tools=[CHAT_LS], stream_options={"include_usage": True}
    ) as stream:
        whole = stream.get_final_completion()
    message = whole.choices[0].message
    assert message.content == "Élan. " * 9 and message.tool_calls is not None
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"path": "/é"}, {}]
    assert whole.usage is not None and whole.usage.completion_tokens == provider.last.message.output_tokens


def test_a_chat_goes_on_after_its_tools(provider: StandIn, client: openai.OpenAI) -> None:
    provider.script(Answer((Text("I look."), Call("ls", {}), Call("ls", {"path": "/"}))))
    first = client.chat.completions.create(model="gpt-5", messages=HELLO, tools=[CHAT_LS]).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in first.tool_calls or []]
    more: Any = [*HELLO, first.model_dump(), *results]
    second = client.chat.completions.create(model="gpt-5", messages=more, tools=[CHAT_LS])
    assert second.choices[0].finish_reason == "stop" and len(results) == 2


def test_responses_bodies_and_streams(provider: StandIn, client: openai.OpenAI) -> None:
    said = client.responses.create(model=MODEL, input="hi")
    assert said.output_text == "Hello from the stand-in provider."
    assert said.usage is not None and said.usage.output_tokens == provider.last.message.output_tokens
    provider.script(Answer((Think("hm"), Text("Élan. " * 9), Call("ls", {"path": "/é"})), tear=3))
    with client.responses.stream(
        model=MODEL, input="hi", tools=[LS], reasoning={"effort": "low", "summary": "auto"}
    ) as stream:
        whole = stream.get_final_response()
    assert whole.output_text == "Élan. " * 9
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
    assert whole.model == MODEL and whole.id == provider.last.message.id


@pytest.mark.parametrize("store", [True, False])
def test_a_response_goes_on_after_its_tools(provider: StandIn, client: openai.OpenAI, store: bool) -> None:
    """By sending everything back, or by naming what is stored."""
    provider.script(Answer((Call("ls", {}), Call("exec", "ls"))))
    asked: Any = {"store": store, "include": ["reasoning.encrypted_content"], "tools": [LS]}
    first = client.responses.create(model=MODEL, input="hi", **asked)
    results: ResponseInputParam = [
        {"type": f"{item.type}_output", "call_id": item.call_id, "output": "ok"}  # type: ignore
        for item in first.output
        if item.type in ("function_call", "custom_tool_call")
    ]
    if store:
        second = client.responses.create(model=MODEL, input=results, previous_response_id=first.id, **asked)
    else:
        back: Any = [*HELLO, *(item.model_dump(exclude_none=True) for item in first.output), *results]
        second = client.responses.create(model=MODEL, input=back, **asked)
    assert second.output_text and len(results) == 2


class Station(BaseModel):
    name: str
    platforms: int


def test_parsed_answers(client: openai.OpenAI) -> None:
    said = client.responses.parse(model=MODEL, input="hi", text_format=Station)
    assert isinstance(said.output_parsed, Station)
    chatted = client.chat.completions.parse(model="gpt-5", messages=HELLO, response_format=Station)
    assert isinstance(chatted.choices[0].message.parsed, Station)


def test_errors_have_openais_shape(provider: StandIn, client: openai.OpenAI) -> None:
    provider.script(rate_limited(7), overloaded())
    with pytest.raises(openai.RateLimitError) as limited:
        client.responses.create(model=MODEL, input="hi")
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.InternalServerError) as busy:
        client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert (busy.value.status_code, busy.value.code) == (503, "server_is_overloaded")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="gpt-nonesuch", input="hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as foreign:
        client.responses.create(model=MODEL, input="hi", extra_body={"x_router": 1})
    assert foreign.value.param == "x_router"
    provider.violations.clear()  # it saw that one too


def test_streams_break_where_they_are_told(provider: StandIn, client: openai.OpenAI) -> None:
    provider.script(Answer(overload_after=2), Answer(overload_after=2), Answer(cut_after=2))
    with pytest.raises(openai.APIError, match="overloaded"):
        list(client.chat.completions.create(model="gpt-5", messages=HELLO, stream=True))
    *_, last = client.responses.create(model=MODEL, input="hi", stream=True)
    assert last.type == "error"
    with pytest.raises(openai.APIConnectionError):
        list(client.responses.create(model=MODEL, input="hi", stream=True))
    assert provider.last.sent > 0 and not provider.last.complete


def test_models_and_stored_responses(
    provider: StandIn, client: openai.OpenAI, connect: Callable[[str], openai.OpenAI]
) -> None:
    names = [model.id for model in client.models.list()]
    assert MODEL in names and client.models.retrieve(MODEL).id == MODEL
    made = client.responses.create(model=MODEL, input="hi")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    with pytest.raises(openai.NotFoundError):
        connect("two").responses.retrieve(made.id)
    counted = client.responses.input_tokens.count(model=MODEL, input="hi")
    assert made.usage is not None and counted.input_tokens == made.usage.input_tokens


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_compressed_bodies_are_read(
    provider: StandIn, client: openai.OpenAI, family: OpenAI, encoding: str
) -> None:
    body = {"model": MODEL, "input": "hi \u2063\u2060\u2063"}
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    raw = client.with_options(max_retries=0)._client
    answer = raw.post(
        "https://api.openai.com/v1/responses",
        content=compress(json.dumps(body).encode(), encoding),
        headers={**headers, "authorization": "Bearer sk-one"},
    )
    assert answer.status_code == 200 and provider.last.body == body
    assert provider.violations == [f"request {provider.last.number} carries a marker"]
    provider.violations.clear()
