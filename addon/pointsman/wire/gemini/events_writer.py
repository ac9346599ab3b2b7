"""Neutral events as Gemini would send them: chunks of one candidate, and never a comment or an event's name.

A call goes whole, so it waits for all of its arguments; one that the length cut off goes not at all. The
counts are in the last chunk, with the reason to finish; where the last words have been sent, that is a chunk
with an empty text, as Google's own may be, for clients take one without parts for broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pointsman.wire.gemini.errors import error_body, error_frame
from pointsman.wire.json_spans import encode
from pointsman.wire.neutral import Counts, Event, Request, StopReason
from pointsman.wire.openai.counts import entire_input
from pointsman.wire.rejoining import Rejoin, Unchanged
from pointsman.wire.translation.blocks import Block
from pointsman.wire.translation.free_text import as_object, is_json
from pointsman.wire.translation.made import OURS
from pointsman.wire.translation.writing import Collector, EventWriter

_REASONS: Final = {
    StopReason.END: "STOP",
    StopReason.MAX_TOKENS: "MAX_TOKENS",
    StopReason.CONTEXT: "MAX_TOKENS",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.CALLS: "STOP",
    StopReason.REFUSAL: "SAFETY",
    StopReason.PAUSE: "STOP",
}
_CUT: Final = (StopReason.MAX_TOKENS, StopReason.CONTEXT)

Json = dict[str, Any]


class GeminiWriter(EventWriter):
    """A stream of answers, as server-sent events or as one array."""

    def __init__(self, request: Request, answer_id: str, created: int) -> None:
        super().__init__(request, answer_id, created, thoughts=request.reasoning.shown)
        self._array = request.stream_array
        self._held: Json | None = None  # a call that may be the last part
        self._refused = False
        self._wrote = False
        if self._array:
            self.content_type = "application/json; charset=UTF-8"

    def _begin_with(self, event: Event) -> Iterator[bytes]:
        """Nothing: a stream begins with its first part."""
        self._begun = True
        yield b""

    def _opening(self) -> bytes:
        # An array must not begin early: clients that read one read it whole.
        return b"" if self._array else opening(self._answer_id, self._request.model, self._created)

    def _start(self, block: Block) -> bytes:
        return self._release()

    def _more(self, block: Block, fragment: str) -> bytes:
        self._refused = self._refused or block.kind == "refusal"
        if block.kind == "call":
            return b""
        return self._chunk(_candidate([_text_part(block, fragment)]))

    def _finish(self, block: Block) -> bytes:
        if block.kind == "call":
            self._held = _call_part(block, self.stop.reason)
        return b""

    def _end(self) -> bytes:
        reason = _reason(self.stop.reason, refused=self._refused)
        if self._held is not None or self._wrote:
            last = _candidate([self._held or {"text": ""}])
        else:
            last = {"index": 0}
        end = self._chunk({**last, "finishReason": reason}, _usage(self.counts))
        return end + (b"]" if self._array else b"")

    def _failure(self, status: int, message: str) -> bytes:
        before = self._release()
        if not self._array:
            return before + error_frame(status, message)
        return before + self._element(error_body(status, message)) + b"]"

    def _release(self) -> bytes:
        """The call that waited, now that it is not the last part."""
        held, self._held = self._held, None
        return b"" if held is None else self._chunk(_candidate([held]))

    def _chunk(self, candidate: Json, usage: Json | None = None) -> bytes:
        data = encode(_answer(candidate, self._request.model, self._answer_id, usage))
        return self._element(data)

    def _element(self, data: bytes) -> bytes:
        first, self._wrote = not self._wrote, True
        if self._array:
            return (b"[" if first else b",\r\n") + data
        return _event(data)


def opening(answer_id: str, model: str, created: int) -> bytes:
    """A chunk without parts, before anything is known of the answer.

    An empty text would do no harm in it, but in the history: clients send it back, and Gemini refuses it.
    """
    return _event(encode(_answer({"content": {"role": "model"}, "index": 0}, model, answer_id, None)))


def rejoin(answer_id: str, model: str, created: int) -> Rejoin:
    """What follows that opening: the provider's own stream, whose chunks stand each for itself."""
    return Unchanged()


def write_events(request: Request, answer_id: str, created: int) -> GeminiWriter:
    """What makes a stream of neutral events; `created` is unix seconds."""
    return GeminiWriter(request, answer_id, created)


def write_answer(events: Iterable[Event], request: Request, answer_id: str, created: int) -> bytes:
    """Neutral events as a whole answer."""
    answer = Collector(events, request, answer_id, thoughts=request.reasoning.shown)
    reason = answer.stop.reason
    made = (_part(block, reason) for block in answer.blocks)
    parts = [part for part in made if part is not None]
    refused = any(block.kind == "refusal" for block in answer.blocks)
    said = _candidate(parts) if parts else {"index": 0}
    candidate = {**said, "finishReason": _reason(reason, refused=refused)}
    return encode(_answer(candidate, request.model, answer_id, _usage(answer.counts)))


# --- answers ------------------------------------------------------------------------------


def _answer(candidate: Json, model: str, answer_id: str, usage: Json | None) -> Json:
    counted = {} if usage is None else {"usageMetadata": usage}
    return {
        "candidates": [candidate],
        **counted,
        "modelVersion": model,
        "responseId": f"{OURS}_{answer_id}",
    }


def _candidate(parts: list[Json]) -> Json:
    return {"content": {"parts": parts, "role": "model"}, "index": 0}


def _part(block: Block, reason: StopReason) -> Json | None:
    return _call_part(block, reason) if block.kind == "call" else _text_part(block, block.text)


def _text_part(block: Block, text: str) -> Json:
    return {"text": text, "thought": True} if block.kind == "thinking" else {"text": text}


def _call_part(block: Block, reason: StopReason) -> Json | None:
    text = block.text
    if reason in _CUT and not is_json(text):
        return None
    return {"functionCall": {"id": block.id, "name": block.name, "args": as_object(text)}}


def _reason(reason: StopReason, *, refused: bool) -> str:
    """A model that says that it declines has stopped; one that is cut off was found unsafe."""
    return "STOP" if refused and reason is StopReason.REFUSAL else _REASONS[reason]


def _usage(counts: Counts) -> Json:
    entire, output, thought = entire_input(counts), counts.output or 0, counts.reasoning or 0
    usage: Json = {"promptTokenCount": entire, "candidatesTokenCount": max(0, output - thought)}
    if counts.cache_read:
        usage["cachedContentTokenCount"] = counts.cache_read
    if thought:
        usage["thoughtsTokenCount"] = thought
    usage["totalTokenCount"] = entire + output
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": entire}]
    return usage


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\r\n\r\n"
