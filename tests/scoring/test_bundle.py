from __future__ import annotations

import copy
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pointsman.errors import BundleError
from pointsman.scoring.bundle import list_versions, load_bundle, resolve
from pointsman.scoring.cluster import score
from pointsman.scoring.dial import effective
from pointsman.scoring.knobs import Overrides
from scoring.conftest import contents, write

Writer = Callable[..., Path]
Files = dict[str, Any]
ROOT = Path(__file__).parents[2] / "bundles"


def centroids(magic: bytes = b"CRT1", version: int = 1, k: int = 3, dim: int = 4, rows: Any = None) -> bytes:
    rows = np.eye(3, 4) if rows is None else np.array(rows)
    return magic + struct.pack("<III", version, k, dim) + rows.astype("<f4").tobytes()


def put(files: Files, path: str, value: Any) -> None:
    """Set `value` at "file/key/key" of the contents; a list index counts as a key."""
    *parents, last = path.split("/")
    at: Any = files
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
    if value is ...:
        del at[int(last) if isinstance(at, list) else last]
    else:
        at[int(last) if isinstance(at, list) else last] = value


def test_v2_is_read_as_it_is(write_bundle: Writer) -> None:
    bundle = load_bundle(write_bundle(), ("tiny", 4))
    assert (bundle.version, bundle.format, bundle.k, bundle.dim, bundle.top_p) == ("v9.1", 2, 3, 4, 1)
    assert bundle.models == ("alder", "birch", "cedar")
    assert bundle.providers["alder"] == "grove"
    assert bundle.quality is not None
    assert bundle.quality[0].tolist() == [0.3, 0.6, 0.8]
    assert bundle.axes["tps"].tolist() == [100.0, 50.0, 25.0]
    assert bundle.defaults.alpha == (0.5, 0.6, 0.7)
    assert (bundle.defaults.output_cost_ratio, bundle.defaults.expected_output_tokens) == (0.25, 2000)


def test_arrays_cannot_be_written(write_bundle: Writer) -> None:
    bundle = load_bundle(write_bundle())
    for array in (bundle.centroids, bundle.quality, bundle.rankings, *bundle.axes.values()):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_without_quality_means_it_is_v1(files: Files, write_bundle: Writer) -> None:
    put(files, "quality_means.json", ...)
    put(files, "model_axes.json", ...)
    bundle = load_bundle(write_bundle(files))
    assert (bundle.format, bundle.quality) == (1, None)


def test_missing_knobs_have_defaults(files: Files, write_bundle: Writer) -> None:
    put(files, "metadata.yaml/training", ...)
    bundle = load_bundle(write_bundle(files))
    assert bundle.defaults.alpha == (0.53, 0.53, 0.53)
    assert bundle.defaults.expected_output_tokens == 2000
    assert (bundle.defaults.speed_weight, bundle.defaults.output_cost_ratio) == (0.0, 0.0)
    assert bundle.defaults.per_model_verbosity is False
    assert bundle.top_p == 3


def test_null_axes_are_unknown(files: Files, write_bundle: Writer) -> None:
    put(files, "model_axes.json/axes/alder", {"input_per_1k_usd": None})
    assert all(np.isnan(values[0]) for values in load_bundle(write_bundle(files)).axes.values())


def test_a_model_listed_for_several_columns_counts_once(files: Files, write_bundle: Writer) -> None:
    files["model_registry.json"]["deployed_models"].append({"model": "alder", "provider": "other"})
    bundle = load_bundle(write_bundle(files))
    assert bundle.models == ("alder", "birch", "cedar")
    assert bundle.providers["alder"] == "grove"


def test_models_beyond_the_registry_are_left_out(files: Files, write_bundle: Writer) -> None:
    put(files, "quality_means.json/quality_means/0/willow", 0.5)
    put(files, "model_axes.json/axes/willow", {})
    assert load_bundle(write_bundle(files)).models == ("alder", "birch", "cedar")


