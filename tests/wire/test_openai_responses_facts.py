from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers
from pointsman.session import session_key
from pointsman.values import Credential, CredentialKind, Facts, TurnKind
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_responses import read_facts, recognise
from pointsman.wire.openai_responses.turn import INJECTED
from pointsman.wire.texts import FIRST_TEXT_LIMIT, USER_TEXT_LIMIT

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="no recorded traffic beside the repository")
PATH = "/v1/responses"


def facts(request: dict[str, Any], headers: Mapping[str, str] | None = None) -> Facts:
    return read_facts(Body.parse(json.dumps(request).encode()), headers or {}, PATH, "generate")


def ask(*items: Any, **members: Any) -> dict[str, Any]:
    return {"model": "gpt-6.1-sol", "input": list(items), **members}


def user(*content: Any, kinds: list[str] | None = None) -> dict[str, Any]:
    parts = [{"type": "input_text", "text": item} if isinstance(item, str) else item for item in content]
    item: dict[str, Any] = {"type": "message", "role": "user", "content": parts}
    if kinds is not None:
        item["internal_chat_message_metadata_passthrough"] = {"content_item_kinds": kinds}
    return item


def said(text: str, role: str = "assistant") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "output_text", "text": text}]}


def call(kind: str = "function_call") -> dict[str, Any]:
    return {"type": kind, "call_id": "call_1", "name": "look", "arguments": "{}"}


def output(kind: str = "function_call_output", result: Any = "clear") -> dict[str, Any]:
    return {"type": kind, "call_id": "call_1", "output": result}


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CONTEXT = "<environment_context>\n<cwd>/src</cwd>\n</environment_context>"


# --- paths --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/responses", "generate"),
        ("/v1/responses/", "generate"),
        ("/v1/responses?x=1", "generate"),
        ("/backend-api/codex/responses", "generate"),
        ("/openai/v1/responses", "generate"),
        ("/api/v1/responses", "generate"),
        ("/api/v4beta/responses", "generate"),
        ("/responses", "generate"),
        ("/v1/responses/resp_1", None),
        ("/v1/responses/resp_1/input_items", None),
        ("/v1/responses/input_tokens", None),
        ("/v1/responses/compact", None),
        ("/backend-api/codex/responses/compact", None),
        ("/backend-api/codex/models", None),
        ("/backend-api/responses", None),
        ("/backend-api/v1/responses", None),
        ("/backend-api/codex/v1/responses", None),
        ("/v1/chat/completions", None),
        ("/v1/responsesx", None),
        ("/openai/deployments/points/responses", None),
        ("", None),
    ],
)
def test_paths(path: str, endpoint: str | None) -> None:
    assert recognise("POST", path) == recognise("post", path) == endpoint
    assert recognise("GET", path) is None


# --- recorded clients ---------------------------------------------------------------------


def recorded(name: str) -> list[Facts]:
    found = []
    for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines():
        record = json.loads(line)
        if recognise(record["method"], record["path"]):
            headers = Headers([(key.encode(), value.encode()) for key, value in record["headers"]])
            body = Body.parse(json.dumps(record["body"]).encode())
            found.append(read_facts(body, headers, record["path"], "generate"))
    return found


@needs_captures
def test_codex() -> None:
    turns = recorded("codex-tool-http")
    assert [turn.tool_loop for turn in turns] == [False, True, False, True]
    assert {turn.turn for turn in turns} == {TurnKind.MAIN}
    assert {turn.client for turn in turns} == {"codex"}
    assert {turn.session_hint for turn in turns} == {"01a1fb73-d209-77e2-8139-68b93c559d1c"}
    assert {turn.first_user_text for turn in turns} == {"run echo hi"}
    assert [turn.user_texts for turn in turns[1:3]] == [("run echo hi",), ("run echo hi", "and again")]
    first = turns[0]
    assert (first.requested_model, first.effort, first.stream) == ("gpt-6.1-sol", "low", True)
    assert first.needs == {"lite", "additional_tools"}
    assert (first.tools, first.tool_types) == (14, {"namespace", "custom"})
    assert (first.forced_tool, first.pure_json, first.bound, first.max_tokens) == (False, False, "", None)
    assert 15_000 < first.input_tokens_estimate < 18_000


