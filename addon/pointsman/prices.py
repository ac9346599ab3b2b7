"""Prices of models against each other, and what an answer cost."""

from __future__ import annotations

from typing import Any

from pointsman import catalogue
from pointsman.reach import at
from pointsman.values import Binding, Decision, Model


def dearer(model: Model, requested: Model, tokens: int, ratio: float) -> str:
    """Is a price of `model` above `ratio` times the requested one's, for the same text? Unknown is dearer.

    Prices may depend on the prompt's length, so `tokens` has to be a guess at it.
    """
    ours = catalogue.prices_for(model, int(tokens * model.token_factor))
    theirs = catalogue.prices_for(requested, int(tokens * requested.token_factor))
    for what, price, limit in (("input", ours.input, theirs.input), ("output", ours.output, theirs.output)):
        if price is None or limit is None:
            return f"{what} price unknown"
        if price * model.token_factor > limit * requested.token_factor * ratio * (1 + 1e-9):
            limit_is = "the requested model's" if ratio == 1 else f"{ratio:g} × the requested model's"
            return f"{what} price is above {limit_is}"
    return ""


def usual_usd(model: Model) -> float:
    """What a usual conversation costs per million tokens of the estimate; endless where it is unknown."""
    prices = model.prices
    if prices.input is None or prices.output is None:
        return float("inf")
    return (prices.input + 0.25 * prices.output) * model.token_factor


def costs(
    decision: Decision, usage: Any, models: catalogue.Catalogue, binding: Binding | None = None
) -> tuple[float | None, float | None]:
    """USD for `usage` at the served model's prices, and at the requested one's for the same text.

    `binding` is the one that answered: its own prices count where it has some. A virtual model has no price.
    """
    served = models.reference(decision.served_model)
    requested = models.resolve(decision.requested_model)
    if served is not None and binding is not None:
        served = at(served, binding)
    cost = catalogue.cost_usd(usage, served) if served else None
    if served is None or requested is None:
        return cost, None
    if served.name == requested.name and served.prices == requested.prices:
        return cost, cost
    scale = requested.token_factor / served.token_factor
    there = catalogue.cost_usd(usage, requested)
    return cost, None if there is None else there * scale
