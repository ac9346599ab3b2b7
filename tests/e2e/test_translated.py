"""Every client of every API, served by every other: real SDKs, a tool loop, streamed and whole.

The stand-in is strict on both sides, so what is written is what the provider takes, and what comes back is
what the SDK's own types take. `early`: the stream begins before its provider's does.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from e2e.sdks import MARKER, genai_client, openai_client
from e2e.support import Rows, Sdk
from google import genai
from provider.answers import Answer, Call, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn

QUESTION = "When do the night trains to Vienna and Rome leave?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "day": {"type": "string"}},
    "required": ["city"],
}
TOOL = ("timetable", "Departures to a city", SCHEMA)
CALLS = [("timetable", {"city": "Vienna", "day": "today"}), ("timetable", {"city": "Rome"})]
FOUND = ["22:10 from platform nine", "23:05 from platform two"]
ANSWERS = (
    Answer((Text("Let me look."), *(Call(name, given) for name, given in CALLS))),
    Answer((Text("Vienna at 22:10, Rome at 23:05 — «gute Fahrt» 🚆"),)),
)
# Where it goes, by the name that the header says, and the environment variable with that provider's key.
TARGETS = {
    "anthropic": ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY", "anthropic"),
    "openai_chat": ("openrouter/moonshotai/kimi-k2.6", "OPENROUTER_API_KEY", "openrouter"),
    "openai_responses": ("openai/gpt-5.5", "OPENAI_API_KEY", "openai"),
    "gemini": ("gemini/gemini-3.8-flash", "GEMINI_API_KEY", "gemini"),
}


@dataclass
class Said:
    """One answer as the SDK has it: texts without the marker, calls, tokens in and out."""

    text: str
    calls: list[tuple[str, Any]]
    tokens: tuple[int, int]
    raw: Any
    ids: list[str] = field(default_factory=list)

    @property
    def plain(self) -> str:
        return MARKER.sub("", self.text)


Turn = Callable[[list[Any], bool], Said]


class Anthropic:
    def __init__(self, proxy: InProcessProxy, connect: Sdk, key: str, headers: dict[str, str]) -> None:
        self.client, self.headers = connect(proxy, api_key=key), headers

    def begin(self) -> list[Any]:
        return [{"role": "user", "content": QUESTION}]

    def turn(self, history: list[Any], streamed: bool) -> Said:
        name, about, schema = TOOL
        asked: dict[str, Any] = {
            "model": "claude-opus-4-8",
            "max_tokens": 500,
            "messages": history,
            "tools": [{"name": name, "description": about, "input_schema": schema}],
            "extra_headers": self.headers,
        }
        if streamed:
            with self.client.messages.stream(**asked) as stream:
                message = stream.get_final_message()
        else:
            message = self.client.messages.create(**asked)
        calls = [block for block in message.content if block.type == "tool_use"]
        text = "".join(block.text for block in message.content if block.type == "text")
        usage = message.usage
        taken = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        assert message.stop_reason == ("tool_use" if calls else "end_turn")
        return Said(
            text,
            [(call.name, call.input) for call in calls],
            (taken, usage.output_tokens),
            {
                "role": "assistant",
                "content": [block.model_dump(exclude_none=True) for block in message.content],
            },
            [call.id for call in calls],
        )

    def results(self, said: Said) -> list[Any]:
        blocks = [
            {"type": "tool_result", "tool_use_id": id, "content": text}
            for id, text in zip(said.ids, FOUND, strict=True)
        ]
        return [said.raw, {"role": "user", "content": blocks}]


class Chat:
    def __init__(self, proxy: InProcessProxy, connect: Sdk, key: str, headers: dict[str, str]) -> None:
        self.client, self.headers = openai_client(proxy, key), headers

    def begin(self) -> list[Any]:
        return [{"role": "user", "content": QUESTION}]

    def turn(self, history: list[Any], streamed: bool) -> Said:
        name, about, schema = TOOL
        asked: dict[str, Any] = {
            "model": "gpt-5.4",
            "messages": history,
            "tools": [
                {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
            ],
            "extra_headers": self.headers,
        }
        if streamed:
            with self.client.chat.completions.stream(
                **asked, stream_options={"include_usage": True}
            ) as stream:
                answer = stream.get_final_completion()
        else:
            answer = self.client.chat.completions.create(**asked)
        [choice] = answer.choices
        calls = choice.message.tool_calls or []
        assert choice.finish_reason == ("tool_calls" if calls else "stop")
        kept = [
            call.model_dump(include={"id": True, "type": True, "function": {"name", "arguments"}})
            for call in calls
        ]
        return Said(
            choice.message.content or "",
            [(call.function.name, json.loads(call.function.arguments)) for call in calls],
            (answer.usage.prompt_tokens, answer.usage.completion_tokens),
            {
                "role": "assistant",
                "content": choice.message.content,
                **({"tool_calls": kept} if kept else {}),
            },
            [call.id for call in calls],
        )

    def results(self, said: Said) -> list[Any]:
        told = zip(said.ids, FOUND, strict=True)
        return [said.raw, *({"role": "tool", "tool_call_id": id, "content": text} for id, text in told)]


class Responses:
    def __init__(self, proxy: InProcessProxy, connect: Sdk, key: str, headers: dict[str, str]) -> None:
        self.client, self.headers = openai_client(proxy, key), headers

    def begin(self) -> list[Any]:
        return [{"role": "user", "content": QUESTION}]

    def turn(self, history: list[Any], streamed: bool) -> Said:
        name, about, schema = TOOL
        asked: dict[str, Any] = {
            "model": "gpt-5.4",
            "input": history,
            "store": False,
            "tools": [
                {
                    "type": "function",
                    "name": name,
                    "description": about,
                    "parameters": schema,
                    "strict": False,
                }
            ],
            "extra_headers": self.headers,
        }
        if streamed:
            with self.client.responses.stream(**asked) as stream:
                answer = stream.get_final_response()
        else:
            answer = self.client.responses.create(**asked)
        assert answer.status == "completed"
        calls = [item for item in answer.output if item.type == "function_call"]
        return Said(
            answer.output_text,
            [(call.name, json.loads(call.arguments)) for call in calls],
            (answer.usage.input_tokens, answer.usage.output_tokens),
            [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output],
            [call.call_id for call in calls],
        )

    def results(self, said: Said) -> list[Any]:
        told = zip(said.ids, FOUND, strict=True)
        outputs = ({"type": "function_call_output", "call_id": id, "output": text} for id, text in told)
        return [*(_unparsed(item) for item in said.raw), *outputs]


def _unparsed(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what the SDK's parser has put into it."""
    content = item.get("content")
    if isinstance(content, list):
        item = {**item, "content": [{k: v for k, v in part.items() if k != "parsed"} for part in content]}
    return item


