"""Scripted answers as Anthropic sends them: one JSON body, or server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provider.answers import Answer, Call, Text, Think, parts_of, pieces
from provider.anthropic import thinking
from provider.anthropic.cache import Counted


@dataclass(frozen=True, slots=True)
class Message:
    """A finished answer of one model to one request."""

    id: str
    model: str
    blocks: tuple[dict[str, Any], ...]
    sizes: tuple[int, ...]
    stop_reason: str
    stop_sequence: str | None
    counted: Counted
    output_tokens: int

    def body(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": list(self.blocks),
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "usage": self.counted.usage(self.output_tokens),
        }

    def events(self) -> list[bytes]:
        start = self.body() | {"content": [], "stop_reason": None, "stop_sequence": None}
        start["usage"] = self.counted.usage(1)
        frames = [event("message_start", message=start)]
        for index, block in enumerate(self.blocks):
            frames += _block_events(index, block, self.sizes[index])
            if index == 0:
                frames.insert(2, event("ping"))
        delta = {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence}
        usage = self.counted.usage(self.output_tokens)
        cumulative = {key: usage[key] for key in usage if key not in ("cache_creation", "service_tier")}
        frames.append(event("message_delta", delta=delta, usage=cumulative))
        return [*frames, event("message_stop")]


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def error_event(kind: str, message: str) -> bytes:
    return event("error", error={"type": kind, "message": message})


def _block_events(index: int, block: dict[str, Any], piece: int) -> Iterator[bytes]:
    kind = block["type"]
    empty: dict[str, Any] = dict(block)
    deltas: list[dict[str, Any]] = []
    if kind == "text":
        empty["text"] = ""
        deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"], piece)]
    elif kind == "thinking":
        empty |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": part} for part in pieces(block["thinking"], piece)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        empty["input"] = {}
        arguments = json.dumps(block["input"], ensure_ascii=False)
        parts = ["", *pieces(arguments, piece)]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    yield event("content_block_start", index=index, content_block=empty)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def compose(
    answer: Answer,
    body: Mapping[str, Any],
    *,
    model: str,
    account: str,
    thinks: bool,
    counted: Counted,
    number: int,
) -> Message:
    """Turn a scripted answer into a message: thinking is signed, calls get ids, tokens are counted."""
    prefix = thinking.prefix_of(body)
    blocks: list[dict[str, Any]] = []
    sizes: list[int] = []
    for part in parts_of(answer, thinks):
        if isinstance(part, Think):
            shown = "" if part.redacted or _omitted(body) else part.text
            seal = thinking.sign(shown, account=account, model=model, position=len(blocks), prefix=prefix)
            prefix = thinking.extend_prefix(prefix, seal)
            hidden = {"type": "redacted_thinking", "data": seal}
            blocks.append(
                hidden if part.redacted else {"type": "thinking", "thinking": shown, "signature": seal}
            )
        elif isinstance(part, Text):
            blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, Call):
            call_id = f"toolu_{number:06d}{len(blocks):02d}"
            blocks.append({"type": "tool_use", "id": call_id, "name": part.name, "input": part.input})
        else:
            blocks.append(dict(part.block))
        sizes.append(getattr(part, "piece", 16))
    calls = any(block["type"] == "tool_use" for block in blocks)
    return Message(
        id=f"msg_standin{number:08d}",
        model=model,
        blocks=tuple(blocks),
        sizes=tuple(sizes),
        stop_reason=answer.stop_reason or ("tool_use" if calls else "end_turn"),
        stop_sequence=answer.stop_sequence,
        counted=counted,
        output_tokens=max(1, len(json.dumps(blocks)) // 4),
    )


def _omitted(body: Mapping[str, Any]) -> bool:
    return bool((body.get("thinking") or {}).get("display") == "omitted")
