"""Echoed markers in the history of an Anthropic request.

Clients send a marker back as they got it: as a text block of its own, before text or a tool
call, or merged into the text that followed. Claude Code also hands the last words of a
sub-agent on as the result of the tool that started it, so tool results are looked at too.
A person's own text never is.
"""

from __future__ import annotations

import re

from pointsman.errors import BodyError
from pointsman.wire import marker
from pointsman.wire.json_spans import Body
from pointsman.wire.stripping import (
    SPACE,
    Stripped,
    member,
    strip_array,
    strip_content,
    strip_text,
    whole_object,
)

_TYPE = member(b"type", b'"text"')
_TEXT = member(b"text", b'"' + marker.PATTERN + b'"')
_BLOCK = b"(?:" + whole_object(_TYPE, _TEXT) + b"|" + whole_object(_TEXT, _TYPE) + b")"

# By far the commonest echo, a block as it was streamed with others after it, is cut without
# parsing: in well-formed JSON nothing else can look like this at the start of a message.
_MARKER_BLOCK = re.compile(_BLOCK)
_LEADING = re.compile(
    rb"(\{" + SPACE + member(b"role", b'"assistant"') + SPACE + b"," + SPACE
    + member(b"content", rb"\[") + SPACE + b")" + _BLOCK + SPACE + b"," + SPACE
)  # fmt: skip


def strip(body: Body) -> int:
    """Cuts markers out of `messages` and says how many there were.

    A block or an assistant's message left empty goes altogether, so that the history has the
    bytes of an unmarked conversation. A history that cannot be read stays as it is.
    """
    messages = body.raw("messages")
    if messages is None or not marker.present(messages):
        return 0
    try:
        stripped, count = strip_array(messages, _strip_message)
    except BodyError:
        return 0
    if count:
        body.set_raw("messages", stripped)
    return count


def _strip_message(raw: bytes) -> Stripped:
    if found := _LEADING.match(raw):
        rest, count = raw[: found.end(1)] + raw[found.end() :], 1
        if marker.present(rest):
            rest_stripped, more = _strip_parsed(rest)
            return rest_stripped, count + more
        return rest, count
    return _strip_parsed(raw)


def _strip_parsed(raw: bytes) -> Stripped:
    message = Body.parse(raw)
    role = message.get("role")
    if role == "assistant":
        return strip_content(message, _strip_text, required=True)
    if role == "user" and (message.raw("content") or b"").startswith(b"["):
        return strip_content(message, _strip_tool_result, required=False)
    return raw, 0


def _strip_tool_result(raw: bytes) -> Stripped:
    block = Body.parse(raw)
    if block.get("type") != "tool_result":
        return raw, 0
    return strip_content(block, _strip_output, required=False, cut=marker.strip_result)


def _strip_output(raw: bytes) -> Stripped:
    return strip_text(Body.parse(raw), cut=marker.strip_result)


def _strip_text(raw: bytes) -> Stripped:
    return (None, 1) if _MARKER_BLOCK.fullmatch(raw) else strip_text(Body.parse(raw))
