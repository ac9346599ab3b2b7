"""What a setting may be: rules that tell a right value from a wrong one, in words a user understands.

The same rule checks a mitmproxy option, a key of router.yaml, and an argument of the command line.
A value arrives as what YAML or Python made of it, or as the text that the user wrote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Rule(Protocol):
    """`read` returns the value, or raises ValueError whose text says what would be right."""

    def read(self, value: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Text:
    empty: bool = True

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not (value or self.empty):
            raise ValueError("must be text" if self.empty else "must be text and not empty")
        return value


@dataclass(frozen=True, slots=True)
class Place(Text):
    """A path, or "" for none; `~` must mean somebody's home."""

    def read(self, value: Any) -> str:
        text = Text.read(self, value)
        try:
            Path(text).expanduser()
        except RuntimeError:
            raise ValueError(f"starts with the home of a user who has none: {text[:60]!r}") from None
        return text


@dataclass(frozen=True, slots=True)
class Flag:
    def read(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        word = value.lower() if isinstance(value, str) else ""
        if word in ("true", "yes", "on", "false", "no", "off"):
            return word in ("true", "yes", "on")
        raise ValueError(f"must be true or false, not {_shown(value)}")


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds; `whole` for integers."""

    least: float
    most: float
    whole: bool = False

    def read(self, value: Any) -> float:
        number = _number(value)
        if number is None or (self.whole and not float(number).is_integer()):
            kind = "a whole number" if self.whole else "a number"
            raise ValueError(f"must be {kind}, not {_shown(value)}")
        if not self.least <= number <= self.most:
            raise ValueError(f"must be between {self.least:g} and {self.most:g}, not {_shown(value)}")
        return int(number) if self.whole else float(number)


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        if isinstance(value, str) and value in self.words:
            return value
        raise ValueError(f"must be {listed(self.words)}, not {_shown(value)}")


@dataclass(frozen=True, slots=True)
class WordOrNumber:
    """One of a few words, or a number in its place."""

    words: tuple[str, ...]
    number: Number

    def read(self, value: Any) -> str:
        """As text, so that it can be an option's."""
        if isinstance(value, bool):  # YAML's off is one
            value = "on" if value else "off"
        if isinstance(value, str) and value in self.words:
            return value
        try:
            return str(self.number.read(value))
        except ValueError as error:
            raise ValueError(f"must be {listed(self.words)}, or a number: {error}") from None


@dataclass(frozen=True, slots=True)
class Places:
    """Names or paths, separated by commas."""

    def read(self, value: Any) -> tuple[str, ...]:
        parts = (part.strip() for part in Text().read(value).split(","))
        return tuple(Place().read(part) for part in parts if part)


def listed(words: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _number(value: Any) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if usable else None


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text[:60]) if isinstance(value, str) else text[:60]
