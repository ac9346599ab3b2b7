"""Neutral events as Chat Completions would send them.

Thoughts have no place in it. The usage comes in a chunk of its own at the end, where the client asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pointsman.wire.json_spans import encode
from pointsman.wire.neutral import CallStart, Counts, Event, Refusal, Request, Start, StopReason, Thinking
from pointsman.wire.openai.counts import entire_input, input_details
from pointsman.wire.openai.errors import error_frame
from pointsman.wire.translation.blocks import Block
from pointsman.wire.translation.made import OURS
from pointsman.wire.translation.writing import Collector, EventWriter

_REASONS: Final = {
    StopReason.END: "stop",
    StopReason.MAX_TOKENS: "length",
    StopReason.CONTEXT: "length",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.CALLS: "tool_calls",
    StopReason.REFUSAL: "content_filter",
    StopReason.PAUSE: "stop",
}
_DONE: Final = b"data: [DONE]\n\n"


class ChatWriter(EventWriter):
    """A stream of completion chunks."""

    def __init__(self, request: Request, answer_id: str, created: int) -> None:
        super().__init__(request, answer_id, created, thoughts=False)
        self._head = _head("chat.completion.chunk", answer_id, request.model, created)
        self._usage = {"usage": None} if request.stream_usage else {}
        self._calls_written = 0
        self._refused = False

    def _begin_with(self, event: Event) -> Iterator[bytes]:
        """The role waits for the first content, since the provider tells with it whether that is a text."""
        if not isinstance(event, Start | Counts | Thinking):
            self._begun = True
            silent = isinstance(event, CallStart | Refusal)
            yield self._chunk({"role": "assistant", "content": None if silent else "", "refusal": None})

    def _opening(self) -> bytes:
        return opening(self._answer_id, self._request.model, self._created, usage=self._request.stream_usage)

    def _start(self, block: Block) -> bytes:
        if block.kind != "call":
            return b""
        kind, key = _call_words(block)
        call = {"id": block.id, "type": kind, kind: {"name": block.name, key: ""}}
        self._calls_written += 1
        return self._call_chunk(call)

    def _more(self, block: Block, fragment: str) -> bytes:
        if block.kind == "call":
            kind, key = _call_words(block)
            return self._call_chunk({kind: {key: fragment}})
        self._refused = self._refused or block.kind == "refusal"
        return self._chunk({"refusal" if block.kind == "refusal" else "content": fragment})

    def _finish(self, block: Block) -> bytes:
        return b""

    def _end(self) -> bytes:
        last = self._chunk({}, _reason(self.stop.reason, refused=self._refused))
        if self._usage:
            last += _data({**self._head, "choices": [], "usage": _usage(self.counts)})
        return last + _DONE

    def _failure(self, status: int, message: str) -> bytes:
        return error_frame(status, message)

    def _call_chunk(self, call: dict[str, Any]) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._calls_written - 1, **call}]})

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _data({**self._head, "choices": [choice], **self._usage})


def opening(answer_id: str, model: str, created: int, *, usage: bool = False) -> bytes:
    """What a stream starts with, before anything is known of the answer; `usage`: it was asked for."""
    delta = {"role": "assistant", "content": "", "refusal": None}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    head = _head("chat.completion.chunk", answer_id, model, created)
    return _data({**head, "choices": [choice], **({"usage": None} if usage else {})})


def write_events(request: Request, answer_id: str, created: int) -> ChatWriter:
    """What makes a stream of neutral events; `created` is unix seconds."""
    return ChatWriter(request, answer_id, created)


def write_answer(events: Iterable[Event], request: Request, answer_id: str, created: int) -> bytes:
    """Neutral events as a whole completion."""
    answer = Collector(events, request, answer_id, thoughts=False)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _joined(answer.blocks, "text"),
        "refusal": _joined(answer.blocks, "refusal"),
        "annotations": [],
    }
    if calls := [_whole_call(block) for block in answer.blocks if block.kind == "call"]:
        message["tool_calls"] = calls
    reason = _reason(answer.stop.reason, refused=message["refusal"] is not None)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    head = _head("chat.completion", answer_id, request.model, created)
    return encode({**head, "choices": [choice], "usage": _usage(answer.counts)})


def chat_id(answer_id: str) -> str:
    return f"chatcmpl-{OURS}-{answer_id}"


def _head(kind: str, answer_id: str, model: str, created: int) -> dict[str, Any]:
    return {
        "id": chat_id(answer_id),
        "object": kind,
        "created": created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _reason(reason: StopReason, *, refused: bool) -> str:
    """A model that says that it declines has stopped; one that is cut off has been filtered."""
    return "stop" if refused and reason is StopReason.REFUSAL else _REASONS[reason]


def _call_words(block: Block) -> tuple[str, str]:
    return ("custom", "input") if block.custom else ("function", "arguments")


def _whole_call(block: Block) -> dict[str, Any]:
    kind, key = _call_words(block)
    return {"id": block.id, "type": kind, kind: {"name": block.name, key: block.text}}


def _joined(blocks: list[Block], kind: str) -> str | None:
    return "".join(block.text for block in blocks if block.kind == kind) or None


def _usage(counts: Counts) -> dict[str, Any]:
    entire, output = entire_input(counts), counts.output or 0
    return {
        "prompt_tokens": entire,
        "completion_tokens": output,
        "total_tokens": entire + output,
        "prompt_tokens_details": {**input_details(counts), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _data(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"
