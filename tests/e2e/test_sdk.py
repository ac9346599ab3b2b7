"""The real anthropic SDK behind the proxy: answers its own parser accepts, whichever model serves."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam
from e2e.support import Rows, Sdk
from provider.answers import Answer, Call, Text, Think
from provider.proxy import InProcessProxy
from provider.standin import StandIn

OPUS, SONNET, HAIKU = "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5"
HELLO: list[MessageParam] = [{"role": "user", "content": "Which platform does the night train leave from?"}]
TO_HAIKU = {"x-router-model": HAIKU}
MARKER = re.compile("^[\u2060-\u2064]+✦ \\*\\*Pointsman\\*\\* → (\\S+) · ([^\n]+)\n\n[\u2060-\u2064]*$")
LOOKUP: ToolParam = {
    "name": "timetable",
    "description": "Look up a train",
    "input_schema": {"type": "object", "properties": {"train": {"type": "string"}}, "required": ["train"]},
}


def png() -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * 2) * 2)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def ask(client: anthropic.Anthropic, *, streamed: bool, **request: Any) -> anthropic.types.Message:
    request = {"model": OPUS, "max_tokens": 4000, "messages": HELLO, **request}
    if not streamed:
        return client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        return stream.get_final_message()


# The SDK advises about models; these tests ask for them on purpose.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using Claude:UserWarning", "ignore:The model:DeprecationWarning"
)

both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])


@both_ways
def test_without_thinking_a_text_marker_leads_and_the_answer_keeps_the_requested_name(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool
) -> None:
    provider.script(Answer((Text("Platform nine."),)))
    said = ask(client, streamed=streamed, extra_headers=TO_HAIKU)
    assert provider.last.model == HAIKU
    assert said.model == OPUS
    assert [block.type for block in said.content] == ["text", "text"]
    shown = MARKER.match(said.content[0].text)
    assert shown and shown.group(1) == HAIKU
    assert said.content[1].text == "Platform nine."
    assert said.stop_reason == "end_turn"


@both_ways
def test_usage_and_id_are_the_providers_own(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool
) -> None:
    said = ask(client, streamed=streamed, extra_headers=TO_HAIKU)
    record = provider.last
    assert record.message and record.counted
    assert said.id == record.message.id
    assert said.usage.input_tokens == record.counted.input
    assert said.usage.output_tokens == record.message.output_tokens


@both_ways
@pytest.mark.parametrize(
    "thinking",
    [{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2048}],
    ids=["adaptive", "enabled"],
)
@pytest.mark.parametrize("target", [HAIKU, "claude-sonnet-4-6", SONNET])
def test_with_thinking_nothing_stands_before_the_thinking_block(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool, thinking: Any, target: str
) -> None:
    asked = OPUS if thinking["type"] == "adaptive" else "claude-opus-4-6"
    headers = {"x-router-model": target}
    said = ask(client, streamed=streamed, model=asked, thinking=thinking, extra_headers=headers)
    assert provider.last.model == target
    assert len(provider.messages) == 1  # adapted at once, not by a refusal and a retry
    assert provider.last.body["thinking"]["type"] in ("enabled", "adaptive")
    assert said.model == asked
    assert [block.type for block in said.content] == ["thinking", "text"]
    assert "Pointsman" not in said.content[1].text


def test_redacted_thinking_passes(client: anthropic.Anthropic, provider: StandIn) -> None:
    provider.script(Answer((Think(redacted=True), Text("yes"))))
    said = ask(client, streamed=True, thinking={"type": "adaptive"}, extra_headers=TO_HAIKU)
    assert [block.type for block in said.content] == ["redacted_thinking", "text"]


@both_ways
def test_a_model_that_thinks_unasked_is_told_not_to(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool
) -> None:
    """Without `thinking`, Opus 4.8 does not think and Sonnet 5 does."""
    said = ask(client, streamed=streamed, extra_headers={"x-router-model": SONNET})
    assert provider.last.body["thinking"] == {"type": "disabled"}
    assert [block.type for block in said.content] == ["text", "text"]


@both_ways
def test_fragmented_tool_calls_survive_the_marker(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool
) -> None:
    calls = (Call("timetable", {"train": "Nachtzug “Élan” 1"}), Call("timetable", {"train": "2"}, piece=1))
    provider.script(Answer((Text("I look."), *calls)))
    said = ask(client, streamed=streamed, tools=[LOOKUP], extra_headers=TO_HAIKU)
    assert [block.type for block in said.content] == ["text", "text", "tool_use", "tool_use"]
    assert [block.input for block in said.content if block.type == "tool_use"] == [
        dict(c.input) for c in calls
    ]
    assert said.stop_reason == "tool_use"


def test_block_indices_are_contiguous_and_there_is_one_message_start(
    client: anthropic.Anthropic, provider: StandIn
) -> None:
    provider.script(Answer((Text("I look."), Call("timetable", {"train": "1"}))))
    with client.messages.create(
        model=OPUS, max_tokens=90, messages=HELLO, tools=[LOOKUP], stream=True, extra_headers=TO_HAIKU
    ) as stream:
        events = list(stream)
    assert [event.type for event in events].count("message_start") == 1
    opened = [event.index for event in events if event.type == "content_block_start"]
    assert opened == [0, 1, 2]
    assert opened == [event.index for event in events if event.type == "content_block_stop"]
    assert events[-1].type == "message_stop"


@both_ways
def test_images_reach_the_served_model(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool
) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "What colour is this?"}]}]
    said = ask(client, streamed=streamed, messages=messages, extra_headers=TO_HAIKU)
    assert provider.last.model == HAIKU
    assert provider.last.body["messages"] == messages
    assert said.content[-1].type == "text"


@both_ways
def test_structured_output_carries_no_marker(
    client: anthropic.Anthropic, provider: StandIn, streamed: bool
) -> None:
    schema = {"type": "object", "properties": {"platform": {"type": "integer"}}, "required": ["platform"]}
    provider.script(Answer((Text('{"platform": 9}'),)))
    said = ask(
        client,
        streamed=streamed,
        output_config={"format": {"type": "json_schema", "schema": schema}},
        extra_headers=TO_HAIKU,
    )
    assert provider.last.model == HAIKU
    assert json.loads("".join(block.text for block in said.content if block.type == "text")) == {
        "platform": 9
    }


@pytest.mark.parametrize(
    ("asked", "request_"),
    [
        ("claude-opus-4-5", {"messages": [*HELLO, {"role": "assistant", "content": "{"}]}),
        (OPUS, {"max_tokens": 1}),
        (OPUS, {"tools": [LOOKUP], "tool_choice": {"type": "tool", "name": "timetable"}}),
        (OPUS, {"tools": [LOOKUP], "tool_choice": {"type": "any"}}),
    ],
    ids=["prefill", "one token", "forced tool", "any tool"],
)
def test_no_marker_where_a_client_would_stumble_over_it(
    client: anthropic.Anthropic, provider: StandIn, asked: str, request_: dict[str, Any]
) -> None:
    provider.responder = lambda record: Answer((Text("nine"),))
    said = ask(client, streamed=True, model=asked, extra_headers=TO_HAIKU, **request_)
    assert provider.last.model == HAIKU
    assert [block.text for block in said.content if block.type == "text"] == ["nine"]


def test_count_tokens_counts_for_the_serving_model(client: anthropic.Anthropic, provider: StandIn) -> None:
    ask(client, streamed=False, extra_headers=TO_HAIKU)
    counted = client.messages.count_tokens(model=OPUS, messages=HELLO)
    assert counted.input_tokens == provider.messages[0].counted.total
    assert provider.records[-1].model == HAIKU


def test_a_refusal_passes_and_pause_turn_goes_on(client: anthropic.Anthropic, provider: StandIn) -> None:
    provider.script(
        Answer((Text("I cannot help with that."),), stop_reason="refusal"),
        Answer((Text("Still looking."),), stop_reason="pause_turn"),
    )
    refused = ask(client, streamed=True, extra_headers=TO_HAIKU)
    paused = ask(client, streamed=True, extra_headers=TO_HAIKU)
    assert (refused.stop_reason, paused.stop_reason) == ("refusal", "pause_turn")


def test_the_head_says_what_was_decided_and_keeps_what_the_provider_said(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows
) -> None:
    answer = client.messages.with_raw_response.create(
        model=OPUS, max_tokens=90, messages=HELLO, extra_headers=TO_HAIKU
    )
    head = answer.headers
    assert head["x-router-model"] == HAIKU
    assert head["x-router-provider"] == "anthropic"
    assert head["x-router-decision"] == rows.last["id"]
    assert head["x-router-session"] == rows.last["session"]
    assert head["x-router-strategy"] == rows.last["strategy"]
    assert head["request-id"] == provider.last.request_id
    for name in ("anthropic-ratelimit-requests-remaining", "anthropic-organization-id", "cf-ray", "date"):
        assert head[name]


@both_ways
def test_the_row_agrees_with_what_the_provider_counted(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows, streamed: bool
) -> None:
    system = [{"type": "text", "text": "timetable " * 8000, "cache_control": {"type": "ephemeral"}}]
    for _ in range(2):
        ask(client, streamed=streamed, system=system, extra_headers=TO_HAIKU)
    wrote, read = rows.wait(lambda found: len(found) == 2 and all(row["output_tokens"] for row in found))
    for row, record in zip((wrote, read), provider.messages, strict=True):
        assert record.counted and record.message
        assert row["message_id"] == record.message.id
        assert row["request_id"] == record.request_id
        assert row["answered_model"] == "claude-haiku-4-5-20251001"
        assert (row["requested_model"], row["served_model"], row["status"]) == (OPUS, HAIKU, 200)
        assert row["input_tokens"] == record.counted.input
        assert row["output_tokens"] == record.message.output_tokens
        assert (row["cache_read_tokens"] or 0) == record.counted.read
        assert (row["cache_write_tokens"] or 0) == record.counted.write_5m
        assert row["stop_reason"] == "end_turn"
        tokens = record.counted.input + 0.1 * record.counted.read + 1.25 * record.counted.write_5m
        cost = (tokens * 1.0 + record.message.output_tokens * 5.0) / 1e6
        assert row["cost_usd"] == pytest.approx(cost)
        assert row["requested_cost_usd"] > row["cost_usd"]
    assert wrote["cache_write_tokens"] > 4096 and read["cache_read_tokens"] == wrote["cache_write_tokens"]


def test_by_default_a_prompt_is_scored_and_never_served_by_a_dearer_model(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows
) -> None:
    said = ask(client, streamed=True, model="claude-opus-4-8")
    row = rows.last
    assert provider.last.model == row["served_model"]
    assert row["strategy"] == "cluster"
    assert row["bundle"] and json.loads(row["clusters"])
    assert row["cost_usd"] <= row["requested_cost_usd"] * (1 + 1e-9)
    assert said.model == "claude-opus-4-8"


def test_the_environment_alone_is_enough(
    monkeypatch: pytest.MonkeyPatch, proxy: InProcessProxy, provider: StandIn, key: str
) -> None:
    """HTTPS_PROXY and SSL_CERT_FILE, and the SDK as anybody would write it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.ca_file))
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    with anthropic.Anthropic() as client:
        said = client.messages.create(model=OPUS, max_tokens=90, messages=HELLO, extra_headers=TO_HAIKU)
    assert provider.last.model == HAIKU
    assert said.model == OPUS


