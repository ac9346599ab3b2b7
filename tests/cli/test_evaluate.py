from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pointsman.cli.main import main

pytest.importorskip("sklearn", reason="needs the train extra")

DATA = Path(__file__).parents[2].parent / "shared" / "data"
WORDS = {"sums": "What is {} plus {}?", "verse": "Write verse {} of {} about the sea and its ships."}
QUICK = ("--k", "2", "--top-p", "1", "--seeds", "1", "--folds", "2", "--bootstraps", "20")


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two directions with noise, in place of a minute of work: what is said of sums and of verse."""

    def vectors(texts: list[str], *_: object) -> np.ndarray:
        rng = np.random.default_rng(0)
        made = np.eye(2, 8)[[int("verse" in text) for text in texts]] + 0.1 * rng.random((len(texts), 8))
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    monkeypatch.setattr("pointsman.training.vectors.vectors", vectors)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """300 prompts; the dear model is better at verse alone."""
    prompts = [
        {"id": f"{kind}{n}", "source": "mine", "category": kind, "split": "train" if n % 5 else "test",
         "text": text.format(n, n + 1)}
        for kind, text in WORDS.items() for n in range(150)
    ]  # fmt: skip
    with gzip.open(tmp_path / "prompts.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(row) + "\n" for row in prompts)
    with (tmp_path / "scores.csv").open("w") as table:
        rows = csv.writer(table)
        rows.writerow(["id", "model", "score", "cost_usd"])
        for row in prompts:
            rows.writerow([row["id"], "cheap", float(row["category"] == "sums"), 0.001])
            rows.writerow([row["id"], "dear", 1, 0.01])
    return ["--prompts", str(tmp_path / "prompts.jsonl.gz"), "--scores", str(tmp_path / "scores.csv")]


def run(*options: str) -> Result:
    return CliRunner().invoke(main, ["evaluate", *options])


def test_a_users_own_files(files: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the train extra")
    result = run(*files, *QUICK, "--json", "--picture", str(tmp_path / "curves.svg"))
    assert result.exit_code == 0, result.output
    (pool,) = json.loads(result.stdout)["pools"]
    assert (pool["pool"], pool["prompts"], pool["models"]) == ("mine", 240, ["cheap", "dear"])
    rows = {row["router"]: row for row in pool["own"]}
    assert rows["clusters"]["saving"]["value"] == pytest.approx(0.45, abs=0.02)
    assert rows["clusters"]["apgr"]["value"] == pytest.approx(0.75, abs=0.02)
    assert (tmp_path / "curves.svg").stat().st_size > 1000


def test_the_table_and_the_test_rows(files: list[str]) -> None:
    result = run(*files, *QUICK, "--test")
    assert result.exit_code == 0, result.output
    assert "mine: 60 prompts, 2 models; best single dear, 1.000 at $10 per 1,000" in result.stdout
    assert re.search(r"^clusters +\+12\.\d+ \[", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --prompts and --scores, or --data"),
        (["--data", ".", "--scores", __file__], "--data names all files at once"),
        (["FILES", "--pool", "yours"], "no pool is named yours; there are mine"),
        (["FILES", "--k", "500"], "prompts to learn from cannot make 500 clusters"),
    ],
)
def test_options_that_cannot_be(files: list[str], options: list[str], message: str) -> None:
    given = [one for option in options for one in (files if option == "FILES" else [option])]
    result = run(*given)
    assert result.exit_code != 0
    assert message in result.output


def test_what_is_wrong_in_a_file(files: list[str], tmp_path: Path) -> None:
    with (tmp_path / "scores.csv").open("a") as out:
        out.write("nobody,cheap,1,0.1\n")
    result = run(*files)
    assert result.exit_code == 1
    assert "scores.csv: line 602: column id: no prompt has the id 'nobody'" in result.output


def test_nothing_to_judge(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("id,model,score\nsums1,cheap,1\n")
    result = run(*files)
    assert result.exit_code == 1
    assert "nothing can be judged: mine: 0 models with costs or prices" in result.output
