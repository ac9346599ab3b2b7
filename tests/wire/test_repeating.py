"""Which answers are nothing but words and ended of themselves, and which requests get none that was kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pointsman.surface import surfaces
from pointsman.wire.json_spans import Body

Json = dict[str, Any]


def sse(*events: Json | str) -> bytes:
    return "".join(f"data: {e if isinstance(e, str) else json.dumps(e)}\n\n" for e in events).encode()


def plain(surface: str, data: Json | list[Json] | bytes) -> bool:
    found = surfaces()[surface].is_plain(data if isinstance(data, bytes) else json.dumps(data).encode())
    assert isinstance(found, bool)
    return found


def why(surface: str, body: Json) -> str:
    return surfaces()[surface].unrepeatable(Body.parse(json.dumps(body).encode()))


# --- anthropic --------------------------------------------------------------------------------

TEXT = {"type": "text", "text": "Nine.", "citations": None}
MESSAGE: Json = {"type": "message", "content": [TEXT], "stop_reason": "end_turn"}
START = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Nine."}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
STOP = {"type": "message_stop"}


def test_anthropic() -> None:
    assert plain("anthropic", MESSAGE)
    assert plain("anthropic", {**MESSAGE, "stop_reason": "stop_sequence"})
    assert plain("anthropic", {**MESSAGE, "content": [{"type": "thinking", "thinking": "…"}, TEXT]})
    assert plain("anthropic", sse(START, {"type": "ping"}, BLOCK, DELTA, END, STOP))


@pytest.mark.parametrize("reason", ["max_tokens", "tool_use", "pause_turn", "refusal", "something_new", None])
def test_anthropic_ends_that_are_not_its_own(reason: str | None) -> None:
    assert not plain("anthropic", {**MESSAGE, "stop_reason": reason})
    end = {**END, "delta": {"stop_reason": reason}}
    assert not plain("anthropic", sse(START, BLOCK, DELTA, end, STOP))


@pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "web_search_tool_result", "new", None])
def test_anthropic_blocks_that_are_no_words(kind: str | None) -> None:
    assert not plain("anthropic", {**MESSAGE, "content": [TEXT, {"type": kind}]})
    block = {**BLOCK, "content_block": {"type": kind}}
    assert not plain("anthropic", sse(START, BLOCK, DELTA, block, END, STOP))


def test_anthropic_errors_and_what_is_unknown() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error"}}
    assert not plain("anthropic", error)
    assert not plain("anthropic", sse(START, BLOCK, error))
    assert not plain("anthropic", sse(START, BLOCK, DELTA, END, {"type": "something_new"}, STOP))
    assert not plain("anthropic", sse(START, BLOCK, DELTA))


# --- chat completions -------------------------------------------------------------------------

CHOICE: Json = {"index": 0, "message": {"role": "assistant", "content": "Nine.", "refusal": None}}
COMPLETION: Json = {"object": "chat.completion", "choices": [{**CHOICE, "finish_reason": "stop"}]}


def chunk(delta: Json, reason: str | None = None) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def test_chat() -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 2}}
    assert plain("openai_chat", COMPLETION)
    assert not plain("openai_chat", sse(chunk({"role": "assistant"}), chunk({"content": "x"}), "[DONE]"))
    assert plain("openai_chat", sse(chunk({"content": "Nine."}), chunk({}, "stop"), usage, "[DONE]"))


@pytest.mark.parametrize(
    "more",
    [
        {"tool_calls": [{"id": "c1"}]},
        {"function_call": {"name": "f"}},
        {"refusal": "No."},
        {"audio": {"id": "a1"}},
        {"annotations": [{"type": "url_citation"}]},
        {"something_new": 1},
        {"content": [{"type": "text"}]},
    ],
    ids=lambda more: str(*more),
)
def test_chat_messages_that_are_not_only_words(more: Json) -> None:
    message = {**CHOICE["message"], **more}
    assert not plain("openai_chat", {"choices": [{"message": message, "finish_reason": "stop"}]})
    assert not plain("openai_chat", sse(chunk({"content": "x"}), chunk(more), chunk({}, "stop"), "[DONE]"))


@pytest.mark.parametrize("reason", ["length", "tool_calls", "content_filter", "something_new"])
def test_chat_ends_that_are_not_its_own(reason: str) -> None:
    assert not plain("openai_chat", {"choices": [{**CHOICE, "finish_reason": reason}]})
    assert not plain("openai_chat", sse(chunk({"content": "x"}), chunk({}, reason), "[DONE]"))


def test_chat_errors_and_several_choices() -> None:
    assert not plain("openai_chat", {"error": {"message": "no"}})
    assert not plain("openai_chat", sse(chunk({"content": "x"}), {"error": {"message": "no"}}))
    assert not plain("openai_chat", {"choices": COMPLETION["choices"] * 2})


# --- responses --------------------------------------------------------------------------------

ITEM: Json = {"type": "message", "content": [{"type": "output_text", "text": "Nine.", "annotations": []}]}
RESPONSE: Json = {"object": "response", "status": "completed", "error": None, "output": [ITEM]}


def test_responses() -> None:
    created = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": []}}
    done = {"type": "response.completed", "response": RESPONSE}
    assert plain("openai_responses", RESPONSE)
    assert plain("openai_responses", {**RESPONSE, "output": [{"type": "reasoning"}, ITEM]})
    assert plain("openai_responses", sse(created, {"type": "response.output_text.delta"}, done))
    assert not plain("openai_responses", sse(created, {"type": "response.output_text.delta"}))
    assert not plain("openai_responses", sse(created, {"type": "error", "code": "x"}, done))


@pytest.mark.parametrize(
    "other",
    [
        {"status": "incomplete"},
        {"status": "failed", "error": {"code": "x"}},
        {"status": "in_progress"},
        {"output": []},
        {"output": [ITEM, {"type": "function_call"}]},
        {"output": [ITEM, {"type": "web_search_call"}]},
        {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
        {"output": [{"type": "reasoning"}]},
    ],
    ids=str,
)
def test_responses_that_are_not_only_words(other: Json) -> None:
    response = {**RESPONSE, **other}
    assert not plain("openai_responses", response)
    assert not plain("openai_responses", sse({"type": "response.completed", "response": response}))


# --- gemini -----------------------------------------------------------------------------------


def said(*parts: Json, reason: str | None = "STOP", **more: Any) -> Json:
    end = {"finishReason": reason} if reason else {}
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **end, **more}]}


def test_gemini() -> None:
    words, thought = {"text": "Nine."}, {"text": "Hm.", "thought": True, "thoughtSignature": "abc"}
    assert plain("gemini", said(words))
    assert plain("gemini", said(thought, words, safetyRatings=[{"category": "x"}]))
    chunks = [said(words, reason=None), said({"text": ""})]
    assert plain("gemini", sse(*chunks))
    assert plain("gemini", chunks)
    assert not plain("gemini", sse(chunks[0]))
    assert not plain("gemini", [chunks[0], {"error": {"code": 503}}])
    assert not plain("gemini", {"promptFeedback": {"blockReason": "SAFETY"}})


@pytest.mark.parametrize("part", ["functionCall", "inlineData", "executableCode", "somethingNew"])
def test_gemini_parts_that_are_no_words(part: str) -> None:
    assert not plain("gemini", said({"text": "Nine."}, {part: {"a": 1}}))
    assert not plain("gemini", sse(said({part: {"a": 1}}, reason=None), said({"text": ""})))


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", None])
def test_gemini_ends_that_are_not_its_own(reason: str | None) -> None:
    assert not plain("gemini", said({"text": "Nine."}, reason=reason))


def test_gemini_with_sources() -> None:
    assert not plain("gemini", said({"text": "Nine."}, groundingMetadata={"webSearchQueries": ["x"]}))


# --- both ways --------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["anthropic", "openai_chat", "openai_responses", "gemini"])
@pytest.mark.parametrize("data", [b"", b"{", b"[", b"null", b"[]", b"data: {", b"data: [1]\n\n", b"<p>"])
def test_what_cannot_be_read_is_not_plain(surface: str, data: bytes) -> None:
    assert not plain(surface, data)


@pytest.mark.parametrize(
    ("surface", "body", "said"),
    [
        ("anthropic", {}, ""),
        ("anthropic", {"temperature": 0}, ""),
        ("anthropic", {"temperature": 0.0}, ""),
        ("anthropic", {"temperature": 1}, "a temperature above 0"),
        ("anthropic", {"mcp_servers": [{}]}, "mcp_servers at the provider"),
        ("anthropic", {"container": "c1"}, "container at the provider"),
        ("openai_chat", {"model": "gpt-5.4"}, ""),
        ("openai_chat", {"model": "gpt-5-search-api"}, "a model that searches the web"),
        ("openai_chat", {"store": True}, "the provider stores the answer"),
        ("openai_chat", {"store": False}, ""),
        ("openai_chat", {"web_search_options": {}}, "web_search_options asked for"),
        ("openai_chat", {"temperature": 0.2}, "a temperature above 0"),
        ("openai_responses", {}, "the provider stores the answer (store is not false)"),
        ("openai_responses", {"store": False}, ""),
        ("openai_responses", {"store": False, "conversation": "c"}, "conversation at the provider"),
        ("openai_responses", {"store": False, "prompt": {"id": "p"}}, "prompt at the provider"),
        ("openai_responses", {"store": False, "temperature": 0.2}, "a temperature above 0"),
        ("gemini", {}, ""),
        ("gemini", {"generationConfig": {"temperature": 0.2}}, "a temperature above 0"),
        ("gemini", {"generation_config": {"temperature": 0}}, ""),
        ("gemini", {"cachedContent": "cachedContents/1"}, "cachedContent at the provider"),
    ],
)
def test_requests(surface: str, body: Json, said: str) -> None:
    assert why(surface, body) == said
