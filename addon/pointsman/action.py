"""One request of a client on its way upstream: read, decided, rewritten.

The client's own request is never changed. It is read anew for each attempt, so that a
second attempt starts from what the client made and not from what the first one did to it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace

from mitmproxy import http

from pointsman import cache_key
from pointsman.answer import Answer
from pointsman.asked import HEADER_PREFIXES, read_asked
from pointsman.classifying import log_line
from pointsman.embedding import Vector, routing_text
from pointsman.engine import Engine
from pointsman.errors import BodyError
from pointsman.outgoing import ORIGIN, Outgoing, Reaching, Wanted, elsewhere
from pointsman.pipeline import Plan, Reason, Stamp
from pointsman.reach import at
from pointsman.scoring import cluster
from pointsman.scoring.tiers import Verdict
from pointsman.semantic_cache import Hit, Place
from pointsman.surface import Surface, translates
from pointsman.values import Adaptation, Binding, Decision, Model
from pointsman.wire import encoding
from pointsman.wire.head import edited
from pointsman.wire.json_spans import Body
from pointsman.wire.translate_request import counted

log = logging.getLogger("pointsman")

REFUSALS = (400, 403, 404, 422)  # what a provider, or a gateway, says to a parameter or a model
MAX_RETRIES = 2  # as the client made it, and then with a remedy
REFUSAL_LIMIT = 1 << 20  # bytes, decoded
_ASKED = "what the router asks for"

Embed = Callable[[str], Awaitable[Vector]]
Judge = Callable[[Plan], Awaitable[Verdict]]


@dataclass(slots=True)
class Action:
    """What is known of a request that is under way. `started` is in monotonic seconds."""

    surface: Surface
    endpoint: str
    engine: Engine
    request: http.Request
    client_id: str
    started: float
    body: Body | None = None  # without markers; None while it is not understood
    path: str = ""  # to be sent; set with the body
    stripped: int = 0
    request_bytes: int = 0
    plan: Plan | None = None
    answer: Answer | None = None
    place: Place | None = None  # where its answer would be kept
    hit: Hit | None = None  # what was kept there

    def read(self) -> Body:
        """The client's body, decoded, without markers. Raises BodyError."""
        coding = self.request.headers.get("content-encoding", "")
        data = encoding.decode(self.request.raw_content or b"", coding, self.engine.settings.max_body_bytes)
        body = Body.parse(data)
        self.stripped = self.surface.strip(body)
        if translates(self.surface):
            self.surface.disown(body)
        self.request_bytes = len(data)
        self.path = self.request.path
        self.body = body
        return body

    async def decide(self, embed: Embed, judge: Judge | None = None) -> Decision:
        """The decision, with the body rewritten for it. Raises ClientError and BodyError.

        Without `judge` nobody is asked what kind of task it is: a classified router's fallback serves then.
        """
        started = time.perf_counter()
        engine, surface = self.engine, self.surface
        headers = _looked_up(self.request.headers)
        asked = read_asked(headers)
        body = self.read()
        facts = surface.read_facts(body, headers, self.path, self.endpoint)
        credential = surface.credential(headers, self.path, engine.salt)
        host = self.request.pretty_host
        self.plan = plan = engine.pipeline.plan(
            facts, credential, asked, surface.ineligible, host, Reaching(surface, body, self.path, headers)
        )
        vector, embed_ms = None, None
        if plan.needs_vector:
            before = time.perf_counter()
            vector = await embed(plan.text)
            embed_ms = (time.perf_counter() - before) * 1000
        verdict = await judge(plan) if judge and plan.task else None
        decision = engine.pipeline.decide(plan, vector, self._stamp(), verdict)
        if decision.classification and judge and _is_news(plan, verdict):
            log.info("%s", log_line(decision.session, decision.classification))
        if engine.cache is not None:
            decision = await self._looked_for(decision, headers, vector, embed)
        else:
            decision = self._rewrite(decision)
        return replace(
            decision,
            embed_ms=embed_ms,
            decide_ms=(time.perf_counter() - started) * 1000,
            prompt=plan.text if engine.settings.log_prompts else None,
            embedding=vector.tobytes() if vector is not None and engine.settings.log_embeddings else None,
        )

    async def _looked_for(
        self, decision: Decision, headers: Mapping[str, str], vector: Vector | None, embed: Embed
    ) -> Decision:
        """The decision, rewritten, and whether an answer is kept that fits: then that is `hit`."""
        assert self.body is not None and self.plan is not None
        data = self.body.render()
        why = self._left_out(decision, data)
        decision = self._rewrite(decision)
        if why:
            return replace(decision, cache_detail=why)
        try:
            return await self._find(decision, data, headers, vector, embed)
        except Exception as error:  # without the cache the request is served as well
            log.warning("the cache failed (decision %s): %s: %s", decision.id, type(error).__name__, error)
            self.place = self.hit = None
            return replace(decision, cache_detail=cache_key.FAILED)

    def _left_out(self, decision: Decision, data: bytes) -> str:
        assert self.body is not None and self.plan is not None
        if not self.plan.asked.cache:
            return "x-router-cache says so"
        if decision.bindings:
            return "another provider may answer"
        try:
            return cache_key.left_out(self.plan.facts, decision, data) or self.surface.unrepeatable(self.body)
        except BodyError:
            return "not understood"

    async def _find(
        self, decision: Decision, data: bytes, headers: Mapping[str, str], vector: Vector | None, embed: Embed
    ) -> Decision:
        """Set `place`, and `hit` if an answer is kept there. `data` is the body before it was rewritten."""
        assert self.plan is not None and self.engine.cache is not None
        facts = self.plan.facts
        if vector is None:
            text = routing_text(facts.user_texts)
            if not text:
                return replace(decision, cache_detail=cache_key.NO_WORDS)
            vector = await embed(text)
        bundle = self.plan.bundle
        near = decision.clusters[0][0] if decision.clusters else int(cluster.nearest(bundle, vector, 1)[0][0])
        request = self.request
        # By the name that the client gave, and where it really goes: these may differ.
        where = (request.pretty_host, request.host, str(request.port))
        target = (self.surface.SURFACE, request.scheme, *where, request.path)
        self.place = Place(
            caller=self.plan.account,
            bucket=(self.surface.SURFACE, near, bundle.version, decision.knobs_hash),
            rest=cache_key.rest(facts, decision, headers, target, data),
            words=cache_key.words(facts),
            vector=vector,
            threshold=bundle.cache_thresholds[near],
        )
        self.hit = self.engine.cache.find(self.place)
        if self.hit is None:
            return replace(decision, cache="miss")
        kept, age_s, cosine = self.hit.kept, self.hit.age_s, self.hit.cosine
        detail = f"the answer to {kept.decision}, {age_s:.0f} s old, cosine {cosine:.3f}"
        return replace(decision, cache="hit", cache_detail=detail)

    def give_up(self, error: Exception) -> Decision | None:
        """The decision where routing has failed; None where not even the facts were reached.

        `body` is then what can still be sent: without markers, or None if stripping is what failed.
        """
        self.body = self.place = self.hit = None
        self.read()
        if self.plan is None:
            return None
        try:
            decision = self.engine.pipeline.give_up(self.plan, self.surface.ineligible, self._stamp())
            decision = self._rewrite(decision)
        except Exception:
            # Adapting to the model that served last is what fails: the requested one needs nothing.
            self.read()
            decision = self.engine.pipeline.give_up(replace(self.plan, previous=None), _any, self._stamp())
            decision = replace(decision, stripped=self.stripped, request_bytes=self.request_bytes)
        return replace(decision, detail=f"{type(error).__name__}: {error}"[:300])

    def once_more(self, refusal: http.Response) -> Decision | None:
        """After this refusal: the decision with which the action is sent again, its body ready.

        Where the message names the picked model, or a parameter that was adapted to it, the request goes as
        the client made it. What the router only added for itself is taken out, and so is what the surface
        knows a remedy for, if the requested model refuses it. None otherwise: then the refusal is the
        client's to see. Raises BodyError if there is no message to be read.
        """
        assert self.plan is not None and self.answer is not None
        refused = self.answer.decision
        picked = refused.served_model != self.plan.facts.requested_model
        coding = refusal.headers.get("content-encoding", "")
        data = encoding.decode(refusal.raw_content or b"", coding, REFUSAL_LIMIT)
        message = self.surface.error_message(data).lower()
        named = _named(message, refused.adaptations)
        remedies = self.surface.remedy(self.read(), data)
        if named is not None and named.verb == "add":
            self.engine.pipeline.sessions.refused_account(self.plan.account, _ASKED)
            self.read()
            return replace(self._rewrite(refused), detail=f"the provider refused {named.parameter}")
        if remedies and not picked:
            what = ", ".join(item.parameter for item in remedies)
            decision = self._rewrite(refused)
            adaptations = (*remedies, *decision.adaptations)
            return replace(decision, adaptations=adaptations, detail=f"the provider refused {what}")
        if named or remedies:
            parameter = (named or remedies[0]).parameter
            return self._as_made(f"{refused.served_model} was picked and refused {parameter}")
        if picked and self._lacks_model(message):
            return self._as_made(f"{refused.served_model} was picked, and this account may not have it")
        return None

    def _as_made(self, detail: str) -> Decision | None:
        """The requested model gets what the client sent, and the conversation keeps to it.

        Nobody has a virtual model: then the next of those behind it serves. None if there is none.
        """
        assert self.plan is not None and self.answer is not None
        decision = self.engine.pipeline.instead(self.plan, self.answer.decision)
        if decision is None:
            return None
        self.read()
        if self.plan.virtual:
            return replace(self._rewrite(decision), detail=detail)
        return replace(decision, detail=detail, adaptations=(), marker="off")

    def _lacks_model(self, message: str) -> bool:
        """Is the refusal about the picked model? Then no conversation of this account gets it for a while."""
        assert self.plan is not None and self.answer is not None
        decision = self.answer.decision
        name = decision.served_model
        if decision.reason == Reason.FORCED or name.lower() not in message:
            return False
        model = self.engine.settings.catalogue.resolve(name)
        self.engine.pipeline.sessions.refused_account(self.plan.account, model.name if model else name)
        return True

    def served(self, decision: Decision) -> None:
        """The conversation has an answer of this model."""
        if decision.holds_session:
            sessions = self.engine.pipeline.sessions
            sessions.served(decision.session, decision.served_model, decision.requested_model)

    def counted(self, decision: Decision) -> http.Response | None:
        """A count of tokens by estimate, where the provider that serves the conversation cannot be asked."""
        surface, plan = self.surface, self.plan
        if decision.endpoint != "count_tokens" or not decision.bindings or plan is None:
            return None
        tokens = counted(plan.facts, self._served(decision))
        body = surface.write_count(tokens) if translates(surface) else b""
        return http.Response.make(200, body, {"content-type": "application/json"}) if body else None

    def _served(self, decision: Decision) -> Model | None:
        return self.engine.settings.catalogue.reference(decision.served_model)

    def prepare(self, decision: Decision, binding: Binding) -> Outgoing:
        """What is sent for one binding. Raises ConfigError for one without a key, and BodyError."""
        assert self.plan is not None
        if binding.provider is None:
            return Outgoing(binding, self.surface, self.plan.facts, self.outgoing(decision))
        coding = self.request.headers.get("content-encoding", "")
        limit = self.engine.settings.max_body_bytes
        body = Body.parse(encoding.decode(self.request.raw_content or b"", coding, limit))
        self.surface.strip(body)
        headers = _looked_up(self.request.headers)
        wanted = Wanted(self.surface, body, self.request.path, headers, self.plan.facts)
        model = self._served(decision)
        return elsewhere(wanted, binding, at(model, binding) if model else None)

    def outgoing(self, decision: Decision | None) -> http.Request:
        """The request to send: the client's own but for the body's edits and the router's headers."""
        outgoing = copy(self.request)  # its own `copy` checks the types of everything anew
        outgoing.data = copy(self.request.data)
        changes: dict[bytes, bytes | None] = {}
        if self.body is not None:
            outgoing.path = self.path
        if decision is not None and decision.changes_answer:
            # What is going to be changed should not arrive compressed.
            changes[b"accept-encoding"] = b"identity"
        if self.body is not None and self.body.changed:
            outgoing.raw_content = content = self.body.render()
            changes |= {b"content-encoding": None, b"transfer-encoding": None}
            changes[b"content-length"] = b"%d" % len(content)
        outgoing.headers = http.Headers(edited(self.request.headers.fields, changes, _is_for_router))
        return outgoing

    def may_retry(self, response: http.Response) -> bool:
        """Is this a refusal that may be of the router's making, and not yet the last?"""
        answer = self.answer
        if answer is None or response.status_code not in REFUSALS:
            return False
        return answer.decision.changes_answer and len(answer.retried) < MAX_RETRIES

    def _rewrite(self, decision: Decision) -> Decision:
        """Set the model and what goes with it in the body; say so on the decision."""
        assert self.body is not None and self.plan is not None
        facts, surface = self.plan.facts, self.surface
        model = self.engine.settings.catalogue.resolve(decision.served_model)
        adaptations: list[Adaptation] = []
        at_origin = not decision.bindings or any(one.provider is None for one in decision.bindings)
        if decision.served_model != facts.requested_model and at_origin:
            if model is not None and model is not self.plan.requested:
                adaptations += surface.adapt(self.body, facts, model)
            self.path = surface.set_model(self.body, self.path, decision.served_model)
        origin = next((one for one in decision.bindings if one.provider is None), ORIGIN)
        if origin.parameters:
            adaptations += surface.set_parameters(self.body, origin.parameters, model)
        for name, value in origin.extra.items():
            self.body.set(name, value)
        asks = decision.changes_answer and decision.endpoint == "generate"
        if asks and not self.engine.pipeline.sessions.lacks(self.plan.account, _ASKED):
            adaptations += surface.ask(self.body, facts)
        modes = surface.marker_modes(self.body, facts, model)
        return replace(
            decision,
            adaptations=tuple(adaptations),
            stripped=self.stripped,
            request_bytes=self.request_bytes,
            marker=self.engine.marker_mode(self.plan, decision, modes),
        )

    def _stamp(self) -> Stamp:
        return Stamp(_new_id(), time.time(), self.request.pretty_host)


