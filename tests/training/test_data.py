"""Files of training data: what is read, and what is said about each thing that is wrong."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman.errors import DataError
from pointsman.training import data
from pointsman.training.files import objects, rows

PROMPTS = """{"id": "a", "source": "mine", "category": "code", "split": "train", "text": "One"}
{"id": "b", "text": "Two"}
"""
SCORES = "id,model,score,cost_usd\na,elm,1,0.5\na,fir,0.25,\n"
MODELS = "model,provider,input_usd_per_mtok,output_usd_per_mtok\nelm,grove,1,5\nfir,,,\n"
BOARDS = "benchmark,model,score\nboard,elm,0.5\nboard,elm,0.7\n"
OUTCOMES = "id,source,model,resolved\nx,tasks,elm,1\ny,tasks,elm,0\n"


def read(folder: Path, **texts: str) -> data.Data:
    given = {"prompts": PROMPTS, "scores": SCORES, "models": MODELS, "boards": BOARDS} | texts
    for name, text in given.items():
        (folder / name).write_text(text, encoding="utf-8")
    return data.read(*([folder / name] for name in ("prompts", "scores", "models", "boards")))


def test_all_four_kinds(tmp_path: Path) -> None:
    (tmp_path / "outcomes.csv").write_text(OUTCOMES)
    found = read(tmp_path)
    first, second = found.prompts
    assert (first.id, first.source, first.category, first.text, first.train, first.agent) == (
        "a", "mine", "code", "One", True, False,
    )  # fmt: skip
    assert (second.source, second.category, second.train, second.agent) == ("prompts", "-", True, True)
    assert found.scores["mine"]["elm"] == {0: (1.0, 0.5)}
    score, usd = found.scores["mine"]["fir"][0]
    assert (score, math.isnan(usd)) == (0.25, True)
    assert found.prices == {"elm": (1.0, 5.0)}
    assert found.providers == {"elm": "grove"}
    assert found.leaderboards == {("board", "elm"): pytest.approx(0.6)}
    assert data._leaderboards([tmp_path / "outcomes.csv"]) == {("tasks", "elm"): 0.5}


def test_gzip_is_told_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_bytes(gzip.compress(PROMPTS.encode()))
    assert [value["id"] for _, value in objects(tmp_path / "prompts")] == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("prompts", '{"text": "x"}\n{"txt": "y"}', "prompts: line 2: member text: must be a text"),
        ("prompts", '{"text": ""}', "line 1: member text"),
        (
            "prompts",
            '{"text": "x", "split": "dev"}',
            "line 1: member split: must be train or test, not 'dev'",
        ),
        ("prompts", "[1]", "line 1: must be an object"),
        ("prompts", "\n{", "line 2: not readable as JSON"),
        ("prompts", '{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', "the id a stands there twice"),
        ("scores", "id,model\n", "scores: line 1: there must be a column score"),
        (
            "scores",
            "id,model,score\na,elm,1.5\n",
            "line 2: column score: must be a number from 0 to 1, not '1.5'",
        ),
        ("scores", "id,model,score\na,elm,nan\n", "line 2: column score: must be a number from 0 to 1"),
        ("scores", "id,model,score\na,elm,\n", "line 2: column score: is empty"),
        ("scores", "id,model,score\n\na,,1\n", "line 3: column model: is empty"),
        ("scores", "id,model,score\nz,elm,1\n", "line 2: column id: no prompt has the id 'z'"),
        (
            "scores",
            "id,model,score\na,elm,1\na,elm,0\n",
            "line 3: column model: elm has a score for a already",
        ),
        ("scores", "id,model,score\na,elm\n", "line 2: has 2 columns, the first line 3"),
        (
            "scores",
            "id,model,score,cost_usd\na,elm,1,-1\n",
            "column cost_usd: must be a number of at least 0",
        ),
        (
            "models",
            "model,input_usd_per_mtok\nelm,cheap\n",
            "line 2: column input_usd_per_mtok: must be a number",
        ),
        ("models", "model\nelm\nelm\n", "models: line 3: column model: elm stands there twice"),
        ("boards", "benchmark,model,score\nb,elm,80\n", "line 2: column score: must be a number from 0 to 1"),
        ("boards", "model,score\nelm,.8\n", "boards: line 1: there must be a column benchmark or source"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(file: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, **{file: text})
    assert message in str(caught.value)
    assert str(tmp_path / file) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,model,score\nb\xff,elm,1\n", "line 2: is not UTF-8"),
        (b"\x1f\x8b\x08garbage", "cannot be read"),
        (None, "cannot be read: No such file"),
    ],
)
def test_files_that_cannot_be_read(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(rows(path, "id"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content)
    for reader in (lambda: list(objects(path)), lambda: list(rows(path, "id"))):
        try:
            reader()
        except DataError as error:
            assert str(path) in str(error)


@settings(max_examples=30)
@given(
    st.lists(st.dictionaries(st.sampled_from(["id", "text", "source", "x"]), st.text(min_size=1), max_size=4))
)
def test_json_lines_survive_whatever_they_say(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_text(
        "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8"
    )
    assert [value for _, value in objects(path)] == values
