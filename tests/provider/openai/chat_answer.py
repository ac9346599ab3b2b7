"""Scripted answers as Chat Completions sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provider.answers import Answer, Call, Text, Think, pieces
from provider.openai.errors import error_value
from provider.openai.said import BUSY, CREATED, DOWN, Situation, arguments_of, tokens_of

Json = Mapping[str, Any]
Delta = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A finished answer, said `choices` times over."""

    id: str
    model: str
    said: dict[str, Any]
    deltas: tuple[Delta, ...]
    stop_reason: str
    reasoning_tokens: int
    choices: int
    situation: Situation

    @property
    def blocks(self) -> tuple[dict[str, Any], ...]:
        return (self.said,)

    @property
    def output_tokens(self) -> int:
        return self.choices * tokens_of(self.said) + self.reasoning_tokens

    def body(self) -> dict[str, Any]:
        one = {"message": self.said, "logprobs": None, "finish_reason": self.stop_reason}
        if self.situation.body.get("logprobs"):
            one["logprobs"] = _logprobs(str(self.said["content"] or ""))
        listed = [{"index": index, **one} for index in range(self.choices)]
        return {**self._head("chat.completion"), "choices": listed, "usage": self.usage()}

    def usage(self) -> dict[str, Any]:
        counted, output = self.situation.counted, self.output_tokens
        return {
            "prompt_tokens": counted.prompt,
            "completion_tokens": output,
            "total_tokens": counted.prompt + output,
            "prompt_tokens_details": {**counted.details(), "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }

    def events(self) -> list[bytes]:
        chunks = [self._chunk(index, self._first()) for index in range(self.choices)]
        chunks += [self._chunk(index, delta) for delta in self.deltas for index in range(self.choices)]
        chunks += [self._chunk(index, {}, self.stop_reason) for index in range(self.choices)]
        if self._options.get("include_usage"):
            chunks = [chunk | {"usage": None} for chunk in chunks]
            chunks.append({**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage()})
        chunks = [self._padded(chunk) for chunk in chunks]
        return [*(self._event(chunk) for chunk in chunks), b"data: [DONE]\n\n"]

    def error_event(self, kind: str | None) -> bytes:
        code = (kind or "server_is_overloaded").rpartition(":")[2]
        status, text = (503, BUSY) if code == "server_is_overloaded" else (500, DOWN)
        return self._event({"error": error_value(status, text, code=code)})

    def _first(self) -> Delta:
        spoken = any("content" in delta for delta in self.deltas) or not self.deltas
        return {"role": "assistant", "content": "" if spoken else None, "refusal": None}

    @property
    def _options(self) -> Json:
        return self.situation.body.get("stream_options") or {}

    def _chunk(self, index: int, delta: Delta, stop: str | None = None) -> dict[str, Any]:
        logprobs = None
        if self.situation.body.get("logprobs") and delta.get("content"):
            logprobs = _logprobs(delta["content"])
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": stop}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _padded(self, chunk: dict[str, Any]) -> dict[str, Any]:
        if self._options.get("include_obfuscation") is False:
            return chunk
        return chunk | {"obfuscation": self.situation.obfuscation(str(chunk["choices"]))}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "created": CREATED + self.situation.number,
            "model": self.model,
            "system_fingerprint": "fp_standin",
            "service_tier": "default",
            "object": kind,
        }

    def _event(self, value: Any) -> bytes:
        return f"data: {self.situation.dumps(value)}\n\n".encode("utf-8", "surrogatepass")


def compose(answer: Answer, situation: Situation) -> Message:
    said: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    deltas: list[Delta] = []
    calls: list[dict[str, Any]] = []
    hidden = 0
    for part in situation.parts(answer):
        if isinstance(part, Think):
            hidden += max(1, len(part.text) // 4)
        elif isinstance(part, Text):
            said["content"] = (said["content"] or "") + part.text
            deltas += [{"content": piece} for piece in pieces(part.text, part.piece)]
        elif isinstance(part, Call):
            calls.append(_call(part, situation.call_id(len(calls))))
            deltas += _call_deltas(len(calls) - 1, calls[-1], part.piece)
        elif part.block.get("type") == "refusal":
            said["refusal"] = part.block["refusal"]
            deltas += [{"refusal": piece} for piece in pieces(part.block["refusal"], 13)]
        else:
            said |= part.block
            deltas.append(dict(part.block))
    if calls:
        said["tool_calls"] = calls
    return Message(
        id=situation.id("chatcmpl").replace("_", "-"),
        model=situation.model.answers_as,
        said=said,
        deltas=tuple(deltas),
        stop_reason=answer.stop_reason or ("tool_calls" if calls else "stop"),
        reasoning_tokens=hidden,
        choices=int(situation.body.get("n") or 1),
        situation=situation,
    )


def _call(part: Call, call_id: str) -> dict[str, Any]:
    kind, key = ("custom", "input") if isinstance(part.input, str) else ("function", "arguments")
    return {"id": call_id, "type": kind, kind: {"name": part.name, key: arguments_of(part)}}


def _call_deltas(index: int, call: dict[str, Any], size: int) -> Iterator[Delta]:
    kind = call["type"]
    key = "input" if kind == "custom" else "arguments"
    yield {"tool_calls": [{"index": index, **call, kind: {**call[kind], key: ""}}]}
    for piece in pieces(call[kind][key], size):
        yield {"tool_calls": [{"index": index, kind: {key: piece}}]}


def _logprobs(text: str) -> dict[str, Any]:
    """One token per word; how likely it was is the same for all."""
    tokens = [{"token": word, "bytes": list(word.encode()), "logprob": -0.1} for word in text.split()]
    return {"content": [token | {"top_logprobs": []} for token in tokens], "refusal": None}
