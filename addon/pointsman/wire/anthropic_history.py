"""Echoed markers in the history of an Anthropic request.

Clients send a marker back as they got it: as a text block of its own, before text or a tool
call, or merged into the text that followed. Claude Code also hands the last words of a
sub-agent on as the result of the tool that started it, so tool results are looked at too.
A person's own text never is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pointsman.errors import BodyError
from pointsman.wire import marker
from pointsman.wire.json_spans import Body, array_spans, edit_array

_S = rb"[ \t\n\r]*+"


def _member(name: bytes, value: bytes) -> bytes:
    return b'"' + name + b'"' + _S + b":" + _S + value


def _object(*members: bytes) -> bytes:
    return rb"\{" + _S + (_S + b"," + _S).join(members) + _S + rb"\}"


_TYPE = _member(b"type", b'"text"')
_TEXT = _member(b"text", b'"' + marker.PATTERN + b'"')
_BLOCK = b"(?:" + _object(_TYPE, _TEXT) + b"|" + _object(_TEXT, _TYPE) + b")"

# By far the commonest echo, a block as it was streamed with others after it, is cut without
# parsing: in well-formed JSON nothing else can look like this at the start of a message.
_MARKER_BLOCK = re.compile(_BLOCK)
_LEADING = re.compile(
    rb"(\{" + _S + _member(b"role", b'"assistant"') + _S + b"," + _S
    + _member(b"content", rb"\[") + _S + b")" + _BLOCK + _S + b"," + _S
)  # fmt: skip

# What is left of an element (None: nothing, it goes with its separator) and the markers cut.
type _Stripped = tuple[bytes | None, int]


def strip(body: Body) -> int:
    """Cuts markers out of `messages` and says how many there were.

    A block or an assistant's message left empty goes altogether, so that the history has the
    bytes of an unmarked conversation. A history that cannot be read stays as it is.
    """
    messages = body.raw("messages")
    if messages is None or not marker.present(messages):
        return 0
    try:
        stripped, count = _strip_array(messages, _strip_message)
    except BodyError:
        return 0
    if count:
        body.set_raw("messages", stripped)
    return count


def _strip_array(array: bytes, strip_one: Callable[[bytes], _Stripped]) -> tuple[bytes, int]:
    edits: dict[int, bytes | None] = {}
    total = 0
    for index, (start, end) in enumerate(array_spans(array)):
        element = array[start:end]
        if not (element.startswith(b"{") and marker.present(element)):
            continue
        edited, count = strip_one(element)
        if count:
            edits[index] = edited
            total += count
    return edit_array(array, edits), total


def _strip_message(raw: bytes) -> _Stripped:
    if found := _LEADING.match(raw):
        rest, count = raw[: found.end(1)] + raw[found.end() :], 1
        if marker.present(rest):
            rest_stripped, more = _strip_parsed(rest)
            return rest_stripped, count + more
        return rest, count
    return _strip_parsed(raw)


def _strip_parsed(raw: bytes) -> _Stripped:
    message = Body.parse(raw)
    role = message.get("role")
    if role == "assistant":
        return _strip_content(message, _strip_text, required=True)
    if role == "user" and (message.raw("content") or b"").startswith(b"["):
        return _strip_content(message, _strip_tool_result, required=False)
    return raw, 0


def _strip_tool_result(raw: bytes) -> _Stripped:
    block = Body.parse(raw)
    if block.get("type") != "tool_result":
        return raw, 0
    return _strip_content(block, _strip_text, required=False)


def _strip_text(raw: bytes) -> _Stripped:
    """One text block; None if it said nothing else."""
    if _MARKER_BLOCK.fullmatch(raw):
        return None, 1
    block = Body.parse(raw)
    text = block.raw("text")
    if block.get("type") != "text" or text is None or not text.startswith(b'"'):
        return raw, 0
    stripped, count = marker.strip(text)
    if stripped == b'""' and count:
        return None, count
    block.set_raw("text", stripped)
    return block.render(), count


def _strip_content(owner: Body, strip_one: Callable[[bytes], _Stripped], *, required: bool) -> _Stripped:
    """`owner` with its string or block content stripped; None if `required` content is all gone."""
    content = owner.raw("content") or b""
    if content.startswith(b'"'):
        stripped, count = marker.strip(content)
    elif content.startswith(b"["):
        stripped, count = _strip_array(content, strip_one)
    else:
        return owner.render(), 0
    if count and required and stripped in (b'""', b"[]"):
        return None, count
    owner.set_raw("content", stripped)
    return owner.render(), count
