"""What targets get of a neutral request: an example of every situation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pointsman.catalogue import Catalogue
from pointsman.wire import translate_request
from pointsman.wire.json_spans import Body
from pointsman.wire.neutral import (
    CallPart,
    Choice,
    DocumentPart,
    ImagePart,
    JsonAnswer,
    Message,
    Reasoning,
    Request,
    Target,
    TextPart,
    ThinkingPart,
    Tool,
)
from samples import FACTS
from wire.translation.said import (
    IMAGE,
    PDF,
    PIXEL,
    SCHEMA,
    STRICT,
    asking,
    call,
    model,
    result,
    user,
)
from wire.translation.strict import CHECKS, MODELS, writer

FORM = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
EXEC = Tool("exec", "runs", custom=True, namespace="functions", format=FORM)
DATA_URL = f"data:image/png;base64,{PIXEL}"
PAPER = DocumentPart("application/pdf", PDF, name="d.pdf")
NOTE = DocumentPart("text/plain", text="a note", name="n.txt")
NAMES = list(CHECKS)


def body(name: str, request: Request, *quirks: str, **more: Any) -> dict[str, Any]:
    target = Target("m", quirks=frozenset(quirks), **more)
    return writer(name).write_request(request, target).body


# --- the conversation ---------------------------------------------------------------------

LOOP = asking(
    user("look"),
    model("I see", call("a"), call("b")),
    user(result("a", "x", IMAGE), result("b", "no", error=True), "also"),
    system=("be kind", "be brief"),
)


def test_messages_at_anthropic() -> None:
    written = body("anthropic", LOOP, "no_cache_control")
    assert written["system"] == [{"type": "text", "text": text} for text in ("be kind", "be brief")]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    assert written["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "look"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I see"},
                {"type": "tool_use", "id": "a", "name": "ls", "input": {"path": "/"}},
                {"type": "tool_use", "id": "b", "name": "ls", "input": {"path": "/"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "x"}, picture],
                },
                {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": True},
                {"type": "text", "text": "also"},
            ],
        },
    ]


def test_messages_at_chat_completions() -> None:
    """Pictures cannot stand in a tool's message: they follow all of them in the user's."""
    function = {"name": "ls", "arguments": '{"path":"/"}'}
    assert body("openai_chat", LOOP)["messages"] == [
        {"role": "system", "content": "be kind\n\nbe brief"},
        {"role": "user", "content": "look"},
        {
            "role": "assistant",
            "content": "I see",
            "tool_calls": [{"id": each, "type": "function", "function": function} for each in "ab"],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x"},
        {"role": "tool", "tool_call_id": "b", "content": "no"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "(The tool `ls` gave this back:)"},
                {"type": "image_url", "image_url": {"url": DATA_URL}},
                {"type": "text", "text": "also"},
            ],
        },
    ]


def test_items_at_responses() -> None:
    written = body("openai_responses", LOOP)
    called = {"type": "function_call", "name": "ls", "arguments": '{"path":"/"}'}
    picture = [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": DATA_URL}]
    assert written["instructions"] == "be kind\n\nbe brief" and written["store"] is False
    assert written["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I see"}]},
        {**called, "call_id": "a"},
        {**called, "call_id": "b"},
        {"type": "function_call_output", "call_id": "a", "output": picture},
        {"type": "function_call_output", "call_id": "b", "output": "no"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "also"}]},
    ]


def test_contents_at_gemini() -> None:
    """No ids; the first call of a step is signed in every turn alike; results stand alone."""
    called = {"functionCall": {"name": "ls", "args": {"path": "/"}}}
    written = body("gemini", LOOP)
    assert written["systemInstruction"] == {"parts": [{"text": "be kind"}, {"text": "be brief"}]}
    assert written["contents"] == [
        {"role": "user", "parts": [{"text": "look"}]},
        {
            "role": "model",
            "parts": [
                {"text": "I see"},
                {**called, "thoughtSignature": "skip_thought_signature_validator"},
                called,
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "ls", "response": {"output": "x"}}},
                {"functionResponse": {"name": "ls", "response": {"error": "no"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"text": "(The tool `ls` gave this back:)"},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                {"text": "also"},
            ],
        },
    ]


def test_instructions_in_the_middle_are_the_developers_at_responses() -> None:
    request = asking(user("look"), Message("system", (TextPart("be quick"),)))
    developer = {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "be quick"}],
    }
    assert body("openai_responses", request)["input"][1] == developer
    for name in ("anthropic", "openai_chat", "gemini"):
        assert "<system-reminder>\\nbe quick\\n</system-reminder>" in json.dumps(body(name, request))


def test_documents() -> None:
    request = asking(user(PAPER, NOTE))
    inline = '<document name="n.txt">\na note\n</document>'
    url = f"data:application/pdf;base64,{PDF}"
    assert body("anthropic", request, "no_cache_control")["messages"][0]["content"] == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            "title": "d.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "a note"},
            "title": "n.txt",
        },
    ]
    assert body("openai_chat", request)["messages"][0]["content"] == [
        {"type": "file", "file": {"filename": "d.pdf", "file_data": url}},
        {"type": "text", "text": inline},
    ]
    assert body("openai_responses", request)["input"][0]["content"] == [
        {"type": "input_file", "filename": "d.pdf", "file_data": url},
        {"type": "input_text", "text": inline},
    ]
    assert body("gemini", request)["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
        {"text": inline},
    ]
    assert body("openai_chat", asking(user("read", NOTE)))["messages"][0]["content"] == f"read\n\n{inline}"


def test_addresses() -> None:
    request = asking(user(ImagePart(url="https://a/b.png")))
    (block,) = body("anthropic", request, "no_cache_control")["messages"][0]["content"]
    assert block == {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}
    (part,) = body("openai_chat", request)["messages"][0]["content"]
    assert part == {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
    (part,) = body("openai_responses", request)["input"][0]["content"]
    assert part == {"type": "input_image", "image_url": "https://a/b.png"}
    assert writer("gemini").untranslatable(request, Target("m")).startswith("images by address: ")


@pytest.mark.parametrize(("kind", "taken"), [("images", IMAGE), ("documents", PAPER)])
def test_a_target_that_takes_none(kind: str, taken: Any) -> None:
    target = Target("m", **{kind: False})  # type: ignore[arg-type]
    for request in (asking(user(taken)), asking(user("x"), model(call("a")), user(result("a", taken)))):
        why = translate_request.refusal(request, writer("openai_chat"), target)
        assert why == f"cannot be translated: {kind}: the target takes none"
    assert translate_request.refusal(asking(user("x")), writer("openai_chat"), target) == ""


# --- tools --------------------------------------------------------------------------------


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    """Codex' shell, elsewhere than at OpenAI's Responses."""
    made = CallPart("c", "exec", 'ls "x"', custom=True)
    request = asking(
        user("look"),
        model(made),
        user(result("c", "x")),
        tools=(EXEC,),
        choice=Choice("tool", "exec", "functions"),
    )
    (tool,) = body("anthropic", request, "no_cache_control")["tools"]
    assert tool["name"] == "exec" and tool["input_schema"]["required"] == ["input"]
    assert tool["description"] == "runs\n\nThe text in `input` must follow this lark grammar:\nstart: x"
    assert body("anthropic", request)["messages"][1]["content"][0]["input"] == {"input": 'ls "x"'}
    chat = body("openai_chat", request)
    assert chat["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"input":"ls \\"x\\""}'
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "exec"}}
    own = body("openai_responses", request)
    assert own["tools"] == [{"type": "custom", "name": "exec", "description": "runs", "format": FORM}]
    assert own["input"][1] == {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": 'ls "x"'}
    assert own["input"][2] == {"type": "custom_tool_call_output", "call_id": "c", "output": "x"}
    assert own["tool_choice"] == {"type": "custom", "name": "exec"}
    without = body("openai_responses", request, "no_custom")
    assert [item["type"] for item in without["input"]] == ["message", "function_call", "function_call_output"]
    assert without["tool_choice"] == {"type": "function", "name": "exec"}


def test_a_grammar_of_chat_completions_is_said_as_responses_says_it() -> None:
    nested = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    request = asking(user("look"), tools=(Tool("exec", custom=True, format=nested),))
    assert body("openai_responses", request)["tools"] == [{"type": "custom", "name": "exec", "format": FORM}]
    assert body("gemini", request)["tools"][0]["functionDeclarations"][0]["description"].endswith("start: x")


@pytest.mark.parametrize(
    ("arguments", "at_anthropic", "at_openai"),
    [
        ("", {}, "{}"),
        ('{"a": 1}', {"a": 1}, '{"a": 1}'),
        ("[1]", {"input": [1]}, '{"input":[1]}'),
        ('{"a": 1', {"input": '{"a": 1'}, '{"input":"{\\"a\\": 1"}'),
    ],
)
def test_arguments_that_are_no_object(arguments: str, at_anthropic: Any, at_openai: str) -> None:
    """A model may have left its JSON unfinished; APIs with objects, and templates, fail on that."""
    request = asking(user("x"), model(call("a", arguments=arguments)), user(result("a", "y")))
    assert body("anthropic", request)["messages"][1]["content"][0]["input"] == at_anthropic
    chat = body("openai_chat", request)["messages"][1]["tool_calls"][0]["function"]
    assert chat["arguments"] == body("openai_responses", request)["input"][1]["arguments"] == at_openai


def test_strict_is_asked_for_only_where_it_is_taken() -> None:
    tools = (Tool("a", "", STRICT, True), Tool("b", "", SCHEMA, True), Tool("c", "", SCHEMA))
    request = asking(user("x"), tools=tools)
    chat = [tool["function"].get("strict") for tool in body("openai_chat", request)["tools"]]
    assert chat == [True, False, None]
    assert [tool["strict"] for tool in body("openai_responses", request)["tools"]] == [True, False, False]
    assert "strict" not in json.dumps(body("openai_chat", request, "no_strict"))


def test_schemas_of_functions_are_objects_without_alternatives_on_top() -> None:
    one, other = {"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}
    odd = {"type": "object", "properties": {"c": {}}, "required": ["c"], "oneOf": [one, other]}
    request = asking(user("x"), tools=(Tool("f", "", odd), Tool("g"), Tool("h", "", {"$comment": "x"})))
    first, second, third = (tool["input_schema"] for tool in body("anthropic", request)["tools"])
    assert first["properties"].keys() == {"a", "b", "c"} and first["required"] == ["c"]
    assert "oneOf" not in first and second == {"type": "object", "properties": {}}
    assert third == {"type": "object", "$comment": "x"}


def test_googles_keywords() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "kind": {"const": "a"},
            "size": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
            "part": {"allOf": [{"$ref": "#/definitions/part"}], "description": "d"},
        },
        "definitions": {"part": {"type": "string", "pattern": "x"}},
    }
    (function,) = body("gemini", asking(user("x"), tools=(Tool("f", "", schema),)))["tools"][0][
        "functionDeclarations"
    ]
    assert function["parametersJsonSchema"] == {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a"]},
            "size": {"type": "integer", "maximum": 9},
            "part": {"$ref": "#/$defs/part", "description": "d"},
        },
        "$defs": {"part": {"type": "string"}},
    }


@pytest.mark.parametrize(
    ("choice", "anthropic", "chat", "gemini"),
    [
        (Choice("auto"), {"type": "auto"}, "auto", {"mode": "AUTO"}),
        (Choice("none"), {"type": "none"}, "none", {"mode": "NONE"}),
        (Choice("any"), {"type": "any"}, "required", {"mode": "ANY"}),
        (
            Choice("tool", "ls"),
            {"type": "tool", "name": "ls"},
            {"type": "function", "function": {"name": "ls"}},
            {"mode": "ANY", "allowedFunctionNames": ["ls"]},
        ),
    ],
)
def test_choices(choice: Choice, anthropic: Any, chat: Any, gemini: Any) -> None:
    request = asking(user("x"), choice=choice)
    assert body("anthropic", request)["tool_choice"] == anthropic
    assert body("openai_chat", request)["tool_choice"] == chat
    assert body("gemini", request)["toolConfig"] == {"functionCallingConfig": gemini}
    without = replace(request, tools=())
    for name in NAMES:
        assert not body(name, without).keys() & {"tool_choice", "toolConfig", "tools"}


def test_one_call_at_a_time() -> None:
    request = asking(user("x"), parallel_calls=False)
    assert body("anthropic", request)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert body("openai_chat", request)["parallel_tool_calls"] is False
    assert body("openai_responses", request)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in body("openai_chat", request, "no_parallel")


def test_calls_in_a_history_without_tools_have_tools_at_anthropic() -> None:
    request = asking(user("x"), model(call("a")), user(result("a", "y")), tools=())
    written = body("anthropic", request)
    assert [tool["name"] for tool in written["tools"]] == ["ls"] and written["tool_choice"] == {
        "type": "none"
    }


# --- how it is to be answered -------------------------------------------------------------

EFFORT = Reasoning(on=True, effort="high", shown=True)
BUDGET = Reasoning(on=True, budget_tokens=9_000)


@pytest.mark.parametrize(
    ("asked", "anthropic", "chat", "gemini"),
    [
        (Reasoning(), {}, None, None),
        (Reasoning(on=False), {"thinking": {"type": "disabled"}}, "none", {"thinkingBudget": 0}),
        (Reasoning(on=True), {"thinking": {"type": "adaptive"}}, "medium", {"thinkingBudget": -1}),
        (
            EFFORT,
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
            "high",
            {"includeThoughts": True, "thinkingLevel": "HIGH"},
        ),
        (
            BUDGET,
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
            "medium",
            {"thinkingBudget": 9_000},
        ),
        (
            Reasoning(on=True, effort="minimal"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            "minimal",
            {"thinkingLevel": "MINIMAL"},
        ),
        (
            Reasoning(on=True, effort="xhigh"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            "xhigh",
            {"thinkingLevel": "HIGH"},
        ),
    ],
)
def test_reasoning(asked: Reasoning, anthropic: Any, chat: Any, gemini: Any) -> None:
    request = asking(user("x"), reasoning=asked)
    written = body("anthropic", request)
    assert {key: written[key] for key in ("thinking", "output_config") if key in written} == anthropic
    assert body("openai_chat", request).get("reasoning_effort") == chat
    own = body("openai_responses", request).get("reasoning", {})
    assert own == ({"effort": chat} if chat else {}) | ({"summary": "auto"} if asked.shown else {})
    assert body("gemini", request).get("generationConfig", {}).get("thinkingConfig") == gemini


@pytest.mark.parametrize(
    ("quirk", "asked", "written"),
    [
        ("no_effort", EFFORT, {}),
        ("openrouter", EFFORT, {"reasoning": {"effort": "high"}}),
        ("openrouter", BUDGET, {"reasoning": {"max_tokens": 9_000}}),
        ("openrouter", Reasoning(on=False), {"reasoning": {"effort": "none"}}),
        ("thinking_switch", EFFORT, {"thinking": {"type": "enabled"}}),
        ("thinking_switch", Reasoning(on=False), {"thinking": {"type": "disabled"}}),
        ("thinking_switch", Reasoning(), {}),
    ],
)
def test_reasoning_at_those_who_copy_chat_completions(quirk: str, asked: Reasoning, written: Any) -> None:
    made = body("openai_chat", asking(user("x"), reasoning=asked), quirk)
    assert {key: made[key] for key in ("reasoning", "reasoning_effort", "thinking") if key in made} == written


def test_thinking_by_a_budget_only() -> None:
    request = asking(user("x"), reasoning=EFFORT, max_tokens=10_000)
    budget = {"type": "enabled", "budget_tokens": 5_000}
    assert body("anthropic", request, "thinking_budget")["thinking"] == budget
    short = replace(request, max_tokens=2_000)
    assert body("anthropic", short, "thinking_budget")["thinking"] == {"type": "disabled"}
    loop = replace(request, messages=(user("x"), model(call("a")), user(result("a", "y"))))
    assert body("anthropic", loop, "thinking_budget")["thinking"] == {"type": "disabled"}


def test_a_budget_and_an_open_loop_at_an_older_model() -> None:
    """The thinking that opened the loop was another provider's: with a budget Anthropic would refuse."""
    loop = asking(user("x"), model(call("a")), user(result("a", "y")), reasoning=EFFORT, max_tokens=10_000)
    model_row = Catalogue.load().resolve("claude-sonnet-4-5")
    target, surface = Target("claude-sonnet-4-5"), writer("anthropic")
    sent = translate_request.translated(loop, surface, target, model_row)
    assert json.loads(sent.body)["thinking"] == {"type": "disabled"}
    sent = translate_request.translated(asking(user("x"), reasoning=EFFORT), surface, target, model_row)
    assert json.loads(sent.body)["thinking"]["type"] == "enabled"
    assert {done.parameter for done in sent.adaptations} >= {"thinking"}