def test_model_features_override_means_and_axes(files: Files, write_bundle: Writer) -> None:
    put(
        files, "model_features.json/models/birch", {"psi_probe": [0.1, 0.2, 0.3], "operational": {"tps": 7.0}}
    )
    bundle = load_bundle(write_bundle(files))
    assert bundle.quality is not None
    assert bundle.quality[:, 1].tolist() == [0.1, 0.2, 0.3]
    assert bundle.quality[:, 0].tolist() == [0.3, 0.9, 0.5]
    assert bundle.axes["tps"].tolist() == [100.0, 7.0, 25.0]
    assert bundle.axes["ttft_s"][1] == 1.0


def test_model_features_alone_are_enough(files: Files, write_bundle: Writer) -> None:
    axes = files.pop("model_axes.json")["axes"]
    means = files.pop("quality_means.json")["quality_means"]
    whole = load_bundle(write_bundle(name="whole"))
    entries = {m: {"psi_probe": [means[str(k)][m] for k in range(3)], "operational": axes[m]} for m in axes}
    put(files, "model_features.json/models", entries)
    bundle = load_bundle(write_bundle(files))
    assert bundle.format == 2
    assert np.array_equal(bundle.quality, whole.quality)
    assert all(np.array_equal(bundle.axes[axis], whole.axes[axis]) for axis in whole.axes)


def test_presets_are_read(files: Files, write_bundle: Writer) -> None:
    put(files, f"{PRESETS}/economy", {"alpha": 0.2, "speed_weight": 0, "output_cost_ratio": 0.5})
    put(files, f"{PRESETS}/all of it", {"quality_bias": 1, "expected_output_tokens": 5})
    assert load_bundle(write_bundle(files)).presets == {
        "economy": Overrides(alpha=0.2, speed_weight=0.0, output_cost_ratio=0.5),
        "all of it": Overrides(quality_bias=1.0, expected_output_tokens=5),
    }


def test_every_cluster_has_a_threshold_of_the_cache(files: Files, write_bundle: Writer) -> None:
    assert load_bundle(write_bundle()).cache_thresholds == (0.95, 0.95, 0.95)
    config = {"default_threshold": 0.9, "per_cluster_threshold": {1: 0.99, "2": 0.5}}
    put(files, "metadata.yaml/cache_config", config)
    assert load_bundle(write_bundle(files)).cache_thresholds == (0.9, 0.99, 0.5)


def test_what_a_newer_bundle_has_is_no_mistake(files: Files, write_bundle: Writer) -> None:
    put(files, "metadata.yaml/training/top_k", 3)
    put(files, "metadata.yaml/training/seeds", [1, 2])
    put(files, f"{KNOBS}/temperature", 0.5)
    put(files, "metadata.yaml/notes", {"any": ["thing"]})
    put(files, "model_axes.json/axes/alder/context_tokens", 1000)
    assert load_bundle(write_bundle(files)).models == ("alder", "birch", "cedar")


NAN, INF = float("nan"), float("inf")
PRESETS = "metadata.yaml/training/recommended_ui_defaults"
Q = "quality_means.json/quality_means"
KNOBS = "metadata.yaml/training/default_routing_knobs"

