"""A provider's own stream as the continuation of an opening that the client has already.

The opening (`opening` of a surface) was sent before the provider answered. What would open the stream a
second time is taken out, and what it told is told later, where the API has a place for that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from pointsman.wire import sse


class Rejoin(Protocol):
    """Bytes of a stream in any split in, bytes of its continuation out. No element is empty."""

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def flush(self) -> list[bytes]: ...


class Unchanged:
    """For an API whose streams have no beginning of their own."""

    def feed(self, chunk: bytes) -> list[bytes]:
        return [chunk] if chunk else []

    def flush(self) -> list[bytes]:
        return []


class SseRejoin(ABC):
    """For server-sent events. A subclass supplies `_change`, and may end the changes by `_passing = True`."""

    def __init__(self) -> None:
        self._reader = sse.Reader()
        self._passing = False

    @abstractmethod
    def _change(self, event: sse.Event) -> bytes:
        """The bytes to send for an event. Raising sends it as it came."""

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._passing:
            return [chunk] if chunk else []
        return self._send(self._reader.feed(chunk))

    def flush(self) -> list[bytes]:
        """The end of the stream: what was held back of an event without its end."""
        return [] if self._passing else self._send(self._reader.flush())

    def _send(self, events: list[sse.Event]) -> list[bytes]:
        pieces = [event.raw if self._passing else self._changed(event) for event in events]
        if self._passing:
            # From here on chunks pass whole: what has begun must not be held any longer.
            pieces.append(self._reader.pending)
        data = b"".join(pieces)
        return [data] if data else []

    def _changed(self, event: sse.Event) -> bytes:
        if not event.whole:
            return event.raw
        try:
            return self._change(event)
        except Exception:
            return event.raw