@needs_captures
def test_opencode_and_the_sdks() -> None:
    title, turn, again = recorded("opencode-oai-mark-lead_block")
    assert (title.turn, turn.turn, again.turn) == (TurnKind.TITLE, TurnKind.MAIN, TurnKind.MAIN)
    assert {found.client for found in (title, turn, again)} == {"opencode"}
    assert turn.session_hint == again.session_hint
    assert (again.user_texts, again.first_user_text) == (('"say hi"', "again"), '"say hi"')
    assert (turn.tools, turn.tool_types, turn.needs) == (9, frozenset(), frozenset())
    sdk = recorded("sdk-openai-tool")
    assert {found.client for found in sdk} == {"openai-python"}
    assert {found.turn for found in sdk} == {TurnKind.MAIN}
    assert [found.tool_loop for found in sdk] == [False] * 6 + [True]
    assert [found.user_texts for found in sdk[:2]] == [("say hi",), ("say hi", "again")]
    assert {found.session_hint for found in sdk} == {None}
    assert recorded("nodesdk-mark-none")[0].client == "openai-js"


# --- turn kinds ---------------------------------------------------------------------------


def codex(**metadata: str) -> dict[str, str]:
    return {"user-agent": "codex_exec/0.169.0", "x-codex-turn-metadata": json.dumps(metadata)}


TITLE = user("Generate a title for this conversation:\n")
CHECKPOINT = "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM"
TOOLS = [{"type": "function", "name": "look", "parameters": {}}]


@pytest.mark.parametrize(
    ("request_", "headers", "turn"),
    [
        (ask(user("hi")), {}, TurnKind.MAIN),
        ({"model": "m", "input": "hi"}, {}, TurnKind.MAIN),
        (ask(user("hi"), max_output_tokens=16), {}, TurnKind.PROBE),
        (ask(user("hi"), max_output_tokens=17), {}, TurnKind.MAIN),
        (ask(user("hi"), generate=False), {}, TurnKind.PROBE),
        (ask(user("hi")), codex(request_kind="turn", thread_source="user"), TurnKind.MAIN),
        (ask(user("hi")), codex(request_kind="prewarm"), TurnKind.PROBE),
        (ask(user("hi")), codex(request_kind="compaction"), TurnKind.COMPACTION),
        (ask(user("hi")), codex(request_kind="memory"), TurnKind.CLASSIFIER),
        (ask(user("hi")), codex(request_kind="turn", thread_source="subagent"), TurnKind.SUBAGENT),
        (ask(user("hi")), codex(request_kind="turn", thread_source="thread_title"), TurnKind.TITLE),
        (ask(user("hi"), client_metadata={"x-codex-turn-metadata": '{"request_kind":"compaction"}'}), {},
         TurnKind.COMPACTION),
        (ask(user("hi")), {"x-codex-turn-metadata": "{" * 4000}, TurnKind.MAIN),
        (ask(user("hi")), {"x-codex-turn-metadata": '["turn"]'}, TurnKind.MAIN),
        (ask(user("hi")), {"x-openai-subagent": "collab_spawn"}, TurnKind.SUBAGENT),
        (ask(user("hi")), {"x-openai-subagent": "review"}, TurnKind.SUBAGENT),
        (ask(user("hi")), {"x-openai-subagent": "compact"}, TurnKind.COMPACTION),
        (ask(user("hi")), {"x-openai-subagent": "memory_consolidation"}, TurnKind.CLASSIFIER),
        (ask(user("hi")), {"x-openai-subagent": "guardian"}, TurnKind.CLASSIFIER),
        (ask(user("hi"), client_metadata={"x-openai-subagent": "review"}), {}, TurnKind.SUBAGENT),
        (ask(user("hi")), {"x-codex-parent-thread-id": "t"}, TurnKind.SUBAGENT),
        (ask(user("hi")), {"x-parent-session-id": "ses_1"}, TurnKind.SUBAGENT),
        (ask(user("hi"), model="codex-auto-review"), {}, TurnKind.CLASSIFIER),
        (ask(user("hi"), {"type": "compaction_trigger"}), {}, TurnKind.COMPACTION),
        (ask(user("hi"), said("ok"), user(CHECKPOINT)), {}, TurnKind.COMPACTION),
        (ask(user("What does '" + CHECKPOINT + "' mean?")), {}, TurnKind.MAIN),
        (ask(TITLE, user('"say hi"')), {}, TurnKind.TITLE),
        (ask(TITLE, user('"say hi"'), tools=TOOLS), {}, TurnKind.MAIN),
        (ask(TITLE, said("Greeting"), user("no, longer")), {}, TurnKind.MAIN),
    ],
)  # fmt: skip
def test_turn_kinds(request_: dict[str, Any], headers: dict[str, str], turn: TurnKind) -> None:
    assert facts(request_, headers).turn is turn


