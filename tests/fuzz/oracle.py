"""What every check of the fuzzer is made of: choices, judgements of JSON, and the finding that they end in.

A check takes a surface's ground, arbitrary bytes, and a choice; what it chooses follows from the bytes alone,
so that an input is one file. It returns nothing, and raises `Finding`, or whatever the product raised.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from pointsman.values import Adaptation
from pointsman.wire import marker
from pointsman.wire.json_spans import MAX_MEMBERS, Body

LONGEST_NUMBER = 1000  # digits of a whole number; int() itself refuses more than 4,300
LONGEST_TOLD = 160  # characters of an adaptation's values: a shortened one and how many there were
DEEPEST = 60  # nesting that must be understood; real requests have some fifteen levels
SECRET = "sk-fuzz-Zb3xW9qLrT7uKp2mVn5c"


_OUR_ID = re.compile(r"[a-z]+_pointsman_")  # how the id of an item begins that was made for a marker


class Finding(AssertionError):
    """A promise of the product that an input breaks."""


def require(condition: object, what: str, *shown: object) -> None:
    """Raises Finding; what is shown is clipped, since inputs are long."""
    if not condition:
        raise Finding(what + "".join(f"\n    {repr(item)[:600]}" for item in shown))


class Choice:
    """What an input is tried with, told by its bytes."""

    thorough = False

    def __init__(self, data: bytes) -> None:
        self.random = random.Random(zlib.crc32(data))

    def some[T](self, options: Sequence[T], count: int) -> list[T]:
        """`count` of them at most, in random order."""
        return self.random.sample(options, min(count, len(options)))

    def one[T](self, options: Sequence[T]) -> T:
        return self.random.choice(options)


class Every(Choice):
    """For the cases that are kept: all where several would be tried, and three for one."""

    thorough = True

    def some[T](self, options: Sequence[T], count: int) -> list[T]:
        return super().some(options, len(options) if count > 1 else 3)


# --- JSON, judged by the standard library --------------------------------------------------


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else float(digits)


def strict(data: bytes) -> Any:
    """The value of a JSON text. Raises ValueError, as also for a byte order mark and for deep nesting."""
    try:
        value = json.loads(data.decode(), parse_constant=_refuse, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if depth(value) > DEEPEST:
        raise ValueError("nested too deeply")
    return value


def understood(data: bytes) -> bool:
    """Whether the product has no excuse for not reading this object."""
    try:
        value = strict(data)
    except ValueError:
        return False
    return isinstance(value, dict) and all(len(item) < MAX_MEMBERS for item in walk(value) if item)


def repeats_a_key(data: bytes) -> bool:
    """Whether an object has a key twice: an edit of one then edits both, by design."""
    found: list[bool] = []

    def hook(pairs: list[tuple[str, Any]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(data, parse_int=str, object_pairs_hook=hook)
    return any(found)


def walk(value: Any) -> Iterator[Any]:
    """The containers of a value, itself included, outermost first."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            yield item
            waiting += item


def depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, level = waiting.pop()
        deepest = max(deepest, level)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting += [(child, level + 1) for child in inner]
    return deepest


def strings(value: Any, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """The strings of a value in order, but for those under keys in `without`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item, without)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in without:
                yield from strings(item, without)


def without_keys(value: Any, keys: frozenset[str]) -> Any:
    """A copy in which no object has a member of these names."""
    if isinstance(value, dict):
        return {key: without_keys(item, keys) for key, item in value.items() if key not in keys}
    return [without_keys(item, keys) for item in value] if isinstance(value, list) else value


def storable(text: object) -> bool:
    """Whether a database and a header's encoder take it: no lone surrogates."""
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def maybe_marked(data: bytes) -> bool:
    """Whether there can be anything to strip: a marker, or what a client has left of one."""
    return marker.present(data) or b"_pointsman_" in data


# --- what may have changed -----------------------------------------------------------------


def only_markers_gone(before: Any, after: Any) -> bool:
    """Whether `after` is `before` with markers cut from strings, and emptied elements left out."""
    if isinstance(before, str) and isinstance(after, str):
        return before == after or _marker_cut(before, after)
    if isinstance(before, list) and after == "":
        return _elements_gone(before, [])  # a result of nothing but markers, and no array may be empty
    if isinstance(before, dict) and isinstance(after, dict):
        same = list(before) == list(after)
        return same and all(only_markers_gone(before[key], after[key]) for key in before)
    if isinstance(before, list) and isinstance(after, list):
        return _elements_gone(before, after)
    return type(before) is type(after) and before == after


def _marker_cut(before: str, after: str) -> bool:
    """Whether one span that begins as a marker does is all that is missing."""
    cut = len(before) - len(after)
    found = [at.start() for at in re.finditer(marker.SENTINEL, before)]
    return cut > 0 and any(before[:at] + before[at + cut :] == after for at in found)


def _elements_gone(before: list[Any], after: list[Any]) -> bool:
    reached = {0}  # how many of `after` the elements so far can account for
    for item in before:
        kept = {at + 1 for at in reached if at < len(after) and only_markers_gone(item, after[at])}
        marked = any(marker.SENTINEL in text or _OUR_ID.match(text) for text in strings(item))
        reached = kept | reached if marked else kept
    return len(after) in reached


def require_declared(before: bytes, after: bytes, done: Sequence[Adaptation], verbs: set[str]) -> None:
    """Every member that differs is named by an adaptation, and all others are there byte for byte."""
    for item in done:
        require(item.verb in verbs, "an adaptation with a verb that is none of its kind", item)
        told = max(len(item.parameter), len(item.before), len(item.after))
        require(told <= LONGEST_TOLD, "an adaptation of great length", item)
        require(storable(f"{item.before}{item.after}"), "an adaptation that cannot be stored", item)
    if not done:
        require(before == after, "changed without saying so", before, after)
        return
    declared = [[_folded(part) for part in item.parameter.split(".")] for item in done]
    declared += [[_folded(item.after)] for item in done if item.verb == "map"]  # another name for it
    _require_same(Body.parse(before), Body.parse(after), [], declared)


def _folded(name: str) -> str:
    """One spelling for all there are of a member: `thinkingConfig`, `thinking_config`."""
    return name.replace("[]", "").replace("_", "").lower()


def _require_same(before: Body, after: Body, path: list[str], declared: list[list[str]]) -> None:
    kept = [name for name in before.names() if after.has(name)]
    require(kept == [name for name in after.names() if before.has(name)], "members in another order", path)
    for name in {**dict.fromkeys(before.names()), **dict.fromkeys(after.names())}:
        old, new, here = before.raw(name), after.raw(name), [*path, _folded(name)]
        if old == new:
            continue
        named = [item for item in declared if item[: len(here)] == here[: len(item)]]
        objects = old and new and old.startswith(b"{") and new.startswith(b"{")
        require(named or objects, f"{'.'.join(here)} changed without being named", old, new, declared)
        if objects and all(len(item) > len(here) for item in named):
            # What is not named from the top may be a whole request, and what is in it named from there.
            _require_same(Body.parse(old or b""), Body.parse(new or b""), here if named else [], declared)
