"""Which requests may get an answer that was given before, and which answers are kept for that."""

from __future__ import annotations

from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, as_list, dicts
from pointsman.wire.openai_responses.answer import ENDS
from pointsman.wire.repeating import objects, varies

_AT_THE_PROVIDER: Final = ("conversation", "prompt", "context_management", "background")
_WORDS: Final = ("message", "reasoning")


def unrepeatable(body: Body) -> str:
    """Why an answer to this request must not be given again; "" if it may be. Raises BodyError.

    What the provider stores has an id that the client may go on from, once.
    """
    if body.get("store") is not False:
        return "the provider stores the answer (store is not false)"
    if varies(body.get("temperature")):
        return "a temperature above 0"
    return next((f"{name} at the provider" for name in _AT_THE_PROVIDER if body.get(name)), "")


def is_plain(data: bytes) -> bool:
    """Whether an answer is nothing but words, and ended of itself."""
    try:
        said = list(objects(data))
    except BodyError:
        return False
    if [item.get("object") for item in said] == ["response"]:
        return _is_words(said[0])
    ends = [as_dict(item.get("response")) for item in said if item.get("type") in ENDS]
    failed = any(item.get("type") == "error" for item in said)
    return len(ends) == 1 and not failed and _is_words(ends[0])


def _is_words(response: dict[str, Any]) -> bool:
    items = as_list(response.get("output"))
    messages = [item for item in dicts(items) if item.get("type") == "message"]
    parts = [part for message in messages for part in as_list(message.get("content"))]
    return (
        response.get("status") == "completed"
        and response.get("error") is None
        and bool(messages)
        and all(as_dict(item).get("type") in _WORDS for item in items)
        and all(as_dict(part).get("type") == "output_text" for part in parts)
    )
