"""`pointsman train` on data that the tests write: three kinds of prompts, whose vectors are made up."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from pointsman.cli import train as train_command
from pointsman.cli.main import main
from pointsman.scoring.bundle import load_bundle
from pointsman.scoring.cluster import score

pytest.importorskip("sklearn", reason="needs the train extra")
pytest.importorskip("scipy", reason="needs the train extra")

KINDS = ("code", "maths", "letters")
# The chance to be right, by kind. The third is beaten by the first at its own price.
SCORED = {
    "claude-haiku-4-5": (0.45, 0.92, 0.9),
    "claude-opus-4-5": (0.95, 0.97, 0.95),
    "claude-sonnet-4-5": (0.3, 0.3, 0.3),
    "gpt-5": (0.9, 0.9, 0.8),
    "gpt-5-mini": (0.55, 0.88, 0.75),
}
BOARD = {"claude-haiku-4-5": 0.5, "claude-opus-4-5": 0.8, "gpt-5": 0.75, "gpt-5-mini": 0.6, "home-made": 0.7}
COUNT = 360


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(4)
    kind = np.arange(COUNT) % 3
    with (tmp_path / "prompts.jsonl").open("w") as file:
        for n in range(COUNT):
            row = {"id": f"p{n}", "source": "mine", "text": f"please help with {KINDS[kind[n]]} number {n}"}
            file.write(json.dumps(row | {"split": "test" if n % 10 == 9 else "train"}) + "\n")
    scores = [
        {"id": f"p{n}", "model": model, "score": int(rng.random() < chance[kind[n]])}
        for n in range(COUNT)
        for model, chance in SCORED.items()
    ]
    write(tmp_path / "scores.csv", scores)
    prices = [
        {"model": "home-made", "provider": "openai", "input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4}
    ]
    write(tmp_path / "models.csv", prices)
    write(tmp_path / "boards.csv", [{"benchmark": "b", "model": m, "score": s} for m, s in BOARD.items()])
    monkeypatch.setattr(
        train_command, "_vectors", lambda data, cache: vectors([p.text for p in data.prompts])
    )
    return tmp_path


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def vectors(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors around one axis for each kind."""
    rng = np.random.default_rng(9)
    rows = np.eye(3, 384)[[next(k for k, kind in enumerate(KINDS) if kind in text) for text in texts]]
    rows = rows + 0.02 * rng.standard_normal(rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def run(folder: Path, *options: str, out: str = "v1.0") -> Result:
    files = {
        "prompts": "prompts.jsonl",
        "scores": "scores.csv",
        "models": "models.csv",
        "leaderboards": "boards.csv",
    }
    arguments = [text for name, file in files.items() for text in (f"--{name}", str(folder / file))]
    return CliRunner().invoke(main, ["train", *arguments, "--out", str(folder / out), *options])


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_bundle_from_ones_own_data_routes_by_it(folder: Path) -> None:
    result = run(folder, "--include", "all")
    assert result.exit_code == 0, result.output
    bundle = load_bundle(folder / "v1.0")
    assert (bundle.k, bundle.format, bundle.top_p) == (3, 2, 1)
    assert set(bundle.models) == {*SCORED, "home-made"}
    own = [m for m in bundle.models if bundle.providers[m] == "anthropic"]
    picked = [score(bundle, v, deployed=own).model for v in vectors(list(KINDS))]
    assert picked == ["claude-opus-4-5", "claude-haiku-4-5", "claude-haiku-4-5"]
    assert bundle.quality is not None
    at = [score(bundle, v).clusters[0][0] for v in vectors(list(KINDS))]
    measured = bundle.quality[at][:, [bundle.models.index(m) for m in SCORED]]
    assert np.abs(measured - np.array(list(SCORED.values())).T).max() < 0.12
    assert "Not in the catalogue: home-made" in result.stdout


def test_the_bundle_says_what_everything_rests_on(folder: Path) -> None:
    run(folder, "--include", "all", "--parent", "v0.9", "--created", "2026-11-01", "--latest")
    out = folder / "v1.0"
    assert set(content(out)) == {
        "README.md", "centroids.bin", "clusters.json", "metadata.yaml", "model_axes.json",
        "model_registry.json", "quality_means.json", "rankings.json",
    }  # fmt: skip
    meta = json.loads((out / "quality_means.json").read_text())["meta"]
    scored = [
        sum(row.get(model, 0) for row in meta["cells"]["scored"].values()) for model in ("gpt-5", "home-made")
    ]
    assert scored == [COUNT * 9 // 10, 0]
    errors = np.array([[row[m] for m in ("gpt-5", "home-made")] for row in meta["cells"]["error"].values()])
    assert (errors[:, 0] == 0).all()
    assert (errors[:, 1] > 0).all()
    assert meta["models"]["gpt-5"]["basis"] == "own scores on 1 source, 1 leaderboard row"
    clusters = json.loads((out / "clusters.json").read_text())["clusters"]
    assert {word for row in clusters.values() for word in row["words"]} == {"code", "letters"}, (
        "of the vocabulary"
    )
    assert all("number" not in row["words"] for row in clusters.values()), "all clusters have it"
    metadata = yaml.safe_load((out / "metadata.yaml").read_text())
    assert (metadata["parent"], metadata["created"], metadata["version"]) == ("v0.9", "2026-11-01", "v1.0")
    readme = (out / "README.md").read_text()
    assert "| scores.csv | scores | `" in readme
    assert str(folder) not in readme
    assert "please help" not in "".join(path.read_text() for path in out.iterdir() if path.suffix != ".bin")
    assert (folder / "latest").read_text() == "v1.0\n"


def test_what_is_not_worth_its_place_is_left_out(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert "Left out: claude-sonnet-4-5: adds nothing that shows to the other models." in result.stdout
    models = load_bundle(folder / "v1.0").models
    assert {"claude-haiku-4-5", "claude-opus-4-5"} <= set(models)
    assert "claude-sonnet-4-5" not in models
    assert "- Left out: claude-sonnet-4-5 (" in (folder / "v1.0" / "README.md").read_text()


def test_the_same_bytes_twice_and_the_date_is_kept(folder: Path) -> None:
    run(folder, "--created", "2026-11-01")
    before = content(folder / "v1.0")
    assert run(folder).exit_code == 0
    assert content(folder / "v1.0") == before


def test_the_older_form_is_the_same_blend_frozen(folder: Path) -> None:
    run(folder)
    run(folder, "--form", "v1", "--status", "legacy", out="v0.1")
    newer, older = load_bundle(folder / "v1.0"), load_bundle(folder / "v0.1")
    assert (older.format, older.metadata["status"]) == (1, "legacy")
    for vector in vectors(list(KINDS)):
        assert score(newer, vector).scores == pytest.approx(score(older, vector).scores)
    for version in ("v1.0", "v0.1"):
        result = CliRunner().invoke(main, ["bundle", "inspect", version, "--root", str(folder)])
        assert result.exit_code == 0, result.output
        assert "mine 100%" in result.stdout


# --- what cannot be trained from --------------------------------------------------------------


def test_without_the_extra_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = run(folder)
    assert result.exit_code == 1
    assert "training needs scikit-learn and scipy: install the extra `train`" in result.stderr
    assert "pip install 'pointsman[train]'" in result.stderr


def test_a_wrong_row_is_named(folder: Path) -> None:
    path = folder / "scores.csv"
    path.write_text(path.read_text().replace("p1,gpt-5,", "p1,gpt-5,7", 1))
    result = run(folder)
    assert result.exit_code == 1
    assert f"{path}: line 10: column score: must be a number from 0 to 1" in result.stderr
    assert not (folder / "v1.0").exists()


def test_models_without_a_price_cannot_be_routed_to(folder: Path) -> None:
    path = folder / "scores.csv"
    path.write_text(path.read_text().replace("claude-", "unknown-").replace("gpt-", "unknown-"))
    (folder / "models.csv").write_text("model\nunknown-5\n")
    (folder / "boards.csv").write_text("benchmark,model,score\nb,unknown-5,.5\n")
    result = run(folder)
    assert result.exit_code == 1
    assert "no model of the scores or leaderboards has a price and a provider" in result.stderr


def test_too_many_clusters(folder: Path) -> None:
    result = run(folder, "--k", "1000")
    assert "distinct train prompts cannot make 1000 clusters; ask for fewer with --k" in result.stderr


def test_a_version_has_a_name(folder: Path) -> None:
    result = run(folder, out="not a version")
    assert result.exit_code == 2
    assert "no name of a version" in result.stderr


def test_a_recipe_of_ones_own(folder: Path) -> None:
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "k: 4\nanchor: mine\n"
        "evidence: {big: {pool: {mine: claude-opus-4-5}}, small: {pool: {mine: gpt-5-mini}}}\n"
        "models: {claude-opus-4-6: {like: big}, gpt-5-nano: {like: small}}\n"
    )
    result = run(folder, "--recipe", str(recipe), "--include", "all")
    assert result.exit_code == 0, result.output
    bundle = load_bundle(folder / "v1.0")
    assert (bundle.k, bundle.models) == (4, ("claude-opus-4-6", "gpt-5-nano"))
    recipe.write_text(recipe.read_text().replace("mine: gpt-5-mini", "yours: gpt-5-mini"))
    result = run(folder, "--recipe", str(recipe))
    assert f"{recipe}: the data lacks scores of gpt-5-mini on yours" in result.stderr
