from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.embedding import EMBED_DIM, MAX_CHARS, Embedder, routing_text

DIRECTORY = Path(__file__).parents[1] / "bundles" / "embedder"


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(DIRECTORY)


def test_the_encoder_tells_nobody_and_leaves_nothing(tmp_path: Path) -> None:
    """onnxruntime has telemetry that is on by default; what CI sets would turn it off."""
    kept = {"PATH", "LD_LIBRARY_PATH", "PYTHONPATH"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from pointsman.embedding import Embedder; Embedder(Path(sys.argv[2])).embed('Hello')"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(DIRECTORY.parents[1] / "addon"), str(DIRECTORY)],
        env=environment | {"HOME": str(tmp_path)},
        cwd=tmp_path,
        check=True,
    )
    assert list(tmp_path.rglob("*")) == []


class TestRoutingText:
    def test_newest_last(self) -> None:
        assert routing_text(["first", "second"]) == "first\nsecond"

    def test_nothing_said(self) -> None:
        assert routing_text([]) == ""
        assert routing_text(["", "  \n"]) == ""

    @pytest.mark.parametrize(
        "tag",
        ["system-reminder", "command-name", "command-message", "command-args", "local-command-stdout",
         "local-command-stderr", "local-command-caveat"],
    )  # fmt: skip
    def test_blocks_of_the_client_are_left_out(self, tag: str) -> None:
        assert routing_text(["mine", f"\n <{tag}>theirs</{tag}> and the rest"]) == "mine"

    def test_inline_reminders_are_cut_out(self) -> None:
        text = "fix<system-reminder>a\nb</system-reminder> the <system-reminder></system-reminder>test"
        assert routing_text([text]) == "fix the test"

    def test_an_unclosed_reminder_in_the_midst_is_the_users_own(self) -> None:
        assert routing_text(["what does <system-reminder> mean?"]) == "what does <system-reminder> mean?"

    def test_similar_tags_are_the_users_own(self) -> None:
        assert (
            routing_text(["<command-line> args", "<system>x</system>"])
            == "<command-line> args\n<system>x</system>"
        )

    def test_the_newest_characters_survive(self) -> None:
        text = routing_text(["old " * 1000, "new " * 400, "newest"])
        assert len(text) <= MAX_CHARS
        assert text.endswith("new\nnewest")
        assert text.startswith(("old", "ld", "d "))

    def test_one_long_text_keeps_its_end(self) -> None:
        assert routing_text(["a" * 5000 + "b" * MAX_CHARS]) == "b" * MAX_CHARS

    def test_surrogates_are_joined_or_replaced(self) -> None:
        assert routing_text(["\ud83d\ude00 \ud83d x \ude00"]) == "😀 \ufffd x \ufffd"

    def test_many_openings_take_linear_time(self) -> None:
        assert len(routing_text(["x" + "<system-reminder>" * 200_000])) == MAX_CHARS

    @given(st.lists(st.text(st.characters(), max_size=900), max_size=6))
    def test_any_text(self, texts: list[str]) -> None:
        text = routing_text(texts)
        assert len(text) <= MAX_CHARS
        text.encode()


class TestEmbedder:
    def test_unit_vectors(self, embedder: Embedder) -> None:
        vector = embedder.embed("rename the variable")
        assert (vector.shape, vector.dtype) == ((EMBED_DIM,), np.float32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    def test_near_texts_are_near(self, embedder: Embedder) -> None:
        sort, order, pasta = (
            embedder.embed(t)
            for t in ("sort a list in Python", "order an array in Python", "boil pasta with salt")
        )
        assert sort @ order > 0.5 > 0.3 > sort @ pasta

    def test_the_newest_words_survive_truncation(self, embedder: Embedder) -> None:
        # Every "w" is a token; 600 of them alone exceed the 256 that count.
        tail = "please translate this poem into French"
        alone = embedder.embed("w " * 250 + tail)
        assert np.array_equal(alone, embedder.embed("x " * 300 + "w " * 250 + tail))
        assert not np.array_equal(alone, embedder.embed("w " * 250 + "please boil the pasta with some salt"))

    def test_the_number_of_threads_does_not_matter(self, embedder: Embedder) -> None:
        text = "refactor the parser so that every error names the line " * 9
        assert np.array_equal(embedder.embed(text), Embedder(DIRECTORY, threads=2).embed(text))

    def test_the_batch_does_not_matter(self, embedder: Embedder) -> None:
        before = embedder.embed("a text between others")
        fresh = Embedder(DIRECTORY)
        fresh.embed("something quite long " * 50)
        assert np.array_equal(fresh.embed("a text between others"), before)

    def test_known_texts_come_from_the_cache_and_cannot_be_spoilt(self) -> None:
        small = Embedder(DIRECTORY, cache_size=1)
        first = small.embed("one")
        assert small.embed("one") is first
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 1
        small.embed("two")
        again = small.embed("one")
        assert again is not first
        assert np.array_equal(again, first)

    @pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00\x07", "日本語 😀", "a" * 400_000])
    def test_odd_texts(self, text: str, embedder: Embedder) -> None:
        assert np.isfinite(embedder.embed(text)).all()

    def test_many_threads_agree(self) -> None:
        shared = Embedder(DIRECTORY)
        texts = [f"task number {n}" for n in range(8)]
        expected = [shared.embed(t) for t in texts]
        fresh = Embedder(DIRECTORY)
        results: list[list[np.ndarray]] = [[] for _ in range(4)]
        workers = [
            threading.Thread(target=lambda out=out: out.extend(fresh.embed(t) for t in texts))
            for out in results
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert all(np.array_equal(a, b) for out in results for a, b in zip(out, expected, strict=True))

    @pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
    def test_a_missing_file_is_named_with_what_to_do(self, missing: str, tmp_path: Path) -> None:
        for name in {"model.onnx", "tokenizer.json"} - {missing}:
            (tmp_path / name).symlink_to(DIRECTORY / name)
        with pytest.raises(FileNotFoundError, match=rf"{missing} is missing. Copy bundles/embedder"):
            Embedder(tmp_path)

    def test_identity(self) -> None:
        assert (Embedder.id, Embedder.dim) == ("all-MiniLM-L6-v2-int8", 384)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_encoder_says_which_file_and_what_to_do(tmp_path: Path, name: str, content: bytes) -> None:
    for file in ("model.onnx", "tokenizer.json"):
        (tmp_path / file).symlink_to(DIRECTORY / file)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="damaged") as raised:
        Embedder(tmp_path)
    assert str(tmp_path / name) in str(raised.value) and "reinstall" in str(raised.value)
