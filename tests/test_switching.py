"""What moving a conversation to a cheaper model saves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pointsman.switching import switch_gain_usd
from pointsman.values import Model, Prices

OPUS = Model("opus", "p", Prices(5.0, 25.0, 0.5, 6.25, 10.0))
SONNET = Model("sonnet", "p", Prices(2.0, 10.0, 0.2, 2.5, 4.0))
HAIKU = Model("haiku", "p", Prices(1.0, 5.0, 0.1, 1.25, 2.0))


def test_moving_a_long_conversation_costs_its_cache() -> None:
    # 100,000 tokens: 3 actions save 3 × (0.3 × 0.1) on reading, writing them anew costs 2.3 × 0.1.
    gain = switch_gain_usd(OPUS, SONNET, 100_000, 0)
    assert gain == pytest.approx(3 * 0.03 - 0.23)


def test_what_is_written_counts_too() -> None:
    gain = switch_gain_usd(OPUS, SONNET, 0, 2_000)
    assert gain == pytest.approx(3 * 15.0 * 2_000 / 1e6)


def test_the_longer_the_horizon_the_more_a_cheap_model_saves() -> None:
    gains = [switch_gain_usd(OPUS, HAIKU, 100_000, 1_000, horizon) for horizon in (1, 3, 10)]
    assert gains == sorted(gains)  # type: ignore[type-var]
    assert gains[0] is not None and gains[0] < 0 < (gains[2] or 0)


def test_a_tokenizer_that_counts_more_makes_a_model_dearer() -> None:
    wordy = replace(SONNET, token_factor=1.3)
    plain, more = (switch_gain_usd(OPUS, model, 50_000, 1_000) for model in (SONNET, wordy))
    assert plain is not None and more is not None and more < plain


def test_with_a_price_unknown_nothing_is_claimed() -> None:
    assert switch_gain_usd(OPUS, Model("m", "p", Prices(1.0, 5.0, None, 1.25)), 1_000, 1_000) is None


def test_where_writing_to_the_cache_has_no_price_it_is_paid_as_input() -> None:
    plain = replace(SONNET, prices=replace(SONNET.prices, cache_write=None))
    paid = replace(SONNET, prices=replace(SONNET.prices, cache_write=SONNET.prices.input))
    gain = switch_gain_usd(OPUS, plain, 50_000, 1_000)
    assert gain is not None and gain == switch_gain_usd(OPUS, paid, 50_000, 1_000)
