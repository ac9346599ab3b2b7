"""Mutations that keep an input's form: trees of JSON, and streams of events whose data are such trees.

Written in any style of whitespace and escapes, with keys given twice, and with what JSON allows and encoders
never write. A share of the mutations is left to libFuzzer's own, on the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from pointsman.wire import marker, sse

from fuzzing.words import REPEATED, Words

_OPERATIONS_MAX = 4
_REPEAT_MAX = 400
_NUMBERS = ("1e999", "-1e999", "1E+2", "-0", "0.10", "1" * 400, "1" * 5000, "12345678901234567890")
_FIRST, _REST = 0, 1  # places in a pair
_BLOCKS = (
    b": ping\n\n", b"\n", b"\r\n", b"\r", b"data\n\n", b"event: x\n\n", b"data: [DONE]\n\n",
    b"\xef\xbb\xbf", b"id: 1\nretry: 5\n\n",
)  # fmt: skip


class Pairs(list[Any]):
    """An object as [key, value] pairs, so that a key may stand there twice."""


class Literal(str):
    """JSON text that is written as it stands."""


def parse(text: bytes) -> Any:
    """Raises ValueError."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_pairs)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _pairs(members: list[tuple[str, Any]]) -> Pairs:
    return Pairs([list(member) for member in members])


def paired(value: Any) -> Any:
    """A copy with objects as pairs."""
    if isinstance(value, dict):
        return Pairs([[key, paired(item)] for key, item in value.items()])
    return [paired(item) for item in value] if isinstance(value, list) else value


class Writer:
    """One style of JSON."""

    def __init__(self, random: Random) -> None:
        self._random = random
        kind = random.random()
        self._comma, self._colon = (",", ":") if kind < 0.5 else (", ", ": ")
        self._wild = kind > 0.9
        self._ascii = random.random() < 0.5

    def write(self, value: Any) -> str:
        if isinstance(value, Literal):
            return str(value)
        if isinstance(value, Pairs):
            return "{" + self._gap(self._comma).join(map(self._member, value)) + "}"
        if isinstance(value, list):
            return "[" + self._gap(self._comma).join(map(self.write, value)) + "]"
        return self._string(value) if isinstance(value, str) else json.dumps(value)

    def _member(self, pair: list[Any]) -> str:
        return self._string(str(pair[_FIRST])) + self._gap(self._colon) + self.write(pair[_REST])

    def _gap(self, sign: str) -> str:
        return self._random.choice(("", " ", "\n  ", "\t\r\n")) + sign + " " if self._wild else sign

    def _string(self, text: str) -> str:
        written = json.dumps(text, ensure_ascii=self._ascii or not _encodable(text))
        if self._wild and self._random.random() < 0.2:
            at = self._random.randrange(len(text) + 1)
            rest = "".join(f"\\u{ord(character) & 0xFFFF:04X}" for character in text[at : at + 1])
            written = json.dumps(text[:at])[:-1] + rest + json.dumps(text[at + 1 :])[1:]
        return written


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