class Gemini:
    def __init__(self, proxy: InProcessProxy, connect: Sdk, key: str, headers: dict[str, str]) -> None:
        self.client, self.headers = genai_client(proxy, key), headers

    def begin(self) -> list[Any]:
        return [genai.types.Content(role="user", parts=[genai.types.Part(text=QUESTION)])]

    def turn(self, history: list[Any], streamed: bool) -> Said:
        types = genai.types
        name, about, schema = TOOL
        tool = types.FunctionDeclaration(name=name, description=about, parameters_json_schema=schema)
        config = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[tool])],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            http_options=types.HttpOptions(headers=self.headers),
        )
        asked: dict[str, Any] = {"model": "gemini-3.1-pro-preview", "contents": history, "config": config}
        models = self.client.models
        chunks = (
            list(models.generate_content_stream(**asked)) if streamed else [models.generate_content(**asked)]
        )
        parts = [
            part
            for chunk in chunks
            for candidate in chunk.candidates or []
            for part in (candidate.content.parts if candidate.content else None) or []
        ]
        calls = [part.function_call for part in parts if part.function_call]
        counted = chunks[-1].usage_metadata
        assert chunks[-1].candidates[0].finish_reason == "STOP"
        return Said(
            "".join(part.text for part in parts if part.text and not part.thought),
            [(call.name, dict(call.args)) for call in calls],
            (
                counted.prompt_token_count,
                counted.candidates_token_count + (counted.thoughts_token_count or 0),
            ),
            types.Content(role="model", parts=parts),
            [call.id for call in calls],
        )

    def results(self, said: Said) -> list[Any]:
        types = genai.types
        parts = [
            types.Part(
                function_response=types.FunctionResponse(id=id, name=TOOL[0], response={"output": text})
            )
            for id, text in zip(said.ids, FOUND, strict=True)
        ]
        return [said.raw, types.Content(role="user", parts=parts)]


CLIENTS = {"anthropic": Anthropic, "openai_chat": Chat, "openai_responses": Responses, "gemini": Gemini}
OWN = {"anthropic": "anthropic", "openai_chat": "openai", "openai_responses": "openai", "gemini": "gemini"}


@pytest.fixture
def target(
    request: pytest.FixtureRequest, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """The name for `x-router-model`, and whose it is; its key is in the environment of the proxy."""
    name, variable, family = TARGETS[request.param]
    monkeypatch.setenv(variable, provider.key(family, "elsewhere"))
    proxy.call(proxy.addons[0]._reconfigure)
    yield name, family
    monkeypatch.delenv(variable)
    proxy.call(proxy.addons[0]._reconfigure)


@pytest.mark.parametrize("mode", ["whole", "stream", "early"])
@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.parametrize("surface", CLIENTS)
def test_a_tool_loop_is_served_by_another_provider(
    surface: str,
    target: tuple[str, str],
    mode: str,
    proxy: InProcessProxy,
    provider: StandIn,
    connect: Sdk,
    rows: Rows,
    account: str,
) -> None:
    name, family = target
    key = provider.key(OWN[surface], account)
    client: Any = CLIENTS[surface](proxy, connect, key, {"x-router-model": name, "x-router-marker": "text"})
    provider.script(*ANSWERS)
    history = client.begin()
    with (
        contextlib.closing(client.client),
        proxy.setting(router_prelude_grace_ms="0" if mode == "early" else "off"),
    ):
        first = client.turn(history, mode != "whole")
        history += client.results(first)
        second = client.turn(history, mode != "whole")
    assert (first.plain, first.calls) == ("Let me look.", CALLS)
    assert (second.plain, second.calls) == ("Vienna at 22:10, Rome at 23:05 — «gute Fahrt» 🚆", [])
    assert len(MARKER.findall(first.text)) == 1
    assert [record.family for record in provider.messages] == [family] * 2
    assert [record.status for record in provider.messages] == [200] * 2
    for said, record in zip((first, second), provider.messages, strict=True):
        assert said.tokens == (record.counted.total, record.message.output_tokens)
    found = rows.wait(lambda found: len(found) == 2 and all(row["complete"] is not None for row in found))
    for row, record in zip(found, provider.messages, strict=True):
        assert (row["status"], row["complete"], row["error"]) == (200, 1, None)
        assert row["upstream_provider"] == name.partition("/")[0]
        assert row["output_tokens"] == record.message.output_tokens
