"""Which bundles are loaded: the default one, and those that a request may name with `x-router-bundle`.

Where a bundle meets the rest of the configuration is checked here, once, for all of them: the running
encoder, the catalogue, and the knobs of the routes. What is wrong with one of them is an error before
anything is routed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pointsman import paths
from pointsman.catalogue import Catalogue
from pointsman.embedding import Embedder
from pointsman.errors import BundleError, ClientError, ConfigError
from pointsman.options import Settings
from pointsman.scoring import dial
from pointsman.scoring.bundle import LATEST, Bundle, list_versions, load_bundle, resolve
from pointsman.yaml_nodes import suggestion

ALL = "all"


@dataclass(frozen=True, slots=True)
class Shelf:
    """`named` holds the default bundle too; "latest" is a name of what the pointer points at, if loaded."""

    default: Bundle
    named: Mapping[str, Bundle]

    @property
    def others(self) -> tuple[Bundle, ...]:
        """What is loaded beside the default bundle, each once."""
        return tuple(bundle for name, bundle in self.named.items() if name != LATEST)[1:]


def open_shelf(settings: Settings, embedder: Embedder) -> Shelf:
    """Load what `bundle` and `bundles` of the settings name. Raises BundleError."""
    running = (embedder.id, embedder.dim)
    root = paths.bundles_dir()
    default = load_bundle(_directory(root, settings.bundle), running)
    loaded: dict[Path | None, Bundle] = {default.path.resolve(): default}
    named = {default.version: default}
    for directory in _wanted(root, settings.bundles):
        if directory.resolve() in loaded:
            continue
        bundle = load_bundle(directory, running)
        if twin := named.get(bundle.version):
            raise BundleError(
                f"{twin.path} and {bundle.path} both call themselves {bundle.version!r}, and no request "
                "could tell them apart: change version in metadata.yaml of one of them"
            )
        loaded[directory.resolve()] = named[bundle.version] = bundle
    newest = _latest(root)
    return Shelf(default, named | ({LATEST: loaded[newest]} if newest in loaded else {}))


def default_bundle(settings: Settings) -> Bundle:
    """The default one alone, for those who do not embed. Raises BundleError."""
    return load_bundle(_directory(paths.bundles_dir(), settings.bundle), None)


def check(settings: Settings, shelf: Shelf) -> None:
    """Raises BundleError for a model that the catalogue lacks, ConfigError for a route's impossible knobs."""
    for bundle in (shelf.default, *shelf.others):
        check_catalogue(settings.catalogue, bundle)
        for route in (*settings.routes, *settings.routers.values()):
            try:
                dial.effective(bundle, route.knobs, prefix="the route's ")
            except ClientError as error:
                raise ConfigError(
                    f"bundle {bundle.version}: {error}", file=str(settings.config), key=f"{route.name}: knobs"
                ) from error


def check_catalogue(catalogue: Catalogue, bundle: Bundle) -> None:
    """Raises BundleError for a model without a row: neither its price nor what it takes would be known."""
    for name in bundle.models:
        if name in catalogue.rows:
            continue
        family = catalogue.resolve(name)
        hint = f"; its row is {family.name}" if family else suggestion(name, tuple(catalogue.rows))
        place = f"bundle {bundle.version}: {bundle.path / 'model_registry.json'}"
        raise BundleError(
            f"{place}: model {ascii(name)[1:-1][:80]}: not in the catalogue{hint}; "
            "add it under models of router.yaml, or take it out of the bundle"
        )


def _directory(root: Path, named: str) -> Path:
    """The directory of a version, or of what is a path; "" is the latest."""
    named = named.strip()
    return Path(named).expanduser() if "/" in named or os.sep in named else resolve(root, named)


def _wanted(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        for version in list_versions(root) if name == ALL else (name,):
            yield _directory(root, version)


def _latest(root: Path) -> Path | None:
    """Where the pointer points; None if it is broken, which is for those to hear of who ask for it."""
    try:
        return resolve(root).resolve()
    except BundleError:
        return None