def test_http2_on_both_sides(connect: Sdk, proxy: InProcessProxy, provider: StandIn) -> None:
    client = connect(proxy, http2=True)
    for streamed in (True, False, True):
        said = ask(client, streamed=streamed, extra_headers=TO_HAIKU)
        assert [block.type for block in said.content] == ["text", "text"]
    assert {record.request.http for record in provider.messages} == {"2"}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@both_ways
def test_an_answer_that_is_compressed_unasked_is_still_read_and_marked(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows, encoding: str, streamed: bool
) -> None:
    provider.script(Answer((Text("nine " * 50),), encoding=encoding))
    said = ask(client, streamed=streamed, extra_headers=TO_HAIKU)
    assert MARKER.match(said.content[0].text)
    assert said.content[1].text == "nine " * 50
    row = rows.wait(lambda found: bool(found and found[-1]["output_tokens"]))[-1]
    assert row["output_tokens"] == provider.last.message.output_tokens


@pytest.mark.parametrize("tear", [1, 2, 7])
def test_a_stream_in_the_smallest_pieces(client: anthropic.Anthropic, provider: StandIn, tear: int) -> None:
    provider.script(Answer((Text("Gleis ⑨ ✦ \u2028 done"), Call("timetable", {"train": "é"})), tear=tear))
    said = ask(client, streamed=True, tools=[LOOKUP], extra_headers=TO_HAIKU)
    assert said.content[1].text == "Gleis ⑨ ✦ \u2028 done"
    assert said.content[2].input == {"train": "é"}