class Mutator:
    """`mutate_bytes(data, limit)` is libFuzzer's own mutation."""

    def __init__(self, words: Words, seeds: list[bytes], mutate_bytes: Callable[[bytes, int], bytes]) -> None:
        self._words = words
        self._seeds = seeds
        self._bytes = mutate_bytes

    def json(self, data: bytes, limit: int, seed: int) -> bytes:
        """Mutate one JSON text."""
        random = Random(seed)
        if random.random() < 0.15:
            return self._bytes(data, limit)
        try:
            made = self._tree(data, random)
        except ValueError:
            anew = self._seeds and random.random() < 0.1
            made = random.choice(self._seeds) if anew else self._bytes(data, limit)
        return made if len(made) <= limit else self._bytes(data[:limit], limit)

    def stream(self, data: bytes, limit: int, seed: int) -> bytes:
        """Mutate a stream of events."""
        random = Random(seed)
        if random.random() < 0.2:
            return self._bytes(data, limit)
        if data.lstrip()[:1] == b"[":
            return self.json(data, limit, seed)
        blocks = _blocks(data)
        for _ in range(random.randint(1, 3)):
            self._mutate_blocks(blocks, random)
        made = b"".join(blocks)
        kind = random.random()
        if kind < 0.05:
            made = _other_ends(made, random)
        elif kind < 0.1:
            made = made[: random.randint(0, len(made))]
        return made if len(made) <= limit else made[:limit]

    def either(self, data: bytes, limit: int, seed: int) -> bytes:
        """For what is read as both."""
        return (self.stream if seed % 2 else self.json)(data, limit, seed)

    # --- trees ----------------------------------------------------------------------------

    def _tree(self, data: bytes, random: Random) -> bytes:
        root = [parse(data)]  # in a list, so that the root has a place like all others
        for _ in range(random.randint(1, _OPERATIONS_MAX)):
            self._mutate_tree(root, random)
        text = Writer(random).write(root[0] if root else Pairs())
        return text.encode("utf-8", "replace")

    def _mutate_tree(self, root: list[Any], random: Random) -> None:
        places = _places(root)
        if not places:
            return
        container, at = random.choice(places)
        pairs = isinstance(container, Pairs)
        value = container[at][_REST] if pairs else container[at]
        key = str(container[at][_FIRST]) if pairs else None
        kind = random.randrange(12)
        if kind == 0:
            del container[at]
        elif kind == 1:
            container.insert(random.randint(0, len(container)), [key, paired(value)] if pairs else value)
        elif kind == 2 and pairs:
            container[at] = [self._words.key(random), value]
        elif kind == 3:
            other = random.randrange(len(container))
            container[at], container[other] = container[other], container[at]
        elif kind == 4:
            _put(container, at, Literal(random.choice(_NUMBERS)))
        elif kind == 5 and isinstance(value, str):
            _put(container, at, self._text(value, random))
        elif kind == 6 and isinstance(value, list) and value:
            self._grow(value, random)
        elif kind == 7:
            shells = ([value], Pairs([["type", value]]), Pairs([["content", [value]]]))
            _put(container, at, random.choice(shells))
        elif kind == 8:
            other, place = random.choice(places)
            copied = other[place][_REST] if isinstance(other, Pairs) else other[place]
            _put(container, at, parse(Writer(random).write(copied).encode("utf-8", "replace")))
        elif kind == 9 and isinstance(value, list | Pairs) and not isinstance(value, Pairs):
            value.insert(random.randint(0, len(value)), paired(self._words.value(random)))
        elif kind in (9, 10) and isinstance(value, Pairs):
            name = self._words.key(random)
            value.insert(random.randint(0, len(value)), [name, paired(self._words.value(random, name))])
        else:
            _put(container, at, paired(self._words.value(random, key)))

    def _text(self, text: str, random: Random) -> str:
        at = random.randint(0, len(text))
        piece = random.choice((
            marker.make("m-1", "mid tool loop"),
            random.choice(self._words.words),
            random.choice(REPEATED) * random.choice((1, 2, 2000)),
            "\ud800",
        ))  # fmt: skip
        inside = text[:at] + piece + text[at:]
        return random.choice((piece + text, text + piece, inside, text[:at], text[at:]))

    @staticmethod
    def _grow(value: list[Any], random: Random) -> None:
        at = random.randrange(len(value))
        count = random.choice((2, 5, _REPEAT_MAX))
        if isinstance(value, Pairs):
            key, item = value[at]
            value += [[f"{key}{number}", item] for number in range(count)]
        else:
            value[at:at] = [value[at]] * count

    # --- events ---------------------------------------------------------------------------

    def _mutate_blocks(self, blocks: list[bytes], random: Random) -> None:
        if not blocks or random.random() < 0.03:
            blocks[:] = _blocks(random.choice(self._seeds)) if self._seeds else [b"data: {}\n\n"]
            return
        at = random.randrange(len(blocks))
        kind = random.randrange(14)
        if kind == 0:
            del blocks[at]
        elif kind == 1:
            blocks.insert(random.randint(0, len(blocks)), blocks[at])
        elif kind == 2:
            other = random.randrange(len(blocks))
            blocks[at], blocks[other] = blocks[other], blocks[at]
        elif kind == 3 and self._seeds:
            blocks.insert(at, random.choice(_blocks(random.choice(self._seeds)) or [b"\n"]))
        elif kind == 4:
            blocks.insert(at, random.choice(_BLOCKS))
        elif kind == 5:
            blocks[at] = _other_ends(blocks[at], random)
        elif kind == 6:
            blocks[at] = _respelled(blocks[at], random)
        elif kind == 7:
            blocks[at] = self._bytes(blocks[at], len(blocks[at]) + 64)
        else:
            blocks[at] = self._mutate_data(blocks[at], random)

    def _mutate_data(self, block: bytes, random: Random) -> bytes:
        event = sse.Event(block)
        if event.data is None:
            return block
        try:
            return event.with_data(self._tree(event.data, random))
        except ValueError:
            return event.with_data(self._bytes(event.data, len(event.data) + 64))


def _places(root: list[Any]) -> list[tuple[Any, int]]:
    found, waiting = [], [root]
    while waiting and len(found) < 5000:
        container = waiting.pop()
        found += [(container, at) for at in range(len(container))]
        inner = (item[_REST] for item in container) if isinstance(container, Pairs) else container
        waiting += [item for item in inner if isinstance(item, list)]
    return found


def _put(container: Any, at: int, value: Any) -> None:
    if isinstance(container, Pairs):
        container[at] = [container[at][_FIRST], value]
    else:
        container[at] = value


def _blocks(data: bytes) -> list[bytes]:
    reader = sse.Reader()
    return [event.raw for event in (*reader.feed(data), *reader.flush())]


def _other_ends(data: bytes, random: Random) -> bytes:
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return plain.replace(b"\n", random.choice((b"\n", b"\r\n", b"\r")))


def _respelled(block: bytes, random: Random) -> bytes:
    """The same event as other servers write it."""
    kind = random.randrange(4)
    if kind == 0:
        return block.replace(b"data: ", b"data:")
    if kind == 1:
        return block.replace(b",", b",\ndata: ", 1)
    if kind == 2:
        lines = [line for line in block.splitlines(keepends=True) if not line.startswith(b"event")]
        return b"".join(lines)
    return block.replace(b"event:", random.choice((b"event", b"Event:", b"event: x\nevent:")), 1)
