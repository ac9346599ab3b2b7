"""The mitmproxy addon: adapts hooks to actions, delegates, applies what comes back.

Hooks stand in the order in which mitmproxy calls them. What a defect in routing does
is said once, at `request`: the client's request goes on its way.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import time
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mitmproxy import command, connection, ctx, http, optmanager, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import server_hooks

from pointsman import cache_key, dry_run, local, model_list, options
from pointsman.action import Action, drop_router_headers
from pointsman.answer import Answer
from pointsman.attempts import Attempts, Straight
from pointsman.embedding import Vector
from pointsman.engine import Engine
from pointsman.errors import BodyError, ClientError, PointsmanError
from pointsman.semantic_cache import Kept
from pointsman.surface import Surface, surfaces
from pointsman.upstream.routed_stream import install
from pointsman.values import Decision

log = logging.getLogger("pointsman")

CONFIG_CHECK_S = 1.0


class Pointsman:
    """mitmproxy calls the methods; state is the engine, and one Action and Route per flow under way.

    `own` are the flows that Pointsman answers itself, without an action of the client's: flow id → client id.
    """

    name = "pointsman"

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.actions: dict[str, Action] = {}
        self.routes: dict[str, Straight] = {}
        self.own: dict[str, str] = {}
        self._uninstall: Callable[[], None] | None = None
        self._worker = ThreadPoolExecutor(1, "pointsman-embed")
        self._config_checked = 0.0
        self._config_seen = ""
        self._blocks_private = False

    # --- life ---------------------------------------------------------------------------

    def load(self, loader: Loader) -> None:
        """Once, when the script is loaded: options, and what mitmproxy must do differently."""
        options.add_options(loader)
        try:
            self._uninstall = install(self.routes, whole=_Either(self.actions, self.own))
        except PointsmanError as error:
            log.warning(
                "%s; until then requests are routed within their provider, without prelude and failover",
                error,
            )
        # An early connection to the provider would be made before the decision; upstream
        # certificates may name hosts outside our CA's constraints.
        ctx.options.update(connection_strategy="lazy", upstream_cert=False)
        if not _set_by_user("block_private"):
            ctx.options.update(block_private=True)
            self._blocks_private = True
        # mitmdump prints the address of each request, and Gemini's may have a key in it.
        if "flow_detail" in ctx.options and not _set_by_user("flow_detail"):
            ctx.options.update(flow_detail=0)

    def configure(self, updated: set[str]) -> None:
        """At the start and whenever an option changes."""
        if self.engine is None or any(name.startswith("router_") for name in updated):
            self._reconfigure()

    def _reconfigure(self) -> None:
        """Take up the settings in force. An error at the start is fatal; later the old ones stay."""
        try:
            options.check_names(ctx.options.deferred)
            settings = options.build(ctx.options)
            if self._uninstall is None:  # a key of another provider would show in the flow
                settings = replace(settings, available=frozenset())
            self.engine = self.engine.with_settings(settings) if self.engine else Engine.open(settings)
        except PointsmanError as error:
            # mitmproxy exits with status 1 when an error is logged before it is running.
            log.error("Pointsman %s: %s", "keeps its old settings" if self.engine else "cannot start", error)
            if self.engine:
                self._config_seen = self.engine.settings.fingerprint()
        else:
            self._config_seen = settings.stamp
            self.engine.trusted = ctx.options.ssl_verify_upstream_trusted_ca or ""
            for warning in settings.warnings:
                log.warning("%s", warning)

    def running(self) -> None:
        """Once, when mitmproxy listens."""
        if self.engine is None:
            return
        settings, shelf = self.engine.settings, self.engine.pipeline.shelf
        hosts = ", ".join(sorted(settings.provider_hosts))
        others = ", ".join(bundle.version for bundle in shelf.others)
        version = shelf.default.version + (f" (on request {others})" if others else "")
        log.info("Pointsman routes %s with bundle %s; decisions go to %s", hosts, version, settings.db)
        if self._blocks_private and not _is_loopback(ctx.options.listen_host):
            log.warning(
                "mitmproxy listens on every interface, so Pointsman refuses clients from other machines "
                "(block_private); start it with --listen-host 127.0.0.1"
            )
        # What is there by now stays: a full collection that walks it holds every request up for 50 ms.
        gc.freeze()

    def done(self) -> None:
        """At the end, and before a changed script is loaded again."""
        gc.unfreeze()
        if self._uninstall:
            self._uninstall()
        self._worker.shutdown(wait=False, cancel_futures=True)
        if self.engine:
            self.engine.close()

    # --- connections --------------------------------------------------------------------

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Only provider hosts are decrypted; every other connection is a tunnel."""
        self._watch_config()
        address = data.context.server.address
        host, port = address[:2] if address else ("", 443)
        names = (host, data.client_hello.sni)
        if any(map(local.is_ours, names)):
            return
        if not (self.engine and any(name and self.engine.settings.surfaces_of(name, port) for name in names)):
            data.ignore_connection = True

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Nothing looks up or reaches router.local, whatever is spoken to it."""
        if data.server.address and local.is_ours(data.server.address[0]):
            data.server.error = f"{local.HOST} is answered by Pointsman itself, to HTTP requests"

    def client_disconnected(self, client: connection.Client) -> None:
        """A last net: no action outlives its client."""
        under_way = {key: action.client_id for key, action in self.actions.items()} | self.own
        for flow_id in [key for key, client_id in under_way.items() if client_id == client.id]:
            self._finish(flow_id, "the client closed the connection")

    # --- request ------------------------------------------------------------------------

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Bodies that are routed are read whole, whatever `stream_large_bodies` says; others only pass."""
        self._watch_config()
        if self.engine is None:
            return
        if local.is_for_us(flow.request):
            self._keep(flow)
            return
        spoken = self._spoken(flow)
        if not spoken:
            return
        if model_list.card(flow.request, spoken, self.engine.settings):
            self._keep(flow)
            return
        found = self._recognise(flow)
        # What is passed on as it comes has left before the `request` hook could answer it.
        flow.request.stream = found is None and self._refused_socket(flow) is None
        if found:
            surface, endpoint = found
            self.actions[flow.id] = Action(
                surface, endpoint, self.engine, flow.request, flow.client_conn.id, time.monotonic()
            )
        elif dry_run.HEADER in flow.request.headers:
            self._keep(flow)  # the client does not want it sent
        else:
            drop_router_headers(flow.request)

    def _keep(self, flow: http.HTTPFlow) -> None:
        """The `request` hook answers it, and gets it whole."""
        flow.request.stream = False
        self.own[flow.id] = flow.client_conn.id

    async def request(self, flow: http.HTTPFlow) -> None:
        """Decide, and prepare what is sent.

        Whatever goes wrong in here, the client's request goes on: without markers and router headers,
        with the model that served the conversation last. Only what the client itself asked of the
        router is answered with an error.
        """
        action = self.actions.get(flow.id)
        if flow.response or flow.error:
            return
        if self.own.pop(flow.id, None) is not None:
            flow.response = await self._own_answer(flow)
            return
        if action is None:
            if surface := self._refused_socket(flow):
                flow.response = _no_socket(surface)
            return
        try:
            if dry_run.wanted(flow.request.headers):
                response = await dry_run.answer(action, self._embed)
                self.actions.pop(flow.id, None)
                flow.response = response
                return
            decision = await action.decide(self._embed, action.engine.judge)
            if (counted := action.counted(decision)) is not None:
                self.actions.pop(flow.id, None)
                flow.response = counted
                return
            self._send(flow, action, decision)
        except ClientError as error:
            log.warning("refused: %s", error)
            self._refuse(flow, action, error.status, str(error))
        except BodyError as error:
            if action.plan is not None:  # read, and perhaps half rewritten
                self._survive(flow, action, error)
                return
            log.warning("%s passes unrouted: %s", flow.request.path.partition("?")[0], error)
            self._pass(flow, action)
        except Exception as error:
            self._survive(flow, action, error)
        else:
            if action.hit:
                await self._repeat(flow, action, action.hit.kept)

    async def _own_answer(self, flow: http.HTTPFlow) -> http.Response | None:
        """What Pointsman answers to a request that is no action; None where it goes on after all."""
        assert self.engine is not None
        request = flow.request
        if local.is_for_us(request):
            return await local.answer(local.Call(request, self.engine, self._embed))
        if surface := self._refused_socket(flow):
            return _no_socket(surface)
        if found := model_list.card(request, self._spoken(flow), self.engine.settings):
            return found
        surface = self._surface_of_host(flow)
        try:
            if dry_run.wanted(request.headers):
                return dry_run.refusal(400, dry_run.NOTHING, surface)
        except ClientError as error:
            return dry_run.refusal(error.status, str(error), surface)
        drop_router_headers(request)
        return None

    def _refused_socket(self, flow: http.HTTPFlow) -> Surface | None:
        """The surface of a request that opens a WebSocket to a model, where that is not to be."""
        if self.engine is None or self.engine.settings.websocket != "refuse":
            return None
        found = self._recognise(flow, "POST") if _opens_socket(flow.request) else None
        return found[0] if found else None

    async def _embed(self, text: str) -> Vector:
        """In a thread, so that the event loop never waits; what is remembered needs none."""
        assert self.engine is not None
        known = self.engine.embedder.known(text)
        if known is not None:
            return known
        work = asyncio.get_running_loop().run_in_executor(self._worker, self.engine.embedder.embed, text)
        return await asyncio.wait_for(work, self.engine.settings.embed_timeout_ms / 1000)

    def _survive(self, flow: http.HTTPFlow, action: Action, error: Exception) -> None:
        log.warning("routing failed, the request goes on: %s: %s", type(error).__name__, error)
        log.debug("routing failed", exc_info=error)
        if action.engine.settings.fail == "closed":
            self._refuse(flow, action, 503, "routing failed, and router_fail is closed")
            return
        try:
            decision = action.give_up(error)
            if decision is not None:
                self._send(flow, action, decision)
                return
        except Exception as second:
            log.debug("giving up failed too", exc_info=second)
        self._pass(flow, action)

    def _send(self, flow: http.HTTPFlow, action: Action, decision: Decision) -> None:
        engine = action.engine
        plan = action.plan
        assert plan is not None
        action.answer = Answer(
            decision,
            plan.facts,
            action.surface,
            engine.store,
            engine.settings.catalogue,
            time.monotonic,
            action.started,
            lambda answer: engine.pipeline.sessions.answered(plan.account, answer, plan.session),
            self._keeper(action, decision) if action.place and not action.hit else None,
        )
        self._route(flow, Attempts(action, action.answer))
        asked, served = decision.requested_model, decision.served_model
        arrow = served if served == asked else f"{asked} → {served}"
        log.info("%s · %s · %.1f ms · %s", arrow, decision.reason, decision.decide_ms, decision.id)
        for warning in engine.unsaid(decision.warnings):
            log.warning("%s (decision %s)", warning, decision.id)
        flow.comment = f"{arrow} · {decision.reason}"

    def _keeper(self, action: Action, decision: Decision) -> Callable[[bytes, str], None]:
        """What keeps the answer to an action, by the settings that are in force when it has come."""

        def keep(data: bytes, content_type: str) -> None:
            cache = self.engine.cache if self.engine else None
            if cache is not None and action.place:
                kept = Kept(data, content_type, decision.id, literal=cache_key.is_signed(data))
                cache.keep(action.place, kept)

        return keep

    async def _repeat(self, flow: http.HTTPFlow, action: Action, kept: Kept) -> None:
        """Answer with what was kept. If that fails, the request goes upstream as any other."""
        assert action.answer is not None
        try:
            response = await action.answer.repeated(kept.data, kept.content_type)
        except Exception as error:
            log.warning("a kept answer cannot be given again, the request goes on: %s", error)
            failed = replace(action.answer.decision, cache="off", cache_detail=cache_key.FAILED)
            action.answer.decision = failed
            return
        decision = action.answer.decision
        self.actions.pop(flow.id, None)
        self.routes.pop(flow.id, None)
        action.served(decision)
        flow.comment += " · from the cache"
        flow.response = response

    def _pass(self, flow: http.HTTPFlow, action: Action) -> None:
        """Send on what was not understood, without the router's headers."""
        self.actions.pop(flow.id, None)
        self._route(flow, Straight(action.outgoing(None)))

    def _route(self, flow: http.HTTPFlow, route: Straight) -> None:
        """Where mitmproxy's own layer is at work, what is sent is the flow's request itself."""
        if self._uninstall is not None:
            self.routes[flow.id] = route
            return
        flow.request.path = route.request.path
        flow.request.headers = route.request.headers
        flow.request.raw_content = route.request.raw_content

    def _refuse(self, flow: http.HTTPFlow, action: Action, status: int, message: str) -> None:
        self.actions.pop(flow.id, None)
        body = action.surface.error_body(status, message)
        flow.response = http.Response.make(status, body, {"content-type": "application/json"})

    # --- answer -------------------------------------------------------------------------

    async def router_verdict(self, flow: http.HTTPFlow) -> None:
        """An attempt has no answer, or one to be judged: what comes next."""
        route = self.routes.get(flow.id)
        if isinstance(route, Attempts):
            await route.verdict()

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Answers to actions are followed from here on; everything else on these hosts only passes."""
        assert flow.response is not None
        action, route = self.actions.get(flow.id), self.routes.get(flow.id)
        if action and action.answer:
            flow.response.stream = False
            if route and route.opened:  # who serves is not known yet
                route.opening = await action.answer.open(flow.response)
                return
            await action.answer.head(flow)
            if flow.response.status_code < 300:
                action.served(action.answer.decision)
        elif (spoken := self._spoken(flow)) and not flow.response.stream:
            flow.response.stream = not model_list.is_list(flow, spoken)

    async def response(self, flow: http.HTTPFlow) -> None:
        """The answer is complete; a stream's last bytes have gone already."""
        action = self.actions.get(flow.id)
        if action and action.answer:
            await action.answer.body(flow)
        elif action is None and self.engine and model_list.is_list(flow, self._spoken(flow)):
            model_list.extend(flow, self._spoken(flow), self.engine.settings)
        self.actions.pop(flow.id, None)
        self.routes.pop(flow.id, None)
        self.own.pop(flow.id, None)  # where another addon has answered

    def error(self, flow: http.HTTPFlow) -> None:
        """The client has gone, or the provider cannot be reached or broke off."""
        self._finish(flow.id, flow.error.msg if flow.error else "unknown error")

    def _finish(self, flow_id: str, message: str) -> None:
        action = self.actions.pop(flow_id, None)
        self.routes.pop(flow_id, None)
        self.own.pop(flow_id, None)
        if action and action.answer:
            action.answer.failed(message)

    # --- commands -----------------------------------------------------------------------

    @command.command("router.cache.clear")  # type: ignore[untyped-decorator]
    def clear_cache(self) -> None:
        """Forget every answer that is kept to be given again."""
        if self.engine is None or self.engine.cache is None:
            log.warning("router.cache.clear: router_cache is off, no answers are kept")
            return
        log.info("router.cache.clear: %d kept answers forgotten", self.engine.cache.clear())

    # --- helpers ------------------------------------------------------------------------

    def _spoken(self, flow: http.HTTPFlow) -> tuple[str, ...]:
        """The surfaces of the request's host; none for a host that we do not know."""
        if self.engine is None:
            return ()
        found = (name for host in _hosts(flow) for name in self.engine.settings.surfaces_of(*host))
        return tuple(dict.fromkeys(found))

    def _recognise(self, flow: http.HTTPFlow, method: str = "") -> tuple[Surface, str] | None:
        assert self.engine is not None
        request = flow.request
        found = (
            self.engine.recognise(*host, method or request.method, request.path) for host in _hosts(flow)
        )
        return next(filter(None, found), None)

    def _surface_of_host(self, flow: http.HTTPFlow) -> Surface:
        return surfaces()[self._spoken(flow)[0]]

    def _watch_config(self) -> None:
        """Take up a changed router.yaml: a look at the clock on most calls, one `stat` a second."""
        now = time.monotonic()
        if self.engine and now - self._config_checked >= CONFIG_CHECK_S:
            self._config_checked = now
            if self.engine.settings.fingerprint() != self._config_seen:
                self._reconfigure()


