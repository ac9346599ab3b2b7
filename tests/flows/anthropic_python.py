"""What Anthropic's SDK for Python is recorded with."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import anthropic
from provider.answers import Answer, Call, Fault, Text
from provider.proxy import SubprocessProxy, trust
from provider.standin import StandIn

OPUS, SONNET, HAIKU = "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5-20251001"
KEY = "sk-ant-api03-recorded"
LOOKUP: Any = {
    "name": "departures",
    "description": "Departures of a station",
    "input_schema": {
        "type": "object",
        "properties": {"station": {"type": "string"}},
        "required": ["station"],
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

Scenario = Callable[[anthropic.Anthropic, StandIn], None]


def three_turns(client: anthropic.Anthropic, provider: StandIn) -> None:
    """A conversation whose kind of question changes, echoed as the client got it."""
    messages: list[Any] = []
    for question in (
        "Write a Python function that merges two sorted linked lists, and its tests.",
        "Now make it iterative and explain its running time.",
        "Thank you! And what rhymes with `signal box`?",
    ):
        messages.append({"role": "user", "content": question})
        with client.messages.stream(model=OPUS, max_tokens=2000, messages=messages) as stream:
            said = stream.get_final_message()
        messages.append({"role": "assistant", "content": said.content})


def tool_loop(client: anthropic.Anthropic, provider: StandIn) -> None:
    provider.script(Answer((Text("I shall look."), Call("departures", {"station": "Oslo S"}))), Answer())
    messages: list[Any] = [{"role": "user", "content": "When does the next train leave Oslo?"}]
    given: Any = {"model": OPUS, "max_tokens": 2000, "tools": [LOOKUP]}
    first = client.messages.create(messages=messages, **given)
    call = next(block for block in first.content if block.type == "tool_use")
    messages.append({"role": "assistant", "content": first.content})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "14:02 to Bergen"}
    messages.append({"role": "user", "content": [result]})
    client.messages.create(messages=messages, **given)


def thinking(client: anthropic.Anthropic, provider: StandIn) -> None:
    with client.messages.stream(
        model=OPUS,
        max_tokens=4000,
        thinking={"type": "adaptive"},
        messages=[
            {"role": "user", "content": "Prove that there are infinitely many primes of the form 4k+3."}
        ],
    ) as stream:
        stream.until_done()


def picture(client: anthropic.Anthropic, provider: StandIn) -> None:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    text = {"type": "text", "text": "Which colour is this?"}
    client.messages.create(
        model=SONNET, max_tokens=100, messages=[{"role": "user", "content": [image, text]}]
    )


def small_and_dated(client: anthropic.Anthropic, provider: StandIn) -> None:
    client.messages.create(
        model=HAIKU,
        max_tokens=100,
        messages=[{"role": "user", "content": "Say good morning."}],
        extra_body={"temperature": 0.5},
    )


def knobs(client: anthropic.Anthropic, provider: StandIn) -> None:
    question: Any = [{"role": "user", "content": "Design a schema for a small railway's timetable."}]
    for headers in ({"x-router-alpha": "1"}, {"x-router-alpha": "0"}, {"x-router-model": SONNET}):
        client.messages.create(model=OPUS, max_tokens=2000, messages=question, extra_headers=headers)
    try:
        client.messages.create(
            model=OPUS, max_tokens=2000, messages=question, extra_headers={"x-router-alpha": "much"}
        )
    except anthropic.BadRequestError:
        return
    raise RuntimeError("a bad knob was not refused")


def overloaded(client: anthropic.Anthropic, provider: StandIn) -> None:
    provider.script(Fault(529))
    try:
        client.messages.create(
            model=OPUS, max_tokens=50, messages=[{"role": "user", "content": "Are you there?"}]
        )
    except anthropic.APIStatusError:
        return
    raise RuntimeError("the stand-in was to be overloaded")


def not_actions(client: anthropic.Anthropic, provider: StandIn) -> None:
    client.models.list()
    client.messages.count_tokens(model=OPUS, messages=[{"role": "user", "content": "How long is this?"}])


def subscription(client: anthropic.Anthropic, provider: StandIn) -> None:
    login = client.with_options(api_key=None, auth_token="sk-ant-oat01-recorded")
    login.messages.create(
        model=OPUS,
        max_tokens=50,
        messages=[{"role": "user", "content": "Hello from a plan."}],
        extra_headers={"anthropic-beta": "oauth-2025-04-20"},
    )


SCENARIOS: tuple[Scenario, ...] = (
    three_turns,
    tool_loop,
    thinking,
    picture,
    small_and_dated,
    knobs,
    overloaded,
    not_actions,
    subscription,
)


def play(provider: StandIn, proxy: SubprocessProxy) -> None:
    with (
        anthropic.DefaultHttpxClient(proxy=proxy.url, verify=trust(proxy.ca_file)) as http,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # the SDK advises about models; these are asked for on purpose
        client = anthropic.Anthropic(api_key=KEY, http_client=http, max_retries=0)
        for scenario in SCENARIOS:
            scenario(client, provider)
