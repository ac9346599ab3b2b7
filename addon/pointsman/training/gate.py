"""The release gate: does a bundle's v2 form choose what its v1 form was blended to choose?

1,000 prompts, made by a seeded generator from `gate_prompts.yaml`, go through both forms at the
default knobs, over all models of the registry. At least 99 % of the choices must be the same.
rankings.json is frozen when a bundle is trained; whoever edits a quality, a price or an alpha
afterwards, or a knob's default, moves the v2 form alone, and the gate says by how much and where.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import numpy.typing as npt
import yaml

from pointsman.errors import BundleError
from pointsman.scoring.bundle import Bundle, load_bundle
from pointsman.scoring.cluster import Scored, score

COUNT: Final = 1_000
AGREEMENT: Final = 0.99  # of the choices that must be the same
COVERAGE: Final = 0.8  # of the clusters that the prompts must reach as the nearest
PROMPTS_SHA256: Final = "b59112868a611504baeddb20f80a9dfc31f9d998c7e32a0828341570218e27e8"

_KINDS: Final = Path(__file__).with_name("gate_prompts.yaml")
_SLOT: Final = re.compile(r"\{(\w+)\}")

COLUMNS: Final = (
    "number", "text", "clusters",
    "v1_model", "v2_model", "v1_runner_up", "v2_runner_up", "v1_margin", "v2_margin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Divergence:
    """A prompt that the two forms send to different models."""

    number: int  # of the prompt, from 0
    text: str
    older: Scored  # by rankings.json
    newer: Scored  # by qualities, axes and knobs

    @property
    def clusters(self) -> tuple[int, ...]:
        return tuple(cluster for cluster, _ in self.newer.clusters)

    def row(self) -> dict[str, Any]:
        """The values of COLUMNS."""
        return {
            "number": self.number,
            "text": self.text,
            "clusters": " ".join(map(str, self.clusters)),
            "v1_model": self.older.model,
            "v2_model": self.newer.model,
            "v1_runner_up": self.older.runner_up,
            "v2_runner_up": self.newer.runner_up,
            "v1_margin": self.older.margin,
            "v2_margin": self.newer.margin,
        }


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gate found. `nearest` counts, per cluster, the prompts that are nearest to it."""

    version: str
    prompts: int
    nearest: tuple[int, ...]  # [K]
    divergences: tuple[Divergence, ...]

    @property
    def agreement(self) -> float:
        return 1 - len(self.divergences) / self.prompts

    @property
    def reached(self) -> int:
        return sum(count > 0 for count in self.nearest)

    @property
    def most_used(self) -> int:
        return max(range(len(self.nearest)), key=self.nearest.__getitem__)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the bundle may not be released; empty if it may."""
        found = []
        if self.agreement < AGREEMENT:
            found.append(
                f"v1 and v2 agree on {self.agreement:.1%} of the choices, {AGREEMENT:.0%} are needed"
            )
        if self.reached < COVERAGE * len(self.nearest):
            found.append(
                f"the prompts reach {self.reached} of {len(self.nearest)} clusters, {COVERAGE:.0%} are needed"
            )
        return tuple(found)


def run(directory: Path, texts: Sequence[str], vectors: npt.NDArray[np.floating[Any]]) -> Gate:
    """Put the prompts `texts` [n] with their `vectors` [n, dim] through both forms of a bundle.

    Raises BundleError if the bundle is broken, or ships one form only: there is nothing to compare.
    """
    older, newer = _forms(directory)
    nearest = [0] * newer.k
    divergences = []
    for number, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        first, second = score(older, vector), score(newer, vector)
        nearest[second.clusters[0][0]] += 1
        if first.model != second.model:
            divergences.append(Divergence(number, text, first, second))
    return Gate(newer.version, len(texts), tuple(nearest), tuple(divergences))


def _forms(directory: Path) -> tuple[Bundle, Bundle]:
    bundle = load_bundle(directory)
    if bundle.rankings is None or bundle.quality is None:
        has, lacks = (
            ("quality means", "rankings.json")
            if bundle.quality is not None
            else ("rankings", "quality means")
        )
        raise BundleError(f"{directory}: has {has}, but no {lacks}; the gate compares the two")
    return load_bundle(directory, format=1), load_bundle(directory, format=2)


def write_csv(divergences: Sequence[Divergence], out: TextIO) -> None:
    """One line per divergence; the header alone if there is none. Open the file with newline=""."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(divergence.row() for divergence in divergences)


# --- prompts ------------------------------------------------------------------------------------


def prompts(count: int = COUNT) -> tuple[str, ...]:
    """The first `count` of the gate's prompts: distinct, and the same on every machine."""
    source = _generated(*_templates())
    return tuple(next(source) for _ in range(count))


def digest(texts: Sequence[str]) -> str:
    """SHA-256 of the texts, each ended by a zero byte."""
    return hashlib.sha256("".join(f"{text}\0" for text in texts).encode()).hexdigest()


def _generated(kinds: Sequence[Sequence[str]], words: dict[str, Sequence[str]]) -> Iterator[str]:
    """The kinds take turns; a prompt that was there before is drawn again, under the next number."""
    seen: set[str] = set()
    number = 0
    while True:
        templates = kinds[number % len(kinds)]
        text = _filled(templates[_draw(number, "template", len(templates))], words, number)
        number += 1
        if text not in seen:
            seen.add(text)
            yield text


def _filled(template: str, words: dict[str, Sequence[str]], number: int) -> str:
    """Every slot has one word, also where it stands twice."""

    def word(match: re.Match[str]) -> str:
        choices = words[match[1]]
        return choices[_draw(number, match[1], len(choices))]

    return _SLOT.sub(word, template)


def _draw(number: int, slot: str, count: int) -> int:
    """A whole number below `count`. By SHA-256: no library's generator is promised to stay as it is."""
    return int.from_bytes(hashlib.sha256(f"{number}/{slot}".encode()).digest()[:8]) % count


@cache
def _templates() -> tuple[list[list[str]], dict[str, Sequence[str]]]:
    document = yaml.safe_load(_KINDS.read_text(encoding="utf-8"))
    return list(document["kinds"].values()), document["words"]
