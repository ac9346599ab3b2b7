"""clusters.json: what the clusters of a bundle were made of, for people who look inside.

Optional, and nothing that serves reads it:

    {"meta": …, "clusters": {"0": {"prompts": {source: weighted count}, "words": [word, …]}, …}}

Words are single ones, never phrases, and only such as say nothing about a person: see `words`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman.errors import BundleError

FILE = "clusters.json"


@dataclass(frozen=True, slots=True)
class About:
    """One cluster: its prompts by source, weighted as in training, and its typical words."""

    prompts: Mapping[str, float]
    words: tuple[str, ...]

    @property
    def size(self) -> float:
        return sum(self.prompts.values())


def write(directory: Path, clusters: Sequence[About], meta: Mapping[str, Any]) -> None:
    listed = {
        str(at): {"prompts": dict(about.prompts), "words": list(about.words)}
        for at, about in enumerate(clusters)
    }
    text = json.dumps({"meta": meta, "clusters": listed}, indent=1, ensure_ascii=False)
    (directory / FILE).write_text(text + "\n", encoding="utf-8")


def read(directory: Path, k: int) -> tuple[About, ...]:
    """The K clusters; each knows nothing if there is no such file. Raises BundleError for another one."""
    path = directory / FILE
    if not path.exists():
        return (About({}, ()),) * k
    try:
        listed = json.loads(path.read_bytes())["clusters"]
        return tuple(_about(path, at, listed[str(at)]) for at in range(k))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{path}: must hold prompts and words of each of the {k} clusters: {error}"
        ) from error


def _about(path: Path, at: int, entry: Mapping[str, Any]) -> About:
    counts = {str(source): float(count) for source, count in entry.get("prompts", {}).items()}
    if not all(0 <= count < float("inf") for count in counts.values()):
        raise BundleError(f"{path}: cluster {at}: counts of prompts must be finite and not negative")
    return About(counts, tuple(str(word) for word in entry.get("words", ())))
