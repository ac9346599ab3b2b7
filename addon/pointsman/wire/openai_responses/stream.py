"""A streamed Responses answer, observed and changed as little as possible.

1. Every response object in it (created, in progress, …, completed) names the requested model; the first and
   the last get `x_router`.
2. A comment follows the first event directly.
3. Right before the first output item, whatever it is, stands the marker: a message item of its own with six
   events, at output index 0. (Reasoning must stay directly before what it led to, so nothing can stand
   between those; and a prefix would move the places that annotations of a text point to.) From there on
   output indices grow by one and sequence numbers by six, and the output that the last event repeats begins
   with the marker too. An answer without any item gets no marker: it must never consist of that alone.
4. All other bytes stay as they are, in particular unknown events and obfuscation. Nothing is said before
   the provider has: an id of ours would come back as `previous_response_id`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pointsman.values import Changes
from pointsman.wire import sse
from pointsman.wire.edits import is_count
from pointsman.wire.json_spans import Body, array_spans, encode
from pointsman.wire.loose import as_dict
from pointsman.wire.openai_responses.answer import BEGINNINGS, ENDS, Observation, mark, name_decision, rename
from pointsman.wire.openai_responses.errors import failed_event
from pointsman.wire.openai_responses.items import marker_item, text_part
from pointsman.wire.transform import SseTransform, typed

# The events of which there are thousands: their numbers are found without parsing, wherever among the members
# they stand, and there is nothing in them to observe. A quote inside a text is escaped and cannot end a key.
_DELTA: Final = re.compile(
    rb'(?:event: ?response\.[a-z_.]{1,60}\r?\n)?data: ?\{"type": ?"response\.[a-z_.]{1,60}\.delta",'
)
_NUMBER: Final = re.compile(rb" ?([0-9]{1,9})(?=[ ,}\r\n])")
_MARKER_EVENTS: Final = 6
_KEYS: Final = ((b'"output_index":', 1), (b'"sequence_number":', _MARKER_EVENTS))
# After an event with an id, openai-python 3.52 takes a comment for an event without data, and fails.
_ID_LINE: Final = re.compile(rb"(?:\A|[\r\n])id[:\r\n]")


class StreamTransform(SseTransform[Observation]):
    """A stream of Responses events."""

    def __init__(self, changes: Changes) -> None:
        super().__init__(changes, Observation())
        self._changes = changes
        self._begun = False  # the first response object was seen
        self._open = changes.marker_text is not None  # the marker may still come
        self._marker: dict[str, Any] | None = None  # the item, once it was sent
        self._told: dict[str, Any] = {}  # the response as its beginning told it
        self._number: Any = None  # of the newest event that was parsed
        self._unread = b""  # the newest event, if it was not

    def _silent(self, event: sse.Event) -> bool:
        if not (self.observation.begun and _DELTA.match(event.raw)):
            return False
        self._unread = event.raw
        return True

    def _see(self, event: sse.Event) -> str:
        """The event's type; "" for comments and the like."""
        kind, content = typed(event)
        seen = self.observation
        known = seen.message_id, seen.error
        seen.see(content)
        if kind:
            self._number, self._unread = content.get("sequence_number"), b""
        if kind in BEGINNINGS:
            self._told = as_dict(content.get("response"))
        begun = kind in BEGINNINGS and (seen.message_id, seen.error) != known
        self.dirty = self.dirty or begun or kind in ENDS or kind == "error"
        return kind

    def _change(self, event: sse.Event) -> bytes:
        if _DELTA.match(event.raw):
            if not self._silent(event):
                self._see(event)
            self._open = False
            return event.raw if self._marker is None else _renumbered(event.raw)
        kind = self._see(event)
        if not kind:
            return event.raw
        if kind in BEGINNINGS or kind in ENDS:
            return self._response(event, kind)
        if self._open:
            return self._first(event, kind)
        return self._shifted(event) if self._marker is not None else event.raw

    def _failure(self, status: int, message: str) -> bytes:
        """A failed response: the one that has begun, and the number after the newest."""
        number = typed(sse.Event(self._unread))[1].get("sequence_number") if self._unread else self._number
        if is_count(number):
            number += 1 + (_MARKER_EVENTS if self._marker is not None else 0)
        response = self._told or {"id": "resp_pointsman_0", "object": "response", "output": []}
        if self._changes.requested_model is not None:
            response = response | {"model": self._changes.requested_model}
        return failed_event(response, number if self._told else 0, status, message)

    # --- response objects -----------------------------------------------------------------

    def _response(self, event: sse.Event, kind: str) -> bytes:
        body = Body.parse(event.data or b"")
        first = not self._begun
        if (body.raw("response") or b"").startswith(b"{"):
            self._begun = True
            response = Body.parse(body.raw("response") or b"")
            self._rewrite(response, first=first, last=kind in ENDS)
            body.set_raw("response", response.render())
        if self._marker is not None:
            _shift(body, "sequence_number", _MARKER_EVENTS)
        raw = event.with_data(body.render()) if body.changed else event.raw
        if self._changes.comment is None or not (first and self._begun) or _ID_LINE.search(event.raw):
            return raw
        return raw + sse.comment(self._changes.comment)

    def _rewrite(self, response: Body, *, first: bool, last: bool) -> None:
        rename(response, self._changes)
        if first or last:
            name_decision(response, self._changes)
        if last and self._marker is not None:
            mark(response, encode(self._marker))
        if last or (self._open and _has_output(response)):
            self._open = False  # taken up again in its middle: the places are given

    # --- the marker -----------------------------------------------------------------------

    def _first(self, event: sse.Event, kind: str) -> bytes:
        """An event after which the marker's place may be gone: it stands before the first item or nowhere."""
        body = Body.parse(event.data or b"")
        if not body.has("output_index"):
            return event.raw
        self._open = False
        text = self._changes.marker_text
        if text is None or not self._begun or kind != "response.output_item.added" or not _is_first(body):
            return event.raw
        self._marker = marker_item(text, self.observation.message_id)
        number = body.get("sequence_number")
        return _marker_events(self._marker, number) + self._shifted(event)

    def mark(self) -> bytes:
        """The marker's item, after a beginning of ours and before anything of the provider's."""
        text = self._changes.marker_text
        if text is None or not (self._open and self._begun):
            return b""
        self._open = False
        self._marker = marker_item(text, self.observation.message_id)
        return _marker_events(self._marker, self._number + 1 if is_count(self._number) else None)

    def _shifted(self, event: sse.Event) -> bytes:
        body = Body.parse(event.data or b"")
        _shift(body, "output_index", 1)
        _shift(body, "sequence_number", _MARKER_EVENTS)
        return event.with_data(body.render()) if body.changed else event.raw


