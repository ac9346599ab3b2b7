"""Which models compete for an action, and why others do not; what serves where nothing can be scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pointsman.embedding import routing_text
from pointsman.errors import ClientError
from pointsman.plan import Plan, Reason, Settled
from pointsman.prices import dearer, usual_usd
from pointsman.reach import Reach
from pointsman.settling import as_requested, asks_anew, serving_of, settle_on
from pointsman.values import Candidate, Model


def with_candidates(plan: Plan) -> Plan:
    """Step 5. What the configuration deploys is normalised over; exclusions only forbid."""
    reach = {model.name: plan.ways.of(model) for model in _competing(plan)}
    scored = [name for name in plan.bundle.models if name in reach]
    deployed = [name for name in scored if plan.requested or reach[name].possible]
    candidates = [Candidate(name, _excluded(plan, reach[name])) for name in deployed]
    candidates += [
        Candidate(name, "is not in the bundle") for name in reach if name not in plan.bundle.models
    ]
    plan = replace(
        plan,
        candidates=tuple(candidates),
        deployed=tuple(deployed),
        reach=reach,
        text=routing_text(plan.facts.user_texts),
    )
    if not plan.eligible:
        return replace(plan, settled=_fallback(plan))
    if len(plan.eligible) == 1:
        only = reach[plan.eligible[0]]
        return replace(plan, settled=settle_on(plan, only, "cluster", Reason.ONLY_CHOICE))
    if plan.virtual and plan.facts.turn.background:
        cheap = cheapest(reach[name] for name in plan.eligible)
        return replace(plan, settled=settle_on(plan, cheap, "fixed", Reason.BACKGROUND))
    if not plan.text:
        serving = serving_of(plan)
        if serving is not None and serving.name in plan.eligible:
            settled = settle_on(plan, reach[serving.name], "sticky", Reason.NO_TEXT)
        elif plan.requested is not None and not plan.virtual:
            settled = as_requested(plan, "sticky", Reason.NO_TEXT)
        else:
            settled = replace(_fallback(plan), reason=Reason.NO_TEXT)
        return replace(plan, settled=settled)
    return plan


def _competing(plan: Plan) -> list[Model]:
    """The provider's models, or those that the route names; and what was requested, unless it is virtual.

    A virtual model that names none has everything that may be a target.
    """
    route, requested, virtual = plan.route, plan.requested, plan.virtual
    named = route.models if route and route.candidates is not None else None
    if virtual:
        requested = None
    models = [] if named is None else [model for name, model in named.items() if model is not requested]
    for name in plan.bundle.models if named is None else ():
        model = plan.models.rows.get(name)
        if model is None or not model.target or model is requested:
            continue
        if not model.opt_in if virtual else (requested and model.provider == requested.provider):
            models.append(model)
    if requested is not None and requested.name not in {model.name for model in models}:
        models.append(requested)
    return models


def _excluded(plan: Plan, reach: Reach) -> str:
    route, model, requested = plan.route, reach.model, plan.requested
    if requested is not None and model.name == requested.name and not plan.virtual:
        return reach.why
    if model.opt_in and not (route and route.candidates):
        return "opt-in, and no route names it"
    return too_dear_or_weak(plan, model) or reach.why


def too_dear_or_weak(plan: Plan, model: Model) -> str:
    """Why the limits of price and quality leave a model out, "" if they do not."""
    route = plan.route
    ratio: float | None = plan.max_price_ratio
    against = plan.requested
    if route is not None:
        against = route.against or against
        if route.max_price_ratio is not None:
            ratio = route.max_price_ratio
        elif route.virtual or route.document:
            ratio = None
    if ratio is not None and against is not None:
        there = plan.ways.of(against).model if against is plan.requested and against.bindings else against
        if why := dearer(model, there, plan.facts.input_tokens_estimate, ratio):
            return why
    floor = route.min_quality_tier if route else None
    if floor and (model.quality_tier is None or model.quality_tier < floor):
        return f"quality tier {model.quality_tier} is under {floor}"
    return ""


def _fallback(plan: Plan) -> Settled:
    """What serves where nothing is scored: the requested model; of a virtual one what is left."""
    if not plan.virtual:
        return as_requested(plan, "cluster", Reason.ONLY_CHOICE)
    assert plan.route is not None
    for ways in (plan.ways, plan.ways.insisting):
        left = [one for one in reach_behind(replace(plan, ways=ways)) if one.bindings]
        if allowed := [one for one in left if not too_dear_or_weak(plan, one.model)]:
            break
    else:
        reasons = {item.model: item.excluded for item in plan.candidates if item.excluded}
        raise nobody_serves(plan.route.name, reasons)
    first = allowed[0] if plan.route.candidates is not None else strongest(allowed)
    return settle_on(plan, first, "fixed", Reason.FALLBACK)


def reach_behind(plan: Plan) -> list[Reach]:
    """Where what a virtual model stands for can be had, in the order in which it is to serve."""
    route = plan.route
    assert route is not None
    if route.document:
        ids = [route.document.fallback, *route.tiers]
        return [plan.ways.of(route.tiers[id]) for id in dict.fromkeys(ids) if id in route.tiers]
    if route.models:
        return [plan.ways.of(model) for model in route.models.values()]
    return [plan.ways.of(model) for model in _competing(plan)]


def last_resort(plan: Plan) -> Settled | None:
    """What serves where routing has failed; None if nothing behind a virtual model can be had."""
    serving = serving_of(plan)
    reach = plan.ways.of(serving) if serving is not None and not asks_anew(plan) else None
    if reach is not None and reach.bindings:
        return settle_on(plan, reach, "fixed", Reason.FAILED)
    if not plan.virtual:
        return as_requested(plan, "fixed", Reason.FAILED)
    left = [one for one in reach_behind(plan) if one.bindings]
    if not left:
        return None
    named = plan.route is not None and (plan.route.models or plan.route.document)
    return settle_on(plan, left[0] if named else strongest(left), "fixed", Reason.FAILED)


def nobody_serves(router: str, reasons: Mapping[str, str]) -> ClientError:
    """For a virtual model behind which nothing is left: `reasons` are those of the models, by name."""
    told = "; ".join(f"{name}: {why}" for name, why in list(reasons.items())[:8])
    return ClientError(
        f"{router}: none of its models can serve this request" + (f": {told}" if told else ""), source=router
    )


def cheapest(left: Iterable[Reach]) -> Reach:
    """Ties go to the first by name."""
    return min(left, key=lambda one: (usual_usd(one.model), one.model.name))


def strongest(left: Iterable[Reach]) -> Reach:
    """The best quality tier, and of those the cheapest: what serves where it is not known what is enough."""
    return min(left, key=lambda one: (-(one.model.quality_tier or 0), usual_usd(one.model), one.model.name))
