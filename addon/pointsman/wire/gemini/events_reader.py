"""A Gemini answer as neutral events: server-sent events, an array, or one body, which all hold the same.

The first candidate counts. Calls come whole. The end of an answer has no sign of its own: it is the end of
the bytes after a reason to finish, or after a blocked prompt. Data that a model makes, and code that Google
runs, have no place elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pointsman.wire.gemini.answer import REFUSALS, index_of, is_response
from pointsman.wire.gemini.spelling import given, items
from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.neutral import CallArguments, Counts, Event, Start, StopReason, Text, Thinking
from pointsman.wire.observation import as_count
from pointsman.wire.translation.free_text import as_json
from pointsman.wire.translation.reading import EventReader

_REASONS: Final = {"STOP": StopReason.END, "MAX_TOKENS": StopReason.MAX_TOKENS}


class GeminiReader(EventReader):
    """A stream of answers, or one answer."""

    def __init__(self) -> None:
        super().__init__()
        self._reason: StopReason | None = None

    def _see(self, content: dict[str, Any]) -> Iterator[Event]:
        if not is_response(content):
            return
        if not self.started:
            yield Start(as_text(content.get("responseId")) or "", as_text(content.get("modelVersion")) or "")
        for candidate in dicts(content.get("candidates")):
            if index_of(candidate) == 0:
                yield from self._candidate(candidate)
        if as_dict(content.get("promptFeedback")).get("blockReason"):
            self._reason = StopReason.REFUSAL
        yield from _counts(content.get("usageMetadata"))

    def _candidate(self, candidate: dict[str, Any]) -> Iterator[Event]:
        for part in items(as_dict(candidate.get("content")).get("parts")):
            yield from self._part(part)
        reason = as_text(candidate.get("finishReason"))
        if reason is not None:
            declined = StopReason.REFUSAL if reason in REFUSALS else StopReason.END
            self._reason = _REASONS.get(reason, declined)

    def _part(self, part: dict[str, Any]) -> Iterator[Event]:
        text, call = part.get("text"), as_dict(given(part, "functionCall"))
        if isinstance(text, str):
            yield Thinking(text) if part.get("thought") is True else Text(text)
        elif call:
            start = self._call(as_text(call.get("id")), as_text(call.get("name")) or "")
            yield start
            yield CallArguments(start.index, as_json(as_dict(call.get("args"))))

    def _close(self) -> Iterator[Event]:
        if self._reason is not None:
            yield from self._finish(self._reason)


def _counts(usage: Any) -> Iterator[Counts]:
    """The prompt's tokens include what was cached, thoughts are counted apart."""
    usage = as_dict(usage)
    prompt, cached = as_count(usage.get("promptTokenCount")), as_count(usage.get("cachedContentTokenCount"))
    tools = as_count(usage.get("toolUsePromptTokenCount"))
    said, thought = as_count(usage.get("candidatesTokenCount")), as_count(usage.get("thoughtsTokenCount"))
    counts = Counts(
        input=None if prompt is None else max(0, prompt - (cached or 0)) + (tools or 0),
        output=None if said is None and thought is None else (said or 0) + (thought or 0),
        cache_read=cached,
        reasoning=thought,
    )
    if counts != Counts():
        yield counts


def read_events(content_type: str) -> GeminiReader:
    """What makes neutral events of an answer's bytes; the type need not be true."""
    return GeminiReader()


def read_answer(data: bytes) -> list[Event]:
    """A whole answer as neutral events."""
    reader = GeminiReader()
    return [*reader.feed(data), *reader.flush()]
