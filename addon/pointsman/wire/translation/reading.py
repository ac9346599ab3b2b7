"""A provider's answer on its way to neutral events, streamed or whole: what all four readers share.

A surface's reader says what one decoded object of an answer means, and takes members of the wrong type for
absent. Here it is seen to that its events come in the order that `wire/neutral.py` promises, whatever the
provider sends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pointsman.wire import neutral
from pointsman.wire.neutral import (
    CallStart,
    Counts,
    End,
    Event,
    Failed,
    Refusal,
    Start,
    Stop,
    StopReason,
    Text,
    Thinking,
)
from pointsman.wire.translation.failures import holds_failure, read_failure
from pointsman.wire.translation.frames import Done, Frame, Frames

_UNCOUNTED = Counts()
_CONTENT = (Refusal, Thinking, CallStart)


class EventReader(ABC):
    """Bytes of one answer in any split in, neutral events out.

    `started`: it is an answer; `begun`: the first content was seen, or a refusal. An answer that does not end
    as its API says that it must gets neither `Stop` nor `End`.
    """

    def __init__(self) -> None:
        self.begun = False
        self._frames = Frames()
        self.started = False
        self._over = False
        self._refused = False
        self._calls = 0  # calls that have begun

    # --- for callers ----------------------------------------------------------------------

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        return self._events(self._frames.feed(chunk))

    def flush(self) -> list[Event]:
        """The end of the bytes."""
        return [*self._events(self._frames.flush()), *self._ordered(self._close())]

    # --- for subclasses -------------------------------------------------------------------

    @abstractmethod
    def _see(self, content: dict[str, Any]) -> Iterator[Event]:
        """What one decoded object says, errors excepted."""

    def _done(self) -> Iterator[Event]:
        """`[DONE]` was read."""
        yield from ()

    def _close(self) -> Iterator[Event]:
        """There are no more bytes."""
        yield from ()

    def _fails(self, content: dict[str, Any]) -> Failed | None:
        """The error that a decoded object is, if it is one."""
        return read_failure(content) if holds_failure(content) else None

    def _call(self, call_id: str | None, name: str, *, custom: bool = False) -> CallStart:
        """The next call."""
        self._calls += 1
        return CallStart(self._calls - 1, call_id or "", name, custom)

    def _finish(self, reason: StopReason, sequence: str | None = None) -> Iterator[Event]:
        """The proper end. Some providers say "stop" where there were calls, and calls where were none."""
        if reason in (StopReason.END, StopReason.CALLS):
            reason = StopReason.CALLS if self._calls else StopReason.END
            if self._refused:
                reason = StopReason.REFUSAL
        yield Stop(reason, sequence)
        yield End()

    # --- order ----------------------------------------------------------------------------

    def _events(self, frames: Iterable[Frame]) -> list[Event]:
        found: list[Event] = []
        for frame in frames:
            if self._over:
                break
            found += self._ordered(self._of_frame(frame))
        return found

    def _of_frame(self, frame: Frame) -> Iterable[Event]:
        if isinstance(frame, Done):
            return self._done()
        failed = self._fails(frame)
        return self._see(frame) if failed is None else [failed]

    def _ordered(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if self._over:
                return
            if isinstance(event, Start):
                if self.started:
                    continue
            elif isinstance(event, Failed):
                self._over = True
                yield event
                return
            elif not self.started:
                yield Start()
            self.started = True
            if isinstance(event, Text | Refusal | Thinking) and not event.text:
                continue
            self._refused = self._refused or isinstance(event, Refusal)
            self.begun = self.begun or _says(event)
            self._over = isinstance(event, End)
            yield event


def says(events: Iterable[Event]) -> bool:
    """Whether there is any content among these events, or a refusal."""
    return any(map(_says, events))


def _says(event: Event) -> bool:
    if isinstance(event, Text):
        return bool(event.text.strip())
    return isinstance(event, _CONTENT) or (isinstance(event, Stop) and event.reason is StopReason.REFUSAL)


def merged(counts: Counts, newer: Counts) -> Counts:
    """The later figures where there are any, else the earlier ones."""
    if counts == _UNCOUNTED:
        return newer
    given = {name: value for name in neutral.COUNTS if (value := getattr(newer, name)) is not None}
    return replace(counts, **given)
