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
from collections.abc import Mapping
from typing import Any

from pointsman.errors import BodyError
from pointsman.wire import sse
from pointsman.wire.anthropic_answer import Observation, rename
from pointsman.wire.json_spans import Body, decode, encode

# The event of which there are thousands, in the spelling of the provider: its index is found
# without parsing, and there is nothing in it to observe.
_DELTA = re.compile(
    rb"(?:event: ?content_block_delta\r?\n)?"
    rb'data: ?\{"type": ?"content_block_delta", ?"index": ?(0|[1-9][0-9]{0,8}),'
)
_TELLING = ("message_start", "message_delta", "message_stop", "error")


class StreamTransform:
    """Upstream bytes in any split in, bytes for the client out.

    `requested_model` None leaves the model as answered; with no marker, comment or `x_router`
    either, every chunk comes back as it was. `marker_text` and `comment` come from
    `wire.marker`. `observation` is up to date, and `dirty` set, before `feed` returns what it
    was learnt from, so that it can be stored before the client sees it. The caller resets
    `dirty`. No returned element is empty.
    """

    def __init__(
        self,
        requested_model: str | None,
        marker_text: str | None = None,
        comment: str | None = None,
        x_router: Mapping[str, Any] | None = None,
    ) -> None:
        self.observation = Observation()
        self.dirty = False
        self._requested_model = requested_model
        self._marker_text = marker_text
        self._comment = comment
        self._x_router = x_router
        self._reader = sse.Reader()
        self._shift = 0
        self._started = False
        self._passing = not (requested_model or marker_text or comment or x_router)

    @property
    def pending(self) -> bytes:
        """What was fed and has not been given back yet: the beginning of an event."""
        return b"" if self._passing else self._reader.pending

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bytes to send on for one chunk from upstream, in no or one element."""
        if self._passing:
            for event in self._reader.feed(chunk):
                self._observe(event)
            return [chunk] if chunk else []
        return self._send(self._reader.feed(chunk))

    def flush(self) -> list[bytes]:
        """The end of the stream: what was held back of an event without its end."""
        events = self._reader.flush()
        if self._passing:
            for event in events:
                self._observe(event)
            return []
        return self._send(events)

    def _send(self, events: list[sse.Event]) -> list[bytes]:
        pieces: list[bytes] = []
        for event in events:
            if self._passing:
                self._observe(event)
                pieces.append(event.raw)
                continue
            pieces.append(self._transform(event))
        if self._passing:
            # From here on chunks pass whole: what has begun must not be held any longer.
            pieces.append(self._reader.pending)
        data = b"".join(pieces)
        return [data] if data else []

    # One event. Observation and change share one parse; a weird event must cost neither the
    # stream nor its bytes, whatever is raised.

    def _observe(self, event: sse.Event) -> None:
        if not event.whole or _DELTA.match(event.raw):
            return
        try:
            self._see(event)
        except Exception:
            return

    def _see(self, event: sse.Event) -> str:
        """The event's type; "" for comments and the like."""
        data = event.data
        if data is None:
            return ""
        try:
            content = decode(data)
        except BodyError:
            content = None
        if not isinstance(content, dict):
            return ""
        if "type" not in content:
            content["type"] = event.name
        kind = content["type"]
        self.observation.see(content)
        self.dirty = self.dirty or kind in _TELLING
        return kind if isinstance(kind, str) else ""

    def _transform(self, event: sse.Event) -> bytes:
        if not event.whole:
            return event.raw
        found = _DELTA.match(event.raw)
        if found and self._shift:
            start, end = found.span(1)
            return event.raw[:start] + str(int(found[1]) + self._shift).encode() + event.raw[end:]
        try:
            return self._change(event, "content_block_delta" if found else self._see(event))
        except Exception:
            return event.raw

    def _change(self, event: sse.Event, kind: str) -> bytes:
        if kind == "message_start" and not self._started:
            return self._start(event)
        if not (self._started and kind.startswith("content_block_")):
            return event.raw
        if self._marker_text is not None and not self._shift:
            self._shift = 1
            return self._marker_block(self._marker_text) + self._shifted(event)
        return self._shifted(event)

    def _start(self, event: sse.Event) -> bytes:
        body = Body.parse(event.data or b"")
        message = Body.parse(body.raw("message") or b"")
        rename(message, self._requested_model, self._x_router)
        body.set_raw("message", message.render())
        raw = event.with_data(body.render()) if body.changed else event.raw
        self._started = True
        self._passing = self._marker_text is None
        return raw + sse.comment(self._comment) if self._comment is not None else raw

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
