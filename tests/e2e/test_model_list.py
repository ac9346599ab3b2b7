"""Virtual models stand in each provider's list of models, and real SDKs read them there."""

from __future__ import annotations

import gzip
import json
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.sdks import openai_client
from provider.answers import Page
from provider.proxy import InProcessProxy
from provider.standin import StandIn

SHIPPED = ["router-classified-3tier", "router-cluster"]
TITLE = "Router (3-tier, classifier=minimax-m2.7)"
JSON = {"content-type": "application/json; charset=utf-8", "x-request-id": "req_1", "etag": 'W/"1"'}
OPENAI = (
    b'{"object": "list", "data": [{"id": "gpt-5.5", "object": "model", "created": 1, "owned_by": "openai"}]}'
)
GEMINI = b'{"models": [{"name": "models/gemini-3.8-flash", "version": "001", "displayName": "Flash"}]}'


def test_anthropics_sdk(client: anthropic.Anthropic, provider: StandIn) -> None:
    found = list(client.models.list(limit=5))
    assert [model.id for model in found][-2:] == SHIPPED
    assert found[-2].display_name == TITLE
    assert len(found) > 2
    assert client.models.retrieve("router-cluster").id == "router-cluster"
    asked = [record.request.target for record in provider.records]
    assert asked == ["/v1/models?limit=5"]  # the virtual model is no business of the provider's


def test_openais_sdk(proxy: InProcessProxy, provider: StandIn) -> None:
    provider.pages["GET api.openai.com/v1/models"] = Page(OPENAI, headers=JSON)
    with openai_client(proxy, provider.key("openai", "lists")) as client:
        assert [model.id for model in client.models.list()] == ["gpt-5.5", *SHIPPED]
        card = client.models.retrieve("router-classified-3tier")
    assert (card.id, card.object, card.owned_by) == ("router-classified-3tier", "model", "pointsman")
    assert len(provider.records) == 1


def test_gemini(web: httpx2.Client, provider: StandIn) -> None:
    base = "https://generativelanguage.googleapis.com/v1beta/models"
    provider.pages["GET generativelanguage.googleapis.com/v1beta/models"] = Page(GEMINI, headers=JSON)
    found = web.get(base, params={"pageSize": 50}).json()["models"]
    assert [model["name"] for model in found] == [
        "models/gemini-3.8-flash",
        *(f"models/{n}" for n in SHIPPED),
    ]
    card = web.get(f"{base}/router-classified-3tier").json()
    assert (card["name"], card["displayName"]) == ("models/router-classified-3tier", TITLE)
    assert card == found[1]
    assert len(provider.records) == 1


def test_a_compressed_list(web: httpx2.Client, provider: StandIn) -> None:
    page = Page(gzip.compress(OPENAI), headers=JSON | {"content-encoding": "gzip"})
    provider.pages["GET api.openai.com/v1/models"] = page
    answer = web.get("https://api.openai.com/v1/models")
    assert [model["id"] for model in answer.json()["data"]] == ["gpt-5.5", *SHIPPED]
    assert answer.headers["x-request-id"] == "req_1"
    assert "etag" not in answer.headers  # it belongs to other bytes
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    "page",
    [
        Page(b'{"error": {"message": "no"}}', status=401, headers=JSON),
        Page(b"<html>welcome</html>"),
        Page(b'{"object": "list", "data": "none"}', headers=JSON),
        Page(b"\xff\xfe", headers=JSON),
        Page(OPENAI, headers={"content-type": "text/plain"}),
        Page(b"not gzip", headers=JSON | {"content-encoding": "gzip"}),
    ],
)
def test_other_answers_pass_byte_for_byte(web: httpx2.Client, provider: StandIn, page: Page) -> None:
    provider.pages["GET api.openai.com/v1/models"] = page
    with web.stream("GET", "https://api.openai.com/v1/models") as answer:
        assert b"".join(answer.iter_raw()) == page.body
    assert answer.status_code == page.status
    assert answer.headers.get("etag") == page.headers.get("etag")


def test_other_models_are_the_providers_to_tell_of(web: httpx2.Client, provider: StandIn) -> None:
    gpt = Page(b'{"id": "gpt-5.5", "object": "model"}', headers=JSON)
    provider.pages["GET api.openai.com/v1/models/gpt-5.5"] = gpt
    assert web.get("https://api.openai.com/v1/models/gpt-5.5").content == gpt.body
    assert web.get("https://api.openai.com/v1/models/router-nobodys").status_code == 404
    assert len(provider.records) == 2


def test_a_name_in_capitals_and_a_dry_run(web: httpx2.Client, provider: StandIn) -> None:
    said: dict[str, Any] = web.get("https://api.openai.com/v1/models/Router-Cluster").json()
    assert said["id"] == "router-cluster"
    dry = web.get("https://api.openai.com/v1/models/router-cluster", headers={"x-router-dry-run": "true"})
    assert dry.json()["id"] == "router-cluster"
    assert provider.records == []


def test_while_the_router_is_off_there_are_none(
    web: httpx2.Client, proxy: InProcessProxy, provider: StandIn
) -> None:
    provider.pages["GET api.openai.com/v1/models"] = Page(OPENAI, headers=JSON)
    with proxy.setting(router_enabled=False):
        assert web.get("https://api.openai.com/v1/models").content == OPENAI
        assert web.get("https://api.openai.com/v1/models/router-cluster").status_code == 404
    assert json.loads(web.get("https://api.openai.com/v1/models").content) != json.loads(OPENAI)
