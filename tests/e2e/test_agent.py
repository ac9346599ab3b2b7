"""Requests in the shape that Claude Code sends: system entries among messages, a moving cache breakpoint."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

import httpx2
import pytest
from e2e.support import Rows, member
from provider.answers import Answer, Call, Step, Text
from provider.proxy import InProcessProxy, SubprocessProxy, trust
from provider.standin import StandIn

OPUS, SONNET, HAIKU = "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5"
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
BETAS = (
    "claude-code-20250219,context-1m-2025-08-07,interleaved-thinking-2025-05-14,"
    "context-management-2025-06-27,mid-conversation-system-2026-04-07,effort-2025-11-24"
)
STEPS: tuple[Step, ...] = (
    Answer((Text("I look."), Call("Bash", {"command": "ls -l", "description": "list"}))),
    Answer((Call("Bash", {"command": "cat a"}), Call("Bash", {"command": "cat b"}))),
    Answer((Text("Two files."),)),
    Answer((Text("Now the tests."), Call("Bash", {"command": "pytest"}))),
    Answer((Text("All green."),)),
    Answer((Text("Goodbye."),)),
)


class Agent:
    """A scripted client with the habits of Claude Code 2.1, over plain HTTP."""

    def __init__(self, proxy: InProcessProxy | SubprocessProxy, key: str, model: str) -> None:
        self.session = str(uuid.UUID(int=7))
        self.headers = {
            "x-api-key": key,
            "anthropic-version": "2023-06-01",
            "anthropic-beta": BETAS,
            "user-agent": "claude-cli/2.1.197 (external, sdk-cli)",
            "x-app": "cli",
            "x-claude-code-session-id": self.session,
            "accept-encoding": "gzip, deflate, br, zstd",
            "x-stainless-retry-count": "0",
        }
        self.http = httpx2.Client(proxy=proxy.url, verify=trust(proxy.ca_file), timeout=20)
        self.model = model
        reminder = {"type": "text", "text": "<system-reminder>The yard is quiet.</system-reminder>"}
        self.messages: list[Any] = [
            {"role": "user", "content": [reminder, {"type": "text", "text": "count the files"}]},
            {"role": "system", "content": "The platform is linux. " * 40},
        ]

    def title(self) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        body = {
            "model": "claude-haiku-4-5-20251001",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "<session>\ncount\n</session>"}]}
            ],
            "system": [{"type": "text", "text": "Write a title for the session."}],
            "tools": [],
            "max_tokens": 32000,
            "thinking": {"type": "disabled"},
            "temperature": 1,
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "stream": True,
        }
        return self.post(body)

    def step(self, **headers: str) -> dict[str, Any]:
        """Send the conversation with the breakpoint on its last block; take the answer into it."""
        sent = json.loads(json.dumps(self.messages))
        last = next(message for message in reversed(sent) if message["role"] == "user")
        last["content"][-1] |= EPHEMERAL
        body = {
            "model": self.model,
            "messages": sent,
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197; cch=9a3ee;"},
                {"type": "text", "text": "You are an agent. " * 1500, **EPHEMERAL},
            ],
            "tools": [{"name": "Bash", "description": "run", "input_schema": {"type": "object"}}],
            "metadata": {"user_id": json.dumps({"device_id": "d", "session_id": self.session})},
            "max_tokens": 64000,
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "output_config": {"effort": "high"},
            "stream": True,
        }
        said = self.post(body, **headers)
        self.messages.append({"role": "assistant", "content": said["content"]})
        calls = [block["id"] for block in said["content"] if block["type"] == "tool_use"]
        results = [
            {"tool_use_id": call, "type": "tool_result", "content": "ok", "is_error": False} for call in calls
        ]
        words = {"type": "text", "text": f"and then? ({len(self.messages)})"}
        self.messages.append({"role": "user", "content": results or [words]})
        return said

    def post(self, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = self.http.post(
            "https://api.anthropic.com/v1/messages?beta=true", json=body, headers={**self.headers, **headers}
        )
        assert answer.status_code == 200, answer.text
        return accumulate(answer.text)


def accumulate(stream: str) -> dict[str, Any]:
    """A message from its events."""
    message: dict[str, Any] = {}
    for event in stream.split("\n\n"):
        data = json.loads(event.partition("data: ")[2] or "{}")
        match data.get("type"):
            case "message_start":
                message = data["message"]
            case "content_block_start":
                message["content"].append(data["content_block"] | {"_json": ""})
            case "content_block_delta":
                block, delta = message["content"][data["index"]], data["delta"]
                block["_json"] += delta.get("partial_json", "")
                for field in ("text", "thinking", "signature"):
                    if field in delta:
                        block[field] += delta[field]
            case "content_block_stop":
                block = message["content"][data["index"]]
                arguments = block.pop("_json")
                if block["type"] == "tool_use":
                    block["input"] = json.loads(arguments or "{}")
            case "message_delta":
                message |= data["delta"]
    return message


def work(agent: Agent, **headers: str) -> None:
    agent.title()
    for _ in STEPS:
        agent.step(**headers)
    agent.http.close()


@pytest.mark.parametrize("target", [HAIKU, SONNET, "claude-sonnet-4-6"])
def test_a_whole_session_on_another_model(
    proxy: InProcessProxy, bare_proxy: SubprocessProxy, provider: StandIn, key: str, target: str
) -> None:
    """Accepted at once on every turn, with the cache read growing as it does without a router."""
    provider.script(*STEPS)
    work(Agent(bare_proxy, key, OPUS))
    plain = [record.counted for record in provider.messages[1:]]
    provider.reset()
    provider.script(*STEPS)
    work(Agent(proxy, key, OPUS), **{"x-router-model": target})
    title, *turns = provider.messages
    assert title.model == "claude-haiku-4-5-20251001"
    assert [record.model for record in turns] == [target] * len(STEPS)
    assert [record.status for record in turns] == [200] * len(STEPS)
    for before, after in itertools.pairwise(turns):
        assert before.counted and after.counted
        assert after.counted.read == before.counted.read + before.counted.write_5m
    assert [bool(count.read) for count in plain] == [bool(record.counted.read) for record in turns]
    assert {record.request.header("anthropic-beta") for record in turns} == {BETAS}


def test_a_session_by_the_default_policy(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str
) -> None:
    provider.script(*STEPS)
    work(Agent(proxy, key, OPUS))
    found = rows.all()
    assert [row["turn"] for row in found] == ["title"] + ["main"] * len(STEPS)
    assert found[0]["strategy"] == "passthrough"
    assert len({row["session"] for row in found[1:]}) == 1
    assert found[1]["session"] != key and str(uuid.UUID(int=7)) not in str(found)
    assert [row["tool_loop"] for row in found[1:]] == [0, 1, 1, 0, 1, 0]
    for before, after in itertools.pairwise(found[1:]):
        if after["tool_loop"]:
            assert after["served_model"] == before["served_model"]
    assert [row["served_model"] for row in found] == [record.model for record in provider.messages]
    assert all(row["client"] == "claude-code" for row in found)
    assert all(row["status"] == 200 and row["complete"] for row in found)


def test_a_system_entry_after_the_tool_results_is_still_the_same_loop(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str
) -> None:
    provider.script(*STEPS[:2])
    agent = Agent(proxy, key, OPUS)
    agent.step(**{"x-router-model": HAIKU})
    agent.messages.append({"role": "system", "content": "The user has opened a file."})
    agent.step()
    agent.http.close()
    assert [row["tool_loop"] for row in rows.all()] == [0, 1]
    assert [record.model for record in provider.messages] == [HAIKU, HAIKU]


def test_the_subscription_of_the_same_client_passes_byte_for_byte(
    proxy: InProcessProxy, bare_proxy: SubprocessProxy, provider: StandIn, account: str
) -> None:
    bodies = []
    for one in (bare_proxy, proxy):
        provider.reset()
        provider.script(*STEPS)
        agent = Agent(one, "", SONNET)
        del agent.headers["x-api-key"]
        agent.headers |= {
            "authorization": f"Bearer sk-ant-oat01-{account}",
            "anthropic-beta": "oauth-2025-04-20",
        }
        work(agent)
        bodies.append([record.request.body for record in provider.messages])
    assert bodies[0] == bodies[1]
    assert member(bodies[1][0], "model") == b'"claude-haiku-4-5-20251001"'
