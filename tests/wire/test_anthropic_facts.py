from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers
from pointsman.values import Facts, TurnKind
from pointsman.wire.anthropic import read_facts, recognise
from pointsman.wire.json_spans import Body
from pointsman.wire.texts import FIRST_TEXT_LIMIT, USER_TEXT_LIMIT

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="no recorded traffic beside the repository")


def facts(request: dict[str, Any], **headers: str) -> Facts:
    return read_facts(Body.parse(json.dumps(request).encode()), Headers(**headers), "/", "generate")


def ask(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"model": "claude-opus-4-8", "max_tokens": 1000, "messages": list(messages), **members}


def user(*content: Any) -> dict[str, Any]:
    blocks = [{"type": "text", "text": item} if isinstance(item, str) else item for item in content]
    return {"role": "user", "content": blocks}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


USE = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "hi"}
CLAUDE = {"user_agent": "claude-cli/2.1.197 (external, sdk-cli)"}


def claude(request_class: str) -> dict[str, str]:
    """What Claude Code says of a request since some version before 2.1.329."""
    return {"user_agent": "claude-cli/2.1.329", "x_claude_code_request_class": request_class}


# --- recorded clients ---------------------------------------------------------------------


def recorded(name: str) -> list[Facts]:
    found = []
    for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines():
        record = json.loads(line)
        endpoint = recognise(record["method"], record["path"])
        if endpoint and record["host"] == "api.anthropic.com":
            headers = Headers([(key.encode(), value.encode()) for key, value in record["headers"]])
            found.append(read_facts(Body.parse(json.dumps(record["body"]).encode()), headers, "/", endpoint))
    return found


@needs_captures
def test_claude_code() -> None:
    title, *turns = recorded("claude-tool")
    assert (title.turn, title.client, title.pure_json) == (TurnKind.TITLE, "claude-code", True)
    assert [turn.turn for turn in turns] == [TurnKind.MAIN] * 4
    assert [turn.tool_loop for turn in turns] == [False, True, False, True]
    assert {turn.session_hint for turn in turns} == {"01281115-adee-44a3-be4a-cb01cafefcde"}
    assert {turn.first_user_text for turn in turns} == {"run echo hi"}
    assert [turn.user_texts[-1] for turn in turns] == ["run echo hi", "run echo hi", "thanks", "thanks"]
    first = turns[0]
    assert (first.thinking, first.effort, first.system_role, first.stream) == ("adaptive", "high", True, True)
    assert (first.cache_ttl_s, first.max_tokens, first.prefill) == (300, 64000, False)
    assert first.tools > 5
    assert first.tool_types == frozenset()
    assert recorded("claude-oauth")[0].cache_ttl_s == 3600


@needs_captures
def test_opencode_and_the_sdks() -> None:
    title, turn, loop = recorded("opencode-tool")
    assert (title.turn, turn.turn, loop.turn) == (TurnKind.TITLE, TurnKind.MAIN, TurnKind.MAIN)
    assert (turn.tool_loop, loop.tool_loop, title.thinking_budget_tokens) == (False, True, 16000)
    assert turn.session_hint == loop.session_hint == "ses_e04871373ffefoQ280mBLWVCDA"
    sdk = recorded("sdk-anthropic-tool")
    assert {found.client for found in sdk} == {"anthropic-python"}
    assert {found.turn for found in sdk} == {TurnKind.MAIN}
    assert [found.endpoint for found in sdk][-1] == "count_tokens"
    assert sdk[-2].tool_loop
    assert sdk[-2].session_hint is None
    assert recorded("nodesdk-mark-none")[0].client == "anthropic-js"


# --- turn kinds ---------------------------------------------------------------------------

TITLE_SCHEMA = {"format": {"type": "json_schema", "schema": {"properties": {"title": {"type": "string"}}}}}
SUMMARY = "Your task is to create a detailed summary of the conversation so far, paying close attention to"
BILLING = "x-anthropic-billing-header: cc_version=2.1.197.3; cc_entrypoint=cli; cc_is_subagent=true;"
TOOLS = [{"name": "Bash", "input_schema": {}}]


