"""The files of a bundle, in the format that `pointsman.scoring.bundle` reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pointsman.embedding import EMBED_DIM, EMBEDDER_ID, MAX_TOKENS
from pointsman.scoring.bundle import load_bundle
from pointsman.scoring.bundle_files import AXES, MAGIC
from pointsman.scoring.cluster import blend
from pointsman.training import clusters
from pointsman.training.build import STARTS, Built
from pointsman.training.data import Floats
from pointsman.training.plan import Plan
from pointsman.values import Model

V2_FILES = ("quality_means.json", "model_axes.json")


@dataclass(frozen=True, slots=True)
class Version:
    """What metadata.yaml says of a version beside its figures. `form` 1 writes rankings alone."""

    created: str
    status: str = "default"
    parent: str | None = None
    form: int = 2


def write_bundle(
    directory: Path,
    built: Built,
    models: Mapping[str, Model],
    plan: Plan,
    version: Version,
    meta: Mapping[str, Any],
    readme: str = "",
) -> None:
    """Write all files of a version, then load them again: what is written is what can be read."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [models[name] for name in built.models]
    k, dim = built.centroids.shape
    (directory / "centroids.bin").write_bytes(
        MAGIC + struct.pack("<III", 1, k, dim) + built.centroids.astype("<f4").tobytes()
    )
    quality = np.round(built.quality, 6)
    axes = {model.name: _axes(model) for model in rows}
    _json(directory / "quality_means.json", {"meta": meta, "quality_means": _rows(built.models, quality)})
    _json(directory / "model_axes.json", {"meta": {"prices": "catalogue; null is unknown"}, "axes": axes})
    _json(directory / "model_registry.json", {"deployed_models": [_entry(model) for model in rows]})
    metadata = _metadata(directory.name, built, axes, plan, version)
    (directory / "metadata.yaml").write_text(
        yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    (directory / "rankings.json").unlink(missing_ok=True)
    _json(directory / "rankings.json", _rankings(directory, meta if version.form == 1 else {}))
    if version.form == 1:
        for name in V2_FILES:
            (directory / name).unlink()
    listed = built.words or ((),) * k
    clusters.write(
        directory,
        [clusters.About(sources, typical) for sources, typical in zip(built.sources, listed, strict=True)],
        {"what": "weighted train prompts by source, and typical words; nothing that serves reads this"},
    )
    if readme:
        (directory / "README.md").write_text(readme, encoding="utf-8")
    load_bundle(directory, (EMBEDDER_ID, EMBED_DIM))


def _rankings(directory: Path, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The v1 view: the blend at the default knobs, over all models of the registry, frozen."""
    bundle = load_bundle(directory)
    assert bundle.quality is not None  # just written
    blended = blend(bundle.quality, bundle.axes, bundle.defaults)
    what = "the v2 blend at the default knobs over all models; knobs do nothing here"
    return {"meta": dict(meta) | {"what": what}, "rankings": _rows(bundle.models, blended)}


def _metadata(
    name: str, built: Built, axes: Mapping[str, Mapping[str, Any]], plan: Plan, version: Version
) -> dict[str, Any]:
    knobs = {
        "alpha": list(built.alpha),
        "speed_weight": 0.0,
        "output_cost_ratio": plan.output_cost_ratio,
        "expected_output_tokens": 2000,
        "per_model_verbosity": False,
    }
    training = {
        "k": len(built.centroids),
        "top_p": plan.nearest(len(built.centroids)),
        "alpha": round(float(np.mean(built.alpha)), 4),
        "seed": plan.seed,
        "algorithm": f"k-means, the best of {STARTS} starts, weighted prompts",
        "recipe": plan.name,
        "source_weights": {
            name: source.weight for name, source in plan.sources.items() if source.weight != 1
        },
        "money": plan.money,
        "lowered_by": plan.lowered_by,
        "default_routing_knobs": knobs,
    }
    if version.form == 2:
        training["recommended_ui_defaults"] = {name: dict(preset) for name, preset in plan.presets.items()}
    return {
        "format_version": version.form,
        "version": name,
        "parent": version.parent,
        "status": version.status,
        "created": version.created,
        "embedder": {"model": EMBEDDER_ID, "embed_dim": EMBED_DIM, "max_tokens": MAX_TOKENS},
        "training": training,
        "cost_per_1k_input_usd": {name: row["input_per_1k_usd"] for name, row in axes.items()},
        "cache_config": {"default_threshold": 0.95, "per_cluster_threshold": {}},
    }


def _axes(model: Model) -> dict[str, float | None]:
    known = {
        "input_per_1k_usd": _per_thousand(model.prices.input),
        "output_per_1k_usd": _per_thousand(model.prices.output),
    }
    return {axis: known.get(axis) for axis in AXES}


def _per_thousand(usd_per_mtok: float | None) -> float | None:
    return None if usd_per_mtok is None else round(usd_per_mtok / 1000, 9)


def _entry(model: Model) -> dict[str, Any]:
    return {"model": model.name, "provider": model.provider, "bench_column": None}


def _rows(models: Sequence[str], table: Floats) -> dict[str, dict[str, float]]:
    return {str(k): dict(zip(models, row.tolist(), strict=True)) for k, row in enumerate(table)}


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
