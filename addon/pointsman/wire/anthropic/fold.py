"""Messages with the role `system`, for models that refuse them or the efforts in them.

Folding: each becomes <system-reminder> blocks at the end of the user message before it; where none stands
before it, a user message of its own. The API itself wants such a message right after a user's (or after an
assistant's that ends in a server tool), so tool results stay first in their message and roles keep
alternating. What becomes of one depends on what stands before it, never on what follows: the history stays
byte-stable from turn to turn, and with it the provider's prompt cache. For the same reason one that was to be
shown until the next user message only (`clear_at`) stays.

Efforts: such a message may change the effort of the turns after it (`output_config`). Where that is refused,
the member goes, and a message that held nothing else.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, Span, array_spans, decode, edit_array, encode

OPEN: Final = "<system-reminder>\n"
CLOSE: Final = "\n</system-reminder>"
_SYSTEM: Final = re.compile(rb'"role"\s*:\s*"system"')
_CONTROLS: Final = ("output_config", "clear_at")  # members that only a system message may have


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
    added: dict[int, list[bytes]] = {}  # to which user message
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
            for name in _CONTROLS:
                message.delete(name)
            message.set("role", "user")
            message.set_raw("content", b"[" + b",".join(blocks) + b"]")
            replaced[index], user = message.render(), index
        else:
            added.setdefault(user, []).extend(blocks)
            replaced[index] = None
    for user, blocks in added.items():
        before = replaced.get(user) or raw[spans[user][0] : spans[user][1]]
        replaced[user] = _with_blocks(before, blocks)
    if folded:
        body.set_raw("messages", edit_array(raw, replaced))
    return folded


def drop_efforts(body: Body) -> int:
    """Take `output_config` out of every system message of `messages`, in place. How many had it."""
    raw = body.raw("messages") or b"[]"
    replaced: dict[int, bytes | None] = {}
    for index, message in _system_messages(raw):
        if message.has("output_config"):
            message.delete("output_config")
            replaced[index] = message.render() if message.get("content") else None
    if replaced:
        body.set_raw("messages", edit_array(raw, replaced))
    return len(replaced)


def asked_effort(body: Body) -> str | None:
    """The effort that system messages ask for in the answer to come; None if they leave it as it is.

    Right after a user's new input one holds for the answer to that, elsewhere from the next new input on;
    tool results are none. It holds until the next. (Anthropic's page on per-message effort, November 2026.)
    """
    if not any(
        message.has("output_config") for _, message in _system_messages(body.raw("messages") or b"[]")
    ):
        return None
    effort, coming, after_input = None, None, False
    for message in body.get("messages"):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "system":
            coming = _effort(message) or coming
        else:
            after_input = message.get("role") == "user" and _is_new_input(message.get("content"))
        if after_input:
            effort = coming or effort
            coming = None
    return effort


def _effort(message: Mapping[str, Any]) -> str | None:
    config = message.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    return effort if isinstance(effort, str) else None


def _is_new_input(content: Any) -> bool:
    blocks = content if isinstance(content, list) else [content]
    return any(not isinstance(block, dict) or block.get("type") != "tool_result" for block in blocks)


def lasting(body: Body) -> int:
    """How many system messages were to be shown until the next user message only."""
    found = _system_messages(body.raw("messages") or b"[]")
    return sum(message.get("clear_at") == "next_user_message" for _, message in found)


def _system_messages(raw: bytes) -> Iterator[tuple[int, Body]]:
    """The system messages with their places; none where `raw` is no array."""
    if not _SYSTEM.search(raw):
        return
    try:
        spans = array_spans(raw)
    except BodyError:
        return
    for index in _suspects(raw, spans):
        message = _parse(raw, spans, index)
        if message.get("role") == "system":
            yield index, message


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
