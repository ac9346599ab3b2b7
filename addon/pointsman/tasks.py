"""Strategy classified: the kind of a conversation's task says which tier of a document serves it.

A classifier is asked once per conversation; its verdict is remembered, and leads to a tier that can serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pointsman.candidates import nobody_serves, too_dear_or_weak
from pointsman.config_routes import Route
from pointsman.embedding import routing_text
from pointsman.plan import Plan, Reason, Settled, Task
from pointsman.reach import Reach
from pointsman.scoring import tiers
from pointsman.scoring.categories import TASK_LIMIT
from pointsman.scoring.tiers import Document, Verdict
from pointsman.settling import as_requested, asks_anew, serving_of, settle, settle_on
from pointsman.values import Candidate, Decision


def with_task(plan: Plan, route: Route, known: Verdict | None) -> Plan:
    """Which tiers can serve, and the verdict on the task if it is known, else what to ask for it."""
    document = route.document
    assert document is not None
    seeing = replace(plan.ways, facts=replace(plan.facts, images=0))  # which of them see is told apart
    reach = {id: seeing.of(model) for id, model in route.tiers.items()}
    unusable = {id: why for id, one in reach.items() if (why := one.why or too_dear_or_weak(plan, one.model))}
    plan = replace(
        plan,
        reach=reach,
        unusable=unusable,
        blind=_blind(document, reach) if plan.facts.images else frozenset(),
        candidates=_tier_candidates(reach, unusable),
        text=routing_text(plan.facts.user_texts),
    )
    if tiers.choose(document, document.fallback, unusable, plan.blind) is None:
        if plan.ways.insisting == plan.ways or not route.virtual:
            return replace(plan, settled=_no_tier(plan, route))
        return with_task(replace(plan, ways=plan.ways.insisting), route, known)
    if known is not None:
        return replace(plan, verdict=known.remembered)
    if (served := _served_tier(plan, route)) is not None:
        return replace(plan, verdict=Verdict("", f"served by {served} before", asked=False))
    if plan.facts.turn.background or not plan.text:
        why = "background call" if plan.facts.turn.background else "no task"
        return replace(plan, verdict=Verdict("", why, asked=False))
    classifier = plan.ways.for_own_calls(plan.text).of(route.tiers[document.classifier])
    if not classifier.bindings:
        why = f"no classifier: {document.classifier}: {classifier.why}"
        return replace(plan, verdict=Verdict("", why, asked=False))
    text = routing_text(plan.facts.user_texts, TASK_LIMIT)
    task = Task(route.name, document, text, classifier.bindings, classifier.model)
    return replace(plan, task=task)


def stays(plan: Plan, route: Route) -> bool:
    """Mid tool loop a conversation that none of the tiers serves stays with what it has."""
    return plan.facts.tool_loop and not route.virtual and _served_tier(plan, route) is None


def _served_tier(plan: Plan, route: Route) -> str | None:
    """The tier whose model serves the conversation already, where no verdict is remembered."""
    serving = serving_of(plan)
    if serving is None or asks_anew(plan):
        return None
    return next((id for id, model in route.tiers.items() if model.name == serving.name), None)


def _no_tier(plan: Plan, route: Route) -> Settled:
    if route.virtual:
        assert route.document is not None
        blind = dict.fromkeys(plan.blind, "does not take images")
        raise nobody_serves(route.name, blind | dict(plan.unusable))
    return as_requested(plan, "classified", Reason.ONLY_CHOICE)


def by_verdict(plan: Plan, verdict: Verdict, decision: Decision) -> Decision:
    """The decision for the tier that the verdict leads to, or for the one that can serve in its place."""
    route = plan.route
    assert route is not None and route.document is not None
    before = None if verdict.category or verdict.asked else _served_tier(plan, route)
    wanted = before or tiers.wanted(route.document, verdict)
    choice = tiers.choose(route.document, wanted, plan.unusable, plan.blind)
    assert choice is not None  # else it is settled
    fallback = not verdict.category and before is None
    settled = settle_on(
        plan, plan.reach[choice.tier], "classified", Reason.FALLBACK if fallback else Reason.CLASSIFIED
    )
    return replace(
        settle(decision, settled),
        classification=tiers.classification(route.document, verdict, choice),
        detail=choice.reason,
    )


def _blind(document: Document, reach: Mapping[str, Reach]) -> frozenset[str]:
    """Ids of the tiers that take no images, by what the document says, else by the catalogue."""
    return frozenset(
        tier.id
        for tier in document.tiers
        if not (tier.sees if tier.sees is not None else reach[tier.id].model.capabilities.get("images"))
    )


def _tier_candidates(reach: Mapping[str, Reach], unusable: Mapping[str, str]) -> tuple[Candidate, ...]:
    """Each model of the tiers once, with the reason of its first tier that cannot serve."""
    found: dict[str, str] = {}
    for id, one in reach.items():
        found.setdefault(one.model.name, unusable.get(id, ""))
    return tuple(Candidate(name, why) for name, why in found.items())
