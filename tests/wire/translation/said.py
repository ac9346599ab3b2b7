"""Neutral requests to test with: examples by hand, and strategies for all that clients might say."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st
from pointsman.wire.neutral import (
    CallPart,
    Choice,
    DocumentPart,
    ImagePart,
    JsonAnswer,
    Message,
    Part,
    Reasoning,
    Request,
    ResultPart,
    TextPart,
    ThinkingPart,
    Tool,
)

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n and so on").decode()
PDF = base64.b64encode(b"%PDF-1.4 and so on").decode()
IMAGE = ImagePart("image/png", PIXEL)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "deep": {"type": "integer", "minimum": 0}},
    "required": ["path"],
}
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))


def model(*parts: Part | str) -> Message:
    return Message("assistant", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))


def call(call_id: str, name: str = "ls", arguments: str = '{"path":"/"}') -> CallPart:
    return CallPart(call_id, name, arguments)


def result(call_id: str, *parts: Part | str, name: str = "ls", error: bool = False) -> ResultPart:
    given = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return ResultPart(call_id, name, given, error=error)  # type: ignore[arg-type]


def asking(*messages: Message, **more: Any) -> Request:
    return Request("m", messages, **{"tools": (Tool("ls", "lists", SCHEMA),), **more})


# --- strategies ---------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
SPOKEN = WORDS.map(lambda text: f"w{text}w")  # no blanks at its ends, and never empty
NAMES = st.sampled_from(
    ["ls", "read", "2nd", "mcp__docs__find", "with.dot", "with space", "ü", "x" * 64, "x" * 65, "y" * 100]
)
SPACES = st.sampled_from(["", "", "", "functions", "clock", "mcp__files__"])
IDS = st.sampled_from(["call_1", "toolu_01", "a.b:c", "z" * 40, "z" * 41, "z" * 90, "ü", "call_1~2", "c|d"])
SCHEMAS = st.sampled_from([None, {}, SCHEMA, STRICT, {"type": "object", "anyOf": [STRICT, SCHEMA]}])
ARGUMENTS = st.sampled_from(
    ["", "{}", '{"path":"/"}', '{"a":{"b":[1,2.5,null]}}', "[1]", "not JSON", '"text"']
)
TEXT = st.builds(TextPart, SPOKEN)
BLANK = st.sampled_from([TextPart(""), TextPart(" \n")])
NOTE = DocumentPart("text/plain", text="a text", name="t.txt")
CONTENT = st.one_of(TEXT, BLANK, st.just(IMAGE), st.just(NOTE))


@st.composite
def tools(draw: st.DrawFn) -> tuple[Tool, ...]:
    found: dict[tuple[str, str], Tool] = {}
    for _ in range(draw(st.integers(0, 5))):
        name, space, custom = draw(NAMES), draw(SPACES), draw(st.booleans())
        schema = None if custom else draw(SCHEMAS)
        strict = None if custom else draw(st.sampled_from([None, True, False]))
        found[space, name] = Tool(name, draw(st.sampled_from(["", "does it"])), schema, strict, custom, space)
    return tuple(found.values())


@st.composite
def messy(draw: st.DrawFn) -> tuple[Message, ...]:
    """Messages in any order: orphans on both sides, ids that come twice, late results, nothing but blanks."""
    calls = st.builds(CallPart, IDS, NAMES, ARGUMENTS, namespace=SPACES)
    contents = st.lists(CONTENT, max_size=2).map(tuple)
    results = st.builds(ResultPart, IDS, NAMES, contents, error=st.booleans())
    by_user = st.lists(st.one_of(CONTENT, results), max_size=4)
    by_model = st.lists(st.one_of(TEXT, BLANK, calls, st.builds(ThinkingPart, SPOKEN)), max_size=4)
    by_program = st.lists(st.one_of(TEXT, BLANK), max_size=2)
    said = st.one_of(
        st.builds(Message, st.just("user"), by_user.map(tuple)),
        st.builds(Message, st.just("assistant"), by_model.map(tuple)),
        st.builds(Message, st.just("system"), by_program.map(tuple)),
    )
    return (*draw(st.lists(said, min_size=3, max_size=8)), user("and now"))


@st.composite
def step(draw: st.DrawFn, number: int, offered: tuple[Tool, ...], *, images: bool) -> list[Message]:
    """The user says something; perhaps the model calls tools once or twice; then it answers."""
    inputs = draw(st.lists(st.one_of(TEXT, st.just(IMAGE)), min_size=1, max_size=2))
    said = [Message("user", tuple(inputs))]
    if draw(st.booleans()):
        said.append(Message("system", (draw(TEXT),)))
    for turn in range(draw(st.integers(0, 2)) if offered else 0):
        calls = []
        for index in range(draw(st.integers(1, 3))):
            tool = draw(st.sampled_from(offered))
            arguments = "free text" if tool.custom else '{"path":"/","n":[1,true]}'
            call_id = f"{draw(IDS)}_{number}_{turn}_{index}"
            calls.append(CallPart(call_id, tool.name, arguments, tool.custom, tool.namespace))
        texts = draw(st.lists(TEXT, max_size=1))
        said.append(Message("assistant", (*texts, *calls)))
        given = st.lists(st.one_of(TEXT, st.just(IMAGE)) if images else TEXT, min_size=1, max_size=2)
        said.append(
            Message(
                "user",
                tuple(
                    ResultPart(c.id, c.name, tuple(draw(given)), draw(st.booleans()), c.custom, c.namespace)
                    for c in calls
                ),
            )
        )
    said.append(Message("assistant", (draw(TEXT),)))
    return said


@st.composite
def tidy(draw: st.DrawFn, *, images: bool = True) -> tuple[list[list[Message]], tuple[Tool, ...]]:
    """A conversation as a list of finished turns, and its tools. Without `images`, results are texts."""
    offered = draw(tools())
    turns = draw(st.integers(1, 3))
    return [draw(step(number, offered, images=images)) for number in range(turns)], offered


SAID: dict[str, st.SearchStrategy[Any]] = {
    "system": st.lists(SPOKEN, max_size=2).map(tuple),
    "parallel_calls": st.sampled_from([None, True, False]),
    "max_tokens": st.sampled_from([None, 1, 20, 4_000]),
    "temperature": st.sampled_from([None, 0, 0.5, 1]),
    "top_p": st.sampled_from([None, 0.96, 1]),
    "top_k": st.sampled_from([None, 40]),
    "presence_penalty": st.sampled_from([None, 0.5]),
    "frequency_penalty": st.sampled_from([None, 0.5]),
    "seed": st.sampled_from([None, 7]),
    "stop": st.lists(SPOKEN, max_size=3).map(tuple),
    "verbosity": st.sampled_from([None, "low"]),
    "stream": st.booleans(),
    "cache_key": st.sampled_from(["", "conversation-1"]),
    "json": st.sampled_from([None, JsonAnswer(), JsonAnswer(STRICT, "place", True), JsonAnswer(SCHEMA)]),
}
REASONING = st.sampled_from(
    [
        Reasoning(),
        Reasoning(on=False),
        Reasoning(on=True),
        Reasoning(on=True, shown=True),
        Reasoning(on=True, effort="high"),
        Reasoning(on=True, effort="max", shown=True),
        Reasoning(on=True, budget_tokens=500),
        Reasoning(on=True, budget_tokens=9_000),
    ]
)


@st.composite
def members(draw: st.DrawFn, offered: tuple[Tool, ...]) -> dict[str, Any]:
    """All members of a request but its messages."""
    choices: list[Choice | None] = [None, Choice("auto"), Choice("none")]
    if offered:
        choices += [Choice("any"), Choice("tool", offered[0].name, offered[0].namespace)]
    said = {name: draw(strategy) for name, strategy in SAID.items()}
    return said | {"tools": offered, "choice": draw(st.sampled_from(choices)), "reasoning": draw(REASONING)}
