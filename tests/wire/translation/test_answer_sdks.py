"""What each client's own SDK makes of a translated answer: the same as of a native one that says the same."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import httpx2
import pytest
from pointsman.surface import surfaces
from pointsman.wire.translate import translate_body
from streams.translated.golden import ANSWER, CREATED, SURFACES, golden, request, source

PAIRS = [pair for pair in itertools.product(SURFACES, SURFACES) if pair[0] != pair[1]]
ENDED = ("cut", "mixed", "refused", "text")
SHOW = "x"  # what is asked does not matter


@dataclass
class Heard:
    """An answer as an SDK tells it. `tokens`: all of the prompt's, those from a cache, the answer's."""

    text: str
    thinking: str
    calls: list[tuple[str, Any]]
    stop: str
    tokens: tuple[int, int, int]


def http(data: bytes, content_type: str) -> Any:
    answer = httpx2.Response(200, headers={"content-type": content_type}, content=data)
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))


# --- Anthropic --------------------------------------------------------------------------------


def of_message(message: Any) -> Heard:
    usage = message.usage
    entire = usage.input_tokens + usage.cache_read_input_tokens + (usage.cache_creation_input_tokens or 0)
    return Heard(
        "".join(block.text for block in message.content if block.type == "text"),
        "".join(block.thinking for block in message.content if block.type == "thinking"),
        [(block.name, block.input) for block in message.content if block.type == "tool_use"],
        message.stop_reason,
        (entire, usage.cache_read_input_tokens, usage.output_tokens),
    )


def by_anthropic(data: bytes, content_type: str) -> Heard:
    import anthropic

    client = anthropic.Anthropic(api_key="none", http_client=http(data, content_type), max_retries=0)
    asked: Any = {"model": SHOW, "max_tokens": 9, "messages": [{"role": "user", "content": SHOW}]}
    if content_type == "application/json":
        return of_message(client.messages.create(**asked))
    with client.messages.stream(**asked) as stream:
        return of_message(stream.get_final_message())


# --- OpenAI -----------------------------------------------------------------------------------


def openai_client(data: bytes, content_type: str) -> Any:
    import openai

    return openai.OpenAI(api_key="none", http_client=http(data, content_type), max_retries=0)


def by_openai_chat(data: bytes, content_type: str) -> Heard:
    client = openai_client(data, content_type)
    asked: Any = {"model": SHOW, "messages": [{"role": "user", "content": SHOW}]}
    if content_type == "application/json":
        completion = client.chat.completions.create(**asked)
    else:
        asked["stream_options"] = {"include_usage": True}
        with client.chat.completions.stream(**asked) as stream:
            stream.until_done()
            # Its last word on an answer that was cut is an error, whoever gave it.
            completion = stream.current_completion_snapshot
    [choice] = completion.choices
    message, usage = choice.message, completion.usage
    assert message.role == "assistant"
    return Heard(
        (message.content or "") + (message.refusal or ""),
        "",
        [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []],
        choice.finish_reason,
        (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens),
    )


def by_openai_responses(data: bytes, content_type: str) -> Heard:
    client = openai_client(data, content_type)
    asked: Any = {"model": SHOW, "input": SHOW}
    if content_type == "application/json":
        response = client.responses.create(**asked)
    else:
        events = list(client.responses.create(**asked, stream=True))
        response = events[-1].response
        said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert said == response.output_text
        if response.status == "completed":  # the accumulator knows no other end
            with openai_client(data, content_type).responses.stream(**asked) as stream:
                collected = stream.get_final_response()
            assert collected.output_text == response.output_text
            assert [item.type for item in collected.output] == [item.type for item in response.output]
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    thoughts = [part for item in response.output if item.type == "reasoning" for part in item.summary]
    calls = [item for item in response.output if item.type == "function_call"]
    usage = response.usage
    return Heard(
        "".join(part.text if part.type == "output_text" else part.refusal for part in parts),
        "".join(part.text for part in thoughts),
        [(call.name, json.loads(call.arguments)) for call in calls],
        response.incomplete_details.reason if response.incomplete_details else response.status,
        (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens),
    )


# --- Google -----------------------------------------------------------------------------------


def by_gemini(data: bytes, content_type: str) -> Heard:
    genai = pytest.importorskip("google.genai", reason="Google's SDK is not installed")
    types = pytest.importorskip("google.genai.types")

    options = types.HttpOptions(httpx_client=http(data, content_type))
    models = genai.Client(api_key="none", http_options=options).models
    asked: Any = {"model": SHOW, "contents": SHOW}
    if content_type == "application/json":
        answers = [models.generate_content(**asked)]
    else:
        answers = list(models.generate_content_stream(**asked))
    contents = [answer.candidates[0].content for answer in answers]
    parts = [part for content in contents if content for part in content.parts or []]
    usage = answers[-1].usage_metadata
    return Heard(
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        [(part.function_call.name, part.function_call.args) for part in parts if part.function_call],
        answers[-1].candidates[0].finish_reason.name,
        (
            usage.prompt_token_count,
            usage.cached_content_token_count or 0,
            usage.candidates_token_count + (usage.thoughts_token_count or 0),
        ),
    )


HEAR = {
    "anthropic": by_anthropic,
    "gemini": by_gemini,
    "openai_chat": by_openai_chat,
    "openai_responses": by_openai_responses,
}


@cache
def native(client: str, situation: str) -> Heard:
    return HEAR[client](source(client, situation), "text/event-stream")


def expected(provider: str, client: str, situation: str) -> Heard:
    """What the SDK makes of its own provider's answer.

    A refusal differs: OpenAI's models say in words that they decline, and are done; others are cut off.
    """
    heard = native(client, situation)
    if situation == "refused":
        worded = provider.startswith("openai")
        stop = {
            "anthropic": "refusal",
            "gemini": "STOP" if worded else "SAFETY",
            "openai_chat": "stop" if worded else "content_filter",
            "openai_responses": "completed" if worded else "content_filter",
        }[client]
        return replace(heard, stop=stop)
    return heard


@pytest.mark.parametrize("situation", ENDED)
@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_a_translated_stream_is_heard_as_a_native_one(provider: str, client: str, situation: str) -> None:
    stream = golden(provider, client, situation).read_bytes()
    assert HEAR[client](stream, "text/event-stream") == expected(provider, client, situation)


@pytest.mark.parametrize("situation", ["mixed", "refused"])
@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_a_translated_body_is_heard_as_a_native_stream(provider: str, client: str, situation: str) -> None:
    both: Any = surfaces()
    data = source(provider, situation)
    whole = translate_body(data, both[provider], both[client], request(), ANSWER, CREATED)
    assert whole.begun and whole.failed is None
    assert HEAR[client](whole.data, "application/json") == expected(provider, client, situation)


@pytest.mark.parametrize("situation", ENDED)
@pytest.mark.parametrize("client", SURFACES)
def test_a_rejoined_stream_is_heard_as_the_one_that_it_was(client: str, situation: str) -> None:
    heard = HEAR[client](golden(client, client, situation).read_bytes(), "text/event-stream")
    assert heard == native(client, situation)


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_an_error_in_the_middle_is_one_to_the_sdk(provider: str, client: str) -> None:
    import anthropic
    import openai

    errors = pytest.importorskip("google.genai.errors", reason="Google's SDK is not installed")

    raised: Any = (anthropic.APIStatusError, openai.APIError, errors.APIError)
    stream = golden(provider, client, "broken").read_bytes()
    if client == "openai_responses":
        events = list(openai_client(stream, "text/event-stream").responses.create(input=SHOW, stream=True))
        assert events[-1].type == "response.failed" and events[-1].response.error.message == "Overloaded"
    else:
        with pytest.raises(raised, match="Overloaded"):
            HEAR[client](stream, "text/event-stream")