BROKEN: list[tuple[str, Any, tuple[str, ...]]] = [
    # what to change, to what (... removes it), what the message must name
    ("centroids.bin", ..., ("centroids.bin", "cannot be read")),
    ("centroids.bin", b"", ("centroids.bin", "CRT1")),
    ("centroids.bin", b"CRT1\1\0", ("centroids.bin", "16 bytes")),
    ("centroids.bin", centroids(magic=b"CRT2"), ("centroids.bin", "CRT2")),
    ("centroids.bin", centroids(version=2), ("centroids.bin", "version")),
    ("centroids.bin", centroids(k=0), ("centroids.bin", "above 0")),
    ("centroids.bin", centroids(dim=0), ("centroids.bin", "above 0")),
    ("centroids.bin", centroids()[:-1], ("centroids.bin", "64 bytes", "has 63")),
    ("centroids.bin", centroids() + b"\0", ("centroids.bin", "64 bytes", "has 65")),
    ("centroids.bin", centroids(k=2**32 - 1, dim=2**32 - 1), ("centroids.bin", "bytes")),
    (
        "centroids.bin",
        centroids(rows=[[1, 0, 0, 0], [0, NAN, 0, 0], [0, 0, 1, 0]]),
        ("centroids.bin", "cluster 1"),
    ),
    (
        "centroids.bin",
        centroids(rows=[[1, 0, 0, 0], [0, 1, 0, 0], [INF, 0, 1, 0]]),
        ("centroids.bin", "cluster 2"),
    ),
    (
        "centroids.bin",
        centroids(rows=[[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0]]),
        ("cluster 1", "normalised"),
    ),
    ("quality_means.json", b"{", ("quality_means.json", "JSON")),
    ("quality_means.json", b"\xff\xfe", ("quality_means.json", "JSON")),
    ("quality_means.json", b"[" * 100_000, ("quality_means.json", "JSON")),
    ("quality_means.json", {"means": {}}, ("quality_means.json", "quality_means")),
    (f"{Q}/1", ..., ("quality_means.json", "cluster 1")),
    (f"{Q}/3", {}, ("quality_means.json", "cluster 3", "unknown")),
    (f"{Q}/2/birch", ..., ("quality_means.json", "cluster 2", "birch")),
    (f"{Q}/2/birch", NAN, ("quality_means.json", "cluster 2", "birch", "nan")),
    (f"{Q}/2/birch", -INF, ("quality_means.json", "cluster 2", "birch", "-inf")),
    (f"{Q}/2/birch", None, ("quality_means.json", "cluster 2", "birch")),
    (f"{Q}/2/birch", True, ("quality_means.json", "cluster 2", "birch")),
    (f"{Q}/2/birch", "0.5", ("quality_means.json", "cluster 2", "birch")),
    (f"{Q}/2/birch", 10**400, ("quality_means.json", "cluster 2", "birch")),
    (f"{Q}/2/willow", NAN, ("quality_means.json", "cluster 2", "willow")),
    ("model_axes.json", ..., ("model_axes.json",)),
    ("model_axes.json/axes/cedar", ..., ("model_axes.json", "cedar", "registry")),
    ("model_axes.json/axes/cedar", 3, ("model_axes.json", "cedar")),
    ("model_axes.json/axes/cedar/tps", INF, ("model_axes.json", "cedar", "tps")),
    ("model_axes.json/axes/cedar/ttft_s", -1.0, ("model_axes.json", "cedar", "ttft_s", "negative")),
    ("model_features.json", {"models": {"alder": 3}}, ("model_features.json", "alder")),
    (
        "model_features.json/models/alder/psi_probe",
        [0.1, 0.2],
        ("model_features.json", "alder", "3 numbers", "2"),
    ),
    (
        "model_features.json/models/alder/psi_probe",
        [0.1, NAN, 0.2],
        ("model_features.json", "alder", "cluster 1"),
    ),
    ("model_features.json/models/alder/operational", {"tps": NAN}, ("model_features.json", "alder", "tps")),
    ("rankings.json/rankings/0/alder", INF, ("rankings.json", "cluster 0", "alder")),
    ("rankings.json/rankings/0", ..., ("rankings.json", "cluster 0")),
    ("model_registry.json", ..., ("model_registry.json",)),
    ("model_registry.json", {"deployed_models": []}, ("model_registry.json", "at least one")),
    (
        "model_registry.json/deployed_models/1",
        {"provider": "x"},
        ("model_registry.json", "deployed_models[1]"),
    ),
    ("metadata.yaml", ..., ("metadata.yaml",)),
    ("metadata.yaml", b"a: [", ("metadata.yaml", "YAML")),
    ("metadata.yaml", b"!!python/object/apply:os.getcwd []", ("metadata.yaml", "YAML")),
    ("metadata.yaml", b"just text", ("metadata.yaml", "mapping")),
    (
        "metadata.yaml/cache_config",
        {"default_threshold": NAN},
        ("metadata.yaml", "cache_config", "default_threshold"),
    ),
    ("metadata.yaml/training/k", 4, ("metadata.yaml", "training.k", "4", "3")),
    ("metadata.yaml/training/top_p", 0, ("metadata.yaml", "top_p")),
    ("metadata.yaml/training", [], ("metadata.yaml", "training")),
    ("metadata.yaml/embedder/embed_dim", 5, ("metadata.yaml", "embed_dim", "5", "4")),
    (f"{KNOBS}/alpha", [0.5, 0.5], ("metadata.yaml", "alpha", "3 clusters", "2 values")),
    (f"{KNOBS}/alpha", 0.5, ("metadata.yaml", "alpha", "3 clusters")),
    (f"{KNOBS}/alpha", [0.5, 0.5, 1.5], ("metadata.yaml", "alpha", "cluster 2")),
    (f"{KNOBS}/alpha", [0.5, "x", 0.5], ("metadata.yaml", "alpha", "cluster 1")),
    (f"{KNOBS}/alpha_floor", [0.5], ("metadata.yaml", "alpha_floor")),
    (f"{KNOBS}/alpha_floor", [0.5, 0.5, -0.1], ("metadata.yaml", "alpha_floor", "cluster 2")),
    (f"{KNOBS}/speed_weight", 0.9, ("metadata.yaml", "speed_weight", "cluster 0")),
    (f"{KNOBS}/output_cost_ratio", 11, ("metadata.yaml", "output_cost_ratio")),
    (f"{KNOBS}/expected_output_tokens", 1.5, ("metadata.yaml", "expected_output_tokens")),
    (f"{KNOBS}/per_model_verbosity", 1, ("metadata.yaml", "per_model_verbosity")),
    (f"{KNOBS}/alpha_floor", [0.5, NAN, 0.1], ("metadata.yaml", "alpha_floor", "1", "nan")),
    (PRESETS, ["quality"], ("metadata.yaml", "recommended_ui_defaults", "mapping")),
    (f"{PRESETS}/fast", 0.5, ("metadata.yaml", "recommended_ui_defaults.fast", "mapping")),
    (f"{PRESETS}/fast", {"alpha": "much"}, ("metadata.yaml", "recommended_ui_defaults.fast.alpha")),
    (f"{PRESETS}/fast", {"alpha": NAN}, ("metadata.yaml", "recommended_ui_defaults", "fast", "nan")),
    (f"{PRESETS}/fast", {"alpha": 1.5}, ("recommended_ui_defaults.fast", "between 0 and 1", "1.5")),
    (f"{PRESETS}/fast", {"alpha": 0.8, "speed_weight": 0.4}, ("recommended_ui_defaults.fast", "more than 1")),
    (f"{PRESETS}/fast", {"speed_weight": 0.5}, ("recommended_ui_defaults.fast", "cluster 1", "more than 1")),
    (f"{PRESETS}/fast", {"output_cost_ratio": 11}, ("recommended_ui_defaults.fast", "output_cost_ratio")),
    (f"{PRESETS}/fast", {"quality_bias": 2}, ("recommended_ui_defaults.fast.quality_bias", "0 to 1")),
    (f"{PRESETS}/fast", {"quality_bias": 1, "alpha": 1}, ("recommended_ui_defaults.fast", "keep one")),
    (f"{PRESETS}/f\xe4st", {}, ("recommended_ui_defaults", "plain text")),
    (f"{PRESETS}/ ", {}, ("recommended_ui_defaults", "plain text")),
    ("metadata.yaml/version", "v1\nx-router-model: y", ("metadata.yaml", "version")),
    ("metadata.yaml/cache_config/default_threshold", 1.5, ("metadata.yaml", "default_threshold", "cosine")),
    (
        "metadata.yaml/cache_config/per_cluster_threshold",
        {"3": 0.9},
        ("metadata.yaml", "cluster 3", "3 cent"),
    ),
    ("metadata.yaml/cache_config/per_cluster_threshold", {"1": "x"}, ("metadata.yaml", "cluster 1")),
]

