"""Gemini with Google's SDK for Python."""

from __future__ import annotations

import base64
from itertools import groupby
from typing import Any

from google import genai
from google.genai import types
from pydantic import BaseModel
from sdk_py.picture import PNG

Headers = dict[str, str]
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="timetable", description="Look up a train", parameters_json_schema={"type": "object"}
        )
    ]
)


class Train(BaseModel):
    platform: int
    city: str


def timetable(train: str = "", n: int = 0, again: bool = False) -> str:
    """Look up a train."""
    return "ok ✓"


def config(headers: Headers, **more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers), **more)


def dumped(answers: list[types.GenerateContentResponse]) -> list[Any]:
    """One answer: its chunks, or the one body."""
    left_out = {"sdk_http_response", "parsed", "automatic_function_calling_history"}
    return [
        answer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=left_out)
        for answer in answers
    ]


def said(chat: Any, message: Any, streamed: bool) -> list[types.GenerateContentResponse]:
    return list(chat.send_message_stream(message)) if streamed else [chat.send_message(message)]


def results(answer: list[types.GenerateContentResponse]) -> list[types.Part]:
    calls = [call for chunk in answer for call in chunk.function_calls or ()]
    return [
        types.Part(
            function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "ok ✓"})
        )
        for call in calls
    ]


def converse(chat: Any, streamed: bool, turns: int) -> list[Any]:
    """A chat of the SDK, which keeps the history itself; the calls are answered by the program."""
    answers, message = [], ["Good evening! ✦ "]
    for _ in range(turns):
        answer = said(chat, message, streamed)
        answers.append(dumped(answer))
        message = results(answer) or ["Thanks, and the next one?"]  # type: ignore[assignment]
    return answers


def turns(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    chat = client.chats.create(
        model=model, config=config(headers, tools=[TOOL], system_instruction="Be brief.")
    )
    return converse(chat, streamed, 5)


def automatic(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """The SDK calls the function itself: one message is three requests, a second one the fourth.

    A stream shows all of their answers, a body is the last one.
    """
    chat = client.chats.create(model=model, config=config(headers, tools=[timetable]))
    chunks = [*said(chat, "Which platform?", streamed), *said(chat, "Thanks!", streamed)]
    return [dumped(list(answer)) for _, answer in groupby(chunks, lambda chunk: chunk.response_id)]


def thinking(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """Thoughts are shown, and signatures come back with the calls."""
    shown = types.ThinkingConfig(include_thoughts=True)
    chat = client.chats.create(model=model, config=config(headers, tools=[TOOL], thinking_config=shown))
    return converse(chat, streamed, 4)


older = thinking


def one(
    client: genai.Client, model: str, headers: Headers, streamed: bool, contents: Any = None, **more: Any
) -> list[Any]:
    asked: Any = {
        "model": model,
        "contents": contents or "Which platform, in which city?",
        "config": config(headers, **more),
    }
    if streamed:
        return [dumped(list(client.models.generate_content_stream(**asked)))]
    return [dumped([client.models.generate_content(**asked)])]


def image(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    return one(client, model, headers, streamed, [picture, "Which colour?"])


def structured(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    more: dict[str, Any] = {"response_mime_type": "application/json", "response_schema": Train}
    asked: Any = {"model": model, "contents": "Which platform?", "config": config(headers, **more)}
    if streamed:
        chunks = list(client.models.generate_content_stream(**asked))
        text = "".join(chunk.text or "" for chunk in chunks)
        assert Train.model_validate_json(text) == Train(platform=9, city="Oslo")
        return [dumped(chunks)]
    answer = client.models.generate_content(**asked)
    assert answer.parsed == Train(platform=9, city="Oslo")
    return [dumped([answer])]


def json_mode(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    return one(client, model, headers, streamed, response_mime_type="application/json")


def forced(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    mode = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    choice = types.ToolConfig(function_calling_config=mode)
    return one(client, model, headers, streamed, tools=[TOOL], tool_config=choice)


def candidates(client: genai.Client, model: str, headers: Headers, streamed: bool) -> list[Any]:
    return one(client, model, headers, streamed, candidate_count=2)
