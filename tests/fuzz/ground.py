"""What a surface's checks stand on: how its requests look, which models they may go to, and what may change.

Everything is taken from the surface's own functions and from `seeds/SURFACE.jsonl`, one JSON object a line:

    {"path": "/v1/…", "headers": {…}, "body": {…}}     a request; method POST
    {"answer": {…}}                                    a whole answer
    {"refusal": {…}}                                   the body of a 400
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.oracle import SECRET
from pointsman.catalogue import Catalogue
from pointsman.surface import Surface, surfaces
from pointsman.values import NO_CHANGES, Changes, Facts, Model
from pointsman.wire import marker
from pointsman.wire.json_spans import Body, encode

HERE = Path(__file__).resolve().parent
STREAMS = HERE.parent / "streams"

REASON = "best for this kind of prompt"
MARKER = marker.make("fuzzed-model-1", REASON)
COMMENT = marker.comment("fuzzed-model-1", REASON)
REQUESTED = "asked-for-model"
X_ROUTER = {"decision": "d1", "model": "fuzzed-model-1"}
SSE = "text/event-stream; charset=utf-8"
JSON = "application/json; charset=UTF-8"
# No secret in these names; whatever header holds one in a recording gets the planted one instead.
_OPEN = (
    "user-agent", "anthropic-", "x-claude-", "x-stainless-", "content-type", "x-session", "session",
    "openai-", "x-codex", "x-openai-", "originator", "conversation", "x-goog-api-client", "x-gemini",
    "thread",
)  # fmt: skip
_SECRET_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")


@dataclass(frozen=True, slots=True)
class Head:
    """How a request begins. Its credential is the planted secret."""

    path: str
    headers: Mapping[str, str]
    endpoint: str


@dataclass(frozen=True, slots=True)
class Ground:
    """`rows` are models that some seed of the surface may go to; `bodies` are the seeds' own bytes."""

    surface: Surface
    heads: tuple[Head, ...]
    rows: tuple[Model, ...]
    every_row: tuple[Model, ...]
    facts: tuple[Facts, ...]
    changes: tuple[Changes, ...]
    bodies: tuple[bytes, ...]
    answers: tuple[bytes, ...]
    refusals: tuple[bytes, ...]
    streams: tuple[bytes, ...]


def seed_file(name: str) -> Path:
    return HERE / "seeds" / f"{name}.jsonl"


@cache
def ground(name: str) -> Ground:
    """Raises KeyError for an unknown surface, FileNotFoundError for one without seeds."""
    surface = surfaces()[name]
    lines = [json.loads(line) for line in seed_file(name).read_text(encoding="utf-8").splitlines() if line]
    requests = [line for line in lines if "path" in line]
    heads = [_head(surface, line) for line in requests]
    bodies = [encode(line["body"]) for line in requests]
    facts = [
        surface.read_facts(Body.parse(body), head.headers, head.path, head.endpoint)
        for head, body in zip(heads, bodies, strict=True)
    ]
    catalogue = Catalogue.load()
    asked = (catalogue.resolve(item.requested_model) for item in facts)
    providers = {row.provider for row in asked if row}  # a request stays with its provider
    near = [row for row in catalogue.models if row.provider in providers]
    streams = STREAMS / name
    return Ground(
        surface=surface,
        heads=tuple({(head.path, *sorted(head.headers.items())): head for head in heads}.values()),
        rows=tuple(row for row in near if any(not surface.ineligible(item, row) for item in facts)),
        every_row=catalogue.models,
        facts=tuple(_streamed(facts)),
        changes=_changes(surface, bodies, facts),
        bodies=tuple(bodies),
        answers=tuple(encode(line["answer"]) for line in lines if "answer" in line),
        refusals=tuple(encode(line["refusal"]) for line in lines if "refusal" in line),
        streams=tuple(path.read_bytes() for path in sorted(streams.iterdir())) if streams.is_dir() else (),
    )


def _head(surface: Surface, line: Mapping[str, Any]) -> Head:
    endpoint = surface.recognise("POST", line["path"])
    if endpoint is None:
        raise ValueError(f"{surface.SURFACE} does not recognise the seed {line['path']}")
    headers = {name.lower(): str(value) for name, value in line.get("headers", {}).items()}
    headers = {name: value for name, value in headers.items() if name.startswith(_OPEN)}
    given = {name.lower() for name in line.get("headers", {})}
    secret = next((name for name in _SECRET_HEADERS if name in given), _SECRET_HEADERS[0])
    headers[secret] = f"Bearer {SECRET}" if secret == "authorization" else SECRET
    return Head(line["path"], headers, endpoint)


def _streamed(facts: list[Facts]) -> list[Facts]:
    """What streams are followed for: each client, one answer and two."""
    by_client = {item.client: replace(item, stream=True, endpoint="generate") for item in facts}
    return [replace(item, choices=choices) for item in by_client.values() for choices in (1, 2)]


def _changes(surface: Surface, bodies: list[bytes], facts: list[Facts]) -> tuple[Changes, ...]:
    asked = {
        item.parameter
        for body, told in zip(bodies, facts, strict=True)
        for item in surface.ask(Body.parse(body), replace(told, stream=True))
    }
    made = [
        NO_CHANGES,
        Changes(requested_model=REQUESTED),
        Changes(requested_model=REQUESTED, x_router=X_ROUTER),
        Changes(marker_text=MARKER),
        Changes(comment=COMMENT),
        Changes(REQUESTED, MARKER, None, X_ROUTER),
        Changes(REQUESTED, None, COMMENT, X_ROUTER),
    ]
    if asked:
        added = frozenset(asked)
        made += [Changes(added=added), Changes(REQUESTED, MARKER, None, X_ROUTER, added)]
    return tuple(made)
