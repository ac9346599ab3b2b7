"""`pointsman score`: what a bundle makes of given vectors. For machines and for comparing bundles."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointsman.errors import ClientError, PointsmanError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pointsman.scoring.cluster import Scored
    from pointsman.scoring.knobs import Overrides


@click.command("score", short_help="Score vectors with a bundle.")
@click.option(
    "--bundle",
    "directory",
    required=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A bundle directory, v1 or v2; all models of its registry count as deployed.",
)
@click.option(
    "--embeddings",
    required=True,
    metavar="FILE.npy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Vectors to score, float [n, dim] or [dim].",
)
@click.option("--alpha", metavar="0…1", help="Weight of quality, in all clusters.")
@click.option("--quality-bias", metavar="0…1", help="Instead of alpha: 0 is the cheapest mix, 1 the best.")
@click.option("--speed-weight", metavar="0…1", help="Weight of speed; price has the rest up to 1.")
@click.option("--output-cost-ratio", metavar="0…10", help="Output tokens per input token, in the price.")
@click.option("--expected-output-tokens", metavar="N", help="Length of the answer, for the time it takes.")
@click.option("--per-model-verbosity", metavar="true|false", help="Let talkative models cost more.")
@click.option("--top-p", type=click.IntRange(min=1), metavar="N", help="Nearest clusters to use.")
@click.option(
    "--as", "form", type=click.Choice(["v1", "v2"]), help="Form to use of a bundle that ships both."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per vector and line.")
def command(
    directory: Path, embeddings: Path, top_p: int | None, form: str | None, as_json: bool, **knobs: str | None
) -> None:
    """Score vectors with a bundle: the model, the runner-up and every score, one line per vector.

    Exit code 2: an option is wrong. Exit code 1: the bundle or the vectors are.
    """
    overrides = _overrides(knobs)
    try:
        for scored in _scored(directory, embeddings, overrides, top_p, form):
            click.echo(json.dumps(_row(scored)) if as_json else _line(scored))
    except ClientError as error:
        raise click.UsageError(str(error)) from error
    except (PointsmanError, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _overrides(options: dict[str, str | None]) -> Overrides:
    from pointsman.scoring.knobs import read

    given = ((f"--{name.replace('_', '-')}", text) for name, text in options.items() if text is not None)
    try:
        return read((option, option.removeprefix("--"), text) for option, text in given)
    except ClientError as error:
        raise click.UsageError(str(error)) from error


def _scored(
    directory: Path, embeddings: Path, overrides: Overrides, top_p: int | None, form: str | None
) -> Iterator[Scored]:
    from pointsman.scoring.bundle import load_bundle
    from pointsman.scoring.cluster import score
    from pointsman.scoring.dial import effective

    bundle = load_bundle(directory, format=int(form[1:]) if form else None)
    knobs = effective(bundle, overrides, prefix="--")
    for number, vector in enumerate(_vectors(embeddings, bundle.dim)):
        try:
            yield score(bundle, vector, knobs, top_p=top_p)
        except ValueError as error:
            raise ValueError(f"{embeddings}: row {number}: {error}") from error


def _vectors(path: Path, dim: int) -> npt.NDArray[np.floating[Any]]:
    """Float [n, dim]; ValueError for anything else. Nothing in the file is ever executed (no pickles)."""
    import numpy as np

    try:
        data = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: not readable as a .npy file of numbers: {error}") from error
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "fiu":
        raise ValueError(f"{path}: must hold one array of numbers")
    rows = np.atleast_2d(data)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"{path}: must have shape [n, {dim}] for this bundle, not {list(data.shape)}")
    return rows.astype(np.float64)


def _row(scored: Scored) -> dict[str, Any]:
    return {
        "model": scored.model,
        "runner_up": scored.runner_up or None,
        "margin": scored.margin,
        "scores": scored.scores,
        "quality": scored.quality,
        "clusters": [cluster for cluster, _ in scored.clusters],
        "similarities": [similarity for _, similarity in scored.clusters],
    }


def _line(scored: Scored) -> str:
    margin = "" if scored.margin is None else f"  +{scored.margin:.4f} over {scored.runner_up}"
    return f"{scored.model}  {scored.scores[scored.model]:.4f}{margin}"