NOWHERE_READ: list[tuple[str, tuple[str, ...]]] = [
    ("quality_means.json/meta/evidence", ("quality_means.json", "meta", "evidence")),
    ("quality_means.json/meta", ("quality_means.json", "meta")),
    ("rankings.json/meta/alpha", ("rankings.json", "meta", "alpha")),
    ("model_axes.json/axes/cedar/context_tokens", ("model_axes.json", "cedar", "context_tokens")),
    ("model_registry.json/deployed_models/1/rank", ("model_registry.json", "deployed_models[1]", "rank")),
    ("model_features.json/models/cedar/more", ("model_features.json", "cedar", "more")),
    ("metadata.yaml/cost_per_1k_input_usd/cedar", ("metadata.yaml", "cost_per_1k_input_usd", "cedar")),
]
MISSPELT: list[tuple[str, Any, tuple[str, ...]]] = [
    ("metadata.yaml/trainning", {}, ("metadata.yaml", "'trainning'", "did you mean training?")),
    ("metadata.yaml/Embedder", {}, ("metadata.yaml", "'Embedder'", "embedder?")),
    ("metadata.yaml/embedder/embed_dims", 4, ("metadata.yaml", "embedder", "embed_dim?")),
    ("metadata.yaml/training/default_routing_knob", {}, ("training", "default_routing_knobs?")),
    ("metadata.yaml/training/recommended_ui_default", {}, ("training", "recommended_ui_defaults?")),
    (f"{KNOBS}/aplha", [0.1, 0.1, 0.1], ("default_routing_knobs", "'aplha'", "did you mean alpha?")),
    (f"{KNOBS}/alpha-floor", [0.1, 0.1, 0.1], ("default_routing_knobs", "alpha_floor?")),
    (f"{KNOBS}/spead_weight", 0.1, ("default_routing_knobs", "speed_weight?")),
    (f"{KNOBS}/speed", 0.1, ("default_routing_knobs", "speed_weight?")),
    (f"{KNOBS}/output_cost", 0.1, ("default_routing_knobs", "output_cost_ratio?")),
    (f"{KNOBS}/expected_tokens", 100, ("default_routing_knobs", "expected_output_tokens?")),
    (f"{KNOBS}/per_model_verbositiy", True, ("default_routing_knobs", "per_model_verbosity?")),
    (f"{PRESETS}/fast", {"alhpa": 0.1}, ("recommended_ui_defaults.fast", "'alhpa'", "alpha?")),
    ("metadata.yaml/cache_config/default_treshold", 0.9, ("cache_config", "default_threshold?")),
    ("metadata.yaml/cache_config/per_cluster_thresholds", {}, ("cache_config", "per_cluster_threshold?")),
    ("model_axes.json/axes/cedar/ttft", 1.0, ("model_axes.json", "cedar", "ttft_s?")),
    ("model_axes.json/axes/cedar/tsp", 1.0, ("model_axes.json", "cedar", "tps?")),
    ("model_axes.json/axes/cedar/input_per_1k", 1.0, ("model_axes.json", "cedar", "input_per_1k_usd?")),
    ("model_features.json/models/cedar/psi_prob", [], ("model_features.json", "cedar", "psi_probe?")),
    ("model_features.json/models/cedar/operation", {}, ("model_features.json", "cedar", "operational?")),
]
TWICE = [
    ("quality_means.json", '{"quality_means": {"0": {}, "1": {}, "0": {}}}', "'0' is there twice"),
    ("model_axes.json", '{"axes": {"alder": {"tps": 1, "tps": 2}}}', "'tps' is there twice"),
]