@pytest.mark.parametrize(
    ("request_", "headers", "turn"),
    [
        (ask(user("hi")), {}, TurnKind.MAIN),
        (ask(user("hi"), max_tokens=1), {}, TurnKind.PROBE),
        (ask(user("quota"), max_tokens=4), {}, TurnKind.PROBE),
        (ask(user("hi"), max_tokens=100), {}, TurnKind.MAIN),
        (ask(user("hi"), max_tokens=100), CLAUDE, TurnKind.CLASSIFIER),
        (ask(user("hi"), max_tokens=100, tools=TOOLS), CLAUDE, TurnKind.MAIN),
        (ask(user("hi"), output_config=TITLE_SCHEMA), {}, TurnKind.TITLE),
        (ask(user("hi"), output_config=TITLE_SCHEMA, tools=TOOLS), {}, TurnKind.MAIN),
        (ask(user("Write a title for my book about trains.")), {}, TurnKind.MAIN),
        (ask(user("hi"), assistant(), user(SUMMARY)), CLAUDE, TurnKind.COMPACTION),
        (ask(user("Please create a detailed summary of this paper.")), {}, TurnKind.MAIN),
        (ask(user("<transcript>\nuser: rm -rf /</transcript>")), {}, TurnKind.CLASSIFIER),
        (ask(user("hi"), tools=TOOLS), {"x_claude_code_agent_id": "a1"}, TurnKind.SUBAGENT),
        (ask(user("hi")), {"x_parent_session_id": "ses_1"}, TurnKind.SUBAGENT),
        (ask(user("hi"), system=[{"type": "text", "text": BILLING}], tools=TOOLS), CLAUDE, TurnKind.SUBAGENT),
        (ask(user("hi")), CLAUDE, TurnKind.CLASSIFIER),
        (ask(user({"type": "text", "text": "hi", "cache_control": {}})), CLAUDE, TurnKind.MAIN),
        (ask(user("[SUGGESTION MODE: Suggest what"), tools=TOOLS), CLAUDE, TurnKind.CLASSIFIER),
        (
            ask(
                user(RESULT, "Generate a short kebab-case name (2-4 words) that captures the main topic of"),
                tools=TOOLS,
            ),
            CLAUDE,
            TurnKind.TITLE,
        ),
        (ask(user(RESULT, "CRITICAL: text only.\n" + SUMMARY), tools=TOOLS), CLAUDE, TurnKind.COMPACTION),
        (ask(user("Generate a title for this conversation:\n", '"hi"')), {}, TurnKind.TITLE),
        (
            ask(user("<session>\nhi\n</session>\n\nWrite the title in French. Keep terms.")),
            CLAUDE,
            TurnKind.TITLE,
        ),
        (ask(user("Generate a title for this conversation"), assistant(), user("no")), {}, TurnKind.MAIN),
        (ask(user("hi")), claude("main"), TurnKind.MAIN),
        (ask(user(SUMMARY)), claude("main"), TurnKind.MAIN),
        (ask(user("hi"), max_tokens=1), claude("main"), TurnKind.PROBE),
        (ask(user("hi"), tools=TOOLS), claude("subagent"), TurnKind.SUBAGENT),
        (ask(user("hi"), tools=TOOLS), claude("workflow"), TurnKind.SUBAGENT),
        (ask(user("Sum it up."), tools=TOOLS), claude("compaction"), TurnKind.COMPACTION),
        (ask(user("hi"), assistant(), user("on"), tools=TOOLS), claude("auxiliary"), TurnKind.CLASSIFIER),
        (ask(user("hi"), assistant(), user("aside"), tools=TOOLS), claude("side_reply"), TurnKind.CLASSIFIER),
        (ask(user("hi"), output_config=TITLE_SCHEMA), claude("auxiliary"), TurnKind.TITLE),
        (ask(user("hi"), tools=TOOLS), claude("unheard_of"), TurnKind.MAIN),
        (ask(user("hi")), {"x_claude_code_request_class": "auxiliary"}, TurnKind.MAIN),
    ],
)
def test_turn_kinds(request_: dict[str, Any], headers: dict[str, str], turn: TurnKind) -> None:
    assert facts(request_, **headers).turn is turn


# --- tool loops and prefill ---------------------------------------------------------------

SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}


@pytest.mark.parametrize(
    ("messages", "tool_loop", "prefill"),
    [
        ([user("hi")], False, False),
        ([user("hi"), assistant(USE), user(RESULT)], True, False),
        ([user("hi"), assistant(USE), user(RESULT, "and hurry")], True, False),
        ([user("hi"), assistant(USE), user(RESULT), {"role": "system", "content": "now"}], True, False),
        ([user("hi"), {"role": "system", "content": "now"}], False, False),
        ([user("hi"), assistant(USE), user(RESULT), assistant(), user("thanks")], False, False),
        ([user("hi"), assistant({"type": "text", "text": "{"})], False, True),
        ([user("hi"), {"role": "assistant", "content": "{"}], False, True),
        ([user("hi"), assistant({"type": "text", "text": "."}, SEARCH)], True, False),
        ([user("hi"), assistant(SEARCH, FOUND)], True, False),
        ([], False, False),
        ([3, None, "x"], False, False),
    ],
)
def test_tool_loops_and_prefill(messages: list[Any], tool_loop: bool, prefill: bool) -> None:
    found = facts(ask(*messages))
    assert (found.tool_loop, found.prefill) == (tool_loop, prefill)


# --- texts --------------------------------------------------------------------------------


def test_texts_are_the_persons_own_and_in_order() -> None:
    found = facts(
        ask(
            user("<system-reminder>x</system-reminder>", "one", "two"),
            assistant({"type": "text", "text": "no"}, USE),
            user(RESULT, "three"),
            {"role": "system", "content": "no"},
            {"role": "user", "content": "four"},
        )
    )
    assert found.user_texts == ("<system-reminder>x</system-reminder>", "one", "two", "three", "four")
    assert found.first_user_text == "one"


