"""A conversation as every API takes it, whatever the client sent.

    1. Texts without a visible character say nothing and go.
    2. Every call is answered right after the assistant's message that it stands in, in the order of the
       calls, each once: results are moved there; several results of a call become one, in which nothing
       stands twice; a call without a result gets one that says so; a result without its call becomes a
       text. Ids that come twice are made different.
    3. Instructions in the middle become reminders in the user's message, where the target has no role for
       them (`fold`).
    4. Neighbours with the same role are one message, results first. The first message is the user's.

What becomes of a message depends on what stands before it; only a call that is answered late changes what was
sent before. So what was sent once stays the beginning of what is sent next, and the provider's cache holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pointsman.wire.neutral import CallPart, Message, Part, Request, ResultPart, TextPart, ThinkingPart

NO_RESULT: Final = "There is no result: the call was not carried out."
_REMINDER: Final = ("<system-reminder>\n", "\n</system-reminder>")
_BEGINNING: Final = "(The conversation begins with the assistant.)"

type _Place = tuple[int, int]  # of a message, and of a part in it


def settled(request: Request, *, fold: bool, thinking: bool = False) -> tuple[Message, ...]:
    """The messages of a request, mended. At least one, unless the request says nothing at all.

    `thinking`: what a model has thought stays in its messages.
    """
    messages = list(_answered(request.messages if thinking else map(_unthinking, request.messages)))
    if fold:
        messages = [_folded(message) for message in messages]
    merged = list(_merged(messages))
    if merged and merged[0].role == "assistant":
        merged.insert(0, Message("user", (TextPart(_BEGINNING),)))
    if not merged and request.system:
        merged = [Message("user", (TextPart(request.system[-1]),))]
    return tuple(merged)


def says_something(text: str) -> bool:
    return bool(text.strip())


def in_tool_loop(messages: Sequence[Message]) -> bool:
    """Whether the newest message gives results."""
    return bool(messages) and any(isinstance(part, ResultPart) for part in messages[-1].parts)


def begins_answer(messages: Sequence[Message]) -> bool:
    """Whether the newest message is the beginning of the answer."""
    return bool(messages) and messages[-1].role == "assistant"


# --- calls and results --------------------------------------------------------------------


@dataclass(slots=True)
class _Pairs:
    """Which result answers which call, by their places."""

    ids: dict[_Place, str] = field(default_factory=dict)  # of calls, no two the same
    answers: dict[_Place, ResultPart] = field(default_factory=dict)
    taken: set[_Place] = field(default_factory=set)  # results that need not stand where they stood


def _paired(messages: Sequence[Message]) -> _Pairs:
    pairs = _Pairs()
    latest: dict[str, tuple[_Place, CallPart]] = {}
    taken: set[str] = set()
    for number, message in enumerate(messages):
        for index, part in enumerate(message.parts):
            place = (number, index)
            if isinstance(part, CallPart):
                pairs.ids[place] = _unlike(part.id, taken)
                taken.add(pairs.ids[place])
                latest[part.id] = (place, part)
            elif isinstance(part, ResultPart) and part.id in latest:
                pairs.taken.add(place)
                at, call = latest[part.id]
                known = pairs.answers.get(at) or replace(_answer_to(call, pairs.ids[at]), parts=())
                more = tuple(inner for inner in part.parts if inner not in known.parts)
                if more or not known.parts:
                    pairs.answers[at] = replace(known, parts=known.parts + more, error=part.error)
    return pairs


def _unlike(call_id: str, taken: Collection[str]) -> str:
    """The id, or one like it that no call before it has."""
    found, number = call_id, 1
    while found in taken:
        number += 1
        found = f"{call_id}~{number}"
    return found


def _unthinking(message: Message) -> Message:
    if not any(isinstance(part, ThinkingPart) for part in message.parts):
        return message
    return replace(message, parts=tuple(p for p in message.parts if not isinstance(p, ThinkingPart)))


def _answered(given: Iterable[Message]) -> Iterator[Message]:
    """Rules 1 and 2."""
    messages = list(given)
    pairs = _paired(messages)
    owed: list[ResultPart] = []
    for number, message in enumerate(messages):
        if owed and message.role != "assistant":
            yield Message("user", tuple(owed))
            owed = []
        parts: list[Part] = []
        for index, part in enumerate(message.parts):
            place = (number, index)
            if isinstance(part, CallPart):
                parts.append(replace(part, id=pairs.ids[place]))
                owed.append(pairs.answers.get(place) or _answer_to(part, pairs.ids[place]))
            elif isinstance(part, ResultPart):
                parts += () if place in pairs.taken else _orphan(part)
            elif not isinstance(part, TextPart) or says_something(part.text):
                parts.append(part)
        if parts:
            yield Message(message.role, tuple(parts))
    if owed:
        yield Message("user", tuple(owed))


def _answer_to(call: CallPart, call_id: str) -> ResultPart:
    """The result of a call that has none."""
    said = (TextPart(NO_RESULT),)
    return ResultPart(call_id, call.name, said, error=True, custom=call.custom, namespace=call.namespace)


def _orphan(result: ResultPart) -> Iterator[Part]:
    name = f" `{result.name}`" if result.name else ""
    yield TextPart(f"(A tool{name} gave this back earlier.)")
    yield from (part for part in result.parts if not isinstance(part, TextPart) or says_something(part.text))


# --- roles --------------------------------------------------------------------------------


def _folded(message: Message) -> Message:
    if message.role != "system":
        return message
    texts = (part.text for part in message.parts if isinstance(part, TextPart))
    return Message("user", tuple(TextPart(reminder(text)) for text in texts))


def reminder(text: str) -> str:
    """Instructions as a text of the user's, in the words that Claude Code uses for it."""
    before, after = _REMINDER
    return text if text.lstrip().startswith(before.strip()) else f"{before}{text}{after}"


def _merged(messages: Iterable[Message]) -> Iterator[Message]:
    held: Message | None = None
    for message in messages:
        if held is None or held.role != message.role:
            if held is not None:
                yield _results_first(held)
            held = message
        else:
            held = Message(held.role, held.parts + message.parts)
    if held is not None:
        yield _results_first(held)


def _results_first(message: Message) -> Message:
    results = tuple(part for part in message.parts if isinstance(part, ResultPart))
    if not results or message.parts[: len(results)] == results:
        return message
    others = tuple(part for part in message.parts if not isinstance(part, ResultPart))
    return Message(message.role, results + others)
