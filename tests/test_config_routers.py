"""Virtual models and documents in router.yaml: what they can say, and each mistake with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pointsman import config
from pointsman.catalogue import Catalogue
from pointsman.config import File
from pointsman.config_documents import SHIPPED
from pointsman.config_routers import CLUSTER
from pointsman.errors import ConfigError
from pointsman.options import SCALARS
from pointsman.scoring.knobs import Overrides

RULES = {option.setting: option.rule for option in SCALARS}
DOCUMENT: dict[str, Any] = {
    "kind": "intelligent-router-v0",
    "tiers": {
        "small.1": {"model": "moonshot/kimi-k2.6", "temperature": 0.5, "top_k": None},
        "big": {"model": "gpt-5.5", "reasoning_effort": "high", "provider": {"sort": "price"}},
    },
    "classifier_model_id": "small.1",
    "fallback_model_id": "big",
    "routing": {"Easy": "small.1", "Hard": "big"},
}


def read(folder: Path, text: str) -> File:
    path = folder / "router.yaml"
    path.write_text(text)
    return config.read(path, RULES, Catalogue.load(), {})


def test_two_are_there_without_a_word(tmp_path: Path) -> None:
    routers = read(tmp_path, "").routers
    assert set(routers) == {SHIPPED, CLUSTER} == {"router-classified-3tier", "router-cluster"}
    assert all(router.virtual for router in routers.values())
    shipped = routers[SHIPPED]
    assert shipped.strategy == "classified"
    assert {id: model.name for id, model in shipped.tiers.items()} == {
        "kimi-k2.6": "kimi-k2.6",
        "minimax-m2.7": "minimax-m2.7",
        "gpt-5.5": "gpt-5.5",
    }
    assert [(one.name, one.model) for one in shipped.tiers["gpt-5.5"].bindings] == [
        ("litellm_proxy", "openai/gpt-5.5"),
        ("origin", ""),
    ]
    assert all(one.parameters == {"reasoning_effort": "high"} for one in shipped.tiers["gpt-5.5"].bindings)


def test_others_are_added_and_take_the_place_of_these(tmp_path: Path) -> None:
    text = """
    routers:
      Cheap: {candidates: [claude-haiku-4-5, groq/kimi-k2.6], knobs: {alpha: 0.2}, min_quality_tier: 2}
      router-cluster: {max_price_ratio: 2, against: claude-opus-5}
      kimi: {model: openrouter/moonshotai/kimi-k2.6}
      tasks: {document: router-classified-3tier}
    """
    routers = read(tmp_path, text).routers
    assert [(name, router.strategy) for name, router in sorted(routers.items())] == [
        ("cheap", "cluster"), ("kimi", "fixed"), ("router-classified-3tier", "classified"),
        ("router-cluster", "cluster"), ("tasks", "classified"),
    ]  # fmt: skip
    cheap = routers["cheap"]
    assert (cheap.candidates, cheap.knobs) == (("claude-haiku-4-5", "kimi-k2.6"), Overrides(alpha=0.2))
    assert routers["router-cluster"].against is not None
    assert routers["tasks"].tiers.keys() == routers[SHIPPED].tiers.keys()


@pytest.mark.parametrize("form", ["json", "yaml", "inline", "entry"])
def test_a_document_in_every_form(tmp_path: Path, form: str) -> None:
    given: Any = {"id": "x", "display_name": "X", "llm_config": DOCUMENT} if form == "entry" else DOCUMENT
    where = json.dumps(given)
    if form != "inline":
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / f"tiers.{form}").write_text(
            json.dumps(given, indent="\t" if form == "json" else 2)
        )
        where = f"sub/tiers.{form}"
    text = f"routers: {{mine: {{document: {where}}}}}\nroutes: [{{strategy: classified, document: {where}}}]"
    file = read(tmp_path, text)
    for router in (file.routers["mine"], file.routes[0]):
        assert router.document is not None
        assert router.document.routing == {"Easy": "small.1", "Hard": "big"}
        (small,) = router.tiers["small.1"].bindings
        assert (small.name, small.model) == ("moonshot", "kimi-k2.6")
        assert small.parameters == {"temperature": 0.5, "top_k": None}
        (big,) = router.tiers["big"].bindings
        assert (big.extra, big.parameters) == ({"provider": {"sort": "price"}}, {"reasoning_effort": "high"})


MISTAKES = [
    ("routers: [a]", "1", "routers", "must be a mapping of keys to values"),
    ("routers: {claude-opus-5: {}}", "1", "routers.claude-opus-5", "is the name of a model already"),
    ("routers: {a/b: {}}", "1", "routers.a/b", "cannot be the name of a model"),
    ("routers: {'': {}}", "1", "routers.", "cannot be the name of a model"),
    ("routers:\n  a:\n    stratgy: cluster", "3", "routers.a.stratgy", "did you mean strategy?"),
    (
        "routers: {a: {strategy: passthrough}}",
        "1",
        "routers.a.strategy",
        "must be cluster, fixed or classified",
    ),
    ("routers: {a: {strategy: fixed}}", "1", "routers.a.strategy", "needs a model to serve"),
    ("routers: {a: {strategy: classified}}", "1", "routers.a.strategy", "needs a document with its tiers"),
    ("routers: {a: {model: claude-opsu-5}}", "1", "routers.a.model", "did you mean claude-opus-5?"),
    ("routers: {a: {model: opnrouter/x}}", "1", "routers.a.model", "did you mean openrouter?"),
    (
        "routers: {a: {candidates: [claude-opsu-5]}}",
        "1",
        "routers.a.candidates[1]",
        "did you mean claude-opus-5?",
    ),
    (
        "routers: {a: {model: claude-opus-5, candidates: [claude-opus-5]}}",
        "1",
        "routers.a.candidates",
        "only goes with strategy cluster, not fixed",
    ),
    ("routers: {a: {max_price_ratio: 1}}", "1", "routers.a.max_price_ratio", "go together"),
    ("routers: {a: {against: claude-opus-5}}", "1", "routers.a.against", "go together"),
    ("routers: {a: {against: claude-opsu-5, max_price_ratio: 1}}", "1", "routers.a.against", "did you mean"),
    (
        "routers: {a: {document: nowhere.json}}",
        "1",
        "routers.a.document",
        "neither a file nor router-classified",
    ),
    ("routers: {a: {document: [x]}}", "1", "routers.a.document", "must be a mapping"),
    ("routes: [{strategy: classified}]", "1", "routes[1].strategy", "needs a document with its tiers"),
    (
        "routes: [{document: router-classified-3tier}]",
        "1",
        "routes[1].document",
        "only goes with strategy classified",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "says"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_one_error_with_its_place(
    tmp_path: Path, text: str, line: str, key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert (str(caught.value.line), caught.value.key) == (line, key)
    assert str(caught.value).startswith(f"{tmp_path / 'router.yaml'}:{line}: {key}: ")
    assert says in str(caught.value)


YAML = """\
kind: intelligent-router-v0
tiers:
  small.1:
    model: moonshot/kimi-k2.6
    temperature: 0.5
  big:
    model: gpt-5.5
