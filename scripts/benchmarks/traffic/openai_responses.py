"""Codex and the Responses API, in lite mode: the tools stand in the input, and answers repeat none."""

from __future__ import annotations

import json
from typing import ClassVar

from benchmarks.traffic.base import DELTA, DELTAS, SAID, SCHEMA, Json, Said, Streamed, Traffic, as_bytes

_THREAD = "01a1fb68-0000-7000-8000-000000000001"
_METADATA = json.dumps(
    {"session_id": _THREAD, "thread_id": _THREAD, "request_kind": "turn", "thread_source": "user"}
)
_USAGE: Json = {
    "input_tokens": 7_500,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 7_540,
}


class OpenAIResponses(Traffic):
    surface, host = "openai_responses", "api.openai.com"
    requested, served = "gpt-6.1-sol", "gpt-5.6-luna"
    headers: ClassVar = {
        "version": "0.169.0",
        "x-codex-beta-features": "remote_compaction_v2",
        "x-codex-window-id": f"{_THREAD}:0",
        "x-codex-turn-metadata": _METADATA,
        "x-openai-internal-codex-responses-lite": "true",
        "x-client-request-id": _THREAD,
        "session-id": _THREAD,
        "thread-id": _THREAD,
        "accept": "text/event-stream",
        "content-type": "application/json",
        "authorization": "Bearer sk-proj-bench",
        "originator": "codex_exec",
        "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)",
    }

    def path(self, stream: bool) -> str:
        return "/v1/responses"

    def request(self, system: list[str], tools: list[Json], history: list[Json], stream: bool) -> Json:
        """The effort is one that the lesser model lacks."""
        namespace = {"type": "namespace", "name": "functions", "description": "", "tools": tools}
        more = {"type": "additional_tools", "id": "at_bench", "role": "developer", "tools": [namespace]}
        leading = [_message("developer", "input_text", text, f"msg_d{at}") for at, text in enumerate(system)]
        return {
            "model": self.requested,
            "stream": stream,
            "input": [more, *leading, *history],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "reasoning": {"effort": "max", "context": "all_turns"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": _THREAD,
            "text": {"verbosity": "low"},
            "client_metadata": {"thread_id": _THREAD, "x-codex-turn-metadata": _METADATA},
        }

    def tool(self, name: str, description: str) -> Json:
        return {
            "type": "function",
            "name": name,
            "description": description,
            "strict": False,
            "parameters": SCHEMA,
        }

    def person(self, text: str) -> list[Json]:
        return [_message("user", "input_text", text, "msg_u")]

    def said(self, said: Said) -> list[Json]:
        """Codex sends the marker back as the item that it came as."""
        index = said.index
        thoughts: Json = {
            "type": "reasoning",
            "id": f"rs_{index:04d}",
            "summary": [],
            "encrypted_content": "gAAAAABpH2vUq7Zb" * 40,
        }
        items: list[Json] = []
        if said.marker is not None:
            items.append(_message("assistant", "output_text", said.marker, f"msg_pointsman_{index:04d}"))
        if said.thought:
            items.append(thoughts)
        items.append(_message("assistant", "output_text", said.words, f"msg_{index:04d}"))
        call = {"type": "function_call", "id": f"fc_{index:04d}", "call_id": f"call_{index:04d}"}
        called = {"name": "tool_3", "namespace": "functions", "arguments": json.dumps(said.arguments)}
        return [*items, call | called]

    def result(self, index: int, text: str) -> list[Json]:
        return [{"type": "function_call_output", "call_id": f"call_{index:04d}", "output": text}]

    def answer(self) -> bytes:
        return json.dumps(self._response("completed", [_item(SAID)], _USAGE), indent=2).encode()

    def stream(self, deltas: int = DELTAS) -> Streamed:
        begun = {"response": self._response("in_progress", [], None)}
        place = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
        empty, full = _item(""), _item(DELTA * deltas)
        [part] = full["content"]
        begun_item = empty | {"status": "in_progress", "content": []}
        head: list[tuple[str, Json]] = [
            ("created", begun),
            ("in_progress", begun),
            ("output_item.added", {"output_index": 0, "item": begun_item}),
            ("content_part.added", {**place, "part": empty["content"][0]}),
        ]
        said = {"delta": DELTA, "logprobs": [], "obfuscation": "Xq3vB7"}
        piece: tuple[str, Json] = ("output_text.delta", {**place, **said})
        tail: list[tuple[str, Json]] = [
            ("output_text.done", {**place, "text": part["text"], "logprobs": []}),
            ("content_part.done", {**place, "part": part}),
            ("output_item.done", {"output_index": 0, "item": full}),
            ("completed", {"response": self._response("completed", [full], _USAGE)}),
        ]
        events = [_event(at, *event) for at, event in enumerate([*head, *([piece] * deltas), *tail])]
        return Streamed(events[: len(head)], events[len(head) : -len(tail)], events[-len(tail) :])

    def _response(self, status: str, output: list[Json], usage: Json | None) -> Json:
        return {
            "id": "resp_0bench0bench0bench0bench0bench",
            "object": "response",
            "created_at": 1_795_000_000,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "model": self.served,
            "output": output,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "prompt_cache_key": _THREAD,
            "reasoning": {"effort": "xhigh", "summary": None},
            "service_tier": "default",
            "store": False,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "low"},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage,
            "user": None,
            "metadata": {},
        }


def _message(role: str, kind: str, text: str, name: str) -> Json:
    return {"type": "message", "id": name, "role": role, "content": [{"type": kind, "text": text}]}


def _item(text: str) -> Json:
    """A message of an answer."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    head = {"id": "msg_bench", "type": "message", "status": "completed"}
    return {**head, "content": [part], "role": "assistant"}


def _event(number: int, kind: str, data: Json) -> bytes:
    name = f"response.{kind}"
    numbered = as_bytes({"type": name, "sequence_number": number, **data})
    return b"event: " + name.encode() + b"\ndata: " + numbered + b"\n\n"