# --- tool loops ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "tool_loop"),
    [
        ([user("hi")], False),
        ([user("hi"), call(), output()], True),
        ([output("custom_tool_call_output", [])], True),
        ([output("local_shell_call_output")], True),
        ([output("apply_patch_call_output")], True),
        ([output("shell_call_output")], True),
        ([output("computer_call_output", {"type": "computer_screenshot"})], True),
        ([{"type": "tool_search_output", "call_id": "c", "tools": []}], True),
        ([{"type": "mcp_approval_response", "approve": True}], True),
        ([{"type": "mcp_call", "output": "x"}], False),
        ([user("hi"), call(), output(), said("now", "developer")], True),
        ([user("hi"), call(), output(), said("now", "system")], True),
        ([user("hi"), call(), output(), REASONING], True),
        ([user("hi"), call(), output(), user(CONTEXT)], True),
        ([user("hi"), call(), output(), {"type": "configuration_update"}], True),
        ([user("hi"), call(), output(), {"type": "agent_message", "content": []}], True),
        ([user("hi"), {"type": "agent_message", "content": []}], False),
        ([user("hi"), {"type": "compaction", "encrypted_content": "x"}], True),
        ([user("hi"), call(), output(), user("and hurry")], False),
        ([user("hi"), call(), output(), user({"type": "input_image", "image_url": "data:,"})], False),
        ([user("hi"), call(), output(), said("done")], False),
        ([user("hi"), call(), output(), said("done"), user("thanks")], False),
        ([], False),
        ([3, None, "x"], False),
    ],
)
def test_tool_loops(items: list[Any], tool_loop: bool) -> None:
    found = facts(ask(*items))
    assert found.tool_loop is tool_loop
    assert not found.prefill


# --- texts --------------------------------------------------------------------------------


def test_texts_are_the_persons_own_and_in_order() -> None:
    found = facts(
        ask(
            said("You mend points.", "developer"),
            user("# AGENTS.md instructions for /src\n\n<INSTRUCTIONS>x</INSTRUCTIONS>", CONTEXT),
            user("one", "two"),
            REASONING,
            call(),
            output(result="no"),
            said("no"),
            {"role": "user", "content": "three"},
            user("<skill>\nx</skill>", "four", kinds=["skills.selected_skill_instructions", "user.text"]),
            user("<b>five</b>", kinds=["user.text"]),
            user("six", kinds=["plugins.recommendations"]),
            user("seven", kinds=["unknown"]),
            user("eight", kinds=[]),
        )
    )
    assert found.user_texts == ("one", "two", "three", "four", "<b>five</b>", "seven", "eight")
    assert found.first_user_text == "one"


@pytest.mark.parametrize("beginning", INJECTED)
def test_what_codex_writes_as_the_user_is_nobodys_word(beginning: str) -> None:
    found = facts(ask(user(f"\n{beginning} and so on"), user("mend it")))
    assert (found.user_texts, found.first_user_text) == (("mend it",), "mend it")


def test_of_an_editors_context_only_the_request_counts() -> None:
    text = "# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nmend it"
    assert facts(ask(user(text))).user_texts == ("mend it",)
    files = "# Files mentioned by the user:\n\n## a.png: /a.png\n\n## My request:\nwhat is it?"
    assert facts(ask(user(files))).user_texts == ("what is it?",)
    own = "Why is it:\n## My request:\nthere?"
    assert facts(ask(user(own))).user_texts == (own,)


def test_only_the_newest_texts_are_kept() -> None:
    long = [user(f"{number:04d}" + "x" * 996) for number in range(100)]
    found = facts(ask(user("first " + "y" * 5000), *long))
    assert sum(map(len, found.user_texts)) == USER_TEXT_LIMIT
    assert found.user_texts[-1].startswith("0099")
    assert found.first_user_text == ("first " + "y" * 5000)[:FIRST_TEXT_LIMIT]
    assert found.message_count == 101


