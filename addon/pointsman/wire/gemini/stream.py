"""A streamed Gemini answer, observed and changed as little as possible.

1. Every chunk names the requested model, and the first one sent has `x_router`.
2. Right before the first chunk in which a candidate says anything stands its marker, a chunk of its own with
   one text part; where those first words are signed, the marker begins their text instead. Thoughts may have
   gone before it: clients keep those apart. A candidate that says nothing gets no marker: a turn must never
   end with nothing but that, and Gemini CLI asks again where it does.
3. All other bytes stay as they are. Nothing but `data` lines is ever added, for Gemini CLI and the SDKs fail
   on comments and on events with a name. Once nothing remains to be changed, chunks pass as they come.

Errors come as a `data` line, or as bare JSON over several lines at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import NO_CHANGES, Changes
from pointsman.wire import sse
from pointsman.wire.gemini.answer import (
    Observation,
    begins_signed,
    index_of,
    is_response,
    mark,
    rename,
    renamed,
    says,
)
from pointsman.wire.gemini.errors import error_frame
from pointsman.wire.json_spans import Body, decode, encode
from pointsman.wire.loose import as_dict, as_text
from pointsman.wire.transform import SseTransform


class ChunkChange:
    """What is done to each answer of a stream, whatever its framing. The marker is `Changes.marker_text`."""

    def __init__(self, changes: Changes, choices: int = 1) -> None:
        # What is changed once; the model is changed in every chunk.
        self._once = replace(changes, comment=None, added=frozenset())
        self._model = changes.requested_model
        self._model_inside = None if self._model is None else encode(self._model)[1:-1]
        self._choices = choices
        self._marked: set[int] = set()
        self._text = changes.marker_text or ""
        self._inside: list[int] = []  # which candidates of the chunk at hand are to be marked inside it

    @property
    def done(self) -> bool:
        """Nothing is left to be changed in any later chunk."""
        return self._once == NO_CHANGES

    @property
    def settled(self) -> bool:
        """Nothing but the model is left to be changed."""
        return self._once.marker_text is None and self._once.x_router is None

    def marker(self, answer: Mapping[str, Any]) -> bytes:
        """The chunk to send before this one; b"" if none is due."""
        if self._once.marker_text is None:
            return b""
        given = answer.get("candidates")
        given = given if isinstance(given, list) else []
        due = [number for number, candidate in enumerate(given) if self._is_due(candidate)]
        if len(self._marked) >= self._choices:
            self._once = replace(self._once, marker_text=None)
        self._inside = [number for number in due if begins_signed(given[number])]
        candidates = [self._marker_of(given[number]) for number in due if number not in self._inside]
        return self._chunk(answer, candidates) if candidates else b""

    def mark(self) -> bytes:
        """The first candidate's marker, before anything of the provider's."""
        if self._once.marker_text is None or 0 in self._marked:
            return b""
        self._marked.add(0)
        named = {"modelVersion": self._model} if self._model else {}
        return self._chunk(named, [self._marker_of({"index": 0})])

    def _is_due(self, candidate: Any) -> bool:
        if len(self._marked) >= self._choices or not isinstance(candidate, dict) or not says(candidate):
            return False
        index = index_of(candidate)
        if index in self._marked:
            return False
        self._marked.add(index)
        return True

    def _marker_of(self, candidate: Mapping[str, Any]) -> dict[str, Any]:
        role = as_text(as_dict(candidate.get("content")).get("role")) or "model"
        made: dict[str, Any] = {"content": {"parts": [{"text": self._text}], "role": role}}
        return made | ({"index": index_of(candidate)} if "index" in candidate else {})

    def _chunk(self, answer: Mapping[str, Any], candidates: list[dict[str, Any]]) -> bytes:
        """A chunk of markers that belongs to the same answer."""
        chunk: dict[str, Any] = {"candidates": candidates}
        if isinstance(version := answer.get("modelVersion"), str):
            chunk["modelVersion"] = self._model or version
        if isinstance(identity := answer.get("responseId"), str):
            chunk["responseId"] = identity
        if self._once.x_router is not None:
            chunk["x_router"] = self._once.x_router
            self._once = replace(self._once, x_router=None)
        return encode(chunk)

    def fast(self, raw: bytes) -> bytes | None:
        """Bytes that end in an answer, changed without parsing it; None where that does not do."""
        if self._model_inside is None or not self.settled or self._inside:
            return None
        return renamed(raw, self._model_inside)

    def slow(self, data: bytes) -> bytes:
        """An answer changed. Raises BodyError."""
        body = Body.parse(data)
        rename(body, self._once)
        self._once = replace(self._once, x_router=None)
        if self._inside:
            body.set_raw("candidates", mark(body.raw("candidates") or b"[]", self._text, self._inside))
            self._inside = []
        return body.render() if body.changed else data


class StreamTransform(SseTransform[Observation]):
    """A stream of server-sent events.

    Chunks of which there are hundreds hold nothing new but the counts, and only those of the last one matter:
    they are not read unless they turn out to be that (`_latest`).
    """

    def __init__(self, changes: Changes, choices: int = 1) -> None:
        super().__init__(changes, Observation(expected=choices))
        self._change_of = ChunkChange(changes, choices)
        self._passing = self._change_of.done
        self._latest: bytes | None = None
        self._may_skip = choices == 1

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bytes to send on for one chunk from upstream, in no or one element."""
        sent = self._unread(chunk)
        if sent is not None and not self._reader.pending:
            self._latest = chunk
            return [sent]
        return super().feed(chunk)

    def _failure(self, status: int, message: str) -> bytes:
        return error_frame(status, message)

    def mark(self) -> bytes:
        """The marker's chunk, before anything of the provider's."""
        chunk = self._change_of.mark()
        return _framed(chunk, b"\n\n") if chunk else b""

    def _unread(self, event: bytes) -> bytes | None:
        """An event that need not be read, as it is sent; None for all others."""
        if not (self._may_skip and self.observation.begun and _is_dull(event)):
            return None
        return event if self._passing else self._change_of.fast(event)

    def flush(self) -> list[bytes]:
        """The end of the stream. An answer or an error without its empty line counts too."""
        events = [_closed(event) for event in self._reader.flush()]
        out: list[bytes] = []
        self._catch_up()
        if self._passing:
            for event in events:
                self._observe(event)
        else:
            out = self._send(events)
        self.observation.end()
        self.dirty = True
        return out

    def _see(self, event: sse.Event) -> Any:
        """The decoded answer; None for comments, errors and the like."""
        data = event.data
        self._catch_up()
        answer = decode(event.raw.strip() if data is None else data)
        first = not self.observation.started
        if not self.observation.see(answer):
            return None
        self.dirty = self.dirty or first or self.observation.ending
        return answer if isinstance(answer, dict) and is_response(answer) else None

    def _catch_up(self) -> None:
        """Read the last chunk that was not."""
        latest, self._latest = self._latest, None
        if latest is not None:
            try:
                self.observation.see(decode(sse.Event(latest).data or b""))
            except BodyError:
                return

    def _change(self, event: sse.Event) -> bytes:
        try:
            answer = self._see(event)
        except BodyError:
            # Had it come as a chunk of its own, nobody would have noticed: it must not depend on the split.
            return self._unread(event.raw) or event.raw
        if answer is None or event.data is None:
            return event.raw
        marker = self._change_of.marker(answer)
        raw = self._change_of.fast(event.raw)
        if raw is None:
            data = event.data
            changed = self._change_of.slow(data)
            raw = event.raw if changed is data else event.with_data(changed)
        self._passing = self._change_of.done
        return _framed(marker, event.raw) + raw if marker else raw


