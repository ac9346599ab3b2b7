"""What training and evaluation start from. Prompt texts stay in memory; nothing here writes them anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pointsman.errors import DataError
from pointsman.training import files

Floats = npt.NDArray[np.float64]
Scores = dict[str, dict[str, dict[int, tuple[float, float]]]]  # source → model → prompt → (score, USD)


@dataclass(frozen=True, slots=True)
class Prompt:
    id: str
    source: str
    category: str
    text: str
    train: bool
    agent: bool  # of a source that nobody scored: in the shipped data coding and agent work


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    prompts: tuple[Prompt, ...]
    scores: Scores
    prices: dict[str, tuple[float, float]]  # model → (input, output) in USD per million tokens
    leaderboards: dict[tuple[str, str], float]  # (benchmark, model as printed) → mean of its rows
    providers: dict[str, str] = field(default_factory=dict)


USUAL = {
    "prompts": ("agent_prompts.jsonl.gz", "prompts.jsonl.gz"),
    "scores": ("scores.csv.gz",),
    "models": ("models.csv",),
    "leaderboards": ("leaderboards.csv", "agentic_outcomes.csv.gz"),
}


def load(directory: Path) -> Data:
    """Read a directory that holds all files under their usual names. Raises DataError."""
    return read(*usual_files(directory).values())


def usual_files(directory: Path) -> dict[str, tuple[Path, ...]]:
    """The files of each kind in a directory, in the order in which they are read."""
    return {kind: tuple(directory / name for name in names) for kind, names in USUAL.items()}


def read(
    prompts: Sequence[Path], scores: Sequence[Path], models: Sequence[Path], leaderboards: Sequence[Path]
) -> Data:
    """Read prompts, scores of models on them, prices, and aggregate results: see docs/training.md.

    Raises DataError, which names file, line and column.
    """
    listed = [prompt for path in prompts for prompt in read_prompts(path)]
    index: dict[str, int] = {}
    for at, prompt in enumerate(listed):
        if index.setdefault(prompt.id, at) != at:
            raise DataError(f"{', '.join(map(str, prompts))}: the id {prompt.id} stands there twice")
    cells: Scores = {}
    for path in scores:
        for line in files.rows(path, "id", "model", "score"):
            _add_score(cells, line, index, listed)
    known = tuple(replace(prompt, agent=prompt.source not in cells) for prompt in listed)
    prices, providers = _models(models)
    return Data(known, cells, prices, _leaderboards(leaderboards), providers)


def read_prompts(path: Path) -> Iterator[Prompt]:
    """The prompts of one file of JSON lines: `text`, and optionally `id`, `source`, `category`, `split`."""
    for number, row in files.objects(path):
        text = files.member(path, number, row, "text")
        split = files.member(path, number, row, "split", "train")
        if split not in ("train", "test"):
            raise DataError(f"{path}: line {number}: member split: must be train or test, not {split!r}")
        yield Prompt(
            files.member(path, number, row, "id", f"{path.name}:{number}"),
            files.member(path, number, row, "source", path.name.split(".")[0]),
            files.member(path, number, row, "category", "-"),
            text,
            split == "train",
            False,
        )


def _add_score(cells: Scores, line: files.Line, index: Mapping[str, int], prompts: Sequence[Prompt]) -> None:
    at = index.get(line.text("id"))
    if at is None:
        raise line.wrong("id", f"no prompt has the id {line.text('id')!r}")
    column = cells.setdefault(prompts[at].source, {}).setdefault(line.text("model"), {})
    if at in column:
        raise line.wrong("model", f"{line.text('model')} has a score for {line.text('id')} already")
    usd = line.number_or_none("cost_usd")
    column[at] = line.figure("score", 0.0, 1.0), np.nan if usd is None else usd


def _models(paths: Sequence[Path]) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """({model: prices}, {model: provider}), each of those that state it."""
    prices: dict[str, tuple[float, float]] = {}
    providers: dict[str, str] = {}
    seen: set[str] = set()
    for path in paths:
        for line in files.rows(path, "model"):
            name = line.text("model")
            if name in seen:
                raise line.wrong("model", f"{name} stands there twice")
            seen.add(name)
            given, made = (line.number_or_none(f"{way}_usd_per_mtok") for way in ("input", "output"))
            if given is not None and made is not None:
                prices[name] = given, made
            if provider := line.cells.get("provider", "").strip():
                providers[name] = provider
    return prices, providers


def _leaderboards(paths: Sequence[Path]) -> dict[tuple[str, str], float]:
    """{(benchmark, model): mean}. A row is one result, of a whole benchmark or of one of its tasks."""
    cells: dict[tuple[str, str], list[float]] = {}
    for path in paths:
        for line in files.rows(path, ("benchmark", "source"), "model", ("score", "resolved")):
            benchmark = line.text("benchmark" if "benchmark" in line.cells else "source")
            score = line.figure("score" if "score" in line.cells else "resolved", 0.0, 1.0)
            cells.setdefault((benchmark, line.text("model")), []).append(score)
    return {key: float(np.mean(values)) for key, values in cells.items()}
