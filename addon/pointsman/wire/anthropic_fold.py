"""Messages with the role `system`, for models that refuse them.

Each becomes <system-reminder> blocks at the end of the user message before it; where none stands before it,
a user message of its own. The API itself wants such a message right after a user's (or after an assistant's
that ends in a server tool), so tool results stay first in their message and roles keep alternating. What
becomes of one depends on what stands before it, never on what follows: the history stays byte-stable from
turn to turn, and with it the provider's prompt cache.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, Span, array_spans, decode, edit_array, encode

OPEN: Final = "<system-reminder>\n"
CLOSE: Final = "\n</system-reminder>"
_SYSTEM: Final = re.compile(rb'"role"\s*:\s*"system"')


def fold_system(body: Body) -> int:
    """Fold every system message of `messages`, in place. How many there were."""
    raw = body.raw("messages")
    if raw is None or not _SYSTEM.search(raw):
        return 0
    try:
        spans = array_spans(raw)
    except BodyError:
        return 0
    replaced: dict[int, bytes | None] = {}
    folded, last, user = 0, -2, None  # `user`: the message that the reminders of message `last` went to
    for index in _suspects(raw, spans):
        message = _parse(raw, spans, index)
        if message.get("role") != "system":
            continue
        folded += 1
        if last != index - 1:
            user = index - 1 if index and _parse(raw, spans, index - 1).get("role") == "user" else None
        last = index
        blocks = _reminders(message)
        if not blocks:
            replaced[index] = None
        elif user is None:
            message.set("role", "user")
            message.set_raw("content", b"[" + b",".join(blocks) + b"]")
            replaced[index], user = message.render(), index
        else:
            before = replaced.get(user) or raw[spans[user][0] : spans[user][1]]
            replaced[user] = _with_blocks(before, blocks)
            replaced[index] = None
    if folded:
        body.set_raw("messages", edit_array(raw, replaced))
    return folded


def _suspects(raw: bytes, spans: list[Span]) -> list[int]:
    """Messages that hold the words somewhere, perhaps quoted; the others need not be read."""
    starts = [start for start, _ in spans]
    return sorted({bisect_right(starts, match.start()) - 1 for match in _SYSTEM.finditer(raw)})


def _parse(raw: bytes, spans: list[Span], index: int) -> Body:
    start, end = spans[index]
    return Body.parse(raw[start:end])


def _reminders(message: Body) -> list[bytes]:
    """One text block for each of the message's; cache_control and all else on a block stays."""
    raw = message.raw("content") or b'""'
    content = decode(raw)
    if isinstance(content, str):
        return [encode({"type": "text", "text": _wrapped(content)})]
    blocks = []
    for start, end in array_spans(raw) if isinstance(content, list) else []:
        block = Body.parse(raw[start:end])
        text = block.get("text")
        if isinstance(text, str):
            block.set("text", _wrapped(text))
        blocks.append(block.render())
    return blocks


def _wrapped(text: str) -> str:
    return text if text.lstrip().startswith(OPEN.strip()) else f"{OPEN}{text}{CLOSE}"


def _with_blocks(raw: bytes, blocks: list[bytes]) -> bytes:
    """A user message with blocks after its own; a plain string becomes a text block first."""
    message = Body.parse(raw)
    content = message.raw("content") or b'""'
    if content.startswith(b'"'):
        own = [] if decode(content) == "" else [b'{"type":"text","text":' + content + b"}"]
        message.set_raw("content", b"[" + b",".join([*own, *blocks]) + b"]")
    else:
        spans = array_spans(content)
        at = spans[-1][1] if spans else content.index(b"[") + 1
        addition = b",".join(blocks) if not spans else b"".join(b"," + block for block in blocks)
        message.set_raw("content", content[:at] + addition + content[at:])
    return message.render()
