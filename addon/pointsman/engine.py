"""What the addon runs on: settings, bundle, encoder, store and sessions, opened in one place.

Opening fails with an error that says what to do. Changing the settings builds the
new pipeline first and only then takes the place of the old one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pointsman import paths
from pointsman.embedding import Embedder
from pointsman.errors import BundleError, ClientError, ConfigError
from pointsman.options import Settings
from pointsman.pipeline import Pipeline, Plan
from pointsman.scoring import bundle as bundles
from pointsman.scoring import dial
from pointsman.session import DEFAULT_LIMIT, Sessions, account_of
from pointsman.store import Store
from pointsman.surface import Surface, surfaces
from pointsman.values import Decision


class Engine:
    """Everything with a life longer than one action."""

    def __init__(self, pipeline: Pipeline, embedder: Embedder, store: Store) -> None:
        self.pipeline = pipeline
        self.embedder = embedder
        self.store = store
        self.salt = store.salt()

    @classmethod
    def open(cls, settings: Settings) -> Engine:
        """Raises ConfigError, BundleError or StoreError."""
        embedder = open_embedder()
        bundle = open_bundle(settings, embedder)
        check_routes(settings, bundle)
        store = Store(settings.db)
        sessions = Sessions(settings.session_ttl_s, time.monotonic)
        now = time.time()
        since = now - settings.session_ttl_s
        rows = store.load_sessions(DEFAULT_LIMIT, since)
        sessions.restore(
            (row.key, row.model, now - row.updated_at, row.requested_model) for row in reversed(rows)
        )
        for row in reversed(store.load_answers(DEFAULT_LIMIT, since)):
            sessions.answered(account_of(row.credential_fingerprint, row.host), row.message_id, row.session)
        return cls(Pipeline(settings, bundle, sessions), embedder, store)

    def with_settings(self, settings: Settings) -> Engine:
        """An engine with new settings; store and sessions go on. Raises, and then nothing has changed."""
        bundle = self.pipeline.bundle
        if settings.bundle != self.settings.bundle:
            bundle = open_bundle(settings, self.embedder)
        check_routes(settings, bundle)
        if settings.db != self.settings.db:
            settings = replace(settings, db=self.settings.db)
        sessions = self.pipeline.sessions.lasting(settings.session_ttl_s)
        return Engine(Pipeline(settings, bundle, sessions), self.embedder, self.store)

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

    def close(self) -> None:
        self.store.close()


def open_embedder() -> Embedder:
    try:
        return Embedder(paths.bundles_dir() / "embedder")
    except (OSError, ValueError) as error:
        raise BundleError(str(error)) from error


def open_bundle(settings: Settings, embedder: Embedder) -> bundles.Bundle:
    """The bundle that the settings name: a directory, a version, or "" for the latest."""
    named = settings.bundle.strip()
    if "/" in named or os.sep in named:
        directory = Path(named).expanduser()
    else:
        directory = bundles.resolve(paths.bundles_dir(), named)
    return bundles.load_bundle(directory, embedder=(embedder.id, embedder.dim))


def check_routes(settings: Settings, bundle: bundles.Bundle) -> None:
    """Raises ConfigError for a route whose knobs do not go with the bundle's: no request could use it."""
    for route in settings.routes:
        try:
            dial.effective(bundle, route.knobs, prefix="the route's ")
        except ClientError as error:
            raise ConfigError(str(error), file=str(settings.config), key=f"{route.name}: knobs") from error
