"""The whole study on a small made-up world: four kinds of prompt, six models, one ability."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from pointsman.training.data import Data, Prompt
from pointsman.training.evaluation.clusters import Clusters, Settings
from pointsman.training.evaluation.judge import Figure, judge
from pointsman.training.evaluation.pools import joined, pools
from pointsman.training.evaluation.routers import Part, choose, mean, neighbours, ridge, true_category
from pointsman.training.evaluation.study import Report, steps, study
from pointsman.training.evaluation.table import as_json, tables
from pointsman.training.evaluation.targets import resampled, target_sets, transfer
from pointsman.training.transfer import sigmoid
from rich.console import Console

pytest.importorskip("sklearn", reason="needs the train extra")

MODELS = ("a", "b", "c", "d", "e", "f")
ABILITY = np.array([-1.5, -0.5, 0.0, 0.7, 1.5, 2.5])
EASE = np.array([-4.0, -1.0, 1.0, 4.0])
SETTINGS = Settings(k=4, top_p=1, seeds=2, folds=2, set_size=2, sets=2, bootstraps=20)


def world(count: int = 1200) -> tuple[Data, np.ndarray]:
    """`count` prompts in one pool of six models, and in a pool of two others that has half of them."""
    rng = np.random.default_rng(3)
    kind = np.arange(count) % 4
    draws = rng.random((count, len(MODELS))) < sigmoid(EASE[kind][:, None] + ABILITY)
    prompts = tuple(
        Prompt(
            str(n),
            "six" if n % 3 else "two",
            f"kind {kind[n]}",
            f"word{kind[n]} rest{n % 7}",
            n % 5 > 0,
            False,
        )
        for n in range(count)
    )
    scores: dict[str, dict[str, dict[int, tuple[float, float]]]] = {"six": {}, "two": {}}
    for m, model in enumerate(MODELS):
        scores["six"][model] = {n: (float(draws[n, m]), 2.0**m) for n in range(count) if n % 3}
    for m, model in ((1, "weak"), (4, "strong")):
        scores["two"][model] = {n: (float(draws[n, m]), 2.0**m) for n in range(0, count, 3)}
    vectors = np.eye(8)[kind] + 0.1 * rng.standard_normal((count, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Data(prompts, scores, {}, {}), vectors.astype(np.float32)


@pytest.fixture(scope="module")
def report() -> Report:
    return study(*world(), SETTINGS)


def test_knowing_the_kind_of_prompt_beats_mixing_and_nothing_beats_the_oracle(report: Report) -> None:
    for pool in report.pools:
        rows = {row.router: row for row in pool.own}
        assert rows["zero router"].gain.value == 0
        assert rows["random mix"].gain.value <= 1e-4
        for router in ("clusters", "kNN", "ridge", "true category"):
            assert 1 < rows[router].gain.value < rows["oracle"].gain.value
            assert 0 < rows[router].gain.low <= rows[router].gain.value <= rows[router].gain.high
            assert rows[router].brier is not None
            assert rows[router].brier.high < 0
        assert rows["clusters"].gain.value == pytest.approx(rows["true category"].gain.value, abs=0.3)
        assert len(rows["clusters"].per_seed) == SETTINGS.seeds


def test_abilities_alone_beat_mixing_where_difficulty_decides(report: Report) -> None:
    for pool in report.pools:
        recipe, own = pool.transfer
        assert recipe.gain.value > 1
        assert recipe.gain.low > 0
        assert own.gain.value == pytest.approx(recipe.gain.value, abs=1)
        assert pool.sets_above_zero == 1


def test_two_models_have_the_measures_of_two_models(report: Report) -> None:
    two = {row.router: row for row in report.pools[1].own}
    assert report.pools[1].pool == "two"
    assert two["random mix"].apgr is not None
    assert two["random mix"].apgr.value == pytest.approx(0.5, abs=1e-4)
    assert two["clusters"].apgr is not None
    assert two["clusters"].apgr.low > 0.5
    assert all(row.apgr is None for row in report.pools[0].own)


def test_nothing_is_gained_where_all_prompts_are_alike() -> None:
    data, vectors = world()
    blind = np.random.default_rng(5).permutation(vectors)
    quick = replace(SETTINGS, seeds=1, sets=2, bootstraps=2)
    for pool in study(data, blind, quick, only=["six"]).pools:
        gains = {row.router: row.gain.value for row in (*pool.own, *pool.transfer)}
        assert gains["clusters"] < 0.5
        assert gains["transfer"] < 0.5
        assert gains["true category"] > 1


def test_the_train_rows_are_judged_in_folds_and_the_test_rows_only_when_asked(report: Report) -> None:
    data, vectors = world()
    test = study(data, vectors, replace(SETTINGS, folds=0, seeds=1, bootstraps=2), only=["two"])
    assert [pool.prompts for pool in report.pools] == [640, 320]
    assert [pool.prompts for pool in test.pools] == [80]


def test_a_study_is_the_same_every_time(report: Report) -> None:
    (again,) = study(*world(), SETTINGS, only=["two"]).pools
    assert repr(again) == repr(report.pools[1])


def test_without_a_number_of_clusters_it_is_that_of_training(report: Report) -> None:
    data, vectors = world()
    few = study(data, vectors, replace(SETTINGS, k=None, seeds=1, bootstraps=2), only=["two"])
    assert (report.settings.k, few.settings.k) == (4, 960 // 2 // 100)


def test_every_step_is_announced() -> None:
    data, vectors = world()
    heard: list[str] = []
    settings = replace(SETTINGS, bootstraps=2)
    study(data, vectors, settings, only=["two"], tick=heard.append)
    assert len(heard) == steps(data, settings, ["two"])


# --- transfer -----------------------------------------------------------------------------------


def cut(data: Data, vectors: np.ndarray) -> tuple[list[Part], Clusters]:
    """The kinds as clusters, two folds."""
    (pool, _), _ = pools(data)
    near = (np.arange(len(vectors)) % 4)[:, None]
    held = [np.arange(len(vectors)) // 4 % 2 == fold for fold in range(2)]
    learn = [~part for part in held]
    texts, kinds = [p.text for p in data.prompts], [p.category for p in data.prompts]
    parts = [
        Part(pool.part(a), pool.part(b), vectors, texts, kinds) for a, b in zip(learn, held, strict=True)
    ]
    return parts, Clusters([[near], [near]], learn, held, 4)


def test_the_targets_own_scores_on_prompts_do_not_matter() -> None:
    """Exchanging them among the prompts learnt from keeps the means, which is all that may be known."""
    data, vectors = world()
    parts, made = cut(data, vectors)
    judged = judge(joined([part.held for part in parts]), SETTINGS.bootstraps)
    settings = replace(SETTINGS, seeds=1, sets=1)
    before = transfer(parts, judged, [], made, settings)
    rng = np.random.default_rng(8)
    (targets,) = target_sets(6, settings)
    for part in parts:
        order = rng.permutation(len(part.fit.rows))
        part.fit.quality[:, targets] = part.fit.quality[order][:, targets]
    after = transfer(parts, judged, [], made, settings)
    assert after.rows[0] == before.rows[0]
    assert after.rows[1] != before.rows[1]


def test_target_sets_are_distinct_and_leave_references() -> None:
    sets = target_sets(13, Settings(set_size=4, sets=20))
    assert len({tuple(s) for s in sets}) == 20
    assert all(len(s) == 4 for s in sets)
    assert target_sets(2, Settings()) == [[0, 1]]


def test_intervals_over_sets_hold_the_sets_spread() -> None:
    same = np.tile([[1.0], [3.0]], (1, 200))
    drawn = resampled(same, np.random.default_rng(0))
    assert drawn[0] == 2
    assert set(drawn[1:].tolist()) == {1.0, 2.0, 3.0}


# --- routers ------------------------------------------------------------------------------------


def test_the_worth_of_money_moves_the_choice_from_the_best_to_the_cheapest() -> None:
    chosen = choose(np.array([[0.2, 0.9, 0.8]]), np.array([[0.2, 1.0, 0.4]]))
    assert (chosen[0, 0], chosen[0, -1]) == (1, 0)
    assert 2 in chosen[0]


@pytest.mark.parametrize("router", [neighbours, ridge, true_category])
def test_expected_scores_are_near_the_true_ones(router) -> None:
    data, vectors = world(4000)
    part = cut(data, vectors)[0][0]
    expected = router(part).expected
    truth = sigmoid(EASE[part.held.rows % 4][:, None] + ABILITY)
    assert np.abs(expected - truth).mean() < 0.08
    assert np.abs(mean(part).expected - truth).mean() > 0.2


def test_a_category_that_was_never_seen_has_the_models_means() -> None:
    data, vectors = world()
    part = cut(data, vectors)[0][0]
    strange = replace(part, categories=["new" if n in part.held.rows else "old" for n in range(1200)])
    assert np.allclose(true_category(strange).expected, mean(part).expected)


# --- shown --------------------------------------------------------------------------------------


def shown(report: Report, width: int) -> str:
    out = StringIO()
    Console(file=out, width=width).print(tables(report))
    return out.getvalue()


def test_the_tables_fit_eighty_columns(report: Report) -> None:
    text = shown(report, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert all(line == line.strip() or line[0] != " " for line in text.splitlines() if line.strip())
    for word in ("six: 640 prompts, 6 models", "clusters", "oracle", "true category", "transfer", "APGR"):
        assert word in text


def test_a_dear_model_that_is_not_better_leaves_no_gap_to_recover(report: Report) -> None:
    two = report.pools[1]
    nothing = Figure(float("nan"), float("nan"), float("nan"))
    rows = tuple(replace(row, apgr=nothing, cpt50=nothing, cpt80=nothing) for row in two.own)
    text = shown(replace(report, pools=(replace(two, own=rows),)), 80)
    assert "APGR: none, since the dearer model is not the better one" in text
    assert "CPT(50), %" not in text


def test_json_holds_no_number_that_is_none(report: Report) -> None:
    text = json.dumps(as_json(report), allow_nan=False)
    assert {pool["pool"] for pool in json.loads(text)["pools"]} == {"six", "two"}


def test_the_picture_is_written_in_the_format_of_its_name(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the train extra")
    from pointsman.training.evaluation.picture import draw

    one = replace(report, pools=report.pools[:1])
    draw(one, tmp_path / "a.svg")
    draw(one, tmp_path / "b.svg")
    draw(report, tmp_path / "a.png")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


# --- public data --------------------------------------------------------------------------------

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.slow
def test_clusters_beat_mixing_on_public_data() -> None:
    """By bags of words in place of the encoder, which would take minutes."""
    if not (DATA / "prompts.jsonl.gz").is_file():
        pytest.skip("the evaluation data is not beside the checkout")
    from pointsman.training.data import load
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    data = load(DATA)
    words = TfidfVectorizer(sublinear_tf=True, min_df=3, max_features=20_000, dtype=np.float32)
    table = words.fit_transform(prompt.text[:2000] for prompt in data.prompts)
    vectors = normalize(TruncatedSVD(64, n_iter=2, random_state=0).fit_transform(table)).astype(np.float32)
    settings = Settings(k=32, seeds=1, folds=2, sets=2, bootstraps=50)
    report = study(data, vectors, settings, only=["mmlu_pro", "llmrouter"])
    assert "routellm_mtbench" in report.left_out
    for pool in report.pools:
        rows = {row.router: row for row in pool.own}
        assert rows["clusters"].gain.low > 0
        assert rows["clusters"].saving.value > 0.1
        assert rows["oracle"].gain.value > rows["kNN"].gain.value > 0
