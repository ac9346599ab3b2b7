"""Thinking that no provider has signed, taken out before an Anthropic provider gets the history.

A translated answer shows its thinking in blocks with a signature of ours (`wire/translation/made.py`), and
clients send these back. Where such a block opened a tool loop that is still open, a budget for thinking is
refused: then the model does not think until the loop has ended.
"""

from __future__ import annotations

from typing import Any

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, array_spans, decode
from pointsman.wire.loose import as_dict, dicts
from pointsman.wire.stripping import Stripped, strip_array
from pointsman.wire.translation.made import NAME, SIGNATURE

_THINKING = ("thinking", "redacted_thinking")


def disown(body: Body) -> int:
    """Cuts our own thinking out of `messages`, in place, and says how many blocks there were.

    A message left empty goes. The same history has the same bytes in every turn; an unreadable one stays.
    """
    messages = body.raw("messages")
    if messages is None or NAME not in messages:
        return 0
    try:
        rest, count = strip_array(messages, _message, _suspect)
    except BodyError:
        return 0
    if count:
        body.set_raw("messages", rest)
        close_loop(body)
    return count


def close_loop(body: Body) -> bool:
    """Turns a thinking budget off where an open tool loop does not begin with thinking; whether it did."""
    given = body.get("thinking")
    if not isinstance(given, dict) or given.get("type") != "enabled" or not _is_unthought_loop(body):
        return False
    body.set("thinking", {"type": "disabled"})
    return True


def _is_unthought_loop(body: Body) -> bool:
    """Whether the newest message has results, and the assistant's before it begins with something else."""
    raw = body.raw("messages") or b""
    try:
        spans = array_spans(raw) if raw.startswith(b"[") else []
        newest = [as_dict(decode(raw[start:end])) for start, end in reversed(spans[-4:])]
    except BodyError:
        return False
    said = [message for message in newest if message.get("role") != "system"]
    if len(said) < 2 or said[1].get("role") != "assistant":
        return False
    return "tool_result" in _kinds(said[0]) and (_kinds(said[1])[:1] or [""])[0] not in _THINKING


def _kinds(message: dict[str, Any]) -> list[Any]:
    return [block.get("type") for block in dicts(message.get("content"))]


def _suspect(raw: bytes) -> bool:
    return NAME in raw


def _message(raw: bytes) -> Stripped:
    message = Body.parse(raw)
    content = message.raw("content") or b""
    if message.get("role") != "assistant" or not content.startswith(b"["):
        return raw, 0
    rest, count = strip_array(content, _block, _suspect)
    if not count:
        return raw, 0
    if not array_spans(rest):
        return None, count
    message.set_raw("content", rest)
    return message.render(), count


def _block(raw: bytes) -> Stripped:
    block = as_dict(decode(raw))
    signature = block.get("signature")
    ours = block.get("type") == "thinking" and isinstance(signature, str) and signature.startswith(SIGNATURE)
    return (None, 1) if ours else (raw, 0)
