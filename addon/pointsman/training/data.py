"""The public evaluation data, as arrays. Prompt texts stay in memory; nothing here writes them anywhere."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Pools with scores of the same models on the same prompts. bfcl's results have no stated licence: it is
# evaluated, and nothing that ships is derived from it. routellm_mtbench has no costs.
POOLS = {
    "mmlu_pro": ("mmlu_pro",),
    "llmrouter": ("llmrouter",),
    "routellm": ("routellm_mmlu", "routellm_gsm8k"),
    "routerarena": ("routerarena",),
    "bfcl": ("bfcl",),
}
NOT_SHIPPABLE = frozenset({"bfcl"})
AGENTIC = "swebench_pro"


@dataclass(frozen=True, slots=True)
class Prompt:
    id: str
    source: str
    category: str
    text: str
    train: bool
    agent: bool  # from agent_prompts: coding and agent work, without scores


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Scores of M models on n prompts. `rows` [n] index the prompts; cells are NaN where nobody measured."""

    name: str
    rows: npt.NDArray[np.intp]
    models: tuple[str, ...]
    quality: Floats  # [n, M], 0…1
    cost_usd: Floats  # [n, M]

    def complete(self) -> Pool:
        """Models that have costs, prompts that have all of their scores."""
        priced = ~np.isnan(self.cost_usd).all(axis=0)
        quality, cost = self.quality[:, priced], self.cost_usd[:, priced]
        full = ~(np.isnan(quality).any(axis=1) | np.isnan(cost).any(axis=1))
        names = tuple(m for m, keep in zip(self.models, priced, strict=True) if keep)
        return Pool(self.name, self.rows[full], names, quality[full], cost[full])


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    prompts: tuple[Prompt, ...]
    scores: dict[str, dict[str, dict[int, tuple[float, float]]]]  # source → model → prompt → (score, USD)
    prices: dict[str, tuple[float, float]]  # scored model → (input, output) in USD per million tokens
    leaderboards: dict[tuple[str, str], float]  # (benchmark, model as printed) → mean of its rows

    def pool(self, name: str, *, train: bool = True) -> Pool:
        """A pool's train rows (or its test rows, which are for reporting only)."""
        sources = POOLS[name]
        rows = [i for i, p in enumerate(self.prompts) if p.source in sources and p.train is train]
        position = {row: at for at, row in enumerate(rows)}
        models = sorted({model for source in sources for model in self.scores[source]})
        quality = np.full((len(rows), len(models)), np.nan)
        cost = quality.copy()
        for source in sources:
            for column, model in enumerate(models):
                for row, (score, usd) in self.scores[source].get(model, {}).items():
                    if row in position:
                        quality[position[row], column], cost[position[row], column] = score, usd
        return Pool(name, np.array(rows, dtype=np.intp), tuple(models), quality, cost)


def load(directory: Path) -> Data:
    """Read the data directory; raises OSError or KeyError if it is another one."""
    prompts = tuple(read_prompts(directory))
    index = {prompt.id: at for at, prompt in enumerate(prompts) if not prompt.agent}
    scores: dict[str, dict[str, dict[int, tuple[float, float]]]] = {}
    for row in _csv(directory / "scores.csv.gz"):
        at = index[row["id"]]
        cells = scores.setdefault(prompts[at].source, {}).setdefault(row["model"], {})
        cells[at] = float(row["score"]), float(row["cost_usd"]) if row["cost_usd"] else np.nan
    boards = _leaderboards(directory / "leaderboards.csv") | _agentic(directory / "agentic_outcomes.csv.gz")
    return Data(prompts, scores, _prices(directory / "models.csv"), boards)


def read_prompts(directory: Path) -> Iterator[Prompt]:
    for name, agent in (("agent_prompts.jsonl.gz", True), ("prompts.jsonl.gz", False)):
        with gzip.open(directory / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                train = row.get("split", "train") == "train"
                yield Prompt(row["id"], row["source"], row["category"], row["text"], train, agent)


def _prices(path: Path) -> dict[str, tuple[float, float]]:
    return {
        row["model"]: (float(row["input_usd_per_mtok"]), float(row["output_usd_per_mtok"]))
        for row in _csv(path)
        if row["input_usd_per_mtok"] and row["output_usd_per_mtok"]
    }


def _leaderboards(path: Path) -> dict[tuple[str, str], float]:
    cells: dict[tuple[str, str], list[float]] = {}
    for row in _csv(path):
        cells.setdefault((row["benchmark"], row["model"]), []).append(float(row["score"]))
    return {key: float(np.mean(values)) for key, values in cells.items()}


def _agentic(path: Path) -> dict[tuple[str, str], float]:
    """SWE-bench Pro as one benchmark more, by model. The other runs in the file may not be shipped from."""
    cells: dict[str, list[float]] = {}
    for row in _csv(path):
        if row["source"] == AGENTIC:
            cells.setdefault(row["model"], []).append(float(row["resolved"]))
    return {(AGENTIC, model): float(np.mean(values)) for model, values in cells.items()}


def _csv(path: Path) -> Iterator[dict[str, str]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    yield from csv.DictReader(io.StringIO(text.decode("utf-8"), newline=""))
