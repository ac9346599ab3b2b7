"""Answers that may be given again: whose they are, when they fit, and how much is kept.

In memory only, and gone with the process. Everything is bounded, in this order:

    callers (the least recently used one goes)
      buckets of one caller (likewise)
        answers of one bucket (likewise)

and all together by bytes. Each caller may hold an equal share of them, an eighth at most. Who exceeds the
own share gives up its own oldest answers. Shares shrink as further callers come; once there is no room left,
those who hold more than a share by then give that up. So nobody can push out what another one holds within
its share. Looking for an answer never makes anything larger.

An answer fits if all that the encoder does not see is equal (`Place.rest`), the words ask the same
(`wording.canonical`, part of `rest` too) and the two vectors are near.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pointsman.embedding import Vector

TTL_S: Final = 3600.0
ENTRY_BYTES: Final = 1 << 20
OVERHEAD_BYTES: Final = 3 << 10  # of an answer in memory, besides its own bytes: the vector, keys, a bucket
LEAST_SHARES: Final = 8

Bucket = tuple[str, int, str, str]
"""Surface, nearest cluster, version of the bundle, hash of the knobs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept; `total_bytes` includes OVERHEAD_BYTES for each answer."""

    total_bytes: int = 64 << 20
    callers: int = 1024
    buckets: int = 512  # of one caller
    answers: int = 1024  # in one bucket
    ttl_s: float = TTL_S


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer to a request would stand.

    `rest` is a digest of everything that has to be equal, `words` one of the newest words to the letter;
    `vector` is the unit vector of the user's words, `threshold` the cosine from which another one is near.
    """

    caller: str
    bucket: Bucket
    rest: bytes
    words: bytes
    vector: Vector
    threshold: float


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as the provider sent it, decoded. `decision` names the action that it was the answer to.

    `literal`: it holds what the provider has signed or encrypted for the very words that it answered.
    """

    data: bytes
    content_type: str
    decision: str
    literal: bool = False

    @property
    def size(self) -> int:
        return len(self.data) + OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Hit:
    """A kept answer that fits. `age_s` is how long ago it was given."""

    kept: Kept
    cosine: float
    age_s: float


@dataclass(frozen=True, slots=True)
class _Entry:
    kept: Kept
    words: bytes
    vector: Vector
    at: float


@dataclass(slots=True)
class _Caller:
    """The answers of one caller; buckets and the answers in them the least recently used first."""

    buckets: OrderedDict[Bucket, OrderedDict[bytes, _Entry]] = field(default_factory=OrderedDict)
    size: int = 0


class SemanticCache:
    """See the module. `clock` gives seconds and may be any monotonic clock. For one thread."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self._clock = clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self.size = 0  # bytes

    def __len__(self) -> int:
        return sum(len(bucket) for caller in self._callers.values() for bucket in caller.buckets.values())

    def held_by(self, name: str) -> int:
        """Bytes that are kept for a caller."""
        caller = self._callers.get(name)
        return caller.size if caller else 0

    @property
    def share(self) -> int:
        """Bytes that one caller may hold."""
        return self.limits.total_bytes // max(LEAST_SHARES, len(self._callers))

    def find(self, place: Place) -> Hit | None:
        """The kept answer that fits, if there is one; it counts as used."""
        caller = self._callers.get(place.caller)
        bucket = caller.buckets.get(place.bucket) if caller else None
        entry = bucket.get(place.rest) if bucket else None
        if caller is None or bucket is None or entry is None:
            return None
        age_s = self._clock() - entry.at
        if age_s >= self.limits.ttl_s:
            self._drop(place.caller, place.bucket, place.rest)
            return None
        cosine = float(np.dot(place.vector, entry.vector))
        if not cosine >= place.threshold or (entry.kept.literal and entry.words != place.words):
            return None
        self._callers.move_to_end(place.caller)
        caller.buckets.move_to_end(place.bucket)
        bucket.move_to_end(place.rest)
        return Hit(entry.kept, cosine, age_s)

    def keep(self, place: Place, kept: Kept) -> bool:
        """Keep an answer in place of the one that stood there; False if it is too large."""
        if len(kept.data) > ENTRY_BYTES:
            return False
        self._drop(place.caller, place.bucket, place.rest)
        caller = self._callers.setdefault(place.caller, _Caller())
        bucket = caller.buckets.setdefault(place.bucket, OrderedDict())
        bucket[place.rest] = _Entry(kept, place.words, place.vector, self._clock())
        caller.size += kept.size
        self.size += kept.size
        self._callers.move_to_end(place.caller)
        caller.buckets.move_to_end(place.bucket)
        self._trim(place, caller, bucket)
        return place.rest in bucket

    def resize(self, limits: Limits) -> None:
        """Go on within other limits."""
        self.limits = limits
        self._make_room()

    def clear(self) -> int:
        """Forget everything; how many answers that were."""
        count = len(self)
        self._callers.clear()
        self.size = 0
        return count

    def _trim(self, place: Place, caller: _Caller, bucket: OrderedDict[bytes, _Entry]) -> None:
        """Within all limits again, after one answer came in there."""
        if len(bucket) > self.limits.answers:
            self._drop(place.caller, place.bucket, next(iter(bucket)))
        while len(caller.buckets) > self.limits.buckets:
            self._drop_oldest(place.caller)
        while len(self._callers) > self.limits.callers:
            self._forget(next(iter(self._callers)))
        self._bring_to_share(place.caller)
        self._make_room()

    def _make_room(self) -> None:
        """Where all together are too large, nobody keeps more than a share: then they are not."""
        if self.size > self.limits.total_bytes:
            for name in list(self._callers):
                self._bring_to_share(name)

    def _bring_to_share(self, name: str) -> None:
        share = self.share
        while self.held_by(name) > share:
            self._drop_oldest(name)

    def _drop_oldest(self, name: str) -> None:
        """The answer that was not used for longest, of the bucket that was not used for longest."""
        place, bucket = next(iter(self._callers[name].buckets.items()))
        self._drop(name, place, next(iter(bucket)))

    def _drop(self, name: str, place: Bucket, rest: bytes) -> None:
        """Forget an answer, if it is there, and what is empty without it."""
        caller = self._callers.get(name)
        bucket = caller.buckets.get(place) if caller else None
        entry = bucket.pop(rest, None) if bucket else None
        if caller is None or bucket is None or entry is None:
            return
        caller.size -= entry.kept.size
        self.size -= entry.kept.size
        if not bucket:
            del caller.buckets[place]
        if not caller.buckets:
            del self._callers[name]

    def _forget(self, name: str) -> None:
        self.size -= self._callers.pop(name).size
