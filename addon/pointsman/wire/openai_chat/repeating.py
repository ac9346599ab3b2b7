"""Which requests may get an answer that was given before, and which answers are kept for that."""

from __future__ import annotations

from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_list, as_text, dicts
from pointsman.wire.repeating import objects, says_more, varies

_MESSAGE: Final = frozenset({"role", "content", "reasoning", "reasoning_content"})
_ASKS_FOR: Final = ("web_search_options", "audio")  # an empty object asks for it, too


def unrepeatable(body: Body) -> str:
    """Why an answer to this request must not be given again; "" if it may be. Raises BodyError."""
    if varies(body.get("temperature")):
        return "a temperature above 0"
    if "search" in (as_text(body.get("model")) or ""):
        return "a model that searches the web"
    if body.get("store"):
        return "the provider stores the answer"
    return next((f"{name} asked for" for name in _ASKS_FOR if body.get(name) is not None), "")


def is_plain(data: bytes) -> bool:
    """Whether an answer is nothing but words, and ended of itself."""
    try:
        said = list(objects(data))
    except BodyError:
        return False
    if any(item.get("error") is not None or not isinstance(item.get("choices"), list) for item in said):
        return False
    choices = [choice for item in said for choice in dicts(item["choices"])]
    ends = [choice["finish_reason"] for choice in choices if choice.get("finish_reason") is not None]
    return ends == ["stop"] and all(map(_is_words, choices))


def _is_words(choice: dict[str, Any]) -> bool:
    message = choice.get("message", choice.get("delta"))
    content = as_dict(message).get("content")
    return (
        isinstance(message, dict | None)
        and isinstance(content, str | None)
        and not says_more(as_dict(message), _MESSAGE)
        and not as_list(choice.get("tool_calls"))
    )