def _is_news(plan: Plan, verdict: Verdict | None) -> bool:
    """Is it the first time that the conversation's task is judged?"""
    return plan.previous is None if verdict is None else verdict.ms is not None


def _looked_up(headers: http.Headers) -> dict[str, str]:
    """The headers by name in lower case; mitmproxy's own mapping goes through all of them for every name."""
    found: dict[str, str] = {}
    for name, value in headers.items(multi=True):
        name = name.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def drop_router_headers(request: http.Request) -> None:
    """What a client asks of the router is nobody else's business."""
    request.headers.fields = edited(request.headers.fields, {}, _is_for_router)


def _is_for_router(name: bytes) -> bool:
    return name.startswith(_PREFIXES)


_PREFIXES = tuple(prefix.encode() for prefix in HEADER_PREFIXES)


def _named(message: str, adaptations: tuple[Adaptation, ...]) -> Adaptation | None:
    """What a refusal names of the adaptations, by its parameter's own name or that of what it is part of.

    What holds the history names nothing: every complaint about it begins with that. `message` is lower case;
    Gemini takes camelCase and complains in snake_case, or in words.
    """
    message = message.replace("_", "").replace(" ", "")
    for adaptation in adaptations:
        parts = set(adaptation.parameter.lower().replace("[]", "").replace("_", "").split(".")) - _HISTORY
        if any(part in message for part in parts):
            return adaptation
    return None


_HISTORY = {"", "messages", "input", "contents"}


def _any(facts: object, model: object) -> str:
    return ""


def _new_id() -> str:
    """Sorts by time, unique without coordination: milliseconds and 40 random bits, 22 hex digits."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:10]}"
