"""What parts of the product take by themselves: no socket, no proxy, in this process."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from mitmproxy import http
from pointsman import cache_key, paths
from pointsman.action import Action
from pointsman.answer import Answer
from pointsman.catalogue import Catalogue
from pointsman.embedding import Embedder, Vector
from pointsman.engine import Engine
from pointsman.options import build
from pointsman.scoring import cluster, dial
from pointsman.scoring.bundle import Bundle, load_bundle
from pointsman.scoring.knobs import NOTHING, Overrides
from pointsman.semantic_cache import Kept, Limits, Place, SemanticCache
from pointsman.store import Store
from pointsman.surface import Transform, surfaces
from pointsman.values import Changes, CredentialKind, Decision, Outcome, TurnKind, Usage
from pointsman.wire import marker
from pointsman.wire.json_spans import Body
from pointsman.wire.observation import Observation

from benchmarks.measure import seconds, seconds_each, seconds_per_item
from benchmarks.texts import prompt
from benchmarks.traffic import ANTHROPIC, GEMINI, Traffic
from benchmarks.traffic.base import ANSWERS, REASON, Streamed

DIM = 384
_SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often each figure is taken."""

    short: int
    long: int


FULL, QUICK = Repeats(short=400, long=150), Repeats(short=80, long=30)


# --- scoring ------------------------------------------------------------------------------


def scoring(folder: Path, k: int, models: int, repeats: Repeats, asked: Overrides = NOTHING) -> list[float]:
    """Seconds of one cluster decision for a vector at hand, all models deployed, knobs as before."""
    bundle = _bundle(folder, k, models)
    vectors = itertools.cycle(_unit(np.random.default_rng(2), 64))
    deployed, eligible = bundle.models, bundle.models[: models - 1]

    def once() -> None:
        knobs = dial.effective(bundle, asked, deployed=deployed, eligible=eligible)
        cluster.score(bundle, next(vectors), knobs, deployed=deployed, eligible=eligible)

    return seconds_each(once, 20, repeats.short)


