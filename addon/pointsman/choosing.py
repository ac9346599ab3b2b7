"""Choices among models that need no bundle: what is strongest, what is cheapest, what can see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pointsman.prices import usual_usd
from pointsman.reach import Reach
from pointsman.scoring.tiers import Document
from pointsman.values import Candidate


def cheapest(left: Iterable[Reach]) -> Reach:
    """Ties go to the first by name."""
    return min(left, key=lambda one: (usual_usd(one.model), one.model.name))


def strongest(left: Iterable[Reach]) -> Reach:
    """The best quality tier, and of those the cheapest: what serves where it is not known what is enough."""
    return min(left, key=lambda one: (-(one.model.quality_tier or 0), usual_usd(one.model), one.model.name))


def blind(document: Document, reach: Mapping[str, Reach]) -> frozenset[str]:
    """Ids of the tiers that take no images, by what the document says, else by the catalogue."""
    return frozenset(
        tier.id
        for tier in document.tiers
        if not (tier.sees if tier.sees is not None else reach[tier.id].model.capabilities.get("images"))
    )


def tier_candidates(reach: Mapping[str, Reach], unusable: Mapping[str, str]) -> tuple[Candidate, ...]:
    """Each model of the tiers once, with the reason of its first tier that cannot serve."""
    found: dict[str, str] = {}
    for id, one in reach.items():
        found.setdefault(one.model.name, unusable.get(id, ""))
    return tuple(Candidate(name, why) for name, why in found.items())
