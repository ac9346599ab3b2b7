"""What the addon runs on: settings, bundle, encoder, store and sessions, opened in one place.

Opening fails with an error that says what to do. Changing the settings builds the
new pipeline first and only then takes the place of the old one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pointsman import own_calls, paths
from pointsman.classifying import Classifier
from pointsman.embedding import Embedder
from pointsman.errors import BundleError
from pointsman.options import Settings
from pointsman.own_calls import Said
from pointsman.pipeline import Pipeline, Plan
from pointsman.scoring.tiers import Verdict
from pointsman.semantic_cache import Limits, SemanticCache
from pointsman.session import DEFAULT_LIMIT, Sessions, account_of
from pointsman.shelf import check, open_shelf
from pointsman.store import Store
from pointsman.surface import Surface, surfaces
from pointsman.values import Binding, Decision, Model
from pointsman.wire.neutral import Request

MOST_SAID = 100  # different warnings: clients can make up as many as they like


class Engine:
    """Everything with a life longer than one action."""

    def __init__(
        self, pipeline: Pipeline, embedder: Embedder, store: Store, cache: SemanticCache | None = None
    ) -> None:
        self.pipeline = pipeline
        self.embedder = embedder
        self.store = store
        self.salt = store.salt()
        self._said: set[str] = set()
        self.cache = cache
        self.trusted = ""  # a file with further root certificates, for Pointsman's own calls
        self.classifier = Classifier(self._ask, time.monotonic)

    @classmethod
    def open(cls, settings: Settings) -> Engine:
        """Raises ConfigError, BundleError or StoreError."""
        embedder = open_embedder()
        sessions = Sessions(settings.session_ttl_s, time.monotonic)
        pipeline = build_pipeline(settings, embedder, sessions)
        store = Store(settings.db)
        now = time.time()
        since = now - settings.session_ttl_s
        rows = store.load_sessions(DEFAULT_LIMIT, since)
        sessions.restore(
            (row.key, row.model, now - row.updated_at, row.requested_model) for row in reversed(rows)
        )
        for row in reversed(store.load_answers(DEFAULT_LIMIT, since)):
            sessions.answered(account_of(row.credential_fingerprint, row.host), row.message_id, row.session)
        return cls(pipeline, embedder, store, _cache(settings, None))

    def with_settings(self, settings: Settings) -> Engine:
        """An engine with new settings; store, sessions and kept answers go on.

        Raises, and then nothing has changed.
        """
        shelf, old = self.pipeline.shelf, self.settings
        if (settings.bundle, settings.bundles) != (old.bundle, old.bundles):
            shelf = open_shelf(settings, self.embedder)
        check(settings, shelf)
        if settings.db != self.settings.db:
            settings = replace(settings, db=self.settings.db)
        sessions = self.pipeline.sessions.lasting(settings.session_ttl_s)
        pipeline, cache = Pipeline(settings, shelf, sessions), _cache(settings, self.cache)
        return Engine(pipeline, self.embedder, self.store, cache)

    @property
    def settings(self) -> Settings:
        return self.pipeline.settings

    def recognise(self, host: str, port: int, method: str, path: str) -> tuple[Surface, str] | None:
        """The surface that a request speaks and its endpoint; None for everything that is left alone."""
        for name in self.settings.surfaces_of(host, port):
            surface = surfaces()[name]
            if endpoint := surface.recognise(method, path):
                return surface, endpoint
        return None

    def marker_mode(self, plan: Plan, decision: Decision, modes: Sequence[str]) -> str:
        """How the marker is shown: "text", "comment" or "off". `modes`: what may be, the best first."""
        wanted = plan.asked.marker or self.settings.marker
        previous = decision.previous_model
        news = decision.served_model != decision.requested_model or (
            previous is not None and previous != decision.served_model
        )
        if not news or not modes or decision.strategy == "passthrough":
            return "off"
        mode = modes[0] if wanted == "auto" else wanted
        if mode == "text" and wanted == "auto" and decision.tool_loop and previous == decision.served_model:
            return "off"  # a person has read it where the tool loop began
        return mode if mode in modes else "off"

    async def judge(self, plan: Plan) -> Verdict:
        """The verdict on the task of a plan that needs one; asked for, and remembered. Raises nothing."""
        assert plan.task is not None
        timeout_s = self.settings.classify_timeout_ms / 1000
        verdict = await self.classifier.verdict(plan.session, plan.task, timeout_s)
        self.pipeline.judged(plan, verdict)
        return verdict

    async def _ask(self, binding: Binding, request: Request, model: Model, timeout_s: float) -> Said:
        return await own_calls.ask(binding, request, model, timeout_s=timeout_s, trusted=self.trusted)

    def unsaid(self, warnings: Iterable[str]) -> list[str]:
        """Of the warnings on a decision those that the log has not heard yet; each once, and not too many."""
        new = [warning for warning in warnings if warning not in self._said][: MOST_SAID - len(self._said)]
        self._said.update(new)
        return new

    def close(self) -> None:
        self.store.close()


def _cache(settings: Settings, kept: SemanticCache | None) -> SemanticCache | None:
    """Where answers are kept, None where they are not; what was kept stays within the new limits."""
    if settings.cache == "off":
        return None
    limits = Limits(total_bytes=settings.cache_mb << 20)
    if kept is None:
        return SemanticCache(limits, time.monotonic)
    kept.resize(limits)
    return kept


def open_embedder() -> Embedder:
    try:
        return Embedder(paths.bundles_dir() / "embedder")
    except (OSError, ValueError) as error:
        raise BundleError(str(error)) from error


def build_pipeline(settings: Settings, embedder: Embedder, sessions: Sessions) -> Pipeline:
    """What decides, with all its bundles. Raises BundleError or ConfigError."""
    shelf = open_shelf(settings, embedder)
    check(settings, shelf)
    return Pipeline(settings, shelf, sessions)