classifier_model_id: small.1
fallback_model_id: big
routing:
  Easy: small.1
  Hard: big
vision_capable_model_ids:
  - big
"""
TYPOS = [
    (
        "classifier_model_id: small.1",
        "classifier_model_id: small.2",
        8,
        "classifier_model_id",
        "did you mean small.1?",
    ),
    ("fallback_model_id: big", "fallback_model_id: bgi", 9, "fallback_model_id", "did you mean big?"),
    ("Easy: small.1", "Easy: smal.1", 11, "routing.Easy", "did you mean small.1?"),
    ("  - big", "  - bigg", 13, "vision_capable_model_ids", "did you mean big?"),
    ("model: gpt-5.5", "model: gpt-5.55", 7, "tiers.big.model", "did you mean gpt-5.5?"),
    ("model: moonshot/", "model: mooshot/", 4, "tiers.small.1.model", "did you mean moonshot?"),
    ("temperature: 0.5", "temperature: warm", 5, "tiers.small.1.temperature", "must be a number"),
    ("kind: intelligent", "kind: inteligent", 1, "kind", "must be intelligent-router-v0"),
]


@pytest.mark.parametrize("inline", [False, True], ids=["file", "inline"])
@pytest.mark.parametrize(("right", "wrong", "line", "key", "says"), TYPOS, ids=[case[1] for case in TYPOS])
def test_a_typo_in_a_document_is_refused_where_it_stands(
    tmp_path: Path, inline: bool, right: str, wrong: str, line: int, key: str, says: str
) -> None:
    assert right in YAML
    document = YAML.replace(right, wrong)
    path, text = tmp_path / "tiers.yaml", "routers: {mine: {document: tiers.yaml}}"
    path.write_text(document)
    if inline:
        indented = "".join(f"      {row}\n" for row in document.splitlines())
        path, text = tmp_path / "router.yaml", f"routers:\n  mine:\n    document:\n{indented}"
        line, key = line + 3, f"routers.mine.document.{key}"
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{path}:{line}: {key}: ")
    assert says in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "kind": ,\n}')
    (tmp_path / "b.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"a\.json:2: is not JSON"):
        read(tmp_path, "routers: {mine: {document: a.json}}")
    with pytest.raises(ConfigError, match=r"b\.json: cannot be read: is not UTF-8 text"):
        read(tmp_path, "routers: {mine: {document: b.json}}")