def test_lone_surrogates_become_something_that_can_be_stored() -> None:
    found = facts(ask(user("half \ud83d"), model="m\udfff", conversation="\ud800"))
    assert found.user_texts == ("half ?",)
    assert (found.requested_model, found.session_hint) == ("m?", "?")


# --- sessions, counts, parameters ---------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "members", "hint"),
    [
        ({"session-id": "s1", "thread-id": "s1"}, {"prompt_cache_key": "k"}, "s1"),
        ({"session-id": "s1", "thread-id": "t1"}, {}, "s1/t1"),
        ({"x-session-id": "s2"}, {"conversation": "conv_1"}, "s2"),
        ({}, {"conversation": "conv_1"}, "conv_1"),
        ({}, {"conversation": {"id": "conv_2"}, "prompt_cache_key": "k"}, "conv_2"),
        ({}, {"conversation": {"id": 7}}, None),
        ({}, {"prompt_cache_key": "k"}, "k/hi"),
        ({}, {"previous_response_id": "resp_1"}, None),
        ({}, {}, None),
    ],
)
def test_session_hints(headers: dict[str, str], members: dict[str, Any], hint: str | None) -> None:
    assert facts(ask(user("hi"), **members), headers).session_hint == hint


def test_a_conversation_that_the_provider_keeps_is_one_whatever_its_newest_words() -> None:
    """Each request has the new items only: a step in a tool loop holds no word of the person."""
    key = Credential(CredentialKind.API_KEY, "a" * 16)

    def keys(**members: Any) -> set[str]:
        requests = ask(user("hi"), **members), ask(output(), **members), ask(user("and now?"), **members)
        return {session_key(facts(request), key) for request in requests}

    assert len(keys(conversation="conv_1")) == len(keys(conversation={"id": "conv_1"})) == 1
    assert keys(conversation="conv_1") != keys(conversation="conv_2")
    assert len(keys()) == len(keys(conversation={"id": 7})) == 3


@pytest.mark.parametrize(
    "members", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"conversation": {"id": "c"}}]
)
def test_what_the_provider_keeps_may_hold_reasoning(members: dict[str, Any]) -> None:
    assert facts(ask(user("and now?"), **members)).needs == {"reasoning"}


def test_images_and_files_are_counted_and_estimated() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 400_000}
    link = {"type": "input_image", "image_url": "https://example.com/a.png"}
    paper = {"type": "input_file", "filename": "a.pdf", "file_data": "A" * 320_000}
    stored = {"type": "input_file", "file_id": "file_1"}
    shot = {"type": "computer_screenshot", "image_url": "data:,x"}
    made = {"type": "image_generation_call", "id": "ig_1", "result": "A" * 200_000}
    found = facts(
        ask(
            user("look", image, link, paper, stored),
            made,
            output(result=[image]),
            output("computer_call_output", shot),
        )
    )
    assert (found.images, found.documents) == (5, 2)
    assert 5 * 1600 + 10_000 < found.input_tokens_estimate < 5 * 1600 + 10_000 + 400
    plain = facts(ask(user("x" * 4000)))
    assert 1000 < plain.input_tokens_estimate < 1100
    assert facts({"model": "m", "input": "x" * 4000}).message_count == 1


def test_tools_wherever_they_stand() -> None:
    inner = [{"type": "custom", "name": "exec"}, {"type": "function", "name": "wait"}, {"name": "plain"}]
    found = facts(
        ask(
            {"type": "additional_tools", "role": "developer", "tools": [
                {"type": "namespace", "name": "functions", "tools": inner}, {"type": "local_shell"}]},
            user("hi"),
            tools=[{"type": "function", "name": "a"}, {"type": "web_search"}, {"type": "apply_patch"}, 3],
        )
    )  # fmt: skip
    assert found.tools == 8
    assert found.tool_types == {"namespace", "custom", "local_shell", "web_search", "apply_patch"}
    assert found.needs == {"additional_tools"}


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        (None, False),
        ("auto", False),
        ("none", False),
        ("required", True),
        ({"type": "function", "name": "look"}, True),
        ({"type": "custom", "name": "exec"}, True),
        ({"type": "web_search"}, True),
        ({"type": "mcp", "server_label": "x"}, True),
        ({"type": "apply_patch"}, True),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, False),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, True),
    ],
)
def test_forced_tools(choice: Any, forced: bool) -> None:
    assert facts(ask(user("hi"), tools=TOOLS, tool_choice=choice)).forced_tool is forced


