"""What a flow that is routed has to say of its way: see routed_stream.py, which asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mitmproxy import http


class Hold(Enum):
    """What becomes of an answer, by its head."""

    PASS = "pass"  # noqa: S105 — goes on as it comes
    WHOLE = "whole"  # is held to its end, and then judged
    WATCH = "watch"  # is held until `Route.watch` says that its content begins


class Watch(Enum):
    """What a route sees in the beginning of a stream."""

    WAIT = "wait"  # nothing to tell yet
    BEGUN = "begun"  # content: now it belongs to the client
    BROKEN = "broken"  # an error, or nothing of what was asked for


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt ended without an answer. `kind` is connect, reset, timeout, answer or held.

    With `held`, `response` is all that came, body included, and may after all be what the client shall get.
    """

    kind: str
    message: str
    response: http.Response | None = None


class Route(Protocol):
    """How one flow goes upstream. Made in the addon's `request` hook; only the verdict hook may wait."""

    request: http.Request
    """What the next attempt sends, and where to."""
    grace_s: float | None
    """How long the prelude waits for the upstream; 0: not at all; None: there is none."""
    patience_s: float
    """How long an attempt may take until its content begins; 0: as long as it likes."""
    stall_s: float
    """How long an answer that has begun may pause; 0: as long as it likes."""
    opening: list[bytes]
    """The first bytes of a prelude; set in the `responseheaders` hook of the head that `prelude` made."""
    failure: Failure | None
    """What the verdict is about."""
    again: bool
    """The verdict: send `request`, which is another one by now."""
    instead: http.Response | None
    """The verdict: the client gets this."""

    def prelude(self) -> http.Response:
        """The head that leaves before the upstream's; sets what `responseheaders` has to know."""

    def judge(self, head: http.Response) -> Hold:
        """Once for each attempt that gets a head."""

    def watch(self, chunk: bytes) -> Watch:
        """What the beginning says, chunk by chunk; b"" is its end."""

    def join(self, head: http.Response) -> Callable[[bytes], Iterable[bytes]]:
        """The transform of an answer that goes on from the prelude; called with b"" at its end."""

    def last_words(self, message: str) -> list[bytes] | None:
        """What ends a stream that has begun and cannot go on; None: it breaks off as the upstream did."""
