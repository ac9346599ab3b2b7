"""What a translated stream takes per chunk, beside the client's own provider's stream of the same words.

Both go the way of an answer, but for the database: the provider's bytes are observed, translated where they
have to be, and changed as any answer to the client is. No socket, no proxy, in this process.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mitmproxy import http
from pointsman.outgoing import Outgoing
from pointsman.surface import Transform, surfaces, translates
from pointsman.telling import SSE, Telling
from pointsman.values import Binding, Changes, Facts, Provider
from pointsman.wire import marker
from pointsman.wire.json_spans import Body

from benchmarks.measure import median, quantile
from benchmarks.report import Table
from benchmarks.traffic import SURFACES, Traffic
from benchmarks.traffic.base import DELTA, REASON, Streamed

DELTAS = 500
PAIRS = (
    ("anthropic", "openai_chat"),
    ("openai_responses", "anthropic"),
    ("gemini", "openai_chat"),
    ("openai_chat", "anthropic"),
)
"""(the client's API, the provider's): Claude Code, Codex and Gemini CLI elsewhere, an SDK at Anthropic."""

_TRAFFIC = {traffic.surface: traffic for traffic in SURFACES}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds per chunk: of each chunk, and the mean of each stream."""

    chunks: list[float]
    streams: list[float]


def table(streams: int) -> Table:
    """`streams` of each, in turn."""
    rows = []
    for client, provider in PAIRS:
        native, translated = Times([], []), Times([], [])
        for _ in range(streams):
            _time(native, _TRAFFIC[client], _TRAFFIC[client])
            _time(translated, _TRAFFIC[client], _TRAFFIC[provider])
        pairs = zip(translated.streams, native.streams, strict=True)
        ratio = median([ours / theirs for ours, theirs in pairs])
        both = (quantile(each.chunks, share) for each in (native, translated) for share in (0.5, 0.95))
        rows.append((f"{client} ← {provider}", (*(seconds * 1e6 for seconds in both), ratio)))
    columns = ("native p50", "p95", "translated p50", "p95", "ratio")
    return Table("µs per text delta of a stream, the client's API ← the provider's", columns, tuple(rows))


def _time(times: Times, client: Traffic, provider: Traffic) -> None:
    """One stream of the provider's for the client: its chunks after the marker, an event each."""
    streamed = provider.stream(DELTAS)
    transform = _transform(client, provider)
    out = _fed(transform, [*streamed.head, streamed.deltas[0]])
    taken = []
    for chunk in streamed.deltas[1:]:
        before = time.perf_counter()
        pieces = transform.feed(chunk)
        taken.append(time.perf_counter() - before)
        out += pieces
    out += [*_fed(transform, streamed.tail), *transform.flush()]
    _check(client, provider, b"".join(out), transform, streamed)
    times.chunks.extend(taken)
    times.streams.append(sum(taken) / len(taken))


def _fed(transform: Transform, chunks: Iterable[bytes]) -> list[bytes]:
    return [piece for chunk in chunks for piece in transform.feed(chunk)]


def _transform(client: Traffic, provider: Traffic) -> Transform:
    surface, path = surfaces()[client.surface], client.path(True)
    body = Body.parse(client.turn("x", stream=True))
    facts = surface.read_facts(body, client.headers, path, "generate")
    asked = surface.ask(body, facts) if client is provider else []
    text, comment = marker.make(provider.served, REASON), marker.comment(provider.served, REASON)
    shown = Changes(
        requested_model=client.requested,
        marker_text=text if client.mode == "text" else None,
        comment=comment if client.mode == "comment" else None,
        x_router={"decision": "x"},
        added=frozenset(item.parameter for item in asked),
    )
    telling = Telling(surface, facts, shown, "0bench", client.requested, 1_795_000_000)
    made = telling.follow(SSE, _outgoing(client, provider, facts))
    assert made is not None
    return made


def _outgoing(client: Traffic, provider: Traffic, facts: Facts) -> Outgoing | None:
    """What was sent to the other provider; None where it is the client's own."""
    if client is provider:
        return None
    surface = surfaces()[client.surface]
    assert translates(surface)
    body = Body.parse(client.turn("x", stream=True))
    surface.strip(body)
    conversation = surface.read_request(body, client.path(True), client.headers)
    binding = Binding(Provider("there", provider.surface, f"https://{provider.host}"), provider.served)
    request = http.Request.make("POST", f"https://{provider.host}{provider.path(True)}")
    there = surfaces()[provider.surface]
    return Outgoing(binding, there, replace(facts, choices=1), request, conversation=conversation)


def _check(client: Traffic, provider: Traffic, out: bytes, transform: Transform, streamed: Streamed) -> None:
    """Did the client get every word, its marker and the name that it asked for, and was the end seen?"""
    words = out.count(f'"{DELTA}"'.encode())
    shown = client.shows_marker(out.replace(provider.served.encode(), client.served.encode()), True)
    named = client.names(client.requested, out) and not client.names(provider.served, out)
    if words != len(streamed.deltas) or not shown or not named:
        raise RuntimeError(f"{client.surface} ← {provider.surface}: the stream is not what it should be")
    seen = transform.observation
    if not (seen.complete and seen.answered_model == provider.served and seen.output_tokens):
        raise RuntimeError(f"{client.surface} ← {provider.surface}: the stream was not observed")
