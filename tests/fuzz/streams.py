"""A streamed answer in any split: nothing raised, nothing lost, nothing else changed than what was to be."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from fuzz.ground import COMMENT, JSON, MARKER, SSE, Ground
from fuzz.oracle import Choice, require, storable, strict, strings, without_keys
from pointsman.surface import Transform
from pointsman.values import Changes, Facts
from pointsman.wire import sse

BYTE_BY_BYTE = 3000  # bytes of the longest stream that is fed like that
CUT_EVERYWHERE = 200  # bytes of the longest case that is cut at every place
RENAMED = frozenset({"model", "modelVersion", "x_router"})
_MOVED = RENAMED | {"role"}  # a marker before the first words takes over how they begin
_ASKED = RENAMED | {"usage"}
_COUNT_LIMIT = 1 << 53
_ERROR_LIMIT = 500
_DIGITS = re.compile(r"\d+")
_NAMED = re.compile(r'"(?:model|modelVersion)"\s*:\s*"[^"]*"')


def check(ground: Ground, data: bytes, choice: Choice) -> None:
    """One stream, for each kind of change that is chosen."""
    kind = JSON if data.lstrip()[:1] in (b"[", b"{") else SSE
    for facts in choice.some(ground.facts, 1):
        for changes in choice.some(ground.changes, 2):
            _check(ground, data, kind, facts, changes, choice)


def _check(ground: Ground, data: bytes, kind: str, facts: Facts, changes: Changes, choice: Choice) -> None:
    whole = _run(ground.surface.stream(kind, facts, changes), [data], changes)
    if whole is None:
        require(kind != SSE, "an event stream is not followed")
        return
    out, seen = whole
    check_observation(seen)
    for cut in _cuts(data, choice):
        halved = _run(ground.surface.stream(kind, facts, changes), cut, changes)
        assert halved is not None
        require(halved[0] == out, "the split changes the output", [*map(len, cut)], data)
        require(halved[1] == seen, "the split changes what is observed", halved[1], seen)
    if not changes:
        require(out == data, "nothing to change, and changed", data, out)
        return
    observed = _run(ground.surface.stream(kind, facts, Changes()), [data], Changes())
    assert observed is not None
    require(observed[1] == seen, "changing it changes what is observed", observed[1], seen)
    passed = _run(ground.surface.stream(kind, facts, Changes()), [out], Changes())
    if not changes.added:
        require(passed is not None, "what comes out is no stream")
        assert passed is not None
        now, before = (_without_model(item) for item in (passed[1], seen))
        require(now == before, "what comes out says something else than what went in", before, now, data, out)
    if kind == SSE:
        _compare(data, out, changes)


def _run(transform: Transform | None, chunks: list[bytes], changes: Changes) -> tuple[bytes, Any] | None:
    """What comes out, and what was observed; None where the surface follows no such stream."""
    if transform is None:
        return None
    fed, out = b"", []
    known = _copy(transform)
    for chunk in chunks:
        pieces = transform.feed(chunk)
        require(all(pieces), "an empty piece", pieces)
        if not changes:
            require(pieces == [chunk] * bool(chunk), "a chunk is cut where nothing changes", chunk, pieces)
        if len(chunks) < 50:
            fed += chunk
            require(fed.endswith(transform.pending), "pending what was not fed", transform.pending)
            require(changes or not transform.pending, "held where nothing changes", transform.pending)
        out += pieces
        if transform.dirty:
            transform.dirty, known = False, _copy(transform)
    pieces = transform.flush()
    require(all(pieces), "an empty piece at the end", pieces)
    require(transform.pending == b"", "held after the end", transform.pending)
    require(transform.flush() == [], "a second flush gives more")
    seen = _copy(transform)
    told = transform.dirty or _stored(known) == _stored(seen)
    require(told, "learnt something and is not dirty", known, seen)
    return b"".join([*out, *pieces]), seen


def _copy(transform: Transform) -> Any:
    return dataclasses.replace(transform.observation)


def _stored(seen: Any) -> tuple[object, ...]:
    """What must be stored as soon as it is known; all else may be gathered until the end."""
    return seen.message_id is not None, seen.complete, seen.error


def _cuts(data: bytes, choice: Choice) -> Iterator[list[bytes]]:
    if choice.thorough and len(data) <= CUT_EVERYWHERE:
        yield from ([data[:at], data[at:]] for at in range(1, len(data)))
    if len(data) <= BYTE_BY_BYTE and (choice.thorough or choice.random.random() < 0.3):
        yield [data[at : at + 1] for at in range(len(data))]
    for count in (1, choice.random.randint(2, 12)):
        # Half of the cuts at line ends, where readers go wrong.
        ends = [at + shift for at, byte in enumerate(data[:20_000]) if byte in b"\r\n" for shift in (0, 1)]
        places = [choice.random.randint(0, len(data)) for _ in range(count)]
        places += choice.random.sample(ends, min(count, len(ends)))
        bounds = [0, *sorted(places), len(data)]
        yield [data[start:end] for start, end in pairwise(bounds)]


def check_observation(seen: Any) -> None:
    """It can be stored as it is."""
    for field in dataclasses.fields(seen):
        value = getattr(seen, field.name)
        require(storable(value), f"{field.name} cannot be stored", value)
        if field.name.endswith("_tokens") and value is not None:
            require(type(value) is int and 0 <= value < _COUNT_LIMIT, f"{field.name} is no count", value)
    for name in ("message_id", "answered_model", "stop_reason", "error"):
        require(getattr(seen, name) is None or type(getattr(seen, name)) is str, f"{name} is no text", seen)
    require(len(seen.error or "") <= _ERROR_LIMIT, "a long error", seen.error)
    require(type(seen.complete) is bool and type(seen.started) is bool, "no truth value", seen)
    for field in dataclasses.fields(seen.to_usage()):
        value = getattr(seen.to_usage(), field.name)
        require(value is None or (type(value) is int and value >= 0), f"usage: {field.name}", value)


def _without_model(seen: Any) -> Any:
    return dataclasses.replace(seen, answered_model=None)


# --- events -------------------------------------------------------------------------------


def events(data: bytes) -> list[sse.Event]:
    """All of them as if they were whole: to some clients an event without its end is one."""
    reader = sse.Reader()
    return [sse.Event(event.raw) for event in (*reader.feed(data), *reader.flush())]


def _compare(data: bytes, out: bytes, changes: Changes) -> None:
    """The events that come out are those that went in, but for what the changes say."""
    before, after = events(data), events(out)
    if changes.comment is not None:
        note = sse.comment(COMMENT)
        after = [event for event in after if event.raw != note]
        require(len(after) >= len(before), "an event is lost", data, out)
    if changes.marker_text is None and not changes.added:
        require(len(before) == len(after), "events are lost or made up", data, out)
        for old, new in zip(before, after, strict=True):
            if old.raw != new.raw:
                require(old.name == new.name, "an event has another name", old.raw, new.raw)
                same = _decoded(old, RENAMED) == _decoded(new, RENAMED)
                require(same, "an event says something else", old.raw, new.raw)
    elif changes.marker_text is None:
        _require_only_answers_gone(before, after)
    elif not changes.added:
        _require_all_there([text for event in before for text in _texts(event)], after, data, out)


def _require_only_answers_gone(before: list[sse.Event], after: list[sse.Event]) -> None:
    """What is left are the events that went in, in order; what went out of them told a usage."""
    at = 0
    for event in before:
        same = at < len(after) and _decoded(event, _ASKED) == _decoded(after[at], _ASKED)
        require(same or b"usage" in event.raw, "an event is lost that nobody asked for", event.raw)
        at += same
    require(at == len(after), "an event is made up", after[at : at + 1])


def _texts(event: sse.Event) -> Iterator[str]:
    """The strings of an event; what is no JSON is one."""
    if event.data is None:
        yield event.raw.decode("utf-8", "replace")
        return
    try:
        yield from strings(strict(event.data), _MOVED)
    except ValueError:
        yield _unread(event.data)


def _require_all_there(texts: list[str], after: list[sse.Event], data: bytes, out: bytes) -> None:
    """Every text that went in comes out, in its order; what comes on top is the marker and its frame."""
    at = 0
    for event in after:
        for text in _texts(event):
            if at < len(texts) and (text == texts[at] or text == MARKER + texts[at]):
                at += 1
    require(at == len(texts), "a text is lost or changed", texts[at : at + 1], data, out)


def _decoded(event: sse.Event, without: frozenset[str]) -> Any:
    try:
        return without_keys(strict(event.data or b""), without)
    except ValueError:
        return _unread(event.data or b"")


def _unread(data: bytes) -> str:
    """What is no JSON but for digits and the model, which may be found where it begins like JSON."""
    return _DIGITS.sub("#", _NAMED.sub("#", data.decode("utf-8", "replace")))
