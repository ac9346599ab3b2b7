"""The cache of vectors: what is done stays done, also when a run is cut short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pointsman.embedding import EMBED_DIM, EMBEDDER_ID
from pointsman.training import vectors as module
from pointsman.training.vectors import vectors


class Counting:
    """Stands in for the encoder; Ctrl-C comes at text number `ends`."""

    embedded: list[str]
    ends: int

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def embed(self, text: str) -> np.ndarray:
        if len(Counting.embedded) == Counting.ends:
            raise KeyboardInterrupt
        Counting.embedded.append(text)
        return np.eye(1, EMBED_DIM, len(text), dtype=np.float32)[0]


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    Counting.embedded, Counting.ends = [], 1_000
    monkeypatch.setattr(module, "Embedder", Counting)
    monkeypatch.setattr(module, "CHUNK", 3)


TEXTS = ["a", "bb", "ccc", "dddd", "eeeee", "a"]


def check(found: np.ndarray) -> None:
    assert found.argmax(axis=1).tolist() == [len(text) for text in TEXTS]
    assert (found.dtype, found.shape) == (np.float32, (len(TEXTS), EMBED_DIM))


def test_every_text_is_embedded_once(tmp_path: Path) -> None:
    check(vectors(TEXTS, tmp_path, tmp_path))
    check(vectors(TEXTS, tmp_path, tmp_path))
    assert Counting.embedded == TEXTS[:5]


@pytest.mark.parametrize("ends", [0, 1, 3, 4])
def test_ctrl_c_loses_nothing(ends: int, tmp_path: Path) -> None:
    Counting.ends = ends
    with pytest.raises(KeyboardInterrupt):
        vectors(TEXTS, tmp_path, tmp_path)
    Counting.ends = 1_000
    check(vectors(TEXTS, tmp_path, tmp_path))
    assert Counting.embedded == TEXTS[:5]


def test_a_damaged_chunk_is_embedded_again(tmp_path: Path) -> None:
    vectors(TEXTS, tmp_path, tmp_path)
    first, second = sorted((tmp_path / EMBEDDER_ID).glob("*.npz"))
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(b"")
    check(vectors(TEXTS, tmp_path, tmp_path))
    assert len(Counting.embedded) == 10


def test_nothing_is_embedded_for_no_texts(tmp_path: Path) -> None:
    assert vectors([], tmp_path, tmp_path).shape == (0, EMBED_DIM)


def test_no_text_is_in_the_cache(tmp_path: Path) -> None:
    vectors(["a very private sentence"], tmp_path, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"private" in path.read_bytes()]
