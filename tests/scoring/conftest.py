"""A small bundle on disk that tests take apart."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

MODELS = {
    # in, out (USD per 1,000), ttft s, tokens/s, tokens per answer, quality in clusters 0, 1, 2
    "alder": (0.001, 0.005, 0.5, 100.0, 400.0, (0.30, 0.90, 0.50)),
    "birch": (0.003, 0.015, 1.0, 50.0, 800.0, (0.60, 0.92, 0.50)),
    "cedar": (0.010, 0.050, 2.0, 25.0, 600.0, (0.80, 0.95, 0.50)),
}
AXES = ("input_per_1k_usd", "output_per_1k_usd", "ttft_s", "tps", "verbosity_tokens")
CENTROIDS = np.eye(3, 4, dtype="<f4")


def contents() -> dict[str, Any]:
    """The files of a valid v2 bundle with rankings beside: K = 3, dim = 4."""
    quality = {str(k): {m: row[5][k] for m, row in MODELS.items()} for k in range(3)}
    return {
        "centroids.bin": b"CRT1" + struct.pack("<III", 1, 3, 4) + CENTROIDS.tobytes(),
        "quality_means.json": {"meta": {}, "quality_means": quality},
        "model_axes.json": {
            "meta": {},
            "axes": {m: dict(zip(AXES, row, strict=False)) for m, row in MODELS.items()},
        },
        "rankings.json": {
            "meta": {},
            "rankings": {str(k): {m: -row[0] for m, row in MODELS.items()} for k in range(3)},
        },
        "model_registry.json": {
            "deployed_models": [
                {"model": m, "provider": "grove", "bench_column": m} for m in reversed(MODELS)
            ]
        },
        "metadata.yaml": {
            "format_version": 2,
            "version": "v9.1",
            "embedder": {"model": "tiny", "embed_dim": 4, "max_tokens": 8},
            "training": {
                "k": 3,
                "top_p": 1,
                "default_routing_knobs": {"alpha": [0.5, 0.6, 0.7], "output_cost_ratio": 0.25},
            },
        },
    }


def write(directory: Path, files: dict[str, Any]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (directory / name).write_bytes(content)
        elif name.endswith(".yaml"):
            (directory / name).write_text(yaml.safe_dump(content))
        else:
            (directory / name).write_text(json.dumps(content))
    return directory


Writer = Callable[..., Path]


@pytest.fixture
def files() -> dict[str, Any]:
    return contents()


@pytest.fixture
def write_bundle(tmp_path: Path) -> Writer:
    def writer(files: dict[str, Any] | None = None, name: str = "v9.1") -> Path:
        return write(tmp_path / name, contents() if files is None else files)

    return writer
