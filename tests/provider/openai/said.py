"""What both APIs need to put a scripted answer into words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider.answers import Answer, Call, Part, Text, parts_of
from provider.examples import example
from provider.openai.cache import BYTES_PER_TOKEN, Counted
from provider.openai.capabilities import Takes

Json = Mapping[str, Any]
CREATED = 1_795_219_200  # 2026-11-21 00:00 UTC
BUSY = "Our servers are currently overloaded. Please try again later."
DOWN = "The server had an error while processing your request. Sorry about that!"


@dataclass(frozen=True, slots=True)
class Situation:
    """All that an answer depends on beside the script. `schema` None: plain text is asked for."""

    body: Json
    model: Takes
    account: str
    number: int
    counted: Counted
    thinks: bool
    schema: Json | None = None
    compact: bool = False

    def parts(self, answer: Answer) -> list[Part]:
        return [self._shaped(part) for part in parts_of(answer, self.thinks)]

    def _shaped(self, part: Part) -> Part:
        """A text that does not fit what was asked for becomes the smallest one that does."""
        if self.schema is None or not isinstance(part, Text):
            return part
        try:
            fits = isinstance(json.loads(part.text), dict)
        except ValueError:
            fits = False
        return part if fits else Text(json.dumps(example(self.schema) or {}), part.piece)

    def id(self, prefix: str, what: object = "") -> str:
        """Such an id as the service makes: a prefix and 48 hex digits, the same in each run."""
        digest = hashlib.sha256(f"{prefix} {what} {self.account} {self.number}".encode()).hexdigest()
        return f"{prefix}_{self.number:08x}{digest[:40]}"

    def call_id(self, index: int) -> str:
        return f"call_{hashlib.sha256(f'{self.account} {self.number} {index}'.encode()).hexdigest()[:24]}"

    def dumps(self, value: Any) -> str:
        """JSON with a blank after each comma and colon as in the recordings, or without."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":") if self.compact else (", ", ": "))

    def whole(self, value: Any) -> bytes:
        """A body that is no stream. The service itself indents it."""
        return json.dumps(value, ensure_ascii=False, indent=2 if self.compact else None).encode()

    def obfuscation(self, delta: str) -> str:
        """Padding that hides how long a delta is."""
        return hashlib.sha256(delta.encode()).hexdigest()[: 16 - len(delta) % 16]


def arguments_of(call: Call) -> str:
    return call.input if isinstance(call.input, str) else json.dumps(call.input, ensure_ascii=False)


def tokens_of(value: Any) -> int:
    return max(1, len(json.dumps(value)) // BYTES_PER_TOKEN)
