"""What clients say, as neutral requests: an example of every situation."""

from __future__ import annotations

from typing import Any

import pytest
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import (
    CallPart,
    Choice,
    DocumentPart,
    ImagePart,
    JsonAnswer,
    Message,
    Reasoning,
    Request,
    ResultPart,
    Target,
    TextPart,
    ThinkingPart,
    Tool,
)
from wire.translation.said import PDF, PIXEL, SCHEMA, model, user
from wire.translation.strict import writer

PATHS = {
    "anthropic": "/v1/messages?beta=true",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}
PNG = ImagePart("image/png", PIXEL)
AT = ImagePart(url="https://a.example/b.png")
DATA_URL = f"data:image/png;base64,{PIXEL}"
PDF_URL = f"data:application/pdf;base64,{PDF}"


def read(name: str, headers: dict[str, str] | None = None, path: str = "", **members: Any) -> Request:
    body = Body.parse(encode({"model": "m", **members}))
    return writer(name).read_request(body, path or PATHS[name], headers or {})


# --- Messages -----------------------------------------------------------------------------


def claude(*messages: dict[str, Any], **more: Any) -> Request:
    return read("anthropic", messages=list(messages), max_tokens=9, **more)


def blocks(*content: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


def source(kind: str, **more: str) -> dict[str, Any]:
    return {"source": {"type": kind, **more}}


def test_claude_codes_instructions() -> None:
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.c40"}
    system = [billing, {"type": "text", "text": "You are Claude."}, {"type": "text", "text": " "}]
    request = claude(
        {"role": "user", "content": "hi"}, {"role": "system", "content": "be quick"}, system=system
    )
    assert request.system == ("You are Claude.",)
    assert request.messages == (user("hi"), Message("system", (TextPart("be quick"),)))
    assert claude(system="You are Claude.").system == ("You are Claude.",)


def test_claude_calls_and_results() -> None:
    called = {"type": "tool_use", "id": "t1", "name": "ls", "input": {"path": "/"}}
    image = {"type": "image", **source("base64", media_type="image/png", data=PIXEL)}
    text = {"type": "text", "text": "two"}
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "one", "is_error": True},
        {"type": "tool_result", "tool_use_id": "t1", "content": [text, image]},
        {"type": "tool_result", "tool_use_id": "t9"},
    ]
    request = claude(blocks(called, role="assistant"), blocks(*results))
    assert request.messages == (
        model(CallPart("t1", "ls", '{"path":"/"}')),
        user(
            ResultPart("t1", "ls", (TextPart("one"),), error=True),
            ResultPart("t1", "ls", (TextPart("two"), PNG)),
            ResultPart("t9", "", ()),
        ),
    )


def test_claude_thinking_is_ours_or_nobodys() -> None:
    ours = {"type": "thinking", "thinking": "hm", "signature": "pointsman_1"}
    theirs = {"type": "thinking", "thinking": "so", "signature": "EqQB"}
    sealed = {"type": "redacted_thinking", "data": "EqQB"}
    text = {"type": "text", "text": "I see"}
    request = claude(blocks(ours, theirs, sealed, text, role="assistant"))
    assert request.messages == (model(ThinkingPart("hm"), "I see"),)
    assert request.losses == ("thinking blocks",)


def test_claude_pictures_and_documents() -> None:
    given = (
        {"type": "image", **source("base64", media_type="image/png", data=PIXEL)},
        {"type": "image", **source("url", url=AT.url)},
        {"type": "document", "title": "d.pdf", **source("base64", media_type="application/pdf", data=PDF)},
        {"type": "document", "context": "an old one", **source("text", media_type="text/plain", data="x")},
        {"type": "document", **source("url", url="https://a.example/b.pdf")},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
        {
            "type": "search_result",
            "title": "T",
            "source": "S",
            "content": [{"type": "text", "text": "found"}],
        },
    )
    assert claude(blocks(*given)).messages == (
        user(
            PNG,
            AT,
            DocumentPart("application/pdf", PDF, name="d.pdf"),
            "an old one",
            DocumentPart("text/plain", text="x"),
            DocumentPart("application/pdf", url="https://a.example/b.pdf"),
            "inner",
            "T\nS\nfound",
        ),
    )


