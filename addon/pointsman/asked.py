"""What one request asks of the router, in headers that never go upstream: see docs/configuration.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman.errors import ClientError
from pointsman.scoring import knobs
from pointsman.scoring.bundle import Bundle
from pointsman.shelf import Shelf

HEADER_PREFIXES = ("x-router-", "x-weave-routing-")
"""Request headers that are for the router: they never go upstream."""

MARKERS = ("auto", "text", "comment", "off")
NO_CACHE = ("off", "no-store")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks of the router in its headers."""

    overrides: knobs.Overrides = knobs.NOTHING
    prefix: str = knobs.PREFIXES[1]  # how the client names its knobs
    model: str = ""
    marker: str = ""
    bundle: str = ""  # the version to score with
    preset: str = ""  # one of the bundle's
    cache: bool = True  # may the answer be a kept one, or be kept?

    def bundle_of(self, shelf: Shelf) -> tuple[Bundle, tuple[str, ...]]:
        """The bundle to score with, and warnings; one that is not loaded is the default one."""
        found = shelf.named.get(self.bundle) if self.bundle else shelf.default
        bundle = found or shelf.default
        warnings = []
        if found is None:
            loaded = ", ".join(sorted({bundle.version for bundle in shelf.named.values()}))
            warnings.append(
                f"x-router-bundle: {self.bundle[:80]!a} is not loaded, so {bundle.version} was used; "
                f"loaded: {loaded} (router_bundles says which)"
            )
        if bundle.format == 1 and (self.preset or self.overrides != knobs.NOTHING):
            warnings.append(
                f"knobs do nothing with bundle {bundle.version}, which was blended when it was trained"
            )
        return bundle, tuple(warnings)

    def preset_of(self, bundle: Bundle) -> tuple[knobs.Layer, ...]:
        """The preset's knobs, nothing where none is asked for. Raises ClientError for an unknown one."""
        if not self.preset:
            return ()
        if self.preset not in bundle.presets:
            known = ", ".join(bundle.presets) or "none"
            raise ClientError(
                f"x-router-preset: {self.preset[:80]!a} is no preset of bundle {bundle.version}; "
                f"there are: {known}",
                source="x-router-preset",
            )
        return (("the preset's ", bundle.presets[self.preset]),)


def read_asked(headers: Mapping[str, str]) -> Asked:
    """Read the router's own request headers. Raises ClientError naming every refused one."""
    marker = headers.get("x-router-marker", "").strip().lower()
    if marker and marker not in MARKERS:
        raise ClientError(
            f"x-router-marker must be one of {', '.join(MARKERS)}, not {marker[:40]!r}",
            source="x-router-marker",
        )
    overrides = knobs.parse(headers)
    cache = headers.get("x-router-cache", "").strip().lower()
    if cache and cache not in NO_CACHE:
        raise ClientError(
            f"x-router-cache must be {' or '.join(NO_CACHE)}, not {cache[:40]!r}", source="x-router-cache"
        )
    return Asked(
        overrides=overrides,
        prefix=knobs.PREFIXES[1] if overrides == knobs.NOTHING else knobs.prefix_of(headers),
        model=headers.get("x-router-model", "").strip(),
        marker=marker,
        bundle=headers.get("x-router-bundle", "").strip(),
        preset=headers.get("x-router-preset", "").strip(),
        cache=not cache,
    )
