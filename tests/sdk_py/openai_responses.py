"""Responses with OpenAI's SDK for Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
from sdk_py.openai_chat import Headers, Train
from sdk_py.picture import PNG

TOOL: Any = {
    "type": "function",
    "name": "timetable",
    "description": "Look up a train",
    "parameters": {"type": "object"},
    "strict": False,
}
NOTE: Any = {"type": "custom", "name": "note", "description": "Write something down"}
OUTPUTS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
LOW: Any = {"effort": "low"}


def say(client: openai.OpenAI, streamed: bool, **request: Any) -> Any:
    if not streamed:
        return client.responses.create(**request)
    with client.responses.create(stream=True, **request) as stream:
        return finished(list(stream))


def finished(events: list[Any]) -> Any:
    """The response that ends a stream. All that came before must agree with it."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    added = [event for event in events if event.type == "response.output_item.added"]
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == list(range(len(last.response.output)))
    assert [
        event.item for event in sorted(done, key=lambda event: event.output_index)
    ] == last.response.output
    texts: dict[tuple[int, int], str] = {}
    for event in events:
        if event.type == "response.output_text.delta":
            place = event.output_index, event.content_index
            texts[place] = texts.get(place, "") + event.delta
            assert event.item_id == last.response.output[event.output_index].id
    for (index, number), text in texts.items():
        assert last.response.output[index].content[number].text == text
    assert {event.response.id for event in events if hasattr(event, "response")} == {last.response.id}
    assert {event.response.model for event in events if hasattr(event, "response")} == {last.response.model}
    return last.response


def dumped(answer: Any) -> Any:
    return answer.model_dump(mode="json", warnings=False)


def results(answer: Any) -> list[dict[str, Any]]:
    return [
        {"type": OUTPUTS[item.type], "call_id": item.call_id, "output": "ok ✓"}
        for item in answer.output
        if item.type in OUTPUTS
    ]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def converse(ask: Callable[[list[Any]], Any], turns: int) -> list[Any]:
    """As OpenAI's guides do it: the output, the SDK's own objects, is appended to the input."""
    items: list[Any] = [user("Good evening! ✦ ")]
    answers = []
    for _ in range(turns):
        answer = ask(items)
        answers.append(dumped(answer))
        items = [*items, *answer.output]
        items += results(answer) or [user("Thanks, and the next one?")]
    return answers


def turns(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    def ask(items: list[Any]) -> Any:
        given = {"input": items, "tools": [TOOL], "reasoning": LOW, "instructions": "Be brief."}
        return say(client, streamed, model=model, extra_headers=headers, **given)

    return converse(ask, 5)


def helper(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """`responses.stream()`, which keeps an account of the events and raises where they do not fit."""

    def ask(items: list[Any]) -> Any:
        given: Any = {"model": model, "input": plain(items), "reasoning": LOW, "extra_headers": headers}
        given["tools"] = [TOOL]
        if not streamed:
            return client.responses.create(**given)
        with client.responses.stream(**given) as stream:
            for event in stream:
                assert event.type.startswith("response.")
            return stream.get_final_response()

    def plain(items: list[Any]) -> list[Any]:
        """What `stream()` adds for the program only is no part of the API."""
        return [item if isinstance(item, dict) else bare(item) for item in items]

    return converse(ask, 5)


def bare(item: Any) -> dict[str, Any]:
    kept: dict[str, Any] = item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
    for part in kept.get("content", ()):
        part.pop("parsed", None)
    return kept


def reasoning(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """Nothing is stored at the provider: thoughts travel with the conversation, encrypted."""

    def ask(items: list[Any]) -> Any:
        given: dict[str, Any] = {"input": items, "tools": [TOOL], "store": False}
        given |= {"include": ["reasoning.encrypted_content"], "reasoning": {**LOW, "summary": "auto"}}
        return say(client, streamed, model=model, extra_headers=headers, **given)

    return converse(ask, 4)


def chained(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    """The conversation stays at the provider; only what is new is sent."""
    before, items = openai.omit, [user("Good evening! ✦ ")]
    answers = []
    for _ in range(5):
        given: dict[str, Any] = {"input": items, "tools": [TOOL], "reasoning": LOW}
        given["previous_response_id"] = before
        answer = say(client, streamed, model=model, extra_headers=headers, **given)
        answers.append(dumped(answer))
        before = answer.id
        items = results(answer) or [user("Thanks, and the next one?")]
    return answers


def custom(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    def ask(items: list[Any]) -> Any:
        given = {"input": items, "tools": [NOTE], "reasoning": LOW}
        return say(client, streamed, model=model, extra_headers=headers, **given)

    return converse(ask, 2)


def one(client: openai.OpenAI, model: str, headers: Headers, streamed: bool, **request: Any) -> list[Any]:
    given = {"input": "Which platform, in which city?", "reasoning": LOW, **request}
    return [dumped(say(client, streamed, model=model, extra_headers=headers, **given))]


def image(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    content = [
        {"type": "input_text", "text": "Which colour?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ]
    return one(client, model, headers, streamed, input=[{"role": "user", "content": content}])


def structured(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    given: Any = {"model": model, "input": "Which platform, in which city?", "reasoning": LOW}
    given |= {"text_format": Train, "extra_headers": headers}
    if streamed:
        with client.responses.stream(**given) as stream:
            answer = stream.get_final_response()
    else:
        answer = client.responses.parse(**given)
    assert answer.output_parsed == Train(platform=9, city="Oslo")
    return [dumped(answer)]


def json_mode(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    return one(client, model, headers, streamed, text={"format": {"type": "json_object"}})


def forced(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    return one(client, model, headers, streamed, tools=[TOOL], tool_choice="required")


def refusal(client: openai.OpenAI, model: str, headers: Headers, streamed: bool) -> list[Any]:
    def ask(items: list[Any]) -> Any:
        return say(client, streamed, model=model, extra_headers=headers, input=items, reasoning=LOW)

    return converse(ask, 2)
