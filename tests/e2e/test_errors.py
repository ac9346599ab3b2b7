"""Each error of the router in each surface's shape, through the proxy and as the real SDKs see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from e2e.sdks import genai_client, openai_client
from e2e.support import HELLO, MESSAGES, REQUESTS, Rows, Sdk, message_of
from google.genai import errors as genai_errors
from google.genai import types
from pointsman.scoring.knobs import Knobs
from pointsman.shelf import Shelf
from provider.proxy import InProcessProxy
from provider.standin import StandIn

WEAVE, OWN = "x-weave-routing-", "x-router-"
ERRORS: dict[str, tuple[dict[str, str], str]] = {
    "alpha NaN": ({f"{OWN}alpha": "nan"}, f"{OWN}alpha must be a finite number from 0 to 1, not 'nan'"),
    "alpha Inf": ({f"{WEAVE}alpha": "-inf"}, f"{WEAVE}alpha must be a finite number from 0 to 1"),
    "speed weight too large": ({f"{WEAVE}speed-weight": "1.5"}, f"{WEAVE}speed-weight must be"),
    "cost ratio too large": ({f"{OWN}output-cost-ratio": "11"}, "a finite number from 0 to 10"),
    "tokens with a point": ({f"{OWN}expected-output-tokens": "1.5"}, "a whole number from 0 to 100000"),
    "verbosity in capitals": ({f"{OWN}per-model-verbosity": "True"}, "exactly true or false"),
    "both aliases": ({f"{WEAVE}alpha": "0.4", f"{OWN}alpha": "0.5"}, "contradict each other"),
    "alpha and speed above one": (
        {f"{OWN}alpha": "0.7", f"{OWN}speed-weight": "0.4"},
        "add up to more than 1",
    ),
    "speed and the bundle's alpha above one": ({f"{OWN}speed-weight": "0.9"}, "and the bundle's alpha ("),
    "quality bias out of range": ({f"{OWN}quality-bias": "2"}, f"{OWN}quality-bias must be"),
    "alpha and quality bias": ({f"{OWN}alpha": "0.5", f"{OWN}quality-bias": "0.5"}, "send one of them"),
    "unknown preset": ({f"{OWN}preset": "nonesuch"}, "is no preset of bundle "),
    "unknown marker": ({f"{OWN}marker": "loud"}, "must be one of auto, text, comment, off"),
    "unknown model": ({f"{OWN}model": "nonesuch"}, "'nonesuch' is not in the catalogue"),
    "another provider's model": ({f"{OWN}model": "codestral-latest"}, "is served by mistral"),
}
HARMLESS: dict[str, dict[str, str]] = {
    "empty": {f"{OWN}alpha": "", f"{OWN}quality-bias": "", f"{OWN}preset": "", f"{OWN}bundle": ""},
    "both aliases alike": {f"{WEAVE}alpha": "0.5", f"{OWN}alpha": "0.50"},
}

surfaces = pytest.mark.parametrize("surface", REQUESTS)


def post(web: httpx2.Client, surface: str, streamed: bool, headers: dict[str, str]) -> httpx2.Response:
    url, body, _ = REQUESTS[surface]
    if not streamed:
        return web.post(url, json=body, headers=headers)
    if surface == "gemini":
        return web.post(url.replace(":generate", ":streamGenerate") + "?alt=sse", json=body, headers=headers)
    return web.post(url, json={**body, "stream": True}, headers=headers)


@surfaces
def test_what_a_request_asks_wrongly_is_a_400_in_the_surfaces_shape(
    web: httpx2.Client, provider: StandIn, proxy: InProcessProxy, rows: Rows, surface: str
) -> None:
    for error, (headers, says) in ERRORS.items():
        proxy.ears.heard.clear()
        for streamed in (False, True):
            answer = post(web, surface, streamed, headers)
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json"), error
            message = message_of(answer, surface)
            assert says in message and any(name in message for name in headers), error
        assert len(proxy.warnings) == 2, error
    assert provider.records == [] and rows.all() == []


@surfaces
@pytest.mark.parametrize("given", HARMLESS)
def test_empty_headers_and_equal_aliases_are_no_errors(
    web: httpx2.Client, provider: StandIn, proxy: InProcessProxy, rows: Rows, surface: str, given: str
) -> None:
    assert post(web, surface, False, HARMLESS[given]).status_code == 200
    assert (rows.last["status"], proxy.warnings) == (200, [])
    assert all(provider.last.request.header(name) is None for name in HARMLESS[given])


@contextmanager
def defect(proxy: InProcessProxy, fail: str) -> Iterator[None]:
    """A bundle with an alpha of another length than it has clusters: no file could be so and be loaded."""
    with proxy.setting(router_fail=fail), pytest.MonkeyPatch.context() as patch:
        engine: Any = proxy.addons[0].engine  # type: ignore[attr-defined]
        broken = replace(engine.pipeline.bundle, defaults=Knobs((0.5,) * 3))
        shelf = Shelf(broken, {broken.version: broken})
        patch.setattr(engine, "pipeline", replace(engine.pipeline, shelf=shelf))
        yield


KNOBS = pytest.mark.parametrize("headers", [{}, {f"{OWN}alpha": "0.5"}], ids=["its own knobs", "asked for"])


@surfaces
@KNOBS
def test_alpha_length_mismatch_is_a_503_and_never_a_400(
    web: httpx2.Client, provider: StandIn, proxy: InProcessProxy, surface: str, headers: dict[str, str]
) -> None:
    with defect(proxy, "closed"):
        for streamed in (False, True):
            answer = post(web, surface, streamed, headers)
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
            assert "router_fail is closed" in message_of(answer, surface)
    assert provider.records == []
    assert any("BundleError" in line and "3 values for" in line for line in proxy.warnings)


@surfaces
@KNOBS
def test_alpha_length_mismatch_lets_the_request_go_where_routing_fails_open(
    web: httpx2.Client,
    provider: StandIn,
    proxy: InProcessProxy,
    rows: Rows,
    surface: str,
    headers: dict[str, str],
) -> None:
    with defect(proxy, "open"):
        assert post(web, surface, False, headers).status_code == 200
    row = rows.last
    assert (row["reason"], row["served_model"]) == ("routing failed", row["requested_model"])
    assert row["detail"].startswith("BundleError: ") and "3 values for" in row["detail"]


@surfaces
def test_a_dry_run_says_503_of_a_broken_bundle_whatever_router_fail_says(
    web: httpx2.Client, proxy: InProcessProxy, surface: str
) -> None:
    for fail in ("open", "closed"):
        with defect(proxy, fail):
            answer = post(web, surface, False, {f"{OWN}dry-run": "true"})
        assert answer.status_code == 503
        assert "3 values for" in message_of(answer, surface)


# --- as the SDKs see it ---------------------------------------------------------------------


@pytest.fixture
def ask(connect: Sdk, proxy: InProcessProxy, account: str, surface: str) -> Iterator[Callable[..., Any]]:
    """Asks with the surface's real SDK and the given headers."""
    if surface == "anthropic":
        claude = connect(proxy)
        yield lambda headers: claude.messages.create(
            model="claude-opus-4-8", max_tokens=50, messages=MESSAGES, extra_headers=headers
        )
        return
    if surface == "gemini":
        gemini = genai_client(proxy, f"AIza-{account}")
        yield lambda headers: gemini.models.generate_content(
            model="gemini-3.8-flash",
            contents=HELLO,
            config=types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers)),
        )
        gemini.close()
        return
    with openai_client(proxy, f"sk-proj-{account}") as gpt:
        if surface == "openai_chat":
            yield lambda headers: gpt.chat.completions.create(
                model="gpt-5.5", messages=MESSAGES, extra_headers=headers
            )
        else:
            yield lambda headers: gpt.responses.create(model="gpt-5.5", input=HELLO, extra_headers=headers)


@surfaces
def test_the_sdk_raises_its_own_error_for_a_400_and_a_503(
    ask: Callable[..., Any], provider: StandIn, proxy: InProcessProxy, surface: str
) -> None:
    if surface == "gemini":
        with pytest.raises(genai_errors.ClientError) as refused:
            ask({f"{OWN}alpha": "nan"})
        assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
        with defect(proxy, "closed"), pytest.raises(genai_errors.ServerError) as failed:
            ask({})
        assert (failed.value.code, failed.value.status) == (503, "UNAVAILABLE")
    else:
        sdk: Any = anthropic if surface == "anthropic" else openai
        with pytest.raises(sdk.BadRequestError) as bad:
            ask({f"{OWN}alpha": "nan"})
        assert f"{OWN}alpha must be a finite number" in bad.value.message
        with defect(proxy, "closed"), pytest.raises(sdk.InternalServerError) as broken:
            ask({})
        assert broken.value.status_code == 503 and "router_fail is closed" in broken.value.message
    assert provider.records == []
