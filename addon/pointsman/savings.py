"""What routing saved, against two things that might have been done instead.

- *requested*: every action goes to the model the client asked for (stored with the action).
- *best single*: per provider, one model for every action that is not passed through: the one
  with the highest mean expected quality over all scored actions, of those that could have
  served at least one of them; ties go to the name that sorts first. Quality is what the bundle expects.

Both are priced over the recorded tokens, scaled where the other model's tokenizer counts
differently, and with the recorded cache hits. An action whose cost is unknown is counted
as unknown, never as free, and a saving is computed only over actions with both costs known.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pointsman.catalogue import Catalogue, cost_usd
from pointsman.store import Expected, Spent
from pointsman.values import Model

_TIE = 1e-9


@dataclass(slots=True)
class Money:
    """A sum over those actions for which it is known."""

    usd: float = 0.0
    known: int = 0
    unknown: int = 0

    def add(self, cost: float | None) -> None:
        if cost is None:
            self.unknown += 1
        else:
            self.known += 1
            self.usd += cost


@dataclass(slots=True)
class Comparison:
    """The alternative's cost, and both sides' cost over the actions where both are known."""

    cost: Money = field(default_factory=Money)
    served_usd: float = 0.0
    alternative_usd: float = 0.0
    both: int = 0

    def add(self, served: float | None, alternative: float | None) -> None:
        self.cost.add(alternative)
        if served is not None and alternative is not None:
            self.both += 1
            self.served_usd += served
            self.alternative_usd += alternative

    @property
    def saved_usd(self) -> float | None:
        return self.alternative_usd - self.served_usd if self.both else None

    @property
    def saved_share(self) -> float | None:
        """0.25 for a quarter less; None where nothing can be compared."""
        return (
            self.saved_usd / self.alternative_usd
            if self.saved_usd is not None and self.alternative_usd
            else None
        )


@dataclass(slots=True)
class Group:
    """Actions of one model or one day, or all of them."""

    name: str
    actions: int = 0
    answered: int = 0
    failed: int = 0
    repeated: int = 0  # answered from the cache
    input_tokens: int = 0  # neither read from nor written to a cache
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # of any life
    output_tokens: int = 0
    cost: Money = field(default_factory=Money)
    requested: Comparison = field(default_factory=Comparison)
    best: Comparison = field(default_factory=Comparison)
    repeats: Comparison = field(default_factory=Comparison)  # of the repeated alone, with the requested model
    classifying: Money = field(default_factory=Money)  # what classifiers were paid, in no other sum

    def add(self, action: Spent, best_cost_usd: float | None) -> None:
        self.actions += 1
        self.failed += action.failed
        if action.classified:
            self.classifying.add(action.classifier_cost_usd)
        if not action.answered:
            return
        usage = action.usage
        self.answered += 1
        if action.repeated:
            self.repeated += 1
            self.repeats.add(action.cost_usd, action.requested_cost_usd)
        self.input_tokens += usage.input_tokens or 0
        self.cache_read_tokens += usage.cache_read_tokens or 0
        self.cache_write_tokens += (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)
        self.output_tokens += usage.output_tokens or 0
        self.cost.add(action.cost_usd)
        self.requested.add(action.cost_usd, action.requested_cost_usd)
        self.best.add(action.cost_usd, best_cost_usd)


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean expected quality over scored actions, 0…1, as the bundle sees it; None where none was scored."""

    scored: int
    served: float | None
    requested: float | None
    best: float | None


@dataclass(frozen=True, slots=True)
class Savings:
    total: Group
    groups: tuple[Group, ...]
    best: Mapping[str, str]  # provider → its best single model; absent where nothing was scored
    quality: Quality


def summarise(
    actions: Iterable[Spent], expected: Iterable[Expected], catalogue: Catalogue, by: str | None = None
) -> Savings:
    """Add everything up. `by` is "model" (served), "day" (local) or None for no groups.

    Groups by model come with the most frequent first, days in order.
    """
    expected = list(expected)
    best = best_single(expected)
    total, groups = Group(""), dict[str, Group]()
    name_of = _NAMES[by] if by else None
    for action in actions:
        cost = _with_best(action, best, catalogue) if action.answered else None
        total.add(action, cost)
        if name_of:
            name = name_of(action)
            groups.setdefault(name, Group(name)).add(action, cost)
    ordered = sorted(groups.values(), key=lambda group: (-group.actions if by == "model" else 0, group.name))
    return Savings(total, tuple(ordered), best, _quality(expected, best, catalogue))


def best_single(expected: Iterable[Expected]) -> dict[str, str]:
    """Per provider the model that the module's docstring defines."""
    scored: dict[str, dict[str, Expected]] = defaultdict(dict)
    for item in expected:
        known = scored[item.provider].get(item.model)
        scored[item.provider][item.model] = _merged(known, item) if known else item
    best: dict[str, str] = {}
    for provider, models in scored.items():
        able = [item for item in models.values() if item.allowed]
        if able:
            top = max(item.quality_sum / item.actions for item in able)
            best[provider] = min(item.model for item in able if item.quality_sum / item.actions >= top - _TIE)
    return best


def _merged(one: Expected, other: Expected) -> Expected:
    return Expected(
        one.provider,
        "",
        "",
        one.model,
        one.actions + other.actions,
        one.allowed + other.allowed,
        one.quality_sum + other.quality_sum,
    )


def _with_best(action: Spent, best: Mapping[str, str], catalogue: Catalogue) -> float | None:
    """USD of an answered action had the best single model served it; what is passed through stays."""
    if action.strategy == "passthrough":
        return action.cost_usd
    model = catalogue.resolve(best.get(action.provider, ""))
    served = catalogue.resolve(action.served_model)
    if model is None or served is None:
        return None
    if model is served:
        return action.cost_usd
    return _scaled(cost_usd(action.usage, model), model, served)


def _scaled(cost: float | None, model: Model, served: Model) -> float | None:
    """The recorded tokens are the served model's; another tokenizer makes more or fewer of the same text."""
    return None if cost is None else cost * model.token_factor / served.token_factor


def _quality(expected: Iterable[Expected], best: Mapping[str, str], catalogue: Catalogue) -> Quality:
    sums: dict[str, list[float]] = {"served": [0, 0.0], "requested": [0, 0.0], "best": [0, 0.0]}
    for item in expected:
        names = {
            "served": _name(item.served_model, catalogue),
            "requested": _name(item.requested_model, catalogue),
            "best": best.get(item.provider),
        }
        for side, name in names.items():
            if name == item.model:
                sums[side][0] += item.actions
                sums[side][1] += item.quality_sum
    served, requested, single = (total / count if count else None for count, total in sums.values())
    return Quality(int(sums["served"][0]), served, requested, single)


def _name(model: str, catalogue: Catalogue) -> str:
    row = catalogue.resolve(model)
    return row.name if row else model


def _day(action: Spent) -> str:
    return datetime.datetime.fromtimestamp(action.at).astimezone().date().isoformat()


_NAMES: Mapping[str, Callable[[Spent], str]] = {"model": lambda action: action.served_model, "day": _day}