_INDEX = b'"index"'
_FIRST = (b'"index": 0', b'"index":0')


def _is_dull(chunk: bytes) -> bool:
    """Whether a chunk is one event of one line, with counts, in which the one candidate goes on."""
    if not chunk.startswith(b"data: {"):
        return False
    size = len(chunk)
    if chunk.endswith(b"}\r\n\r\n"):
        whole = chunk.find(b"\n") == size - 3 and chunk.find(b"\r") == size - 4
    else:
        whole = chunk.endswith(b"}\n\n") and chunk.find(b"\n") == size - 2 and b"\r" not in chunk
    at = chunk.find(_INDEX)
    return (
        whole
        and chunk.startswith(_FIRST, at)
        and chunk.rfind(_INDEX) == at >= 0
        and b'"usageMetadata"' in chunk
        and b'"finishReason"' not in chunk
        and b'"error"' not in chunk
        and b'"promptFeedback"' not in chunk
    )


def _framed(chunk: bytes, like: bytes) -> bytes:
    """A chunk as an event with the line ends of another, before which it is sent."""
    end = b"\r\n\r\n" if like.endswith(b"\r\n\r\n") else b"\n\n"
    return b"data: " + chunk + end


def _closed(event: sse.Event) -> sse.Event:
    """What is left at the end, as a whole event if it holds whole JSON."""
    tail = sse.Event(event.raw)
    try:
        decode(event.raw.strip() if tail.data is None else tail.data)
    except BodyError:
        return event
    return tail
