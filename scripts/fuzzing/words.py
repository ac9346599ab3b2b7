"""What mutated JSON is made of: the keys, values and words of a surface's seeds and of its own source."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from pointsman import wire
from pointsman.wire import marker

_PER_KEY = 40  # values remembered for one key
_LONGEST_WORD = 60
_SHARED = {"marker.py", "texts.py", "limits.py", "sse.py"}
# What parsers stumble over: ends of ranges, numbers that no float holds, characters that mean something.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 4, 256, 1024, 2**31, 2**53, 2**63, -(2**63) - 1, 10**30, 1.5, -0.0, 1e308,
    "", " ", "\n\n", "\x00", "\ud800", "\udfff\ud800", "\ufeff", "\u2028", "é", "🚂", "[DONE]", "null",
    "{}", "[]", marker.SENTINEL, [], {}, [[]], [{}], [None], {"": None}, ["x"], {"type": None},
)  # fmt: skip
# Texts that are long for their meaning: a pattern that goes back and forth over them shows.
REPEATED = (
    "\\", '"', " ", "\n", "\t", "{", "[", "a", "<system-reminder>", "\u2063", "data: ", "\r", "é",
    '{"role":"system"}', "x-anthropic-billing-header:", "_session_", "</session>\n",
)  # fmt: skip


class Words:
    """`values` by key, `keys` that stood together, `words` of all kinds, `parts`: whole subtrees."""

    def __init__(self, texts: Iterable[bytes], surface: str) -> None:
        self.values: dict[str, list[Any]] = defaultdict(list)
        self.parts: list[Any] = []
        self.words: list[str] = []
        for text in texts:
            for value in _values(text):
                self._gather(value)
        self.words += _source_words(surface)
        self.words = sorted(set(self.words))
        self.keys = sorted(self.values)

    def _gather(self, value: Any) -> None:
        waiting = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                self.parts.append(item)
                for key, inner in item.items():
                    if len(self.values[key]) < _PER_KEY:
                        self.values[key].append(inner)
                    waiting.append(inner)
            elif isinstance(item, list):
                waiting += item
            elif isinstance(item, str) and len(item) <= _LONGEST_WORD:
                self.words.append(item)

    def value(self, random: Random, key: str | None = None) -> Any:
        """A value for a key: one seen there, else anything."""
        kind = random.random()
        if key is not None and kind < 0.5 and (seen := self.values.get(key)):
            return random.choice(seen)
        if kind < 0.65:
            return random.choice(self.words)
        if kind < 0.8:
            return random.choice(self.parts)
        if kind < 0.84:
            return random.choice(REPEATED) * random.choice((3, 50, 3000))
        if kind < 0.87:
            return marker.make("m-1", "mid tool loop") + random.choice(("", "x", "\n", marker.make("m", "r")))
        return random.choice(ODD)

    def key(self, random: Random) -> str:
        return random.choice(self.keys if random.random() < 0.8 else self.words)

    def dictionary(self) -> str:
        """For libFuzzer, one quoted word a line."""
        coded = (word.encode("utf-8", "replace") for word in self.words)
        quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in coded)
        return "".join(f'"{word}"\n' for word in quoted if word)


def _values(text: bytes) -> Iterable[Any]:
    """The JSON of a body, or of each line of data of a stream."""
    for line in (text, *(line.removeprefix(b"data:") for line in text.splitlines())):
        try:
            yield json.loads(line)
        except ValueError:
            continue
        if line is text:
            return


def _source_words(surface: str) -> list[str]:
    """The short constants of the modules that know the surface: what it compares with."""
    root = Path(wire.__file__).parent
    files = [path for path in root.glob("*.py") if path.name in _SHARED]
    for folder in (root / surface, root / surface.partition("_")[0]):
        files += folder.rglob("*.py") if folder.is_dir() else []
    if (root / f"{surface}.py").is_file():
        files.append(root / f"{surface}.py")
    trees = (ast.parse(path.read_bytes()) for path in files)
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD]
