"""Any answer, written in one API's words and read again, is the same but for what is declared as lost."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman.surface import surfaces
from pointsman.wire.neutral import (
    CallArguments,
    CallStart,
    Counts,
    End,
    Event,
    Reasoning,
    Refusal,
    Request,
    Start,
    Stop,
    StopReason,
    Text,
    Thinking,
    Tool,
)
from pointsman.wire.translate import translate_body, translation
from pointsman.wire.translation.answer_losses import PASSED_OVER, UNSAID
from streams.translated.golden import SURFACES

TOOLS = ("get_signal", "set_point", "exec")
FREE = ("openai_chat", "openai_responses")
"""Whose requests can have custom tools; exec is one there, in Codex' namespace."""


def request(client: str) -> Request:
    space = "functions" if client in FREE else ""
    offered = (Tool(TOOLS[0]), Tool(TOOLS[1]), Tool(TOOLS[2], custom=client in FREE, namespace=space))
    return Request("asked-model", (), tools=offered, reasoning=Reasoning(on=True, shown=True))


# --- answers ----------------------------------------------------------------------------------

words = st.one_of(
    st.sampled_from([" ", "\n\n"]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
)
counts = st.integers(0, 9_999)
values = st.one_of(st.integers(-9, 9), words, st.none(), st.lists(words, max_size=2))
arguments = st.dictionaries(words, values, max_size=3)


def cut(text: str, places: Iterable[int]) -> list[str]:
    at = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(at)]


@st.composite
def answers(draw: Any) -> list[Event]:
    """Texts, thoughts and calls, the arguments of neighbouring calls interleaved."""
    events: list[Event] = [Start("id", "model")]
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["text", "text", "thinking", "calls"]), max_size=5)):
        if kind == "text":
            events.append(Text(draw(words)))
        elif kind == "thinking":
            events.append(Thinking(draw(words)))
        else:
            made = [CallStart(calls + n, f"call_{calls + n}", draw(st.sampled_from(TOOLS))) for n in range(2)]
            texts = [json.dumps(draw(_given(call.name)), ensure_ascii=draw(st.booleans())) for call in made]
            pieces = [cut(text, draw(st.lists(st.integers(0, 99), max_size=3))) for text in texts]
            events += made
            for fragments in zip(*(part + [""] * (5 - len(part)) for part in pieces), strict=True):
                events += [
                    CallArguments(calls + n, fragment) for n, fragment in enumerate(fragments) if fragment
                ]
            calls += 2
    if draw(st.booleans()):
        events.append(Refusal(draw(words)))
    cached, reasoning = draw(counts), draw(counts)
    events.append(Counts(draw(counts), draw(counts) + reasoning, cached, draw(counts), reasoning))
    return [*events, Stop(_reason(draw, events, calls)), End()]


def _given(name: str) -> Any:
    return st.fixed_dictionaries({"input": words}) if name == "exec" else arguments


def _reason(draw: Any, events: list[Event], calls: int) -> StopReason:
    if any(isinstance(event, Refusal) for event in events):
        return StopReason.REFUSAL
    ended = StopReason.CALLS if calls else StopReason.END
    others = [reason for reason in StopReason if reason not in (StopReason.END, StopReason.CALLS)]
    chosen: StopReason = draw(st.sampled_from([ended, ended, *others]))
    return chosen


# --- what is compared -------------------------------------------------------------------------


def told(events: Iterable[Event], *, free: bool) -> list[Any]:
    """An answer without its splits: pieces joined, calls whole, counts last. `free`: exec takes free text."""
    said: list[Any] = []
    calls: dict[int, list[Any]] = {}
    last, stop = Counts(), None
    for event in events:
        if isinstance(event, Text | Thinking | Refusal):
            kind = type(event).__name__
            if said and said[-1][0] == kind:
                said[-1][1] += event.text
            else:
                said.append([kind, event.text])
        elif isinstance(event, CallStart):
            calls[event.index] = ["call", event.id, event.name, ""]
            said.append(calls[event.index])
        elif isinstance(event, CallArguments):
            calls[event.index][3] += event.fragment
        elif isinstance(event, Counts):
            last = event
        elif isinstance(event, Stop):
            stop = event
    for call in calls.values():
        if call[2] != "exec" or not free:
            call[3] = json.loads(call[3])
        if call[2] == "exec" and isinstance(call[3], dict):
            call[3] = call[3]["input"]
    assert stop is not None
    return [*said, last, stop.reason]


def _without(kind: str) -> Callable[[list[Event]], list[Event]]:
    return lambda events: [event for event in events if type(event).__name__ != kind]


def _unblank(events: list[Event]) -> list[Event]:
    kept: list[Event] = []
    for is_text, group in itertools.groupby(events, lambda event: isinstance(event, Text)):
        run = list(group)
        if not is_text or "".join(event.text for event in run if isinstance(event, Text)).strip():
            kept += run
    return kept


def _as_text(events: list[Event]) -> list[Event]:
    return [Text(event.text) if isinstance(event, Refusal) else event for event in events]


def _stops(old: StopReason, new: StopReason | None = None) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        calls = any(isinstance(event, CallStart) for event in events)
        other = new or (StopReason.CALLS if calls else StopReason.END)
        return [Stop(other) if event == Stop(old) else event for event in events]

    return change


def _counted(**changed: Callable[[Counts], int | None]) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        return [
            replace(event, **{name: of(event) for name, of in changed.items()})
            if isinstance(event, Counts)
            else event
            for event in events
        ]

    return change