@pytest.mark.parametrize(
    ("text", "pure"),
    [
        (None, False),
        ({"verbosity": "low"}, False),
        ({"format": {"type": "text"}}, False),
        ({"format": {"type": "json_object"}}, True),
        ({"format": {"type": "json_schema", "name": "x", "schema": {}}}, True),
    ],
)
def test_answers_that_must_be_json(text: Any, pure: bool) -> None:
    assert facts(ask(user("hi"), text=text)).pure_json is pure


def test_parameters() -> None:
    found = facts(
        ask(
            user("hi"),
            reasoning={"effort": "high", "summary": "auto"},
            temperature=0,
            top_p=None,
            top_logprobs=2,
            service_tier="flex",
            max_output_tokens=900,
            stream=True,
            prompt_cache_retention="24h",
            context_management=[{"type": "compaction", "compact_threshold": 9}, 3],
        ),
        {"x-stainless-retry-count": "2"},
    )
    assert (found.effort, found.sampling) == ("high", {"temperature", "top_logprobs"})
    assert (found.service_tier, found.max_tokens, found.stream) == ("flex", 900, True)
    assert (found.retry_count, found.cache_ttl_s) == (2, 86_400)
    assert found.needs == {"context_management.compaction"}
    assert facts(ask(user("hi"))).cache_ttl_s == 300


LITE = {"x-openai-internal-codex-responses-lite": "true"}


@pytest.mark.parametrize(
    ("request_", "headers", "needs", "bound"),
    [
        (ask(user("hi")), LITE, {"lite"}, False),
        (ask(user("hi")), {"x-openai-internal-codex-responses-lite": "false"}, set(), False),
        (ask(user("hi"), REASONING, said("x")), {}, {"reasoning"}, False),
        (ask({"type": "configuration_update", "reasoning": {}}), {}, {"configuration_update"}, False),
        (ask({"type": "agent_message", "content": []}), {}, {"agent_message"}, False),
        (ask(user({"type": "input_audio"})), {}, {"input_audio"}, False),
        (ask({"type": "compaction", "encrypted_content": "x"}), {}, set(), True),
        (ask({"type": "compaction", "encrypted_content": "x"}), LITE, {"lite", "compaction"}, False),
        (ask(user("hi"), background=True), {}, set(), True),
        (ask(user("hi"), background=False, previous_response_id="resp_1"), {}, {"reasoning"}, False),
    ],
)
def test_what_ties_a_request_to_some_models(
    request_: dict[str, Any], headers: dict[str, str], needs: set[str], bound: bool
) -> None:
    found = facts(request_, headers)
    assert (found.needs, bool(found.bound)) == (needs, bound)
    assert found.continues == request_.get("previous_response_id")


# --- bodies of any shape ------------------------------------------------------------------

NAMES = [
    "model", "input", "tools", "tool_choice", "reasoning", "effort", "include", "text", "format", "type",
    "conversation", "id", "prompt", "background", "client_metadata", "x-codex-turn-metadata", "content",
    "role", "context_management", "max_output_tokens", "output", "image_url", "file_data", "stream", "mode",
    "result", "internal_chat_message_metadata_passthrough", "content_item_kinds", "prompt_cache_key",
]  # fmt: skip
VALUES = st.sampled_from(
    ["user", "assistant", "input_text", "input_image", "message", "function_call_output", "additional_tools",
     "namespace", "reasoning", "compaction", "computer_screenshot", "input_file", "user.text", "\ud800"]
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | st.text(max_size=3) | VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(NAMES), ANY, max_size=8), st.booleans())
def test_bodies_of_any_shape_are_read(body: dict[str, Any], lite: bool) -> None:
    found = facts(body, LITE if lite else {})
    assert found.images >= 0
    assert found.input_tokens_estimate >= 0
    assert isinstance(found.requested_model, str)
    hash(found)


@given(ANY)
def test_inputs_of_any_shape_are_read(value: Any) -> None:
    assert isinstance(facts(ask(value, {"role": "user", "content": value})).tool_loop, bool)
    assert isinstance(facts({"input": value}).turn, TurnKind)