def test_a_forced_tool_is_called_without_thinking() -> None:
    request = asking(user("x"), reasoning=EFFORT, choice=Choice("any"))
    assert "thinking" not in body("anthropic", request)


def test_thoughts_go_back_to_those_who_want_them() -> None:
    """DeepSeek and Moonshot refuse a call without the thinking before it while the loop is open."""
    said = (
        user("x"),
        model(ThinkingPart("hm"), call("a")),
        user(result("a", "y")),
        model(call("b")),
        user(result("b", "z")),
    )
    messages = body("openai_chat", asking(*said), "reasoning_content")["messages"]
    assert [m.get("reasoning_content") for m in messages if m["role"] == "assistant"] == ["hm", " "]
    for name in NAMES:
        assert "hm" not in json.dumps(body(name, asking(*said)))


def test_answers_in_json() -> None:
    strict, loose = (
        asking(user("x"), json=JsonAnswer(STRICT, "a place", True)),
        asking(user("x"), json=JsonAnswer(SCHEMA)),
    )
    form = body("anthropic", loose)["output_config"]["format"]
    deep = {"type": "integer"}
    assert form == {
        "type": "json_schema",
        "schema": {
            **SCHEMA,
            "properties": {**SCHEMA["properties"], "deep": deep},
            "additionalProperties": False,
        },
    }
    assert body("openai_chat", strict)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "a_place", "schema": STRICT, "strict": True},
    }
    assert body("openai_chat", loose)["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": SCHEMA,
    }
    assert body("openai_responses", strict)["text"]["format"] == {
        "type": "json_schema",
        "name": "a_place",
        "schema": STRICT,
        "strict": True,
    }
    config = body("gemini", strict)["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": STRICT}