@pytest.mark.parametrize(("path", "named"), NOWHERE_READ, ids=[path for path, _ in NOWHERE_READ])
def test_a_number_that_is_none_is_refused_also_where_nothing_reads_it(
    path: str, named: tuple[str, ...], files: Files, write_bundle: Writer
) -> None:
    for number in (NAN, INF, -INF):
        put(files, path, number)
        with pytest.raises(BundleError) as caught:
            load_bundle(write_bundle(files))
        assert all(word in str(caught.value) for word in (*named, "finite")), str(caught.value)


@pytest.mark.parametrize(("path", "value", "named"), MISSPELT, ids=[path for path, _, _ in MISSPELT])
def test_a_misspelt_member_is_refused_with_what_was_meant(
    path: str, value: Any, named: tuple[str, ...], files: Files, write_bundle: Writer
) -> None:
    put(files, path, value)
    with pytest.raises(BundleError) as caught:
        load_bundle(write_bundle(files))
    assert all(word in str(caught.value) for word in (*named, "is unknown")), str(caught.value)


@pytest.mark.parametrize(("name", "text", "says"), TWICE)
def test_a_member_that_is_there_twice_is_refused(
    name: str, text: str, says: str, files: Files, write_bundle: Writer
) -> None:
    files[name] = text.encode()
    with pytest.raises(BundleError, match=says) as caught:
        load_bundle(write_bundle(files))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "name", ["centroids.bin", "quality_means.json", "model_axes.json", "model_registry.json", "metadata.yaml"]
)
def test_each_missing_file_is_named(name: str, files: Files, write_bundle: Writer) -> None:
    del files[name], files["rankings.json"]
    if name == "quality_means.json":
        name = "rankings.json"  # without quality_means.json it is a v1 bundle, and then this is what it lacks
    with pytest.raises(BundleError, match="cannot be read") as caught:
        load_bundle(write_bundle(files))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "named"), BROKEN, ids=[f"{n}-{case[0]}" for n, case in enumerate(BROKEN)]
)
def test_a_broken_bundle_is_refused_by_name(
    path: str, value: Any, named: tuple[str, ...], files: Files, write_bundle: Writer
) -> None:
    put(files, path, copy.deepcopy(value))
    with pytest.raises(BundleError) as caught:
        load_bundle(write_bundle(files))
    assert all(word in str(caught.value) for word in named), str(caught.value)


