"""Reading decoded JSON that may be of any shape: what has the wrong type counts as absent."""

from __future__ import annotations

from typing import Any


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of an array."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def as_int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None


def clean(text: str) -> str:
    """Lone surrogates cannot be hashed, embedded or stored; each becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
