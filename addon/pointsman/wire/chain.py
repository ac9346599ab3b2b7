"""A streamed answer that becomes another one on its way: observed as it came, then changed in two steps.

What the provider says is what the database gets, so the observer reads the bytes as they came. The second
step gives the client's own format (a translation, or the continuation of an opening that was sent already),
and the third is the transform that every answer of that format goes through: model, marker, `x_router`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pointsman.wire.neutral import Failed
from pointsman.wire.observation import Observation


class Step(Protocol):
    """Bytes in, in any split, bytes out; no element that it returns is empty."""

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def flush(self) -> list[bytes]: ...


class Watcher(Step, Protocol):
    """A transform of a surface's stream; see wire/transform.py."""

    dirty: bool

    @property
    def observation(self) -> Observation: ...

    def fail(self, status: int, message: str) -> bytes: ...

    def mark(self) -> bytes: ...


class Failing(Step, Protocol):
    """A step that knows whether its answer was lost, and can say so in the client's format."""

    @property
    def failed(self) -> Failed | None: ...

    def fail(self, status: int, message: str) -> bytes: ...


class Chain:
    """Has the names of a surface's stream transform. `client` may have been fed an opening before."""

    pending = b""  # what was fed is not the client's format: it must never be passed on as it came

    def __init__(
        self,
        observer: Watcher,
        client: Watcher,
        *,
        translation: Failing | None = None,
        joined: Step | None = None,
    ) -> None:
        self._observer = observer
        self._client = client
        self._translation = translation
        self._middle: Step | None = translation or joined
        self._over = False

    @property
    def observation(self) -> Observation:
        return self._observer.observation

    @property
    def dirty(self) -> bool:
        return self._observer.dirty

    @dirty.setter
    def dirty(self, value: bool) -> None:
        self._observer.dirty = value

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bytes for the client; nothing any more once the answer has failed."""
        if self._over:
            return []
        self._observer.feed(chunk)
        return self._sent(self._middle.feed(chunk) if self._middle else [chunk])

    def flush(self) -> list[bytes]:
        """The end of the provider's bytes."""
        if self._over:
            return []
        self._observer.flush()
        out = self._sent(self._middle.flush() if self._middle else [])
        return out if self._over else out + self._client.flush()

    def mark(self) -> bytes:
        return self._client.mark()

    def fail(self, status: int, message: str) -> bytes:
        """The error that ends the client's stream; nothing where it has ended."""
        if self._over:
            return b""
        self._over = True
        if self._translation is None:
            return self._client.fail(status, message)
        said = self._translation.fail(status, message)
        return b"".join(self._client.feed(said) + self._client.flush()) if said else b""

    def _sent(self, pieces: Iterable[bytes]) -> list[bytes]:
        out = [part for piece in pieces for part in self._client.feed(piece)]
        failed = self._translation.failed if self._translation else None
        if failed is not None:
            out.append(self.fail(failed.status, failed.message))
        return [part for part in out if part]
