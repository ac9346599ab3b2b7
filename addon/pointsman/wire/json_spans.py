"""Edits of JSON by span: only the bytes of an edited member change, all others survive.

Re-encoding would reorder nothing but still change whitespace, escapes and number spelling,
and with them the provider's prompt-prefix cache. So a container is read into the spans of
its direct entries, and an edit replaces one span. Entries are found by msgspec, whose `Raw`
is the exact text of a value; walking the container in order, each value compared with the
bytes at hand, gives the offsets. Where that fails (duplicate keys, lone surrogates, which
msgspec refuses) the standard library scans instead.

An edit that removes entries leaves the bytes that the client's own encoder would have
written without them, in whatever whitespace style: the first remaining entry keeps the
whitespace after the bracket, every other one keeps the separator before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from pointsman.errors import BodyError

MAX_MEMBERS = 10_000  # of one object whose members are wanted; real requests have some twenty

type Span = tuple[int, int]

_S = rb"[ \t\n\r]*"
_KEY = rb'("(?:[^"\\]|\\.)*+")' + _S + rb":" + _S
_OPEN_OBJECT = re.compile(_S + rb"\{" + _S)
_OPEN_ARRAY = re.compile(_S + rb"\[" + _S)
_COMMA = re.compile(_S + rb"," + _S)
_FIRST_KEY = re.compile(_KEY, re.DOTALL)
_NEXT_KEY = re.compile(_S + rb"," + _S + _KEY, re.DOTALL)
_CLOSE_OBJECT = re.compile(_S + rb"\}" + _S + rb"\Z")
_CLOSE_ARRAY = re.compile(_S + rb"\]" + _S + rb"\Z")
_TEXT_SPACE = re.compile(r"[ \t\n\r]*")

_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_elements = msgspec.json.Decoder(list[msgspec.Raw])
_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class _Member:
    """`start` is where the key's quote is, `value` and `end` bound the value."""

    key: str
    start: int
    value: int
    end: int


class _Mismatch(Exception):
    """The walk met bytes that msgspec's answer does not explain: duplicate keys."""


# --- decoding one value -------------------------------------------------------------------


def decode(raw: bytes) -> Any:
    """The value of one JSON text, lone surrogates and huge numbers included. Raises BodyError."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return _scan_value(_text(raw), numbers=True)
    except RecursionError as error:
        raise BodyError("The JSON is nested too deeply.") from error


def encode(value: Any) -> bytes:
    """Compact JSON, lone surrogates escaped as they must be."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _text(data: bytes) -> str:
    if data[:3] == b"\xef\xbb\xbf":
        raise BodyError("The JSON starts with a byte order mark.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BodyError("The JSON is not valid UTF-8.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise BodyError(f"{name} is not JSON.")


def _whole(digits: str) -> int | float:
    # int() refuses more than 4,300 digits; such a number is never one of ours to understand.
    return int(digits) if len(digits) < 4000 else float(digits)


_numbers = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole)
_spans_only = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=str, parse_float=str)


def _scan_value(text: str, *, numbers: bool) -> Any:
    try:
        return (_numbers if numbers else _spans_only).decode(text)
    except RecursionError as error:
        raise BodyError("The JSON is nested too deeply.") from error
    except ValueError as error:
        raise BodyError(f"This is not JSON: {error}.") from error


# --- the spans of a container's entries ---------------------------------------------------


def _expect(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes]:
    match = pattern.match(data, at)
    if match is None:
        raise _Mismatch
    return match


def _walk_members(data: bytes, raws: Mapping[str, msgspec.Raw]) -> list[_Member]:
    _require_few(len(raws))
    members: list[_Member] = []
    at = _expect(_OPEN_OBJECT, data, 0).end()
    pattern = _FIRST_KEY
    for key, raw in raws.items():
        match = _expect(pattern, data, at)
        literal, value = match[1], match.end()
        end = value + len(memoryview(raw))
        if not _is_key(literal, key) or data[value:end] != bytes(raw):
            raise _Mismatch
        members.append(_Member(key, match.start(1), value, end))
        at, pattern = end, _NEXT_KEY
    _expect(_CLOSE_OBJECT, data, at)
    return members


