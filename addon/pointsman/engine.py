"""What the addon runs on: settings, bundle, encoder, store and sessions, opened in one place.

Opening fails with an error that says what to do. Changing the settings builds the
new pipeline first and only then takes the place of the old one.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from pointsman import paths
from pointsman.embedding import Embedder
from pointsman.errors import BundleError, ClientError, ConfigError
from pointsman.options import Settings
from pointsman.pipeline import Pipeline, Plan
from pointsman.scoring import bundle as bundles
from pointsman.scoring import knobs
from pointsman.session import DEFAULT_LIMIT, Sessions
from pointsman.store import Store
from pointsman.surface import SURFACES, Surface
from pointsman.values import Decision

# Claude Code asks again when a stream breaks, but not once it has shown text of it; a marker is text.
TEXT_ENDS_RETRIES = ("claude-code",)


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
        rows = store.load_sessions(DEFAULT_LIMIT, now - settings.session_ttl_s)
        sessions.restore(
            (row.key, row.model, now - row.updated_at, row.requested_model) for row in reversed(rows)
        )
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

    def surface_of(self, host: str) -> Surface | None:
        return SURFACES.get(self.settings.surface_of(host) or "")

    def marker_mode(self, plan: Plan, decision: Decision, *, allowed: bool, thinks: bool) -> str:
        """How the marker is shown: "text", "comment" or "off".

        `thinks`: the answer may hold thinking. A text before that would break a transcript kept on disk.
        """
        wanted = plan.asked.marker or self.settings.marker
        previous = decision.previous_model
        news = decision.served_model != decision.requested_model or (
            previous is not None and previous != decision.served_model
        )
        if wanted == "off" or not allowed or not news or decision.strategy == "passthrough":
            return "off"
        quiet = thinks or plan.facts.client in TEXT_ENDS_RETRIES
        return ("comment" if quiet else "text") if wanted == "auto" else wanted

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
            knobs.merge(bundle.defaults, route.knobs, bundle.k, prefix="")
        except ClientError as error:
            raise ConfigError(str(error), file=str(settings.config), key=f"{route.name}: knobs") from error
