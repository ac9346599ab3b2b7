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
from pointsman.scoring.knobs import DEFAULT_ALPHA, DEFAULT_EXPECTED_OUTPUT_TOKENS, Knobs, check

DEFAULT_TOP_P = 4
LEGACY = "legacy"
LATEST = "latest"

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


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
    alpha_floor: tuple[float, ...] | None
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
    metadata = files.read_metadata(path / "metadata.yaml")
    embedder_id = _check_embedder(path / "metadata.yaml", metadata, dim, embedder)
    training = _mapping(path / "metadata.yaml", metadata, "training")
    chosen = format or (2 if _has_v2(path) else 1)
    quality, axes = _read_v2(path, k, registry) if _has_v2(path) or chosen == 2 else (None, {})
    return Bundle(
        path=path,
        version=str(metadata.get("version") or path.name),
        format=chosen,
        models=tuple(registry),
        providers=registry,
        centroids=_frozen(centroids.astype(np.float64)),
        quality=quality,
        rankings=_read_v1(path, k, registry) if chosen == 1 or (path / "rankings.json").exists() else None,
        axes=axes,
        top_p=_top_p(path / "metadata.yaml", training, k),
        defaults=_default_knobs(path / "metadata.yaml", training, k),
        alpha_floor=_alpha_floor(path / "metadata.yaml", training, k),
        embedder=embedder_id,
        metadata=metadata,
    )


def resolve(root: Path, version: str = "") -> Path:
    """Directory of `version` below `root`: the root first, then legacy/.

    "" and "latest" follow the pointer file `latest`. Raises BundleError, which lists what there is.
    """
    wanted = version.strip()
    if wanted in ("", LATEST):
        wanted = _pointer(root / LATEST)
    if wanted == LEGACY or not _VERSION.fullmatch(wanted):
        raise BundleError(f"{wanted!r} is no bundle version; {_available(root)}")
    for directory in (root / wanted, root / LEGACY / wanted):
        if _is_bundle(directory):
            return directory
    raise BundleError(f"{root}: no bundle {wanted!r}; {_available(root)}")


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
    return (directory / "centroids.bin").is_file()


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


def _check_embedder(
    file: Path, metadata: Mapping[str, Any], dim: int, running: tuple[str, int] | None
) -> str:
    declared = _mapping(file, metadata, "embedder")
    embed_dim = declared.get("embed_dim")
    if embed_dim is not None and embed_dim != dim:
        raise BundleError(f"{file}: embedder.embed_dim is {embed_dim}, but centroids.bin has dim {dim}")
    model = str(declared.get("model") or "")
    if running is not None and (model, dim) != running:
        raise BundleError(
            f"{file}: made for the embedder {model!r} with dim {dim}, "
            f"but {running[0]!r} with dim {running[1]} is running"
        )
    return model


def _top_p(file: Path, training: Mapping[str, Any], k: int) -> int:
    if training.get("k") not in (None, k):
        raise BundleError(f"{file}: training.k is {training['k']}, but centroids.bin has {k} clusters")
    top_p = training.get("top_p", DEFAULT_TOP_P)
    if isinstance(top_p, bool) or not isinstance(top_p, int) or top_p < 1:
        raise BundleError(f"{file}: training.top_p must be a whole number above 0, not {top_p!r}")
    return min(top_p, k)


def _default_knobs(file: Path, training: Mapping[str, Any], k: int) -> Knobs:
    given = _mapping(file, training, "default_routing_knobs")
    where = f"{file}: default_routing_knobs"
    alpha = _vector(given, "alpha", k, where)
    tokens = given.get("expected_output_tokens", DEFAULT_EXPECTED_OUTPUT_TOKENS)
    verbosity = given.get("per_model_verbosity", False)
    if isinstance(tokens, bool) or not isinstance(tokens, int):
        raise BundleError(f"{where}.expected_output_tokens must be a whole number, not {tokens!r}")
    if not isinstance(verbosity, bool):
        raise BundleError(f"{where}.per_model_verbosity must be true or false, not {verbosity!r}")
    knobs = Knobs(
        alpha or (DEFAULT_ALPHA,) * k,
        _scalar(given, "speed_weight", where),
        _scalar(given, "output_cost_ratio", where),
        tokens,
        verbosity,
    )
    if problem := check(knobs):
        raise BundleError(f"{where}: {problem}")
    return knobs


def _alpha_floor(file: Path, training: Mapping[str, Any], k: int) -> tuple[float, ...] | None:
    where = f"{file}: default_routing_knobs"
    floor = _vector(_mapping(file, training, "default_routing_knobs"), "alpha_floor", k, where)
    for cluster, value in enumerate(floor or ()):
        if not 0 <= value <= 1:
            raise BundleError(f"{where}: alpha_floor of cluster {cluster} must be from 0 to 1, not {value}")
    return floor


def _vector(given: Mapping[str, Any], key: str, k: int, where: str) -> tuple[float, ...] | None:
    values = given.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != k:
        length = f"{len(values)} values" if isinstance(values, list) else repr(values)
        raise BundleError(f"{where}.{key} must have one value for each of the {k} clusters, not {length}")
    return tuple(files.number(value, f"{where}.{key} of cluster {at}") for at, value in enumerate(values))


def _scalar(given: Mapping[str, Any], key: str, where: str) -> float:
    return files.number(given.get(key, 0.0), f"{where}.{key}")


def _mapping(file: Path, parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if value is not None and not isinstance(value, dict):
        raise BundleError(f"{file}: {key} must be a mapping, not {value!r}")
    return value or {}


def _frozen(array: Matrix) -> Matrix:
    array.setflags(write=False)
    return array