def test_a_floor_that_leaves_the_speed_weight_no_room_is_refused(files: Files, write_bundle: Writer) -> None:
    put(files, f"{KNOBS}/speed_weight", 0.2)
    put(files, f"{KNOBS}/alpha_floor", [0.1, 0.1, 0.9])
    with pytest.raises(BundleError, match=r"alpha_floor of cluster 2 and speed_weight"):
        load_bundle(write_bundle(files))


def test_a_bundle_that_names_no_embedder_is_refused(files: Files, write_bundle: Writer) -> None:
    put(files, "metadata.yaml/embedder", ...)
    with pytest.raises(BundleError, match=r"metadata\.yaml: embedder\.model is missing.*'tiny'"):
        load_bundle(write_bundle(files), ("tiny", 4))


@pytest.mark.parametrize("running", [("tiny", 8), ("huge", 4)])
def test_another_embedder_is_refused(running: tuple[str, int], write_bundle: Writer) -> None:
    with pytest.raises(BundleError, match=r"metadata\.yaml.*'tiny' with dim 4"):
        load_bundle(write_bundle(), running)


def test_a_form_the_bundle_lacks_is_an_error(files: Files, write_bundle: Writer) -> None:
    put(files, "rankings.json", ...)
    with pytest.raises(BundleError, match=r"rankings\.json"):
        load_bundle(write_bundle(files), format=1)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "v1")


