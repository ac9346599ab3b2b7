"""The line that tells a person which model answered: made, recognised and cut out again.

A marker is framed by an invisible sentinel, so that stripping finds exactly what was injected
and never a person's own text about it. Between the sentinels stands a closed grammar of
bounded length; what `make` is given is fitted to it.
"""

from __future__ import annotations

import re

from pointsman.values import Facts

SENTINEL = "\u2063\u2060\u2063"
_HEAD = "✦ **Pointsman** → "
_MIDDLE = " · "
_TAIL = "\n\n"

_NAME = r"[A-Za-z0-9 ._:/@+~%,()\[\]=-]"
_NAME_MAX = 96
_NOT_NAME = re.compile(r"[^A-Za-z0-9 ._:/@+~%,()\[\]=-]")


def make(served: str, reason: str) -> str:
    """The marker as text. Characters outside the grammar become `_`, long names are clipped."""
    return f"{SENTINEL}{_line(served, reason)}{SENTINEL}{_TAIL}"


def comment(served: str, reason: str) -> str:
    """The same line for an SSE comment, without sentinel or emphasis."""
    return _line(served, reason).replace("**", "")


def _line(served: str, reason: str) -> str:
    return f"{_HEAD}{_fit(served)}{_MIDDLE}{_fit(reason)}"


def _fit(text: str) -> str:
    return _NOT_NAME.sub("_", text)[:_NAME_MAX] or "_"


def may_stand(facts: Facts, least_tokens: int = 1) -> bool:
    """Whether the answer may show a marker at all, be it as a comment.

    Never where it would be continued, parsed, or read by no person. `least_tokens`: who asks for no more than
    that asks for no answer.
    """
    return facts.endpoint == "generate" and not (
        facts.prefill
        or facts.forced_tool
        or facts.pure_json
        or facts.turn.background
        or (facts.max_tokens is not None and facts.max_tokens <= least_tokens)
    )


# A JSON string may hold any character raw or as a \u escape, with hex digits in either case,
# and `/` as `\/`. The pattern works on the literal, so that nothing else of it is re-encoded.


def _literal(text: str) -> bytes:
    return b"".join(_character(character) for character in text)


def _character(character: str) -> bytes:
    if character.isascii():
        return re.escape(character.encode())
    escaped = f"\\\\u(?i:{ord(character):04x})".encode()
    return b"(?:" + re.escape(character.encode()) + b"|" + escaped + b")"


_NAME_LITERAL = b"(?:" + _NAME.encode() + b"|\\\\/){1,%d}" % _NAME_MAX
# One marker inside a JSON string literal.
PATTERN = (
    _literal(SENTINEL + _HEAD)
    + _NAME_LITERAL
    + _literal(_MIDDLE)
    + _NAME_LITERAL
    + _literal(SENTINEL)
    # Clients trim the ends of texts, so the blank line may be gone.
    + rb"(?:\\n|\\u000[aA]){0,2}"
)
_MARKER = re.compile(PATTERN)
_HANDED = re.compile(rb'"<task (?:[^<>\\]|\\.)*+>\\n<task_result>\\n')
_RAW = SENTINEL.encode()
_ESCAPED = rb"\u2063"


def present(data: bytes) -> bool:
    """Whether `data` can hold a marker at all; False means there is nothing to strip."""
    return _RAW in data or _ESCAPED in data


def strip(literal: bytes) -> tuple[bytes, int]:
    """A JSON string literal without the markers at its start, and how many they were.

    Everything else of the literal keeps its bytes; a marker further inside is a quotation.
    """
    return _cut(literal, 1)


def strip_result(literal: bytes) -> tuple[bytes, int]:
    """The same for what a tool gave back: opencode wraps a sub-agent's words into two tags."""
    handed = _HANDED.match(literal)
    return _cut(literal, handed.end() if handed else 1)


def _cut(literal: bytes, start: int) -> tuple[bytes, int]:
    at, count = start, 0
    while match := _MARKER.match(literal, at):
        at, count = match.end(), count + 1
    return (literal[:start] + literal[at:], count) if count else (literal, 0)
