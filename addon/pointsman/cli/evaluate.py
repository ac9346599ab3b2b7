"""`pointsman evaluate`: what routing by clusters is worth, held out, beside what else one could do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman import paths

if TYPE_CHECKING:
    from pointsman.training.data import Data

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("evaluate", short_help="Judge routing on prompts with scores.")
@click.option("--prompts", multiple=True, metavar="FILE", type=FILE, help="Prompts, JSON lines (.gz).")
@click.option("--scores", multiple=True, metavar="FILE", type=FILE, help="Scores and costs, CSV (.gz).")
@click.option(
    "--models", multiple=True, metavar="FILE", type=FILE, help="Prices, CSV, for sources without costs."
)
@click.option(
    "--data",
    metavar="DIR",
    type=DIRECTORY,
    help="In place of the above: a directory with prompts.jsonl.gz, scores.csv.gz and so on.",
)
@click.option("--pool", "only", multiple=True, metavar="NAME", help="Only this pool; may be repeated.")
@click.option("--test", is_flag=True, help="Judge the test rows once, instead of folds of the train rows.")
@click.option(
    "--k", type=click.IntRange(min=1), help="Clusters; by default as many as `pointsman train` makes."
)
@click.option(
    "--top-p", type=click.IntRange(min=1), default=1, show_default=True, help="Nearest clusters used."
)
@click.option("--seeds", type=click.IntRange(min=1), default=6, show_default=True, help="K-means seeds.")
@click.option(
    "--folds", type=click.IntRange(min=2), default=3, show_default=True, help="Parts of the train rows."
)
@click.option("--bootstraps", type=click.IntRange(min=20), default=500, show_default=True, help="Resamples.")
@click.option(
    "--picture", metavar="FILE", type=click.Path(path_type=Path), help="Draw curves (.svg, .png, .pdf)."
)
@click.option("--cache", metavar="DIR", type=click.Path(path_type=Path), help="Where vectors are kept.")
@click.option("--embedder", metavar="DIR", type=DIRECTORY, help="The encoder; the one that ships by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every figure and curve.")
def command(
    prompts: tuple[Path, ...],
    scores: tuple[Path, ...],
    models: tuple[Path, ...],
    data: Path | None,
    only: tuple[str, ...],
    test: bool,
    picture: Path | None,
    cache: Path | None,
    embedder: Path | None,
    as_json: bool,
    k: int | None,
    top_p: int,
    seeds: int,
    folds: int,
    bootstraps: int,
) -> None:
    """Judge routing by clusters on prompts with scores of several models, held out.

    Beside it: the best single model, random mixes, kNN, ridge regressions, the true category, and who knows
    every score beforehand. Needs the extra `train`.
    """
    try:
        import sklearn  # type: ignore[import-untyped, unused-ignore]  # noqa: F401
        from rich.console import Console

        from pointsman.training.evaluation import clusters, study, table
        from pointsman.training.progress import progress
        from pointsman.training.vectors import DEFAULT_CACHE, vectors
    except ImportError as error:
        raise click.ClickException(f"{error}. Install the extra: pip install 'pointsman[train]'") from error

    loaded = _data(data, prompts, scores, models)
    known = study.names(loaded)
    if strange := set(only) - set(known):
        raise click.UsageError(f"no pool is named {', '.join(sorted(strange))}; there are {', '.join(known)}")
    settings = clusters.Settings(
        k=k, top_p=top_p, seeds=seeds, folds=0 if test else folds, bootstraps=bootstraps
    )
    embedded = vectors(
        [prompt.text for prompt in loaded.prompts],
        embedder or paths.bundles_dir() / "embedder",
        cache or DEFAULT_CACHE,
    )
    with progress("evaluating", study.steps(loaded, settings, only)) as advance:
        report = study.study(loaded, embedded, settings, only=only, tick=lambda _: advance())
    if picture:
        from pointsman.training.evaluation.picture import draw

        draw(report, picture)
    if as_json:
        click.echo(json.dumps(table.as_json(report), indent=1))
    else:
        Console().print(table.tables(report))


def _data(
    directory: Path | None, prompts: tuple[Path, ...], scores: tuple[Path, ...], models: tuple[Path, ...]
) -> Data:
    from pointsman.training.data import load, read

    if directory and (prompts or scores or models):
        raise click.UsageError("--data names all files at once; leave --prompts, --scores and --models out")
    if directory:
        return load(directory)
    if not (prompts and scores):
        raise click.UsageError("give --prompts and --scores, or --data")
    return read(prompts, scores, models, [])
