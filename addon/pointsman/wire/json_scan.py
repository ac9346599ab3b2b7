"""Where the values stand in a JSON text: the byte spans of an object's members and an array's elements.

msgspec finds the entries: its `Raw` is the exact text of a value, so walking the container in
order, each value compared with the bytes at hand, gives the offsets. Where that fails (duplicate
keys, lone surrogates, which msgspec refuses) the standard library scans instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from pointsman.errors import BodyError

MAX_MEMBERS = 10_000  # of one object; real requests have some twenty

type Span = tuple[int, int]

_S = rb"[ \t\n\r]*"
_KEY = rb'("(?:[^"\\]|\\.)*+")' + _S + rb":" + _S
_OPEN_OBJECT = re.compile(_S + rb"\{" + _S)
_OPEN_ARRAY = re.compile(_S + rb"\[" + _S)
_COMMA = re.compile(_S + rb"," + _S)
FIRST_KEY = re.compile(_KEY, re.DOTALL)
_NEXT_KEY = re.compile(_S + rb"," + _S + _KEY, re.DOTALL)
_CLOSE_OBJECT = re.compile(_S + rb"\}" + _S + rb"\Z")
_CLOSE_ARRAY = re.compile(_S + rb"\]" + _S + rb"\Z")
_TEXT_SPACE = re.compile(r"[ \t\n\r]*")

_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_elements = msgspec.json.Decoder(list[msgspec.Raw])
_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Member:
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
    """Compact JSON, lone surrogates escaped as they must be; a number too large for JSON becomes null."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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


def _walk_members(data: bytes, raws: Mapping[str, msgspec.Raw]) -> list[Member]:
    _require_few(len(raws))
    members: list[Member] = []
    at = _expect(_OPEN_OBJECT, data, 0).end()
    pattern = FIRST_KEY
    for key, raw in raws.items():
        match = _expect(pattern, data, at)
        literal, value = match[1], match.end()
        end = value + len(memoryview(raw))
        if not _is_key(literal, key) or data[value:end] != bytes(raw):
            raise _Mismatch
        members.append(Member(key, match.start(1), value, end))
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


def member_spans(data: bytes) -> list[Member]:
    """The members of the JSON object `data`, in order, duplicates too. BodyError also on bad UTF-8."""
    if not data.isascii():
        _text(data)
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


def _scan_members(text: str) -> list[Member]:
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
    return [Member(key, offsets[start], offsets[value], offsets[end]) for key, start, value, end in found]


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