def test_claude_tools() -> None:
    tools = [{"name": "ls", "description": "lists", "input_schema": SCHEMA}, {"name": "x", "strict": True}]
    forced = {"type": "tool", "name": "ls", "disable_parallel_tool_use": True}
    request = claude(tools=tools, tool_choice=forced)
    assert request.tools == (Tool("ls", "lists", SCHEMA), Tool("x", strict=True))
    assert (request.choice, request.parallel_calls) == (Choice("tool", "ls"), False)


@pytest.mark.parametrize(
    ("thinking", "effort", "meant"),
    [
        (None, None, Reasoning()),
        ({"type": "disabled"}, "low", Reasoning(on=False)),
        ({"type": "between_tools"}, None, Reasoning(on=False)),
        ({"type": "adaptive"}, "high", Reasoning(on=True, effort="high", shown=True)),
        ({"type": "adaptive", "display": "omitted"}, None, Reasoning(on=True)),
        (
            {"type": "enabled", "budget_tokens": 4_000},
            None,
            Reasoning(on=True, budget_tokens=4_000, shown=True),
        ),
        (None, "low", Reasoning(effort="low")),
    ],
)
def test_claude_thinking_wanted(thinking: Any, effort: Any, meant: Reasoning) -> None:
    assert claude(thinking=thinking, output_config={"effort": effort}).reasoning == meant


def test_claude_members() -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    more = {"temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ["x"], "stream": True}
    headers = {"x-claude-code-session-id": "s-1"}
    request = read("anthropic", headers, messages=[], output_config={"format": form}, **more)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 4, ("x",))
    assert request.stream and request.stream_usage and request.cache_key == "s-1"
    assert request.json == JsonAnswer(SCHEMA, strict=True)
    assert read("anthropic", messages=[], output_format=form).json == request.json


# --- Chat Completions ---------------------------------------------------------------------


def chat(*messages: dict[str, Any], **more: Any) -> Request:
    return read("openai_chat", messages=list(messages), **more)


def test_chat_instructions() -> None:
    request = chat(
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": [{"type": "text", "text": "be brief"}]},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "be quick"},
    )
    assert request.system == ("be kind", "be brief")
    assert request.messages == (user("hi"), Message("system", (TextPart("be quick"),)))


def test_chat_calls_and_results() -> None:
    function = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": '{"path": "/"}'}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    request = chat(
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [function, custom]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        {"role": "assistant", "content": None, "refusal": "I will not."},
    )
    assert request.messages == (
        model(
            ThinkingPart("hm"),
            CallPart("c1", "ls", '{"path": "/"}'),
            CallPart("c2", "patch", "*** Begin", custom=True),
        ),
        user(ResultPart("c1", "ls", (TextPart("one"),))),
        user(ResultPart("c2", "patch", (TextPart("two"),), custom=True)),
        model("I will not."),
    )


def test_chat_pictures_and_documents() -> None:
    given = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": DATA_URL}},
        {"type": "image_url", "image_url": {"url": AT.url}},
        {"type": "file", "file": {"filename": "d.pdf", "file_data": PDF_URL}},
        {"type": "file", "file": {"filename": "d.png", "file_data": DATA_URL}},
    ]
    document = DocumentPart("application/pdf", PDF, name="d.pdf")
    assert chat({"role": "user", "content": given}).messages == (user("look", PNG, AT, document, PNG),)


def test_chat_tools() -> None:
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    tools = [
        {"type": "function", "function": {"name": "ls", "parameters": SCHEMA, "strict": True}},
        {"type": "custom", "custom": {"name": "patch", "description": "mends", "format": form}},
    ]
    request = chat(tools=tools, tool_choice={"type": "custom", "custom": {"name": "patch"}})
    assert request.tools == (Tool("ls", "", SCHEMA, True), Tool("patch", "mends", custom=True, format=form))
    assert request.choice == Choice("tool", "patch")
    only = {"mode": "required", "tools": [{"type": "function", "function": {"name": "ls"}}]}
    request = chat(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": only})
    assert [tool.name for tool in request.tools] == ["ls"] and request.choice == Choice("any")
    assert chat(tools=tools, tool_choice="required").choice == Choice("any")


def test_chat_members() -> None:
    request = chat(
        max_tokens=5,
        max_completion_tokens=7,
        temperature=0.5,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        seed=4,
        stop="x",
        reasoning_effort="none",
        verbosity="low",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
        },
        stream=True,
        parallel_tool_calls=False,
        prompt_cache_key="k",
    )
    assert (request.max_tokens, request.temperature, request.seed, request.stop) == (7, 0.5, 4, ("x",))
    assert (request.presence_penalty, request.frequency_penalty, request.verbosity) == (0.1, 0.2, "low")
    assert request.reasoning == Reasoning(on=False) and request.json == JsonAnswer(SCHEMA, "n", True)
    assert request.stream and not request.stream_usage and request.parallel_calls is False
    assert request.cache_key == "k"
    assert chat(stream=True, stream_options={"include_usage": True}).stream_usage
    assert chat(response_format={"type": "json_object"}).json == JsonAnswer()
    assert chat(reasoning_effort="low").reasoning == Reasoning(on=True, effort="low")


