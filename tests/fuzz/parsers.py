"""The parsers under all surfaces: events, spans of JSON, markers, content codings."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

from fuzz.oracle import Choice, Finding, require, storable, strict
from pointsman.errors import BodyError
from pointsman.wire import encoding, marker, sse
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array, encode, prepend

_CODINGS = ("gzip", "deflate", "br", "zstd", "gzip, br", "identity", "x-gzip", "unknown", "br,br,br,br,br")
_LIMIT = 1 << 20
_LONG_NUMBER = re.compile(rb"[0-9]{1000}")


def check(_ground: object, data: bytes, choice: Choice) -> None:
    """One input, read as each of them."""
    check_events(data, choice)
    check_json(data, choice)
    check_marker(data)
    check_coding(data, choice)


# --- events -------------------------------------------------------------------------------


def check_events(data: bytes, choice: Choice) -> None:
    for cap in (sse.EVENT_CAP_BYTES, choice.random.randint(1, 64)):
        whole = _read([data], cap)
        require(b"".join(event.raw for event in whole) == data, "bytes are lost", cap, data)
        require(all(event.raw for event in whole), "an empty event", cap, data)
        places = sorted(choice.random.randint(0, len(data)) for _ in range(choice.random.randint(1, 9)))
        splits = [[data[start:end] for start, end in pairwise([0, *places, len(data)])]]
        if len(data) < 2000:
            splits.append([data[at : at + 1] for at in range(len(data))])
        for split in splits:
            found = _read(split, cap)
            require(b"".join(event.raw for event in found) == data, "bytes are lost in a split", cap, data)
            if cap == sse.EVENT_CAP_BYTES:
                require(found == whole, "the split changes the events", [*map(len, split)], data)
    for event in whole:
        _check_event(event)


def _read(chunks: list[bytes], cap: int) -> list[sse.Event]:
    reader = sse.Reader(cap)
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    events += reader.flush()
    require(reader.pending == b"", "held after the end", reader.pending)
    return events


def _check_event(event: sse.Event) -> None:
    require(storable(event.name), "a name with a lone surrogate", event.raw)
    if event.data is None:
        return
    written = sse.Event(event.with_data(b'{"a":1}'))
    require(written.data == b'{"a":1}', "other data cannot be read again", event.raw, written.raw)
    require(written.name == event.name, "other data, other name", event.raw, written.raw)
    if event.whole:
        again = _read([written.raw, b":\n\n"], sse.EVENT_CAP_BYTES)
        require(again[0] == written, "other data, and no end of the event", event.raw, written.raw)
    if b"\n" not in event.data and event.raw.count(b"data") == 1:
        same = event.with_data(event.data)
        require(sse.Event(same).data == event.data, "the same data, and another event", event.raw, same)


# --- JSON ---------------------------------------------------------------------------------


def check_json(data: bytes, choice: Choice) -> None:
    try:
        value, known = strict(data), _LONG_NUMBER.search(data) is None
    except ValueError:
        value, known = None, False
    try:
        decoded = decode(data)
    except BodyError as error:
        require(not known, "what is JSON is not decoded", data, error)
    else:
        if known:
            require(_same(decoded, value), "decoded to something else", data, decoded, value)
            require(_same(decode(encode(decoded)), _finite(value)), "encoded to something else", data)
    _check_object(data, value if known else None, choice)
    _check_array(data, value if known else None, choice)


def _same(left: Any, right: Any) -> bool:
    """Equal, types too: 1 is neither 1.0 nor true."""
    return repr(left) == repr(right)


def _finite(value: Any) -> Any:
    """What JSON cannot say in a number is null where it is written."""
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _check_object(data: bytes, value: Any, choice: Choice) -> None:
    try:
        body = Body.parse(data)
    except BodyError as error:
        few = isinstance(value, dict) and data.count(b":") < 10_000
        require(not few, "an object is not read", data, error)
        return
    require(body.render() is data, "an untouched object renders otherwise", data)
    if not isinstance(value, dict):
        return
    require(_same({name: body.get(name) for name in body.names()}, value), "other members", data)
    for name in choice.some([*value, "model", "größe\n"], 3):
        _check_edit(data, value, name)


def _check_edit(data: bytes, value: dict[str, Any], name: str) -> None:
    for new in ("set", None):
        body = Body.parse(data)
        if new is None:
            body.delete(name)
        else:
            body.set(name, new)
        rest = {key: item for key, item in value.items() if key != name}
        wanted = rest if new is None else {**value, name: new}
        rendered = body.render()
        try:
            found = strict(rendered)
        except ValueError as error:
            raise Finding(f"an edit renders what is no JSON: {data[:300]!r} {rendered[:300]!r}") from error
        require(_same(found, wanted), "an edit changes something else", data, rendered)
        again = Body.parse(rendered)
        kept = all(again.raw(key) == body.raw(key) for key in rest)
        require(kept, "an edit changes other bytes", data, rendered)


def _check_array(data: bytes, value: Any, choice: Choice) -> None:
    try:
        spans = array_spans(data)
    except BodyError as error:
        require(not isinstance(value, list), "an array is not read", data, error)
        return
    if not isinstance(value, list):
        return
    require([repr(decode(data[start:end])) for start, end in spans] == [*map(repr, value)], "elements", data)
    new = {"new": [1]}
    require(_same(strict(prepend(data, encode(new))), [new, *value]), "prepended", data)
    gone = choice.random.sample(range(len(value)), choice.random.randint(0, min(3, len(value))))
    left = [item for at, item in enumerate(value) if at not in gone]
    require(_same(strict(edit_array(data, dict.fromkeys(gone))), left), "removed", data, gone)


# --- markers ------------------------------------------------------------------------------


def check_marker(data: bytes) -> None:
    text = data[:300].decode("utf-8", "replace")
    made = marker.make(text, text[::-1])
    require(len(marker.comment(text, text).splitlines()) == 1, "two lines", text)
    for ascii_only in (False, True):
        literal = json.dumps(made + text, ensure_ascii=ascii_only).encode()
        if not text.startswith((marker.SENTINEL, "\n")):
            left, count = marker.strip(literal)
            require(count == 1 and json.loads(left) == text, "a marker is not stripped", literal, left)
    literal = json.dumps(text).encode()
    left, count = marker.strip(literal)
    require((count > 0) == (left != literal), "stripped nothing, or something without saying so", literal)
    require(marker.strip(left)[1] == 0, "stripped twice", literal)
    require(not count or marker.present(literal), "stripped what cannot be a marker", literal)
    json.loads(left)


# --- content codings ----------------------------------------------------------------------


def check_coding(data: bytes, choice: Choice) -> None:
    for coding in choice.some(_CODINGS, 2):
        _check_decoding(data, coding, choice)
        try:
            coded = encoding.encode(data, coding)
        except BodyError:
            continue
        require(encoding.decode(coded, coding, _LIMIT) == data, "coded to something else", coding, data)
        _check_decoding(coded[: choice.random.randint(0, len(coded))], coding, choice)
        try:
            encoding.decode(coded, coding, len(data) // 2)
        except BodyError:
            continue
        require(not data, "the limit is not kept", coding, data)


def _check_decoding(data: bytes, coding: str, choice: Choice) -> None:
    places = sorted(choice.random.randint(0, len(data)) for _ in range(3))
    results = [_decoded([data], coding)]
    results.append(_decoded([data[start:end] for start, end in pairwise([0, *places, len(data)])], coding))
    if len(data) < 300:
        results.append(_decoded([data[at : at + 1] for at in range(len(data))], coding))
    whole = results[0]
    for result in results:
        require(result[1] == whole[1], "the split decides about an error", coding, data)
        require(not whole[1] or result == whole, "the split changes what is decoded", coding, data)
    require(len(whole[0]) <= 8 * _LIMIT, "the limit is not kept", coding, data)


def _decoded(chunks: list[bytes], coding: str) -> tuple[bytes, bool]:
    """What came out, and whether all was well to the end."""
    out = b""
    try:
        decoder = encoding.Decoder(coding, _LIMIT)
        for chunk in chunks:
            out += decoder.feed(chunk)
        out += decoder.flush()
    except BodyError:
        return out, False
    return out, True
