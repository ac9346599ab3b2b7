"""Vectors of prompts, by the same text function and encoder that serve, and a cache of them on disk.

The cache is a directory of chunks, each written whole and never changed, so that a run that is cut
short loses at most one of them and several runs may share it. It holds hashes and vectors, no
texts; vectors can be partly inverted all the same, so it belongs outside any repository.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pointsman import paths
from pointsman.embedding import EMBED_DIM, EMBEDDER_ID, Embedder, routing_text
from pointsman.training.progress import progress

DEFAULT_CACHE = paths.cache_dir() / "vectors"
CHUNK = 500  # vectors in a file: about three seconds of work

Vectors = npt.NDArray[np.float32]


def vectors(texts: Sequence[str], embedder_dir: Path, cache: Path = DEFAULT_CACHE) -> Vectors:
    """float32[n, EMBED_DIM], unit rows. About 5 ms a text that is not in `cache` yet; shows a progress bar.

    Interrupted, it keeps what is done, and the next call goes on from there.
    """
    routed = [routing_text([text]) for text in texts]
    keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in routed]
    directory = cache / EMBEDDER_ID
    known = _read(directory)
    missing = {key: text for key, text in zip(keys, routed, strict=True) if key not in known}
    if missing:
        embedder = Embedder(embedder_dir, threads=2, cache_size=1)
        for chunk in _embedded(missing, embedder):
            _write(directory, chunk)
            known |= chunk
    return np.stack([known[key] for key in keys]) if keys else np.zeros((0, EMBED_DIM), np.float32)


def _embedded(missing: Mapping[str, str], embedder: Embedder) -> Iterator[dict[str, Vectors]]:
    """Chunks of {key: vector}; the last one may be short, also where Ctrl-C ends it."""
    chunk: dict[str, Vectors] = {}
    with progress("embedding prompts", len(missing)) as advance:
        try:
            for key, text in missing.items():
                chunk[key] = embedder.embed(text)
                advance()
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = {}
        except KeyboardInterrupt:
            if chunk:
                yield chunk
            raise
    if chunk:
        yield chunk


def _read(directory: Path) -> dict[str, Vectors]:
    """Everything that is stored; a file that is no chunk is passed over, its texts are embedded again."""
    known: dict[str, Vectors] = {}
    for path in sorted(directory.glob("*.npz")):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                keys, rows = stored["keys"].tolist(), stored["vectors"]
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
            continue
        if rows.dtype == np.float32 and rows.shape == (len(keys), EMBED_DIM):
            known.update(zip(keys, rows, strict=True))
    return known


def _write(directory: Path, chunk: Mapping[str, Vectors]) -> None:
    """Under a name made of its keys: two runs that embed the same write the same file."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = np.array(list(chunk))
    name = hashlib.sha256("".join(chunk).encode()).hexdigest()[:32]
    handle, temporary = tempfile.mkstemp(dir=directory, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, keys=keys, vectors=np.stack(list(chunk.values())))
        Path(temporary).replace(directory / f"{name}.npz")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