# --- Responses ----------------------------------------------------------------------------


def responses(*items: dict[str, Any], **more: Any) -> Request:
    return read("openai_responses", input=list(items), **more)


def item(role: str, *texts: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text} for text in texts]}


def test_codex_tools_and_instructions() -> None:
    """Codex 0.169: tools in the input, by namespaces; instructions as the developer's messages."""
    form = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    exec_ = {"type": "custom", "name": "exec", "description": "runs", "format": form}
    sleep = {"type": "function", "name": "sleep", "strict": False, "parameters": SCHEMA}
    spaces = [
        {"type": "namespace", "name": "functions", "tools": [exec_]},
        {"type": "namespace", "name": "clock", "tools": [sleep]},
    ]
    request = responses(
        {"type": "additional_tools", "role": "developer", "tools": spaces},
        item("developer", "be kind", "be brief"),
        item("user", "hi"),
        item("developer", "be quick"),
        tools=[{"type": "function", "name": "ls", "parameters": SCHEMA}],
        instructions="be Codex",
        tool_choice={"type": "function", "name": "sleep"},
    )
    assert request.system == ("be Codex", "be kind", "be brief")
    assert request.messages == (user("hi"), Message("system", (TextPart("be quick"),)))
    assert request.tools == (
        Tool("ls", "", SCHEMA),
        Tool("exec", "runs", custom=True, namespace="functions", format=form),
        Tool("sleep", "", SCHEMA, False, namespace="clock"),
    )
    assert request.choice == Choice("tool", "sleep", "clock")
    assert request.refused == ()


def test_responses_calls_and_results() -> None:
    image = {"type": "input_image", "image_url": DATA_URL}
    action = {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": None}
    request = responses(
        {"type": "function_call", "call_id": "c1", "name": "sleep", "namespace": "clock", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "exec", "input": "ls"},
        {"type": "local_shell_call", "call_id": "c3", "action": action},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "x"}, image],
        },
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"},
        {"type": "local_shell_call_output", "call_id": "c3", "output": "z"},
        {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c4", "output": [{"stdout": "a", "stderr": "b"}]},
        {"type": "apply_patch_call", "call_id": "c5", "operation": {"type": "delete_file", "path": "p"}},
        {"type": "apply_patch_call_output", "call_id": "c5", "status": "completed", "output": "done"},
    )
    parts = [part for message in request.messages for part in message.parts]
    assert parts == [
        CallPart("c1", "sleep", "{}", namespace="clock"),
        CallPart("c2", "exec", "ls", custom=True),
        CallPart("c3", "local_shell", '{"type":"exec","command":["ls"]}'),
        ResultPart("c1", "sleep", (TextPart("x"), PNG)),
        ResultPart("c2", "exec", (TextPart("y"),), custom=True),
        ResultPart("c3", "local_shell", (TextPart("z"),)),
        CallPart("c4", "shell", '{"commands":["ls"]}'),
        ResultPart("c4", "shell", (TextPart("a\nb"),)),
        CallPart("c5", "apply_patch", '{"type":"delete_file","path":"p"}'),
        ResultPart("c5", "apply_patch", (TextPart("done"),)),
    ]


def test_responses_reasoning_is_ours_or_nobodys() -> None:
    summary = [{"type": "summary_text", "text": "hm"}]
    ours = {"type": "reasoning", "id": "rs_pointsman_1_0", "summary": summary}
    theirs = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"}
    request = responses(item("user", "hi"), ours, theirs, item("assistant", "I see"))
    assert request.messages == (user("hi"), model(ThinkingPart("hm")), model("I see"))


