"""Thought signatures of function calls, where they are missing or refused.

From Gemini 3 on the first functionCall of each step of the current turn has to carry the signature that it
came with. Google documents a word in its place for calls that the model did not make itself; Gemini CLI puts
it there too. Signatures that are there stay as they are, whichever model made them, until one is refused.
(Google's page on thought signatures, November 2026.)
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Final

from pointsman.errors import BodyError
from pointsman.wire.gemini.spelling import given, items, spelled
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array, encode
from pointsman.wire.translation.made import NAME, SIGNATURE

SKIP: Final = "skip_thought_signature_validator"
_SKIPS: Final = (SKIP, "context_engineering_is_the_way_to_go")

type _Place = tuple[int, int]  # of a content, and of a part in it
type _Wants = Callable[[_Place, Body], bool]


def sign_current(body: Body) -> int:
    """Put the word where the current turn lacks a signature, in place. How often. Raises BodyError."""
    contents = body.raw("contents") or b""
    wanted = set(_unsigned(contents)) if contents.startswith(b"[") else set()
    places = {index for index, _ in wanted}
    return _edit(body, lambda place, part: place in wanted, places) if wanted else 0


def disown(body: Body) -> int:
    """Put the word in place of signatures that a translated answer made up. How often; 0 if unreadable."""
    if NAME not in (body.raw("contents") or b""):
        return 0
    try:
        return _edit(body, lambda place, part: _signature(part).startswith(SIGNATURE))
    except BodyError:
        return 0


def replace_all(body: Body) -> int:
    """Put the word in place of every signature of the model's contents. How often. Raises BodyError."""
    return _edit(body, lambda place, part: _signature(part) not in ("", *_SKIPS))


def estrange(body: Body) -> int:
    """Replace every signature: none goes to another account. How many; what cannot be read stays as it is."""
    try:
        return replace_all(body)
    except BodyError:
        return 0


def _unsigned(contents: bytes) -> Iterator[_Place]:
    """(content, part) of first calls without a signature, after the last words of the user."""
    decoded = decode(contents)
    called = False
    for index in range(_current(decoded), len(decoded)):
        content = decoded[index]
        if not isinstance(content, dict) or content.get("role") != "model":
            called = False
            continue
        parts = content.get("parts")
        for number, part in enumerate(parts if isinstance(parts, list) else []):
            if not isinstance(part, dict) or given(part, "functionCall") is None:
                continue
            if not called and not given(part, "thoughtSignature"):
                yield index, number
            called = True


def _current(contents: list[object]) -> int:
    """Where the current turn begins: after the newest content in which the user gives more than results."""
    for index in range(len(contents) - 1, -1, -1):
        content = contents[index]
        if not isinstance(content, dict) or content.get("role") == "model":
            continue
        if not any(given(part, "functionResponse") is not None for part in items(content.get("parts"))):
            return index + 1
    return 0


def _signature(part: Body) -> str:
    value = part.get(spelled(part, "thoughtSignature"))
    return value if isinstance(value, str) else ""


def _edit(body: Body, wants: _Wants, within: Container[int] | None = None) -> int:
    """Write the word into the parts that `wants` names; only contents `within` are looked at, None: all."""
    contents = body.raw("contents") or b""
    if not contents.startswith(b"["):
        return 0
    edits: dict[int, bytes | None] = {}
    total = 0
    for index, (start, end) in enumerate(array_spans(contents)):
        if contents[start : start + 1] != b"{" or (within is not None and index not in within):
            continue
        content = Body.parse(contents[start:end])
        parts = content.raw("parts") or b""
        if content.get("role") != "model" or not parts.startswith(b"["):
            continue
        changed = _edit_parts(parts, index, wants)
        if changed:
            content.set_raw("parts", edit_array(parts, changed))
            edits[index] = content.render()
            total += len(changed)
    if edits:
        body.set_raw("contents", edit_array(contents, edits))
    return total


def _edit_parts(parts: bytes, index: int, wants: _Wants) -> dict[int, bytes | None]:
    changed: dict[int, bytes | None] = {}
    for number, (start, end) in enumerate(array_spans(parts)):
        if parts[start : start + 1] != b"{":
            continue
        part = Body.parse(parts[start:end])
        if wants((index, number), part):
            part.set_raw(spelled(part, "thoughtSignature"), encode(SKIP))
            changed[number] = part.render()
    return changed
