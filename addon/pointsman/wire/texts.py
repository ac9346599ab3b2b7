"""What the facts of every surface are read with: a person's words, and the names of models and clients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pointsman.wire.loose import as_text

USER_TEXT_LIMIT: Final = 16 << 10  # characters of user text kept, the newest
FIRST_TEXT_LIMIT: Final = 2 << 10
BYTES_PER_TOKEN: Final = 4
IMAGE_TOKENS: Final = 1600
_MODEL_LIMIT: Final = 200  # characters
_NOT_MODEL = re.compile(r"[^\x20-\x7e]")


def newest(texts: Iterable[str]) -> list[str]:
    """The newest USER_TEXT_LIMIT characters of texts given newest first, oldest first.

    A text cut at the limit keeps its end.
    """
    found: list[str] = []
    room = USER_TEXT_LIMIT
    for text in texts:
        if room <= 0:
            break
        found.append(text[-room:])
        room -= len(text)
    return found[::-1]


def model_name(value: Any) -> str:
    """The model's name as it may stand in a header, a log and a row; no known name is longer or stranger."""
    return _NOT_MODEL.sub("?", as_text(value) or "")[:_MODEL_LIMIT]


def client_name(headers: Mapping[str, str], known: Iterable[tuple[str, str]]) -> str:
    """The client by how its user agent begins, out of (lower-case beginning, name); "unknown" otherwise."""
    agent = (headers.get("user-agent") or "").lower()
    return next((name for start, name in known if agent.startswith(start)), "unknown")


def retry_count(headers: Mapping[str, str]) -> int:
    """How often the client says that it has sent this very request before."""
    value = (headers.get("x-stainless-retry-count") or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0
