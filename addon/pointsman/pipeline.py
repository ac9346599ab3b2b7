"""From the facts of a request to the decision which model serves it, and where it is asked for.

In this order, the first that settles it wins:

 1. The client forces a model with `x-router-model`.
 2. The virtual model that is asked for, else the route in router.yaml, else the default policy, says to pass
    it through, fixes a model, or leaves it to a classifier.
 3. Subscription credentials, background work and models that nothing is known of pass through.
 4. Mid tool loop the model that serves the conversation goes on with it, until the client asks for another.
 5. Candidates are filtered by where they can be had (reach.py), then by price and quality tier.
 6. What is left is scored by the clusters of the bundle, or chosen by the verdict on the task.
 7. A conversation does not move to a cheaper model while its prompt cache is worth more than that saves.

`plan` does 1–5 and says what is needed for the rest (plan.py); `decide` does 6 and 7. Neither does I/O, so
that a replay decides what the proxy decided. Models of other providers take part only where something names
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pointsman.asked import Asked
from pointsman.candidates import last_resort, nobody_serves, reach_behind, with_candidates
from pointsman.catalogue import spellings
from pointsman.config_routes import Route
from pointsman.embedding import Vector
from pointsman.errors import ClientError
from pointsman.options import Settings
from pointsman.plan import Plan, Reason, Settled, Stamp, Task
from pointsman.prices import costs
from pointsman.reach import Ineligible, Reach, Reaches, Ways, at_host, own_api_only
from pointsman.scoring import cluster, dial, knobs
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.tiers import Verdict
from pointsman.session import Sessions, account_of, hint_hash, session_key
from pointsman.settling import as_asked, as_requested, asks_anew, serving_of, settle, settle_on
from pointsman.shelf import Shelf
from pointsman.switching import switch_gain_usd
from pointsman.tasks import by_verdict, stays, with_task
from pointsman.values import Binding, Candidate, Credential, CredentialKind, Decision, Facts, Model

__all__ = ["Ineligible", "Pipeline", "Plan", "Reason", "Settled", "Stamp", "Task", "costs"]

MIN_GAIN_USD = 0.001  # a saving smaller than this does not move a conversation


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

    # --- steps 1 to 5 -------------------------------------------------------------------

    def plan(
        self,
        facts: Facts,
        credential: Credential,
        asked: Asked,
        ineligible: Ineligible,
        host: str = "",
        reaches: Reaches | None = None,
    ) -> Plan:
        """Steps 1–5. Raises ClientError for a model that cannot serve, or an unknown preset.

        `reaches` says of a binding why the request cannot be said in the API of its provider; without it only
        providers that speak the client's own API are taken.
        """
        router = self._router(asked.model) or self._router(facts.requested_model)
        virtual = router is not None and not asked.model
        requested = None if virtual else self.settings.catalogue.resolve(facts.requested_model)
        account = account_of(credential.fingerprint, host)
        known = self.sessions.after(account, facts.continues) if facts.continues else None
        key = known or session_key(facts, credential)
        if requested is not None:
            facts = replace(facts, thinking_default=requested.capabilities.get("thinking_default"))
        route = router or next((route for route in self.settings.routes if route.matches(facts)), None)
        bundle, warnings = asked.bundle_of(self.shelf)
        ways = self._ways(facts, credential, requested, host, ineligible, reaches, (account, key))
        plan = Plan(
            facts=facts,
            credential=credential,
            asked=replace(asked, model="") if router and self._router(asked.model) else asked,
            session=key,
            account=account,
            previous=self.sessions.get(key),
            requested=requested,
            route=route,
            bundle=bundle,
            ways=ways,
            models=self.settings.catalogue,
            max_price_ratio=self.settings.max_price_ratio,
            warnings=warnings,
            layers=((("the route's ", route.knobs),) if route else ()) + asked.preset_of(bundle),
        )
        if settled := self._forced(plan) or self._passes_through(plan):
            if facts.endpoint == "count_tokens" and not all(one.provider for one in settled.bindings):
                settled = replace(settled, bindings=())  # the origin counts, and nobody stands in for it
            return replace(plan, settled=settled)
        if route and route.document and not stays(plan, route):
            return with_task(plan, route, self.sessions.verdict(key, route.name))
        if settled := self._fixed(plan) or self._goes_on(plan):
            return replace(plan, settled=settled)
        return with_candidates(plan)

    def _router(self, name: str) -> Route | None:
        """The virtual model of this name, as a client or a gateway may spell it."""
        routers = self.settings.routers
        return next((routers[spelling] for spelling in spellings(name) if spelling in routers), None)

    def _ways(
        self,
        facts: Facts,
        credential: Credential,
        requested: Model | None,
        host: str,
        ineligible: Ineligible,
        reaches: Reaches | None,
        who: tuple[str, str],
    ) -> Ways:
        account, key = who
        maker, gateway = at_host(facts.surface, host)
        tied, login = "", credential.kind is CredentialKind.SUBSCRIPTION
        if login:
            tied = "a subscription login stays with its host"
        elif facts.continues:
            tied = "it goes on from an answer that only its host has"

        previous = self.sessions.get(key)
        before = previous.refused if previous else frozenset()

        def refused(model: Model, binding: Binding) -> str:
            if model.name in before:
                return "the provider refused it in this conversation"
            there = account if binding.provider is None else account_of("", binding.provider.name)
            lacks = self.sessions.lacks(there, model.name)
            return "the provider does not let this account have it" if lacks else ""

        return Ways(
            facts=facts,
            providers=self.settings.catalogue.providers,
            available=self.settings.available,
            requested=requested,
            maker=requested.provider if requested else maker,
            gateway=gateway,
            login=login,
            tied=tied or facts.bound,
            ineligible=ineligible,
            reaches=reaches or own_api_only(facts),
            refused=refused,
        )

    def _forced(self, plan: Plan) -> Settled | None:
        """Step 1, and what a virtual model cannot do for whom."""
        if not self.settings.enabled:
            return None
        if plan.asked.model:
            return self._named(plan.asked.model, plan)
        if plan.route and plan.route.virtual and self._leaves_alone(plan.credential):
            raise _unrouted_login(plan.route.name)
        return None

    def _named(self, name: str, plan: Plan) -> Settled:
        if self._leaves_alone(plan.credential):
            raise _unrouted_login("x-router-model")
        model = self.settings.catalogue.reference(name)
        if model is None:
            raise ClientError(
                f"x-router-model: {name[:80]!r} is not in the catalogue", source="x-router-model"
            )
        # Who names a model wants it tried, whatever the provider said before.
        reach = plan.ways.insisting.of(model)
        if plan.facts.endpoint == "count_tokens" and not reach.bindings:
            return as_asked(plan, Reason.COUNT)
        if not reach.bindings:
            problem = "cannot take this request"
            if not reach.possible:
                problem = f"is served by {model.provider}, and cannot be had here"
            message = f"x-router-model: {model.name} {problem}: {reach.why}"
            raise ClientError(message, source="x-router-model")
        # At the origin keep the name as asked: a dated one pins a version.
        return settle_on(plan, reach, "fixed", Reason.FORCED, name=name)

    def _leaves_alone(self, credential: Credential) -> bool:
        subscription = credential.kind is CredentialKind.SUBSCRIPTION
        return subscription and self.settings.subscription == "passthrough"

    def _may_route(self, plan: Plan) -> bool:
        known = plan.requested is not None or plan.virtual
        return self.settings.enabled and known and not self._leaves_alone(plan.credential)

    def _passes_through(self, plan: Plan) -> Settled | None:
        """Step 3, and routes that pass through."""
        facts, route, requested = plan.facts, plan.route, plan.requested
        if not self.settings.enabled:
            return as_asked(plan, Reason.DISABLED)
        if plan.virtual:
            return self._counted(plan) if facts.endpoint == "count_tokens" else None
        if requested is None:
            return as_asked(plan, Reason.UNKNOWN_MODEL)
        if not self._may_route(plan):
            return as_asked(plan, Reason.SUBSCRIPTION)
        if route and route.strategy == "passthrough":
            return as_asked(plan, Reason.ROUTE_PASSTHROUGH)
        if facts.turn.background and not (route and route.names_turn):
            return self._where_it_is_had(plan, requested, Reason.BACKGROUND)
        fixed = self._fixed(plan)
        if facts.endpoint == "count_tokens":
            return fixed or self._counted(plan)
        if fixed:
            return fixed
        if requested.name not in plan.bundle.models and not (route and route.document):
            return self._where_it_is_had(plan, requested, Reason.NOT_SCORED)
        return None

    def _where_it_is_had(self, plan: Plan, requested: Model, reason: Reason) -> Settled:
        """What is not routed passes, but to where its row says that it is had."""
        if not requested.bindings or plan.facts.endpoint == "count_tokens":
            return as_asked(plan, reason)
        reach = plan.ways.of(requested)
        if any(binding.provider for binding in reach.bindings):
            return settle_on(plan, reach, "fixed", reason)
        return as_asked(plan, reason)

    def _counted(self, plan: Plan) -> Settled:
        """Tokens are counted at the origin, for what serves there.

        What serves a conversation elsewhere is not told to the origin: then the bindings say where it is, and
        nobody counts.
        """
        serving = serving_of(plan)
        reach = plan.ways.of(serving) if serving and not asks_anew(plan) else None
        if reach is None or not reach.bindings:
            if not plan.virtual:
                return as_asked(plan, Reason.COUNT)
            reach = next((one for one in reach_behind(plan) if one.bindings), None)
            if reach is None:
                return as_asked(plan, Reason.COUNT)
        return settle_on(plan, reach, "passthrough", Reason.COUNT)

    def _fixed(self, plan: Plan) -> Settled | None:
        """A route's own model. Mid tool loop step 4 settles it: a route that came changes nothing then."""
        route = plan.route
        if route is None or route.strategy != "fixed":
            return None
        if plan.facts.tool_loop and not asks_anew(plan) and not route.virtual:
            return None
        (model,) = route.models.values()
        reach = (plan.ways.insisting if route.virtual else plan.ways).of(model)
        if reach.bindings:
            return settle_on(plan, reach, "fixed", Reason.FIXED)
        if route.virtual:
            raise nobody_serves(route.name, {model.name: reach.why})
        return None

    def _goes_on(self, plan: Plan) -> Settled | None:
        """Mid tool loop: a change of model would lose the cache and the thread of the work."""
        if not plan.facts.tool_loop:
            return None
        model = serving_of(plan)
        if model is not None and not asks_anew(plan):
            reach = plan.ways.of(model)
            if reach.bindings:
                return settle_on(plan, reach, "sticky", Reason.TOOL_LOOP)
        return None if plan.requested is None else as_requested(plan, "sticky", Reason.TOOL_LOOP)

    def judged(self, plan: Plan, verdict: Verdict) -> None:
        """Remember what a classifier said of the task that `plan` needs a verdict on."""
        assert plan.task is not None
        self.sessions.judged(plan.session, plan.task.router, verdict)

    # --- steps 6 and 7 ------------------------------------------------------------------

    def decide(
        self, plan: Plan, vector: Vector | None, stamp: Stamp, verdict: Verdict | None = None
    ) -> Decision:
        """Steps 6 and 7. `vector` is the embedding of `plan.text`, `verdict` what was said of `plan.task`:

        each is needed where the plan says so, and nothing where it is settled. Without a verdict the fallback
        serves.
        """
        decision = self._undecided(plan, stamp)
        if plan.settled:
            return settle(decision, plan.settled)
        if plan.task or plan.verdict:
            judged = plan.verdict or verdict or Verdict("", "nobody was asked", asked=False)
            return by_verdict(plan, judged, decision)
        assert vector is not None
        weights = self._knobs(plan)
        scored = cluster.score(plan.bundle, vector, weights, deployed=plan.deployed, eligible=plan.eligible)
        best = plan.reach[scored.model]
        kept = self._kept(plan, best.model, weights.expected_output_tokens)
        settled = settle_on(
            plan,
            kept or best,
            "sticky" if kept else "cluster",
            Reason.KEEPS_CACHE if kept else Reason.CLUSTER,
            detail=f"{best.model.name} was best for this prompt" if kept else "",
        )
        return replace(
            settle(decision, settled),
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

    def _kept(self, plan: Plan, best: Model, output_tokens: int) -> Reach | None:
        """The conversation's last model, where leaving it for `best` would cost more than it gains.

        A move to a higher quality tier is never held back: the prompt asks for it.
        """
        tokens, ttl_s = plan.facts.input_tokens_estimate, plan.facts.cache_ttl_s
        if plan.previous is None or ttl_s is None or self.sessions.idle_s(plan.previous) > ttl_s:
            return None
        serving = serving_of(plan)
        if serving is None or serving.name == best.name or serving.name not in plan.eligible:
            return None
        reach = plan.reach[serving.name]
        if tokens < (serving.capabilities.get("cache_min_tokens") or 0):
            return None
        if (best.quality_tier or 0) > (serving.quality_tier or 0):
            return None
        gain = switch_gain_usd(reach.model, best, tokens, output_tokens)
        return reach if gain is not None and gain < MIN_GAIN_USD else None

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

    def instead(self, plan: Plan, refused: Decision) -> Decision | None:
        """After the provider refused what was picked: the requested model, as the client made the request.

        Behind a virtual model, the next that can be had; None if there is none. The conversation gets the
        refused model only where there is no other.
        """
        self.sessions.refused(refused.session, refused.served_model, refused.requested_model)
        if not plan.virtual:
            return settle(refused, as_asked(plan, Reason.REFUSED, refused.strategy))
        gone = plan.models.reference(refused.served_model)
        name = gone.name if gone else refused.served_model

        def not_again(model: Model, binding: Binding) -> str:
            again = model.name == name
            return "the provider refused it" if again else plan.ways.refused(model, binding)

        ways = replace(plan.ways, refused=not_again)
        settled = last_resort(replace(plan, previous=None, ways=ways))
        if settled is None and plan.requested is not None:  # the virtual one was named in a header
            settled = as_asked(plan, Reason.REFUSED, refused.strategy)
        return settle(refused, replace(settled, reason=Reason.REFUSED)) if settled else None

    def give_up(self, plan: Plan, ineligible: Ineligible, stamp: Stamp) -> Decision:
        """Routing has failed: the conversation's last model goes on if it can, else the requested one.

        A virtual model is served by what it falls back to, if there is anything.
        """
        plan = replace(plan, ways=replace(plan.ways, ineligible=ineligible))
        settled = last_resort(plan) if self._may_route(plan) else None
        decision = self._undecided(plan, stamp)
        if settled is None:
            return replace(decision, reason=Reason.FAILED.value)
        # Where nothing is sent elsewhere the answer is the client's own business.
        strategy = "fixed" if settled.bindings or plan.virtual else "passthrough"
        return settle(decision, replace(settled, strategy=strategy, reason=Reason.FAILED))


# --- helpers ------------------------------------------------------------------------------


def _unrouted_login(source: str) -> ClientError:
    return ClientError(
        f"{source}: requests with a subscription login are not routed, unless the option "
        "router_subscription says route",
        source=source,
    )
