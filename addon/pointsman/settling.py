"""What a plan comes to once a model serves it: its name, where it is asked for, and why."""

from __future__ import annotations

from dataclasses import replace

from pointsman.plan import Plan, Reason, Settled
from pointsman.reach import Reach
from pointsman.values import Binding, Decision, Model


def as_asked(plan: Plan, reason: Reason, strategy: str = "passthrough") -> Settled:
    """The request as the client made it, to where the client sends it."""
    return Settled(plan.facts.requested_model, strategy, reason)


def settle_on(
    plan: Plan, reach: Reach, strategy: str, reason: Reason, name: str = "", detail: str = ""
) -> Settled:
    """Serve what can be had. `name`: what it is called at the origin, if not as the client would."""
    served = (name or name_of(reach.model, plan)) if reach.at_origin else reach.model.name
    return Settled(served, strategy, reason, _sent(reach, served), detail, reach.model.provider)


def _sent(reach: Reach, served: str) -> tuple[Binding, ...]:
    """Bindings as a decision has them: by the names that are sent, and none for the origin alone."""
    bindings = tuple(
        replace(binding, model=served) if binding.provider is None else binding for binding in reach.bindings
    )
    return () if bindings == (Binding(None, served),) else bindings


def name_of(model: Model, plan: Plan) -> str:
    """The name to send: the client's own spelling where it asked for this very model.

    Gateways have names like `openai/gpt-…`: another model of the provider is named in the same way.
    """
    if plan.requested is not None and model.name == plan.requested.name:
        return plan.facts.requested_model
    prefix, slash, _ = plan.facts.requested_model.rpartition("/")
    return prefix + slash + model.name


def as_requested(plan: Plan, strategy: str, reason: Reason) -> Settled:
    """The model that the client asked for, from where it is had."""
    assert plan.requested is not None
    reach = plan.ways.of(plan.requested)
    if not reach.bindings:
        return as_asked(plan, reason, strategy)
    return settle_on(plan, reach, strategy, reason)


def serving_of(plan: Plan) -> Model | None:
    """The model that served the conversation last, if it is known, and still one of the route."""
    if plan.previous is None:
        return None
    name = plan.previous.model
    # Gateways have names with a slash, too: what begins like the client's own name is none of a provider.
    prefix, slash, _ = plan.facts.requested_model.rpartition("/")
    models = plan.models
    model = models.resolve(name) if slash and name.startswith(prefix + slash) else models.reference(name)
    if model is None or plan.route is None:
        return model
    known = [*plan.route.models.values(), *plan.route.tiers.values()]
    named = next((one for one in known if one.name == model.name), None)
    return named if plan.route.virtual and known else named or model


def asks_anew(plan: Plan) -> bool:
    """Does the client ask for another model than the last time? Then it has changed the model itself.

    It does when planning ends, or when it falls back from a model that is overloaded.
    """
    before = plan.previous.requested if plan.previous else ""
    if plan.requested is None:
        return before != "" and before.lower() != plan.facts.requested_model.lower()
    return before != "" and plan.models.resolve(before) is not plan.requested


def settle(decision: Decision, settled: Settled) -> Decision:
    """What is settled, on the decision. `provider` is whose model was asked for, or serves a virtual one."""
    return replace(
        decision,
        served_model=settled.model,
        strategy=settled.strategy,
        reason=settled.reason.value,
        bindings=settled.bindings,
        detail=settled.detail,
        provider=decision.provider or settled.maker,
    )