def _refusal_stops(events: list[Event]) -> list[Event]:
    worded = any(isinstance(event, Refusal) for event in events)
    return _as_text(_stops(StopReason.REFUSAL)(events) if worded else events)


# What each declared loss does to an answer; those that only tell how it is said do nothing.
LOST: dict[str, dict[str, Callable[[list[Event]], list[Event]]]] = {
    "anthropic": {
        "blanks": _unblank,
        "refusal": _as_text,
        "reasoning tokens": _counted(reasoning=lambda _: None),
    },
    "openai_chat": {
        "blanks": _unblank,
        "order": list,
        "thinking": _without("Thinking"),
        "context": _stops(StopReason.CONTEXT, StopReason.MAX_TOKENS),
        "stop sequence": _stops(StopReason.STOP_SEQUENCE),
        "pause": _stops(StopReason.PAUSE),
    },
    "openai_responses": {
        "blanks": _unblank,
        "context": _stops(StopReason.CONTEXT, StopReason.MAX_TOKENS),
        "stop sequence": _stops(StopReason.STOP_SEQUENCE),
        "pause": _stops(StopReason.PAUSE),
    },
    "gemini": {
        "blanks": _unblank,
        "refusal": _refusal_stops,
        "context": _stops(StopReason.CONTEXT, StopReason.MAX_TOKENS),
        "stop sequence": _stops(StopReason.STOP_SEQUENCE),
        "pause": _stops(StopReason.PAUSE),
        "cache writes": _counted(
            input=lambda counts: (counts.input or 0) + (counts.cache_write or 0), cache_write=lambda _: None
        ),
        "cut calls": list,
        "fragments": list,
    },
}


def lessened(events: list[Event], client: str) -> list[Event]:
    for name in UNSAID[client]:
        events = LOST[client][name](events)
    return events


def _plain(said: list[Any]) -> list[Any]:
    """Unknown counts and none are the same where an API has to say a number."""
    *rest, last, stop = said
    numbers = {name: getattr(last, name) or None for name in last.__slots__}
    return [*rest, numbers, stop]


def surface(name: str) -> Any:
    return surfaces()[name]


def named(events: Iterable[Event], client: str) -> list[Event]:
    """With the namespace that the client has its custom tool in."""
    return [
        replace(event, namespace="functions")
        if isinstance(event, CallStart) and event.name == "exec" and client in FREE
        else event
        for event in events
    ]


def write(client: str, events: list[Event]) -> bytes:
    return bytes(surface(client).write_events(request(client), "01a1", 1).feed(named(events, client)))


def read(name: str, data: bytes, size: int = 0) -> list[Event]:
    reader = surface(name).read_events("")
    chunks = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    return [event for chunk in chunks for event in reader.feed(chunk)] + list(reader.flush())


def test_what_is_lost_is_declared() -> None:
    assert {name: set(lost) for name, lost in LOST.items()} == {n: set(lost) for n, lost in UNSAID.items()}
    assert set(PASSED_OVER) == set(UNSAID) == set(SURFACES)


@pytest.mark.parametrize("client", SURFACES)
@settings(max_examples=60)
@given(events=answers(), size=st.integers(1, 300))
def test_what_is_written_reads_the_same(client: str, events: list[Event], size: int) -> None:
    again = read(client, write(client, events), size)
    assert isinstance(again[0], Start) and again[-1] == End()
    expected = _plain(told(lessened(events, client), free=False))
    assert _plain(told(again, free=client in FREE)) == expected


@pytest.mark.parametrize("client", SURFACES)
@settings(max_examples=40)
@given(events=answers())
def test_a_body_says_the_same(client: str, events: list[Event]) -> None:
    """Chat Completions has one text before all calls, so the order there is another."""
    body = surface(client).write_answer(named(events, client), request(client), "01a1", 1)
    again = _plain(told(surface(client).read_answer(body), free=client in FREE))
    expected = _plain(told(lessened(events, client), free=False))
    if client == "openai_chat":
        again, expected = _sorted(again), _sorted(expected)
    assert again == expected


def _sorted(said: list[Any]) -> list[Any]:
    texts = ["".join(part[1] for part in said[:-2] if part[0] == kind) for kind in ("Text", "Refusal")]
    return [*texts, *(part for part in said[:-2] if part[0] == "call"), *said[-2:]]


PAIRS = [(provider, client) for provider in SURFACES for client in SURFACES if provider != client]


@pytest.mark.parametrize(("provider", "client"), PAIRS)
@settings(max_examples=25)
@given(events=answers(), size=st.integers(1, 300))
def test_a_translated_answer_says_the_same(
    provider: str, client: str, events: list[Event], size: int
) -> None:
    """As a provider writes it that knows of functions only, or of custom tools as well."""
    stream = write(provider, events)
    made = translation(surface(provider), surface(client), request(client), "01a1", 1)
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    out = [piece for chunk in chunks for piece in made.feed(chunk)] + made.flush()
    assert made.ended and made.failed is None
    expected = _plain(told(lessened(lessened(events, provider), client), free=False))
    assert _plain(told(read(client, b"".join(out)), free=client in FREE)) == expected

    whole = translate_body(stream, surface(provider), surface(client), request(client), "01a1", 1)
    assert whole.begun == made.begun
    body = _plain(told(surface(client).read_answer(whole.data), free=client in FREE))
    assert _sorted(body) == _sorted(expected)
