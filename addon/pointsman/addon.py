"""The mitmproxy addon: adapts hooks to the pipeline, delegates, applies what comes back.

Hooks stand in the order in which mitmproxy calls them. What a defect in here does is
said once, at `request`: the client's request goes on its way.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from mitmproxy import ctx, http, tls
from mitmproxy.addonmanager import Loader

from . import options
from .answer import Answer
from .embedding import Vector
from .engine import Engine, config_fingerprint
from .errors import BodyError, ClientError, PointsmanError
from .pipeline import HEADER_PREFIXES, Plan, Reason, read_asked
from .surface import Surface
from .upstream.routed_stream import Route, install
from .values import Decision
from .wire import encoding
from .wire.json_spans import Body

log = logging.getLogger("pointsman")

CONFIG_CHECK_S = 1.0


@dataclass(slots=True)
class Action:
    """One request of a client that is being routed."""

    surface: Surface
    endpoint: str
    started: float
    body: Body | None = None  # without markers; None while it is not understood
    stripped: int = 0
    plan: Plan | None = None
    answer: Answer | None = None
    client_id: str = ""


class Pointsman:
    """mitmproxy calls the methods; state is the engine, and one Action per flow under way."""

    name = "pointsman"

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.actions: dict[str, Action] = {}
        self.routes: dict[str, Route] = {}
        self._restore: Callable[[], None] | None = None
        self._worker = ThreadPoolExecutor(1, "pointsman-embed")
        self._running = False
        self._checked = 0.0
        self._seen_config = ""
        self._blocks_private = False

    # --- life ---------------------------------------------------------------------------

    def load(self, loader: Loader) -> None:
        """Once, when the script is loaded: options, and what mitmproxy must do differently."""
        options.add_options(loader)
        try:
            self._restore = install(self.routes)
        except PointsmanError as error:
            log.error("Pointsman cannot start: %s", error)
        # An early connection to the provider would be made before the decision; upstream
        # certificates may name hosts outside our CA's constraints.
        ctx.options.update(connection_strategy="lazy", upstream_cert=False)
        if not _chosen_by_user("block_private"):
            ctx.options.update(block_private=True)
            self._blocks_private = True

    def configure(self, updated: set[str]) -> None:
        """At the start and whenever an option changes. An error keeps what was in force."""
        if self.engine is None or any(name.startswith("router_") for name in updated):
            self._reconfigure()

    def _reconfigure(self) -> None:
        try:
            self._seen_config = config_fingerprint(ctx.options.router_config)
            settings = options.build(ctx.options)
            if self.engine is None:
                self.engine = Engine.open(settings)
            else:
                self.engine = self.engine.with_settings(settings)
        except PointsmanError as error:
            if self.engine is None:
                # mitmproxy exits with status 1 when an error is logged before it is running.
                log.error("Pointsman cannot start: %s", error)
            else:
                log.error("Pointsman keeps its old settings: %s", error)

    def running(self) -> None:
        """Once, when mitmproxy listens."""
        self._running = True
        if self.engine is None:
            return
        hosts = ", ".join(sorted(self.engine.hosts))
        bundle, database = self.engine.pipeline.bundle.version, self.engine.settings.db
        log.info("Pointsman routes %s with bundle %s; decisions go to %s", hosts, bundle, database)
        if self._blocks_private and not _is_loopback(ctx.options.listen_host):
            log.warning("mitmproxy listens on every interface, so Pointsman refuses clients from other machines "
                        "(block_private); start it with --listen-host 127.0.0.1")

    def done(self) -> None:
        """At the end, and before a changed script is loaded again."""
        if self._restore:
            self._restore()
        self._worker.shutdown(wait=False, cancel_futures=True)
        if self.engine:
            self.engine.close()

    # --- connection ---------------------------------------------------------------------

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Only provider hosts are decrypted; every other connection is a tunnel."""
        if self.engine is None:
            data.ignore_connection = True
            return
        address = data.context.server.address
        names = (address[0] if address else None, data.client_hello.sni)
        if not any(name and self.engine.surface_of(name) for name in names):
            data.ignore_connection = True

    def client_disconnected(self, client: object) -> None:
        """A last net: no action outlives its client."""
        client_id = getattr(client, "id", "")
        for flow_id in [key for key, action in self.actions.items() if action.client_id == client_id]:
            self._finish(flow_id, "the client closed the connection")

    # --- request ------------------------------------------------------------------------

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Bodies that are routed are read whole, whatever `stream_large_bodies` says; others only pass."""
        surface = self._surface(flow)
        if surface is None:
            return
        endpoint = surface.recognise(flow.request.method, flow.request.path)
        flow.request.stream = endpoint is None
        if endpoint:
            client = flow.client_conn.id
            self.actions[flow.id] = Action(surface, endpoint, started=time.monotonic(), client_id=client)
        else:
            _drop_router_headers(flow.request)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Decide and prepare what is sent.

        Whatever goes wrong in here, the client's request goes on: without markers and router headers,
        with the model that served the conversation last. Only what the client itself asked of the router
        is answered with an error.
        """
        action = self.actions.get(flow.id)
        engine = self.engine
        if action is None or engine is None or flow.response or flow.error:
            return
        self._watch_config()
        try:
            decision = await self._decide(flow, action, engine)
        except ClientError as error:
            log.warning("refused: %s", error)
            self._refuse(flow, action, error.status, str(error))
            return
        except BodyError as error:
            log.warning("%s passes unrouted: %s", flow.request.path.split("?")[0], error)
            self._pass(flow, action)
            return
        except Exception as error:
            log.warning("routing failed, the request goes on: %s: %s", type(error).__name__, error)
            log.debug("routing failed", exc_info=True)
            if engine.settings.fail == "closed":
                self._refuse(flow, action, 503, "the router failed and is set to router_fail=closed")
                return
            decision = self._fallback(flow, action, engine, error)
            if decision is None:
                self._pass(flow, action)
                return
        self._send(flow, action, engine, decision)

    async def _decide(self, flow: http.HTTPFlow, action: Action, engine: Engine) -> Decision:
        started = time.perf_counter()
        surface, request = action.surface, flow.request
        asked = read_asked(request.headers)
        data = encoding.decode(
            request.raw_content or b"", request.headers.get("content-encoding", ""), engine.settings.max_body_bytes
        )
        body = Body.parse(data)
        stripped = surface.strip(body)
        action.body, action.stripped = body, stripped
        facts = surface.read_facts(body, request.headers, action.endpoint)
        credential = surface.credential(request.headers, engine.salt)
        action.plan = engine.pipeline.plan(facts, credential, asked, surface.ineligible)
        vector, embed_ms = None, None
        if action.plan.settled is None:
            before = time.perf_counter()
            vector = await self._embed(action.plan.text, engine)
            embed_ms = (time.perf_counter() - before) * 1000
        decision = engine.pipeline.decide(
            action.plan, vector, id=_new_id(), at=time.time(), host=request.pretty_host
        )
        decision = self._rewrite(action, decision, engine)
        return replace(
            decision,
            request_bytes=len(data),
            embed_ms=embed_ms,
            decide_ms=(time.perf_counter() - started) * 1000,
            prompt=action.plan.text if engine.settings.log_prompts else None,
            embedding=vector.tobytes() if vector is not None and engine.settings.log_embeddings else None,
        )

    async def _embed(self, text: str, engine: Engine) -> Vector:
        known = engine.embedder.known(text)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._worker, engine.embedder.embed, text)
        return await asyncio.wait_for(work, engine.settings.embed_timeout_ms / 1000)

    def _rewrite(self, action: Action, decision: Decision, engine: Engine) -> Decision:
        """Set the model and what goes with it in the body; say so on the decision."""
        assert action.body is not None and action.plan is not None
        facts = action.plan.facts
        adaptations = ()
        if decision.served_model != facts.requested_model:
            model = engine.settings.catalogue.resolve(decision.served_model)
            if model is not None and model is not action.plan.requested:
                adaptations = tuple(action.surface.adapt(action.body, facts, model))
            action.surface.set_model(action.body, decision.served_model)
        return replace(
            decision,
            adaptations=adaptations,
            stripped=action.stripped,
            marker=engine.marker_mode(action.plan, decision, action.surface.marker_allowed(facts)),
        )

    def _fallback(
        self, flow: http.HTTPFlow, action: Action, engine: Engine, error: Exception
    ) -> Decision | None:
        """The decision of a router that failed; None where not even the facts are known."""
        if action.plan is None:
            return None
        try:
            data = encoding.decode(
                flow.request.raw_content or b"", flow.request.headers.get("content-encoding", ""),
                engine.settings.max_body_bytes,
            )
            action.body = Body.parse(data)
            action.stripped = action.surface.strip(action.body)
            decision = engine.pipeline.give_up(
                action.plan, action.surface.ineligible, id=_new_id(), at=time.time(), host=flow.request.pretty_host
            )
            decision = self._rewrite(action, decision, engine)
            return replace(decision, detail=f"{type(error).__name__}: {error}"[:300], request_bytes=len(data))
        except Exception:
            log.debug("the fallback failed too", exc_info=True)
            return None

    def _send(self, flow: http.HTTPFlow, action: Action, engine: Engine, decision: Decision) -> None:
        """Hand the outgoing request to the stream, and follow the answer."""
        assert action.body is not None
        action.answer = Answer(
            decision, action.surface, engine.store, engine.settings.catalogue, time.monotonic, action.started
        )
        self._log(decision)
        flow.comment = f"{decision.served_model} · {decision.reason}"
        changes_answer = decision.strategy != "passthrough"
        outgoing = _outgoing(flow.request, action.body, plain_answer=changes_answer)
        self.routes[flow.id] = Route(outgoing, lambda response: _may_retry(action, response))

    def _pass(self, flow: http.HTTPFlow, action: Action) -> None:
        """Send what the client made, without the router's headers (or without markers, where they were found)."""
        self.actions.pop(flow.id, None)
        outgoing = flow.request.copy()
        _drop_router_headers(outgoing)
        self.routes[flow.id] = Route(outgoing, lambda response: False)

    def _refuse(self, flow: http.HTTPFlow, action: Action, status: int, message: str) -> None:
        self.actions.pop(flow.id, None)
        flow.response = http.Response.make(
            status, action.surface.error_body(status, message), {"content-type": "application/json"}
        )

    # --- answer -------------------------------------------------------------------------

    async def router_verdict(self, flow: http.HTTPFlow) -> None:
        """A provider said 400 to an adapted request: once more as the client made it, if that is why."""
        action, route, engine = self.actions.get(flow.id), self.routes.get(flow.id), self.engine
        if not (action and action.answer and action.plan and route and route.held and engine):
            return
        decision = action.answer.decision
        named = action.surface.names_adaptation(route.held.raw_content or b"", decision.adaptations)
        if not named:
            return
        log.warning("%s refused %s; sent again as the client made it (decision %s)",
                    decision.served_model, named, decision.id)
        requested = action.plan.facts.requested_model
        engine.pipeline.sessions.refused(decision.session, decision.served_model, requested)
        data = encoding.decode(
            flow.request.raw_content or b"", flow.request.headers.get("content-encoding", ""),
            engine.settings.max_body_bytes,
        )
        action.body = Body.parse(data)
        action.surface.strip(action.body)
        action.answer.retried = f"400 from {decision.served_model} naming {named}"
        action.answer.decision = replace(
            decision,
            served_model=requested,
            reason=Reason.REFUSED.value,
            detail=f"{decision.served_model} was picked; {action.answer.retried}",
            marker="off",
        )
        route.outgoing = _outgoing(flow.request, action.body, plain_answer=True)
        route.again = True

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Streams are followed from here on; everything else on these hosts only passes."""
        assert flow.response is not None
        action = self.actions.get(flow.id)
        if action is None or action.answer is None:
            if self._surface(flow) and not flow.response.stream:
                flow.response.stream = True
            return
        decision = action.answer.decision
        if self.engine and flow.response.status_code < 300 and decision.endpoint == "generate":
            if not decision.turn.background:
                self.engine.pipeline.sessions.served(decision.session, decision.served_model)
        flow.response.stream = False
        await action.answer.head(flow)

    async def response(self, flow: http.HTTPFlow) -> None:
        """The answer is complete; a stream's last bytes have gone already."""
        action = self.actions.get(flow.id)
        if action and action.answer:
            await action.answer.body(flow)
        self.actions.pop(flow.id, None)
        self.routes.pop(flow.id, None)

    def error(self, flow: http.HTTPFlow) -> None:
        """The client has gone, or the provider cannot be reached or broke off."""
        self._finish(flow.id, flow.error.msg if flow.error else "unknown error")

    def _finish(self, flow_id: str, message: str) -> None:
        action = self.actions.pop(flow_id, None)
        self.routes.pop(flow_id, None)
        if action and action.answer:
            action.answer.failed(message)

    # --- helpers ------------------------------------------------------------------------

    def _surface(self, flow: http.HTTPFlow) -> Surface | None:
        return self.engine.surface_of(flow.request.pretty_host) if self.engine else None

    def _watch_config(self) -> None:
        """Take up a changed router.yaml; a look at the clock on most calls, one `stat` a second."""
        now = time.monotonic()
        if now - self._checked < CONFIG_CHECK_S or self.engine is None:
            return
        self._checked = now
        seen = config_fingerprint(ctx.options.router_config)
        if seen != self._seen_config:
            self._seen_config = seen
            self._reconfigure()

    def _log(self, decision: Decision) -> None:
        served = decision.served_model
        arrow = f"{decision.requested_model} → {served}" if served != decision.requested_model else served
        log.info("%s · %s · %.1f ms · %s", arrow, decision.reason, decision.decide_ms, decision.id)


