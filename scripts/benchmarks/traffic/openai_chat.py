"""OpenAI's Python SDK and Chat Completions. The stream's usage is not asked for, as is the SDK's default: so
the router asks for it, and has a member to take out of every chunk. The provider sends it to all alike.
"""

from __future__ import annotations

import json
from typing import ClassVar

from benchmarks.traffic.base import DELTA, DELTAS, SAID, SCHEMA, Json, Said, Streamed, Traffic, as_bytes

_USAGE: Json = {
    "prompt_tokens": 7_500,
    "completion_tokens": 40,
    "total_tokens": 7_540,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


class OpenAIChat(Traffic):
    surface, host = "openai_chat", "api.openai.com"
    requested, served = "gpt-5", "gpt-4.1-mini"
    headers: ClassVar = {
        "accept": "application/json",
        "authorization": "Bearer sk-proj-bench",
        "content-type": "application/json",
        "user-agent": "OpenAI/Python 3.52.0",
        "x-stainless-arch": "x64",
        "x-stainless-async": "false",
        "x-stainless-lang": "python",
        "x-stainless-os": "Linux",
        "x-stainless-package-version": "3.52.0",
        "x-stainless-read-timeout": "600",
        "x-stainless-retry-count": "0",
        "x-stainless-runtime": "CPython",
        "x-stainless-runtime-version": "3.13.0",
    }

    def path(self, stream: bool) -> str:
        return "/v1/chat/completions"

    def request(self, system: list[str], tools: list[Json], history: list[Json], stream: bool) -> Json:
        leading = [{"role": "system", "content": "\n".join(system)}] if system else []
        return {
            "model": self.requested,
            "messages": [*leading, *history],
            "max_completion_tokens": 4_096,
            "stream": stream,
            "tools": tools,
        }

    def session(self, system: list[str], tools: list[Json], history: list[Json]) -> Json:
        """What the lesser model does not take: efforts, verbosity, long caches, so long an answer."""
        return {
            **self.request(system, tools, history, True),
            "max_completion_tokens": 64_000,
            "reasoning_effort": "high",
            "verbosity": "low",
            "prompt_cache_retention": "24h",
            "prompt_cache_key": "bench",
        }

    def tool(self, name: str, description: str) -> Json:
        return {
            "type": "function",
            "function": {"name": name, "description": description, "parameters": SCHEMA},
        }

    def person(self, text: str) -> list[Json]:
        return [{"role": "user", "content": text}]

    def said(self, said: Said) -> list[Json]:
        """The marker has become the beginning of the text."""
        function = {"name": "tool_3", "arguments": json.dumps(said.arguments)}
        call = {"id": f"call_{said.index:04d}", "type": "function", "function": function}
        words = (said.marker or "") + said.words
        return [{"role": "assistant", "content": words, "tool_calls": [call]}]

    def result(self, index: int, text: str) -> list[Json]:
        return [{"role": "tool", "tool_call_id": f"call_{index:04d}", "content": text}]

    def answer(self) -> bytes:
        message: Json = {"role": "assistant", "content": SAID, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        made = {**self._head("chat.completion"), "choices": [choice], "usage": _USAGE}
        return json.dumps(made, indent=2).encode()

    def stream(self, deltas: int = DELTAS) -> Streamed:
        end = {**self._head("chat.completion.chunk"), "choices": [], "usage": _USAGE, "obfuscation": ""}
        return Streamed(
            head=[self._chunk({"role": "assistant", "content": "", "refusal": None}, None)],
            deltas=[self._chunk({"content": DELTA}, None)] * deltas,
            tail=[self._chunk({}, "stop"), _event(as_bytes(end)), _event(b"[DONE]")],
        )

    def _chunk(self, delta: Json, finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        head = self._head("chat.completion.chunk")
        return _event(as_bytes({**head, "choices": [choice], "usage": None, "obfuscation": "Xq3vB7"}))

    def _head(self, kind: str) -> Json:
        return {
            "id": "chatcmpl-BenchBenchBenchBenchBenchBenc",
            "object": kind,
            "created": 1_795_000_000,
            "model": self.served,
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
