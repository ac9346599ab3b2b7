"""Prompt caching by exact prefix, per account and model. Four bytes stand for a token."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from provider.openai.capabilities import Takes

BYTES_PER_TOKEN = 4
LEAST_CACHED = 1024  # tokens; the service counts cached ones in steps of 128 from there
STEP = 128


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of one prompt. As on the wire, `prompt` includes those that were read or written.

    `written` is None where the model does not bill writes.
    """

    prompt: int
    cached: int
    written: int | None = None

    @property
    def input(self) -> int:
        return self.prompt - self.cached - (self.written or 0)

    def details(self) -> dict[str, int]:
        """What the usage says about the cache."""
        return {"cached_tokens": self.cached} | (
            {} if self.written is None else {"cache_write_tokens": self.written}
        )

    @property
    def read(self) -> int:
        return self.cached

    @property
    def total(self) -> int:
        return self.prompt


@dataclass
class PromptCache:
    """What (account, model) pairs have sent. Nothing expires within a test."""

    seen: set[tuple[str, str, str]] = field(default_factory=set)

    def count(self, segments: Iterable[Any], model: Takes, account: str) -> Counted:
        """`segments` are JSON values in the order in which the model reads them."""
        running, size, read = hashlib.sha256(), 0, 0
        keys = []
        for segment in segments:
            data = json.dumps(segment, ensure_ascii=False).encode("utf-8", "surrogatepass")
            running.update(data)
            size += len(data)
            keys.append((account, model.name, running.hexdigest()))
            if keys[-1] in self.seen:
                read = size // BYTES_PER_TOKEN
        self.seen.update(keys)
        total = max(1, math.ceil(size / BYTES_PER_TOKEN))
        cached, kept = _whole_steps(read), _whole_steps(total)
        return Counted(total, cached, kept - cached if model.cache_writes else None)


def _whole_steps(tokens: int) -> int:
    return tokens // STEP * STEP if tokens >= LEAST_CACHED else 0