def calibrating(folder: Path, k: int, models: int, repeats: Repeats) -> list[float]:
    """Seconds until the dial is known for models and knobs that no request had before."""
    bundle = _bundle(folder, k, models)
    lengths = itertools.count(1)

    def once() -> None:
        asked = Overrides(quality_bias=0.5, expected_output_tokens=next(lengths))
        dial.effective(bundle, asked, eligible=bundle.models[: models - 1])

    return seconds(once, repeats.long // 5)


def _unit(random: np.random.Generator, count: int) -> np.ndarray:
    rows = random.normal(size=(count, DIM)).astype("<f4")
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


_VECTORS = _unit(np.random.default_rng(3), 64)


def _bundle(folder: Path, k: int, models: int) -> Bundle:
    """A random v2 bundle in which everything is known, written and loaded as any other."""
    random = np.random.default_rng(1)
    directory = folder / f"bundle-{k}x{models}"
    directory.mkdir(exist_ok=True)
    names = [f"model-{index:03d}" for index in range(models)]
    quality = {str(row): {name: float(random.random()) for name in names} for row in range(k)}
    axes = {
        name: {
            "input_per_1k_usd": float(random.random()),
            "output_per_1k_usd": float(random.random()),
            "ttft_s": float(random.random()),
            "tps": float(random.random()) + 0.1,
            "verbosity_tokens": 500.0,
        }
        for name in names
    }
    knobs = {"alpha": [0.5] * k, "speed_weight": 0.1, "output_cost_ratio": 0.3}
    metadata = {
        "format_version": 2,
        "version": "v0",
        "embedder": {"model": "random", "embed_dim": DIM, "max_tokens": 256},
        "training": {"k": k, "top_p": 4, "default_routing_knobs": knobs},
    }
    registry = [{"model": name, "provider": "grove", "bench_column": name} for name in names]
    centroids = b"CRT1" + struct.pack("<III", 1, k, DIM) + _unit(random, k).tobytes()
    (directory / "centroids.bin").write_bytes(centroids)
    (directory / "quality_means.json").write_text(json.dumps({"meta": {}, "quality_means": quality}))
    (directory / "model_axes.json").write_text(json.dumps({"meta": {}, "axes": axes}))
    (directory / "model_registry.json").write_text(json.dumps({"deployed_models": registry}))
    (directory / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return load_bundle(directory)


def embedding(tokens: int, repeats: Repeats) -> list[float]:
    """Seconds of one new text of that many tokens."""
    embedder = Embedder(paths.bundles_dir() / "embedder")
    texts = (prompt(seed, tokens) for seed in itertools.count(50_000))
    return seconds(lambda: embedder.embed(next(texts)), repeats.long)


# --- a large request ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Large:
    """Seconds for one 500 KB agent request of so many bytes."""

    size: int
    rewrite: list[float]  # parse, facts, strip, model
    adapt: list[float]  # the same, made to fit a model that lacks much


def large(traffic: Traffic, repeats: Repeats) -> Large:
    data = traffic.agent()
    return Large(
        size=len(data),
        rewrite=seconds(lambda: _rewrite(traffic, data, adapted=False), repeats.long),
        adapt=seconds(lambda: _rewrite(traffic, data, adapted=True), repeats.long),
    )


def all_marked(traffic: Traffic, repeats: Repeats) -> list[float]:
    """As `Large.rewrite`, with a marker in every answer of the history."""
    data = traffic.agent(ANSWERS)
    return seconds(lambda: _rewrite(traffic, data, adapted=False), repeats.long)


_MODELS = Catalogue.load()


def _rewrite(traffic: Traffic, data: bytes, *, adapted: bool) -> bytes:
    surface, target = surfaces()[traffic.surface], _MODELS.resolve(traffic.served)
    assert target
    body = Body.parse(data)
    stripped = surface.strip(body)
    path = traffic.path(True)
    facts = surface.read_facts(body, traffic.headers, path, "generate")
    if adapted:
        facts = replace(facts, thinking_default=_thinking_default(traffic))
        if surface.ineligible(facts, target) or not surface.adapt(body, facts, target):
            raise RuntimeError(f"{traffic.surface}: nothing was adapted to {traffic.served}")
    path = surface.set_model(body, path, traffic.served)
    made = body.render()
    if not stripped or traffic.asked_model(path, made) != traffic.served:
        raise RuntimeError(f"{traffic.surface}: no marker was found in the request, or its model not set")
    return made


def _thinking_default(traffic: Traffic) -> str | None:
    requested = _MODELS.resolve(traffic.requested)
    assert requested
    given: str | None = requested.capabilities.get("thinking_default")
    return given


def hook(folder: Path, traffic: Traffic, repeats: Repeats) -> list[float]:
    """Everything between the client's last byte and ours, mid tool loop."""
    engine = Engine.open(build(_Options(str(folder / "hook.sqlite"))))
    request = _request(traffic, traffic.agent())
    loop = asyncio.new_event_loop()

    async def embed(text: str) -> Vector:
        raise RuntimeError("a tool loop needs no vector")

    async def once() -> None:
        action = Action(surfaces()[traffic.surface], "generate", engine, request, "client", 0.0)
        action.outgoing(await action.decide(embed))

    try:
        return seconds(lambda: loop.run_until_complete(once()), repeats.long)
    finally:
        loop.close()
        engine.close()


def _request(traffic: Traffic, data: bytes) -> http.Request:
    fields = [(name.encode(), value.encode()) for name, value in traffic.headers.items()]
    url = f"https://{traffic.host}{traffic.path(True)}"
    return http.Request.make("POST", url, data, http.Headers(fields))


@dataclass(frozen=True, slots=True)
class _Options:
    router_db: str


# --- the cache ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cached:
    """Seconds for one look into the cache, or one answer more, by how full it is."""

    answers: int
    found: list[float]
    missed: list[float]
    kept: list[float]


def full_bucket(repeats: Repeats) -> Cached:
    """One caller with as many answers in one bucket as there may be."""
    limits = Limits()
    return _cached(limits, [_place(0, 0, number) for number in range(limits.answers)], repeats)


def full_cache(repeats: Repeats) -> Cached:
    """As many callers as there may be, with small answers up to the last byte."""
    limits = Limits()
    each = limits.total_bytes // limits.callers // Kept(_ANSWER, _SSE, "d").size
    numbers = range(each)
    places = [_place(caller, number % 7, number) for caller in range(limits.callers) for number in numbers]
    return _cached(limits, places, repeats)


_ANSWER = b"x" * 400


def _place(caller: int, knobs: int, number: int) -> Place:
    bucket = ("anthropic", 3, "v0.1", f"{knobs:016x}")
    return Place(f"{caller:016x}@host", bucket, number.to_bytes(16), b"words", _VECTORS[number % 64], 0.95)


def _cached(limits: Limits, places: list[Place], repeats: Repeats) -> Cached:
    cache = SemanticCache(limits, lambda: 0.0)
    for place in places:
        cache.keep(place, Kept(_ANSWER, _SSE, "d"))
    if len(cache) != len(places):
        raise RuntimeError(f"{len(cache)} of {len(places)} answers were kept")
    known, others, more = (itertools.cycle(places), itertools.cycle(places), itertools.count(len(places)))

    def find() -> None:
        if cache.find(next(known)) is None:
            raise RuntimeError("a kept answer was not found")

    def miss() -> None:
        if cache.find(replace(next(others), rest=b"another")) is not None:
            raise RuntimeError("an answer was found that nobody kept")

    found, missed = seconds_each(find, 20, repeats.short), seconds_each(miss, 20, repeats.short)

    def keep() -> None:
        cache.keep(_place(5, 5, next(more)), Kept(_ANSWER, _SSE, "d"))

    kept = seconds_each(keep, 5, repeats.short)
    return Cached(len(places), found, missed, kept)


def cache_key_of(traffic: Traffic, repeats: Repeats) -> list[float]:
    """Seconds for the digest of all that has to be equal in a 500 KB agent request."""
    data = traffic.agent()
    surface = surfaces()[traffic.surface]
    facts = surface.read_facts(Body.parse(data), traffic.headers, traffic.path(True), "generate")
    decision = decision_of(1)

    def once() -> bytes:
        if why := cache_key.left_out(replace(facts, tool_loop=False), decision, data):
            raise RuntimeError(why)
        return cache_key.rest(facts, decision, traffic.headers, ("https",), data)

    return seconds(once, repeats.long)


# --- a stream -----------------------------------------------------------------------------

DELTAS = 500


def stream(traffic: Traffic, repeats: Repeats, *, marked: bool) -> list[float]:
    """Seconds per chunk after the marker, or where it would stand, one event a chunk."""
    streamed = traffic.stream(DELTAS)
    return [_stream(traffic, streamed, marked=marked) for _ in range(repeats.long)]


def array_stream(repeats: Repeats) -> list[float]:
    """The same for Gemini's stream that is one JSON array, which has no marker."""
    streamed = GEMINI.array(DELTAS)
    return [_stream(GEMINI, streamed, marked=False, array=True) for _ in range(repeats.long)]


def bytewise_stream(traffic: Traffic, repeats: Repeats) -> list[float]:
    """The same with a marker, one byte a chunk."""
    streamed = traffic.stream(DELTAS)
    bytes_ = [bytes([byte]) for byte in b"".join(streamed.deltas[:50])]
    streamed = replace(streamed, deltas=[streamed.deltas[0], *bytes_])
    few = max(repeats.long // 5, 10)
    return [_stream(traffic, streamed, marked=True) for _ in range(few)]


def _stream(traffic: Traffic, streamed: Streamed, *, marked: bool, array: bool = False) -> float:
    transform = _transform(traffic, marked=marked, array=array)
    begun = _begin(transform.feed, streamed)
    taken = seconds_per_item(transform.feed, streamed.deltas[1:])
    last = [streamed.deltas[-1], *streamed.tail] if len(streamed.deltas[-1]) > 1 else streamed.tail
    rest = b"".join(piece for chunk in last for piece in transform.feed(chunk))
    rest += b"".join(transform.flush())
    _check(traffic, begun, rest, transform.observation, marked=marked)
    return taken


def _begin(feed: Callable[[bytes], Iterable[bytes] | bytes], streamed: Streamed) -> bytes:
    """What comes until the marker is out."""
    given = (feed(chunk) for chunk in [*streamed.head, streamed.deltas[0]])
    return b"".join(part if isinstance(part, bytes) else b"".join(part) for part in given)


def _transform(traffic: Traffic, *, marked: bool, array: bool) -> Transform:
    surface, path = surfaces()[traffic.surface], GEMINI.array_path() if array else traffic.path(True)
    body = Body.parse(traffic.turn("x", stream=True))
    facts = surface.read_facts(body, traffic.headers, path, "generate")
    asked = frozenset(item.parameter for item in surface.ask(body, facts))
    text = marker.make(traffic.served, REASON) if marked else None
    comment = None if marked or traffic is GEMINI else "comment"
    changes = Changes(traffic.requested, text, comment, {"decision": "x"}, asked)
    made = surface.stream("application/json" if array else _SSE, facts, changes)
    assert made
    return made


def _check(traffic: Traffic, begun: bytes, rest: bytes, seen: Observation, *, marked: bool) -> None:
    """Was done what is timed: the marker shown or not, the model renamed, the end and its usage seen?"""
    shown = marker.SENTINEL.encode() in begun
    renamed = traffic.names(traffic.requested, begun) and not traffic.names(traffic.served, begun + rest)
    if shown != marked or not renamed:
        raise RuntimeError(f"{traffic.surface}: the stream was not changed as it should be")
    if not (seen.complete and seen.answered_model == traffic.served and seen.output_tokens):
        raise RuntimeError(f"{traffic.surface}: the stream was not observed")


def stream_hook(folder: Path, traffic: Traffic, repeats: Repeats) -> list[float]:
    """Seconds per chunk of the function that mitmproxy calls."""
    made = Store(folder / "stream.sqlite")
    try:
        return [_stream_hook(made, traffic) for _ in range(repeats.long)]
    finally:
        made.close()


def _stream_hook(store: Store, traffic: Traffic) -> float:
    decision = replace(decision_of(next(_ids)), marker="text")
    surface = surfaces()[traffic.surface]
    body = Body.parse(traffic.short("x"))
    facts = surface.read_facts(body, traffic.headers, traffic.path(True), "generate")
    answer = Answer(decision, facts, surface, store, _MODELS, lambda: 0.0, 0.0, lambda _: None)
    flow = http.HTTPFlow(None, None)  # type: ignore[arg-type]
    flow.request = _request(traffic, b"")
    flow.response = http.Response.make(200, b"", {"content-type": _SSE})
    asyncio.run(answer.head(flow))
    feed = flow.response.stream
    assert callable(feed)
    streamed = traffic.stream(DELTAS)
    _begin(feed, streamed)
    return seconds_per_item(feed, streamed.deltas[1:])


# --- the store ----------------------------------------------------------------------------

_ids = itertools.count(1)


def store(folder: Path, repeats: Repeats) -> tuple[list[float], list[float]]:
    """Seconds until a decision and its outcome are committed: waiting, and awaiting as the addon does."""
    made = Store(folder / "store.sqlite")
    loop = asyncio.new_event_loop()
    usage = Usage(input_tokens=7_500, output_tokens=40)
    outcome = Outcome(status=200, message_id="msg_1", usage=usage, cost_usd=0.01, ttfb_ms=2.0)

    def submit() -> Future[None]:
        decision = decision_of(next(_ids))
        made.record(decision)
        return made.update(decision.id, outcome)

    async def awaited() -> None:
        await asyncio.wait_for(asyncio.wrap_future(submit()), 1.0)

    try:
        waiting = seconds(lambda: submit().result(), repeats.short * 5)
        return waiting, seconds(lambda: loop.run_until_complete(awaited()), repeats.short * 5)
    finally:
        loop.close()
        made.close()


def decision_of(number: int) -> Decision:
    return Decision(
        id=f"{number:022x}",
        at=1_795_000_000.0 + number,
        surface="anthropic",
        endpoint="generate",
        client="claude-code",
        turn=TurnKind.MAIN,
        session=f"{number % 500:032x}",
        credential_kind=CredentialKind.API_KEY,
        credential_fingerprint="00ff" * 4,
        requested_model=ANTHROPIC.requested,
        served_model=ANTHROPIC.served,
        previous_model=None,
        provider="anthropic",
        host="api.anthropic.com",
        stream=True,
        strategy="cluster",
        reason=REASON,
        clusters=((3, 0.6), (7, 0.5), (1, 0.4), (9, 0.3)),
        marker="text",
    )
