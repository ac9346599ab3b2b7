"""Vectors of the training prompts, by the same text function and encoder that serve."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pointsman.embedding import EMBED_DIM, EMBEDDER_ID, Embedder, routing_text

DEFAULT_CACHE = Path(tempfile.gettempdir()) / "pointsman-vectors"

Vectors = npt.NDArray[np.float32]


def vectors(texts: Sequence[str], embedder_dir: Path, cache: Path = DEFAULT_CACHE) -> Vectors:
    """float32[n, EMBED_DIM], unit rows. About 5 ms a text; kept in `cache` by a hash of the text alone.

    The cache holds hashes and vectors, no texts; vectors can be partly inverted all the same, so it
    belongs outside the repository.
    """
    routed = [routing_text([text]) for text in texts]
    keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in routed]
    path = cache / f"{EMBEDDER_ID}.npz"
    known = _read(path)
    missing = {key: text for key, text in zip(keys, routed, strict=True) if key not in known}
    if missing:
        embedder = Embedder(embedder_dir, threads=2, cache_size=1)
        for done, (key, text) in enumerate(missing.items()):
            if done % 1000 == 0:
                print(f"embedding {done}/{len(missing)}", file=sys.stderr)
            known[key] = embedder.embed(text)
        _write(path, known)
    return np.stack([known[key] for key in keys])


def _read(path: Path) -> dict[str, Vectors]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))


def _write(path: Path, known: dict[str, Vectors]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.stack(list(known.values())) if known else np.zeros((0, EMBED_DIM), np.float32)
    np.savez(path, keys=np.array(list(known)), vectors=rows)
