"""The files of a bundle: bytes → checked values.

Every function reads one file and raises BundleError with the file's path, and the
cluster and model at fault. Numbers must be finite everywhere, also where nothing
reads them. Unknown members are ignored, so that newer bundles load, unless they are
nearly a known one.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pointsman.errors import BundleError

MAGIC = b"CRT1"
FILE_VERSION = 1
AXES = ("input_per_1k_usd", "output_per_1k_usd", "ttft_s", "tps", "verbosity_tokens")
NORM_TOLERANCE = 0.01  # far above float32 rounding, far below what would shift a nearest neighbour
LARGEST = 1e12  # a sane bound on any figure, so that differences and sums cannot overflow

Matrix = npt.NDArray[np.float64]


def read_centroids(path: Path) -> npt.NDArray[np.float32]:
    """float32[K, dim] from `centroids.bin`: "CRT1", u32 version, u32 K, u32 dim, rows; little-endian."""
    data = read_bytes(path)
    if data[:4] != MAGIC:
        raise BundleError(f"{path}: must start with {MAGIC!r}, not {data[:4]!r}")
    if len(data) < 16:
        raise BundleError(f"{path}: the header has 16 bytes, the file only {len(data)}")
    version, k, dim = struct.unpack("<III", data[4:16])
    if version != FILE_VERSION:
        raise BundleError(f"{path}: file version must be {FILE_VERSION}, not {version}")
    if k == 0 or dim == 0:
        raise BundleError(f"{path}: K and dim must be above 0, not {k} and {dim}")
    if len(data) != (size := 16 + 4 * k * dim):
        raise BundleError(f"{path}: {k} centroids of dim {dim} take {size} bytes, the file has {len(data)}")
    rows: npt.NDArray[np.float32] = np.frombuffer(data, "<f4", offset=16).reshape(k, dim).astype(np.float32)
    _check_rows(path, rows)
    return rows


def _check_rows(path: Path, rows: npt.NDArray[np.float32]) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise BundleError(f"{path}: cluster {int(np.argmin(finite))}: NaN or infinity in the centroid")
    norms = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1))
    worst = int(np.argmax(np.abs(norms - 1)))
    if abs(norms[worst] - 1) > NORM_TOLERANCE:
        raise BundleError(f"{path}: cluster {worst}: must be L2-normalised, its length is {norms[worst]:.4f}")


def read_registry(path: Path) -> dict[str, str]:
    """{model: provider} of the deployed models, alphabetical; listed twice counts once."""
    entries = _member(path, "deployed_models", list)
    models: dict[str, str] = {}
    for at, entry in enumerate(entries):
        name = entry.get("model") if isinstance(entry, dict) else None
        refuse_nonfinite(entry, f"{path}: deployed_models[{at}]")
        if not isinstance(name, str) or not name:
            raise BundleError(f"{path}: deployed_models[{at}]: must have a model name")
        models.setdefault(name, str(entry.get("provider") or ""))
    if not models:
        raise BundleError(f"{path}: deployed_models: must name at least one model")
    return dict(sorted(models.items()))


def read_rows(path: Path, member: str, k: int, models: Iterable[str]) -> dict[str, list[float]]:
    """{model: [K] values} of quality_means.json or rankings.json, complete for `models`."""
    rows = _member(path, member, dict)
    columns: dict[str, list[float]] = {model: [] for model in models}
    for cluster in range(k):
        row = rows.get(str(cluster))
        if not isinstance(row, dict):
            raise BundleError(f"{path}: cluster {cluster}: no row; there are {k} centroids")
        where = f"{path}: cluster {cluster}, model"
        values = {model: number(value, f"{where} {model}") for model, value in row.items()}
        for model, column in columns.items():
            if model not in values:
                raise BundleError(f"{where} {model}: missing, but the registry has it")
            column.append(values[model])
    if strangers := sorted(rows.keys() - {str(cluster) for cluster in range(k)}):
        raise BundleError(f"{path}: cluster {strangers[0]}: unknown; there are {k} centroids")
    return columns


def read_axes(path: Path) -> dict[str, dict[str, float | None]]:
    """{model: {axis: value or None}} of model_axes.json; None is unknown."""
    axes = _member(path, "axes", dict)
    return {model: _axes(entry, f"{path}: model {model}") for model, entry in axes.items()}


def read_features(path: Path, k: int) -> tuple[dict[str, list[float]], dict[str, dict[str, float | None]]]:
    """(qualities, axes) of model_features.json: {model: [K]} and {model: {axis: value}}, as far as given."""
    qualities: dict[str, list[float]] = {}
    axes: dict[str, dict[str, float | None]] = {}
    for model, entry in _member(path, "models", dict).items():
        where = f"{path}: model {model}"
        if not isinstance(entry, dict):
            raise BundleError(f"{where}: must be an object")
        refuse_typos(entry, ("psi_probe", "operational"), where)
        if "psi_probe" in entry:
            qualities[model] = _probe(entry["psi_probe"], k, where)
        if "operational" in entry:
            axes[model] = _axes(entry["operational"], where)
        refuse_nonfinite(entry, where)
    return qualities, axes


def _probe(value: object, k: int, where: str) -> list[float]:
    if not isinstance(value, list) or len(value) != k:
        length = len(value) if isinstance(value, list) else "no list"
        raise BundleError(f"{where}: psi_probe must have {k} numbers, one per cluster, not {length}")
    return [number(cell, f"{where}: cluster {cluster}: psi_probe") for cluster, cell in enumerate(value)]


def _axes(entry: object, where: str) -> dict[str, float | None]:
    if not isinstance(entry, dict):
        raise BundleError(f"{where}: the axes must be an object")
    refuse_typos(entry, AXES, where)
    values: dict[str, float | None] = {}
    for axis in AXES:
        if axis in entry:
            value = None if entry[axis] is None else number(entry[axis], f"{where}: {axis}")
            if value is not None and value < 0:
                raise BundleError(f"{where}: {axis}: must not be negative, but is {value}")
            values[axis] = value
    refuse_nonfinite(entry, where)
    return values


def number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BundleError(f"{where}: must be a number, not {ascii(value)[:40]}")
    if not -LARGEST <= value <= LARGEST:  # false for NaN too
        raise BundleError(f"{where}: must be a finite number of at most {LARGEST:g}, not {ascii(value)[:40]}")
    return float(value)


def refuse_nonfinite(value: object, where: str) -> None:
    """BundleError for NaN and infinity anywhere inside `value`, whatever they may be meant for."""
    _walk(value, where, set())


def _walk(value: object, where: str, seen: set[int]) -> None:
    if isinstance(value, float) and not np.isfinite(value):
        raise BundleError(f"{where}: must be a finite number, not {value}")
    if not isinstance(value, (dict, list)) or id(value) in seen:
        return
    seen.add(id(value))  # YAML aliases may share, or even nest, one object
    items: Iterable[tuple[object, object]] = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, item in items:
        _walk(item, f"{where}: {key}", seen)


def refuse_typos(members: Iterable[object], known: Sequence[str], where: str) -> None:
    """BundleError for a member that is none of the `known` ones, but nearly."""
    for member in members:
        if member in known or not isinstance(member, str):
            continue
        if meant := _meant(re.sub(r"[\W_]+", "_", member).lower(), known):
            raise BundleError(f"{where}: {ascii(member)[:60]} is unknown; did you mean {meant}?")


def _meant(word: str, known: Sequence[str]) -> str:
    """Of `known`, what has the same letters, begins with the word, or is nearly it; "" if nothing."""
    for name in known:
        if sorted(name) == sorted(word) or name.startswith(f"{word}_"):
            return name
    return "".join(get_close_matches(word, known, 1, 0.8 if len(word) > 5 else 0.85))


def _member(path: Path, key: str, kind: type) -> Any:
    """The member that a JSON file is read for; the others hold notes for people."""
    try:
        data = json.loads(read_bytes(path), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get(key), kind):
        form = "a list" if kind is list else "an object"
        raise BundleError(f"{path}: must have a member {key!r} that is {form}")
    refuse_nonfinite({name: value for name, value in data.items() if name != key}, f"{path}")
    return data[key]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; that of two rows for one cluster or model the last would count is nobody's wish."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{ascii(twice)[:60]} is there twice")
    return members


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from error


def matrix(columns: Mapping[str, Sequence[float]], models: Iterable[str]) -> Matrix:
    """float64[K, M], read-only, columns in the order of `models`."""
    table: Matrix = np.ascontiguousarray(np.array([columns[model] for model in models], dtype=np.float64).T)
    table.setflags(write=False)
    return table
