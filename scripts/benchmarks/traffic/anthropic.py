"""Claude Code and the Messages API."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from benchmarks.texts import prompt
from benchmarks.traffic.base import (
    ANSWERS,
    DELTA,
    DELTAS,
    SAID,
    SCHEMA,
    Json,
    Said,
    Streamed,
    Traffic,
    as_bytes,
)


class Anthropic(Traffic):
    surface, host = "anthropic", "api.anthropic.com"
    requested, served = "claude-opus-4-8", "claude-haiku-4-5"
    mode = "comment"
    headers: ClassVar = {
        "accept": "application/json",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "interleaved-thinking-2025-05-14,context-management-2025-06-27",
        "content-type": "application/json",
        "user-agent": "claude-cli/2.1.0 (external, cli)",
        "x-api-key": "sk-ant-api03-bench",
        "x-app": "cli",
        "x-stainless-arch": "x64",
        "x-stainless-helper-method": "stream",
        "x-stainless-lang": "js",
        "x-stainless-os": "Linux",
        "x-stainless-package-version": "0.70.0",
        "x-stainless-retry-count": "0",
        "x-stainless-runtime": "node",
        "x-stainless-runtime-version": "v24.3.0",
        "x-stainless-timeout": "600",
        "accept-language": "*",
        "sec-fetch-mode": "cors",
    }

    def path(self, stream: bool) -> str:
        return "/v1/messages"

    def request(self, system: list[str], tools: list[Json], history: list[Json], stream: bool) -> Json:
        made: Json = {"model": self.requested, "max_tokens": 4_096, "stream": stream}
        if system:
            made["system"] = system[0]
        return {**made, "tools": tools, "messages": history}

    def session(self, system: list[str], tools: list[Json], history: list[Json]) -> Json:
        """Thinking is adaptive with an effort, and a message has the role "system"."""
        first, *others = system
        return {
            **self.request([], tools, history, True),
            "max_tokens": 32_000,
            "system": [_cached(_text(first)), *map(_text, others)],
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
            "metadata": {"user_id": json.dumps({"session_id": "8b6f2f3e-0000-4000-8000-000000000001"})},
        }

    def tool(self, name: str, description: str) -> Json:
        return {"name": name, "description": description, "input_schema": SCHEMA}

    def person(self, text: str) -> list[Json]:
        return [{"role": "user", "content": [_text(text)]}]

    def said(self, said: Said) -> list[Json]:
        """Half of the clients keep the marker as the block it was, half merge it with the words."""
        index = said.index
        signature = "EqQBCkYIBxgCKkA" * 20
        thinking = {"type": "thinking", "thinking": prompt(index, 40), "signature": signature}
        words = [said.words]
        if said.marker is not None:
            words = [said.marker + said.words] if index % 2 else [said.marker, said.words]
        call = {"type": "tool_use", "id": f"toolu_{index:04d}", "name": "tool_3", "input": said.arguments}
        if index == ANSWERS - 1:
            call = _cached(call)
        thoughts = [thinking] if said.thought else []
        return [{"role": "assistant", "content": [*thoughts, *map(_text, words), call]}]

    def result(self, index: int, text: str) -> list[Json]:
        result = {"type": "tool_result", "tool_use_id": f"toolu_{index:04d}", "content": text}
        return [{"role": "user", "content": [result]}]

    def reminder(self) -> list[Json]:
        return [{"role": "system", "content": "The user opened src/track.py in the editor."}]

    def answer(self) -> bytes:
        return json.dumps(self._message([_text(SAID)], "end_turn")).encode()

    def stream(self, deltas: int = DELTAS) -> Streamed:
        block = {"index": 0, "content_block": _text("")}
        piece = {"index": 0, "delta": {"type": "text_delta", "text": DELTA}}
        end = {
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2 * deltas},
        }
        return Streamed(
            head=[
                _event("message_start", {"message": self._message([], None)}),
                _event("content_block_start", block),
                _event("ping", {}),
            ],
            deltas=[_event("content_block_delta", piece)] * deltas,
            tail=[
                _event("content_block_stop", {"index": 0}),
                _event("message_delta", end),
                _event("message_stop", {}),
            ],
        )

    def _message(self, content: list[Json], stop_reason: str | None) -> Json:
        return {
            "id": "msg_01BenchBenchBenchBench",
            "type": "message",
            "role": "assistant",
            "model": self.served,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 7_500, "cache_read_input_tokens": 0, "output_tokens": 40},
        }


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _cached(block: Json) -> Json:
    return {**block, "cache_control": {"type": "ephemeral"}}


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + as_bytes({"type": name, **data}) + b"\n\n"
