"""A streamed Gemini answer that is one JSON array: what comes where server-sent events were not asked for.

    [{…}
    ,
    {…}
    ]

Each element is an answer as in an event. There is no place for a marker that all clients would take, so none
is given. An element is held until it is whole, and only where it is to be changed; nothing else is.

Google writes an element at once, so most chunks are one: those are not searched for its braces, and where
they hold nothing new but the counts, only the last of these are read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire.gemini.answer import Observation, is_response
from pointsman.wire.gemini.errors import error_body
from pointsman.wire.gemini.stream import ChunkChange
from pointsman.wire.json_pieces import Piece, PieceReader
from pointsman.wire.json_spans import decode


class ArrayTransform:
    """A stream of array elements. For its contract see `wire/transform.py`."""

    def __init__(self, changes: Changes, choices: int = 1) -> None:
        self.observation = Observation(expected=choices)
        self.dirty = False
        self._reader = PieceReader()
        self._change_of = ChunkChange(replace(changes, marker_text=None), choices)
        self._passing = self._change_of.done
        self._may_skip = choices == 1
        self._sent = b""  # the last byte that was sent, blanks apart
        self._latest: dict[str, Any] | None = None  # an answer that has yet to be observed

    @property
    def pending(self) -> bytes:
        """What was fed and has not been given back yet: the beginning of an element."""
        return b"" if self._passing else self._reader.pending

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bytes to send on for one chunk from upstream, in no or one element."""
        out = self._fed(chunk)
        for piece in out:
            self._sent = piece.rstrip()[-1:] or self._sent
        return out

    def _fed(self, chunk: bytes) -> list[bytes]:
        answer = _lone(chunk) if self._reader.between else None
        if answer is not None and is_response(answer):
            sent = chunk if self._passing else self._change_of.fast(chunk)
            if sent is not None:
                self._see(answer)
                return [sent]
        return self._send(self._reader.feed(chunk), chunk)

    def flush(self) -> list[bytes]:
        """The end of the stream: what was held back of an element without its end."""
        out = self._send(self._reader.flush(), b"")
        self._catch_up()
        self.observation.end()
        self.dirty = True
        return out

    def mark(self) -> bytes:
        """Nothing: an array gets no marker."""
        return b""

    def fail(self, status: int, message: str) -> bytes:
        """An error instead of the rest of the stream, as its last element.

        Nothing where an element was sent by half: what the client has is no JSON, whatever follows.
        """
        if self._passing and not self._reader.between:
            return b""
        gap = {b"": b"[", b"[": b"", b",": b""}.get(self._sent, b",\r\n")
        return gap + error_body(status, message) + b"]"

    def _send(self, pieces: list[Piece], chunk: bytes) -> list[bytes]:
        if self._passing:
            for piece in pieces:
                self._answered(piece)
            return [chunk] if chunk else []
        out = [self._changed(piece) for piece in pieces]
        if self._passing:
            # From here on chunks pass whole: what has begun must not be held any longer.
            out.append(self._reader.pending)
        data = b"".join(out)
        return [data] if data else []

    def _answered(self, piece: Piece) -> bool:
        """Observe a piece; whether it is an answer, and no error."""
        if not piece.element:
            return False
        try:
            answer = decode(piece.raw)
            return self._see(answer) and is_response(answer)
        except Exception:
            return False  # the client gets it as it is and is the one to complain

    def _see(self, answer: dict[str, Any]) -> bool:
        """Observe what an element holds; whether it is an answer or an error."""
        if self._goes_on(answer):
            self._latest = answer
            return True
        self._catch_up()
        first = not self.observation.started
        seen = self.observation.see(answer)
        self.dirty = self.dirty or (seen and (first or self.observation.ending))
        return seen

    def _goes_on(self, answer: dict[str, Any]) -> bool:
        """Whether the one candidate goes on, and nothing is new but the counts, of which the last hold."""
        candidates, seen = answer.get("candidates"), self.observation
        if not (self._may_skip and 0 in seen.ends and isinstance(candidates, list) and len(candidates) == 1):
            return False
        return (
            isinstance(candidates[0], dict)
            and candidates[0].get("index", 0) == 0
            and seen.begun
            and "finishReason" not in candidates[0]
            and seen.stop_reason is None
            and isinstance(answer.get("usageMetadata"), dict)
            and answer.get("responseId") == seen.message_id
            and answer.get("modelVersion") == seen.answered_model
            and "error" not in answer
            and "promptFeedback" not in answer
        )

    def _catch_up(self) -> None:
        latest, self._latest = self._latest, None
        if latest is not None:
            self.observation.see(latest)

    def _changed(self, piece: Piece) -> bytes:
        if not self._answered(piece) or self._passing:
            return piece.raw
        raw = self._change_of.fast(piece.raw)
        if raw is None:
            try:
                raw = self._change_of.slow(piece.raw)
            except BodyError:
                raw = piece.raw
        self._passing = self._change_of.done
        return raw


def _lone(chunk: bytes) -> dict[str, Any] | None:
    """What a chunk holds that is one whole element with what separates it from others; None for other chunks.

    It is tried where one brace alone closes a line without an indent, as Google prints an element.
    """
    start = chunk.find(b"{")
    if start < 0 or chunk[:start].strip(b", \t\r\n[") or chunk.count(b"\n}") != 1:
        return None
    if not chunk.endswith((b"}", b"}\n", b"}\r\n")):
        return None
    try:
        value = decode(chunk[start:])
    except BodyError:
        return None
    return value if isinstance(value, dict) else None