class TestVersions:
    @pytest.fixture
    def root(self, tmp_path: Path, write_bundle: Writer) -> Path:
        for name in ("v0.9", "v0.10", "legacy/v0.2", "legacy/v0.9"):
            write_bundle(name=name)
        (tmp_path / "embedder").mkdir()
        (tmp_path / "latest").write_text("v0.10\n")
        return tmp_path

    @pytest.mark.parametrize("version", ["", "latest", " latest "])
    def test_the_pointer(self, root: Path, version: str) -> None:
        assert resolve(root, version) == root / "v0.10"

    def test_root_before_legacy(self, root: Path) -> None:
        assert resolve(root, "v0.9") == root / "v0.9"
        assert resolve(root, "v0.2") == root / "legacy" / "v0.2"

    def test_a_pointer_into_legacy(self, root: Path) -> None:
        (root / "latest").write_text("v0.2")
        assert resolve(root) == root / "legacy" / "v0.2"

    def test_listing_flattens_and_never_shows_legacy(self, root: Path) -> None:
        assert list_versions(root) == ("v0.2", "v0.9", "v0.10")

    @pytest.mark.parametrize("pointer", ["latest", "", "  \n"])
    def test_a_pointer_that_points_nowhere(self, root: Path, pointer: str) -> None:
        (root / "latest").write_text(pointer)
        with pytest.raises(BundleError, match="must name a version"):
            resolve(root)

    def test_what_lacks_a_file_is_found_so_that_loading_can_say_so(self, root: Path) -> None:
        (root / "v0.9" / "centroids.bin").unlink()
        assert list_versions(root) == ("v0.2", "v0.9", "v0.10")
        with pytest.raises(BundleError, match=r"v0\.9/centroids\.bin: cannot be read"):
            load_bundle(resolve(root, "v0.9"))

    def test_a_pointer_to_what_is_not_there_is_named(self, root: Path) -> None:
        (root / "latest").write_text("v0.11")
        with pytest.raises(BundleError, match=r"latest: no bundle 'v0\.11'; there are: v0\.2, v0\.9, v0\.10"):
            resolve(root)
        (root / "latest").write_text("../elsewhere")
        with pytest.raises(BundleError, match=r"latest: '\.\./elsewhere' is no bundle version"):
            resolve(root)

    def test_no_pointer(self, root: Path) -> None:
        (root / "latest").unlink()
        with pytest.raises(BundleError, match="latest"):
            resolve(root)

    @pytest.mark.parametrize(
        "version", ["legacy", "legacy/v0.2", "../v0.9", "/v0.9", "..", ".", "v0\n9", "embedder", "v7"]
    )
    def test_what_is_no_version_says_what_there_is(self, root: Path, version: str) -> None:
        with pytest.raises(BundleError, match=r"v0\.2, v0\.9, v0\.10"):
            resolve(root, version)


def paths_in(value: Any, path: str) -> list[str]:
    """Of every member of every file, as `put` takes them."""
    if not isinstance(value, dict | list):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for key, item in items for found in paths_in(item, f"{path}/{key}"))]


JSON_FILES = {name: value for name, value in contents().items() if not isinstance(value, bytes)}
ANYWHERE = [path for name, value in JSON_FILES.items() for path in paths_in(value, name)]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(ANYWHERE), ANYTHING | st.just(...))
@example("metadata.yaml/training/default_routing_knobs/alpha_floor", [0.2, 0.9, 0.4])
@example("metadata.yaml/version", [1])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_whatever_stands_wherever_is_loaded_and_scores_or_is_refused_by_name(
    tmp_path: Path, path: str, value: Any
) -> None:
    files = contents()
    put(files, path, value)
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, files)
    try:
        bundle = load_bundle(folder)
    except BundleError as error:
        assert "any/" in str(error) and len(str(error)) < 1000
        return
    for vector in bundle.centroids:
        for knobs in (bundle.defaults, effective(bundle, Overrides(quality_bias=0.5, speed_weight=0.0))):
            assert np.isfinite(list(score(bundle, vector, knobs).scores.values())).all()


def test_the_shipped_bundle_fits_the_shipped_encoder() -> None:
    from pointsman.embedding import Embedder

    bundle = load_bundle(resolve(ROOT), (Embedder.id, Embedder.dim))
    assert bundle.format == 2
