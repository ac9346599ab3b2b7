"""How a translated answer reaches the client: in its own words, the names of its tools among them."""

from __future__ import annotations

from typing import Any

import pytest
from mitmproxy import http
from pointsman.outgoing import Outgoing
from pointsman.surface import surfaces
from pointsman.telling import Telling
from pointsman.values import NO_CHANGES, Binding
from pointsman.wire.json_spans import Body, decode, encode
from pointsman.wire.translation.names import tool_names
from streams.translated.golden import source

CODEX = {
    "model": "gpt-x",
    "stream": True,
    "input": [
        {
            "type": "additional_tools",
            "tools": [
                {"type": "namespace", "name": space, "tools": [{"type": kind, "name": name}]}
                for space, kind, name in (
                    ("clock", "function", "get_signal"),
                    ("functions", "custom", "set_point"),
                )
            ],
        },
        {"role": "user", "content": "go"},
    ],
}


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
def test_codex_gets_its_own_tools_of_an_anthropic_answer(whole: bool) -> None:
    client: Any = surfaces()["openai_responses"]
    provider: Any = surfaces()["anthropic"]
    body = Body.parse(encode(CODEX))
    facts = client.read_facts(body, {}, "/v1/responses", "generate")
    asked = client.read_request(body, "/v1/responses", {})
    there = {tool.name: name for name, tool in tool_names(asked, provider.NAME_RULE).items()}
    data = source("anthropic", "mixed").replace(b'"get_signal"', encode(there["get_signal"]))
    out = Outgoing(
        Binding(None, ""), provider, facts, http.Request.make("POST", "http://x/"), conversation=asked
    )
    telling = Telling(client, facts, NO_CHANGES, "a1", "gpt-x", 1)
    if whole:
        pieces = telling.streamed(data, out)
    else:
        follower = telling.follow("text/event-stream", out)
        assert follower is not None
        pieces = [*follower.feed(data), *follower.flush()]
    last = decode(b"".join(pieces).rpartition(b"data: ")[2].strip())
    calls = [item for item in last["response"]["output"] if item["type"].endswith("_call")]
    assert [(call["type"], call["name"], call.get("namespace")) for call in calls] == [
        ("function_call", "get_signal", "clock"),
        ("custom_tool_call", "set_point", None),
    ]
