"""From the facts of a request to the decision which model serves it.

In this order, the first that settles it wins:

 1. The client forces a model with `x-router-model`.
 2. The route in router.yaml, else the default policy, says to pass it through, or fixes a model.
 3. Subscription credentials, background work and models that nothing is known of pass through.
 4. Mid tool loop the model that serves the conversation goes on with it, until the client asks for another.
 5. Candidates are filtered by what they can take, then by price and quality tier.
 6. What is left is scored by the clusters of the bundle.
 7. A conversation does not move to a cheaper model while its prompt cache is worth more than that saves.

`plan` does 1–5 and says whether a vector is needed; `decide` does 6 and 7. Neither does I/O, so that a
replay decides what the proxy decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pointsman import catalogue
from pointsman.asked import Asked
from pointsman.embedding import Vector, routing_text
from pointsman.errors import ClientError
from pointsman.options import Route, Settings
from pointsman.scoring import cluster, dial, knobs
from pointsman.scoring.bundle import Bundle
from pointsman.session import Session, Sessions, account_of, hint_hash, session_key
from pointsman.shelf import Shelf
from pointsman.switching import switch_gain_usd
from pointsman.values import Candidate, Credential, CredentialKind, Decision, Facts, Model

MIN_GAIN_USD = 0.001  # a saving smaller than this does not move a conversation

Ineligible = Callable[[Facts, Model], str]
"""The surface's own rules: why a model cannot take a request, "" if it can."""


