from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from pointsman.cli.score import command

QUALITY = {"0": {"ash": 0.2, "elm": 0.8}, "1": {"ash": 0.5, "elm": 0.5}}
AXES = {m: {"input_per_1k_usd": p, "output_per_1k_usd": 5 * p} for m, p in (("ash", 0.001), ("elm", 0.01))}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "v1.0"
    path.mkdir()
    eye = np.eye(2, 3, dtype="<f4")
    (path / "centroids.bin").write_bytes(b"CRT1" + struct.pack("<III", 1, 2, 3) + eye.tobytes())
    (path / "quality_means.json").write_text(json.dumps({"quality_means": QUALITY}))
    (path / "model_axes.json").write_text(json.dumps({"axes": AXES}))
    (path / "rankings.json").write_text(json.dumps({"rankings": {k: {"ash": 1.0, "elm": 0.0} for k in "01"}}))
    (path / "model_registry.json").write_text(json.dumps({"deployed_models": [{"model": m} for m in AXES]}))
    (path / "metadata.yaml").write_text(yaml.safe_dump({"training": {"top_p": 1}}))
    return path


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    np.save(tmp_path / "vectors.npy", np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32))
    return tmp_path / "vectors.npy"


def run(bundle: Path, vectors: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["--bundle", str(bundle), "--embeddings", str(vectors), *options])


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_object_per_row(bundle: Path, vectors: Path) -> None:
    first, second = rows(run(bundle, vectors, "--json"))
    assert first["model"] == "elm"
    assert first["runner_up"] == "ash"
    assert first["scores"] == pytest.approx({"ash": 0.47, "elm": 0.53})
    assert first["clusters"] == [0]
    assert (second["model"], second["clusters"]) == ("ash", [1])


def test_knobs(bundle: Path, vectors: Path) -> None:
    text = "--json --alpha 0.1 --speed-weight 0 --output-cost-ratio 0.5 --expected-output-tokens 100"
    cheap = rows(run(bundle, vectors, *text.split(), "--per-model-verbosity", "true", "--top-p", "2"))
    assert [row["model"] for row in cheap] == ["ash", "ash"]
    assert cheap[0]["clusters"] == [0, 1]


def test_a_quality_bias_goes_from_the_cheapest_to_the_best(bundle: Path, vectors: Path) -> None:
    for bias, models in (("0", ["ash", "ash"]), ("1", ["elm", "ash"])):
        made = rows(run(bundle, vectors, "--json", "--quality-bias", bias))
        assert [row["model"] for row in made] == models


def test_the_older_form(bundle: Path, vectors: Path) -> None:
    assert rows(run(bundle, vectors, "--json", "--as", "v1", "--alpha", "1"))[0]["scores"] == {
        "ash": 1.0,
        "elm": 0.0,
    }


def test_for_people(bundle: Path, vectors: Path) -> None:
    assert run(bundle, vectors).stdout.splitlines()[0].startswith("elm  0.5300  +0.0600 over ash")


def test_one_vector_without_an_outer_dimension(bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.array([0.0, 1.0, 0.0]))
    assert len(rows(run(bundle, tmp_path / "one.npy", "--json"))) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--alpha", "nan"), "--alpha must be a finite number from 0 to 1"),
        (("--alpha", "0.8", "--speed-weight", "0.3"), "--alpha (0.8) and --speed-weight (0.3)"),
        (("--speed-weight", "0.9"), "--speed-weight (0.9) and the bundle's alpha"),
        (("--quality-bias", "1.1"), "--quality-bias must be a finite number from 0 to 1"),
        (("--quality-bias", "0.5", "--alpha", "0.5"), "--alpha and --quality-bias both say"),
        (("--per-model-verbosity", "yes"), "--per-model-verbosity must be exactly true or false"),
        (("--top-p", "0"), "--top-p"),
        (("--as", "v3"), "--as"),
    ],
)
def test_wrong_options_exit_2(options: tuple[str, ...], named: str, bundle: Path, vectors: Path) -> None:
    result = run(bundle, vectors, "--json", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


def test_a_broken_bundle_exits_1(bundle: Path, vectors: Path) -> None:
    (bundle / "quality_means.json").write_text('{"quality_means": {"0": {"ash": NaN, "elm": 1}}}')
    result = run(bundle, vectors, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert all(word in result.stderr for word in ("quality_means.json", "cluster 0", "ash"))


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((2, 4)), "[n, 3]"),
        (np.zeros((1, 2, 3)), "[n, 3]"),
        (np.float64(1.0), "[n, 3]"),
        (np.array(["a", "b", "c"]), "numbers"),
        (np.array([[1, 0, 0], [np.nan, 0, 0]]), "row 1"),
    ],
)
def test_wrong_vectors_exit_1(array: np.ndarray, named: str, bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "wrong.npy", array)
    result = run(bundle, tmp_path / "wrong.npy", "--json")
    assert result.exit_code == 1
    assert named in result.stderr


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_what_is_no_npy_file_exits_1(content: bytes, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.npy").write_bytes(content)
    result = run(bundle, tmp_path / "wrong.npy")
    assert result.exit_code == 1
    assert "wrong.npy" in result.stderr


def test_pickles_are_never_loaded(bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert run(bundle, tmp_path / "objects.npy").exit_code == 1