class _Either(Container[str]):
    """What is in one of several tables."""

    def __init__(self, *tables: Container[str]) -> None:
        self._tables = tables

    def __contains__(self, key: object) -> bool:
        return any(key in table for table in self._tables)


def _set_by_user(option: str) -> bool:
    """Was this option set at all, be it to its default? mitmproxy's `has_changed` cannot tell."""
    entry = ctx.options._options.get(option)
    return entry is not None and entry.value is not optmanager.unset


def _hosts(flow: http.HTTPFlow) -> tuple[tuple[str, int], ...]:
    """Where the client wants to go, by the name that it gave, and by the address that it connects to."""
    request = flow.request
    named, reached = (request.pretty_host, request.port), (request.host, request.port)
    return (named,) if named == reached else (named, reached)


def _no_socket(surface: Surface) -> http.Response:
    """What goes through a WebSocket cannot be routed; told so, clients go on with plain requests at once."""
    body = surface.error_body(426, "Pointsman routes plain requests: POST to the same path instead")
    headers = {"content-type": "application/json", "upgrade": "HTTP/1.1", "connection": "upgrade"}
    return http.Response.make(426, body, headers)


def _opens_socket(request: http.Request) -> bool:
    upgrade: str = request.headers.get("upgrade", "")
    return request.method == "GET" and upgrade.lower() == "websocket"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
