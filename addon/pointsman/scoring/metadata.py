"""metadata.yaml of a bundle: what a version says of itself, and the knobs that it brings along.

Members that nothing here knows are ignored, so that newer bundles load; but one that is nearly a known one
is a typing mistake, and a setting that silently does nothing is worse than a bundle that does not load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from pointsman.errors import BundleError
from pointsman.scoring import bundle_files as files
from pointsman.scoring.knobs import (
    DEFAULT_ALPHA,
    DEFAULT_EXPECTED_OUTPUT_TOKENS,
    SUM_SLACK,
    Knobs,
    Overrides,
    applied,
    check,
)

DEFAULT_TOP_P = 4
DEFAULT_CACHE_THRESHOLD = 0.95
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

# What is read here, and so must not be misspelt.
_TOP = ("version", "embedder", "training", "cache_config")
_EMBEDDER = ("model", "embed_dim")
_TRAINING = ("k", "top_p", "default_routing_knobs", "recommended_ui_defaults")
_CACHE = ("default_threshold", "per_cluster_threshold")
_PRESET = Overrides.__slots__
_KNOBS = ("alpha", "alpha_floor", *(name for name in Knobs.__slots__ if name != "alpha"))
_PRESET_NAME = re.compile(r"[!-~]([ -~]*[!-~])?")  # what a header can say


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is checked; `everything` holds the file as it is. K clusters."""

    version: str
    embedder: str
    top_p: int
    defaults: Knobs
    alpha_floor: tuple[float, ...] | None  # [K], what the quality dial does not go below
    presets: Mapping[str, Overrides]
    cache_thresholds: tuple[float, ...]  # [K], the cosine from which an answer may be reused
    everything: Mapping[str, Any]


