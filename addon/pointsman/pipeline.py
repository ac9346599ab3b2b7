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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pointsman import choosing
from pointsman.asked import Asked
from pointsman.catalogue import spellings
from pointsman.config_routes import Route
from pointsman.embedding import Vector, routing_text
from pointsman.errors import ClientError
from pointsman.options import Settings
from pointsman.plan import Plan, Reason, Settled, Stamp, Task
from pointsman.prices import costs, dearer
from pointsman.reach import Ineligible, Reach, Reaches, Ways, at_host, own_api_only
from pointsman.scoring import cluster, dial, knobs, tiers
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.tiers import Verdict
from pointsman.session import Sessions, account_of, hint_hash, session_key
from pointsman.shelf import Shelf
from pointsman.switching import switch_gain_usd
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
            warnings=warnings,
            layers=((("the route's ", route.knobs),) if route else ()) + asked.preset_of(bundle),
        )
        if settled := self._forced(plan) or self._passes_through(plan):
            return replace(plan, settled=settled)
        if route and route.document and not self._stays(plan, route):
            return self._by_task(plan, route)
        if settled := self._fixed(plan) or self._goes_on(plan):
            return replace(plan, settled=settled)
        return self._candidates(plan)

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

        def refused(model: Model, binding: Binding) -> str:
            previous = self.sessions.get(key)
            if previous is not None and model.name in previous.refused:
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
        reach = plan.ways.of(model)
        if not reach.bindings:
            problem = "cannot take this request"
            if not reach.possible:
                problem = f"is served by {model.provider}, and cannot be had here"
            message = f"x-router-model: {model.name} {problem}: {reach.why}"
            raise ClientError(message, source="x-router-model")
        # At the origin keep the name as asked: a dated one pins a version.
        return self._settled(plan, reach, "fixed", Reason.FORCED, name=name)

    def _leaves_alone(self, credential: Credential) -> bool:
        subscription = credential.kind is CredentialKind.SUBSCRIPTION
        return subscription and self.settings.subscription == "passthrough"

    def _may_route(self, plan: Plan) -> bool:
        known = plan.requested is not None or plan.virtual
        return self.settings.enabled and known and not self._leaves_alone(plan.credential)

    def _asks_anew(self, plan: Plan) -> bool:
        """Does the client ask for another model than the last time? Then it has changed the model itself.

        It does when planning ends, or when it falls back from a model that is overloaded.
        """
        before = plan.previous.requested if plan.previous else ""
        if plan.requested is None:
            return before != "" and before.lower() != plan.facts.requested_model.lower()
        return before != "" and self.settings.catalogue.resolve(before) is not plan.requested

    def _passes_through(self, plan: Plan) -> Settled | None:
        """Step 3, and routes that pass through."""
        facts, route, requested = plan.facts, plan.route, plan.requested
        if not self.settings.enabled:
            return _as_asked(plan, Reason.DISABLED)
        if plan.virtual:
            return self._counted(plan) if facts.endpoint == "count_tokens" else None
        if requested is None:
            return _as_asked(plan, Reason.UNKNOWN_MODEL)
        if not self._may_route(plan):
            return _as_asked(plan, Reason.SUBSCRIPTION)
        if route and route.strategy == "passthrough":
            return _as_asked(plan, Reason.ROUTE_PASSTHROUGH)
        if facts.turn.background and not (route and route.names_turn):
            return self._where_it_is_had(plan, requested, Reason.BACKGROUND)
        fixed = self._fixed(plan)
        if facts.endpoint == "count_tokens":
            return fixed if fixed and not fixed.bindings else self._counted(plan)
        if fixed:
            return fixed
        if requested.name not in plan.bundle.models and not (route and route.document):
            return self._where_it_is_had(plan, requested, Reason.NOT_SCORED)
        return None

    def _where_it_is_had(self, plan: Plan, requested: Model, reason: Reason) -> Settled:
        """What is not routed passes, but to where its row says that it is had."""
        if not requested.bindings or plan.facts.endpoint == "count_tokens":
            return _as_asked(plan, reason)
        reach = plan.ways.of(requested)
        if any(binding.provider for binding in reach.bindings):
            return self._settled(plan, reach, "fixed", reason)
        return _as_asked(plan, reason)

    def _counted(self, plan: Plan) -> Settled:
        """Tokens are counted at the origin, for what serves there.

        What a virtual model stands for may not be had there: then the bindings say where, and nobody counts.
        """
        serving = self._serving(plan)
        reach = plan.ways.of(serving) if serving and not self._asks_anew(plan) else None
        if reach is None or not reach.at_origin:
            if not plan.virtual:
                return _as_asked(plan, Reason.COUNT)
            reach = next((one for one in self._virtual_reach(plan) if one.bindings), None)
            if reach is None:
                return _as_asked(plan, Reason.COUNT)
        settled = self._settled(plan, reach, "passthrough", Reason.COUNT)
        return replace(settled, bindings=()) if reach.at_origin else settled

    def _fixed(self, plan: Plan) -> Settled | None:
        """A route's own model. Mid tool loop step 4 settles it: a route that came changes nothing then."""
        route = plan.route
        if route is None or route.strategy != "fixed":
            return None
        if plan.facts.tool_loop and not self._asks_anew(plan) and not route.virtual:
            return None
        (model,) = route.models.values()
        reach = plan.ways.of(model)
        if reach.bindings:
            return self._settled(plan, reach, "fixed", Reason.FIXED)
        if route.virtual:
            raise _nobody_serves(route.name, {model.name: reach.why})
        return None

    def _goes_on(self, plan: Plan) -> Settled | None:
        """Mid tool loop: a change of model would lose the cache and the thread of the work."""
        if not plan.facts.tool_loop:
            return None
        model = self._serving(plan)
        if model is not None and not self._asks_anew(plan):
            reach = plan.ways.of(model)
            if reach.bindings:
                return self._settled(plan, reach, "sticky", Reason.TOOL_LOOP)
        return None if plan.requested is None else self._requested(plan, "sticky", Reason.TOOL_LOOP)

    def _serving(self, plan: Plan) -> Model | None:
        """The model that served the conversation last, if it is known, and still one of the route."""
        if plan.previous is None:
            return None
        name = plan.previous.model
        # Gateways have names with a slash, too: what begins like the client's own name is none of a provider.
        prefix, slash, _ = plan.facts.requested_model.rpartition("/")
        models = self.settings.catalogue
        model = models.resolve(name) if slash and name.startswith(prefix + slash) else models.reference(name)
        if model is None or plan.route is None:
            return model
        known = [*plan.route.models.values(), *plan.route.tiers.values()]
        named = next((one for one in known if one.name == model.name), None)
        return named if plan.route.virtual and known else named or model

    def _requested(self, plan: Plan, strategy: str, reason: Reason) -> Settled:
        """The model that the client asked for, from where it is had."""
        assert plan.requested is not None
        reach = plan.ways.of(plan.requested)
        if not reach.bindings:
            return _as_asked(plan, reason, strategy)
        return self._settled(plan, reach, strategy, reason)

    def _settled(
        self, plan: Plan, reach: Reach, strategy: str, reason: Reason, name: str = "", detail: str = ""
    ) -> Settled:
        """Serve what can be had. `name`: what it is called at the origin, if not as the client would."""
        served = (name or self._name(reach.model, plan)) if reach.at_origin else reach.model.name
        return Settled(served, strategy, reason, _sent(reach, served), detail)

    # --- candidates ---------------------------------------------------------------------

    def _candidates(self, plan: Plan) -> Plan:
        """Step 5. What the configuration deploys is normalised over; exclusions only forbid."""
        reach = {model.name: plan.ways.of(model) for model in self._competing(plan)}
        scored = [name for name in plan.bundle.models if name in reach]
        deployed = [name for name in scored if plan.requested or reach[name].possible]
        candidates = [Candidate(name, self._excluded(plan, reach[name])) for name in deployed]
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
            return replace(plan, settled=self._fallback(plan))
        if len(plan.eligible) == 1:
            only = reach[plan.eligible[0]]
            return replace(plan, settled=self._settled(plan, only, "cluster", Reason.ONLY_CHOICE))
        if plan.virtual and plan.facts.turn.background:
            cheap = choosing.cheapest(reach[name] for name in plan.eligible)
            return replace(plan, settled=self._settled(plan, cheap, "fixed", Reason.BACKGROUND))
        if not plan.text:
            serving = self._serving(plan)
            if serving is not None and serving.name in plan.eligible:
                settled = self._settled(plan, reach[serving.name], "sticky", Reason.NO_TEXT)
            elif plan.requested is not None and not plan.virtual:
                settled = self._requested(plan, "sticky", Reason.NO_TEXT)
            else:
                settled = replace(self._fallback(plan), reason=Reason.NO_TEXT)
            return replace(plan, settled=settled)
        return plan

    def _competing(self, plan: Plan) -> list[Model]:
        """The provider's models, or those that the route names; and what was requested, unless it is virtual.

        A virtual model that names none has everything that may be a target.
        """
        route, requested = plan.route, plan.requested
        named = route.models if route and route.candidates is not None else None
        if plan.virtual:
            requested = None
        models = [] if named is None else [model for name, model in named.items() if model is not requested]
        for name in plan.bundle.models if named is None else ():
            model = self.settings.catalogue.rows.get(name)
            if model is None or not model.target or model is requested:
                continue
            if not model.opt_in if plan.virtual else (requested and model.provider == requested.provider):
                models.append(model)
        if requested is not None and requested.name not in {model.name for model in models}:
            models.append(requested)
        return models

    def _excluded(self, plan: Plan, reach: Reach) -> str:
        route, model, requested = plan.route, reach.model, plan.requested
        if requested is not None and model.name == requested.name and not plan.virtual:
            return reach.why
        if model.opt_in and not (route and route.candidates):
            return "opt-in, and no route names it"
        return self._too_dear_or_weak(plan, model) or reach.why

    def _too_dear_or_weak(self, plan: Plan, model: Model) -> str:
        route = plan.route
        ratio: float | None = self.settings.max_price_ratio
        against = plan.requested
        if route is not None:
            against = route.against or against
            if route.max_price_ratio is not None:
                ratio = route.max_price_ratio
            elif route.virtual or route.document:
                ratio = None
        if ratio is not None and against is not None:
            there = plan.ways.of(against).model if against is plan.requested else against
            if why := dearer(model, there, plan.facts.input_tokens_estimate, ratio):
                return why
        floor = route.min_quality_tier if route else None
        if floor and (model.quality_tier is None or model.quality_tier < floor):
            return f"quality tier {model.quality_tier} is under {floor}"
        return ""

    def _fallback(self, plan: Plan) -> Settled:
        """What serves where nothing is scored: the requested model; of a virtual one what is left."""
        if not plan.virtual:
            return self._requested(plan, "cluster", Reason.ONLY_CHOICE)
        assert plan.route is not None
        left = [one for one in self._virtual_reach(plan) if one.bindings]
        allowed = [one for one in left if not self._too_dear_or_weak(plan, one.model)]
        if not allowed:
            reasons = {item.model: item.excluded for item in plan.candidates if item.excluded}
            raise _nobody_serves(plan.route.name, reasons)
        first = allowed[0] if plan.route.candidates is not None else choosing.strongest(allowed)
        return self._settled(plan, first, "fixed", Reason.FALLBACK)

    def _virtual_reach(self, plan: Plan) -> list[Reach]:
        """Where what a virtual model stands for can be had, in the order in which it is to serve."""
        route = plan.route
        assert route is not None
        if route.document:
            ids = [route.document.fallback, *route.tiers]
            return [plan.ways.of(route.tiers[id]) for id in dict.fromkeys(ids) if id in route.tiers]
        if route.models:
            return [plan.ways.of(model) for model in route.models.values()]
        return [plan.ways.of(model) for model in self._competing(plan)]

    # --- tasks --------------------------------------------------------------------------

    def _by_task(self, plan: Plan, route: Route) -> Plan:
        """Which tiers can serve, and the verdict on the task if it is known, else what to ask for it."""
        document = route.document
        assert document is not None
        seeing = replace(plan.ways, facts=replace(plan.facts, images=0))  # which of them see is told apart
        reach = {id: seeing.of(model) for id, model in route.tiers.items()}
        unusable = {
            id: why
            for id, one in reach.items()
            if (why := one.why or self._too_dear_or_weak(plan, one.model))
        }
        plan = replace(
            plan,
            reach=reach,
            unusable=unusable,
            blind=choosing.blind(document, reach) if plan.facts.images else frozenset(),
            candidates=choosing.tier_candidates(reach, unusable),
            text=routing_text(plan.facts.user_texts),
        )
        if tiers.choose(document, document.fallback, unusable, plan.blind) is None:
            return replace(plan, settled=self._no_tier(plan, route))
        known: Verdict | None = self.sessions.verdict(plan.session, route.name)
        if known is not None:
            return replace(plan, verdict=known.remembered)
        if (served := self._served_tier(plan, route)) is not None:
            return replace(plan, verdict=Verdict("", f"served by {served} before", asked=False))
        if plan.facts.turn.background or not plan.text:
            why = "background call" if plan.facts.turn.background else "no task"
            return replace(plan, verdict=Verdict("", why, asked=False))
        classifier = plan.ways.for_own_calls(plan.text).of(route.tiers[document.classifier])
        if not classifier.bindings:
            why = f"{document.classifier}: {classifier.why}"
            return replace(plan, verdict=Verdict("", why, asked=False))
        task = Task(route.name, document, plan.text, classifier.bindings, classifier.model)
        return replace(plan, task=task)

    def _stays(self, plan: Plan, route: Route) -> bool:
        """Mid tool loop a conversation that none of the tiers serves stays with what it has."""
        return plan.facts.tool_loop and not route.virtual and self._served_tier(plan, route) is None

    def _served_tier(self, plan: Plan, route: Route) -> str | None:
        """The tier whose model serves the conversation already, where no verdict is remembered."""
        serving = self._serving(plan)
        if serving is None or self._asks_anew(plan):
            return None
        return next((id for id, model in route.tiers.items() if model.name == serving.name), None)

    def _no_tier(self, plan: Plan, route: Route) -> Settled:
        if route.virtual:
            assert route.document is not None
            blind = dict.fromkeys(plan.blind, "does not take images")
            raise _nobody_serves(route.name, blind | dict(plan.unusable))
        return self._requested(plan, "classified", Reason.ONLY_CHOICE)

    def judged(self, plan: Plan, verdict: Verdict) -> None:
        """Remember what a classifier said of the task that `plan` needs a verdict on."""
        assert plan.task is not None
        self.sessions.judged(plan.session, plan.task.router, verdict)

    def _by_verdict(self, plan: Plan, verdict: Verdict, decision: Decision) -> Decision:
        route = plan.route
        assert route is not None and route.document is not None
        before = None if verdict.category or verdict.asked else self._served_tier(plan, route)
        wanted = before or tiers.wanted(route.document, verdict)
        choice = tiers.choose(route.document, wanted, plan.unusable, plan.blind)
        assert choice is not None  # else it is settled
        fallback = not verdict.category and before is None
        settled = self._settled(
            plan, plan.reach[choice.tier], "classified", Reason.FALLBACK if fallback else Reason.CLASSIFIED
        )
        return replace(
            _settle(decision, settled),
            classification=tiers.classification(route.document, verdict, choice),
            detail=choice.reason,
        )

    # --- steps 6 and 7 ------------------------------------------------------------------

    def _name(self, model: Model, plan: Plan) -> str:
        """The name to send: the client's own spelling where it asked for this very model.

        Gateways have names like `openai/gpt-…`: another model of the provider is named in the same way.
        """
        if plan.requested is not None and model.name == plan.requested.name:
            return plan.facts.requested_model
        prefix, slash, _ = plan.facts.requested_model.rpartition("/")
        return prefix + slash + model.name

    def decide(
        self, plan: Plan, vector: Vector | None, stamp: Stamp, verdict: Verdict | None = None
    ) -> Decision:
        """Steps 6 and 7. `vector` is the embedding of `plan.text`, `verdict` what was said of `plan.task`:

        each is needed where the plan says so, and nothing where it is settled. Without a verdict the fallback
        serves.
        """
        decision = self._undecided(plan, stamp)
        if plan.settled:
            return _settle(decision, plan.settled)
        if plan.task or plan.verdict:
            judged = plan.verdict or verdict or Verdict("", "nobody was asked", asked=False)
            return self._by_verdict(plan, judged, decision)
        assert vector is not None
        weights = self._knobs(plan)
        scored = cluster.score(plan.bundle, vector, weights, deployed=plan.deployed, eligible=plan.eligible)
        best = plan.reach[scored.model]
        kept = self._kept(plan, best.model, weights.expected_output_tokens)
        settled = self._settled(
            plan,
            kept or best,
            "sticky" if kept else "cluster",
            Reason.KEEPS_CACHE if kept else Reason.CLUSTER,
            detail=f"{best.model.name} was best for this prompt" if kept else "",
        )
        return replace(
            _settle(decision, settled),
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
        serving = self._serving(plan)
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

    def give_up(self, plan: Plan, ineligible: Ineligible, stamp: Stamp) -> Decision:
        """Routing has failed: the conversation's last model goes on if it can, else the requested one.

        A virtual model is served by what it falls back to, if there is anything.
        """
        plan = replace(plan, ways=replace(plan.ways, ineligible=ineligible))
        settled = self._last_resort(plan) if self._may_route(plan) else None
        decision = self._undecided(plan, stamp)
        if settled is None:
            return replace(decision, reason=Reason.FAILED.value)
        # Where nothing is sent elsewhere the answer is the client's own business.
        strategy = "fixed" if settled.bindings or plan.virtual else "passthrough"
        return _settle(decision, replace(settled, strategy=strategy, reason=Reason.FAILED))

    def _last_resort(self, plan: Plan) -> Settled | None:
        serving = self._serving(plan)
        reach = plan.ways.of(serving) if serving is not None and not self._asks_anew(plan) else None
        if reach is not None and reach.bindings:
            return self._settled(plan, reach, "fixed", Reason.FAILED)
        if not plan.virtual:
            return self._requested(plan, "fixed", Reason.FAILED)
        left = [one for one in self._virtual_reach(plan) if one.bindings]
        if not left:
            return None
        named = plan.route is not None and (plan.route.models or plan.route.document)
        return self._settled(plan, left[0] if named else choosing.strongest(left), "fixed", Reason.FAILED)


# --- helpers ------------------------------------------------------------------------------


def _as_asked(plan: Plan, reason: Reason, strategy: str = "passthrough") -> Settled:
    """The request as the client made it, to where the client sends it."""
    return Settled(plan.facts.requested_model, strategy, reason)


def _settle(decision: Decision, settled: Settled) -> Decision:
    return replace(
        decision,
        served_model=settled.model,
        strategy=settled.strategy,
        reason=settled.reason.value,
        bindings=settled.bindings,
        detail=settled.detail,
    )


def _sent(reach: Reach, served: str) -> tuple[Binding, ...]:
    """Bindings as a decision has them: by the names that are sent, and none for the origin alone."""
    bindings = tuple(
        replace(binding, model=served) if binding.provider is None else binding for binding in reach.bindings
    )
    return () if bindings == (Binding(None, served),) else bindings


def _unrouted_login(source: str) -> ClientError:
    return ClientError(
        f"{source}: requests with a subscription login are not routed, unless the option "
        "router_subscription says route",
        source=source,
    )


def _nobody_serves(router: str, reasons: Mapping[str, str]) -> ClientError:
    told = "; ".join(f"{name}: {why}" for name, why in list(reasons.items())[:8])
    return ClientError(
        f"{router}: none of its models can serve this request" + (f": {told}" if told else ""), source=router
    )
