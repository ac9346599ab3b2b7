"""A streamed Anthropic answer, observed and changed as little as possible.

1. The first `message_start` gets the requested model and `x_router`.
2. A comment follows it directly.
3. Right before the first content block, almost always the next event, stands the marker, a
   text block with index 0; the indices of all later blocks grow by one. An answer without
   any block gets no marker: a turn must never end with nothing but that.
4. All other bytes stay as they are, in particular pings, unknown events and comments. Once
   nothing remains to be changed, chunks pass as they come and are only read.
"""

from __future__ import annotations

import re

from pointsman.values import Changes
from pointsman.wire import sse
from pointsman.wire.anthropic.answer import Observation, rename
from pointsman.wire.anthropic.errors import error_frame
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.transform import SseTransform, typed

# The event of which there are thousands, in the spelling of the provider: its index is found
# without parsing, and there is nothing in it to observe.
DELTA = re.compile(
    rb"(?:event: ?content_block_delta\r?\n)?"
    rb'data: ?\{"type": ?"content_block_delta", ?"index": ?(0|[1-9][0-9]{0,8}),'
)
_TELLING = ("message_start", "message_delta", "message_stop", "error")


class StreamTransform(SseTransform[Observation]):
    """A stream of Messages events."""

    def __init__(self, changes: Changes) -> None:
        super().__init__(changes, Observation())
        self._changes = changes
        self._shift = 0
        self._started = False

    def _silent(self, event: sse.Event) -> bool:
        return self.observation.begun and DELTA.match(event.raw) is not None

    def _see(self, event: sse.Event) -> str:
        """The event's type; "" for comments and the like."""
        kind, content = typed(event)
        self.observation.see(content)
        self.dirty = self.dirty or kind in _TELLING
        return kind

    def _failure(self, status: int, message: str) -> bytes:
        return error_frame(status, message)

    def _change(self, event: sse.Event) -> bytes:
        found = DELTA.match(event.raw)
        if found and not self.observation.begun:
            self._see(event)
        if found and self._shift:
            start, end = found.span(1)
            return event.raw[:start] + str(int(found[1]) + self._shift).encode() + event.raw[end:]
        kind = "content_block_delta" if found else self._see(event)
        if kind == "message_start" and not self._started:
            return self._start(event)
        if not (self._started and kind.startswith("content_block_")):
            return event.raw
        if self._changes.marker_text is not None and not self._shift:
            self._shift = 1
            return self._marker_block(self._changes.marker_text) + self._shifted(event)
        return self._shifted(event)

    def _start(self, event: sse.Event) -> bytes:
        body = Body.parse(event.data or b"")
        message = Body.parse(body.raw("message") or b"")
        rename(message, self._changes)
        body.set_raw("message", message.render())
        raw = event.with_data(body.render()) if body.changed else event.raw
        self._started = True
        self._passing = self._changes.marker_text is None
        comment = self._changes.comment
        return raw if comment is None else raw + sse.comment(comment)

    def mark(self) -> bytes:
        """The marker's block, after a beginning of ours and before anything of the provider's."""
        if self._changes.marker_text is None or not self._started or self._shift:
            return b""
        self._shift = 1
        return self._marker_block(self._changes.marker_text)

    def _shifted(self, event: sse.Event) -> bytes:
        body = Body.parse(event.data or b"")
        index = body.get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            return event.raw
        body.set("index", index + self._shift)
        return event.with_data(body.render())

    @staticmethod
    def _marker_block(text: str) -> bytes:
        """The three events of a text block at index 0."""
        block = {"index": 0, "content_block": {"type": "text", "text": ""}}
        delta = {"index": 0, "delta": {"type": "text_delta", "text": text}}
        return b"".join(
            sse.write(name, encode({"type": name, **data}))
            for name, data in (
                ("content_block_start", block),
                ("content_block_delta", delta),
                ("content_block_stop", {"index": 0}),
            )
        )