def _may_retry(action: Action, response: http.Response) -> bool:
    """Only a first 400, and only where the router has changed a parameter."""
    answer = action.answer
    return bool(
        answer and answer.retried is None and response.status_code == 400 and answer.decision.adaptations
    )


def _outgoing(request: http.Request, body: Body, *, plain_answer: bool) -> http.Request:
    """The request to send: the client's own but for the body's edits and the router's headers."""
    outgoing = request.copy()
    _drop_router_headers(outgoing)
    if plain_answer:
        outgoing.headers["accept-encoding"] = "identity"
    if body.changed:
        outgoing.raw_content = body.render()
        outgoing.headers.pop("content-encoding", None)
        outgoing.headers.pop("transfer-encoding", None)
        outgoing.headers["content-length"] = str(len(outgoing.raw_content))
    return outgoing


def _drop_router_headers(request: http.Request) -> None:
    for name in {name.lower() for name in request.headers if name.lower().startswith(HEADER_PREFIXES)}:
        del request.headers[name]


def _chosen_by_user(option: str) -> bool:
    """Has the user set this option, be it to its default?"""
    entry = ctx.options._options.get(option)
    return entry is not None and entry.value is not getattr(_optmanager(), "unset", None)


def _optmanager() -> object:
    from mitmproxy import optmanager

    return optmanager


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _new_id() -> str:
    """Sorts by time, unique without coordination: milliseconds and 40 random bits, 22 hex digits."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:10]}"
