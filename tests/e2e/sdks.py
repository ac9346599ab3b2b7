"""The SDKs of OpenAI and Google behind a proxy, and their answers with the markers taken out again."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import openai
from e2e.support import Rows, member
from provider.proxy import InProcessProxy, SubprocessProxy, trust
from provider.standin import StandIn
from sdk_py.scenarios import Scenario

Proxy = InProcessProxy | SubprocessProxy
Player = Callable[..., list[Any]]  # (model, headers, streamed) -> answers
Json = dict[str, Any]
MARKER = re.compile("[\u2060-\u2064]+✦ \\*\\*Pointsman\\*\\* → (\\S+) · ([^\n]+?)[\u2060-\u2064]+\n\n")
MODEL_KEYS = ("model", "modelVersion")


def openai_client(proxy: Proxy, key: str, *, kind: Any = openai.OpenAI, **options: Any) -> Any:
    """An `openai.OpenAI`, or an AsyncOpenAI with `kind`. Whoever asks for it closes it."""
    maker = openai.DefaultHttpxClient if kind is openai.OpenAI else openai.DefaultAsyncHttpxClient
    http = maker(proxy=proxy.url, verify=trust(proxy.ca_file))
    return kind(api_key=key, http_client=http, max_retries=0, timeout=30.0, **options)


def genai_client(proxy: Proxy, key: str, api: str = "") -> Any:
    """A `genai.Client`; `api` is v1 or v1beta, its own default without."""
    from google import genai
    from google.genai import types

    arguments = {"proxy": proxy.url, "verify": trust(proxy.ca_file)}
    options = types.HttpOptions(client_args=arguments, async_client_args=arguments, api_version=api or None)
    return genai.Client(api_key=key, http_options=options)


# --- answers --------------------------------------------------------------------------------


def markers_in(answer: Any) -> list[str]:
    """The models that markers anywhere in an answer name."""
    return [found[0] for found in MARKER.findall(json.dumps(answer, ensure_ascii=False).replace("\\n", "\n"))]


def unmarked(scenario: Scenario, answer: Any) -> Any:
    """The answer as it would have been without a marker and `x_router`."""
    made = _clean(answer)
    return _without_empty_chunks(made) if scenario.surface == "gemini" else made


def _clean(value: Any) -> Any:
    """Markers out of every text; a text, part or block that was nothing else goes."""
    if isinstance(value, str):
        return MARKER.sub("", value)
    if isinstance(value, list):
        cleaned = ((item, _clean(item)) for item in value)
        return [after for before, after in cleaned if not _was_marker(before)]
    if not isinstance(value, dict):
        return value
    kept = {key: _clean(item) for key, item in value.items() if key not in ("x_router", "xRouter")}
    if "content" in kept and isinstance(value["content"], str) and _is_marker(value["content"]):
        kept["content"] = None
    return kept


def _is_marker(text: Any) -> bool:
    return isinstance(text, str) and MARKER.fullmatch(text) is not None


def _was_marker(value: Any) -> bool:
    """A content block, part or item of an answer with nothing but a marker in it."""
    if not isinstance(value, dict):
        return False
    if _is_marker(value.get("text")) and not value.get("thoughtSignature"):
        return True
    content = value.get("content")
    return isinstance(content, list) and bool(content) and all(map(_was_marker, content))


def _without_empty_chunks(chunks: list[Json]) -> list[Json]:
    """Chunks in which a marker was all that was said. Real ones say something, or end."""
    return [chunk for chunk in chunks if any(map(_says, chunk.get("candidates", [{"finishReason": 1}])))]


def _says(candidate: Json) -> bool:
    return bool(candidate.get("content", {}).get("parts")) or "finishReason" in candidate


def model_names(answer: Any) -> set[str]:
    """What the answer, or any chunk of it, says is the model."""
    listed = answer if isinstance(answer, list) else [answer]
    return {part[key] for part in listed for key in MODEL_KEYS if part.get(key)}


def renamed(answer: Any, name: str) -> Any:
    """The answer with another model's name."""
    if isinstance(answer, list):
        return [renamed(part, name) for part in answer]
    return {key: name if key in MODEL_KEYS and value else value for key, value in answer.items()}


# --- conversations --------------------------------------------------------------------------


def seen(provider: StandIn) -> list[tuple[str, bytes]]:
    """Target and body of every request for an answer, as they arrived."""
    return [(record.request.target, record.request.body) for record in provider.messages]


