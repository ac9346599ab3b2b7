from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pointsman.embedding import EMBED_DIM, EMBEDDER_ID
from pointsman.scoring.bundle import load_bundle
from pointsman.scoring.cluster import score
from pointsman.training.build import Built
from pointsman.training.mix import mix, strongest
from pointsman.training.plan import Plan
from pointsman.training.write import Version, write_bundle
from pointsman.values import Model, Prices

CATALOGUE = {
    "elm": Model("elm", "grove", Prices(input=5.0, output=25.0), quality_tier=4),
    "fir": Model("fir", "grove", Prices(input=0.5, output=2.5), quality_tier=2),
    "oak": Model("oak", "grove", Prices(input=10.0, output=None), quality_tier=4, opt_in=True),
}


@pytest.fixture
def built() -> Built:
    quality = np.array([[0.9, 0.3, 0.91], [0.95, 0.94, 0.96]])
    return Built(
        models=("elm", "fir", "oak"),
        centroids=np.eye(2, EMBED_DIM, dtype=np.float32),
        quality=quality,
        error=np.zeros_like(quality),
        alpha=(0.8, 0.1),
        sources=[{"mmlu_pro": 3.0}, {"mmlu_pro": 4.0}],
    )


def write(directory: Path, built: Built, form: int = 2) -> Path:
    version = Version("2026-01-01", form=form)
    write_bundle(directory, built, CATALOGUE, Plan("test", {}, {}, {}), version, {"what": "test"}, "# Test\n")
    return directory


def test_what_is_written_can_be_read_in_both_forms(built: Built, tmp_path: Path) -> None:
    path = write(tmp_path / "v0.7", built)
    bundle = load_bundle(path, (EMBEDDER_ID, EMBED_DIM))
    assert (bundle.version, bundle.format, bundle.defaults.alpha) == ("v0.7", 2, (0.8, 0.1))
    assert np.array_equal(bundle.quality, built.quality)
    assert bundle.axes["output_per_1k_usd"][0] == 0.025
    assert np.isnan(bundle.axes["output_per_1k_usd"][2])
    older = load_bundle(path, format=1)
    for vector in built.centroids:
        assert score(older, vector).scores == score(bundle, vector).scores


def test_the_older_form_is_frozen_and_small(built: Built, tmp_path: Path) -> None:
    path = write(tmp_path / "v0.6", built, form=1)
    assert {file.name for file in path.iterdir()} == {
        "README.md", "centroids.bin", "clusters.json",
        "metadata.yaml", "model_registry.json", "rankings.json",
    }  # fmt: skip
    older, newer = load_bundle(path), load_bundle(write(tmp_path / "v0.7", built))
    assert (older.format, older.quality) == (1, None)
    for vector in built.centroids:
        assert score(older, vector).scores == score(newer, vector).scores


def test_writing_again_replaces_the_version(built: Built, tmp_path: Path) -> None:
    first = write(tmp_path / "v0.7", built)
    before = {file.name: file.read_bytes() for file in first.iterdir()}
    write(tmp_path / "v0.7", built)
    assert {file.name: file.read_bytes() for file in first.iterdir()} == before


def test_the_mix_leaves_out_opt_in_and_dearer_models_unless_asked(built: Built, tmp_path: Path) -> None:
    bundle = load_bundle(write(tmp_path / "v0.7", built))
    assert strongest(bundle, CATALOGUE, "grove") == "elm"
    assert mix(bundle, CATALOGUE, built.centroids, "elm") == {"elm": 0.5, "fir": 0.5}
    assert mix(bundle, CATALOGUE, built.centroids, "fir") == {"fir": 1.0}