class Reason(StrEnum):
    """Why a model serves; the closed set that markers, logs and the database use."""

    CLUSTER = "best for this kind of prompt"
    ONLY_CHOICE = "no alternative fits"
    TOOL_LOOP = "mid tool loop"
    KEEPS_CACHE = "keeps its prompt cache"
    FORCED = "forced by header"
    FIXED = "fixed by route"
    ROUTE_PASSTHROUGH = "route passes through"
    DISABLED = "router is off"
    SUBSCRIPTION = "subscription credential"
    BACKGROUND = "background call"
    UNKNOWN_MODEL = "model not in the catalogue"
    NOT_SCORED = "model not in the bundle"
    NO_TEXT = "no words of the user"
    COUNT = "counted for the serving model"
    FAILED = "routing failed"
    REFUSED = "provider refused what was picked"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes an action unlike any other: the decision's id, unix seconds, and the host it was sent to."""

    id: str
    at: float
    host: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A decision that needs no score."""

    model: str
    strategy: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before anything is embedded."""

    facts: Facts
    credential: Credential
    asked: Asked
    session: str
    account: str  # what the host knows the client by
    previous: Session | None
    requested: Model | None
    route: Route | None
    bundle: Bundle
    warnings: tuple[str, ...] = ()
    settled: Settled | None = None
    candidates: tuple[Candidate, ...] = ()
    deployed: tuple[str, ...] = ()
    text: str = ""
    layers: tuple[knobs.Layer, ...] = ()  # whose knobs lie between the bundle's and the client's own

    @property
    def eligible(self) -> tuple[str, ...]:
        return tuple(candidate.model for candidate in self.candidates if not candidate.excluded)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that decisions are made with. Replaced as a whole when the configuration changes."""

    settings: Settings
    shelf: Shelf
    sessions: Sessions

    @property
    def bundle(self) -> Bundle:
        """The default one."""
        return self.shelf.default

    def plan(
        self, facts: Facts, credential: Credential, asked: Asked, ineligible: Ineligible, host: str = ""
    ) -> Plan:
        """Steps 1–5. Raises ClientError for a forced model that cannot serve, or an unknown preset."""
        requested = self.settings.catalogue.resolve(facts.requested_model)
        account = account_of(credential.fingerprint, host)
        known = self.sessions.after(account, facts.continues) if facts.continues else None
        key = known or session_key(facts, credential)
        if requested is not None:
            facts = replace(facts, thinking_default=requested.capabilities.get("thinking_default"))
        ineligible = _unless_bound(ineligible, requested)
        route = next((route for route in self.settings.routes if route.matches(facts)), None)
        bundle, warnings = asked.bundle_of(self.shelf)
        plan = Plan(
            facts=facts,
            credential=credential,
            asked=asked,
            session=key,
            account=account,
            previous=self.sessions.get(key),
            requested=requested,
            route=route,
            bundle=bundle,
            warnings=warnings,
            layers=((("the route's ", route.knobs),) if route else ()) + asked.preset_of(bundle),
        )
        if settled := self._forced(plan, ineligible) or self._passes_through(plan, ineligible):
            return replace(plan, settled=settled)
        assert requested is not None
        if facts.tool_loop:
            return replace(plan, settled=self._goes_on(plan, ineligible))
        return self._candidates(plan, requested, ineligible)

    def _forced(self, plan: Plan, ineligible: Ineligible) -> Settled | None:
        if not self.settings.enabled:
            return None
        if name := plan.asked.model:
            return Settled(self._named(name, plan, ineligible), "fixed", Reason.FORCED)
        # Mid tool loop a route that came or a refusal that went must not change the model: step 4 settles it.
        waits = plan.facts.tool_loop and not self._asks_anew(plan)
        if plan.route and plan.route.strategy == "fixed" and not waits:
            if not self._may_route(plan):
                return None
            model = self.settings.catalogue.resolve(plan.route.model)
            gone = model and (_was_refused(plan, model) or self.sessions.lacks(plan.account, model.name))
            if model and not gone and not ineligible(plan.facts, model):
                return Settled(self._name(model, plan), "fixed", Reason.FIXED)
        return None

    def _named(self, name: str, plan: Plan, ineligible: Ineligible) -> str:
        if self._leaves_alone(plan.credential):
            raise ClientError(
                "x-router-model: requests with a subscription login are not routed, unless the option "
                "router_subscription says route",
                source="x-router-model",
            )
        model = self.settings.catalogue.resolve(name)
        if model is None:
            raise ClientError(
                f"x-router-model: {name[:80]!r} is not in the catalogue", source="x-router-model"
            )
        if plan.requested and model.provider != plan.requested.provider:
            raise ClientError(
                f"x-router-model: {model.name} is served by {model.provider}; this request can only be "
                f"served by a model of {plan.requested.provider}",
                source="x-router-model",
            )
        if why := ineligible(plan.facts, model):
            raise ClientError(
                f"x-router-model: {model.name} cannot take this request: {why}", source="x-router-model"
            )
        # Keep the name as asked: a dated one pins a version.
        return name

    def _leaves_alone(self, credential: Credential) -> bool:
        subscription = credential.kind is CredentialKind.SUBSCRIPTION
        return subscription and self.settings.subscription == "passthrough"

    def _may_route(self, plan: Plan) -> bool:
        known = plan.requested is not None
        return self.settings.enabled and known and not self._leaves_alone(plan.credential)

    def _asks_anew(self, plan: Plan) -> bool:
        """Does the client ask for another model than the last time? Then it has changed the model itself.

        It does when planning ends, or when it falls back from a model that is overloaded.
        """
        before = plan.previous.requested if plan.previous else ""
        return before != "" and self.settings.catalogue.resolve(before) is not plan.requested

    def _passes_through(self, plan: Plan, ineligible: Ineligible) -> Settled | None:
        facts, route = plan.facts, plan.route
        reason: Reason | None = None
        if not self.settings.enabled:
            reason = Reason.DISABLED
        elif plan.requested is None:
            reason = Reason.UNKNOWN_MODEL
        elif not self._may_route(plan):
            reason = Reason.SUBSCRIPTION
        elif route and route.strategy == "passthrough":
            reason = Reason.ROUTE_PASSTHROUGH
        elif facts.turn.background and not (route and route.names_turn):
            reason = Reason.BACKGROUND
        elif facts.endpoint == "count_tokens":
            return Settled(self._goes_on(plan, ineligible).model, "passthrough", Reason.COUNT)
        elif plan.requested.name not in plan.bundle.models:
            reason = Reason.NOT_SCORED
        return Settled(facts.requested_model, "passthrough", reason) if reason else None

    def _goes_on(self, plan: Plan, ineligible: Ineligible) -> Settled:
        """Mid tool loop: a change of model would lose the cache and the thread of the work."""
        requested = plan.facts.requested_model
        model = self._serving(plan)
        if model is None or self._asks_anew(plan):
            return Settled(requested, "sticky", Reason.TOOL_LOOP)
        if model is not plan.requested and ineligible(plan.facts, model):
            return Settled(requested, "sticky", Reason.TOOL_LOOP)
        return Settled(self._name(model, plan), "sticky", Reason.TOOL_LOOP)

    def _serving(self, plan: Plan) -> Model | None:
        """The model that served the conversation last, if it is still known."""
        return self.settings.catalogue.resolve(plan.previous.model) if plan.previous else None

    def _candidates(self, plan: Plan, requested: Model, ineligible: Ineligible) -> Plan:
        """Step 5. What the configuration deploys is normalised over; exclusions only forbid."""
        deployed = self._deployed(plan, requested)
        candidates = tuple(
            Candidate(
                model.name, "" if model is requested else self._excluded(plan, requested, model, ineligible)
            )
            for model in deployed
        )
        plan = replace(
            plan,
            candidates=candidates,
            deployed=tuple(model.name for model in deployed),
            text=routing_text(plan.facts.user_texts),
        )
        if len(plan.eligible) == 1:
            only = self.settings.catalogue.resolve(plan.eligible[0])
            assert only
            return replace(plan, settled=Settled(self._name(only, plan), "cluster", Reason.ONLY_CHOICE))
        if not plan.text:
            serving = self._serving(plan)
            stays = serving is not None and serving.name in plan.eligible
            name = self._name(serving, plan) if serving and stays else plan.facts.requested_model
            return replace(plan, settled=Settled(name, "sticky", Reason.NO_TEXT))
        return plan

    def _deployed(self, plan: Plan, requested: Model) -> list[Model]:
        """What is normalised over: the provider's models, or the route's where it names candidates."""
        wanted = plan.route.allows if plan.route else None
        models = []
        for name in plan.bundle.models:
            model = self.settings.catalogue.rows.get(name)
            if model is None or model.provider != requested.provider:
                continue
            if model is requested or (model.target and (wanted is None or wanted(name))):
                models.append(model)
        return models

    def _excluded(self, plan: Plan, requested: Model, model: Model, ineligible: Ineligible) -> str:
        route = plan.route
        if model.opt_in and not (route and route.candidates):
            return "opt-in, and no route names it"
        ratio = self.settings.max_price_ratio
        if route and route.max_price_ratio is not None:
            ratio = route.max_price_ratio
        if dearer := _dearer(model, requested, plan.facts.input_tokens_estimate, ratio):
            return dearer
        floor = route.min_quality_tier if route else None
        if floor and (model.quality_tier is None or model.quality_tier < floor):
            return f"quality tier {model.quality_tier} is under {floor}"
        if _was_refused(plan, model):
            return "the provider refused it in this conversation"
        if self.sessions.lacks(plan.account, model.name):
            return "the provider does not let this account have it"
        return ineligible(plan.facts, model)

    def _name(self, model: Model, plan: Plan) -> str:
        """The name to send: the client's own spelling where it asked for this very model.

        Gateways have names like `openai/gpt-…`: another model of the provider is named in the same way.
        """
        if model is plan.requested:
            return plan.facts.requested_model
        prefix, slash, _ = plan.facts.requested_model.rpartition("/")
        return prefix + slash + model.name

    def decide(self, plan: Plan, vector: Vector | None, stamp: Stamp) -> Decision:
        """Steps 6 and 7. `vector` is the embedding of `plan.text`, needed where nothing is settled yet."""
        decision = self._undecided(plan, stamp)
        if plan.settled:
            settled = plan.settled
            return replace(
                decision, served_model=settled.model, strategy=settled.strategy, reason=settled.reason.value
            )
        assert vector is not None and plan.requested is not None
        weights = self._knobs(plan)
        scored = cluster.score(plan.bundle, vector, weights, deployed=plan.deployed, eligible=plan.eligible)
        best = self.settings.catalogue.resolve(scored.model)
        assert best is not None
        kept = self._kept(plan, best, weights.expected_output_tokens)
        return replace(
            decision,
            served_model=self._name(kept or best, plan),
            strategy="sticky" if kept else "cluster",
            reason=(Reason.KEEPS_CACHE if kept else Reason.CLUSTER).value,
            detail=f"{best.name} was best for this prompt" if kept else "",
            bundle=plan.bundle.version,
            knobs=weights.as_log() | self._turned(plan),
            knobs_hash=weights.hash,
            clusters=scored.clusters,
            candidates=tuple(
                Candidate(name, item.excluded, scored.scores.get(name), scored.quality.get(name))
                for item in plan.candidates
                for name in (item.model,)
            ),
            runner_up=scored.runner_up,
            margin=scored.margin,
        )

    def _kept(self, plan: Plan, best: Model, output_tokens: int) -> Model | None:
        """The conversation's last model, where leaving it for `best` would cost more than it gains.

        A move to a higher quality tier is never held back: the prompt asks for it.
        """
        tokens, ttl_s = plan.facts.input_tokens_estimate, plan.facts.cache_ttl_s
        if plan.previous is None or ttl_s is None or self.sessions.idle_s(plan.previous) > ttl_s:
            return None
        model = self._serving(plan)
        if model is None or model is best or model.name not in plan.eligible:
            return None
        if tokens < (model.capabilities.get("cache_min_tokens") or 0):
            return None
        if (best.quality_tier or 0) > (model.quality_tier or 0):
            return None
        gain = switch_gain_usd(model, best, tokens, output_tokens)
        return model if gain is not None and gain < MIN_GAIN_USD else None

    def _knobs(self, plan: Plan) -> knobs.Knobs:
        return dial.effective(
            plan.bundle,
            plan.asked.overrides,
            below=plan.layers,
            prefix=plan.asked.prefix,
            deployed=plan.deployed,
            eligible=plan.eligible,
        )

    def _turned(self, plan: Plan) -> dict[str, Any]:
        """What is not told by the effective knobs: the preset, and the bias that alpha comes from."""
        bias = knobs.bias(plan.asked.overrides, plan.layers)
        preset = {"preset": plan.asked.preset} if plan.asked.preset else {}
        return preset if bias is None else preset | {"quality_bias": bias}

    def _undecided(self, plan: Plan, stamp: Stamp) -> Decision:
        facts = plan.facts
        return Decision(
            id=stamp.id,
            at=stamp.at,
            surface=facts.surface,
            endpoint=facts.endpoint,
            client=facts.client,
            turn=facts.turn,
            session=plan.session,
            session_hint=hint_hash(facts.session_hint or ""),
            credential_kind=plan.credential.kind,
            credential_fingerprint=plan.credential.fingerprint,
            requested_model=facts.requested_model,
            served_model=facts.requested_model,
            previous_model=plan.previous.model if plan.previous else None,
            provider=plan.requested.provider if plan.requested else "",
            host=stamp.host,
            stream=facts.stream,
            strategy="passthrough",
            reason="",
            route=plan.route.name if plan.route else "",
            candidates=plan.candidates,
            warnings=plan.warnings,
            tool_loop=facts.tool_loop,
            retry_count=facts.retry_count,
            message_count=facts.message_count,
            input_tokens_estimate=facts.input_tokens_estimate,
            max_tokens=facts.max_tokens,
        )

    def give_up(self, plan: Plan, ineligible: Ineligible, stamp: Stamp) -> Decision:
        """Routing has failed: the conversation's last model goes on if it can, else the requested one."""
        ineligible = _unless_bound(ineligible, plan.requested)
        served = (
            self._goes_on(plan, ineligible).model if self._may_route(plan) else plan.facts.requested_model
        )
        decision = self._undecided(plan, stamp)
        return replace(decision, served_model=served, reason=Reason.FAILED.value)


def _unless_bound(ineligible: Ineligible, requested: Model | None) -> Ineligible:
    """The same rule, and that a request which is bound to its model goes to no other."""

    def bound(facts: Facts, model: Model) -> str:
        return (facts.bound if model is not requested else "") or ineligible(facts, model)

    return bound


def _was_refused(plan: Plan, model: Model) -> bool:
    """Did the provider refuse this model's adapted requests in this conversation?"""
    return plan.previous is not None and model.name in plan.previous.refused


def _dearer(model: Model, requested: Model, tokens: int, ratio: float) -> str:
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


def costs(decision: Decision, usage: Any, models: catalogue.Catalogue) -> tuple[float | None, float | None]:
    """USD for `usage` at the served model's prices, and at the requested one's for the same text."""
    served = models.resolve(decision.served_model)
    requested = models.resolve(decision.requested_model)
    cost = catalogue.cost_usd(usage, served) if served else None
    if served is None or requested is None or served is requested:
        return cost, cost if served is requested else None
    scale = requested.token_factor / served.token_factor
    there = catalogue.cost_usd(usage, requested)
    return cost, None if there is None else there * scale
