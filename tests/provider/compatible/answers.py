"""Scripted answers as the providers say them that copy Chat Completions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provider.answers import Answer, Call, Text, Think, pieces
from provider.compatible.hosts import Host
from provider.openai.said import CREATED, Situation, arguments_of, tokens_of

Delta = dict[str, Any]
COMMENT = b": OPENROUTER PROCESSING\n\n"


@dataclass(frozen=True, slots=True)
class Message:
    """A finished answer."""

    id: str
    said: dict[str, Any]
    deltas: tuple[Delta, ...]
    stop_reason: str
    reasoning_tokens: int
    situation: Situation
    host: Host

    @property
    def model(self) -> str:
        return self.situation.model.name

    @property
    def blocks(self) -> tuple[dict[str, Any], ...]:
        return (self.said,)

    @property
    def output_tokens(self) -> int:
        return tokens_of(self.said) + self.reasoning_tokens

    def usage(self) -> dict[str, Any]:
        counted, output = self.situation.counted, self.output_tokens
        usage = {
            "prompt_tokens": counted.prompt,
            "completion_tokens": output,
            "total_tokens": counted.prompt + output,
            "prompt_tokens_details": {"cached_tokens": counted.cached},
        }
        if self.reasoning_tokens:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.reasoning_tokens}
        if self.host.name == "deepseek":
            usage["prompt_cache_hit_tokens"] = counted.cached
            usage["prompt_cache_miss_tokens"] = counted.prompt - counted.cached
        return usage

    def body(self) -> dict[str, Any]:
        choice = {"index": 0, "message": self.said, "finish_reason": self.stop_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage()}

    def events(self) -> list[bytes]:
        chunks = [self._chunk({"role": "assistant", "content": ""})]
        chunks += [self._chunk(delta) for delta in self.deltas]
        last = self._chunk({}, self.stop_reason)
        options = self.situation.body.get("stream_options") or {}
        if self.host.usage != "asked":
            chunks.append(last | {"usage": self.usage()})
        elif options.get("include_usage"):
            chunks += [last, {**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage()}]
        else:
            chunks.append(last)
        waiting = [COMMENT] if self.host.comments else []
        return [*waiting, *map(self._event, chunks), b"data: [DONE]\n\n"]

    def error_event(self, kind: str | None) -> bytes:
        """An error inside the stream; this is its last event."""
        error = {"message": "Provider returned error", "code": 502, "type": kind or "server_error"}
        if self.host.name != "openrouter":
            return self._event({"error": error})
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return self._event({**self._head("chat.completion.chunk"), "error": error, "choices": [choice]})

    def _chunk(self, delta: Delta, stop: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": stop}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        created = CREATED + self.situation.number
        return {"id": self.id, "object": kind, "created": created, "model": self.model}

    def _event(self, value: Any) -> bytes:
        return f"data: {self.situation.dumps(value)}\n\n".encode("utf-8", "surrogatepass")


def compose(answer: Answer, situation: Situation, host: Host) -> Message:
    said: dict[str, Any] = {"role": "assistant", "content": None}
    deltas: list[Delta] = []
    calls: list[dict[str, Any]] = []
    thought = ""
    for part in situation.parts(answer):
        if isinstance(part, Think):
            thought += part.text
            deltas += [{host.reasoning: piece} for piece in pieces(part.text, 11)]
        elif isinstance(part, Text):
            said["content"] = (said["content"] or "") + part.text
            deltas += [{"content": piece} for piece in pieces(part.text, part.piece)]
        elif isinstance(part, Call):
            calls.append(_call(part, _call_id(situation, len(calls), host)))
            deltas += _call_deltas(len(calls) - 1, calls[-1], 0 if host.whole_calls else part.piece)
        else:
            said |= part.block
            deltas.append(dict(part.block))
    if thought:
        said[host.reasoning] = thought
    if calls:
        said["tool_calls"] = calls
    return Message(
        id=situation.id("gen").replace("_", "-"),
        said=said,
        deltas=tuple(deltas),
        stop_reason=answer.stop_reason or ("tool_calls" if calls else "stop"),
        reasoning_tokens=len(thought) // 4,
        situation=situation,
        host=host,
    )


def _call_id(situation: Situation, index: int, host: Host) -> str:
    seed = f"{host.name} {situation.account} {situation.number} {index}"
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return digest[:9] if host.call_id == "[a-zA-Z0-9]{9}" else f"call_{digest[:24]}"


def _call(part: Call, call_id: str) -> dict[str, Any]:
    function = {"name": part.name, "arguments": arguments_of(part)}
    return {"id": call_id, "type": "function", "function": function}


def _call_deltas(index: int, call: dict[str, Any], size: int) -> Iterator[Delta]:
    if not size:
        yield {"tool_calls": [{"index": index, **call}]}
        return
    function = call["function"]
    yield {"tool_calls": [{"index": index, **call, "function": {**function, "arguments": ""}}]}
    for piece in pieces(function["arguments"], size):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