def read_metadata(path: Path, k: int, dim: int, running: tuple[str, int] | None) -> Metadata:
    """metadata.yaml of a bundle with `k` centroids of `dim`; `running` is (id, dim) of the encoder."""
    everything = _load(path)
    files.refuse_typos(everything, _TOP, f"{path}")
    training = _mapping(f"{path}", everything, "training", _TRAINING)
    defaults, floor = _default_knobs(f"{path}", training, k)
    return Metadata(
        version=_version(path, everything.get("version")),
        embedder=_embedder(f"{path}", everything, dim, running),
        top_p=_top_p(path, training, k),
        defaults=defaults,
        alpha_floor=floor,
        presets=MappingProxyType(_presets(f"{path}", training, defaults)),
        cache_thresholds=_cache_thresholds(f"{path}", everything, k),
        everything=everything,
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(files.read_bytes(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(data, dict):
        raise BundleError(f"{path}: must be a mapping")
    files.refuse_nonfinite(data, f"{path}")
    return data


def _version(path: Path, given: object) -> str:
    version = path.parent.name if given is None else str(given)
    if given is not None and not VERSION.fullmatch(version):
        raise BundleError(f"{path}: version must be letters, digits and . _ + -, not {ascii(version)[:60]}")
    return version


def _embedder(path: str, everything: Mapping[str, Any], dim: int, running: tuple[str, int] | None) -> str:
    declared = _mapping(path, everything, "embedder", _EMBEDDER)
    embed_dim = declared.get("embed_dim")
    if embed_dim is not None and embed_dim != dim:
        raise BundleError(f"{path}: embedder.embed_dim is {embed_dim}, but centroids.bin has dim {dim}")
    model = str(declared.get("model") or "")
    if running is not None and (model, dim) != running:
        made_for = f"made for the embedder {model!r}" if model else "embedder.model is missing, made"
        raise BundleError(
            f"{path}: {made_for} with dim {dim}, but {running[0]!r} with dim {running[1]} is running"
        )
    return model


def _top_p(path: Path, training: Mapping[str, Any], k: int) -> int:
    if training.get("k") not in (None, k):
        raise BundleError(f"{path}: training.k is {training['k']}, but centroids.bin has {k} clusters")
    top_p = training.get("top_p", DEFAULT_TOP_P)
    if isinstance(top_p, bool) or not isinstance(top_p, int) or top_p < 1:
        raise BundleError(f"{path}: training.top_p must be a whole number above 0, not {top_p!r}")
    return min(top_p, k)


# --- knobs --------------------------------------------------------------------------------


def _default_knobs(path: str, training: Mapping[str, Any], k: int) -> tuple[Knobs, tuple[float, ...] | None]:
    """The default knobs, and the floor of alpha that the quality dial keeps to."""
    given = _mapping(path, training, "default_routing_knobs", _KNOBS)
    where = f"{path}: default_routing_knobs"
    knobs = Knobs(
        _vector(given, "alpha", k, where) or (DEFAULT_ALPHA,) * k,
        files.number(given.get("speed_weight", 0.0), f"{where}.speed_weight"),
        files.number(given.get("output_cost_ratio", 0.0), f"{where}.output_cost_ratio"),
        _tokens(given.get("expected_output_tokens", DEFAULT_EXPECTED_OUTPUT_TOKENS), where),
        _flag(given.get("per_model_verbosity", False), where),
    )
    if problem := check(knobs):
        raise BundleError(f"{where}: {problem}")
    floor = _vector(given, "alpha_floor", k, where)
    for cluster, value in enumerate(floor or ()):
        if not 0 <= value <= 1:
            raise BundleError(f"{where}: alpha_floor of cluster {cluster} must be from 0 to 1, not {value}")
        if value + knobs.speed_weight > 1 + SUM_SLACK:
            raise BundleError(f"{where}: alpha_floor of cluster {cluster} and speed_weight exceed 1 together")
    return knobs, floor


def _presets(path: str, training: Mapping[str, Any], defaults: Knobs) -> dict[str, Overrides]:
    """{name: knobs} of recommended_ui_defaults; each must go with the bundle's own knobs."""
    presets = {}
    for name, preset in _mapping(path, training, "recommended_ui_defaults").items():
        where = f"{path}: recommended_ui_defaults: {ascii(name)[:60]}"
        if not isinstance(name, str) or not _PRESET_NAME.fullmatch(name):
            raise BundleError(
                f"{where}: the name of a preset must be plain text, so that a header can say it"
            )
        where = f"{path}: recommended_ui_defaults.{name}"
        if not isinstance(preset, dict):
            raise BundleError(f"{where}: must be a mapping of knobs, not {ascii(preset)[:60]}")
        files.refuse_typos(preset, _PRESET, where)
        presets[name] = _preset(where, preset)
        if problem := check(applied(defaults, presets[name])):
            raise BundleError(f"{where}: {problem}")
    return presets


def _preset(where: str, given: Mapping[str, Any]) -> Overrides:
    def scalar(key: str) -> float | None:
        return files.number(given[key], f"{where}.{key}") if key in given else None

    preset = Overrides(
        scalar("alpha"),
        scalar("speed_weight"),
        scalar("output_cost_ratio"),
        _tokens(given["expected_output_tokens"], where) if "expected_output_tokens" in given else None,
        _flag(given["per_model_verbosity"], where) if "per_model_verbosity" in given else None,
        scalar("quality_bias"),
    )
    if preset.quality_bias is not None:
        if preset.alpha is not None:
            raise BundleError(
                f"{where}: alpha and quality_bias both say what quality weighs; keep one of them"
            )
        if not 0 <= preset.quality_bias <= 1:
            raise BundleError(f"{where}.quality_bias must be from 0 to 1, not {preset.quality_bias}")
    return preset


def _vector(given: Mapping[str, Any], key: str, k: int, where: str) -> tuple[float, ...] | None:
    values = given.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != k:
        length = f"{len(values)} values" if isinstance(values, list) else repr(values)
        raise BundleError(f"{where}.{key} must have one value for each of the {k} clusters, not {length}")
    return tuple(files.number(value, f"{where}.{key} of cluster {at}") for at, value in enumerate(values))


def _tokens(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BundleError(f"{where}.expected_output_tokens must be a whole number, not {value!r}")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise BundleError(f"{where}.per_model_verbosity must be true or false, not {value!r}")
    return value


# --- the semantic cache -------------------------------------------------------------------


def _cache_thresholds(path: str, everything: Mapping[str, Any], k: int) -> tuple[float, ...]:
    given = _mapping(path, everything, "cache_config", _CACHE)
    where = f"{path}: cache_config"
    default = _cosine(given.get("default_threshold", DEFAULT_CACHE_THRESHOLD), f"{where}.default_threshold")
    thresholds = [default] * k
    for cluster, value in _mapping(where, given, "per_cluster_threshold").items():
        at = int(cluster) if str(cluster).isdecimal() else k
        if at >= k:
            raise BundleError(f"{where}.per_cluster_threshold: cluster {cluster}: there are {k} centroids")
        thresholds[at] = _cosine(value, f"{where}.per_cluster_threshold of cluster {at}")
    return tuple(thresholds)


def _cosine(value: object, where: str) -> float:
    threshold = files.number(value, where)
    if not -1 <= threshold <= 1:
        raise BundleError(f"{where} must be a cosine, from -1 to 1, not {threshold}")
    return threshold


def _mapping(
    where: str, parent: Mapping[str, Any], key: str, known: tuple[str, ...] = ()
) -> Mapping[Any, Any]:
    """The mapping under `key`, empty where it is missing; of what is nearly a `known` member, an error."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BundleError(f"{where}: {key} must be a mapping, not {ascii(value)[:60]}")
    files.refuse_typos(value, known, f"{where}: {key}")
    return value
