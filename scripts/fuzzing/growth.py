"""Work that grows faster than what it is done to: a request with one of its parts many times over.

Compared is processor time, of this process alone, for a part N times and four times N.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fuzz.ground import MARKER, SSE, Ground, Head
from fuzz.oracle import Choice, Finding, strict, walk
from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire.json_spans import Body

NAME = "growth"
_SIZE = 60_000  # bytes of the smaller body
_FACTOR = 4
_TOO_MUCH = 9.0  # times as long for four times as much; 16 would be quadratic
_NOTICED_S = 0.05  # shorter times are mostly noise
_STREAM_CHUNK = 1 << 14
_PIECES = ("\\", '"', " ", "\n", "\u2063", '{"role":"system"}', "[", "<system-reminder>")


def check(ground: Ground, data: bytes, choice: Choice) -> None:
    """A body with one list's elements, one object's members, or one text repeated."""
    try:
        value = strict(data)
    except ValueError:
        return
    if not isinstance(value, dict):
        return
    head = choice.one(ground.heads)
    grown = _grown(value, choice)
    if grown is None:
        return
    small, large = grown
    if _takes(ground, small, head) < _NOTICED_S and _takes(ground, large, head) < _TOO_MUCH * _NOTICED_S:
        return
    first, second = (min(_takes(ground, body, head) for _ in range(3)) for body in (small, large))
    if second > max(first, _NOTICED_S) * _TOO_MUCH:
        raise Finding(
            f"{second / first:.0f} times as long for {_FACTOR} times as much\n"
            f"{first:.3f} s for {len(small)} bytes, {second:.3f} s for {len(large)}\n"
            f"{small[:600]!r} … {small[-300:]!r}"
        )


def _grown(value: dict[str, Any], choice: Choice) -> tuple[bytes, bytes] | None:
    lists = [item for item in walk(value) if isinstance(item, list) and item]
    texts = [(item, key) for item in walk(value) if isinstance(item, dict) for key in item]
    texts = [(item, key) for item, key in texts if isinstance(item[key], str) and item[key]]
    if lists and choice.random.random() < 0.6:
        array = choice.one(lists)
        at, kept = choice.random.randrange(len(array)), list(array)
        unit = max(8, len(json.dumps(array[at])))
        made = []
        for factor in (1, _FACTOR):
            array[:] = kept[:at] + [kept[at]] * (factor * _SIZE // unit) + kept[at:]
            made.append(json.dumps(value).encode())
        return made[0], made[1]
    if not texts:
        return None
    item, key = choice.one(texts)
    piece = choice.one((item[key], item[key][:1], MARKER, *_PIECES))
    made, plain = [], choice.random.random() < 0.5
    for factor in (1, _FACTOR):
        item[key] = piece * max(1, factor * _SIZE // len(piece))
        made.append(json.dumps(value, ensure_ascii=plain).encode("utf-8", "replace"))
    return made[0], made[1]


def _takes(ground: Ground, data: bytes, head: Head) -> float:
    """Seconds of processor time for a request's way."""
    before = time.process_time()
    try:
        _way(ground, data, head)
    except BodyError:
        pass
    return time.process_time() - before


def _way(ground: Ground, data: bytes, head: Head) -> None:
    surface = ground.surface
    body = Body.parse(data)
    surface.strip(body)
    facts = surface.read_facts(body, head.headers, head.path, head.endpoint)
    fitting = [model for model in ground.rows if not surface.ineligible(facts, model)]
    for model in fitting[:2] or ground.rows[:1]:
        fitted = Body.parse(body.render())
        surface.adapt(fitted, replace(facts, thinking_default="on"), model)
        surface.set_model(fitted, head.path, model.name)
        surface.ask(fitted, facts)
        surface.marker_modes(fitted, facts, model)
        fitted.render()
    for refusal in ground.refusals:
        surface.remedy(Body.parse(data), refusal)
    _answers(ground, data)


def _answers(ground: Ground, data: bytes) -> None:
    """The same bytes as what a provider says."""
    surface = ground.surface
    changes = Changes("asked-for", MARKER, None, {"decision": "d1"})
    surface.observe_body(data)
    surface.rewrite_body(data, changes)
    surface.error_message(data)
    transform = surface.stream(SSE, ground.facts[0], changes)
    stream = b"data: " + data + b"\n\n"
    feed: Callable[[bytes], object] = transform.feed if transform else len
    for at in range(0, len(stream), _STREAM_CHUNK):
        feed(stream[at : at + _STREAM_CHUNK])