def test_responses_pictures_and_documents() -> None:
    given = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": DATA_URL},
        {"type": "input_image", "image_url": AT.url},
        {"type": "input_file", "filename": "d.pdf", "file_data": PDF_URL},
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
    ]
    assert responses({"role": "user", "content": given}).messages == (
        user(
            "look",
            PNG,
            AT,
            DocumentPart("application/pdf", PDF, name="d.pdf"),
            DocumentPart("application/pdf", url="https://a.example/b.pdf"),
        ),
    )
    assert read("openai_responses", input="hi").messages == (user("hi"),)


def test_responses_members() -> None:
    request = responses(
        max_output_tokens=70,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low", "summary": "auto"},
        text={
            "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
        },
        stream=True,
        parallel_tool_calls=False,
        prompt_cache_key="k",
        tool_choice="required",
    )
    assert (request.max_tokens, request.temperature, request.top_p) == (70, 0.5, 0.9)
    assert request.reasoning == Reasoning(on=True, effort="low", shown=True)
    assert request.json == JsonAnswer(SCHEMA, "n", True) and request.verbosity == "low"
    assert request.stream and request.stream_usage and request.parallel_calls is False
    assert (request.cache_key, request.choice) == ("k", Choice("any"))
    assert responses(text={"format": {"type": "json_object"}}).json == JsonAnswer()


# --- Gemini -------------------------------------------------------------------------------


def gemini(*contents: Any, path: str = "", **more: Any) -> Request:
    return read("gemini", path=path, contents=list(contents), **more)


def content(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def test_gemini_calls_without_ids_belong_by_name_and_order() -> None:
    ls, cat = {"functionCall": {"name": "ls", "args": {"n": 1}}}, {"functionCall": {"name": "cat"}}
    given = [
        {"functionResponse": {"name": name, "response": response}}
        for name, response in (
            ("cat", {"error": "no such file"}),
            ("ls", {"output": "one"}),
            ("ls", {"a": 1, "b": 2}),
        )
    ]
    request = gemini(content("user", {"text": "hi"}), content("model", ls, cat, ls), content("user", *given))
    calls, results = request.messages[1].parts, request.messages[2].parts
    assert [part.id for part in calls if isinstance(part, CallPart)] == ["call_1_0", "call_1_1", "call_1_2"]
    assert results == (
        ResultPart("call_1_1", "cat", (TextPart("no such file"),), error=True),
        ResultPart("call_1_0", "ls", (TextPart("one"),)),
        ResultPart("call_1_2", "ls", (TextPart('{"a":1,"b":2}'),)),
    )
    split = gemini(content("model", ls, cat), content("function", given[1]), content("function", given[0]))
    assert [part.id for m in split.messages[1:] for part in m.parts if isinstance(part, ResultPart)] == [
        "call_0_0",
        "call_0_1",
    ]


def test_gemini_calls_with_ids() -> None:
    """As Gemini CLI 0.61 sends them."""
    called = {"functionCall": {"id": "ls_1", "name": "ls", "args": {}}, "thoughtSignature": "EqQB"}
    picture = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    given = {
        "functionResponse": {"id": "ls_1", "name": "ls", "response": {"result": "x"}, "parts": [picture]}
    }
    request = gemini(content("model", {"text": "so", "thought": True}, called), content("user", given))
    assert request.messages == (
        model(ThinkingPart("so"), CallPart("ls_1", "ls", "{}")),
        user(ResultPart("ls_1", "ls", (TextPart("x"), PNG))),
    )


def test_gemini_spellings_and_bare_values() -> None:
    """Google takes both spellings of a member, and one object for a list of one."""
    config = {"max_output_tokens": 9, "stop_sequences": ["x"], "top_k": 4.0, "presence_penalty": 0.1}
    request = read(
        "gemini",
        contents={"parts": {"text": "hi"}},
        system_instruction={"parts": {"text": "be kind"}},
        generation_config=config,
        tools={"function_declarations": {"name": "ls", "parameters": {"type": "OBJECT"}}},
    )
    assert (request.messages, request.system) == ((user("hi"),), ("be kind",))
    assert (request.max_tokens, request.stop, request.top_k, request.presence_penalty) == (9, ("x",), 4, 0.1)
    assert request.tools == (Tool("ls", "", {"type": "object"}),)
    assert not request.losses and not request.refused


def test_gemini_pictures_and_documents() -> None:
    given = [
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
        {"inlineData": {"mimeType": "application/pdf", "data": PDF, "displayName": "d.pdf"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/b.png"}},
    ]
    assert gemini(content("user", *given)).messages == (
        user(
            PNG,
            DocumentPart("application/pdf", PDF, name="d.pdf"),
            ImagePart("image/png", url="https://a.example/b.png"),
        ),
    )


def test_gemini_schemas_become_json_schema() -> None:
    """Types in capitals, `nullable`, and numbers as texts: the JSON of protocol buffers."""
    ours = {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "ARRAY", "min_items": "2", "items": {"type": "STRING", "nullable": True}},
            "b": {"anyOf": [{"type": "INTEGER"}, {"type": "TYPE_UNSPECIFIED", "title": "any"}]},
        },
        "propertyOrdering": ["b", "a"],
    }
    theirs = {
        "type": "object",
        "properties": {
            "a": {"type": "array", "minItems": 2, "items": {"type": ["string", "null"]}},
            "b": {"anyOf": [{"type": "integer"}, {"title": "any"}]},
        },
    }
    config = {"responseMimeType": "application/json", "responseSchema": ours}
    request = gemini(
        tools=[{"functionDeclarations": [{"name": "f", "parameters": ours}]}], generationConfig=config
    )
    assert request.tools == (Tool("f", "", theirs),)
    assert request.json == JsonAnswer(theirs, strict=True)


@pytest.mark.parametrize(
    ("calling", "choice", "offered"),
    [
        ({"mode": "AUTO"}, Choice("auto"), "ab"),
        ({"mode": "NONE"}, Choice("none"), "ab"),
        ({"mode": "any"}, Choice("any"), "ab"),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, Choice("tool", "b"), "ab"),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["b"]}, Choice("auto"), "b"),
        ({}, None, "ab"),
    ],
)
def test_gemini_choices(calling: Any, choice: Choice | None, offered: str) -> None:
    tools = [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]
    request = gemini(tools=tools, toolConfig={"functionCallingConfig": calling})
    assert (request.choice, "".join(tool.name for tool in request.tools)) == (choice, offered)


