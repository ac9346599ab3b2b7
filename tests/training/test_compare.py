"""Two versions of a small bundle, and what is said about their difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from pointsman.errors import BundleError
from pointsman.scoring.bundle import load_bundle
from pointsman.training import clusters, contents
from pointsman.training.build import Built
from pointsman.training.compare import Change, compare
from pointsman.training.mix import families, rows, shares
from pointsman.training.plan import Plan
from pointsman.training.write import Version, write_bundle
from pointsman.values import Model, Prices

CATALOGUE = {
    "elm": Model("elm", "grove", Prices(input=5.0, output=25.0), quality_tier=4),
    "fir": Model("fir", "grove", Prices(input=0.5, output=2.5), quality_tier=2),
    "oak": Model("oak", "forest", Prices(input=1.0, output=2.0), quality_tier=3),
}
QUALITY = np.array([[0.9, 0.3, 0.5], [0.95, 0.94, 0.5]])


Maker = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    def maker(name: str, **changes: object) -> Path:
        built = Built(
            models=("elm", "fir", "oak"),
            centroids=np.eye(2, 384, dtype=np.float32),
            quality=QUALITY,
            error=np.zeros_like(QUALITY),
            alpha=(0.8, 0.1),
            sources=[{"chat": 3.0}, {"code": 1.0}],
        )
        write_bundle(tmp_path / name, built, CATALOGUE, Plan("test", {}, {}, {}), Version("2026-01-01"), {})
        return tmp_path / name

    return maker


def edited(path: Path, file: str, change: Callable[[dict], object]) -> Path:
    content = (path / file).read_text()
    if file.endswith(".yaml"):
        data = yaml.safe_load(content)
        change(data)
        (path / file).write_text(yaml.safe_dump(data))
    else:
        data = json.loads(content)
        change(data)
        (path / file).write_text(json.dumps(data))
    return path


def test_a_bundle_is_like_itself(make: Maker) -> None:
    one, other = load_bundle(make("v1")), load_bundle(make("v2"))
    assert compare(one, other, CATALOGUE, one.centroids).empty


def test_a_cell_that_is_lowered_moves_the_mix(make: Maker) -> None:
    def lower(data: dict) -> None:
        data["quality_means"]["0"]["elm"] = 0.2

    one, other = load_bundle(make("v1")), load_bundle(edited(make("v2"), "quality_means.json", lower))
    found = compare(one, other, CATALOGUE, one.centroids, [3.0, 1.0])
    assert found.cells == (Change("cluster 0, elm", 0.9, 0.2),)
    assert found.quality == (
        Change("elm", pytest.approx((3 * 0.9 + 0.95) / 4), pytest.approx((3 * 0.2 + 0.95) / 4)),
    )
    (shift,) = found.shifts
    assert (shift.family, shift.asked, shift.moved) == ("grove", "elm", 0.75)
    assert shift.before == {"elm": 0.75, "fir": 0.25}
    assert shift.after == {"fir": 1.0}


def test_prices_alpha_and_knobs(make: Maker) -> None:
    def price(data: dict) -> None:
        data["axes"]["fir"]["input_per_1k_usd"] = 0.002

    def knobs(data: dict) -> None:
        data["training"]["default_routing_knobs"]["alpha"] = [0.8, 0.2]
        data["training"]["default_routing_knobs"]["speed_weight"] = 0.1

    one = load_bundle(make("v1"))
    other = load_bundle(edited(edited(make("v2"), "model_axes.json", price), "metadata.yaml", knobs))
    found = compare(one, other, CATALOGUE, one.centroids)
    assert found.prices == (Change("fir input", 0.5, 2.0),)
    assert found.alpha == (Change("cluster 1", 0.1, 0.2),)
    assert [change.what for change in found.knobs] == ["alpha, mean", "speed_weight"]


def test_models_that_come_and_go(make: Maker) -> None:
    def without_oak(data: dict) -> None:
        data["deployed_models"] = [row for row in data["deployed_models"] if row["model"] != "oak"]

    one, other = load_bundle(make("v1")), load_bundle(edited(make("v2"), "model_registry.json", without_oak))
    assert compare(one, other, CATALOGUE, one.centroids).removed == ("oak",)
    assert compare(other, one, CATALOGUE, one.centroids).added == ("oak",)


def test_bundles_of_two_encoders_have_nothing_in_common(make: Maker) -> None:
    def other_encoder(data: dict) -> None:
        data["embedder"]["model"] = "another"

    one, other = load_bundle(make("v1")), load_bundle(edited(make("v2"), "metadata.yaml", other_encoder))
    with pytest.raises(BundleError, match="cannot be compared"):
        compare(one, other, CATALOGUE, one.centroids)


# --- what is inside ---------------------------------------------------------------------------


def test_clusters_name_their_best_models_and_what_the_blend_picks(make: Maker) -> None:
    bundle = load_bundle(make("v1"))
    about = (clusters.About({"chat": 3.0}, ("hello",)), clusters.About({}, ()))
    first, second = contents.clusters(bundle, about)
    assert first.best == (("elm", 0.9), ("oak", 0.5), ("fir", 0.3))
    assert (first.chosen, second.chosen) == ("elm", "fir")
    assert contents.sizes(about) == [3.0, 0.0]
    assert contents.sizes(about[1:]) == [1.0]


def test_every_preset_has_a_mix(make: Maker) -> None:
    bundle = load_bundle(make("v1"))
    found = {mix.preset: mix.shares for mix in contents.mixes(bundle, CATALOGUE, bundle.centroids)}
    assert found["default"] == {"elm": 0.5, "fir": 0.5}
    assert found["economy"] == {"fir": 1.0}
    assert found["quality"]["elm"] >= 0.5


def test_knobs_do_nothing_in_an_older_bundle(make: Maker) -> None:
    older = load_bundle(make("v1"), format=1)
    assert list(contents.presets(older)) == ["default"]
    first, _ = contents.clusters(older, clusters.read(older.path, older.k))
    assert first.chosen == first.best[0][0] == "elm"


def test_models_that_the_catalogue_lacks_have_the_bundles_prices(make: Maker) -> None:
    bundle = load_bundle(make("v1"))
    known = rows(bundle, {})
    assert (known["elm"].provider, known["elm"].prices) == ("grove", Prices(input=5.0, output=25.0))
    assert families(bundle) == {"grove": ["elm", "fir"]}


def test_shares_are_weighted() -> None:
    assert shares(["a", "b", "a"], [1.0, 2.0, 1.0]) == {"a": 0.5, "b": 0.5}
    assert shares(["a", "b"], [1.0, 0.0]) == {"a": 1.0}


def test_what_is_written_about_clusters_is_read(tmp_path: Path) -> None:
    about = (clusters.About({"chat": 3.0}, ("hello", "there")), clusters.About({}, ()))
    clusters.write(tmp_path, about, {"what": "test"})
    assert clusters.read(tmp_path, 2) == about


def test_a_bundle_without_them_knows_nothing(tmp_path: Path) -> None:
    assert clusters.read(tmp_path, 2) == (clusters.About({}, ()),) * 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"clusters": {"0": {}}}', '{"clusters": {"0": {"prompts": {"a": -1}}, "1": {}}}'],
)
def test_a_broken_file_about_clusters_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / clusters.FILE).write_text(text)
    with pytest.raises(BundleError, match=r"clusters\.json"):
        clusters.read(tmp_path, 2)
