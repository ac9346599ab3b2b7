"""Where a bundle's figures come from: the `meta` of its files for programs, and a README for people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.errors import DataError
from pointsman.training import words
from pointsman.training.inclusion import Transfer, Verdict
from pointsman.training.recipe import OWN_COUNT
from pointsman.training.train import Trained


@dataclass(frozen=True, slots=True)
class Input:
    """A file that was read. The name alone: paths are nobody's business."""

    what: str
    name: str
    sha256: str


def inputs(what: str, paths: Iterable[Path]) -> Iterator[Input]:
    for path in paths:
        try:
            yield Input(what, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def meta(trained: Trained) -> dict[str, Any]:
    """For quality_means.json: what each figure rests on, per model, per benchmark, per cluster, per cell.

    `cells.error` is the root mean square error of what is transferred in a cell, `cells.scored` the number
    of prompts that the model itself was scored on there (clusters and models without any are left out).
    """
    built, fit = trained.built, trained.fit
    return {
        "what": "expected score, 0…1; transferred cells are lowered by a share of their error",
        "lowered_by": trained.plan.lowered_by,
        "models": {
            m: {
                "ability": round(trained.abilities[m].theta, 3),
                "sd": round(trained.abilities[m].sd, 3),
                "basis": trained.abilities[m].basis,
            }
            for m in built.models
        },
        "benchmarks": {
            b: {"slope": round(fit.slope[b], 3), "difficulty": round(fit.difficulty[b], 3)}
            for b in sorted(fit.slope)
        },
        "ability_row_error_logits": round(fit.row_error, 3),
        "inclusion": {v.model: _verdict(v) for v in trained.verdicts},
        "clusters": {
            str(at): {"prompts": sources, "error": round(float(built.error[at].mean()), 4)}
            for at, sources in enumerate(built.sources)
        },
        "cells": {"error": _cells(built.models, built.error, 3), "scored": _scored(trained)},
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "included": verdict.included,
        "gain_per_100": None if verdict.gain is None else round(verdict.gain, 4),
        "standard_error": None if verdict.error is None else round(verdict.error, 4),
        "why": verdict.why,
    }


def _cells(models: Sequence[str], table: Any, digits: int) -> dict[str, dict[str, float]]:
    rounded = np.round(table, digits).tolist()
    return {str(at): dict(zip(models, row, strict=True)) for at, row in enumerate(rounded)}


def _scored(trained: Trained) -> dict[str, dict[str, int]]:
    built = trained.built
    if built.scored is None:
        return {}
    listed = {
        str(at): {m: int(n) for m, n in zip(built.models, row, strict=True) if n}
        for at, row in enumerate(built.scored.tolist())
    }
    return {at: row for at, row in listed.items() if row}


# --- the README ---------------------------------------------------------------------------------


def readme(name: str, trained: Trained, files: Sequence[Input], versions: Mapping[str, str]) -> str:
    """In Markdown. Deterministic: no date, no path, no machine."""
    plan, built = trained.plan, trained.built
    lines = [
        f"# Bundle {name}",
        "",
        "Made by `pointsman train`; what the figures mean and how they are computed is in the project's",
        "docs/training.md. They are estimates, as good as the evidence below.",
        "",
        "## From",
        "",
        "| file | what | SHA-256 |",
        "| --- | --- | --- |",
        *(f"| {file.name} | {file.what} | `{file.sha256}` |" for file in files),
        "",
        f"With {', '.join(f'{library} {version}' for library, version in sorted(versions.items()))}.",
        "",
        "## How",
        "",
        f"- Recipe: {plan.name}. {len(built.centroids)} clusters by k-means, seed {plan.seed}, over "
        f"{trained.prompts:,} train prompts; "
        f"{_nearest(plan.nearest(len(built.centroids)))}.",
        f"- λ = {plan.money:g}: expected quality that the dearest model must bring over the cheapest.",
        f"- Own cells are shrunk by {OWN_COUNT:g} prompts' worth of what a regression expects; transferred "
        f"cells are lowered by {plan.lowered_by:g} of their error.",
        f"- Abilities are measured on the scale of {plan.anchor}; a leaderboard row says another one to "
        f"within {trained.fit.row_error:.2f} on the logit scale.",
        *_weights(trained),
        "",
        "## Models",
        "",
        f"{len(built.models)} models can be routed to. Ability is on the logit scale, with its standard",
        "deviation; error is that of what was transferred, mean over the clusters.",
        "",
        "| model | provider | known by | ability | error | scored prompts |",
        "| --- | --- | --- | --- | --- | --- |",
        *_models(trained),
        "",
        "## Included, and left out",
        "",
        "A model is included where routing with it was measured to be better than without it, on train rows,",
        "cross-validated. The gain is utility per hundred prompts: score − λ · price, price scaled to 0…1.",
        "",
        _transfer(trained.transfer),
        "",
        *_left_out(trained),
        "",
        "## Clusters",
        "",
        "`pointsman bundle inspect` shows them with typical words and sources. Words are single ones that",
        f"{words.FEWEST} prompts of the cluster have, or more; no prompt is stored.",
        "",
    ]
    return "\n".join(lines)


def _nearest(count: int) -> str:
    return "the nearest one scores" if count == 1 else f"the {count} nearest score"


def _weights(trained: Trained) -> list[str]:
    weighty = [f"{name} {s.weight:g}" for name, s in trained.plan.sources.items() if s.weight != 1]
    unused = [name for name, source in trained.plan.sources.items() if not source.ship]
    lines = [f"- A prompt counts once, except of {', '.join(weighty)}."] if weighty else []
    return lines + ([f"- Nothing is derived from {', '.join(unused)}."] if unused else [])


def _models(trained: Trained) -> Iterator[str]:
    built = trained.built
    for at, model in enumerate(built.models):
        ability = trained.abilities[model]
        scored = 0 if built.scored is None else int(built.scored[:, at].sum())
        yield (
            f"| {model} | {trained.models[model].provider} | {ability.basis} "
            f"| {ability.theta:.2f} ± {ability.sd:.2f} | {built.error[:, at].mean():.3f} | {scored or '–'} |"
        )


def _transfer(moved: Transfer) -> str:
    if moved.gain is None:
        return "Too few models were scored on the same prompts to measure what transferred models are worth."
    return (
        f"Transferred models: each of {moved.models} scored models of {', '.join(moved.pools)} was treated "
        f"as one in turn. Including it was worth {moved.gain:+.2f} ± {moved.error or 0:.2f} (standard error)."
    )


def _left_out(trained: Trained) -> list[str]:
    """Measured gains of what is in and what is out; transferred models share one figure, given above."""
    kept = set(trained.built.models)
    own = [
        v
        for v in trained.verdicts
        if v.model in kept and v.gain is not None and v.gain != trained.transfer.gain
    ]
    out = [v for v in trained.verdicts if v.model not in kept]
    lines = [f"- {v.model}: {v.gain:+.3f} ± {v.error or 0:.3f}, {v.why}." for v in own]
    lines += [f"- Left out: {v.model}{_gain(v)}: {v.why}." for v in out]
    return lines or ["No model was left out."]


def _gain(verdict: Verdict) -> str:
    return "" if verdict.gain is None else f" ({verdict.gain:+.3f} ± {verdict.error or 0:.3f})"
