"""`pointsman train`: a bundle from prompts, scores, prices and leaderboards."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pointsman.errors import DataError, PointsmanError

if TYPE_CHECKING:
    from pointsman.training.data import Data
    from pointsman.training.plan import Plan
    from pointsman.training.train import Trained
    from pointsman.training.write import Version

F = TypeVar("F", bound=Callable[..., Any])

_NEEDED = {"sklearn": "scikit-learn", "scipy": "scipy"}


def _files(name: str, help: str) -> Callable[[F], F]:
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option(
        f"--{name}",
        metavar="FILE",
        multiple=True,
        type=kind,
        help=f"{help} May be repeated.",
    )


@click.command("train", short_help="Make a bundle from prompts, scores, prices and leaderboards.")
@_files("prompts", "Prompts: JSON lines with `text`, and `id`, `source`, `category`, `split`.")
@_files("scores", "Scores of models on them: CSV with `id`, `model`, `score` from 0 to 1.")
@_files("models", "Prices: CSV with `model`, `provider`, `input_usd_per_mtok`, `output_usd_per_mtok`.")
@_files("leaderboards", "Aggregates: CSV with `benchmark`, `model`, `score`, or `source`, `resolved`.")
@click.option(
    "--data", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="In place of the above: a directory with prompts.jsonl.gz, scores.csv.gz and so on.",
)  # fmt: skip
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="The bundle's directory; its name is the version.",
)  # fmt: skip
@click.option(
    "--recipe", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A recipe in YAML; else the shipped one if the data has all it names, else one made from the data.",
)  # fmt: skip
@click.option("--k", type=click.IntRange(1, 4096), metavar="N", help="Clusters.")
@click.option("--top-p", type=click.IntRange(1, 64), metavar="N", help="Nearest clusters that score.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Seed of k-means.")
@click.option("--money", type=click.FloatRange(0, 10), metavar="λ", help="What the dearest model must bring.")
@click.option(
    "--include", type=click.Choice(["measured", "all"]), default="measured", show_default=True,
    help="Models that were measured to pay, or all.",
)  # fmt: skip
@click.option(
    "--form", type=click.Choice(["v1", "v2"]), default="v2", show_default=True,
    help="v1 writes frozen rankings alone, without qualities and axes.",
)  # fmt: skip
@click.option(
    "--status", default="default", show_default=True, help="What metadata.yaml says of the version."
)
@click.option("--parent", help="The version that this one follows.")
@click.option(
    "--created", metavar="DATE",
    help="Date of the version. By default that of the bundle in --out, if there is one, else today.",
)  # fmt: skip
@click.option("--latest", is_flag=True, help="Let the pointer beside --out name this version.")
@click.option(
    "--cache", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Where vectors of prompts are kept.",
)  # fmt: skip
def command(
    prompts: tuple[Path, ...],
    scores: tuple[Path, ...],
    models: tuple[Path, ...],
    leaderboards: tuple[Path, ...],
    data: Path | None,
    out: Path,
    recipe: Path | None,
    k: int | None,
    top_p: int | None,
    seed: int | None,
    money: float | None,
    include: str,
    form: str,
    status: str,
    parent: str | None,
    created: str | None,
    latest: bool,
    cache: Path | None,
) -> None:
    """Make a complete bundle: clusters of prompts, what each model is expected to score in each, and prices.

    Models with scores have their own means; models known by leaderboards only get theirs from how hard
    each cluster is. Files may be gzipped; docs/training.md has their formats. The first run embeds the
    prompts, about five milliseconds each; Ctrl-C loses nothing.
    """
    _require_extra()
    from pointsman.scoring.metadata import VERSION

    if not VERSION.fullmatch(out.resolve().name):
        raise click.BadParameter(f"{out.name!r} is no name of a version, such as v1.0", param_hint="--out")
    from pointsman.catalogue import Catalogue
    from pointsman.training import data as files
    from pointsman.training import plan as plans
    from pointsman.training.train import routable, train
    from pointsman.training.words import vocabulary

    inputs = _inputs(
        data, {"prompts": prompts, "scores": scores, "models": models, "leaderboards": leaderboards}
    )
    read = files.read(*inputs.values())
    rows = routable(read, Catalogue.load().rows)
    plan = _plan(plans, read, rows, recipe)
    given: dict[str, Any] = {"k": k, "top_p": top_p, "seed": seed, "money": money}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    version = _version(out, created, status, parent, form)
    vectors = _vectors(read, cache)
    with _status() as say:
        trained = train(
            read, vectors, plan, rows, vocabulary(_embedder()), include_all=include == "all", say=say
        )
    _write(out, trained, version, inputs | {"recipe": (recipe,) if recipe else ()})
    if latest:
        (out.parent / "latest").write_text(f"{out.resolve().name}\n", encoding="utf-8")
    _report(out, trained)


def _require_extra() -> None:
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"training needs {' and '.join(missing)}: install the extra `train`, "
            "as in pip install 'pointsman[train]' (in a checkout: pip install -e '.[train]')"
        )


def _inputs(directory: Path | None, given: dict[str, tuple[Path, ...]]) -> dict[str, tuple[Path, ...]]:
    from pointsman.training.data import usual_files

    if directory and any(given.values()):
        raise click.UsageError("--data names all files at once; leave --prompts and the others out")
    if directory:
        return usual_files(directory)
    if not (given["prompts"] and given["scores"]):
        raise click.UsageError("give --prompts and --scores, or --data")
    return given


def _plan(plans: Any, data: Data, rows: Any, recipe: Path | None) -> Plan:
    """The recipe that is named; else the shipped one if it fits the data; else one made from the data."""
    plan: Plan = plans.read(recipe) if recipe else plans.read()
    missing = plans.lacks(plan, data)
    if not missing:
        return plan
    if recipe:
        raise DataError(f"{recipe}: the data lacks {missing[0]}")
    made: Plan = plans.made(data, rows)
    if not made.models:
        raise DataError(
            "no model of the scores or leaderboards has a price and a provider: add rows with "
            "model, provider, input_usd_per_mtok and output_usd_per_mtok to --models"
        )
    return made


def _version(out: Path, created: str | None, status: str, parent: str | None, form: str) -> Version:
    from pointsman.training.write import Version

    return Version(created or _dated(out), status, parent, int(form[1:]))


def _dated(out: Path) -> str:
    """The date of the bundle that is there, so that training it again gives the same bytes; else today."""
    import datetime

    import yaml

    try:
        there = yaml.safe_load((out / "metadata.yaml").read_text(encoding="utf-8"))
        return str(there["created"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return datetime.datetime.now(datetime.UTC).date().isoformat()


def _vectors(data: Data, cache: Path | None) -> Any:
    from pointsman.training.vectors import DEFAULT_CACHE, vectors

    try:
        return vectors([prompt.text for prompt in data.prompts], _embedder(), cache or DEFAULT_CACHE)
    except (OSError, ValueError) as error:
        raise PointsmanError(str(error)) from error


def _embedder() -> Path:
    from pointsman import paths

    return paths.bundles_dir() / "embedder"


@contextmanager
def _status() -> Iterator[Any]:
    """A spinner that names the step, on a terminal."""
    from rich.console import Console

    with Console(stderr=True).status("training") as status:
        yield status.update


def _write(out: Path, trained: Trained, version: Version, inputs: Mapping[str, Sequence[Path]]) -> None:
    import numpy
    import scipy  # type: ignore[import-untyped, unused-ignore]
    import sklearn  # type: ignore[import-untyped, unused-ignore]

    from pointsman import __version__
    from pointsman.training import provenance
    from pointsman.training.write import write_bundle

    versions = {
        "pointsman": __version__,
        "numpy": numpy.__version__,
        "scikit-learn": sklearn.__version__,
        "scipy": scipy.__version__,
    }
    files = [file for what, paths in inputs.items() for file in provenance.inputs(what, paths)]
    readme = provenance.readme(out.resolve().name, trained, files, versions)
    try:
        write_bundle(
            out, trained.built, trained.models, trained.plan, version, provenance.meta(trained), readme
        )
    except OSError as error:
        raise PointsmanError(f"{out}: cannot be written: {error.strerror or error}") from error


def _report(out: Path, trained: Trained) -> None:
    built = trained.built
    click.echo(
        f"{out}: {len(built.centroids)} clusters from {trained.prompts:,} train prompts, "
        f"{len(built.models)} models, recipe {trained.plan.name}."
    )
    for verdict in trained.verdicts:
        if verdict.model not in built.models:
            click.echo(f"Left out: {verdict.model}: {verdict.why}.")
    strangers = _strangers(built.models)
    if strangers:
        click.echo(
            f"Not in the catalogue: {', '.join(strangers)}. Each has to stand under `models` in router.yaml "
            "before this bundle can serve."
        )
    click.echo(f"Look into it: pointsman bundle inspect {_shown(out)}")


def _strangers(models: Sequence[str]) -> list[str]:
    from pointsman.catalogue import Catalogue

    return [model for model in models if model not in Catalogue.load().rows]


def _shown(out: Path) -> str:
    return str(out) if os.sep in str(out) else f"./{out}"
