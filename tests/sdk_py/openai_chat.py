"""Chat Completions with OpenAI's SDK for Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
from pydantic import BaseModel
from sdk_py.picture import PNG

Headers = dict[str, str]
TOOL: Any = {
    "type": "function",
    "function": {"name": "timetable", "description": "Look up a train", "parameters": {"type": "object"}},
}
NOTE: Any = {"type": "custom", "custom": {"name": "note", "description": "Write something down"}}


# What the helpers of the SDK leave in a message, and the API refuses when it comes back.
PARSED: Any = {"parsed": True, "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}}}


class Train(BaseModel):
    platform: int
    city: str


def say(client: openai.OpenAI, streamed: bool, **request: Any) -> Any:
    """One answer, out of a body or put together from the chunks of a stream as a program would."""
    if not streamed:
        return client.chat.completions.create(**request)
    with client.chat.completions.create(stream=True, **request) as stream:
        return joined(list(stream))


def joined(chunks: list[Any]) -> dict[str, Any]:
    """What a program without the helper makes of chunks; each fragment of text, call and refusal in order."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for part in chunk.choices:
            message = {"role": "assistant", "content": None}
            choice = choices.setdefault(
                part.index, {"index": part.index, "message": message, "finish_reason": None}
            )
            _add(choice["message"], part.delta.model_dump(exclude_none=True))
            choice["finish_reason"] = part.finish_reason or choice["finish_reason"]
            assert part.logprobs is None or part.delta.content
    counted = [chunk.usage.model_dump() for chunk in chunks if chunk.usage]
    assert len(counted) <= 1
    return {
        "id": chunks[0].id,
        "created": chunks[0].created,
        "model": chunks[0].model,
        "heads": len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}),
        "empty": sum(not chunk.choices for chunk in chunks),
        "choices": [choices[index] for index in sorted(choices)],
        "usage": counted[0] if counted else None,
    }


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault(key, [])
            for fragment in value:
                index = fragment.pop("index")
                if index == len(calls):
                    calls.append({})
                _add(calls[index], fragment)
        elif isinstance(value, dict):
            _add(message.setdefault(key, {}), value)
        elif key in ("content", "refusal", "arguments", "input"):
            message[key] = (message.get(key) or "") + value
        else:
            assert message.setdefault(key, value) == value, f"{key} twice"


def message_of(answer: Any) -> tuple[Any, list[str]]:
    """The assistant's message as it is sent back, and the ids of its tool calls."""
    if isinstance(answer, dict):
        message = answer["choices"][0]["message"]
        return message, [call["id"] for call in message.get("tool_calls", ())]
    message = answer.choices[0].message
    kept = message.model_dump(exclude_unset=True, exclude=PARSED)
    return kept, [call.id for call in message.tool_calls or ()]


def dumped(answer: Any) -> Any:
    return answer if isinstance(answer, dict) else answer.model_dump(mode="json", warnings=False)


def converse(ask: Callable[[list[Any]], Any], turns: int) -> list[Any]:
    """Say something, answer every tool call, and send everything back, for some turns."""
    messages: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Good evening! ✦ "},
    ]
    answers = []
    for _ in range(turns):
        answer = ask(messages)
        answers.append(dumped(answer))
        said, calls = message_of(answer)
        results = [{"role": "tool", "tool_call_id": call, "content": "ok ✓"} for call in calls]
        messages = [*messages, said, *(results or [{"role": "user", "content": "Thanks, and the next one?"}])]
    return answers


def turns(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    def ask(messages: list[Any]) -> Any:
        return say(client, streamed, model=model, messages=messages, tools=[TOOL], extra_headers=headers)

    return converse(ask, 5)


def helper(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """`chat.completions.stream()`, and `parse()` where nothing is to be parsed."""

    def ask(messages: list[Any]) -> Any:
        given: Any = {"model": model, "messages": messages, "tools": [TOOL], "extra_headers": headers}
        if not streamed:
            return client.chat.completions.create(**given)
        with client.chat.completions.stream(**given) as stream:
            kinds = [event.type for event in stream]
            assert kinds.count("content.done") <= 1
            return stream.get_final_completion()

    return converse(ask, 5)


def custom(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """A tool that takes free text."""

    def ask(messages: list[Any]) -> Any:
        return say(client, streamed, model=model, messages=messages, tools=[NOTE], extra_headers=headers)

    return converse(ask, 2)


def one(client: openai.OpenAI, model: str, headers: Headers, streamed: bool, **request: Any) -> list[Any]:
    messages = [{"role": "user", "content": "Which platform, in which city?"}]
    given = {"model": model, "messages": messages, "extra_headers": headers, **request}
    return [dumped(say(client, streamed, **given))]


def image(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    content = [
        {"type": "text", "text": "Which colour?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    return one(client, model, headers, streamed, messages=[{"role": "user", "content": content}])


def usage(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """A client that asks for the usage of its stream itself."""
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if streamed else {}
    answers = one(client, model, headers, streamed, **more)
    assert answers[0]["usage"]
    return answers


def structured(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    messages: Any = [{"role": "user", "content": "Which platform, in which city?"}]
    given: Any = {"model": model, "messages": messages, "response_format": Train, "extra_headers": headers}
    if streamed:
        with client.chat.completions.stream(**given) as stream:
            answer = stream.get_final_completion()
    else:
        answer = client.chat.completions.parse(**given)
    assert answer.choices[0].message.parsed == Train(platform=9, city="Oslo")
    return [dumped(answer)]


def json_mode(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    return one(client, model, headers, streamed, response_format={"type": "json_object"})


def forced(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    choice = {"type": "function", "function": {"name": "timetable"}}
    return one(client, model, headers, streamed, tools=[TOOL], tool_choice=choice)


def choices(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    answers = one(client, model, headers, streamed, n=3)
    assert [choice["index"] for choice in answers[0]["choices"]] == [0, 1, 2]
    return answers


def logprobs(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    return one(client, model, headers, streamed, logprobs=True)


def refusal(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    def ask(messages: list[Any]) -> Any:
        return say(client, streamed, model=model, messages=messages, extra_headers=headers)

    return converse(ask, 2)