def test_answers_in_json_where_there_is_no_schema() -> None:
    free = asking(user("x"), json=JsonAnswer(), system=("be kind",))
    assert body("openai_chat", free)["response_format"] == {"type": "json_object"}
    assert body("openai_responses", free)["text"] == {"format": {"type": "json_object"}}
    assert body("gemini", free)["generationConfig"] == {"responseMimeType": "application/json"}
    kind, told = body("anthropic", free)["system"]
    assert kind["text"] == "be kind" and "one JSON object" in told["text"]
    bound = replace(free, json=JsonAnswer(STRICT))
    assert "output_config" not in body("anthropic", bound, "no_output_format")
    assert '"path"' in body("anthropic", bound, "no_output_format")["system"][1]["text"]
    deepseek = body("openai_chat", bound, "no_json_schema")
    assert (
        deepseek["response_format"] == {"type": "json_object"}
        and '"path"' in deepseek["messages"][0]["content"]
    )


def test_lengths() -> None:
    unsaid, said = asking(user("x")), asking(user("x"), max_tokens=9)
    assert body("anthropic", unsaid, max_tokens=7)["max_tokens"] == 7
    assert body("anthropic", said)["max_tokens"] == 9
    assert body("openai_chat", said)["max_completion_tokens"] == 9
    assert body("openai_chat", said, "max_tokens")["max_tokens"] == 9
    assert body("openai_responses", said)["max_output_tokens"] == 16
    assert body("gemini", said)["generationConfig"] == {"maxOutputTokens": 9}
    for name in NAMES:
        assert "900" not in json.dumps(body(name, asking(user("x"), max_tokens=900), most_tokens=100))


