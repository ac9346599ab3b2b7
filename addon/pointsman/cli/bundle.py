"""`pointsman bundle`: list, check, look inside, compare and gate bundles."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointsman.errors import PointsmanError

if TYPE_CHECKING:
    from pointsman.catalogue import Catalogue
    from pointsman.scoring.bundle import Bundle
    from pointsman.training.vectors import Vectors

_root = click.option(
    "--root",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where versions are looked for; the shipped bundles if not given.",
)
_prompts = click.option(
    "--prompts",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with a member `text`: the prompts to compute the mix over. May be repeated.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")


@click.group("bundle", short_help="List, check, inspect, compare and gate bundles.")
def command() -> None:
    """List, check, look inside, compare and gate bundles.

    A BUNDLE is a version such as v0.1, or `latest`, or a path with a slash in it.
    """


@command.command("list", short_help="Show all versions.")
@_root
@_as_json
def show_list(root: Path | None, as_json: bool) -> None:
    """Show all versions, old ones too, and which one is the latest. Exit code 1: one is broken."""
    from pointsman.cli import _bundle_tables as tables
    from pointsman.errors import BundleError
    from pointsman.scoring.bundle import list_versions, resolve

    folder = _bundles(root)
    try:
        latest = resolve(folder).name
    except BundleError:  # no pointer, or to nothing
        latest = ""
    rows = [_listed(resolve(folder, version), version == latest) for version in list_versions(folder)]
    if as_json:
        click.echo(json.dumps({"root": str(folder), "bundles": rows}, indent=2))
    elif rows:
        tables.versions(rows)
    else:
        click.echo(f"No bundles in {folder}.")
    if any(row["error"] for row in rows):
        sys.exit(1)


def _listed(directory: Path, latest: bool) -> dict[str, Any]:
    from pointsman.errors import BundleError
    from pointsman.scoring.bundle import load_bundle

    row: dict[str, Any] = {"version": directory.name, "latest": latest, "path": str(directory)}
    try:
        bundle = load_bundle(directory)
    except BundleError as error:
        return row | {"error": str(error)}
    return row | {
        "format": bundle.format,
        "status": bundle.metadata.get("status"),
        "created": bundle.metadata.get("created"),
        "parent": bundle.metadata.get("parent"),
        "clusters": bundle.k,
        "models": len(bundle.models),
        "embedder": bundle.embedder,
        "error": "",
    }


@command.command("validate", short_help="Check bundles; exit code 1 if one is broken.")
@click.argument("bundles", metavar="[BUNDLE]...", nargs=-1)
@_root
@_as_json
def validate(bundles: tuple[str, ...], root: Path | None, as_json: bool) -> None:
    """Check all files of bundles, as loading does, in every form that they ship; all versions by default.

    Exit code 1 if one is broken, and what is wrong with it.
    """
    from pointsman.scoring.bundle import list_versions

    names = bundles or list_versions(_bundles(root))
    results = [(name, _defect(name, root)) for name in names]
    if as_json:
        rows = [{"bundle": name, "valid": not defect, "error": defect} for name, defect in results]
        click.echo(json.dumps({"bundles": rows}, indent=2))
    else:
        for name, defect in results:
            click.echo(f"{name}: {defect or 'valid'}")
    if not results:
        click.echo(f"No bundles in {_bundles(root)}.", err=True)
    if not results or any(defect for _, defect in results):
        sys.exit(1)


def _defect(name: str, root: Path | None) -> str:
    """What is wrong with a bundle; "" if nothing."""
    from pointsman.embedding import EMBED_DIM, EMBEDDER_ID
    from pointsman.errors import BundleError
    from pointsman.scoring.bundle import load_bundle
    from pointsman.shelf import check_catalogue
    from pointsman.training import clusters

    try:
        directory = _directory(name, root)
        bundle = load_bundle(directory, (EMBEDDER_ID, EMBED_DIM))
        if bundle.format == 2 and bundle.rankings is not None:
            load_bundle(directory, format=1)
        clusters.read(directory, bundle.k)
        check_catalogue(_catalogue(), bundle)
    except BundleError as error:
        return str(error)
    return ""


@command.command("inspect", short_help="Show clusters, and who serves what.")
@click.argument("bundle", default="latest")
@click.option("--cluster", type=click.IntRange(min=0), metavar="N", help="One cluster, with every model.")
@_prompts
@_root
@_as_json
def inspect(
    bundle: str, cluster: int | None, prompts: tuple[Path, ...], root: Path | None, as_json: bool
) -> None:
    """Show a bundle's clusters with typical words and sources, and the mix of models at each preset.

    The mix is that of main turns that ask for a provider's strongest model. Without --prompts it is computed
    over the centroids, each counting for as many prompts as its cluster was trained with.
    """
    from pointsman.cli import _bundle_tables as tables
    from pointsman.training import clusters, contents

    loaded = _load(bundle, root)
    about = clusters.read(loaded.path, loaded.k)
    listed = contents.clusters(loaded, about)
    if cluster is not None:
        if cluster >= loaded.k:
            raise click.BadParameter(
                f"{loaded.version} has the clusters 0 to {loaded.k - 1}", param_hint="--cluster"
            )
        (tables.cluster_json if as_json else tables.cluster)(listed[cluster], loaded)
        return
    vectors, weights = _measured_on(prompts, loaded, contents.sizes(about))
    mixes = contents.mixes(loaded, _catalogue().rows, vectors, weights)
    show = tables.contents_json if as_json else tables.contents
    show(loaded, listed, mixes, _basis(prompts, vectors, weights))


@command.command("diff", short_help="Show what changed between two bundles.")
@click.argument("before")
@click.argument("after", default="latest")
@_prompts
@_root
@_as_json
def diff(before: str, after: str, prompts: tuple[Path, ...], root: Path | None, as_json: bool) -> None:
    """Show what changed from one bundle to another: models, prices, qualities, alpha, and who serves what.

    Without --prompts it is computed over the centroids of AFTER, each counting for as many prompts as its
    cluster was trained with.
    """
    from pointsman.cli import _bundle_tables as tables
    from pointsman.training import clusters, contents
    from pointsman.training.compare import compare

    old, new = _load(before, root), _load(after, root)
    about = clusters.read(new.path, new.k)
    vectors, weights = _measured_on(prompts, new, contents.sizes(about))
    comparison = compare(old, new, _catalogue().rows, vectors, weights)
    (tables.diff_json if as_json else tables.diff)(old, new, comparison, _basis(prompts, vectors, weights))


@command.command("gate", short_help="Check that v1 and v2 of a bundle choose alike; exit code 1 if not.")
@click.argument("bundle", default="latest")
@click.option(
    "--csv", "csv_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the prompts on which the two differ: text, clusters, winners and margins.",
)  # fmt: skip
@_root
@_as_json
def gate(bundle: str, csv_file: Path | None, root: Path | None, as_json: bool) -> None:
    """Check that the two forms of a bundle choose alike, on 1,000 made-up prompts at the default knobs.

    99 % of the choices must be the same, and 80 % of the clusters must be reached. The first run embeds the
    prompts. Exit code 1: the gate is not passed.
    """
    from pointsman.cli import _bundle_tables as tables
    from pointsman.training import gate as gates

    directory = _directory(bundle, root)
    texts = gates.prompts()
    found = gates.run(directory, texts, _embedded(texts))
    if csv_file is not None:
        try:
            with csv_file.open("w", encoding="utf-8", newline="") as out:
                gates.write_csv(found.divergences, out)
        except OSError as error:
            raise click.FileError(str(csv_file), error.strerror or str(error)) from error
    (tables.gate_json if as_json else tables.gate)(found)
    if found.problems:
        sys.exit(1)


# --- what the commands share --------------------------------------------------------------------


def _bundles(root: Path | None) -> Path:
    from pointsman import paths

    return root or paths.bundles_dir()


def _directory(name: str, root: Path | None) -> Path:
    from pointsman.scoring.bundle import resolve

    if "/" in name or os.sep in name:
        return Path(name).expanduser()
    return resolve(_bundles(root), name)


def _load(name: str, root: Path | None) -> Bundle:
    from pointsman.scoring.bundle import load_bundle

    return load_bundle(_directory(name, root))


def _catalogue() -> Catalogue:
    """With the rows of the router.yaml in force, as the proxy would have it."""
    from types import SimpleNamespace

    from pointsman import options

    return options.build(SimpleNamespace()).catalogue


def _measured_on(
    prompts: Sequence[Path], bundle: Bundle, sizes: list[float]
) -> tuple[Any, list[float] | None]:
    """(vectors [n, dim], weights [n]) of the prompts in the files, else of the bundle's centroids."""
    if not prompts:
        return bundle.centroids, sizes
    from pointsman.training.data import read_prompts

    return _embedded([prompt.text for path in prompts for prompt in read_prompts(path)]), None


def _basis(prompts: Sequence[Path], vectors: Vectors, weights: list[float] | None) -> str:
    if prompts:
        return f"over {len(vectors)} prompts"
    return f"over {len(vectors)} centroids" + (", weighted by prompts" if len(set(weights or ())) > 1 else "")


def _embedded(texts: Sequence[str]) -> Vectors:
    from pointsman import paths
    from pointsman.training.vectors import vectors

    try:
        return vectors(texts, paths.bundles_dir() / "embedder")
    except (OSError, ValueError) as error:
        raise PointsmanError(str(error)) from error
