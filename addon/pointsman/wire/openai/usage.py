"""Token counts: Chat Completions and Responses name them differently and mean the same."""

from __future__ import annotations

from typing import Any

from pointsman.wire.loose import as_dict
from pointsman.wire.observation import Observation, as_count


def see_usage(observation: Observation, usage: Any) -> bool:
    """Put the counts of a `usage` object into the observation; False if it holds none.

    The provider's input includes what was read from the cache or written to it, ours does not.
    """
    usage = as_dict(usage)
    entire = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    if entire is None and output is None:
        return False
    details = as_dict(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    cached = as_count(details.get("cached_tokens"))
    if cached is None:
        # DeepSeek's name for it, and Moonshot's.
        cached = _first(usage, "prompt_cache_hit_tokens", "cached_tokens")
    written = as_count(details.get("cache_write_tokens"))
    if entire is not None:
        observation.input_tokens = max(0, entire - (cached or 0) - (written or 0))
    if output is not None:
        observation.output_tokens = output + _uncounted_reasoning(usage, entire, output)
    observation.cache_read_tokens = cached if cached is not None else observation.cache_read_tokens
    observation.cache_write_tokens = written if written is not None else observation.cache_write_tokens
    return True


def _first(usage: dict[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := as_count(usage.get(name))) is not None), None)


def _uncounted_reasoning(usage: dict[str, Any], entire: int | None, output: int) -> int:
    """Reasoning tokens that a gateway counts beside its output, as the total tells; OpenAI counts them in."""
    details = as_dict(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    reasoning = as_count(details.get("reasoning_tokens")) or 0
    total = as_count(usage.get("total_tokens"))
    return reasoning if total is not None and total == (entire or 0) + output + reasoning else 0