def test_sampling() -> None:
    said = asking(user("x"), temperature=1.5, top_p=0.5, top_k=4, seed=3, stop=("a", "b"))
    written = body("anthropic", said)
    assert (written["temperature"], written["top_p"], written["top_k"]) == (1, 0.5, 4)
    assert written["stop_sequences"] == ["a", "b"]
    thinking = replace(said, reasoning=Reasoning(on=True))
    assert not body("anthropic", thinking).keys() & {"temperature", "top_p", "top_k"}
    chat = body("openai_chat", said)
    assert (chat["temperature"], chat["seed"], chat["stop"]) == (1.5, 3, ["a", "b"]) and "top_k" not in chat
    assert body("openai_chat", said, "random_seed", "top_k").items() >= {"random_seed": 3, "top_k": 4}.items()
    config = body("gemini", said)["generationConfig"]
    assert config == {"temperature": 1.5, "topP": 0.5, "topK": 4, "stopSequences": ["a", "b"], "seed": 3}


def test_streams_are_asked_for_their_usage() -> None:
    request = asking(user("x"), stream=True, stream_usage=False)
    chat = body("openai_chat", request)
    assert chat["stream"] is True and chat["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body("openai_chat", request, "no_stream_options")
    assert body("anthropic", request)["stream"] is body("openai_responses", request)["stream"] is True
    written = writer("gemini").write_request(request, Target("models/m x"))
    assert written.path == "/models/models%2Fm%20x:streamGenerateContent?alt=sse"
    assert writer("gemini").write_request(asking(user("x")), Target("m")).path == "/models/m:generateContent"


def test_what_belongs_to_a_conversation() -> None:
    request = asking(user("x"), cache_key="k", verbosity="low")
    responses = body("openai_responses", request)
    assert responses["prompt_cache_key"] == "k" and responses["text"] == {"verbosity": "low"}
    assert "verbosity" not in body("openai_chat", request)
    assert body("openai_chat", request, "verbosity")["verbosity"] == "low"


@pytest.mark.parametrize("name", NAMES)
def test_a_providers_own_members_stand_above_all(name: str) -> None:
    extra = {"provider": {"order": ["a"]}, "temperature": 0}
    assert body(name, asking(user("x"), temperature=1), extra=extra).items() >= extra.items()


# --- the prompt cache ---------------------------------------------------------------------


def marked(written: dict[str, Any]) -> list[str]:
    """Where Anthropic's break points are."""
    found = [
        f"{key} {at}"
        for key in ("system", "tools")
        for at, block in enumerate(written.get(key, []))
        if "cache_control" in block
    ]
    return found + [
        f"{at} {block['type']}"
        for at, message in enumerate(written["messages"])
        for block in message["content"]
        if "cache_control" in block
    ]


def test_break_points_of_the_cache() -> None:
    said = (user("x"), model(call("a")), user(result("a", "y")), model("so"), user("and", "then"))
    assert marked(body("anthropic", asking(*said, system=("a", "b")))) == [
        "system 1",
        "2 tool_result",
        "4 text",
    ]
    assert marked(body("anthropic", asking(*said))) == ["tools 0", "2 tool_result", "4 text"]
    assert marked(body("anthropic", asking(user("x"), tools=()))) == ["0 text"]
    assert marked(body("anthropic", asking(*said), "no_cache_control")) == []


# --- keys, counts, whole requests ---------------------------------------------------------


def test_keys() -> None:
    version = {"anthropic-version": "2023-06-01"}
    assert writer("anthropic").authorize("s") == {"x-api-key": "s", **version}
    assert writer("anthropic").authorize("") == version
    for name in ("openai_chat", "openai_responses"):
        assert writer(name).authorize("s") == {"authorization": "Bearer s"}
        assert writer(name).authorize("") == {}
    assert writer("gemini").authorize("s") == {"x-goog-api-key": "s"} and not writer("gemini").authorize("")


def test_counts() -> None:
    assert json.loads(writer("anthropic").write_count(7)) == {"input_tokens": 7}
    assert json.loads(writer("gemini").write_count(7))["totalTokens"] == 7
    own = {"object": "response.input_tokens", "input_tokens": 7}
    assert json.loads(writer("openai_responses").write_count(7)) == own
    assert writer("openai_chat").write_count(7) == b""
    row = Catalogue.load().resolve("claude-opus-4-8")
    assert (
        row is not None and translate_request.counted(FACTS, row) == round(10_000 * row.token_factor) > 10_000
    )
    assert translate_request.counted(FACTS, None) == 10_000
    assert translate_request.counted(replace(FACTS, input_tokens_estimate=0), None) == 1


def test_losses_are_adaptations() -> None:
    """Those of the reader, then those of the writer, then what the model could not take."""
    request = replace(asking(user("x"), top_k=4, temperature=0.5), losses=("metadata",))
    row = Catalogue.load().resolve("gpt-5")
    sent = translate_request.translated(request, writer("openai_chat"), Target("gpt-5"), row)
    found = [(done.parameter, done.verb) for done in sent.adaptations]
    assert found == [("metadata", "lose"), ("top_k", "lose"), ("temperature", "drop")]


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_what_the_target_reads(name: str) -> None:
    target = Target(MODELS[name][0])
    sent = translate_request.translated(LOOP, writer(name), target)
    assert sent.body == translate_request.translated(LOOP, writer(name), target).body
    facts = translate_request.facts_at(LOOP, writer(name), target)
    assert (facts.surface, facts.requested_model, facts.tools) == (name, target.model, 1)
    again = writer(name).read_request(Body.parse(sent.body), f"/v1beta{sent.path}", {})
    assert again.system == (("be kind\n\nbe brief",) if name.startswith("openai") else LOOP.system)
