"""What reaches the provider on later turns is byte for byte what it would be without Pointsman."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import Rows, Sdk, member
from provider.answers import Answer, Call, Step, Text, Think
from provider.proxy import InProcessProxy, SubprocessProxy
from provider.standin import StandIn

OPUS, SONNET, HAIKU = "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5"
TOOL = {"name": "timetable", "input_schema": {"type": "object"}}
STEPS: tuple[Step, ...] = (
    Answer((Text("Good evening."),)),
    Answer((Text("I look it up."), Call("timetable", {"train": "⑨ “Élan”"}), Call("timetable", {"n": 2}))),
    Answer((Call("timetable", {"again": True}),)),
    Answer((Text("Platform nine."), Text("At ten."))),
    Answer((Text("You are welcome.\n\n"),)),
)


pytestmark = pytest.mark.filterwarnings(
    "ignore:Using Claude:UserWarning", "ignore:The model:DeprecationWarning"
)


def converse(
    client: anthropic.Anthropic, headers: Sequence[dict[str, str]], *, streamed: bool, **request: Any
) -> list[anthropic.types.Message]:
    """Say something, answer every tool call, and echo all blocks as they came, until the script ends."""
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Good evening! ✦ "}]}]
    answers = []
    for extra in headers:
        given = {"max_tokens": 4000, "tools": [TOOL], **request, "messages": messages, "extra_headers": extra}
        if streamed:
            with client.messages.stream(**given) as stream:
                said = stream.get_final_message()
        else:
            said = client.messages.create(**given)
        answers.append(said)
        calls = [block for block in said.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "ok ✓"} for call in calls]
        echoed = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in said.content]
        messages = [
            *messages,
            {"role": "assistant", "content": echoed},
            {"role": "user", "content": results or [{"type": "text", "text": "Thanks, and the next one?"}]},
        ]
    return answers


def bodies(provider: StandIn) -> list[bytes]:
    return [record.request.body for record in provider.messages]


both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["body", "stream"])


@both_ways
@pytest.mark.parametrize("marker", ["auto", "text", "comment", "off"])
def test_a_routed_conversation_leaves_no_trace_in_its_history(
    connect: Sdk,
    proxy: InProcessProxy,
    bare_proxy: SubprocessProxy,
    provider: StandIn,
    streamed: bool,
    marker: str,
) -> None:
    provider.script(*STEPS)
    converse(connect(bare_proxy), [{}] * 5, streamed=streamed, model=HAIKU)
    plain = bodies(provider)
    provider.reset()
    provider.script(*STEPS)
    header = {"x-router-model": HAIKU, "x-router-marker": marker}
    answers = converse(connect(proxy), [header] * 5, streamed=streamed, model=OPUS)
    shown = [any("Pointsman" in getattr(b, "text", "") for b in said.content) for said in answers]
    called = [any(block.type == "tool_use" for block in said.content) for said in answers]
    expected = {
        "auto": [not before for before in [False, *called[:-1]]],  # a tool loop says it once, where it begins
        "text": [True] * 5,
        "comment": [False] * 5,
        "off": [False] * 5,
    }
    assert shown == expected[marker]
    assert bodies(provider) == plain  # the whole body: nothing but the model differed, and it was set
    assert {record.model for record in provider.messages} == {HAIKU}


THINKING_STEPS: tuple[Step, ...] = (
    Answer((Think("Hm."), Text("I look."), Call("timetable", {"a": 1}))),
    Answer((Think("Hm again."), Call("timetable", {"b": 2}), Call("timetable", {"c": 3}))),
    Answer((Think(redacted=True), Think("And again."), Text("Nine."))),
    Answer((Think("Still."), Text("Yes."))),
)


@both_ways
@pytest.mark.parametrize("marker", ["auto", "text", "comment", "off"])
@pytest.mark.parametrize("target", [SONNET, HAIKU])
def test_signed_thinking_survives_markers_and_switches(
    connect: Sdk,
    proxy: InProcessProxy,
    bare_proxy: SubprocessProxy,
    provider: StandIn,
    streamed: bool,
    marker: str,
    target: str,
) -> None:
    """The stand-in refuses every request whose thinking is not exactly where and what it was."""
    thinking = {"type": "adaptive"} if target == SONNET else {"type": "enabled", "budget_tokens": 2000}
    provider.script(*THINKING_STEPS)
    converse(connect(bare_proxy), [{}] * 4, streamed=streamed, model=target, thinking=thinking)
    plain = [member(body, "messages") for body in bodies(provider)]
    provider.reset()
    provider.script(*THINKING_STEPS)
    header = {"x-router-model": target, "x-router-marker": marker}
    answers = converse(
        connect(proxy), [header] * 4, streamed=streamed, model=OPUS, thinking={"type": "adaptive"}
    )
    assert len(provider.messages) == 4
    assert [member(body, "messages") for body in bodies(provider)] == plain
    assert {record.model for record in provider.messages} == {target}
    assert {said.model for said in answers} == {OPUS}


def test_a_conversation_that_changes_models_keeps_all_its_thinking(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn
) -> None:
    provider.responder = lambda record: Answer((Think(f"thought {record.number}"), Text("so")))
    models = [OPUS, SONNET, HAIKU, OPUS, "claude-opus-4-6", SONNET]
    headers = [{"x-router-model": model} for model in models]
    client = connect(proxy)
    converse(client, headers, streamed=True, model=OPUS, thinking={"type": "adaptive"})
    assert [record.model for record in provider.messages] == models
    assert [record.status for record in provider.messages] == [200] * 6
    assert provider.last.foreign_thinking == 4


def test_a_tool_loop_never_changes_the_model(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, rows: Rows
) -> None:
    provider.script(*STEPS)
    forced = {"x-router-model": SONNET}
    converse(connect(proxy), [{}, forced, {}, {}, {}], streamed=True, model=OPUS)
    served = [record.model for record in provider.messages]
    assert served[1:4] == [SONNET] * 3
    loop = [row for row in rows.all() if row["tool_loop"]]
    assert [row["served_model"] for row in loop] == [SONNET] * 2


@pytest.mark.parametrize("marker", ["text", "off"])
def test_the_providers_cache_is_hit_as_without_a_router(
    connect: Sdk, proxy: InProcessProxy, bare_proxy: SubprocessProxy, provider: StandIn, marker: str
) -> None:
    system = [{"type": "text", "text": "timetable " * 9000, "cache_control": {"type": "ephemeral"}}]
    tail = {"cache_control": {"type": "ephemeral"}}
    counts = []
    for one, header, model in (
        (bare_proxy, {}, HAIKU),
        (proxy, {"x-router-model": HAIKU, "x-router-marker": marker}, OPUS),
    ):
        provider.reset()
        provider.script(*STEPS)
        converse(connect(one), [header] * 5, streamed=True, model=model, system=system, extra_body=tail)
        counts.append([record.counted for record in provider.messages])
    assert counts[0] == counts[1]
    assert counts[0][-1].read > 20_000


def test_a_users_text_that_quotes_a_marker_is_left_alone(raw: httpx2.Client, provider: StandIn) -> None:
    quoted = "✦ **Pointsman** → claude-haiku-4-5 · mid tool loop\n\nwhat does this line mean?"
    body = (
        '{"model": "claude-opus-4-8",  "max_tokens":20, "messages" : [{"role":"user","content":"'
        + quoted.replace("\n", "\\n")
        + '"}]}'
    ).encode()
    assert raw.post("/v1/messages", content=body, headers={"x-router-model": OPUS}).status_code == 200
    assert provider.last.request.body == body
