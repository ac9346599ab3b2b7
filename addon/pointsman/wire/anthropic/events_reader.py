"""An Anthropic answer as neutral events.

A whole message is read as the stream that it would have been. Blocks of kinds that have no place elsewhere
(server tools and their results, redacted thinking) are passed over, and so is what belongs to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.neutral import CallArguments, Counts, Event, Start, StopReason, Text, Thinking
from pointsman.wire.observation import as_count
from pointsman.wire.translation.free_text import as_json
from pointsman.wire.translation.reading import EventReader

_REASONS: Final = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.CONTEXT,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.CALLS,
    "refusal": StopReason.REFUSAL,
    "pause_turn": StopReason.PAUSE,
}


class AnthropicReader(EventReader):
    """A stream of Messages events, or a message."""

    def __init__(self) -> None:
        super().__init__()
        self._call_at: dict[Any, int] = {}  # block → call
        self._unsaid: dict[int, Any] = {}  # call → arguments that came with its beginning and not in pieces
        self._reason = StopReason.END
        self._sequence: str | None = None

    def _see(self, content: dict[str, Any]) -> Iterator[Event]:
        kind = content.get("type")
        if kind == "content_block_delta":
            yield from self._delta(content.get("index"), as_dict(content.get("delta")))
        elif kind == "content_block_start":
            yield from self._block(content.get("index"), as_dict(content.get("content_block")))
        elif kind == "content_block_stop":
            yield from self._settle(self._call_at.get(_key(content.get("index"))))
        elif kind == "message_start":
            yield from self._message(as_dict(content.get("message")))
        elif kind == "message_delta":
            self._note_end(as_dict(content.get("delta")))
            yield from _counts(content.get("usage"))
        elif kind == "message_stop":
            yield from self._stop()
        elif kind == "message":
            yield from self._message(content)
            yield from self._stop()

    def _message(self, message: dict[str, Any]) -> Iterator[Event]:
        yield Start(as_text(message.get("id")) or "", as_text(message.get("model")) or "")
        yield from _counts(message.get("usage"))
        self._note_end(message)
        for index, block in enumerate(dicts(message.get("content"))):
            yield from self._block(index, block)
            yield from self._settle(self._call_at.get(index))

    def _block(self, index: Any, block: dict[str, Any]) -> Iterator[Event]:
        kind = block.get("type")
        self._call_at.pop(_key(index), None)
        if kind == "tool_use":
            call = self._call(as_text(block.get("id")), as_text(block.get("name")) or "")
            self._call_at[_key(index)] = call.index
            self._unsaid[call.index] = as_dict(block.get("input"))
            yield call
        elif kind == "text":
            yield Text(_string(block.get("text")))
        elif kind == "thinking":
            yield Thinking(_string(block.get("thinking")))

    def _delta(self, index: Any, delta: dict[str, Any]) -> Iterator[Event]:
        kind = delta.get("type")
        if kind == "text_delta":
            yield Text(_string(delta.get("text")))
        elif kind == "thinking_delta":
            yield Thinking(_string(delta.get("thinking")))
        elif kind == "input_json_delta":
            call, fragment = self._call_at.get(_key(index)), _string(delta.get("partial_json"))
            if call is not None and fragment:
                self._unsaid.pop(call, None)
                yield CallArguments(call, fragment)

    def _settle(self, call: int | None) -> Iterator[Event]:
        """The call's block is over: what came with its beginning is all, unless there were pieces."""
        if call in self._unsaid:
            yield CallArguments(call, as_json(self._unsaid.pop(call)))

    def _note_end(self, delta: dict[str, Any]) -> None:
        if (reason := as_text(delta.get("stop_reason"))) is not None:
            self._reason = _REASONS.get(reason, StopReason.END)
        self._sequence = as_text(delta.get("stop_sequence")) or self._sequence

    def _stop(self) -> Iterator[Event]:
        for call in list(self._unsaid):
            yield from self._settle(call)
        yield from self._finish(self._reason, self._sequence)


def _key(index: Any) -> Any:
    return index if isinstance(index, int) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _counts(usage: Any) -> Iterator[Counts]:
    usage = as_dict(usage)
    counts = Counts(
        input=as_count(usage.get("input_tokens")),
        output=as_count(usage.get("output_tokens")),
        cache_read=as_count(usage.get("cache_read_input_tokens")),
        cache_write=as_count(usage.get("cache_creation_input_tokens")),
    )
    if counts != Counts():
        yield counts


def read_events(content_type: str) -> AnthropicReader:
    """What makes neutral events of an answer's bytes; the type need not be true."""
    return AnthropicReader()


def read_answer(data: bytes) -> list[Event]:
    """A whole answer as neutral events."""
    reader = AnthropicReader()
    return [*reader.feed(data), *reader.flush()]
