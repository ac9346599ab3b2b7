"""What an answer says, gathered as it passes; each surface's module knows where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.values import Usage
from pointsman.wire.credentials import without_secrets
from pointsman.wire.json_spans import decode
from pointsman.wire.loose import as_dict, clean

ERROR_LIMIT: Final = 500  # characters kept of an error's message


@dataclass(slots=True)
class Observation:
    """One answer as far as it has been seen. `complete` means that it ended as it should.

    Counts are tokens, None while unknown; `input_tokens` excludes what was read from the cache or written
    to it.
    """

    message_id: str | None = None
    answered_model: str | None = None
    stop_reason: str | None = None
    complete: bool = False
    error: str | None = None  # "type: message"
    started: bool = False  # the first event of an answer, or a body that is one
    begun: bool = False  # the first content (text, thinking, a call of a tool) was seen, or a refusal
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None  # of every life
    cache_write_1h_tokens: int | None = None

    def to_usage(self) -> Usage:
        written, long = self.cache_write_tokens, self.cache_write_1h_tokens
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_tokens=self.cache_read_tokens,
            cache_write_tokens=None if written is None else max(0, written - (long or 0)),
            cache_write_1h_tokens=long,
        )

    def fail(self, kind: str, message: str) -> None:
        """Note an error that the answer carries; a secret that it repeats is left out."""
        said = clean(f"{kind}: {message}"[: 2 * ERROR_LIMIT])
        self.error = without_secrets(said)[:ERROR_LIMIT]


def read_answer(data: bytes) -> dict[str, Any]:
    """A whole answer; {} where it cannot be read: the client gets it as it is and is the one to complain."""
    try:
        return as_dict(decode(data))
    except BodyError:
        return {}


def as_count(value: Any) -> int | None:
    """A number of tokens; None for anything else, and for what no database could hold."""
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if whole else None
