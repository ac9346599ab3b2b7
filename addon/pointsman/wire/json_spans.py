"""Edits of JSON by span: only the bytes of an edited member change, all others survive.

Re-encoding would reorder nothing but still change whitespace, escapes and number spelling, and
with them the provider's prompt-prefix cache.

An edit that removes entries leaves the bytes that the client's own encoder would have written
without them, in whatever whitespace style: the first remaining entry keeps the whitespace after
the bracket, every other one keeps the separator before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.wire.json_scan import (
    FIRST_KEY,
    MAX_MEMBERS,
    Member,
    Span,
    array_spans,
    decode,
    encode,
    member_spans,
)

__all__ = [
    "MAX_MEMBERS", "Body", "Span", "append", "array_spans", "decode", "edit_array", "encode", "prepend",
]  # fmt: skip

# --- rebuilding a container ---------------------------------------------------------------


def _join(data: bytes, spans: list[Span], replaced: Mapping[int, bytes | None], added: list[bytes]) -> bytes:
    """`data` with entry i replaced by replaced[i] (None removes it) and `added` after the last.

    With no entry left, only the brackets and what surrounds them stay.
    """
    pieces: list[bytes] = []
    first, last = spans[0][0], spans[-1][1]
    for index, (start, end) in enumerate(spans):
        piece = replaced.get(index, b"") if index in replaced else data[start:end]
        if piece is None:
            continue
        if pieces:
            pieces.append(data[spans[index - 1][1] : start])
        pieces.append(piece)
    separator = data[spans[0][1] : spans[1][0]] if len(spans) > 1 else _guess_separator(data[:first])
    for piece in added:
        pieces += [separator, piece] if pieces else [piece]
    if not pieces:
        return data[:first].rstrip(b" \t\n\r") + data[last:].lstrip(b" \t\n\r")
    return data[:first] + b"".join(pieces) + data[last:]


def _guess_separator(head: bytes) -> bytes:
    """From the text before a lone entry, bracket included: an indented one is followed by one like it."""
    indent = head[max(head.rfind(b"{"), head.rfind(b"[")) + 1 :]
    return b"," + indent[indent.find(b"\n") :] if b"\n" in indent else b","


def edit_array(raw: bytes, replaced: Mapping[int, bytes | None]) -> bytes:
    """The array with element i replaced by replaced[i]; None removes it with its separator.

    `raw` comes back as it is when `replaced` is empty. Raises BodyError.
    """
    if not replaced:
        return raw
    return _join(raw, array_spans(raw), replaced, [])


def prepend(raw: bytes, element: bytes) -> bytes:
    """The array with `element` before all others. Raises BodyError."""
    spans = array_spans(raw)
    if not spans:
        opening = raw.index(b"[") + 1
        return raw[:opening] + element + raw[opening:].lstrip(b" \t\n\r")
    start, end = spans[0]
    separator = raw[end : spans[1][0]] if len(spans) > 1 else _guess_separator(raw[:start])
    return raw[:start] + element + separator + raw[start:]


def append(raw: bytes, elements: list[bytes]) -> bytes:
    """The array with `elements` after all others. Raises BodyError."""
    spans = array_spans(raw)
    if spans:
        return _join(raw, spans, {}, elements)
    opening = raw.index(b"[") + 1
    return raw[:opening] + b",".join(elements) + raw[opening:].lstrip(b" \t\n\r")


class Body:
    """One JSON object whose members can be read, set and deleted; works for nested objects too.

    Where a key occurs twice, the last one is read (as every common parser does), `set` writes
    all of them and `delete` removes all, so that no parser sees the old value.
    """

    __slots__ = ("_added", "_data", "_edits", "_index", "_members")

    def __init__(self, data: bytes, members: list[Member]) -> None:
        self._data = data
        self._members = members
        self._index = {member.key: member for member in members}
        self._edits: dict[str, bytes | None] = {}
        self._added: dict[str, bytes] = {}

    @classmethod
    def parse(cls, data: bytes) -> Body:
        """Raises BodyError when `data` is not a JSON object in UTF-8."""
        return cls(data, member_spans(data))

    @property
    def changed(self) -> bool:
        return bool(self._edits or self._added)

    @property
    def size(self) -> int:
        """Bytes of the object as it was parsed."""
        return len(self._data)

    def names(self) -> list[str]:
        kept = [key for key in self._index if self._edits.get(key, b"") is not None]
        return kept + list(self._added)

    def has(self, key: str) -> bool:
        return self.raw(key) is not None

    def raw(self, key: str) -> bytes | None:
        """The JSON text of the member's value, edits included; None if there is none."""
        if key in self._edits:
            return self._edits[key]
        member = self._index.get(key)
        return self._added.get(key) if member is None else self._data[member.value : member.end]

    def get(self, key: str) -> Any:
        """The decoded value; None where absent (or null). Raises BodyError."""
        raw = self.raw(key)
        return None if raw is None else decode(raw)

    def set(self, key: str, value: Any) -> None:
        self.set_raw(key, encode(value))

    def set_raw(self, key: str, raw: bytes) -> None:
        """Like `set` with a JSON text. Setting what is there already changes nothing."""
        if key not in self._index:
            self._added[key] = raw
        elif any(self._data[m.value : m.end] != raw for m in self._members if m.key == key):
            self._edits[key] = raw
        else:
            self._edits.pop(key, None)

    def delete(self, key: str) -> None:
        self._added.pop(key, None)
        if key in self._index:
            self._edits[key] = None

    def render(self) -> bytes:
        """The bytes of the object as edited; the input itself if nothing was changed."""
        if not self.changed:
            return self._data
        added = [encode(key) + self._colon() + raw for key, raw in self._added.items()]
        if not self._members:
            opening = self._data.index(b"{") + 1
            return self._data[:opening] + b",".join(added) + self._data[opening:].lstrip(b" \t\n\r")
        spans = [(member.start, member.end) for member in self._members]
        return _join(self._data, spans, self._replaced(), added)

    def _replaced(self) -> dict[int, bytes | None]:
        replaced: dict[int, bytes | None] = {}
        for index, member in enumerate(self._members):
            if member.key in self._edits:
                raw = self._edits[member.key]
                replaced[index] = None if raw is None else self._data[member.start : member.value] + raw
        return replaced

    def _colon(self) -> bytes:
        """What stands between key and value, in the style of the first member."""
        if not self._members:
            return b":"
        first = self._members[0]
        match = FIRST_KEY.match(self._data, first.start)
        return b":" if match is None else self._data[match.end(1) : first.value]
