"""What is read from a request, kind by kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers
from pointsman.errors import BodyError
from pointsman.values import Facts, TurnKind
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_chat import read_facts, recognise
from pointsman.wire.texts import FIRST_TEXT_LIMIT, USER_TEXT_LIMIT


def facts(request: Any, **headers: str) -> Facts:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_facts(Body.parse(json.dumps(request).encode()), names, "/v1/chat/completions", "generate")


def ask(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "gpt-6-sol", "messages": list(messages), **members}


def user(*content: Any) -> dict[str, Any]:
    if len(content) == 1 and isinstance(content[0], str):
        return {"role": "user", "content": content[0]}
    parts = [{"type": "text", "text": item} if isinstance(item, str) else item for item in content]
    return {"role": "user", "content": parts}


def tool(name: str = "f", kind: str = "function") -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


SYSTEM = {"role": "system", "content": "You are terse."}
DEVELOPER = {"role": "developer", "content": [{"type": "text", "text": "You are terse."}]}
ANSWER = {"role": "assistant", "content": "hi"}
CALLING = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", **tool()}]}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "sunny"}
HELLO = user("hello")
LOW = {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}
HIGH = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000, "detail": "high"}}
PDF = "data:application/pdf;base64," + "A" * 9_572
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}
FILE_ID = {"type": "file", "file": {"file_id": "file-1"}}
BREAK = {"type": "text", "text": "x", "prompt_cache_breakpoint": {}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "A" * 20_000, "format": "mp3"}}


# --- recorded clients ---------------------------------------------------------------------


def test_recorded_clients(shared: Path) -> None:
    found: dict[str, list[Facts]] = {}
    for path in sorted((shared / "captures").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record["kind"] != "http" or recognise(record["method"], record["path"]) is None:
                continue
            headers = Headers([(key.encode(), value.encode()) for key, value in record["headers"]])
            body = Body.parse(json.dumps(record["body"]).encode())
            lower = {name.lower(): value for name, value in headers.items()}
            found.setdefault(path.stem, []).append(read_facts(body, lower, record["path"], "generate"))
    assert len(found) >= 3 and sum(map(len, found.values())) >= 10
    for all_facts in found.values():
        for seen in all_facts:
            assert seen.requested_model.startswith("gpt-")
            assert seen.client in ("openai-python", "openai-js") and seen.turn is TurnKind.MAIN
            assert seen.first_user_text and seen.user_texts[0] == seen.first_user_text
    [_, again, _] = found["llm-basic"]
    assert (again.message_count, again.stream, again.user_texts) == (3, True, ("say hi", "again"))
    loops = [seen for seen in found["sdk-openai-tool"] if seen.tool_loop]
    assert [(seen.message_count, seen.tools) for seen in loops] == [(3, 1)]


# --- tables -------------------------------------------------------------------------------


def test_the_least_request() -> None:
    assert facts(ask(HELLO)) == Facts(
        surface="openai_chat",
        endpoint="generate",
        requested_model="gpt-6-sol",
        stream=False,
        turn=TurnKind.MAIN,
        user_texts=("hello",),
        tool_loop=False,
        session_hint=None,
        first_user_text="hello",
        client="unknown",
        message_count=1,
        input_tokens_estimate=18,
        cache_ttl_s=300,
    )


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"stream": True}, {"stream": True}),
        ({"stream": 1}, {"stream": False}),
        ({"n": 3}, {"choices": 3, "needs": frozenset({"n"})}),
        ({"n": 1}, {"choices": 1, "needs": frozenset()}),
        ({"n": -4}, {"choices": 1, "needs": frozenset()}),
        ({"n": "3"}, {"choices": 1}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 5}, {"max_tokens": 9}),
        ({"max_tokens": "9"}, {"max_tokens": None}),
        ({"reasoning_effort": "high"}, {"effort": "high"}),
        ({"reasoning_effort": None}, {"effort": None}),
        ({"temperature": 0, "top_p": 1}, {"sampling": frozenset({"temperature", "top_p"})}),
        ({"logprobs": True}, {"sampling": frozenset({"logprobs"})}),
        ({"temperature": None}, {"sampling": frozenset()}),
        ({"response_format": {"type": "json_object"}}, {"pure_json": True}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"pure_json": True}),
        ({"response_format": {"type": "text"}}, {"pure_json": False}),
        ({"response_format": None}, {"pure_json": False}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"stop": ["x"]}, {"needs": frozenset({"stop"})}),
        ({"stop": None}, {"needs": frozenset()}),
        ({"stop": []}, {"needs": frozenset()}),
        ({"prediction": {"type": "content", "content": "x"}}, {"needs": frozenset({"prediction"})}),
        ({"web_search_options": {"a": 1}}, {"needs": frozenset({"web_search_options"})}),
        ({"web_search_options": {}}, {"needs": frozenset({"web_search_options"})}),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, {"needs": frozenset({"audio"})}),
        ({"modalities": ["text"]}, {"needs": frozenset()}),
        ({"prompt_cache_retention": "24h"}, {"cache_ttl_s": 86_400}),
        ({"prompt_cache_options": {"ttl": "30m"}}, {"cache_ttl_s": 1_800}),
        ({"prompt_cache_retention": "in_memory"}, {"cache_ttl_s": 300}),
        ({"prompt_cache_key": "k"}, {"session_hint": "k/hello"}),
        ({"model": "m" * 300}, {"requested_model": "m" * 200}),
        ({"model": 7}, {"requested_model": ""}),
    ],
)
def test_parameters(members: dict[str, Any], expected: dict[str, Any]) -> None:
    found = facts(ask(HELLO, **members))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("members", "tools", "types", "forced"),
    [
        ({"tools": [tool(), tool("g")]}, 2, set(), False),
        ({"tools": [tool(), tool("g", "custom")]}, 2, {"custom"}, False),
        ({"tools": [{"type": "web_search"}]}, 1, {"web_search"}, False),
        ({"functions": [{"name": "f"}]}, 1, set(), False),
        ({"tools": [], "functions": None}, 0, set(), False),
        ({"tools": [tool()], "tool_choice": "auto"}, 1, set(), False),
        ({"tools": [tool()], "tool_choice": "none"}, 1, set(), False),
        ({"tools": [tool()], "tool_choice": "required"}, 1, set(), True),
        ({"tools": [tool()], "tool_choice": tool()}, 1, set(), True),
        ({"tools": [tool()], "tool_choice": tool("g", "custom")}, 1, set(), True),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}}, 0, set(), False),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}}, 0, set(), True),
        ({"functions": [{"name": "f"}], "function_call": {"name": "f"}}, 1, set(), True),
        ({"functions": [{"name": "f"}], "function_call": "auto"}, 1, set(), False),
    ],
)
def test_tools(members: dict[str, Any], tools: int, types: set[str], forced: bool) -> None:
    found = facts(ask(HELLO, **members))
    assert (found.tools, found.tool_types, found.forced_tool) == (tools, types, forced)


@pytest.mark.parametrize(
    ("messages", "loop", "prefill"),
    [
        ([HELLO], False, False),
        ([SYSTEM, HELLO], False, False),
        ([HELLO, ANSWER, HELLO], False, False),
        ([HELLO, CALLING, RESULT], True, False),
        ([HELLO, CALLING, RESULT, SYSTEM], True, False),
        ([HELLO, CALLING, RESULT, HELLO], False, False),
        ([HELLO, ANSWER, {"role": "function", "name": "f", "content": "x"}], True, False),
        ([HELLO, ANSWER], False, True),
        ([HELLO, ANSWER, DEVELOPER], False, True),
        ([], False, False),
        ([SYSTEM], False, False),
        (["x", None], False, False),
    ],
)
def test_the_newest_message(messages: list[Any], loop: bool, prefill: bool) -> None:
    found = facts(ask(*messages))
    assert (found.tool_loop, found.prefill, found.message_count) == (loop, prefill, len(messages))


def test_texts_are_the_persons() -> None:
    one = user("one", LOW, "two")
    found = facts(ask(SYSTEM, one, ANSWER, RESULT, DEVELOPER, user("three"), user("four")))
    assert found.user_texts == ("one", "two", "three", "four")
    assert found.first_user_text == "one"


def test_long_texts_are_cut() -> None:
    found = facts(ask(user("a" * 30_000), ANSWER, user("b" * 10_000)))
    assert found.first_user_text == "a" * FIRST_TEXT_LIMIT
    assert sum(map(len, found.user_texts)) == USER_TEXT_LIMIT
    assert found.user_texts == ("a" * (USER_TEXT_LIMIT - 10_000), "b" * 10_000)


def test_a_lone_surrogate_is_replaced() -> None:
    found = facts(ask(user("a\ud800b"), user="\ud800", prompt_cache_key="\udfff"))
    assert found.user_texts == ("a?b",) and found.first_user_text == "a?b" and found.session_hint == "?/a?b"


@pytest.mark.parametrize(
    ("parts", "images", "documents", "needs", "tokens"),
    [
        ((LOW,), 1, 0, set(), (85, 130)),
        ((HIGH,), 1, 0, set(), (1_600, 1_650)),
        ((HIGH, HIGH, LOW), 3, 0, set(), (3_285, 3_400)),
        ((FILE,), 0, 1, set(), (300, 340)),
        ((FILE_ID,), 0, 1, set(), (0, 30)),
        ((AUDIO,), 0, 0, {"input_audio"}, (10, 50)),
        ((BREAK,), 0, 0, {"prompt_cache_breakpoint"}, (0, 30)),
        (({"type": "image_url", "image_url": "https://x.test"},), 1, 0, set(), (1_600, 1_630)),
    ],
)
def test_parts(
    parts: tuple[Any, ...], images: int, documents: int, needs: set[str], tokens: tuple[int, int]
) -> None:
    found, bare = facts(ask(user("hello", *parts))), facts(ask(user("hello", "")))
    assert (found.images, found.documents, found.needs) == (images, documents, needs)
    assert tokens[0] - 5 <= found.input_tokens_estimate - bare.input_tokens_estimate <= tokens[1]


def test_pictures_in_tool_results_count() -> None:
    assert facts(ask(HELLO, CALLING, {**RESULT, "content": [LOW]})).images == 1


@pytest.mark.parametrize(
    ("headers", "client", "hint", "retries"),
    [
        ({"user_agent": "OpenAI/Python 3.52.0", "x_stainless_retry_count": "2"}, "openai-python", None, 2),
        ({"user_agent": "opencode/1.18.33 (linux) ai-sdk", "x_session_id": "ses_1"}, "opencode", "ses_1", 0),
        ({"user_agent": "OpenAI/JS 6.49.0", "x_stainless_retry_count": "x"}, "openai-js", None, 0),
    ],
)
def test_headers(headers: dict[str, str], client: str, hint: str | None, retries: int) -> None:
    found = facts(ask(HELLO), **headers)
    assert (found.client, found.session_hint, found.retry_count) == (client, hint, retries)


# --- what it is for -----------------------------------------------------------------------

TITLE = "Generate a title for this conversation:\n"
TITLES = {"role": "system", "content": "You are a title generator. You output ONLY a thread title."}
WEBUI = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n"
WEBUI_TAGS = "### Task:\nSuggest 3-5 follow-ups.\n<chat_history>x</chat_history>"
COMPACT = "Provide a detailed summary for continuing our conversation above."


@pytest.mark.parametrize(
    ("request_", "headers", "turn"),
    [
        (ask(HELLO), {}, TurnKind.MAIN),
        (ask(HELLO, max_tokens=1), {}, TurnKind.PROBE),
        (ask(HELLO, max_completion_tokens=4), {}, TurnKind.PROBE),
        (ask(HELLO, max_tokens=16), {}, TurnKind.MAIN),
        (ask(TITLES, HELLO), {}, TurnKind.TITLE),
        (ask(SYSTEM, user(TITLE), user('"say hi"')), {}, TurnKind.TITLE),
        (ask(SYSTEM, user(TITLE, '"say hi"')), {}, TurnKind.TITLE),
        (ask(HELLO, ANSWER, user("Please write a short, catchy title for our chat.")), {}, TurnKind.TITLE),
        (ask(user(WEBUI)), {}, TurnKind.TITLE),
        (ask(user(TITLE), tools=[tool()]), {}, TurnKind.MAIN),
        (ask(user("Write a title for my essay about trains")), {}, TurnKind.MAIN),
        (ask(user("Why is the title of this conversation wrong?")), {}, TurnKind.MAIN),
        (ask(user(TITLE), ANSWER, HELLO), {}, TurnKind.MAIN),
        (ask(user(WEBUI_TAGS)), {}, TurnKind.CLASSIFIER),
        (ask(user("### Task:\nmend the points")), {}, TurnKind.MAIN),
        (ask(HELLO, ANSWER, user(COMPACT)), {}, TurnKind.COMPACTION),
        (
            ask(HELLO, user("Your task is to create a detailed summary of the conversation so far")),
            {},
            TurnKind.COMPACTION,
        ),
        (ask(HELLO), {"x_parent_session_id": "ses_0"}, TurnKind.SUBAGENT),
    ],
)
def test_turns(request_: dict[str, Any], headers: dict[str, str], turn: TurnKind) -> None:
    assert facts(request_, **headers).turn is turn


# --- nonsense -----------------------------------------------------------------------------

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "type", "text", "image_url", "url", "file", "function", "name"])
        | st.text(max_size=3),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)
NAMES = (
    "model", "messages", "tools", "functions", "tool_choice", "function_call", "max_tokens", "stream", "n",
    "response_format", "modalities", "prompt_cache_options", "reasoning_effort", "prompt_cache_key", "stop",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), JSON | st.lists(JSON, max_size=3), max_size=6))
def test_arbitrary_members_never_raise(request_: dict[str, Any]) -> None:
    found = facts(request_)
    assert found.choices >= 1 and found.input_tokens_estimate >= 0
    hash(found)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_only_what_is_no_json_raises(data: bytes) -> None:
    with pytest.raises(BodyError):
        read_facts(Body.parse(data), {}, "/", "generate")
