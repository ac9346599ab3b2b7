"""What was sent once stays the beginning of what is sent next, so that the provider's prompt cache holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman.wire.json_spans import encode
from pointsman.wire.neutral import Message, Request, Target, TextPart
from wire.translation.said import members, tidy
from wire.translation.strict import CHECKS, writer

HISTORY = {
    "anthropic": "messages",
    "openai_chat": "messages",
    "openai_responses": "input",
    "gemini": "contents",
}


def without_breakpoints(value: Any) -> Any:
    """Anthropic's marks of what to cache wander with the conversation; they are no part of the prompt."""
    if isinstance(value, list):
        return [without_breakpoints(item) for item in value]
    if isinstance(value, dict):
        return {key: without_breakpoints(item) for key, item in value.items() if key != "cache_control"}
    return value


def asked(messages: list[Message]) -> list[int]:
    """How many messages there are each time that a client asks for an answer."""
    after = [*messages[1:], Message("assistant", ())]
    return [
        number
        for number, (message, following) in enumerate(zip(messages, after, strict=True), 1)
        if message.role != "assistant" and following.role == "assistant"
    ]


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=50)
@given(data=st.data())
def test_each_request_begins_with_the_one_before(name: str, data: st.DataObject) -> None:
    turns, offered = data.draw(tidy())
    more: dict[str, Any] = data.draw(members(offered))
    messages = [*(message for turn in turns for message in turn), Message("user", (TextPart("go on"),))]
    before: dict[str, Any] = {}
    for count in asked(messages):
        request = Request("m", tuple(messages[:count]), **more)
        body = without_breakpoints(writer(name).write_request(request, Target("m")).body)
        history = body.pop(HISTORY[name])
        if before:
            old = before.pop("history")
            assert encode(history[: len(old)]) == encode(old)
            assert body == before, "what stands before the history differs"
        before = {**body, "history": history}
    assert before
