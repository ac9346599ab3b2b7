"""A pipeline over a small bundle that the test makes, and what to decide with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from pointsman import options
from pointsman.asked import Asked
from pointsman.pipeline import Pipeline, Stamp
from pointsman.scoring.bundle import Bundle, load_bundle
from pointsman.scoring.tiers import Verdict
from pointsman.session import Sessions
from pointsman.shelf import Shelf
from pointsman.values import Credential, CredentialKind, Decision, Facts, Model
from samples import FACTS

KEY = Credential(CredentialKind.API_KEY, "a" * 16)
LOGIN = Credential(CredentialKind.SUBSCRIPTION, "b" * 16)
STAMP = Stamp("id", 0.0, "api.anthropic.com")
EASY, HARD = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


# Two clusters: in the first all are equally good, in the second only the dearest is any good.
QUALITY = {"claude-haiku-4-5": (0.9, 0.1), "claude-sonnet-4-6": (0.9, 0.4), "claude-opus-4-8": (0.9, 0.9)}
PRICES = {"claude-haiku-4-5": 1.0, "claude-sonnet-4-6": 3.0, "claude-opus-4-8": 5.0}
OTHERS = {
    "gpt-5.5": ((0.9, 0.95), 5.0),
    "claude-fable-5-1": ((0.9, 0.99), 10.0),
    "kimi-k2.6": ((0.9, 0.3), 0.5),
}


def make_bundle(folder: Path) -> Bundle:
    """`folder` is made here."""
    folder.mkdir()
    quality = QUALITY | {name: row for name, (row, _) in OTHERS.items()}
    prices = PRICES | {name: price for name, (_, price) in OTHERS.items()}
    centroids = np.eye(2, dtype="<f4")
    head = b"CRT1" + np.array([1, 2, 2], "<u4").tobytes()
    (folder / "centroids.bin").write_bytes(head + centroids.tobytes())
    rows = {str(k): {name: row[k] for name, row in quality.items()} for k in range(2)}
    (folder / "quality_means.json").write_text(json.dumps({"meta": {}, "quality_means": rows}))
    axes = {
        name: {
            "input_per_1k_usd": price / 1000,
            "output_per_1k_usd": price / 200,
            "ttft_s": None,
            "tps": None,
            "verbosity_tokens": None,
        }
        for name, price in prices.items()
    }
    (folder / "model_axes.json").write_text(json.dumps({"meta": {}, "axes": axes}))
    models = [{"model": name, "provider": "p", "bench_column": name} for name in quality]
    (folder / "model_registry.json").write_text(json.dumps({"deployed_models": models}))
    metadata = {
        "format_version": 2,
        "version": "v1",
        "embedder": {"model": "test", "embed_dim": 2, "max_tokens": 8},
        "training": {
            "k": 2,
            "top_p": 1,
            "default_routing_knobs": {
                "alpha": [0.5, 0.9],
                "speed_weight": 0.0,
                "output_cost_ratio": 0.0,
                "expected_output_tokens": 500,
                "per_model_verbosity": False,
            },
        },
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return load_bundle(folder)


def shelf_of(*bundles: Bundle) -> Shelf:
    """The first is the default."""
    return Shelf(bundles[0], {bundle.version: bundle for bundle in bundles})


def make_pipeline(
    bundle: Bundle, folder: Path, config: str = "", environ: Mapping[str, str] | None = None, **given: Any
) -> Pipeline:
    """With the given options, and the text of a router.yaml if there is one."""
    if config:
        path = folder / "router.yaml"
        path.write_text(config)
        given["config"] = str(path)
    opts = SimpleNamespace(**{f"router_{name}": value for name, value in given.items()})
    return Pipeline(options.build(opts, environ or {}), shelf_of(bundle), Sessions(60, lambda: 0.0))


def maker(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch, keys: Mapping[str, str]
) -> Callable[..., Pipeline]:
    """What makes pipelines of the text of a router.yaml, in an environment with `keys` or others."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))

    def made(config: str = "", environ: Mapping[str, str] = keys, **given: Any) -> Pipeline:
        return make_pipeline(bundle, folder, config, environ, **given)

    return made


def fits(facts: Facts, model: Model) -> str:
    return ""


def decide(
    pipeline: Pipeline,
    facts: Facts = FACTS,
    vector: Any = EASY,
    *,
    credential: Credential = KEY,
    asked: Asked | None = None,
    ineligible: Any = fits,
    host: str = "",
    reaches: Any = None,
    verdict: Verdict | None = None,
) -> Decision:
    plan = pipeline.plan(facts, credential, asked or Asked(), ineligible, host, reaches)
    if plan.task and verdict:
        pipeline.judged(plan, verdict)
    return pipeline.decide(plan, vector if plan.needs_vector else None, STAMP, verdict)
