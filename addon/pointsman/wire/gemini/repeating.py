"""Which requests may get an answer that was given before, and which answers are kept for that."""

from __future__ import annotations

from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire.gemini.spelling import given, items, spelled
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict, dicts
from pointsman.wire.repeating import objects, says_more, varies

_PART: Final = frozenset({"text", "thought", "thoughtSignature", "partMetadata"})
_CANDIDATE: Final = frozenset(
    {"content", "finishReason", "index", "safetyRatings", "avgLogprobs", "logprobsResult", "tokenCount"}
)


def unrepeatable(body: Body) -> str:
    """Why an answer to this request must not be given again; "" if it may be. Raises BodyError."""
    config = as_dict(body.get(spelled(body, "generationConfig")))
    if varies(given(config, "temperature")):
        return "a temperature above 0"
    return "cachedContent at the provider" if body.get(spelled(body, "cachedContent")) else ""


def is_plain(data: bytes) -> bool:
    """Whether an answer is nothing but words, and ended of itself."""
    try:
        said = list(objects(data))
    except BodyError:
        return False
    if any(
        item.get("error") is not None or as_dict(item.get("promptFeedback")).get("blockReason")
        for item in said
    ):
        return False
    candidates = [candidate for item in said for candidate in dicts(item.get("candidates"))]
    ends = [
        candidate["finishReason"] for candidate in candidates if candidate.get("finishReason") is not None
    ]
    return ends == ["STOP"] and all(map(_is_words, candidates))


def _is_words(candidate: dict[str, Any]) -> bool:
    parts = items(as_dict(candidate.get("content")).get("parts"))
    return not says_more(candidate, _CANDIDATE) and not any(says_more(part, _PART) for part in parts)
