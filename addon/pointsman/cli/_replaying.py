"""Decide saved requests anew, by the very code that decides live ones; nothing is sent or stored."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mitmproxy import http

from pointsman.action import Action
from pointsman.cli._recorded import Recorded
from pointsman.dry_run import Asking, request_of, surface_of
from pointsman.embedding import Vector
from pointsman.engine import Engine, build_pipeline, open_embedder
from pointsman.errors import BodyError, ClientError
from pointsman.options import Settings
from pointsman.scoring.knobs import BIAS, PREFIXES
from pointsman.session import Sessions
from pointsman.store import Store
from pointsman.values import NO_CHANGES, Decision
from pointsman.wire.json_spans import Body

REPLACES = dict.fromkeys(("alpha", BIAS), ("alpha", BIAS))
"""What two knobs say the same thing with; each other one replaces itself."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What would happen to one saved request: a decision, or why there is none.

    `skipped` is "other host" or "other path" where Pointsman would have let it pass, "unreadable" where
    the body is not understood, "refused" where the client asked the router for something wrong.
    """

    request: http.Request
    decision: Decision | None = None
    conversation: int | None = None  # numbered in the order of their first requests
    skipped: str = ""
    detail: str = ""


class _Nowhere(Store):
    """A store for those who write nothing: it has a salt, and that is all."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)


class Replay:
    """Decides requests in the order they are given; conversations are remembered between them.

    Raises ConfigError or BundleError when it is made.
    """

    def __init__(self, settings: Settings) -> None:
        embedder = open_embedder()
        self._now = 0.0
        sessions = Sessions(settings.session_ttl_s, lambda: self._now)
        self._engine = Engine(build_pipeline(settings, embedder, sessions), embedder, _Nowhere())
        self._conversations: dict[str, int] = {}

    @property
    def bundle(self) -> str:
        """The version of the default bundle."""
        return self._engine.pipeline.bundle.version

    def all(self, requests: Iterable[Recorded], knobs: dict[str, str] | None = None) -> Iterator[Replayed]:
        """`knobs` (name → text, as in the headers without prefix) replace those that a request asked for."""
        for recorded in requests:
            yield self.one(recorded, knobs or {})

    def one(self, recorded: Recorded, knobs: dict[str, str]) -> Replayed:
        request = recorded.request.copy()
        if not self._engine.settings.surfaces_of(request.pretty_host, request.port):
            return Replayed(request, skipped="other host")
        found = self._engine.recognise(request.pretty_host, request.port, request.method, request.path)
        if found is None:
            return Replayed(request, skipped="other path")
        surface, endpoint = found
        _set_knobs(request, knobs)
        # Time passes as it did then, so that conversations expire as they did.
        self._now = max(self._now, recorded.at or 0.0)
        action = Action(surface, endpoint, self._engine, request, "", 0.0)
        try:
            decision = asyncio.run(action.decide(self._embed))
        except ClientError as error:
            return Replayed(request, skipped="refused", detail=str(error))
        except BodyError as error:
            return Replayed(request, skipped="unreadable", detail=str(error))
        if decision.holds_session and (recorded.status is None or recorded.status < 300):
            self._engine.pipeline.sessions.served(
                decision.session, decision.served_model, decision.requested_model
            )
        self._hear(action, recorded)
        number = self._conversations.setdefault(decision.session, len(self._conversations) + 1)
        return Replayed(request, replace(decision, at=recorded.at or decision.at), number)

    def _hear(self, action: Action, recorded: Recorded) -> None:
        """What a later request may go on from by the answer's id, where the file has the answer."""
        response, plan = recorded.answer, action.plan
        if response is None or plan is None or not response.raw_content or response.status_code != 200:
            return
        content_type = response.headers.get("content-type", "")
        stream = action.surface.stream(content_type, plan.facts, NO_CHANGES)
        data = response.get_content(strict=False) or b""
        if stream is None:
            seen = action.surface.observe_body(data)
        else:
            stream.feed(data)
            seen = stream.observation
        if seen.message_id:
            self._engine.pipeline.sessions.answered(plan.account, seen.message_id, plan.session)

    async def _embed(self, text: str) -> Vector:
        return self._engine.embedder.embed(text)


def decide(data: bytes, headers: http.Headers, asking: Asking, settings: Settings) -> Decision:
    """What would be decided for a body alone, by an installation that knows of no conversation.

    Raises ClientError, BodyError or BundleError that says why there is no decision.
    """
    body = Body.parse(data)
    surface = surface_of(body, asking, settings.catalogue)
    request = request_of(surface, body, headers, asking)
    replayed = Replay(settings).one(Recorded(request, None, None), {})
    if replayed.decision is None:
        raise BodyError(replayed.detail) if replayed.skipped == "unreadable" else ClientError(replayed.detail)
    return replayed.decision


def _set_knobs(request: http.Request, knobs: dict[str, str]) -> None:
    for name, text in knobs.items():
        for other in REPLACES.get(name, (name,)):
            for prefix in PREFIXES:
                request.headers.pop(prefix + other, None)
        request.headers[f"x-router-{name}"] = text
