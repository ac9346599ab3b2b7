"""Long sessions: a client keeps what a translated answer gave it, and sends it back, turn after turn.

Every request is taken by a strict provider of the other API, and begins with the one before. In the end the
client's own provider takes the history too, once what was made up is out of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pointsman.catalogue import Catalogue
from pointsman.wire import translate_request
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import (
    CallArguments,
    CallStart,
    Counts,
    End,
    Event,
    Start,
    Stop,
    StopReason,
    Target,
    Text,
    Thinking,
)
from pointsman.wire.translate import renamed
from pointsman.wire.translation.names import tool_names
from wire.translation.said import PIXEL, SCHEMA
from wire.translation.strict import CHECKS, writer
from wire.translation.test_prefixes import HISTORY, without_breakpoints

Json = dict[str, Any]
TURNS = 10
CATALOGUE = Catalogue.load()
TARGETS = {
    "anthropic": "claude-haiku-4-5",
    "openai_chat": "gpt-5",
    "openai_responses": "gpt-5.4",
    "gemini": "gemini-3.8-flash",
}
PATHS = {
    "anthropic": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}
DATA_URL = f"data:image/png;base64,{PIXEL}"
LARK = {"type": "grammar", "syntax": "lark", "definition": "start: x"}


# --- four clients -------------------------------------------------------------------------


def claude(history: list[Json]) -> Json:
    tools = [{"name": "ls", "input_schema": SCHEMA}, {"name": "mcp__a.b__look", "input_schema": SCHEMA}]
    system = [{"type": "text", "text": "You are Claude Code."}]
    more = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}, "max_tokens": 9_000}
    return {"model": "m", "messages": history, "system": system, "tools": tools, **more}


def claude_results(answer: Json) -> list[Json]:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    given = [
        {
            "type": "tool_result",
            "tool_use_id": block["id"],
            "content": [{"type": "text", "text": "x"}, picture],
        }
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    return [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": given}]


def chat(history: list[Json]) -> Json:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("ls", "look")
    ]
    said = [{"role": "system", "content": "You are a client."}, *history]
    return {"model": "m", "messages": said, "tools": tools, "reasoning_effort": "high"}


def chat_results(answer: Json) -> list[Json]:
    message = answer["choices"][0]["message"]
    given = [
        {"role": "tool", "tool_call_id": each["id"], "content": "x"} for each in message.get("tool_calls", [])
    ]
    return [{key: value for key, value in message.items() if value is not None}, *given]


def codex(history: list[Json]) -> Json:
    tools = [
        {
            "type": "namespace",
            "name": "functions",
            "tools": [{"type": "custom", "name": "exec", "format": LARK}],
        },
        {
            "type": "namespace",
            "name": "clock",
            "tools": [{"type": "function", "name": "sleep", "parameters": SCHEMA, "strict": False}],
        },
    ]
    head: list[Json] = [
        {"type": "additional_tools", "role": "developer", "tools": tools},
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "You are Codex."}],
        },
    ]
    more = {"parallel_tool_calls": False, "store": False, "include": ["reasoning.encrypted_content"]}
    return {
        "model": "m",
        "input": [*head, *history],
        "reasoning": {"effort": "low", "summary": "auto"},
        **more,
    }


def codex_results(answer: Json) -> list[Json]:
    parts = [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": DATA_URL}]
    given = [
        {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": parts}
        for item in answer["output"]
        if item["type"].endswith("_call")
    ]
    return [*answer["output"], *given]


def gemini(history: list[Json]) -> Json:
    functions = [{"name": name, "parametersJsonSchema": SCHEMA} for name in ("ls", "look")]
    thinking = {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}}
    system = {"role": "user", "parts": [{"text": "You are Gemini CLI."}]}
    tools = [{"functionDeclarations": functions}]
    return {"contents": history, "systemInstruction": system, "tools": tools, "generationConfig": thinking}


def gemini_results(answer: Json) -> list[Json]:
    content = answer["candidates"][0]["content"]
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    given = [
        {"functionResponse": {**_id_of(each), "name": each["name"], "response": {"output": "x"}}}
        for each in calls
    ]
    return [content, {"role": "user", "parts": given}]


def _id_of(call: Json) -> Json:
    return {"id": call["id"]} if "id" in call else {}


Ask = Callable[[list[Json]], Json]
Answer = Callable[[Json], list[Json]]
CLIENTS: dict[str, tuple[Ask, Answer, Callable[[str], Json], tuple[tuple[str, str], ...]]] = {
    "anthropic": (
        claude,
        claude_results,
        lambda text: {"role": "user", "content": text},
        (("", "ls"), ("", "mcp__a.b__look")),
    ),
    "openai_chat": (
        chat,
        chat_results,
        lambda text: {"role": "user", "content": text},
        (("", "ls"), ("", "look")),
    ),
    "openai_responses": (
        codex,
        codex_results,
        lambda text: {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
        (("functions", "exec"), ("clock", "sleep")),
    ),
    "gemini": (
        gemini,
        gemini_results,
        lambda text: {"role": "user", "parts": [{"text": text}]},
        (("", "ls"), ("", "look")),
    ),
}


# --- sessions -----------------------------------------------------------------------------


def answer_events(number: int, names: list[str], customs: set[str]) -> list[Event]:
    """A provider's answer: it thinks, says something, and calls all tools at once; at last it only speaks."""
    said: list[Event] = [Start("up", "up"), Thinking("hm"), Text(f"step {number}")]
    for index, name in enumerate(names if number < TURNS else []):
        text = '{"input":"ls \\"x\\""}' if name in customs else '{"path":"/"}'
        said += [CallStart(index, f"toolu.{number}_{index}", name), CallArguments(index, text)]
    reason = StopReason.CALLS if number < TURNS else StopReason.END
    return [*said, Counts(input=9, output=9), Stop(reason), End()]


