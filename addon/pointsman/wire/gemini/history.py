"""Echoed markers in the contents of a Gemini request.

Clients send a marker back as a part of its own or merged into the text that followed (Gemini CLI), or as a
content of its own, one for each chunk of the stream (the Python SDK's chats). What a sub-agent said comes
back as a member of a functionResponse. A person's own text is never looked at.

A part left empty goes, and a content left without parts. A part that also holds a signature stays, with an
empty text: that is how the provider itself sends one without words, and a signature must never be lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pointsman.errors import BodyError
from pointsman.wire import marker
from pointsman.wire.gemini.spelling import spelled
from pointsman.wire.json_spans import Body
from pointsman.wire.stripping import Stripped, member, strip_array, whole_object

type _Strip = Callable[[bytes], Stripped]

# What an answer had sent before its marker: blanks are no words, and clients merge them with what follows.
_BLANK = rb"(?:[ \t]|\\[nrt]|\\u000[9aAdD]|\\u0020)*+"
_MARKED = re.compile(rb'"(' + _BLANK + rb")((?:" + marker.PATTERN + rb")+)")
_ONE = re.compile(marker.PATTERN)

_MARKER_PART = re.compile(whole_object(member(b"text", b'"' + marker.PATTERN + b'"')))


def strip(body: Body) -> int:
    """Cuts markers out of `contents` and says how many there were.

    What is left has the bytes of an unmarked conversation. A history that cannot be read stays as it is.
    """
    try:
        return _strip_wrapped(body) + _strip_contents(body)
    except BodyError:
        return 0


def _strip_wrapped(body: Body) -> int:
    """The request inside a countTokens request."""
    name = spelled(body, "generateContentRequest")
    raw = body.raw(name)
    if raw is None or not raw.startswith(b"{") or not marker.present(raw):
        return 0
    request = Body.parse(raw)
    count = _strip_contents(request)
    if count:
        body.set_raw(name, request.render())
    return count


def _strip_contents(body: Body) -> int:
    contents = body.raw("contents")
    if contents is None or not marker.present(contents):
        return 0
    stripped, count = _strip_list(contents, _strip_content)
    if count:
        body.set_raw("contents", b"[]" if stripped is None else stripped)
    return count


def _strip_list(raw: bytes, strip_one: _Strip) -> Stripped:
    """A list, or the one object that stands for it; None if nothing of it is left."""
    if raw.startswith(b"["):
        stripped, count = strip_array(raw, strip_one)
        return (None, count) if count and stripped == b"[]" else (stripped, count)
    return strip_one(raw) if raw.startswith(b"{") else (raw, 0)


def _strip_content(raw: bytes) -> Stripped:
    content = Body.parse(raw)
    parts = content.raw("parts")
    if parts is None:
        return raw, 0
    strip_one = _strip_answer if content.get("role") == "model" else _strip_result
    stripped, count = _strip_list(parts, strip_one)
    if not count:
        return raw, 0
    if stripped is None:
        return None, count
    content.set_raw("parts", stripped)
    return content.render(), count


def _strip_answer(raw: bytes) -> Stripped:
    """A part of the model's."""
    if _MARKER_PART.fullmatch(raw):
        return None, 1
    part = Body.parse(raw)
    text, count = _strip_text(part.raw("text"))
    if not count:
        return raw, 0
    if text == b'""' and not _signed(part):
        return None, count
    part.set_raw("text", text)
    return part.render(), count


def _strip_text(literal: bytes | None) -> tuple[bytes, int]:
    """A string without the markers at its start; blanks before them stay."""
    if literal is None or not (found := _MARKED.match(literal)):
        return literal or b"", 0
    return b'"' + found[1] + literal[found.end() :], len(_ONE.findall(found[2]))


def _signed(part: Body) -> bool:
    return part.has("thoughtSignature") or part.has("thought_signature")


def _strip_result(raw: bytes) -> Stripped:
    """A part of the user's: only what a function gave back, by the strings that it consists of."""
    part = Body.parse(raw)
    name = spelled(part, "functionResponse")
    inner = part.raw(name)
    if inner is None or not inner.startswith(b"{") or not marker.present(inner):
        return raw, 0
    result = Body.parse(inner)
    response = result.raw("response")
    if response is None or not response.startswith(b"{"):
        return raw, 0
    values, total = Body.parse(response), 0
    for key in values.names():
        text, count = _strip_text(values.raw(key))
        if not count:
            text, count = marker.strip_result(text)
        if count:
            values.set_raw(key, text)
            total += count
    if not total:
        return raw, 0
    result.set_raw("response", values.render())
    part.set_raw(name, result.render())
    return part.render(), total
