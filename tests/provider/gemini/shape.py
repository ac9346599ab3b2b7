"""JSON as Google's servers print it: over several lines in a body, on one line in a server-sent event."""

from __future__ import annotations

import json
from typing import Any

ESCAPED = {"<": "\\u003c", ">": "\\u003e"}  # so that no answer can be taken for HTML


def pretty(value: Any) -> str:
    return _safe(json.dumps(value, ensure_ascii=False, indent=2)) + "\n"


def line(value: Any) -> str:
    """A blank after each colon and none after a comma."""
    return _safe(json.dumps(value, ensure_ascii=False, separators=(",", ": ")))


def event(value: Any) -> bytes:
    """One server-sent event: only a data line, ended as Google ends it."""
    return f"data: {line(value)}\r\n\r\n".encode()


def array(values: list[Any]) -> list[bytes]:
    """A stream without alt=sse: one JSON array, in the pieces in which it is written."""
    if not values:
        return [b"[]\n"]
    pieces = [f"[{pretty(values[0])}"]
    pieces += [f",\r\n{pretty(value)}" for value in values[1:]]
    return [piece.encode() for piece in [*pieces, "]"]]


def camel(name: str) -> str:
    """A field's JSON name: Google reads both spellings."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def snake(name: str) -> str:
    """The spelling that error messages use."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def _safe(text: str) -> str:
    for char, escape in ESCAPED.items():
        text = text.replace(char, escape)
    return text