PAIRS = [(client, target) for client in CLIENTS for target in CHECKS if client != target]


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_ten_turns(client: str, target: str) -> None:
    ask, results, speak, tools = CLIENTS[client]
    surface, other = writer(client), writer(target)
    model = CATALOGUE.resolve(TARGETS[target])
    history = [speak("look around")]
    before: list[Any] = []
    for number in range(1, TURNS + 1):
        request = surface.read_request(Body.parse(encode(ask(history))), PATHS[client], {})
        assert request.refused == ()
        sent = translate_request.translated(request, other, Target(TARGETS[target]), model)
        body = json.loads(sent.body)
        CHECKS[target](sent.path, body, TARGETS[target])
        said = without_breakpoints(body[HISTORY[target]])
        assert said[: len(before)] == before
        before = said
        there = tool_names(request, other.NAME_RULE)
        back = {(tool.namespace, tool.name): name for name, tool in there.items()}
        names = [back[key] for key in tools]
        customs = {name for name, tool in there.items() if tool.custom}
        events = list(renamed(answer_events(number, names, customs), there))
        answer = json.loads(surface.write_answer(events, request, f"a{number}", 1_700_000_000))
        history += results(answer)
    texts = json.dumps(before)
    assert all(f"step {number}" in texts for number in range(1, TURNS))
    history = [item for item in history if item.get("parts") != [] and item.get("content") != []]
    _at_home(client, ask([*history, speak("thanks")]))


def _at_home(client: str, request: Json) -> None:
    """The client's own provider gets the session at last."""
    name = {**TARGETS, "openai_responses": "gpt-5.4"}[client]
    body = Body.parse(encode(request))
    writer(client).disown(body)
    model = CATALOGUE.resolve(name)
    assert model is not None
    writer(client).set_model(body, PATHS[client], name)
    facts = writer(client).read_facts(body, {}, PATHS[client], "generate")
    writer(client).adapt(body, facts, model)
    home = {"anthropic": "/v1/messages", "gemini": f"/models/{name}:generateContent"}
    path = home.get(client, PATHS[client].removeprefix("/v1"))
    CHECKS[client](path, json.loads(body.render()), name)
