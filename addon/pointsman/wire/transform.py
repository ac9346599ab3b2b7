"""A streamed answer on its way to the client: observed, and changed as little as possible.

A transform takes upstream bytes in any split and gives bytes for the client. `observation` is up to date,
and `dirty` set, before `feed` returns what it was learnt from, so that it can be stored before the client
sees it; the caller resets `dirty`. No element that it returns is empty. What the events mean is for each
surface to know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire import sse
from pointsman.wire.json_spans import decode
from pointsman.wire.observation import Observation


def typed(event: sse.Event) -> tuple[str, dict[str, Any]]:
    """The type and the decoded data of an event that has one; "" and {} for comments and the like.

    Where the data does not say its type, the event's name does.
    """
    data = event.data
    if data is None:
        return "", {}
    try:
        content = decode(data)
    except BodyError:
        return "", {}
    if not isinstance(content, dict):
        return "", {}
    if "type" not in content:
        content["type"] = event.name
    kind = content["type"]
    return (kind, content) if isinstance(kind, str) else ("", {})


class SseTransform[O: Observation](ABC):
    """The frame of a surface's transform for server-sent events.

    A subclass supplies `_see` and `_change`, and may end the changes by `_passing = True`: from then on
    chunks pass whole and are only read. Where there is nothing to change, that is so from the beginning.
    """

    def __init__(self, changes: Changes, observation: O) -> None:
        self.observation = observation
        self.dirty = False
        self._reader = sse.Reader()
        self._passing = not changes

    # --- for subclasses -------------------------------------------------------------------

    def _silent(self, event: sse.Event) -> bool:
        """Whether the event can be told, without parsing, to hold nothing to be observed."""
        return False

    @abstractmethod
    def _see(self, event: sse.Event) -> object:
        """Observe one event. Whatever is raised costs neither the stream nor its bytes."""

    @abstractmethod
    def _change(self, event: sse.Event) -> bytes:
        """Observe one event and give the bytes to send for it. Raising sends it as it came."""

    @abstractmethod
    def _failure(self, status: int, message: str) -> bytes:
        """The frame of an error, as the provider would send it here."""

    # --- for callers ----------------------------------------------------------------------

    def mark(self) -> bytes:
        """The marker behind an opening of ours, before anything of the provider's; b"" if there is none."""
        return b""

    def fail(self, status: int, message: str) -> bytes:
        """An error instead of the rest of the stream, after what has been sent by now.

        What was held back is dropped. An event of which a piece was sent ends before it, broken as it is.
        """
        rest = self._reader.pending if self._passing else b""
        gap = b"" if not rest.strip(b"\r\n") else b"\n" if rest.endswith(b"\n") else b"\n\n"
        return gap + self._failure(status, message)

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

    def _observe(self, event: sse.Event) -> None:
        if not event.whole or self._silent(event):
            return
        try:
            self._see(event)
        except Exception:
            return

    def _transform(self, event: sse.Event) -> bytes:
        if not event.whole:
            return event.raw
        try:
            return self._change(event)
        except Exception:
            return event.raw
