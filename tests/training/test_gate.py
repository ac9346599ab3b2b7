"""The release gate on the default bundle: 1,000 prompts through its v1 and its v2 form.

Their vectors are stored beside this file as float16, which moves no nearest cluster; a slow test embeds the
prompts again.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pointsman.errors import BundleError
from pointsman.scoring.bundle import load_bundle, resolve
from pointsman.scoring.cluster import score
from pointsman.training import gate

BUNDLES = Path(__file__).parents[2] / "bundles"
VECTORS = Path(__file__).with_name("gate_vectors.npy")


@pytest.fixture(scope="module")
def texts() -> tuple[str, ...]:
    return gate.prompts()


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.load(VECTORS, allow_pickle=False).astype(np.float64)


@pytest.fixture(scope="module")
def found(texts: tuple[str, ...], vectors: np.ndarray) -> gate.Gate:
    return gate.run(resolve(BUNDLES), texts, vectors)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(resolve(BUNDLES), tmp_path / "copy"))


def test_the_prompts_are_the_pinned_ones(texts: tuple[str, ...]) -> None:
    assert len(set(texts)) == gate.COUNT == 1000
    assert gate.digest(texts) == gate.PROMPTS_SHA256


def test_every_slot_is_filled_and_every_kind_is_asked(texts: tuple[str, ...]) -> None:
    kinds, words = gate._templates()
    assert not [text for text in texts if any(f"{{{word}}}" in text for word in words)]
    assert len(kinds) > 50
    starts = Counter(text[:4] for text in texts)
    assert len(starts) > 100


def test_the_default_bundle_passes(found: gate.Gate) -> None:
    assert found.problems == ()
    assert found.agreement >= 0.99
    assert found.reached >= 0.8 * len(found.nearest)
    assert sum(found.nearest) == 1000


def test_a_winner_lowered_in_the_most_used_cluster_is_noticed_there_only(
    copy: Path, texts: tuple[str, ...], vectors: np.ndarray, found: gate.Gate
) -> None:
    cluster = found.most_used
    bundle = load_bundle(copy)
    near = vectors[(vectors @ bundle.centroids.T).argmax(axis=1) == cluster]
    ((winner, _),) = Counter(score(bundle, vector).model for vector in near).most_common(1)
    path = copy / "quality_means.json"
    content = json.loads(path.read_text())
    content["quality_means"][str(cluster)][winner] -= 0.2
    path.write_text(json.dumps(content))

    lowered = gate.run(copy, texts, vectors)

    assert len(lowered.divergences) > 10
    assert "v1 and v2 agree on" in lowered.problems[0]
    assert all(cluster in divergence.clusters for divergence in lowered.divergences)
    assert {divergence.older.model for divergence in lowered.divergences} == {winner}


def test_divergences_go_into_a_table(copy: Path, texts: tuple[str, ...], vectors: np.ndarray) -> None:
    path = copy / "metadata.yaml"
    path.write_text(path.read_text().replace("output_cost_ratio: 0.25", "output_cost_ratio: 9", 1))
    changed = gate.run(copy, texts[:200], vectors[:200])
    assert changed.divergences
    out = io.StringIO()
    gate.write_csv(changed.divergences, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == list(gate.COLUMNS)
    for row, divergence in zip(rows, changed.divergences, strict=True):
        assert texts[int(row["number"])] == row["text"] == divergence.text
        assert row["v1_model"] != row["v2_model"]
        assert float(row["v1_margin"]) >= 0 <= float(row["v2_margin"])
        assert len(row["clusters"].split()) == 2


def test_a_bundle_that_few_prompts_reach_does_not_pass(copy: Path, texts: tuple[str, ...]) -> None:
    vector = np.load(VECTORS, allow_pickle=False)[:1].astype(np.float64)
    assert gate.run(copy, texts[:1], vector).problems == (
        "the prompts reach 1 of 64 clusters, 80% are needed",
    )


@pytest.mark.parametrize("missing", ["rankings.json", "quality_means.json"])
def test_one_form_alone_has_nothing_to_be_compared_with(
    missing: str, copy: Path, texts: tuple[str, ...], vectors: np.ndarray
) -> None:
    (copy / missing).unlink()
    with pytest.raises(BundleError, match="the gate compares the two"):
        gate.run(copy, texts, vectors)


@pytest.mark.slow
def test_the_stored_vectors_are_those_of_the_encoder(texts: tuple[str, ...], vectors: np.ndarray) -> None:
    """Another processor may round otherwise, and a prompt halfway between clusters fall to the other one."""
    from pointsman.embedding import Embedder, routing_text

    embedder = Embedder(BUNDLES / "embedder")
    fresh = np.stack([embedder.embed(routing_text([text])) for text in texts])
    bundle = load_bundle(resolve(BUNDLES))
    same = [
        score(bundle, a).clusters[0][0] == score(bundle, b).clusters[0][0]
        for a, b in zip(fresh, vectors, strict=True)
    ]
    assert np.mean(same) >= 0.995
    assert gate.run(bundle.path, texts, fresh).problems == ()
