"""Which bundles are loaded, and where they meet catalogue, encoder and routes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pointsman import options, paths
from pointsman.errors import BundleError, ConfigError
from pointsman.options import Settings
from pointsman.scoring.bundle import list_versions, load_bundle
from pointsman.shelf import Shelf, check, open_shelf
from scoring.conftest import contents, write

ENCODER: Any = SimpleNamespace(id="tiny", dim=4)
MODELS = """
models:
  alder: {provider: grove}
  birch: {provider: grove}
  cedar: {provider: grove}
"""
Build = Callable[..., Settings]


def bundle(folder: Path, version: str = "", **changes: Any) -> Path:
    files = contents()
    files["metadata.yaml"]["version"] = version or folder.name
    for name, change in changes.items():
        files["metadata.yaml"]["training"]["default_routing_knobs"][name] = change
    return write(folder, files)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "bundles"
    for name in ("v0.1", "v0.2", "legacy/v0.0"):
        bundle(root / name)
    (root / "latest").write_text("v0.2\n")
    monkeypatch.setattr(paths, "bundles_dir", lambda: root)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    return root


@pytest.fixture
def build(root: Path, tmp_path: Path) -> Build:
    def built(text: str = MODELS, **given: str) -> Settings:
        (tmp_path / "router.yaml").write_text(text)
        return options.build(SimpleNamespace(**{f"router_{name}": value for name, value in given.items()}))

    return built


def versions(shelf: Shelf) -> list[str]:
    return [shelf.default.version, *(other.version for other in shelf.others)]


def test_by_default_only_the_latest_is_loaded(build: Build) -> None:
    shelf = open_shelf(build(), ENCODER)
    assert (versions(shelf), set(shelf.named)) == (["v0.2"], {"v0.2", "latest"})


@pytest.mark.parametrize(
    ("given", "loaded"),
    [
        ({"bundles": "all"}, ["v0.2", "v0.0", "v0.1"]),
        ({"bundle": "v0.1", "bundles": "all"}, ["v0.1", "v0.0", "v0.2"]),
        ({"bundle": "v0.1", "bundles": "latest"}, ["v0.1", "v0.2"]),
        ({"bundle": "v0.1"}, ["v0.1"]),
        ({"bundles": "latest"}, ["v0.2"]),
        ({"bundles": "v0.0, v0.1,"}, ["v0.2", "v0.0", "v0.1"]),
        ({"bundles": "v0.1,v0.1,all"}, ["v0.2", "v0.1", "v0.0"]),
    ],
)
def test_what_is_named_is_loaded_once(build: Build, given: dict[str, str], loaded: list[str]) -> None:
    assert versions(open_shelf(build(**given), ENCODER)) == loaded


def test_a_directory_is_loaded_too_and_router_yaml_can_say_it(build: Build, tmp_path: Path) -> None:
    bundle(tmp_path / "mine" / "v7")
    assert versions(open_shelf(build(bundles=f"{tmp_path}/mine/v7"), ENCODER)) == ["v0.2", "v7"]
    shelf = open_shelf(build("bundle: mine/v7\nbundles: [v0.1, latest]" + MODELS), ENCODER)
    assert versions(shelf) == ["v7", "v0.1", "v0.2"]
    assert shelf.named["latest"].version == "v0.2"


def test_latest_is_no_name_of_what_is_not_loaded(build: Build, root: Path) -> None:
    assert set(open_shelf(build(bundle="v0.1"), ENCODER).named) == {"v0.1"}
    (root / "latest").write_text("v9")
    assert set(open_shelf(build(bundle="v0.1"), ENCODER).named) == {"v0.1"}
    with pytest.raises(BundleError, match=r"latest: no bundle 'v9'"):
        open_shelf(build(bundle="v0.1", bundles="latest"), ENCODER)


@pytest.mark.parametrize("bundles", ["v3", "latest,legacy", "v0.1,v0.0,nonesuch/v1"])
def test_what_is_not_there_is_an_error(build: Build, bundles: str) -> None:
    with pytest.raises(BundleError, match=r"no bundle 'v3'|'legacy' is no bundle version|no such bundle"):
        open_shelf(build(bundles=bundles), ENCODER)


def test_two_of_one_version_could_not_be_told_apart(build: Build, root: Path) -> None:
    bundle(root / "v0.3", version="v0.1")
    with pytest.raises(BundleError, match=r"v0\.1 and .*v0\.3 both call themselves 'v0\.1'"):
        open_shelf(build(bundles="all"), ENCODER)


def test_every_bundle_must_be_for_the_running_encoder(build: Build, root: Path) -> None:
    files = contents()
    files["metadata.yaml"]["embedder"]["model"] = "huge"
    write(root / "v0.1", files)
    assert versions(open_shelf(build(), ENCODER)) == ["v0.2"]
    with pytest.raises(BundleError, match=r"v0\.1/metadata\.yaml: made for the embedder 'huge'"):
        open_shelf(build(bundles="all"), ENCODER)


def test_a_model_that_the_catalogue_lacks_is_named_with_bundle_and_file(build: Build, root: Path) -> None:
    settings = build(MODELS.replace("birch", "birches"), bundles="all")
    with pytest.raises(BundleError) as caught:
        check(settings, open_shelf(settings, ENCODER))
    named = f"bundle v0.2: {root}/v0.2/model_registry.json: model birch: not in the catalogue"
    assert str(caught.value).startswith(f"{named}; did you mean birches?")
    assert "models of router.yaml" in str(caught.value)


def test_another_spelling_of_a_row_is_no_row(build: Build, root: Path) -> None:
    """Only by its own name would a model of the bundle be found when it is scored."""
    files = contents()
    del files["rankings.json"]
    for rows in (*files["quality_means.json"]["quality_means"].values(), files["model_axes.json"]["axes"]):
        rows["claude-haiku-4-5-20251001"] = rows.pop("birch")
    files["model_registry.json"]["deployed_models"][1]["model"] = "claude-haiku-4-5-20251001"
    write(root / "v0.2", files)
    (root / "v0.2" / "rankings.json").unlink()
    settings = build()
    with pytest.raises(
        BundleError, match=r"claude-haiku-4-5-20251001: not .*; its row is claude-haiku-4-5;"
    ):
        check(settings, open_shelf(settings, ENCODER))


def test_rows_of_router_yaml_are_in_the_catalogue(build: Build) -> None:
    settings = build(bundles="all")
    check(settings, open_shelf(settings, ENCODER))


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        (
            "{speed_weight: 0.35}",
            r"bundle v0\.2: the route's speed weight \(0\.35\) and the bundle's alpha \(0\.7",
        ),
        (
            "{quality_bias: 0.5, speed_weight: 0.6}",
            r"bundle v0\.1: .*\(0\.6\) and the bundle's alpha_floor \(0\.5",
        ),
    ],
)
def test_the_knobs_of_a_route_must_go_with_every_bundle(
    build: Build, root: Path, knobs: str, says: str
) -> None:
    bundle(root / "v0.1", alpha_floor=[0.5, 0.1, 0.1])
    settings = build(f"routes:\n  - {{name: fast, knobs: {knobs}}}\n" + MODELS, bundles="all")
    with pytest.raises(ConfigError, match=r"router\.yaml: fast: knobs: " + says):
        check(settings, open_shelf(settings, ENCODER))


def test_every_shipped_bundle_goes_with_the_shipped_catalogue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pointsman.embedding import Embedder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings = options.build(SimpleNamespace(router_bundles="all"))
    running: Any = SimpleNamespace(id=Embedder.id, dim=Embedder.dim)
    shelf = open_shelf(settings, running)
    check(settings, shelf)
    assert len(versions(shelf)) == len(list_versions(paths.bundles_dir()))


def test_a_link_to_what_is_loaded_is_no_second_bundle_but_a_copy_is(
    build: Build, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(root / "v0.2")
    assert versions(open_shelf(build(bundles=f"{tmp_path}/link"), ENCODER)) == ["v0.2"]
    shutil.copytree(root / "v0.2", tmp_path / "copy")
    assert load_bundle(tmp_path / "copy").version == "v0.2"
    with pytest.raises(BundleError, match="both call themselves"):
        open_shelf(build(bundles=f"{tmp_path}/copy"), ENCODER)
