"""Typical words of each cluster, for people who look inside a bundle; see clusters.json.

A bundle may be made from somebody's own prompts, and must not tell what they said. So only single words are
kept, no phrases; only such as at least `FEWEST` prompts of the cluster have; only words of the encoder's own
vocabulary, which is public and has no identifiers; none that is mostly written with a capital, as names are;
and nothing next to a digit or one of @ / \\ _ - or inside a dotted name, as addresses, paths and options are.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

FEWEST: Final = 10
MOST: Final = 12  # words per cluster
TYPICAL: Final = 2.0  # times as often in the cluster's prompts as in others

_WORD: Final = re.compile(r"(?<![\w@/\\.-])[^\W\d_]{3,20}(?![\w@/\\-]|\.\w)")


def vocabulary(embedder_dir: Path) -> frozenset[str]:
    """Whole words that the encoder knows, in lower case."""
    tokens = json.loads((embedder_dir / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return frozenset(token for token in tokens if token.isalpha())


def typical(
    texts: Sequence[str], cluster: npt.NDArray[np.intp], k: int, known: Collection[str]
) -> tuple[tuple[str, ...], ...]:
    """Up to `MOST` words for each of K clusters, the most typical first.

    `cluster` [n] are the clusters of the texts. A word weighs p·log(p / p₀): p is the share of the cluster's
    prompts that have it, p₀ that of all others.
    """
    inside: list[Counter[str]] = [Counter() for _ in range(k)]
    everywhere: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for text, at in zip(texts, cluster.tolist(), strict=True):
        written = set(_WORD.findall(text))
        words = {word.lower() for word in written}
        inside[at].update(words)
        everywhere.update(words)
        lower.update(word for word in written if word.islower())
    sizes = np.bincount(cluster, minlength=k)
    usual = {word for word, count in everywhere.items() if word in known and 2 * lower[word] >= count}
    return tuple(_most_typical(inside[at], everywhere, usual, int(sizes[at]), len(texts)) for at in range(k))


def _most_typical(
    counts: Counter[str], everywhere: Counter[str], usual: Collection[str], size: int, total: int
) -> tuple[str, ...]:
    weights = {}
    for word, count in counts.items():
        if count < FEWEST or word not in usual:
            continue
        share = count / size
        elsewhere = (everywhere[word] - count + 0.5) / (total - size + 1)
        if share > TYPICAL * elsewhere:
            weights[word] = share * float(np.log(share / elsewhere))
    return tuple(sorted(weights, key=lambda word: (-weights[word], word))[:MOST])
