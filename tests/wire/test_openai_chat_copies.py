"""A client's own Chat Completions request at a provider that copies the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pointsman.config_providers import QUIRKS
from pointsman.wire.json_spans import Body
from pointsman.wire.openai_chat import imitate

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_completion_tokens": 9,
    "reasoning_effort": "high",
    "parallel_tool_calls": True,
    "seed": 7,
    "verbosity": "low",
    "user": "u",
    "store": True,
    "prompt_cache_key": "k",
    "unheard_of": 1,
}
ALWAYS = {"user", "store", "prompt_cache_key", "verbosity"}


def fitted(quirks: set[str], **more: Any) -> tuple[dict[str, Any], list[str]]:
    body = Body.parse(json.dumps({**BODY, **more}).encode())
    done = imitate(body, quirks)
    assert imitate(Body.parse(body.render()), quirks) == []
    return json.loads(body.render()), [item.parameter for item in done]


@pytest.mark.parametrize(
    ("quirk", "gone", "come"),
    [
        ("", set(), {}),
        ("max_tokens", {"max_completion_tokens"}, {"max_tokens": 9}),
        ("no_stream_options", {"stream_options"}, {}),
        ("no_effort", {"reasoning_effort"}, {}),
        ("no_parallel", {"parallel_tool_calls"}, {}),
        ("random_seed", {"seed"}, {"random_seed": 7}),
        ("thinking_switch", {"reasoning_effort"}, {"thinking": {"type": "enabled"}}),
        ("verbosity", set(), {"verbosity": "low"}),
    ],
)
def test_each_quirk(quirk: str, gone: set[str], come: dict[str, Any]) -> None:
    assert not quirk or quirk in QUIRKS["openai_chat"]
    body, done = fitted({quirk} - {""})
    expected = {name: value for name, value in BODY.items() if name not in ALWAYS | gone} | come
    assert body == expected
    assert set(done) == (ALWAYS - come.keys()) | gone


def test_what_the_client_says_in_the_providers_own_words_stays() -> None:
    body, _ = fitted({"thinking_switch", "max_tokens"}, thinking={"type": "disabled"}, max_tokens=3)
    assert (body["thinking"], body["max_tokens"]) == ({"type": "disabled"}, 3)
    assert fitted({"thinking_switch"}, reasoning_effort="none")[0]["thinking"] == {"type": "disabled"}


def test_a_body_without_any_of_it_is_not_touched() -> None:
    data = b'{ "model": "m",  "messages": [], "seed": null }'
    body = Body.parse(data)
    assert imitate(body, QUIRKS["openai_chat"]) == []
    assert body.render() == data


def test_calls_without_thoughts_get_the_least_that_is_taken() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "so"},
        {"role": "assistant", "content": "done"},
    ]
    body = Body.parse(json.dumps({"model": "m", "messages": messages}).encode())
    [done] = imitate(body, {"reasoning_content"})
    assert (done.parameter, done.verb) == ("messages[].reasoning_content", "add")
    sent = json.loads(body.render())["messages"]
    assert sent[1].pop("reasoning_content") == " "
    assert sent == messages
    assert not imitate(Body.parse(body.render()), {"reasoning_content"})
