"""Knobs, presets and bundles of single requests, through the whole proxy."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from e2e.support import Rows
from pointsman import paths
from pointsman.scoring.bundle import resolve
from provider.proxy import InProcessProxy, trust
from provider.standin import StandIn

OPUS = "claude-opus-4-8"


def ask(words: str = "Which platform?") -> dict[str, Any]:
    return {"model": OPUS, "max_tokens": 50, "messages": [{"role": "user", "content": words}]}


@pytest.fixture
def lavish(tmp_path: Path) -> Path:
    """The shipped bundle as a version of its own, in which quality is all that counts."""
    folder = tmp_path / "lavish"
    shutil.copytree(resolve(paths.bundles_dir()), folder)
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    metadata["version"] = "v0-lavish"
    metadata["training"]["default_routing_knobs"]["alpha"] = [1.0] * metadata["training"]["k"]
    metadata["training"]["recommended_ui_defaults"] = {"frugal": {"alpha": 0.0}}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return folder


def test_a_request_picks_a_bundle_that_is_loaded(
    raw: httpx2.Client, provider: StandIn, proxy: InProcessProxy, rows: Rows, lavish: Path
) -> None:
    with proxy.setting(router_bundles=str(lavish)):
        for headers in ({}, {"x-router-bundle": "v0-lavish"}, {"x-router-bundle": "latest"}):
            assert raw.post("/v1/messages", json=ask(), headers=headers).status_code == 200
        frugal = {"x-router-bundle": "v0-lavish", "x-router-preset": "frugal"}
        raw.post("/v1/messages", json=ask(), headers=frugal)
    default, other, newest, preset = rows.all()
    assert default["bundle"] == newest["bundle"] != other["bundle"] == preset["bundle"] == "v0-lavish"
    assert (json.loads(other["knobs"])["alpha"], json.loads(preset["knobs"])["alpha"]) == (1.0, 0.0)
    assert other["cost_usd"] > preset["cost_usd"]
    assert proxy.warnings == []


def test_a_bundle_that_is_not_loaded_is_warned_about_once_in_the_log_and_on_every_decision(
    raw: httpx2.Client, provider: StandIn, proxy: InProcessProxy, rows: Rows
) -> None:
    for _ in range(3):
        answer = raw.post("/v1/messages", json=ask(), headers={"x-router-bundle": "v9.9"})
        assert answer.status_code == 200
    for row in rows.all():
        (warning,) = json.loads(row["warnings"])
        assert warning.startswith("x-router-bundle: 'v9.9' is not loaded")
        assert row["bundle"] != "v9.9"
    assert len(proxy.warnings) == 1 and "v9.9" in proxy.warnings[0]


def test_a_bundle_with_a_model_that_nothing_is_known_of_is_refused_and_the_old_ones_stay(
    raw: httpx2.Client, provider: StandIn, proxy: InProcessProxy, rows: Rows, lavish: Path
) -> None:
    for file in lavish.glob("*.json"):
        file.write_text(file.read_text().replace('"claude-opus-4-8"', '"claude-opus-4-888"'))
    with proxy.setting(router_bundles=str(lavish)):
        raw.post("/v1/messages", json=ask())
    assert rows.last["reason"] == "best for this kind of prompt"
    (error,) = proxy.warnings
    assert "keeps its old settings: bundle v0-lavish: " in error
    assert "model_registry.json: model claude-opus-4-888: not in the catalogue" in error


def test_override_isolation_under_64_concurrent_requests_through_the_proxy(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, lavish: Path
) -> None:
    """Each row must hold what its own request asked for, and nothing of the 63 others."""
    wanted = [
        ({"x-router-alpha": f"{number / 64}"}, "")
        if number % 2
        else ({"x-router-quality-bias": f"{number / 64}", "x-router-bundle": "v0-lavish"}, "v0-lavish")
        for number in range(64)
    ]
    common = {"x-api-key": key, "anthropic-version": "2023-06-01"}

    async def one(client: httpx2.AsyncClient, number: int) -> str:
        address = "https://api.anthropic.com/v1/messages"
        answer = await client.post(address, json=ask(), headers=common | wanted[number][0])
        assert answer.status_code == 200
        return str(answer.headers["x-router-decision"])

    async def all_at_once() -> list[str]:
        verify = trust(proxy.ca_file)
        async with httpx2.AsyncClient(proxy=proxy.url, verify=verify, http2=True, timeout=30) as client:
            return await asyncio.gather(*(one(client, number) for number in range(64)))

    with proxy.setting(router_bundles=str(lavish)):
        ids = asyncio.run(all_at_once())
    found = {row["id"]: row for row in rows.all()}
    for number, id_ in enumerate(ids):
        headers, version = wanted[number]
        knobs = json.loads(found[id_]["knobs"])
        if version:
            assert found[id_]["bundle"] == version
            assert knobs["quality_bias"] == number / 64
        else:
            assert found[id_]["bundle"] != "v0-lavish"
            assert (knobs["alpha"], "quality_bias" in knobs) == (float(headers["x-router-alpha"]), False)
    assert proxy.warnings == []
