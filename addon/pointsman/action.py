"""One request of a client on its way upstream: read, decided, rewritten.

The client's own request is never changed. It is read anew for each attempt, so that a
second attempt starts from what the client made and not from what the first one did to it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from mitmproxy import http

from pointsman.answer import Answer
from pointsman.embedding import Vector
from pointsman.engine import Engine
from pointsman.pipeline import HEADER_PREFIXES, Plan, Reason, Stamp, read_asked
from pointsman.surface import Surface
from pointsman.values import Adaptation, Decision
from pointsman.wire import encoding
from pointsman.wire.json_spans import Body

REFUSAL_LIMIT = 1 << 20  # bytes, decoded

Embed = Callable[[str], Awaitable[Vector]]


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
    stripped: int = 0
    request_bytes: int = 0
    plan: Plan | None = None
    answer: Answer | None = None

    def read(self) -> Body:
        """The client's body, decoded, without markers. Raises BodyError."""
        coding = self.request.headers.get("content-encoding", "")
        data = encoding.decode(self.request.raw_content or b"", coding, self.engine.settings.max_body_bytes)
        body = Body.parse(data)
        self.stripped = self.surface.strip(body)
        self.request_bytes = len(data)
        self.body = body
        return body

    async def decide(self, embed: Embed) -> Decision:
        """The decision, with the body rewritten for it. Raises ClientError and BodyError."""
        started = time.perf_counter()
        engine, surface = self.engine, self.surface
        headers = _looked_up(self.request.headers)
        asked = read_asked(headers)
        body = self.read()
        facts = surface.read_facts(body, headers, self.endpoint)
        credential = surface.credential(headers, engine.salt)
        self.plan = plan = engine.pipeline.plan(facts, credential, asked, surface.ineligible)
        vector, embed_ms = None, None
        if plan.settled is None:
            before = time.perf_counter()
            vector = await embed(plan.text)
            embed_ms = (time.perf_counter() - before) * 1000
        decision = self._rewrite(engine.pipeline.decide(plan, vector, self._stamp()))
        return replace(
            decision,
            embed_ms=embed_ms,
            decide_ms=(time.perf_counter() - started) * 1000,
            prompt=plan.text if engine.settings.log_prompts else None,
            embedding=vector.tobytes() if vector is not None and engine.settings.log_embeddings else None,
        )

    def give_up(self, error: Exception) -> Decision | None:
        """The decision where routing has failed; None where not even the facts were reached.

        `body` is then what can still be sent: without markers, or None if stripping is what failed.
        """
        self.body = None
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
        """After this 400 to an adapted request: the decision to send it as the client made it.

        None where its message names nothing that was adapted: then the refusal is the client's to see.
        Raises BodyError if there is no message to be read.
        """
        assert self.plan is not None and self.answer is not None
        refused = self.answer.decision
        coding = refusal.headers.get("content-encoding", "")
        data = encoding.decode(refusal.raw_content or b"", coding, REFUSAL_LIMIT)
        named = _named(self.surface.error_message(data), refused.adaptations)
        if named is None:
            return None
        self.read()
        requested = self.plan.facts.requested_model
        return replace(
            refused,
            served_model=requested,
            reason=Reason.REFUSED.value,
            detail=f"{refused.served_model} was picked and refused {named}",
            marker="off",
        )

    def outgoing(self, decision: Decision | None) -> http.Request:
        """The request to send: the client's own but for the body's edits and the router's headers."""
        outgoing = self.request.copy()
        drop_router_headers(outgoing)
        if decision is not None and decision.changes_answer:
            # What is going to be changed should not arrive compressed.
            outgoing.headers["accept-encoding"] = "identity"
        if self.body is not None and self.body.changed:
            outgoing.raw_content = self.body.render()
            for name in ("content-encoding", "transfer-encoding"):
                outgoing.headers.pop(name, None)
            outgoing.headers["content-length"] = str(len(outgoing.raw_content))
        return outgoing

    def may_retry(self, response: http.Response) -> bool:
        """Is this a first 400 to a request in which a parameter was changed?"""
        answer = self.answer
        return bool(
            answer and answer.retried is None and response.status_code == 400 and answer.decision.adaptations
        )

    def _rewrite(self, decision: Decision) -> Decision:
        """Set the model and what goes with it in the body; say so on the decision."""
        assert self.body is not None and self.plan is not None
        facts, surface = self.plan.facts, self.surface
        model = self.engine.settings.catalogue.resolve(decision.served_model)
        adaptations: tuple[Adaptation, ...] = ()
        if decision.served_model != facts.requested_model:
            if model is not None and model is not self.plan.requested:
                adaptations = tuple(surface.adapt(self.body, facts, model))
            surface.set_model(self.body, decision.served_model)
        default = model.capabilities.get("thinking_default") if model else None
        marker = self.engine.marker_mode(
            self.plan,
            decision,
            allowed=surface.marker_allowed(facts),
            thinks=surface.thinks(self.body, default),
        )
        return replace(
            decision,
            adaptations=adaptations,
            stripped=self.stripped,
            request_bytes=self.request_bytes,
            marker=marker,
        )

    def _stamp(self) -> Stamp:
        return Stamp(_new_id(), time.time(), self.request.pretty_host)


def _looked_up(headers: http.Headers) -> dict[str, str]:
    """The headers by name in lower case; mitmproxy's own mapping goes through all of them for every name."""
    found: dict[str, str] = {}
    for name, value in headers.items(multi=True):
        name = name.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def drop_router_headers(request: http.Request) -> None:
    """What a client asks of the router is nobody else's business."""
    for name in {name for name in request.headers if name.lower().startswith(HEADER_PREFIXES)}:
        del request.headers[name]


def _named(message: str, adaptations: tuple[Adaptation, ...]) -> str | None:
    """The adapted parameter that a refusal names, by its own name or that of what it is part of.

    `messages` names nothing: every complaint about the history begins with it.
    """
    lowered = message.lower()
    for adaptation in adaptations:
        parts = set(adaptation.parameter.lower().replace("[]", "").split(".")) - {"", "messages"}
        if any(part in lowered for part in parts):
            return adaptation.parameter
    return None


def _any(facts: object, model: object) -> str:
    return ""


def _new_id() -> str:
    """Sorts by time, unique without coordination: milliseconds and 40 random bits, 22 hex digits."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:10]}"
