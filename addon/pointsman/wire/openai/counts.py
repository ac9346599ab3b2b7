"""Token counts between OpenAI's shapes and the neutral one."""

from __future__ import annotations

from typing import Any

from pointsman.wire.loose import as_dict
from pointsman.wire.neutral import Counts
from pointsman.wire.observation import Observation, as_count
from pointsman.wire.openai.usage import see_usage


def read_counts(usage: Any) -> Counts | None:
    """The counts of a `usage` object; None if it holds none."""
    if usage is None:
        return None
    seen = Observation()
    if not see_usage(seen, usage):
        return None
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return Counts(
        input=seen.input_tokens,
        output=seen.output_tokens,
        cache_read=seen.cache_read_tokens,
        cache_write=seen.cache_write_tokens,
        reasoning=as_count(as_dict(details).get("reasoning_tokens")),
    )


def entire_input(counts: Counts) -> int:
    """The prompt's tokens as OpenAI and Google count them: with what the cache gave or took."""
    return (counts.input or 0) + (counts.cache_read or 0) + (counts.cache_write or 0)


def input_details(counts: Counts) -> dict[str, int]:
    written = {} if counts.cache_write is None else {"cache_write_tokens": counts.cache_write}
    return {"cached_tokens": counts.cache_read or 0, **written}
