"""`pointsman bundle …` on small bundles that the tests write, and on the shipped ones."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pointsman.cli import bundle as bundle_command
from pointsman.cli.main import main
from pointsman.training import clusters
from pointsman.training.build import Built
from pointsman.training.plan import Plan
from pointsman.training.write import Version, write_bundle
from pointsman.values import Model, Prices

SHIPPED = Path(__file__).parents[2] / "bundles"
NAMES = ("claude-haiku-4-5", "claude-opus-4-5", "gpt-5")
CATALOGUE = {
    NAMES[0]: Model(NAMES[0], "anthropic", Prices(input=1.0, output=5.0)),
    NAMES[1]: Model(NAMES[1], "anthropic", Prices(input=5.0, output=25.0)),
    NAMES[2]: Model(NAMES[2], "openai", Prices(input=1.25, output=10.0)),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """v0.2, the latest, and v0.1 in legacy/, which is an older form."""
    folder = tmp_path / "bundles"
    built = Built(
        models=NAMES,
        centroids=np.eye(2, 384, dtype=np.float32),
        quality=np.array([[0.3, 0.9, 0.5], [0.9, 0.95, 0.5]]),
        error=np.zeros((2, 3)),
        alpha=(0.8, 0.1),
        sources=[{"chat": 3.0}, {"code": 1.0}],
    )
    for name in ("v0.2", "legacy/v0.1"):
        write_bundle(folder / name, built, CATALOGUE, Plan("test", {}, {}, {}), Version("2026-01-01"), {})
    for file in ("quality_means.json", "model_axes.json"):
        (folder / "legacy" / "v0.1" / file).unlink()
    about = (clusters.About({"chat": 3.0}, ("hello", "there")), clusters.About({"code": 1.0}, ("def",)))
    clusters.write(folder / "v0.2", about, {})
    (folder / "latest").write_text("v0.2\n")
    return folder


def run(*arguments: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["bundle", *arguments])


def answer(*arguments: str) -> dict:
    result = run(*arguments, "--json")
    return json.loads(result.stdout)


# --- list and validate ------------------------------------------------------------------------


def test_old_versions_are_listed_beside_new_ones(root: Path) -> None:
    rows = answer("list", "--root", str(root))["bundles"]
    assert [(row["version"], row["format"], row["latest"]) for row in rows] == [
        ("v0.1", 1, False),
        ("v0.2", 2, True),
    ]
    text = run("list", "--root", str(root)).stdout
    assert "legacy" not in text
    assert "latest" in text


def test_the_shipped_versions_are_listed_flat() -> None:
    rows = {row["version"]: row for row in answer("list")["bundles"]}
    assert [(v, row["format"], row["latest"]) for v, row in rows.items()] == [
        ("v0.0", 1, False),
        ("v0.1", 2, True),
    ]
    assert rows["v0.1"]["parent"] == "v0.0"


def test_a_broken_version_is_listed_as_broken(root: Path) -> None:
    (root / "v0.2" / "centroids.bin").write_bytes(b"CRT1")
    result = run("list", "--root", str(root))
    assert result.exit_code == 1
    assert "broken" in result.stdout
    assert "centroids.bin: the header has 16 bytes" in result.stdout
    assert "v0.1" in result.stdout


def test_an_empty_root_says_so(tmp_path: Path) -> None:
    assert run("list", "--root", str(tmp_path)).stdout.startswith("No bundles in ")
    assert run("validate", "--root", str(tmp_path)).exit_code == 1


def test_what_ships_is_valid() -> None:
    result = run("validate")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["v0.0: valid", "v0.1: valid"]
    assert all(row["valid"] for row in answer("validate")["bundles"])


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("metadata.yaml", "all-MiniLM-L6-v2-int8", "another-one", "made for the embedder 'another-one'"),
        ("quality_means.json", "0.95", "NaN", "cluster 1, model claude-opus-4-5: must be a finite number"),
        ("rankings.json", '"1"', '"7"', "rankings.json: cluster 1: no row"),
        ("clusters.json", '"prompts"', '"prompt"', ""),
        ("clusters.json", "clusters", "cluster", "clusters.json: must hold prompts and words"),
    ],
)  # fmt: skip
def test_validate_names_what_is_wrong(file: str, old: str, new: str, problem: str, root: Path) -> None:
    path = root / "v0.2" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    result = run("validate", "v0.2", "--root", str(root))
    assert problem in result.stdout
    assert result.exit_code == (1 if problem else 0)
    assert run("validate", "v0.1", "--root", str(root)).stdout == "v0.1: valid\n"


def test_a_model_that_the_catalogue_lacks_is_a_defect(root: Path) -> None:
    for file in ("model_registry.json", "quality_means.json", "model_axes.json", "rankings.json"):
        path = root / "v0.2" / file
        path.write_text(path.read_text().replace("gpt-5", "gpt-none"))
    result = run("validate", str(root / "v0.2"))
    assert result.exit_code == 1
    assert "model_registry.json: model gpt-none: not in the catalogue" in result.stdout


def test_an_unknown_version_lists_what_there_is(root: Path) -> None:
    result = run("inspect", "v7", "--root", str(root))
    assert result.exit_code == 1
    assert "there are: v0.1, v0.2" in result.stderr


# --- inspect ----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_inspect_fits_the_terminal(columns: int, root: Path) -> None:
    for arguments in (["inspect"], ["inspect", "--cluster", "0"], ["diff", "v0.1", "v0.2"], ["list"]):
        result = run(*arguments, "--root", str(root), columns=columns)
        assert result.exit_code == 0, result.output
        assert max(map(len, result.stdout.splitlines())) <= columns


def test_inspect_shows_words_sources_and_the_mix(root: Path) -> None:
    text = run("inspect", "--root", str(root), columns=120).stdout
    assert "hello there" in text
    assert "chat 100%" in text
    assert "75.0%" in text
    assert "claude-opus-4-5 0.90" in text
    found = answer("inspect", "--root", str(root))
    assert found["clusters"][0]["words"] == ["hello", "there"]
    mixes = {mix["preset"]: mix["shares"] for mix in found["mixes"]}
    assert mixes["default"] == {"claude-opus-4-5": 0.75, "claude-haiku-4-5": 0.25}


def test_one_cluster_shows_every_model(root: Path) -> None:
    text = run("inspect", "--cluster", "1", "--root", str(root)).stdout
    assert all(name in text for name in NAMES)
    assert answer("inspect", "--cluster", "1", "--root", str(root))["alpha"] == 0.1
    assert run("inspect", "--cluster", "2", "--root", str(root)).exit_code == 2


def test_an_older_bundle_can_be_looked_into(root: Path) -> None:
    result = run("inspect", "v0.1", "--root", str(root))
    assert result.exit_code == 0
    assert "format 1" in result.stdout


def test_the_mix_can_be_computed_over_prompts(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"text": "one"}\n{"text": "two"}\n')
    monkeypatch.setattr(bundle_command, "_embedded", lambda texts: np.eye(2, 384)[[0] * len(texts)])
    found = answer("inspect", "--prompts", str(prompts), "--root", str(root))
    assert found["mix_basis"] == "over 2 prompts"
    assert found["mixes"][0]["shares"] == {"claude-opus-4-5": 1.0}


def test_prompts_without_text_are_refused_by_line(root: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"text": "one"}\n{"txt": "two"}\n')
    result = run("inspect", "--prompts", str(prompts), "--root", str(root))
    assert result.exit_code == 1
    assert "prompts.jsonl: line 2: member text: must be a text that is not empty" in result.stderr


# --- diff and gate ----------------------------------------------------------------------------


def test_diff_says_what_changed(root: Path) -> None:
    shutil.copytree(root / "v0.2", root / "v0.3")
    path = root / "v0.3" / "quality_means.json"
    path.write_text(path.read_text().replace("0.3", "0.95"))
    text = run("diff", "v0.2", "v0.3", "--root", str(root), columns=120).stdout
    assert "cluster 0, claude-haiku-4-5   0.3000   0.9500" in text
    assert "75.0%" in text
    found = answer("diff", "v0.2", "v0.3", "--root", str(root))
    assert found["shifts"][0]["moved"] == 0.75
    assert "no difference" in run("diff", "v0.2", "v0.2", "--root", str(root)).stdout


def test_the_gate_lets_the_default_bundle_pass_and_stops_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = np.load(Path(__file__).parents[1] / "training" / "gate_vectors.npy").astype(np.float64)
    monkeypatch.setattr(bundle_command, "_embedded", lambda texts: stored)
    result = run("gate")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Passed.")

    copy = shutil.copytree(SHIPPED / (SHIPPED / "latest").read_text().strip(), tmp_path / "changed")
    metadata = copy / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("output_cost_ratio: 0.25", "output_cost_ratio: 9", 1))
    result = run("gate", str(copy), "--json", "--csv", str(tmp_path / "out.csv"))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["problems"][0].startswith("v1 and v2 agree on")
    with (tmp_path / "out.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(found["divergences"]) == round(1000 * (1 - found["agreement"]))
