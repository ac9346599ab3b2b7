"""Echoed markers in the messages of a Chat Completions request.

Clients send a marker back as the beginning of the assistant's text, or as the first of its text parts. Agents
also hand the last words of another agent on as the result of a tool. A person's own text is never looked at.
"""

from __future__ import annotations

import re
from typing import Final

from pointsman.errors import BodyError
from pointsman.wire import marker
from pointsman.wire.json_spans import Body
from pointsman.wire.stripping import SPACE, Stripped, member, strip_array, strip_content, strip_text

_PARTS: Final = ("text", "output_text")
_TOOL_ROLES: Final = ("tool", "function")
# What an assistant's message can consist of besides its content.
_OTHER_CONTENT: Final = ("tool_calls", "function_call", "refusal", "audio")

# By far the commonest echo is cut without parsing: in well-formed JSON nothing else can look like this at the
# start of a message, and with text after the marker nothing else of the message changes.
_LEADING: Final = re.compile(
    rb"(\{" + SPACE + member(b"role", b'"assistant"') + SPACE + b"," + SPACE + member(b"content", b'"') + b")"
    + b"(?>" + marker.PATTERN + rb')(?=[^"])'
)  # fmt: skip


def strip(body: Body) -> int:
    """Cuts markers out of `messages` and says how many there were.

    A part or an assistant's message left empty goes altogether, so that the history has the bytes of an
    unmarked conversation. A history that cannot be read stays as it is.
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
        rest = raw[: found.end(1)] + raw[found.end() :]
        if not marker.present(rest):
            return rest, 1
        stripped, more = _strip_parsed(rest)
        return stripped, more + 1
    return _strip_parsed(raw)


def _strip_parsed(raw: bytes) -> Stripped:
    message = Body.parse(raw)
    role = message.get("role")
    if role == "assistant":
        return _strip_assistant(message)
    if role in _TOOL_ROLES:
        return _strip_result(message)
    return raw, 0


def _strip_result(message: Body) -> Stripped:
    """A result stays as an answer to its call; the API takes an empty text, but no empty array."""
    stripped, count = strip_content(message, _strip_output, required=False, cut=marker.strip_result)
    if not count or message.raw("content") != b"[]":
        return stripped, count
    message.set_raw("content", b'""')
    return message.render(), count


def _strip_assistant(message: Body) -> Stripped:
    """Content left empty beside a tool call becomes null, as the SDKs have it; else the message goes."""
    stripped, count = strip_content(message, _strip_part, required=True)
    if stripped is not None or all(message.get(name) in (None, []) for name in _OTHER_CONTENT):
        return stripped, count
    message.set_raw("content", b"null")
    return message.render(), count


def _strip_part(raw: bytes) -> Stripped:
    return strip_text(Body.parse(raw), _PARTS)


def _strip_output(raw: bytes) -> Stripped:
    return strip_text(Body.parse(raw), _PARTS, cut=marker.strip_result)
