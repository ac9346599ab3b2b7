"""What a Gemini request says: each member in both spellings, and what Gemini CLI writes by itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.errors import BodyError
from pointsman.values import TurnKind
from pointsman.wire.gemini import GeminiFacts, read_facts, recognise
from pointsman.wire.gemini.spelling import camel, snake
from pointsman.wire.json_spans import Body

STREAM = "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
WHOLE = "/v1beta/models/gemini-3.8-flash:generateContent"
COUNT = "/v1beta/models/gemini-3.8-flash:countTokens"
CLI = {"user-agent": "GeminiCLI-tui/0.61.0/gemini-2.5-pro (linux; x64; terminal)"}
HELLO = [{"role": "user", "parts": [{"text": "hello"}]}]
PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}


def read(
    body: Any, path: str = STREAM, headers: Mapping[str, str] | None = None, endpoint: str = "generate"
) -> GeminiFacts:
    return read_facts(Body.parse(json.dumps(body).encode()), headers or {}, path, endpoint)


def facts(path: str = STREAM, headers: Mapping[str, str] | None = None, **members: Any) -> GeminiFacts:
    return read({"contents": HELLO} | members, path, headers)


def snaked(value: Any) -> Any:
    """The same with every name in the original spelling."""
    if isinstance(value, list):
        return [snaked(item) for item in value]
    if isinstance(value, dict):
        return {snake(key): snaked(item) for key, item in value.items()}
    return value


# --- members ------------------------------------------------------------------------------

CONFIGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"maxOutputTokens": 512}, {"max_tokens": 512}),
    ({"candidateCount": 3}, {"choices": 3}),
    ({"candidateCount": 0}, {"choices": 1}),
    ({"temperature": 0, "topP": 0.9, "topK": 5}, {"sampling": frozenset({"temperature", "top_p", "top_k"})}),
    ({"responseMimeType": "application/json"}, {"pure_json": True}),
    ({"responseMimeType": "text/x.enum"}, {"pure_json": True}),
    ({"responseMimeType": "text/plain"}, {"pure_json": False}),
    ({"responseSchema": {"type": "OBJECT"}}, {"pure_json": True}),
    ({"responseJsonSchema": {"type": "object"}}, {"pure_json": True}),
    ({"thinkingConfig": {"thinkingLevel": "HIGH"}}, {"thinking": "level", "effort": "high"}),
    (
        {"thinkingConfig": {"thinkingBudget": 512, "includeThoughts": True}},
        {"thinking": "budget", "thinking_budget_tokens": 512, "effort": None},
    ),
    ({"responseModalities": ["TEXT", "IMAGE"]}, {"needs": frozenset({"image_output"})}),
    ({"responseModalities": ["audio"]}, {"needs": frozenset({"audio_output"})}),
    ({"responseModalities": ["TEXT"]}, {"needs": frozenset()}),
    ({"speechConfig": {}}, {"needs": frozenset({"audio_output"})}),
    ({"imageConfig": {}}, {"needs": frozenset({"image_output"})}),
    ({"presencePenalty": 0.5}, {"needs": frozenset({"penalties"})}),
    ({"presencePenalty": 0}, {"needs": frozenset()}),
    ({"responseLogprobs": True}, {"needs": frozenset({"logprobs"})}),
]


@pytest.mark.parametrize(("config", "expected"), CONFIGS)
@pytest.mark.parametrize("spell", [lambda body: body, snaked], ids=["camel", "snake"])
def test_generation_config(config: dict[str, Any], expected: dict[str, Any], spell: Any) -> None:
    found = read(spell({"contents": HELLO, "generationConfig": config}))
    assert {name: getattr(found, name) for name in expected} == expected


FUNCTION = {"functionDeclarations": [{"name": "f"}, {"name": "g"}]}
SEARCH = {"googleSearch": {}}
MEMBERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tools": [FUNCTION]}, {"tools": 2, "tool_types": frozenset(), "forced_tool": False}),
    ({"tools": FUNCTION}, {"tools": 2}),
    ({"tools": [SEARCH, {"urlContext": {}}]}, {"tools": 2, "tool_types": {"googleSearch", "urlContext"}}),
    ({"tools": [{"computerUse": {"environment": "BROWSER"}}]}, {"tool_types": {"computerUse"}}),
    ({"tools": [FUNCTION, SEARCH]}, {"needs": frozenset({"functions_with_tools"})}),
    (
        {"tools": [FUNCTION], "generationConfig": {"responseMimeType": "application/json"}},
        {"needs": frozenset({"json_with_tools"})},
    ),
    ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, {"forced_tool": True}),
    ({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}, {"forced_tool": False}),
    ({"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}, {"forced_tool": False}),
    (
        {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}},
        {"needs": frozenset({"streamed_arguments"})},
    ),
    ({"toolConfig": {"includeServerSideToolInvocations": True}}, {"needs": {"functions_with_tools"}}),
    ({"cachedContent": "cachedContents/abc"}, {"bound": "cachedContent is bound to its model"}),
    ({"serviceTier": "flex"}, {"service_tier": "flex"}),
]  # fmt: skip


@pytest.mark.parametrize(("members", "expected"), MEMBERS)
@pytest.mark.parametrize("spell", [lambda body: body, snaked], ids=["camel", "snake"])
def test_members(members: dict[str, Any], expected: dict[str, Any], spell: Any) -> None:
    found = read(spell({"contents": HELLO} | members))
    assert {name: getattr(found, name) for name in expected} == expected


CALL = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
RESULT = {"functionResponse": {"name": "f", "response": {"output": "x"}}}


def said(*contents: tuple[str, list[Any]]) -> list[Any]:
    return [({"role": role} if role else {}) | {"parts": parts} for role, parts in contents]


CONTENTS: list[tuple[Any, dict[str, Any]]] = [
    (said(("user", [{"text": "hi"}])), {"message_count": 1, "tool_loop": False, "prefill": False}),
    (said(("", [{"text": "hi"}])), {"user_texts": ("hi",), "first_user_text": "hi"}),
    ({"parts": {"text": "hi"}}, {"user_texts": ("hi",), "message_count": 1}),
    (said(("user", [{"text": "a"}]), ("model", [CALL]), ("user", [RESULT])), {"tool_loop": True}),
    (said(("user", [{"text": "a"}]), ("model", [CALL]), ("function", [RESULT])), {"tool_loop": True}),
    (
        said(("user", [{"text": "a"}]), ("model", [CALL]), ("user", [RESULT, {"text": "b"}])),
        {"tool_loop": True, "user_texts": ("a", "b")},
    ),
    (said(("user", [RESULT]), ("user", [{"text": "b"}])), {"tool_loop": False, "user_texts": ("b",)}),
    # Gemini CLI nudges a model that stopped in the middle of its work: that is no turn of the person's.
    (
        said(("user", [{"text": "a"}]), ("model", [CALL]), ("user", [RESULT]),
             ("model", [{"text": "Hm", "thought": True}]), ("user", [{"text": "Please continue."}])),
        {"tool_loop": True, "user_texts": ("a",)},
    ),
    (
        said(("user", [RESULT]), ("user", [{"text": "System: Potential loop detected. Stop."}])),
        {"tool_loop": True},
    ),
    (
        said(("user", [RESULT]), ("model", [{"text": "x"}]), ("user", [{"text": "Please continue."}, PNG])),
        {"tool_loop": False},
    ),
    (
        said(("user", [RESULT]), ("user", [{"text": "b"}]), ("model", [{"text": " "}]),
             ("user", [{"text": "Please continue."}])),
        {"tool_loop": False},
    ),
    (said(("user", [{"text": "a"}]), ("model", [{"text": "It is"}])), {"prefill": True, "tool_loop": False}),
    (said(("user", [{"text": "a"}, {"text": "b"}])), {"user_texts": ("a", "b"), "first_user_text": "a"}),
    (said(("model", [{"text": "m"}]), ("function", [{"text": "x"}])), {"user_texts": ()}),
    (said(("user", [PNG, PNG])), {"images": 2, "documents": 0}),
    (said(("user", [{"fileData": {"mimeType": "image/jpeg", "fileUri": "files/1"}}])), {"images": 1}),
    (said(("user", [{"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}])), {"documents": 1}),
    (said(("user", [{"inlineData": {"mimeType": "audio/wav", "data": "UklG"}}])), {"needs": {"audio_input"}}),
    (said(("user", [{"fileData": {"fileUri": "https://youtu.be/x"}}])), {"needs": {"video_input"}}),
    (
        said(("user", [{"functionResponse": {"name": "f", "parts": [PNG]}}])),
        {"images": 1, "needs": {"media_in_function_response"}, "tool_loop": True},
    ),
    (said(("user", [PNG | {"mediaResolution": {"level": "HIGH"}}])), {"needs": {"part_media_resolution"}}),
    (said(("model", [{"toolCall": {}}]), ("user", [{"text": "a"}])), {"needs": {"functions_with_tools"}}),
]  # fmt: skip


@pytest.mark.parametrize(("contents", "expected"), CONTENTS)
@pytest.mark.parametrize("spell", [lambda body: body, snaked], ids=["camel", "snake"])
def test_contents(contents: Any, expected: dict[str, Any], spell: Any) -> None:
    found = read(spell({"contents": contents}))
    assert {name: getattr(found, name) for name in expected} == expected


def test_what_is_counted_stands_inside_a_request_or_beside_it() -> None:
    for body in ({"contents": HELLO}, {"generateContentRequest": {"model": "models/m", "contents": HELLO}}):
        found = read(body, COUNT, endpoint="count_tokens")
        assert (found.user_texts, found.endpoint) == (("hello",), "count_tokens")


def test_the_estimate_knows_pictures_and_papers_from_text() -> None:
    base = facts().input_tokens_estimate
    picture = "A" * 400_000

    def estimate(kind: str) -> int:
        part = {"inlineData": {"mimeType": kind, "data": picture}}
        return facts(contents=said(("user", [part]))).input_tokens_estimate - base

    assert 1_500 < estimate("image/png") < 1_700
    assert 1_900 < estimate("application/pdf") < 2_200
    assert 700 < estimate("video/mp4") < 900
    assert facts(contents=said(("user", [{"text": picture}]))).input_tokens_estimate > 99_000


# --- paths and heads ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model", "stream", "array"),
    [
        (STREAM, "gemini-3.8-flash", True, False),
        (WHOLE, "gemini-3.8-flash", False, False),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro", True, True),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent?key=K&alt=json", "gemini-2.5-pro", True, True),
        ("/v1alpha/models/gemini%2D2:streamGenerateContent?key=K&alt=sse", "gemini-2", True, False),
        ("/v1beta/models/gemini-3.8-flash%3AstreamGenerateContent?$alt=sse", "gemini-3.8-flash", True, False),
    ],
)  # fmt: skip
def test_the_path_names_model_and_framing(path: str, model: str, stream: bool, array: bool) -> None:
    assert recognise("POST", path) == "generate"
    found = facts(path)
    assert (found.requested_model, found.stream, found.array) == (model, stream, array)


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        (CLI["user-agent"], "gemini-cli"),
        ("GeminiCLI/0.30.0/gemini-3.8-flash (darwin; arm64)", "gemini-cli"),
        ("CloudCodeVSCode/0.61.0 (aidev_client; proxy_client=geminicli)", "gemini-cli"),
        ("google-genai-sdk/3.4.0+afc gl-python/3.11.7", "google-genai-python"),
        ("google-genai-sdk/2.32.0 gl-node/v20.20.2", "google-genai-js"),
        ("opencode/1.18.33", "opencode"),
        ("curl/8", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_client(agent: str, client: str) -> None:
    assert facts(headers={"user-agent": agent}).client == client


def test_an_install_id_is_no_conversation() -> None:
    assert facts(headers=CLI | {"x-gemini-api-privileged-user-id": "92a677b1"}).session_hint is None
    assert facts(headers={"x-session-id": "ses_1"}).session_hint == "ses_1"
    parent = facts(headers={"x-session-id": "ses_2", "x-parent-session-id": "ses_1"})
    assert (parent.turn, parent.session_hint) == (TurnKind.SUBAGENT, "ses_2/hello")


# --- Gemini CLI's own words ---------------------------------------------------------------

CONTEXT = {"text": "<session_context>\nThis is the Gemini CLI.\n</session_context>"}


@pytest.mark.parametrize(
    "foreign",
    [
        "<session_context>\nThis is the Gemini CLI.",
        "\n<hook_context>lint failed</hook_context>",
        "<state_snapshot>\n<overall_goal>x</overall_goal>",
        "This is the Gemini CLI. We are setting up the context for our chat.\nToday is Monday.",
        "Here is the user's editor context as a JSON object. This is for your information only.\n```json",
        "Here is a summary of changes in the user's editor context, in JSON format.",
        "System: Potential loop detected. Details: x",
        "[System: You previously returned an empty response with no text or thoughts.]",
        "Please continue.",
        "",
    ],
)
def test_the_first_words_are_the_person_s(foreign: str) -> None:
    contents = said(("user", [{"text": foreign}, {"text": "mend the points"}]), ("model", [{"text": "ok"}]),
                    ("user", [{"text": foreign}]))  # fmt: skip
    found = facts(contents=contents, headers=CLI)
    assert (found.first_user_text, found.user_texts) == ("mend the points", ("mend the points",))


def test_files_that_a_prompt_refers_to_are_not_its_words() -> None:
    parts = ["explain @a.py please", "\n--- Content from referenced files ---", "\nContent from @a.py:\n",
             "def secret(): ...", "\n--- End of content ---", "and briefly"]  # fmt: skip
    found = facts(contents=said(("user", [CONTEXT, *({"text": part} for part in parts)])))
    assert found.user_texts == ("explain @a.py please", "and briefly")


LOOP = "Please analyze the conversation history to determine the possibility that the conversation is stuck"
HAND_IN = [{"functionDeclarations": [{"name": "complete_task"}, {"name": "read_file"}]}]
JSON_CONFIG = {"responseMimeType": "application/json", "responseJsonSchema": {"type": "OBJECT"}}


@pytest.mark.parametrize(
    ("path", "newest", "members", "turn"),
    [
        (STREAM, "hello", {"tools": [FUNCTION]}, TurnKind.MAIN),
        (STREAM, "hello", {}, TurnKind.MAIN),
        (STREAM, "look into it", {"tools": HAND_IN}, TurnKind.SUBAGENT),
        (WHOLE, "hello", {"generationConfig": JSON_CONFIG}, TurnKind.CLASSIFIER),  # which model to take
        (WHOLE, "Analyze *only* the content", {"generationConfig": JSON_CONFIG}, TurnKind.CLASSIFIER),
        (WHOLE, LOOP, {"generationConfig": JSON_CONFIG}, TurnKind.CLASSIFIER),
        (WHOLE, "weather in Paris", {"tools": [SEARCH]}, TurnKind.CLASSIFIER),
        (WHOLE, "Summarize the following tool output to be a maximum of 2000", {}, TurnKind.CLASSIFIER),
        (WHOLE, "Summarize the user's primary intent or goal in this conversation", {}, TurnKind.TITLE),
        (
            WHOLE,
            "Generate a new <state_snapshot> based on the provided history.\n\nFirst, reason in your",
            {},
            TurnKind.COMPACTION,
        ),
        (WHOLE, "A previous <state_snapshot> exists in the history. You MUST", {}, TurnKind.COMPACTION),
        (WHOLE, "Critically evaluate the <state_snapshot> you just generated.", {}, TurnKind.COMPACTION),
        (WHOLE, "First, reason in your scratchpad. Then, generate the", {}, TurnKind.COMPACTION),
        (STREAM, "hello", {"generationConfig": {"maxOutputTokens": 1}}, TurnKind.PROBE),
    ],
)  # fmt: skip
def test_what_gemini_cli_asks_for(path: str, newest: str, members: Any, turn: TurnKind) -> None:
    before = [("user", [CONTEXT, {"text": "hi"}]), ("model", [{"text": "ok"}])]
    contents = said(*before, ("user", [{"text": newest}]))
    assert facts(path, CLI, contents=contents, **members).turn is turn


@pytest.mark.parametrize("agent", ["google-genai-sdk/3.4.0 gl-python/3.11.7", "curl/8"])
def test_what_others_ask_without_streaming_is_a_person_s(agent: str) -> None:
    found = facts(WHOLE, {"user-agent": agent}, generationConfig=JSON_CONFIG, tools=HAND_IN)
    assert found.turn is TurnKind.MAIN


def test_opencode_s_titles() -> None:
    headers = {"user-agent": "opencode/1.18.33"}
    contents = said(("user", [{"text": "Generate a title for this conversation:\n"}]))
    assert facts(STREAM, headers, contents=contents).turn is TurnKind.TITLE
    small = facts(STREAM, headers, generationConfig={"maxOutputTokens": 64})
    assert small.turn is TurnKind.CLASSIFIER


# --- anything -----------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["contents", "parts", "role", "text", "functionResponse", "inlineData", "mimeType", "data", "tools",
     "functionDeclarations", "name", "generationConfig", "thinkingConfig", "thinkingBudget", "toolConfig",
     "functionCallingConfig", "mode", "candidateCount", "responseModalities", "cachedContent", "serviceTier",
     "generateContentRequest", "fileData", "generation_config", "function_response"]
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


PATHS = st.sampled_from([STREAM, WHOLE, COUNT, "/", "/v1/models/%ff:generateContent"])


@given(st.dictionaries(NAMES, ANY, max_size=6), PATHS)
def test_any_json_has_facts(body: dict[str, Any], path: str) -> None:
    found = read_facts(Body.parse(json.dumps(body).encode()), {}, path, "generate")
    assert found.choices >= 1 and found.input_tokens_estimate >= 0
    assert all(isinstance(text, str) for text in (*found.user_texts, *found.needs, *found.tool_types))
    "".join((*found.user_texts, found.first_user_text, *found.tool_types)).encode()


def test_only_what_is_no_json_is_refused() -> None:
    for data in (b"", b"[]", b"{", base64.b64decode("/////w==")):
        with pytest.raises(BodyError):
            read_facts(Body.parse(data), {}, STREAM, "generate")


def test_facts_are_those_of_real_clients(captured: list[dict[str, Any]]) -> None:
    turns = []
    for entry in captured:
        headers = {name.lower(): value for name, value in entry["headers"]}
        found = read(entry["body"], entry["path"], headers)
        turns.append((found.client, found.turn, found.stream))
        assert not found.first_user_text.startswith("<session_context>")
        assert found.first_user_text in ("hi", "say hi", "run echo hi", "weather?")
        assert found.session_hint is None
        newest = entry["body"]["contents"][-1]["parts"]
        assert found.tool_loop == any("functionResponse" in part for part in newest)
    assert {turn for turn in turns if turn[0] == "gemini-cli"} == {
        ("gemini-cli", TurnKind.CLASSIFIER, False),
        ("gemini-cli", TurnKind.MAIN, True),
    }
    assert {turn[0] for turn in turns} == {"gemini-cli", "google-genai-python", "google-genai-js"}


@pytest.fixture
def captured(shared: Any) -> list[dict[str, Any]]:
    paths = sorted((shared / "captures").glob("*.jsonl"))
    entries = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    return [entry for entry in entries if entry["host"] == "generativelanguage.googleapis.com"]


def test_names_that_a_client_makes_up_are_not_kept_for_ever() -> None:
    tools = [{f"made_up_{number}": {}} for number in range(1_000)]
    assert len(facts(tools=tools).tool_types) == 1_000
    assert camel.cache_info().currsize <= 256
