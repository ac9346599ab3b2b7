"""Addresses, credentials, and what is kept per account."""

from __future__ import annotations

import pytest
from provider.gemini.cache import PromptCache
from provider.gemini.capabilities import BY_NAME
from provider.gemini.errors import Refusal
from provider.gemini.routes import authenticate, check_query, find_route
from provider.gemini.samples import ASK, HI, SAID, TOOLS
from provider.server import Request


def test_prefixes_are_read_from_the_cache_by_the_same_account_and_model_only() -> None:
    cache, model = PromptCache(), BY_NAME["gemini-3.8-flash"]
    start = {"systemInstruction": {"parts": [{"text": "x" * 20_000}]}, "contents": [HI]}
    first = cache.count(start, model, "a")
    again = cache.count({**start, "contents": [HI, SAID, HI]}, model, "a")
    assert first.cached == 0 and first.prompt > 5000
    assert again.cached == first.prompt and again.input == again.prompt - first.prompt
    assert cache.count(start, model, "b").cached == 0
    assert cache.count(start, BY_NAME["gemini-3.6-flash"], "a").cached == 0
    assert (
        cache.count({**start, "systemInstruction": {"parts": [{"text": "y" * 20_000}]}}, model, "a").cached
        == 0
    )


def test_cached_contents_are_bound_to_account_and_model() -> None:
    cache, model = PromptCache(), BY_NAME["gemini-3.8-flash"]
    long = {"model": "models/gemini-3.8-flash", "contents": [{"parts": [{"text": "x" * 20_000}]}]}
    kept = cache.keep(long, "a", "v1beta")
    body = {**ASK, "cachedContent": kept.name}
    assert cache.count(body, model, "a").cached == kept.tokens
    with pytest.raises(Refusal, match="has to be the same"):
        cache.count(body, BY_NAME["gemini-3.6-flash"], "a")
    with pytest.raises(Refusal, match="permission denied") as caught:
        cache.count(body, model, "b")
    assert caught.value.status == 403
    with pytest.raises(Refusal, match="tool_config"):
        cache.count(body | TOOLS, model, "a")
    with pytest.raises(Refusal, match="too small"):
        cache.keep(long | ASK, "a", "v1beta")


def request(target: str, method: str = "POST", **headers: str) -> Request:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request("1.1", method, target, "generativelanguage.googleapis.com", fields, b"", 1)


@pytest.mark.parametrize(
    ("target", "headers", "account"),
    [
        ("?alt=sse", {"x_goog_api_key": "AIza-one"}, ("one", False)),
        ("?key=AIzaSy-two&alt=sse", {}, ("two", False)),
        ("", {"authorization": "Bearer ya29.three"}, ("three", True)),
        ("?key=AIza-two", {"x_goog_api_key": "fake-gemini"}, ("gemini", False)),
    ],
)
def test_credentials_name_an_account(target: str, headers: dict[str, str], account: tuple[str, bool]) -> None:
    asked = request(f"/v1beta/models/gemini-3.8-flash:streamGenerateContent{target}", **headers)
    route = find_route(asked)
    assert route is not None and route.streams and route.sse == ("sse" in target)
    check_query(route)
    assert authenticate(asked, route) == account


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 403, "unregistered callers"),
        ({"x_goog_api_key": "sk-ant-api03-a"}, 400, "API key not valid"),
        ({"authorization": "Bearer AIza-one"}, 401, "invalid authentication credentials"),
    ],
)
def test_bad_credentials(headers: dict[str, str], status: int, reason: str) -> None:
    asked = request("/v1/models/gemini-3.8-flash:generateContent", **headers)
    route = find_route(asked)
    assert route is not None
    with pytest.raises(Refusal, match=reason) as caught:
        authenticate(asked, route)
    assert caught.value.status == status
    if status == 400:
        assert caught.value.details[0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    "target",
    ["/v2/models/x:generateContent", "/v1/models/x:complete", "/v1/models", "/v1beta/models/a/b:countTokens"],
)
def test_other_addresses_are_none_of_the_service(target: str) -> None:
    assert find_route(request(target)) is None


def test_unknown_query_parameters_are_refused() -> None:
    route = find_route(request("/v1/models/x:generateContent?router=1"))
    assert route is not None
    with pytest.raises(Refusal, match="Cannot bind query parameter"):
        check_query(route)
