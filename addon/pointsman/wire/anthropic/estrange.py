"""What of an Anthropic history belongs to the account that it was written for.

Thinking is signed, and only who has signed it takes it back. So towards another account or provider all of it
goes, the same way on every turn. A message of the assistant's that held nothing else goes altogether.
"""

from __future__ import annotations

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array

_THINKING = ("thinking", "redacted_thinking")


def estrange(body: Body) -> int:
    """Take all thinking out of `messages`; how many blocks. A history that cannot be read stays as it is."""
    raw = body.raw("messages") or b""
    if b"thinking" not in raw:
        return 0
    replaced: dict[int, bytes | None] = {}
    count = 0
    try:
        for index, (start, end) in enumerate(array_spans(raw)):
            if b"thinking" not in raw[start:end]:
                continue
            message, gone = _without_thinking(raw[start:end])
            if gone:
                replaced[index] = message
                count += gone
        body.set_raw("messages", edit_array(raw, replaced))
    except BodyError:
        return 0
    return count


def _without_thinking(raw: bytes) -> tuple[bytes | None, int]:
    message = Body.parse(raw)
    content = message.raw("content") or b""
    if message.get("role") != "assistant" or not content.startswith(b"["):
        return raw, 0
    spans = array_spans(content)
    blocks = [decode(content[start:end]) for start, end in spans]
    thoughts = [
        index
        for index, block in enumerate(blocks)
        if isinstance(block, dict) and block.get("type") in _THINKING
    ]
    if not thoughts:
        return raw, 0
    if len(thoughts) == len(spans):
        return None, len(thoughts)
    message.set_raw("content", edit_array(content, dict.fromkeys(thoughts)))
    return message.render(), len(thoughts)