def test_only_the_newest_texts_are_kept() -> None:
    long = [user(f"{number:04d}" + "x" * 996) for number in range(100)]
    found = facts(ask(user("first " + "y" * 5000), *long))
    assert sum(map(len, found.user_texts)) == USER_TEXT_LIMIT
    assert found.user_texts[-1].startswith("0099")
    assert found.user_texts[0].endswith("xxx")
    assert found.first_user_text == ("first " + "y" * 5000)[:FIRST_TEXT_LIMIT]
    assert found.message_count == 101


def test_lone_surrogates_become_something_that_can_be_stored() -> None:
    found = facts(ask(user("half \ud83d"), model="m\udfff", metadata={"user_id": '{"session_id":"\\ud800"}'}))
    assert found.user_texts == ("half ?",)
    assert found.first_user_text == "half ?"
    assert (found.requested_model, found.session_hint) == ("m?", "?")


# --- sessions, clients, counts ------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "user_id", "hint"),
    [
        ({"x_claude_code_session_id": "s1"}, '{"session_id":"s2"}', "s1"),
        ({}, '{"device_id":"d","session_id":"s2"}', "s2"),
        ({}, "user_0ab_account_1-2_session_0f1e2d3c-aaaa", "0f1e2d3c-aaaa"),
        ({"x_session_id": " s3 "}, None, "s3"),
        ({"x_session_affinity": "s4"}, None, "s4"),
        ({"x_session_id": ""}, "customer-17", None),
        ({}, '{"session_id":7}', None),
        ({}, "[" * 3000, None),
        ({}, 5, None),
    ],
)
def test_session_hints(headers: dict[str, str], user_id: Any, hint: str | None) -> None:
    assert facts(ask(user("hi"), metadata={"user_id": user_id}), **headers).session_hint == hint


def test_a_sub_agent_has_a_session_of_its_own() -> None:
    main = {"x_claude_code_session_id": "s1"}
    hints = [
        facts(ask(user(text)), **main, x_claude_code_agent_id=agent).session_hint
        for text, agent in (("a", "1"), ("b", "1"), ("a", "2"))
    ]
    assert hints == ["s1/1", "s1/1", "s1/2"]
    by_text = [facts(ask(user(t)), x_session_id="s1", x_parent_session_id="p").session_hint for t in "aab"]
    assert by_text == ["s1/a", "s1/a", "s1/b"]


def test_images_and_documents_are_counted_and_estimated() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    link = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    paper = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 320_000},
    }
    result = {**RESULT, "content": [image, {"type": "text", "text": "seen"}]}
    found = facts(ask(user("look", image, link, paper), assistant(USE), user(result)))
    assert (found.images, found.documents) == (3, 1)
    assert 3 * 1600 + 10_000 < found.input_tokens_estimate < 3 * 1600 + 10_000 + 400
    plain = facts(ask(user("x" * 4000)))
    assert 1000 < plain.input_tokens_estimate < 1100


def test_tools_and_parameters() -> None:
    found = facts(
        ask(
            user("hi"),
            tools=[
                {"name": "a", "input_schema": {}},
                {"type": "custom", "name": "b", "input_schema": {}},
                {"type": "computer_20251124", "name": "computer"},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
            tool_choice={"type": "any"},
            thinking={"type": "enabled", "budget_tokens": 2000},
            output_config={"effort": "low"},
            temperature=0,
            top_k=None,
            speed="fast",
            service_tier="auto",
            stream=True,
            cache_control={"type": "ephemeral"},
            context_management={"edits": [{"type": "clear_tool_uses_20250919"}, 3, {"type": 4}]},
            inference_geo="us",
        ),
        x_stainless_retry_count="2",
    )
    assert (found.tools, found.tool_types) == (4, {"computer_20251124", "web_search_20250305"})
    assert (found.forced_tool, found.thinking, found.thinking_budget_tokens) == (True, "enabled", 2000)
    assert found.needs == {"clear_tool_uses_20250919", "inference_geo"}
    assert (found.effort, found.sampling, found.speed) == ("low", {"temperature"}, "fast")
    assert (found.service_tier, found.stream, found.retry_count, found.cache_ttl_s) == ("auto", True, 2, 300)


@pytest.mark.parametrize("retries", ["", "-1", "x", "٣", "9" * 40])
def test_a_retry_count_that_is_none(retries: str) -> None:
    assert facts(ask(user("hi")), x_stainless_retry_count=retries).retry_count == 0


# --- bodies of any shape ------------------------------------------------------------------

NAMES = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "max_tokens",
    "stream",
    "cache_control",
    "temperature",
    "speed",
    "service_tier",
    "role",
    "content",
    "type",
    "text",
    "source",
    "data",
    "user_id",
    "format",
    "schema",
    "properties",
]
VALUES = st.sampled_from(
    ["user", "assistant", "text", "image", "tool_result", "base64", "any", "1h", "\ud800"]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(NAMES), ANY, max_size=12))
def test_wrong_types_raise_nothing(request_: dict[str, Any]) -> None:
    text = json.dumps(request_).replace("Infinity", "1e999")
    found = read_facts(Body.parse(text.encode()), Headers(), "/", "generate")
    assert isinstance(found.requested_model, str)
    json.dumps([*found.user_texts, found.first_user_text, found.session_hint]).encode()
    hash(found)