def play(
    provider: StandIn, scenario: Scenario, run: Callable[[], list[Any]], compact: bool
) -> tuple[list[Any], list[tuple[str, bytes]]]:
    """Run it on a provider without memory: what the SDK made of the answers, what the provider was sent.

    `compact` is how OpenAI writes its JSON (no blanks in a stream, a body indented), else it is as others do.
    """
    provider.reset()
    provider.families["openai"].compact = compact  # type: ignore[attr-defined]
    provider.script(*scenario.steps)
    answers = run()
    assert not provider.steps, "steps that nothing asked for"
    return answers, seen(provider)


def hold_twice(
    provider: StandIn,
    rows: Rows,
    scenario: Scenario,
    bare: Player,
    routed: Player,
    streamed: bool,
    compact: bool,
) -> None:
    """One scenario over bare mitmproxy with the serving model, and routed to it: only markers may differ."""
    headers = {"x-router-model": scenario.served, "x-router-marker": "text"}
    plain, expected = play(provider, scenario, lambda: bare(scenario.served, {}, streamed), compact)
    answers, sent = play(provider, scenario, lambda: routed(scenario.asked, headers, streamed), compact)

    assert all(record.status == 200 for record in provider.messages)
    assert [(path, _without_option(body)) for path, body in sent] == [
        (path, _without_option(body)) for path, body in expected
    ]
    shown = [markers_in(answer) for answer in answers]
    assert shown == [[scenario.served] * scenario.shown] * len(answers)
    assert [model_names(answer) for answer in answers] == [{scenario.asked}] * len(answers)
    assert [unmarked(scenario, answer) for answer in answers] == [
        renamed(answer, scenario.asked) for answer in plain
    ]
    _agrees(rows, provider, scenario)


HISTORY = {"anthropic": "messages", "openai_chat": "messages", "openai_responses": "input"}
HISTORY["gemini"] = "contents"


def hold_freely(
    provider: StandIn,
    rows: Rows,
    scenario: Scenario,
    bare: Player,
    routed: Player,
    streamed: bool,
    compact: bool,
) -> None:
    """One conversation as it is routed by default: taken at once, and no trace of the router in its history.

    Whatever models serve it, the history has the bytes of an unrouted one. Signatures are made for a model:
    where there are any, bytes are compared only if it stayed the same.
    """
    _, expected = play(provider, scenario, lambda: bare(scenario.asked, {}, streamed), compact)
    answers, sent = play(provider, scenario, lambda: routed(scenario.asked, {}, streamed), compact)
    assert [record.status for record in provider.messages] == [200] * len(scenario.steps)
    assert not any("Pointsman" in body.decode() for _, body in sent)
    assert all(model_names(answer) == {scenario.asked} for answer in answers)
    found = rows.wait(lambda found: len(found) == len(sent) and all(row["complete"] for row in found))
    assert [row["served_model"] for row in found] == [record.model for record in provider.messages]
    assert found[0]["strategy"] == "cluster" and json.loads(found[0]["candidates"])
    assert len({row["session"] for row in found}) == 1
    for before, row in itertools.pairwise(found):
        assert not row["tool_loop"] or row["served_model"] == before["served_model"]
    assert sum(row["cost_usd"] for row in found) <= sum(row["requested_cost_usd"] for row in found) + 1e-9
    signed = scenario.surface in ("anthropic", "gemini")
    if not signed or {row["served_model"] for row in found} == {scenario.asked}:
        name = HISTORY[scenario.surface]
        assert [member(body, name) for _, body in sent] == [member(body, name) for _, body in expected]


def _agrees(rows: Rows, provider: StandIn, scenario: Scenario) -> None:
    """Each row says what the provider counted."""
    count = len(provider.messages)
    found = rows.wait(
        lambda found: len(found) == count and all(row["complete"] is not None for row in found)
    )
    for row, record in zip(found, provider.messages, strict=True):
        assert (row["requested_model"], row["served_model"]) == (scenario.asked, scenario.served)
        assert (row["surface"], row["status"]) == (scenario.surface, 200)
        assert (row["complete"], row["error"], row["message_id"]) == (1, None, record.message.id)
        assert row["output_tokens"] == record.message.output_tokens
        cached = (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0)
        assert row["input_tokens"] + cached == record.counted.total
        assert row["cost_usd"] > 0 and row["stop_reason"]


def _without_option(body: bytes) -> bytes:
    """What the router adds to a chat stream of which nobody wants to know the usage, gone again."""
    return body.replace(b',"stream_options":{"include_usage":true}', b"", 1)
