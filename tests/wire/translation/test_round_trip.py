"""neutral → written → read is the same request, but for what the writer's table says is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import (
    CallPart,
    JsonAnswer,
    Message,
    Part,
    Reasoning,
    Request,
    ResultPart,
    Target,
    TextPart,
    Tool,
)
from pointsman.wire.translation.conversation import settled
from pointsman.wire.translation.names import Names, names_for
from pointsman.wire.translation.schemas import closed, of_object, qualifies_for_strict
from pointsman.wire.translation.values import arguments_object, custom_schema
from wire.translation.said import members, tidy
from wire.translation.strict import CHECKS, writer

# Reasoning that each API can say exactly; what becomes of the rest is tested by example.
EXACT = {
    "anthropic": [Reasoning(), Reasoning(on=False), Reasoning(on=True, effort="high", shown=True)],
    "openai_chat": [Reasoning(), Reasoning(on=False), Reasoning(on=True, effort="high")],
    "openai_responses": [Reasoning(), Reasoning(on=False), Reasoning(on=True, effort="low", shown=True)],
    "gemini": [
        Reasoning(),
        Reasoning(on=False),
        Reasoning(on=True, effort="high", shown=True),
        Reasoning(on=True, budget_tokens=9_000),
    ],
}
MEMBERS = (
    *("parallel_calls", "max_tokens", "temperature", "top_p", "top_k", "presence_penalty"),
    *("frequency_penalty", "seed", "stop", "verbosity", "stream", "cache_key"),
)
# Members that a table does not name, for they are lost in some requests only.
WHILE_THINKING = ("temperature", "top_p", "top_k")


@pytest.mark.parametrize("name", CHECKS)
@given(data=st.data())
def test_all_but_the_losses_comes_back(name: str, data: st.DataObject) -> None:
    surface = writer(name)
    lost = surface.WRITING.lost
    turns, offered = data.draw(tidy(images="images in results" not in lost))
    more: dict[str, Any] = data.draw(members(offered))
    more["reasoning"] = data.draw(st.sampled_from(EXACT[name]))
    messages = tuple(message for turn in turns for message in turn)
    request = Request("m", (*messages, Message("user", (TextPart("go on"),))), **more)
    if surface.untranslatable(request, Target("m")):
        return
    written = surface.write_request(request, Target("m"))
    assert set(written.losses) <= lost.keys()
    path = f"/v1beta{written.path}"
    found = surface.read_request(Body.parse(encode(written.body)), path, {})
    assert (found.refused, found.model) == ((), "m")
    names = names_for(request, surface.NAME_RULE)
    for member in MEMBERS:
        assert getattr(found, member) == expected(name, member, request, written.losses), member
    assert found.tools == tuple(tool(name, each, names, lost) for each in request.tools)
    assert choice(found) == choice(request, names)
    assert found.reasoning == reasoning(name, request, written.losses)
    assert answer(name, found.json) == answer(name, request.json, lost)
    fold = "instructions in the middle" in lost
    assert conversation(found, None, fold=fold) == conversation(request, names, lost, fold=fold)
    assert told(found) == told(request, "json without a schema" in lost)


def expected(name: str, member: str, request: Request, losses: Iterable[str]) -> Any:
    value = getattr(request, member)
    unsaid = type(request).__dataclass_fields__[member].default
    if member in losses or (member in WHILE_THINKING and "sampling while thinking" in losses):
        return unsaid
    if member == "max_tokens" and name == "openai_responses" and value is not None:
        return max(16, value)
    if member == "max_tokens" and name == "anthropic":
        return Target("m").max_tokens if value is None else value
    if member == "parallel_calls":
        # Nothing is said of calls without tools; Anthropic has a word against them only.
        only_against = name in ("anthropic", "gemini") and (value is not False or is_off(request))
        return None if not request.tools or only_against else value
    if member == "cache_key" and name == "anthropic":
        return ""  # it is a header there
    return value


def is_off(request: Request) -> bool:
    return request.choice is not None and request.choice.mode == "none"


def tool(name: str, offered: Tool, names: Names, lost: Iterable[str]) -> Tool:
    there = Tool(names.of(offered.namespace, offered.name), offered.description)
    if offered.custom and "custom tools" not in lost:
        return replace(there, custom=True, format=offered.format)
    schema = custom_schema() if offered.custom else of_object(offered.schema)
    strict: bool | None = None
    if name.startswith("openai"):
        always = name == "openai_responses" or offered.strict is not None
        strict = bool(offered.strict) and qualifies_for_strict(schema) if always else None
    return replace(there, schema=schema, strict=strict)


def choice(request: Request, names: Names | None = None) -> Any:
    """What is said without tools, or beside a limit of one call at a time, needs no saying."""
    made = request.choice
    if not request.tools or made is None or made.mode == "auto":
        return None
    return made.mode, names.of(made.namespace, made.name) if names and made.name else made.name


def reasoning(name: str, request: Request, losses: Iterable[str]) -> Reasoning:
    return Reasoning() if "thinking with a forced tool" in losses else request.reasoning


def answer(name: str, given_answer: JsonAnswer | None, lost: Iterable[str] = ()) -> Any:
    if given_answer is None or (given_answer.schema is None and "json without a schema" in lost):
        return None
    schema = given_answer.schema
    return None if schema is None else closed(schema) if name == "anthropic" else schema


# --- the conversation ---------------------------------------------------------------------


def told(request: Request, json_is_told: bool = False) -> str:
    """The instructions as one text, without what tells a model to answer in JSON."""
    texts = [text for text in request.system if not text.startswith("Answer with one JSON")]
    return "\n\n".join(texts)


def conversation(
    request: Request, names: Names | None, lost: Iterable[str] = (), *, fold: bool
) -> list[tuple[str, list[Any]]]:
    """Role and parts of each message, neighbours put together, ids as the number of their call."""
    numbers: dict[str, int] = {}
    found: list[tuple[str, list[Any]]] = []
    for message in settled(request, fold=fold):
        parts = list(plain(message.parts, names, lost, numbers))
        if found and found[-1][0] == message.role:
            found[-1][1].extend(parts)
        else:
            found.append((message.role, parts))
    return [(role, list(glued(parts))) for role, parts in found]


def plain(
    parts: Iterable[Part], names: Names | None, lost: Iterable[str], numbers: dict[str, int]
) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, CallPart):
            numbers[part.id] = len(numbers)
            kept = part.custom and "custom tools" not in lost and part.arguments
            name = names.of(part.namespace, part.name) if names else part.name
            yield numbers[part.id], name, kept or arguments_object(part)
        elif isinstance(part, ResultPart):
            error = part.error and "failed results" not in lost
            yield numbers[part.id], list(glued(part.parts)), error
        else:
            yield part


def glued(parts: Iterable[Any]) -> Iterator[Any]:
    """Neighbouring texts as one: not every API tells where one ends."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
            continue
        if texts:
            yield "\n\n".join(texts)
            texts = []
        yield part
    if texts:
        yield "\n\n".join(texts)