def _require_few(members: int) -> None:
    if members > MAX_MEMBERS:
        raise BodyError(f"The JSON object has more than {MAX_MEMBERS} members.")


def _is_key(literal: bytes, key: str) -> bool:
    return literal[1:-1] == key.encode() or _decoder.decode(literal) == key


def _walk_elements(data: bytes, raws: list[msgspec.Raw]) -> list[Span]:
    spans: list[Span] = []
    at = _expect(_OPEN_ARRAY, data, 0).end()
    for raw in raws:
        if spans:
            at = _expect(_COMMA, data, at).end()
        end = at + len(memoryview(raw))
        spans.append((at, end))
        at = end
    _expect(_CLOSE_ARRAY, data, at)
    return spans


def _member_spans(data: bytes) -> list[_Member]:
    try:
        return _walk_members(data, _raw_members.decode(data))
    except msgspec.ValidationError as error:
        raise BodyError("The body is not a JSON object.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, _Mismatch):
        return _scan_members(_text(data))
    except RecursionError as error:
        raise BodyError("The JSON is nested too deeply.") from error


def array_spans(raw: bytes) -> list[Span]:
    """Start and end of every element of the JSON array `raw`, in order. Raises BodyError."""
    try:
        return _walk_elements(raw, _raw_elements.decode(raw))
    except msgspec.ValidationError as error:
        raise BodyError("This is not a JSON array.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, _Mismatch):
        return _scan_elements(_text(raw))
    except RecursionError as error:
        raise BodyError("The JSON is nested too deeply.") from error


# The slow way. It first lets the standard library judge the whole text, so the scan
# itself may assume well-formed JSON; offsets are characters, converted at the end.


def _skip(text: str, at: int) -> int:
    match = _TEXT_SPACE.match(text, at)
    return match.end() if match else at


def _scan_members(text: str) -> list[_Member]:
    if not isinstance(_scan_value(text, numbers=False), dict):
        raise BodyError("The body is not a JSON object.")
    found: list[tuple[str, int, int, int]] = []
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, colon = _spans_only.raw_decode(text, at)
        value = _skip(text, _skip(text, colon) + 1)
        end = _spans_only.raw_decode(text, value)[1]
        found.append((key, at, value, end))
        _require_few(len(found))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    offsets = _byte_offsets(text, [place for member in found for place in member[1:]])
    return [_Member(key, offsets[start], offsets[value], offsets[end]) for key, start, value, end in found]


def _scan_elements(text: str) -> list[Span]:
    if not isinstance(_scan_value(text, numbers=False), list):
        raise BodyError("This is not a JSON array.")
    found: list[Span] = []
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "]":
        end = _spans_only.raw_decode(text, at)[1]
        found.append((at, end))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    offsets = _byte_offsets(text, [place for span in found for place in span])
    return [(offsets[start], offsets[end]) for start, end in found]


def _byte_offsets(text: str, places: list[int]) -> dict[int, int]:
    """Character offsets (ascending) to byte offsets in UTF-8."""
    offsets: dict[int, int] = {}
    last_place = last_byte = 0
    for place in places:
        last_byte += len(text[last_place:place].encode())
        last_place = place
        offsets[place] = last_byte
    return offsets


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
    """From the text before a lone entry: an indented one is followed by one like it."""
    return b"," + head[head.find(b"\n") :] if b"\n" in head else b","


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


class Body:
    """One JSON object whose members can be read, set and deleted; works for nested objects too.

    Where a key occurs twice, the last one is read (as every common parser does), `set` writes
    all of them and `delete` removes all, so that no parser sees the old value.
    """

    __slots__ = ("_added", "_data", "_edits", "_index", "_members")

    def __init__(self, data: bytes, members: list[_Member]) -> None:
        self._data = data
        self._members = members
        self._index = {member.key: member for member in members}
        self._edits: dict[str, bytes | None] = {}
        self._added: dict[str, bytes] = {}

    @classmethod
    def parse(cls, data: bytes) -> Body:
        """Raises BodyError when `data` is not a JSON object in UTF-8."""
        if not data.isascii():
            _text(data)
        return cls(data, _member_spans(data))

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
        match = _FIRST_KEY.match(self._data, first.start)
        return b":" if match is None else self._data[match.end(1) : first.value]