@pytest.mark.parametrize(
    ("thinking", "meant"),
    [
        ({}, Reasoning()),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, Reasoning(on=True, effort="high", shown=True)),
        ({"thinkingBudget": 0}, Reasoning(on=False)),
        ({"thinkingBudget": -1}, Reasoning(on=True)),
        ({"thinking_budget": 2_000}, Reasoning(on=True, budget_tokens=2_000)),
    ],
)
def test_gemini_thinking_wanted(thinking: Any, meant: Reasoning) -> None:
    assert gemini(generationConfig={"thinkingConfig": thinking}).reasoning == meant


def test_gemini_counts_what_is_wrapped_and_streams_by_its_path() -> None:
    wrapped = {"contents": [content("user", {"text": "hi"})], "model": "models/m"}
    path = "/v1beta/models/m:countTokens"
    assert read("gemini", path=path, generateContentRequest=wrapped).messages == (user("hi"),)
    assert gemini(path="/v1beta/models/m:streamGenerateContent?alt=sse").stream
    assert not gemini().stream


# --- any shape ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("wrong", [None, 1, "text", True, [1, None, "x", [[]]], {"a": {"b": 1}}])
def test_members_of_wrong_types_count_as_absent(name: str, wrong: Any) -> None:
    known = (
        *(
            "messages",
            "input",
            "contents",
            "system",
            "instructions",
            "systemInstruction",
            "tools",
            "tool_choice",
        ),
        *(
            "toolConfig",
            "generationConfig",
            "thinking",
            "output_config",
            "stop",
            "stop_sequences",
            "reasoning",
        ),
        *(
            "text",
            "response_format",
            "temperature",
            "top_k",
            "seed",
            "max_tokens",
            "stream",
            "stream_options",
        ),
        *("n", "include", "metadata", "context_management", "prompt_cache_key", "reasoning_effort"),
    )
    request = read(name, **dict.fromkeys(known, wrong))
    assert request.max_tokens in (None, 1)
    assert all(isinstance(text, str) and text for text in (*request.stop, *request.system))


def test_lone_surrogates_do_no_harm() -> None:
    data = b'{"model": "m", "messages": [{"role": "user", "content": "a \\ud800 b"}]}'
    request = writer("openai_chat").read_request(Body.parse(data), PATHS["openai_chat"], {})
    for name in PATHS:
        written = writer(name).write_request(request, Target("m"))
        assert b"a ? b" in encode(written.body)
