"""Which requests may get an answer that was given before, and which answers are kept for that."""

from __future__ import annotations

from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_list
from pointsman.wire.repeating import objects, varies

_AT_THE_PROVIDER: Final = ("mcp_servers", "container")
_WORDS: Final = ("text", "thinking", "redacted_thinking")
_OWN_ENDS: Final = ("end_turn", "stop_sequence")
_DULL: Final = ("ping", "content_block_delta", "content_block_stop", "message_stop")


def unrepeatable(body: Body) -> str:
    """Why an answer to this request must not be given again; "" if it may be. Raises BodyError."""
    if varies(body.get("temperature")):
        return "a temperature above 0"
    return next((f"{name} at the provider" for name in _AT_THE_PROVIDER if body.get(name)), "")


def is_plain(data: bytes) -> bool:
    """Whether an answer is nothing but words, and ended of itself."""
    try:
        said = list(objects(data))
    except BodyError:
        return False
    ends = [end for item in said if (end := _end(item)) is not None]
    return bool(ends) and all(end in _OWN_ENDS for end in ends) and all(map(_is_words, said))


def _end(item: dict[str, Any]) -> Any:
    """The stop reason that a message, or the end of one, gives."""
    return as_dict(item.get("delta") if item.get("type") == "message_delta" else item).get("stop_reason")


def _is_words(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    if kind == "content_block_start":
        blocks: list[Any] = [item.get("content_block")]
    elif kind == "message_start":
        blocks = as_list(as_dict(item.get("message")).get("content"))
    elif kind == "message":
        blocks = as_list(item.get("content"))
    else:
        return kind == "message_delta" or kind in _DULL
    return all(as_dict(block).get("type") in _WORDS for block in blocks)
