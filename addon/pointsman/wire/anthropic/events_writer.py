"""Neutral events as Anthropic would send them.

Counts come late from other providers, so `message_start` has none: they are in the usage of `message_delta`,
which is cumulative and may hold them all. Clients (Claude Code, the SDKs) let them replace the first ones.
Thinking carries a signature that says that it is ours, for no provider could verify it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pointsman.wire import sse
from pointsman.wire.anthropic.errors import error_frame
from pointsman.wire.json_spans import encode
from pointsman.wire.neutral import Counts, Event, Request, StopReason
from pointsman.wire.translation.blocks import Block, id_of
from pointsman.wire.translation.free_text import as_object
from pointsman.wire.translation.made import SIGNATURE
from pointsman.wire.translation.writing import Collector, EventWriter

_REASONS: Final = {
    StopReason.END: "end_turn",
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.CONTEXT: "model_context_window_exceeded",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.CALLS: "tool_use",
    StopReason.REFUSAL: "refusal",
    StopReason.PAUSE: "pause_turn",
}
_NO_USAGE: Final = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


class AnthropicWriter(EventWriter):
    """A stream of Messages events."""

    def __init__(self, request: Request, answer_id: str, created: int) -> None:
        super().__init__(request, answer_id, created, thoughts=request.reasoning.shown)

    def _opening(self) -> bytes:
        return opening(self._answer_id, self._request.model, self._created)

    def _start(self, block: Block) -> bytes:
        empty = _empty(block)
        return _event("content_block_start", index=block.number, content_block=empty)

    def _more(self, block: Block, fragment: str) -> bytes:
        if block.kind == "call":
            delta = {"type": "input_json_delta", "partial_json": fragment}
        elif block.kind == "thinking":
            delta = {"type": "thinking_delta", "thinking": fragment}
        else:
            delta = {"type": "text_delta", "text": fragment}
        return _event("content_block_delta", index=block.number, delta=delta)

    def _finish(self, block: Block) -> bytes:
        end = _event("content_block_stop", index=block.number)
        if block.kind != "thinking":
            return end
        delta = {"type": "signature_delta", "signature": _signature(self._answer_id, block)}
        return _event("content_block_delta", index=block.number, delta=delta) + end

    def _end(self) -> bytes:
        delta = {"stop_reason": _REASONS[self.stop.reason], "stop_sequence": self.stop.sequence}
        return _event("message_delta", delta=delta, usage=_usage(self.counts)) + _event("message_stop")

    def _failure(self, status: int, message: str) -> bytes:
        return error_frame(status, message)


def opening(answer_id: str, model: str, created: int) -> bytes:
    """What a stream starts with, before anything is known of the answer."""
    message = _message(answer_id, model, [], None, None, _NO_USAGE)
    return _event("message_start", message=message)


def write_events(request: Request, answer_id: str, created: int) -> AnthropicWriter:
    """What makes a stream of neutral events; `created` is unix seconds."""
    return AnthropicWriter(request, answer_id, created)


def write_answer(events: Iterable[Event], request: Request, answer_id: str, created: int) -> bytes:
    """Neutral events as a whole message."""
    answer = Collector(events, request, answer_id, thoughts=request.reasoning.shown)
    blocks = [_whole(block, answer_id) for block in answer.blocks]
    reason, sequence = _REASONS[answer.stop.reason], answer.stop.sequence
    usage = _NO_USAGE | _usage(answer.counts)
    return encode(_message(answer_id, request.model, blocks, reason, sequence, usage))


def _message(
    answer_id: str,
    model: str,
    blocks: list[dict[str, Any]],
    reason: str | None,
    sequence: str | None,
    usage: dict[str, Any],
) -> dict[str, Any]:
    return {
        "id": id_of("msg", answer_id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage,
    }


def _empty(block: Block) -> dict[str, Any]:
    if block.kind == "call":
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def _whole(block: Block, answer_id: str) -> dict[str, Any]:
    empty = _empty(block)
    if block.kind == "call":
        return empty | {"input": as_object(block.text)}
    if block.kind == "thinking":
        return empty | {"thinking": block.text, "signature": _signature(answer_id, block)}
    return empty | {"text": block.text}


def _signature(answer_id: str, block: Block) -> str:
    return f"{SIGNATURE}_{answer_id}_{block.number}"


def _usage(counts: Counts) -> dict[str, int]:
    """All that is known; a provider's input excludes what the cache gave or took, as ours does."""
    known: dict[str, int] = {}
    if counts.input is not None:
        known["input_tokens"] = counts.input
        known["cache_creation_input_tokens"] = counts.cache_write or 0
        known["cache_read_input_tokens"] = counts.cache_read or 0
    known["output_tokens"] = counts.output or 0
    return known


def _event(name: str, **members: Any) -> bytes:
    return sse.write(name, encode({"type": name, **members}))
