"""What parts of the product take by themselves: no socket, no proxy, in this process."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from mitmproxy import http
from pointsman import paths
from pointsman.action import Action
from pointsman.answer import Answer
from pointsman.catalogue import Catalogue
from pointsman.embedding import Embedder, Vector
from pointsman.engine import Engine
from pointsman.options import build
from pointsman.scoring import cluster
from pointsman.scoring.bundle import Bundle, load_bundle
from pointsman.store import Store
from pointsman.surface import surfaces
from pointsman.values import Changes, CredentialKind, Decision, Outcome, TurnKind, Usage
from pointsman.wire import anthropic, marker
from pointsman.wire.json_spans import Body

from benchmarks import bodies
from benchmarks.measure import seconds, seconds_each, seconds_per_item

DIM = 384
HEADERS = {"x-api-key": "sk-ant-api03-bench", "user-agent": "claude-cli/2.1.0 (external, cli)"}
_FIELDS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often each figure is taken."""

    short: int
    long: int


FULL, QUICK = Repeats(short=400, long=150), Repeats(short=80, long=30)


# --- scoring ------------------------------------------------------------------------------


def scoring(folder: Path, k: int, models: int, repeats: Repeats) -> list[float]:
    """Seconds of one cluster decision for a vector at hand, all models deployed, knobs as before."""
    bundle = _bundle(folder, k, models)
    vectors = itertools.cycle(_unit(np.random.default_rng(2), 64))
    eligible = bundle.models[: models - 1]
    return seconds_each(
        lambda: cluster.score(bundle, next(vectors), deployed=bundle.models, eligible=eligible),
        20,
        repeats.short,
    )


def _unit(random: np.random.Generator, count: int) -> np.ndarray:
    rows = random.normal(size=(count, DIM)).astype("<f4")
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _bundle(folder: Path, k: int, models: int) -> Bundle:
    """A random v2 bundle in which everything is known, written and loaded as any other."""
    random = np.random.default_rng(1)
    directory = folder / f"bundle-{k}x{models}"
    directory.mkdir()
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
    texts = (bodies.prompt(seed, tokens) for seed in itertools.count(50_000))
    return seconds(lambda: embedder.embed(next(texts)), repeats.long)


# --- a large request ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Large:
    """Seconds for one 500 KB agent request of so many bytes."""

    size: int
    rewrite: list[float]  # parse, facts, strip, model
    adapt: list[float]  # the same, made to fit a model that lacks much
    marked: list[float]  # as rewrite, with a marker in every answer of the history
    hook: list[float]  # the whole of `request`: credential, session, decision, outgoing request


def large(folder: Path, repeats: Repeats) -> Large:
    data, marked = bodies.agent(10), bodies.agent(bodies.AGENT_MESSAGES // 2)
    return Large(
        size=len(data),
        rewrite=seconds(lambda: _rewrite(data, adapted=False), repeats.long),
        adapt=seconds(lambda: _rewrite(data, adapted=True), repeats.long),
        marked=seconds(lambda: _rewrite(marked, adapted=False), repeats.long),
        hook=_hook(folder, data, repeats),
    )


_TARGET = Catalogue.load().resolve(bodies.SERVED)


def _rewrite(data: bytes, *, adapted: bool) -> bytes:
    assert _TARGET
    body = Body.parse(data)
    stripped = anthropic.strip(body)
    facts = anthropic.read_facts(body, HEADERS, "/", "generate")
    if adapted:
        anthropic.adapt(body, replace(facts, thinking_default="off"), _TARGET)
    anthropic.set_model(body, "/", bodies.SERVED)
    if not stripped:
        raise RuntimeError("no marker was found in the request")
    return body.render()


def _hook(folder: Path, data: bytes, repeats: Repeats) -> list[float]:
    """Everything between the client's last byte and ours, mid tool loop."""
    engine = Engine.open(build(_Options(str(folder / "hook.sqlite"))))
    request = http.Request.make("POST", "https://api.anthropic.com/v1/messages", data, http.Headers(_FIELDS))
    loop = asyncio.new_event_loop()

    async def embed(text: str) -> Vector:
        raise RuntimeError("a tool loop needs no vector")

    async def once() -> None:
        action = Action(surfaces()["anthropic"], "generate", engine, request, "client", 0.0)
        action.outgoing(await action.decide(embed))

    try:
        return seconds(lambda: loop.run_until_complete(once()), repeats.long)
    finally:
        loop.close()
        engine.close()


@dataclass(frozen=True, slots=True)
class _Options:
    router_db: str


# --- a stream -----------------------------------------------------------------------------

MARKER = marker.make(bodies.SERVED, "best for this kind of prompt")
DELTAS = 500


@dataclass(frozen=True, slots=True)
class Stream:
    """Seconds per chunk after the marker, one event a chunk unless it says bytes."""

    marker: list[float]  # text marker: every event is renumbered
    comment: list[float]  # no text marker: events only pass
    bytewise: list[float]  # one byte a chunk, renumbered
    hook: list[float]  # the function that mitmproxy calls for each chunk


def stream(folder: Path, repeats: Repeats) -> Stream:
    few = max(repeats.long // 5, 10)
    store = Store(folder / "stream.sqlite")
    try:
        return Stream(
            marker=[_stream(_transform(MARKER), False) for _ in range(repeats.long)],
            comment=[_stream(_transform(None), False) for _ in range(repeats.long)],
            bytewise=[_stream(_transform(MARKER), True) for _ in range(few)],
            hook=[_stream_hook(store) for _ in range(repeats.long)],
        )
    finally:
        store.close()


def _transform(text: str | None) -> anthropic.StreamTransform:
    comment = None if text else "comment"
    return anthropic.StreamTransform(Changes(bodies.REQUESTED, text, comment, {"decision": "x"}))


def _chunks(bytewise: bool) -> tuple[list[bytes], list[bytes]]:
    """What comes until the marker is out, and the deltas after it."""
    events = bodies.stream_events(DELTAS)
    head, deltas = events[:4], events[4 : DELTAS + 3]
    return head, [bytes([byte]) for byte in b"".join(deltas[:50])] if bytewise else deltas


def _stream(transform: anthropic.StreamTransform, bytewise: bool) -> float:
    head, rest = _chunks(bytewise)
    for chunk in head:
        transform.feed(chunk)
    return seconds_per_item(transform.feed, rest)


def _stream_hook(store: Store) -> float:
    decision = replace(decision_of(next(_ids)), marker="text")
    facts = anthropic.read_facts(Body.parse(bodies.short("x")), HEADERS, "/", "generate")
    answer = Answer(decision, facts, surfaces()["anthropic"], store, Catalogue.load(), lambda: 0.0, 0.0, str)
    request = http.Request.make("POST", "https://api.anthropic.com/v1/messages", b"", http.Headers(_FIELDS))
    flow = http.HTTPFlow(None, None)  # type: ignore[arg-type]
    flow.request = request
    flow.response = http.Response.make(200, b"", {"content-type": "text/event-stream"})
    asyncio.run(answer.head(flow))
    feed = flow.response.stream
    assert callable(feed)
    head, rest = _chunks(False)
    for chunk in head:
        feed(chunk)
    return seconds_per_item(feed, rest)


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
        requested_model=bodies.REQUESTED,
        served_model=bodies.SERVED,
        previous_model=None,
        provider="anthropic",
        host="api.anthropic.com",
        stream=True,
        strategy="cluster",
        reason="best for this kind of prompt",
        clusters=((3, 0.6), (7, 0.5), (1, 0.4), (9, 0.3)),
        marker="text",
    )
