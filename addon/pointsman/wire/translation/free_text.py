"""The arguments of a call between JSON and free text, as they stream.

A custom tool takes free text. To providers that know functions only it is offered as a function of one text
named `input`: so its calls come as `{"input": "…"}`, and the text is what stands between the quotes.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Protocol

from pointsman.errors import BodyError
from pointsman.wire.json_spans import decode, encode

MEMBER: Final = "input"
"""The one argument of a custom tool that is offered as a function."""

_OPENING: Final = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_OPENING_LIMIT: Final = 200  # characters after which no opening is looked for

_HEX: Final = r"[0-9a-fA-F]"
_HIGH: Final = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_LOW: Final = rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
# As much of a string's inside as is certain: no escape that may go on, no half of a surrogate pair. What is
# no escape in JSON, as \d, models write where they mean just that.
_CERTAIN: Final = re.compile(
    rf'(?:[^"\\]++|\\[^u]|{_HIGH}{_LOW}|(?!{_HIGH})\\u{_HEX}{{4}}|{_HIGH}(?=[^\\]|\\[^u]|\\u{_HEX}{{4}})'
    rf"|\\u(?={_HEX}{{0,3}}[^0-9a-fA-F]))*+",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(rf"(?:\\u{_HEX}{{4}})+|\\(.)", re.DOTALL)
_SIMPLE: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}


class Arguments(Protocol):
    """Fragments of a call's arguments in, fragments as the client takes them out.

    `complete`: what was fed is known to be all.
    """

    @property
    def complete(self) -> bool: ...

    def feed(self, fragment: str) -> str: ...

    def end(self) -> str:
        """What is still due when no more comes."""


class Unchanged:
    """JSON that stays JSON, an empty text excepted: no arguments are an empty object."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    @property
    def complete(self) -> bool:
        closed = bool(self._pieces) and self._pieces[-1].rstrip().endswith("}")
        return closed and is_json("".join(self._pieces))

    def feed(self, fragment: str) -> str:
        if fragment.strip():
            self._pieces.append(fragment)
        return fragment

    def end(self) -> str:
        return "" if self._pieces else "{}"


class Free:
    """Free text that stays free text."""

    complete = False

    def feed(self, fragment: str) -> str:
        return fragment

    def end(self) -> str:
        return ""


class Unwrapped:
    """`{"input": "…"}` that becomes the text inside.

    What turns out to be anything else is held to its end; then a lone member that is a text counts, and other
    JSON, or none, is the text itself.
    """

    def __init__(self) -> None:
        self._held = ""
        self._open = False
        self.complete = False

    def feed(self, fragment: str) -> str:
        if self.complete:
            return ""
        self._held += fragment
        if not self._open:
            found = _OPENING.match(self._held) if len(self._held) <= _OPENING_LIMIT + len(fragment) else None
            if found is None:
                return ""
            self._open = True
            self._held = self._held[found.end() :]
        certain = _CERTAIN.match(self._held)
        assert certain is not None  # it matches nothing at all, too
        self._held = self._held[certain.end() :]
        self.complete = self._held.startswith('"')
        return _unescaped(certain[0])

    def end(self) -> str:
        held, self._held = self._held, ""
        if self.complete:
            return ""
        return held if self._open else _text_in(held)


class Wrapped:
    """Free text that becomes `{"input": "…"}`, for a client that knows the tool as a function."""

    complete = False

    def __init__(self) -> None:
        self._begun = False

    def feed(self, fragment: str) -> str:
        opening = "" if self._begun else f'{{"{MEMBER}":"'
        self._begun = True
        return opening + json.dumps(fragment, ensure_ascii=False)[1:-1]

    def end(self) -> str:
        return self.feed("") + '"}'


def arguments(*, custom: bool, wanted: bool) -> Arguments:
    """For a call that comes as a `custom` one or not, where the client has `wanted` one or not."""
    if custom:
        return Free() if wanted else Wrapped()
    return Unwrapped() if wanted else Unchanged()


def is_json(text: str) -> bool:
    """Whether the text is one whole JSON value."""
    try:
        decode(text.encode("utf-8", "surrogatepass"))
    except BodyError:
        return False
    return True


def as_object(text: str) -> dict[str, Any]:
    """Arguments for APIs that take them as an object. What is none, is shown to the tool as it is."""
    try:
        value = decode(text.encode("utf-8", "surrogatepass")) if text.strip() else {}
    except BodyError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": text}


def as_json(value: Any) -> str:
    """Arguments that an API gives as an object, as JSON text."""
    return encode(value).decode("utf-8", "replace")


def _unescaped(inside: str) -> str:
    return _ESCAPE.sub(_of_escape, inside) if "\\" in inside else inside


def _of_escape(found: re.Match[str]) -> str:
    sign = found[1]
    if sign is None:
        return str(json.loads(f'"{found[0]}"'))
    return _SIMPLE.get(sign, found[0])


def _text_in(arguments_text: str) -> str:
    try:
        value = decode(arguments_text.encode("utf-8", "surrogatepass"))
    except BodyError:
        return arguments_text
    if isinstance(value, dict):
        values = [value[MEMBER]] if MEMBER in value else list(value.values()) or [""]
        value = values[0] if len(values) == 1 else None
    return value if isinstance(value, str) else arguments_text