def _renumbered(raw: bytes) -> bytes:
    for key, by in _KEYS:
        at = raw.find(key)
        if at >= 0 and (found := _NUMBER.match(raw, at + len(key))):
            start, end = found.span(1)
            raw = b"%b%d%b" % (raw[:start], int(found[1]) + by, raw[end:])
    return raw


def _shift(body: Body, key: str, by: int) -> None:
    value = body.get(key)
    if is_count(value):
        body.set(key, value + by)


def _has_output(response: Body) -> bool:
    output = response.raw("output") or b""
    return output.startswith(b"[") and bool(array_spans(output))


def _is_first(body: Body) -> bool:
    """An item at index 0. Some providers announce none: `item` is null, and what follows it is unknown."""
    return body.get("output_index") == 0 and (body.raw("item") or b"").startswith(b"{")


def _marker_events(item: dict[str, Any], number: Any) -> bytes:
    """The six events of a message with one text, numbered from `number` on where the provider numbers."""
    [part] = item["content"]
    begun = {**item, "status": "in_progress", "content": []}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.output_item.added", {"output_index": 0, "item": begun}),
        ("response.content_part.added", {**place, "part": text_part("")}),
        ("response.output_text.delta", {**place, "delta": part["text"], "logprobs": []}),
        ("response.output_text.done", {**place, "text": part["text"], "logprobs": []}),
        ("response.content_part.done", {**place, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
    ]
    pieces: list[bytes] = []
    for offset, (name, rest) in enumerate(events):
        counted = {"sequence_number": number + offset} if is_count(number) else {}
        pieces.append(sse.write(name, encode({"type": name, **counted, **rest})))
    return b"".join(pieces)
