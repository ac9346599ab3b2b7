"""What moving a conversation to another model gains, and what it costs.

A provider caches the beginning of a prompt per model. In a long conversation that cache is
most of what a cheap model could save, and it is lost with every move.
"""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.catalogue import prices_for
from pointsman.values import Model

HORIZON = 3  # actions that a conversation is expected to go on for at least


def switch_gain_usd(
    previous: Model, chosen: Model, prompt_tokens: int, output_tokens: int, horizon: int = HORIZON
) -> float | None:
    """What moving a conversation to a cheaper model saves over its next `horizon` actions, in USD.

    Saved is, per action, the difference of reading the prompt from either cache and of writing
    `output_tokens`; lost is that the chosen model has to write the prompt to its cache once instead of
    reading it. `prompt_tokens` are those of the estimate; each model's tokenizer has its factor. None if
    a price is unknown.
    """
    old, new = _Rates.of(previous, prompt_tokens), _Rates.of(chosen, prompt_tokens)
    if old is None or new is None:
        return None
    saved = (old.read - new.read) * prompt_tokens + (old.output - new.output) * output_tokens
    lost = (new.write - new.read) * prompt_tokens
    return (saved * horizon - lost) / 1e6


@dataclass(frozen=True, slots=True)
class _Rates:
    """USD per million tokens of the estimate."""

    read: float
    write: float
    output: float

    @classmethod
    def of(cls, model: Model, prompt_tokens: int) -> _Rates | None:
        prices = prices_for(model, int(prompt_tokens * model.token_factor))
        read, output = prices.cache_read, prices.output
        # Where writing has no price of its own, as with OpenAI and Gemini, it is paid as plain input.
        write = prices.input if prices.cache_write is None else prices.cache_write
        if read is None or write is None or output is None:
            return None
        factor = model.token_factor
        return cls(read * factor, write * factor, output * factor)
