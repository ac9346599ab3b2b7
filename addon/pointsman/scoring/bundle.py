"""A bundle: the frozen, versioned artifacts that the cluster strategy scores with.

A directory per version. Loading checks everything once, so that scoring can assume
it; afterwards nothing in a Bundle changes, and its arrays are read-only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.errors import BundleError
from pointsman.scoring import bundle_files as files
from pointsman.scoring.bundle_files import Matrix
from pointsman.scoring.knobs import Knobs, Overrides
from pointsman.scoring.metadata import DEFAULT_TOP_P, VERSION, read_metadata

__all__ = ["DEFAULT_TOP_P", "LATEST", "LEGACY", "Bundle", "list_versions", "load_bundle", "resolve"]

LEGACY = "legacy"
LATEST = "latest"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """What one version knows. K clusters, M registry models in alphabetical order."""

    path: Path
    version: str
    format: int  # 2: blended per request from quality and axes; 1: blended when it was trained
    models: tuple[str, ...]  # [M]
    providers: Mapping[str, str]
    centroids: Matrix  # float64[K, dim], the float32 values of the file, L2-normalised
    quality: Matrix | None  # float64[K, M], expected quality; None in a pure v1 bundle
    rankings: Matrix | None  # float64[K, M], blended scores; None in a pure v2 bundle
    axes: Mapping[str, Matrix]  # axis name of `bundle_files.AXES` → float64[M], NaN where unknown
    top_p: int
    defaults: Knobs
    alpha_floor: tuple[float, ...] | None  # [K], what the quality dial does not go below
    presets: Mapping[str, Overrides]
    cache_thresholds: tuple[float, ...]  # [K], the cosine from which an answer may be reused
    embedder: str
    metadata: Mapping[str, Any] = field(repr=False)

    @property
    def k(self) -> int:
        return int(self.centroids.shape[0])

    @property
    def dim(self) -> int:
        return int(self.centroids.shape[1])


def load_bundle(path: Path, embedder: tuple[str, int] | None = None, *, format: int | None = None) -> Bundle:
    """Load and check the bundle in directory `path`; `embedder` is (id, dim) of the running encoder.

    `format` 1 or 2 reads a bundle that ships both forms as that one; otherwise quality_means.json or
    model_features.json make it a v2 bundle. Raises BundleError that names file, cluster and model.
    """
    if not path.is_dir():
        raise BundleError(f"{path}: no such bundle directory")
    centroids = files.read_centroids(path / "centroids.bin")
    k, dim = centroids.shape
    registry = files.read_registry(path / "model_registry.json")
    metadata = read_metadata(path / "metadata.yaml", k, dim, embedder)
    chosen = format or (2 if _has_v2(path) else 1)
    quality, axes = _read_v2(path, k, registry) if _has_v2(path) or chosen == 2 else (None, {})
    return Bundle(
        path=path,
        version=metadata.version,
        format=chosen,
        models=tuple(registry),
        providers=registry,
        centroids=_frozen(centroids.astype(np.float64)),
        quality=quality,
        rankings=_read_v1(path, k, registry) if chosen == 1 or (path / "rankings.json").exists() else None,
        axes=axes,
        top_p=metadata.top_p,
        defaults=metadata.defaults,
        alpha_floor=metadata.alpha_floor,
        presets=metadata.presets,
        cache_thresholds=metadata.cache_thresholds,
        embedder=metadata.embedder,
        metadata=metadata.everything,
    )


def resolve(root: Path, version: str = "") -> Path:
    """Directory of `version` below `root`: the root first, then legacy/.

    "" and "latest" follow the pointer file `latest`. Raises BundleError, which lists what there is.
    """
    wanted, where = version.strip(), f"{root}"
    if wanted in ("", LATEST):
        wanted, where = _pointer(root / LATEST), f"{root / LATEST}"
    if wanted == LEGACY or not VERSION.fullmatch(wanted):
        raise BundleError(f"{where}: {ascii(wanted)[:60]} is no bundle version; {_available(root)}")
    for directory in (root / wanted, root / LEGACY / wanted):
        if _is_bundle(directory):
            return directory
    raise BundleError(f"{where}: no bundle {wanted!r}; {_available(root)}")


def list_versions(root: Path) -> tuple[str, ...]:
    """All versions below `root` and its legacy/, each once, in natural order ("v0.9" before "v0.10")."""
    found = {
        entry.name
        for parent in (root, root / LEGACY)
        if parent.is_dir()
        for entry in parent.iterdir()
        if entry.name != LEGACY and _is_bundle(entry)
    }
    return tuple(sorted(found, key=_natural))


def _pointer(path: Path) -> str:
    try:
        target = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: the pointer to the newest version cannot be read: {error}") from error
    if target in ("", LATEST):
        raise BundleError(f"{path}: must name a version, not {target!r}")
    return target


def _available(root: Path) -> str:
    return f"there are: {', '.join(list_versions(root)) or 'none'}"


def _is_bundle(directory: Path) -> bool:
    """Also one that lacks a file: loading says which."""
    return any(
        (directory / name).is_file() for name in ("centroids.bin", "model_registry.json", "metadata.yaml")
    )


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", name)]


def _has_v2(path: Path) -> bool:
    return (path / "quality_means.json").exists() or (path / "model_features.json").exists()


def _read_v2(path: Path, k: int, registry: Mapping[str, str]) -> tuple[Matrix, dict[str, Matrix]]:
    """Quality and axes of all registry models; what model_features.json gives overrides the older files."""
    features, older = path / "model_features.json", path / "quality_means.json"
    qualities, newer_axes = files.read_features(features, k) if features.exists() else ({}, {})
    rest = [model for model in registry if model not in qualities]
    if rest or older.exists():
        qualities = files.read_rows(older, "quality_means", k, rest) | qualities
    axes_file = path / "model_axes.json"
    unpriced = [model for model in registry if model not in newer_axes]
    axes = files.read_axes(axes_file) if unpriced or axes_file.exists() else {}
    for model in unpriced:
        if model not in axes:
            raise BundleError(f"{axes_file}: model {model}: missing, but the registry has it")
    rows = [axes.get(model, {}) | newer_axes.get(model, {}) for model in registry]
    return files.matrix(qualities, registry), {axis: _column(rows, axis) for axis in files.AXES}


def _column(rows: list[dict[str, float | None]], axis: str) -> Matrix:
    values = [row.get(axis) for row in rows]
    return _frozen(np.array([np.nan if value is None else value for value in values], dtype=np.float64))


def _read_v1(path: Path, k: int, registry: Mapping[str, str]) -> Matrix:
    return files.matrix(files.read_rows(path / "rankings.json", "rankings", k, registry), registry)


def _frozen(array: Matrix) -> Matrix:
    array.setflags(write=False)
    return array
