"""What Pointsman answers itself: the paths of http://router.local, through the proxy.

The name exists nowhere else: it is never looked up, and never connected to. A path more is a function, and a
line in ENDPOINTS.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from mitmproxy import http
from mitmproxy.net.http import url

from pointsman import __version__, dry_run
from pointsman.action import Action, Embed
from pointsman.dry_run import as_json, refusal
from pointsman.engine import Engine
from pointsman.errors import BodyError, ClientError
from pointsman.surface import Surface
from pointsman.wire import encoding
from pointsman.wire.json_spans import Body

HOST = "router.local"
SURFACE_HEADER = "x-router-surface"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a path of ours. `embed` is as for an Action."""

    request: http.Request
    engine: Engine
    embed: Embed


def is_ours(host: str | None) -> bool:
    return host is not None and host.lower().rstrip(".") == HOST


def is_for_us(request: http.Request) -> bool:
    """Is the request for router.local? A reverse proxy keeps the name only in the request's first line."""
    given = (request.data.authority.decode("latin-1"), request.host, request.headers.get("host", ""))
    if not any(HOST in name.lower() for name in given):
        return False  # nearly every request; taking authorities apart costs more
    authority = url.parse_authority(request.authority, check=False)[0] if request.authority else ""
    return any(is_ours(host) for host in (request.host, request.pretty_host, authority))


async def answer(call: Call) -> http.Response:
    """The answer of the endpoint, or what is wrong with the request. Never raises."""
    if "origin" in call.request.headers:
        # A page in a browser that uses this proxy can send here. It must not learn, or do, anything.
        return refusal(403, f"{HOST} answers no web pages: a request with an Origin header is refused")
    path = call.request.path.partition("?")[0]
    methods = {method: endpoint for (method, known), endpoint in ENDPOINTS.items() if known == path}
    if not methods:
        known = ", ".join(f"{method} {path}" for method, path in ENDPOINTS)
        return refusal(404, f"there is no {path[:80]!a} at {HOST}; there is {known}")
    if call.request.method not in methods:
        wrong = refusal(405, f"{path} takes {' and '.join(methods)}, not {call.request.method[:20]!a}")
        wrong.headers["allow"] = ", ".join(methods)
        return wrong
    return await methods[call.request.method].answer(call)


# --- endpoints ----------------------------------------------------------------------------


async def _index(call: Call) -> http.Response:
    paths = {f"{method} {path}": endpoint.help for (method, path), endpoint in ENDPOINTS.items()}
    shelf = call.engine.pipeline.shelf
    presets = {bundle.version: list(bundle.presets) for bundle in (shelf.default, *shelf.others)}
    known = {"pointsman": __version__, "bundle": shelf.default.version, "presets": presets}
    return as_json(200, known | {"endpoints": paths})


async def _route(call: Call) -> http.Response:
    """What would be decided for the body, with the request's own router headers and credential."""
    surface: Surface | None = None
    try:
        asking = _asking(call.request)
        surface = dry_run.named_surface(asking)
        coding = call.request.headers.get("content-encoding", "")
        limit = call.engine.settings.max_body_bytes
        body = Body.parse(encoding.decode(call.request.raw_content or b"", coding, limit))
        surface = dry_run.surface_of(body, asking, call.engine.settings.catalogue)
        request = dry_run.request_of(surface, body, call.request.headers, asking)
    except (ClientError, BodyError) as error:
        return refusal(*dry_run.fault(error), surface)
    action = Action(surface, "generate", call.engine, request, "", time.monotonic())
    return await dry_run.answer(action, call.embed)


async def _clear_cache(call: Call) -> http.Response:
    """Forget the kept answers of everybody."""
    cache = call.engine.cache
    forgotten = 0 if cache is None else cache.clear()
    return as_json(200, {"cache": call.engine.settings.cache, "forgotten": forgotten})


def _asking(request: http.Request) -> dry_run.Asking:
    given = dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
    if unknown := given.keys() - {"surface", "model"}:
        raise ClientError(f"{min(unknown)[:40]!a} is no parameter of this path; there are surface and model")
    header = request.headers.get(SURFACE_HEADER, "").strip()
    surface = given.get("surface", "").strip() or header
    if header and header != surface:
        raise ClientError(f"?surface= and {SURFACE_HEADER} contradict each other; send one of them")
    return dry_run.Asking(surface, given.get("model", ""))


@dataclass(frozen=True, slots=True)
class Endpoint:
    answer: Callable[[Call], Awaitable[http.Response]]
    help: str


ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", "/"): Endpoint(_index, "what there is"),
    ("POST", "/v1/route"): Endpoint(
        _route, "decide the request in the body and send nothing; ?surface= and ?model= say what it does not"
    ),
    ("POST", "/v1/cache/clear"): Endpoint(_clear_cache, "forget every answer that is kept"),
}
