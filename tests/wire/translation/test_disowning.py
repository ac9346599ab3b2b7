"""What a translated answer made up leaves the history before a native provider sees it, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pointsman.wire.json_spans import Body
from wire.translation.strict import writer

CLAUDE = """{"model": "m",  "messages": [
  {"role": "user", "content": "hi \\u00fc"},
  {"role": "assistant", "content": [
    {"type": "thinking", "thinking": "hm", "signature": "pointsman_1"},
    {"type": "text",  "text": "I see"},
    {"type": "tool_use", "id": "call_pointsman_1_0", "name": "ls", "input": {}}]},
  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_pointsman_1_0", "content": "x"}]}
], "max_tokens": 9}"""
UNTHOUGHT = CLAUDE.replace(
    """
    {"type": "thinking", "thinking": "hm", "signature": "pointsman_1"},
    {"type": "text",""",
    """
    {"type": "text",""",
)

CODEX = """{"model": "m", "input": [
  {"type": "message", "role": "user", "content": "hi \\u00fc"},
  {"type": "reasoning", "id": "rs_pointsman_1_0", "summary": [{"type": "summary_text", "text": "hm"}]},
  {"type": "message",  "id": "msg_pointsman_1_1", "role": "assistant", "content": []},
  {"id": "fc_pointsman_1_2", "type": "function_call",  "call_id": "call_pointsman_1_2", "name": "ls"},
  {"type": "custom_tool_call", "name": "exec", "call_id": "call_pointsman_1_3", "id": "ctc_pointsman_1_3"},
  {"type": "reasoning", "id": "rs_68a", "encrypted_content": "gAAA"},
  {"type": "message", "id": "msg_68a", "role": "assistant", "content": "of pointsman_ I know nothing"},
  {"type": "item_reference", "id": "msg_pointsman_1_1"}
]}"""
NAMELESS = """{"model": "m", "input": [
  {"type": "message", "role": "user", "content": "hi \\u00fc"},
  {"type": "message", "role": "assistant", "content": []},
  {"type": "function_call",  "call_id": "call_pointsman_1_2", "name": "ls"},
  {"type": "custom_tool_call", "name": "exec", "call_id": "call_pointsman_1_3"},
  {"type": "reasoning", "id": "rs_68a", "encrypted_content": "gAAA"},
  {"type": "message", "id": "msg_68a", "role": "assistant", "content": "of pointsman_ I know nothing"}
]}"""

GEMINI = """{"contents": [{"role": "user", "parts": [{"text": "hi"}]},
  {"role": "model", "parts": [
    {"text": "I see", "thoughtSignature": "EqQB"},
    {"functionCall": {"name": "ls"}, "thoughtSignature": "pointsman_1"}]}]}"""
SKIPPED = GEMINI.replace("pointsman_1", "skip_thought_signature_validator")


def disowned(name: str, text: str) -> tuple[int, str]:
    body = Body.parse(text.encode())
    return writer(name).disown(body), body.render().decode()


@pytest.mark.parametrize(
    ("name", "given", "left", "count"),
    [
        ("anthropic", CLAUDE, UNTHOUGHT, 1),
        ("openai_responses", CODEX, NAMELESS, 5),
        ("gemini", GEMINI, SKIPPED, 1),
    ],
)
def test_only_what_was_made_up_goes(name: str, given: str, left: str, count: int) -> None:
    assert disowned(name, given) == (count, left)
    assert disowned(name, left) == (0, left)


def test_a_message_that_was_nothing_but_thinking_goes() -> None:
    thought = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "", "signature": "pointsman"}],
    }
    said = [{"role": "user", "content": "hi"}, thought, {"role": "user", "content": "and?"}]
    count, left = disowned("anthropic", json.dumps({"messages": said}))
    assert (count, json.loads(left)["messages"]) == (1, [said[0], said[2]])


def test_what_a_provider_signed_stays_and_words_are_no_signature() -> None:
    signed: Any = {"type": "thinking", "thinking": "pointsman", "signature": "EqQB"}
    text = json.dumps(
        {"messages": [{"role": "assistant", "content": [signed, {"type": "text", "text": "pointsman"}]}]}
    )
    assert disowned("anthropic", text) == (0, text)


@pytest.mark.parametrize("thinking", ["enabled", "adaptive", "disabled"])
def test_an_open_loop_without_its_thinking_goes_on_without_a_budget(thinking: str) -> None:
    body = json.loads(CLAUDE) | {"thinking": {"type": thinking, "budget_tokens": 2_000}}
    _, left = disowned("anthropic", json.dumps(body))
    assert json.loads(left)["thinking"]["type"] == ("disabled" if thinking == "enabled" else thinking)
    body["messages"] = [*body["messages"], {"role": "user", "content": "and?"}]
    _, left = disowned("anthropic", json.dumps(body))
    assert json.loads(left)["thinking"]["type"] == thinking


@pytest.mark.parametrize("name", ["anthropic", "openai_chat", "openai_responses", "gemini"])
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"messages": "pointsman", "input": "pointsman", "contents": "pointsman"}',
        '{"messages": [1, "pointsman"], "input": [1, "pointsman"], "contents": [1, "pointsman"]}',
        '{"messages": [{"pointsman": 1}], "input": [{"pointsman": 1}], "contents": [{"pointsman": 1}]}',
    ],
)
def test_what_cannot_be_read_stays(name: str, text: str) -> None:
    assert disowned(name, text) == (0, text)
