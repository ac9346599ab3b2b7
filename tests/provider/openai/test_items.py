"""What may stand in the input of a Responses request, and what belongs together."""

from __future__ import annotations

from typing import Any

import pytest
from provider.answers import Answer, Call, Given, Text, Think
from provider.openai.family import OpenAI
from provider.openai.samples import HI, PIXEL, ask, refused, responses

ENCRYPTED = {"include": ["reasoning.encrypted_content"], "store": False}
CALL = {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "exec", "input": "ls"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([{"role": "user", "content": []}], "Invalid 'input[0].content': empty array"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "robot", "content": "x"}], "'assistant', 'system'"),
        ([{"role": "assistant", "content": [{"type": "input_text"}]}], "'output_text', and 'refusal'"),
        ([{**HI, "x_router": 1}], "Unknown parameter: 'input[0].x_router'"),
        ([{"role": "user", "content": [{"type": "input_text", "y": 1}]}], "input[0].content[0].y"),
        ([{**HI, "id": "item_1"}], "begins with 'msg'"),
        ([HI, {**CALL, "id": "call_1"}, OUTPUT], "begins with 'fc'"),
        ([{"type": "thought"}], "Invalid value: 'thought'"),
        ([{"content": "x"}], "input[0].type"),
        ([HI, CALL], "No tool output found for function call c1"),
        ([HI, OUTPUT], "No tool call found for function call output with call_id c1"),
        ([HI, OUTPUT, CALL], "No tool call found"),
        ([HI, CUSTOM], "No tool output found for custom tool call c2"),
        ([HI, CUSTOM, {**OUTPUT, "call_id": "c2"}], "No tool call found for function call output"),
        ([HI, {"type": "function_call", "call_id": "c1", "name": "ls"}], "input[1].arguments"),
        ([HI, {**OUTPUT, "output": []}], "input[1].output': empty array"),
        ([HI, {"type": "item_reference", "id": "msg_1"}], "Item with id 'msg_1' not found"),
        ([HI, {"type": "reasoning", "id": "rs_1", "summary": []}], "`store` is set to false"),
        ([HI, {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA"}], "input[1].summary"),
        ([5], "input[0]"),
    ],
)
def test_the_shape_of_input_is_checked(items: list[Any], words: str) -> None:
    assert words in str(refused(responses("gpt-5", input=items)))


def test_calls_of_all_kinds_are_paired() -> None:
    shell = {"type": "shell_call", "call_id": "c3", "action": {"commands": ["ls"]}}
    done = {"type": "shell_call_output", "call_id": "c3", "output": [{"stdout": "", "stderr": ""}]}
    found = {"type": "tool_search_call", "arguments": {}, "execution": "server", "call_id": None}
    items = [HI, CALL, CUSTOM, CUSTOM_OUTPUT, OUTPUT, shell, done, found]
    ask(OpenAI(), responses("gpt-5.4", input=items))
    assert "shell call c3" in str(refused(responses("gpt-5.4", input=items[:6])))


def told(family: OpenAI, *parts: Any, account: str = "a", **asked: Any) -> list[dict[str, Any]]:
    """A first turn of gpt-6.1-sol; its items as a client sends them back."""
    step = Answer(parts or (Think("hm"), Text("yes")))
    return list(ask(family, responses("gpt-6.1-sol", **asked), step, account=account).message.blocks)


def test_reasoning_goes_back_with_what_it_led_to() -> None:
    family = OpenAI()
    items = told(family, Think("hm"), Call("ls", {}), Call("exec", "ls"), **ENCRYPTED)
    assert [item["id"][:3] for item in items] == ["rs_", "fc_", "ctc"]
    results = [
        {"type": item["type"] + "_output", "call_id": item["call_id"], "output": "ok"} for item in items[1:]
    ]
    ask(family, responses("gpt-6.1-sol", input=[HI, *items, *results]))
    ask(family, responses("gpt-6-luna", input=[HI, *items, *results]))  # another model of the account
    orphan = str(refused(responses("gpt-6.1-sol", input=[HI, *items[1:], *results]), family))
    assert f"'{items[1]['id']}' of type 'function_call' was provided without its required" in orphan
    bare = [{key: value for key, value in item.items() if key != "id"} for item in items]
    ask(family, responses("gpt-6.1-sol", input=[HI, *bare[1:], *results]))
    alone = str(refused(responses("gpt-6.1-sol", input=[HI, items[0], HI]), family))
    assert "without its required following item" in alone
    assert "following item" in str(refused(responses("gpt-6.1-sol", input=[HI, items[0]]), family))
    marked = {"type": "message", "id": "msg_x", "role": "assistant", "content": "a marker"}
    between = [HI, items[0], marked, *items[1:], *results]
    assert "following item" in str(refused(responses("gpt-6.1-sol", input=between), family))


def test_encrypted_content_is_bound_to_its_account() -> None:
    family = OpenAI()
    body = responses("gpt-6.1-sol", input=[HI, *told(family, **ENCRYPTED), HI])
    ask(family, body)
    foreign = refused(body, family, account="b")
    assert foreign.code == "invalid_encrypted_content" and "organization_id" in str(foreign)
    body["input"][1]["encrypted_content"] = body["input"][1]["encrypted_content"][:-8] + "AAAAAAAA"
    altered = refused(body, family)
    assert altered.code == "invalid_encrypted_content" and "decrypted" in str(altered)


def test_compactions_are_bound_to_their_account() -> None:
    family = OpenAI()
    items = told(family, Given({"type": "compaction"}))
    assert items[-1]["id"].startswith("cmp_") and items[-1]["type"] == "compaction"
    body = responses("gpt-5.5", input=[items[-1], HI])
    ask(family, body)
    assert refused(body, family, account="b").code == "invalid_encrypted_content"


def test_stored_reasoning_needs_no_content_and_references_mean_items() -> None:
    family = OpenAI()
    items = told(family)
    assert "encrypted_content" not in items[0]
    ask(family, responses("gpt-6.1-sol", input=[HI, *items, HI]))
    named = [{"type": "item_reference", "id": item["id"]} for item in items]
    ask(family, responses("gpt-6.1-sol", input=[HI, *named]))
    assert refused(responses("gpt-6.1-sol", input=[HI, *items]), family, account="b").status == 404
    unstored = told(family, store=False)
    assert refused(responses("gpt-6.1-sol", input=[HI, *unstored]), family).status == 404


def test_previous_responses_are_known_if_stored_and_to_their_account_only() -> None:
    family = OpenAI()
    first = ask(family, responses("gpt-5", input="one"), Answer((Call("ls", {}),)))
    result = {**OUTPUT, "call_id": first.message.blocks[-1]["call_id"]}
    more = responses("gpt-5-mini", input=[result], previous_response_id=first.message.id)
    second = ask(family, more)
    assert second.counted.total > first.counted.total
    assert refused(more, family, account="b").code == "previous_response_not_found"
    unanswered = responses("gpt-5", input="two", previous_response_id=first.message.id)
    assert "No tool output" in str(refused(unanswered, family))
    unstored = ask(family, responses("gpt-5", store=False)).message.id
    assert refused(responses("gpt-5", previous_response_id=unstored), family).status == 400


def test_conversations_and_prompts_exist_where_a_test_says_so() -> None:
    family = OpenAI()
    family.store.resources.add(("a", "conv_1"))
    body = responses("gpt-5", conversation={"id": "conv_1"})
    ask(family, body)
    assert refused(body, family, account="b").status == 404
    both = {**body, "previous_response_id": "resp_1"}
    assert refused(both, family).code == "mutually_exclusive_parameters"


def test_images_in_outputs_are_taken_where_the_model_sees() -> None:
    seen = {**OUTPUT, "output": [{"type": "input_image", "image_url": PIXEL}]}
    ask(OpenAI(), responses("gpt-5", input=[HI, CALL, seen]))
    assert refused(responses("o3-mini", input=[HI, CALL, seen])).param == "input[2].output[0]"
