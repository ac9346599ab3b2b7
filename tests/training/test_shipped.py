"""The default bundle as it ships: provenance, the older view, and the mix it routes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from pointsman.catalogue import Catalogue
from pointsman.scoring.bundle import Bundle, load_bundle, resolve
from pointsman.scoring.cluster import score
from pointsman.scoring.knobs import merge, parse
from pointsman.training import clusters
from pointsman.training import plan as plans
from pointsman.values import Model

ROOT = Path(__file__).parents[2] / "bundles"
FAMILIES = ("anthropic", "openai", "gemini")
DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(resolve(ROOT))


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Model]:
    return {model.name: model for model in Catalogue.load().models}


@pytest.fixture(scope="module")
def vectors(bundle: Bundle) -> np.ndarray:
    """1,000 fixed vectors: mixtures of the bundle's own centroids, so that all clusters are met."""
    rng = np.random.default_rng(52)
    drawn = rng.dirichlet(np.full(bundle.k, 0.1), 1000) @ bundle.centroids
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def families(bundle: Bundle) -> Iterator[tuple[str, list[str]]]:
    for family in FAMILIES:
        yield family, [m for m in bundle.models if bundle.providers[m] == family]


def test_every_model_is_in_the_catalogue_at_its_price(bundle: Bundle, catalogue: dict[str, Model]) -> None:
    for at, name in enumerate(bundle.models):
        model = catalogue[name]
        assert bundle.providers[name] == model.provider
        assert bundle.axes["input_per_1k_usd"][at] * 1000 == pytest.approx(model.prices.input)
        assert bundle.axes["output_per_1k_usd"][at] * 1000 == pytest.approx(model.prices.output)


def test_what_nobody_measured_is_unknown(bundle: Bundle) -> None:
    for axis in ("ttft_s", "tps", "verbosity_tokens"):
        assert np.isnan(bundle.axes[axis]).all()


def test_every_model_says_what_it_is_known_by(bundle: Bundle) -> None:
    meta = json.loads((bundle.path / "quality_means.json").read_text())["meta"]
    assert meta["models"].keys() == set(bundle.models) == set(plans.read().models)
    assert all("row" in m["basis"] or m["basis"].startswith("prior: ") for m in meta["models"].values())
    assert all(m["sd"] > 0 for m in meta["models"].values())
    sources = {source for cluster in meta["clusters"].values() for source in cluster["prompts"]}
    assert "bfcl" not in sources


def test_the_older_view_agrees_on_every_choice(bundle: Bundle, vectors: np.ndarray) -> None:
    older = load_bundle(bundle.path, format=1)
    disagreements = sum(score(bundle, v).model != score(older, v).model for v in vectors)
    assert disagreements == 0


def test_every_cluster_says_what_it_was_made_of(bundle: Bundle) -> None:
    about = clusters.read(bundle.path, bundle.k)
    assert all(cluster.size > 0 for cluster in about)
    words = [word for cluster in about for word in cluster.words]
    assert len(words) > 5 * bundle.k
    assert all(word.isalpha() and word.islower() for word in words)
    assert "bfcl" not in {source for cluster in about for source in cluster.prompts}


def test_every_cell_says_what_it_rests_on(bundle: Bundle) -> None:
    cells = json.loads((bundle.path / "quality_means.json").read_text())["meta"]["cells"]
    assert cells["scored"] == {}, "nobody scored today's models"
    assert all(set(row) == set(bundle.models) for row in cells["error"].values())
    assert all(0 < error < 0.5 for row in cells["error"].values() for error in row.values())


def test_the_old_version_is_a_real_one() -> None:
    older = load_bundle(resolve(ROOT, "v0.0"))
    assert older.path.parent.name == "legacy"
    assert (older.format, older.k, older.quality) == (1, 32, None)
    assert not (older.path / "model_axes.json").exists()
    assert older.rankings is not None
    assert len(np.unique(older.rankings.argmax(axis=1))) > 1


def test_alpha_differs_between_clusters_and_rises_with_the_gap(bundle: Bundle) -> None:
    assert bundle.quality is not None
    gaps = []
    for _, models in families(bundle):
        own = bundle.quality[:, [bundle.models.index(m) for m in models]]
        gaps.append(own.max(axis=1) - own.min(axis=1))
    alpha = np.array(bundle.defaults.alpha)
    assert np.corrcoef(np.mean(gaps, axis=0), alpha)[0, 1] > 0.9
    assert alpha.max() - alpha.min() > 0.2


def test_knob_headers_move_the_mix(bundle: Bundle, vectors: np.ndarray) -> None:
    models = dict(families(bundle))["anthropic"]
    cheap, good = (
        {score(bundle, v, knobs, deployed=models).model for v in vectors[:200]}
        for knobs in (merge(bundle.defaults, parse({"x-router-alpha": alpha}), bundle.k) for alpha in "01")
    )
    assert cheap == {"claude-haiku-5-5"}
    assert "claude-haiku-5-5" not in good


def test_interface_defaults_are_valid_knobs(bundle: Bundle) -> None:
    metadata = yaml.safe_load((bundle.path / "metadata.yaml").read_text())
    for knobs in metadata["training"]["recommended_ui_defaults"].values():
        headers = {f"x-router-{name.replace('_', '-')}": str(value) for name, value in knobs.items()}
        merge(bundle.defaults, parse(headers), bundle.k)


# The mix over training prompts needs the evaluation data beside the checkout.


@pytest.fixture(scope="module")
def prompts() -> np.ndarray:
    if not (DATA / "prompts.jsonl.gz").is_file():
        pytest.skip("the evaluation data is not beside the checkout")
    from pointsman.embedding import Embedder, routing_text
    from pointsman.training.build import usable
    from pointsman.training.data import Data, read_prompts

    read = [p for name in ("agent_prompts", "prompts") for p in read_prompts(DATA / f"{name}.jsonl.gz")]
    data = Data(tuple(read), {}, {}, {})
    rows = np.flatnonzero(usable(data))[::97]  # about 290 prompts
    embedder = Embedder(ROOT / "embedder", threads=2)
    return np.stack([embedder.embed(routing_text([data.prompts[at].text])) for at in rows])


@pytest.mark.parametrize("family", FAMILIES)
def test_two_models_serve_more_than_a_tenth(
    family: str, prompts: np.ndarray, bundle: Bundle, catalogue: dict[str, Model]
) -> None:
    from pointsman.training.mix import mix, strongest

    shares = mix(bundle, catalogue, prompts, strongest(bundle, catalogue, family))
    assert sum(share > 0.1 for share in shares.values()) >= 2
    assert not any(catalogue[m].opt_in for m in shares)


def test_leaderboard_rows_are_where_the_roster_says() -> None:
    path = DATA / "leaderboards.csv"
    if not path.is_file():
        pytest.skip("the evaluation data is not beside the checkout")
    with path.open(encoding="utf-8") as lines:
        printed = {(row["benchmark"], row["model"]) for row in csv.DictReader(lines)}
    for rows in plans.read().evidence.values():
        for benchmark, names in rows.items():
            if benchmark not in ("pool", "swebench_pro"):
                assert {(benchmark, name) for name in names} <= printed
