"""A Responses answer as neutral events.

A whole response is read as its last event. The events `…done` and the response at the end repeat what was
streamed: a text or the arguments of a call count there only if nothing of them was. Summaries and reasoning
in the open are both what was thought; sealed reasoning, and items of tools that the provider runs itself,
have no place elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.neutral import (
    CallArguments,
    Counts,
    Event,
    Failed,
    Refusal,
    Start,
    StopReason,
    Text,
    Thinking,
)
from pointsman.wire.openai.counts import read_counts
from pointsman.wire.openai_responses.answer import BEGINNINGS, ENDS
from pointsman.wire.translation.failures import holds_failure, read_failure
from pointsman.wire.translation.reading import EventReader

_INCOMPLETE: Final = {
    "max_output_tokens": StopReason.MAX_TOKENS,
    "max_tokens": StopReason.MAX_TOKENS,
    "content_filter": StopReason.REFUSAL,
}
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_ARGUMENTS: Final = ("function_call_arguments", "custom_tool_call_input")
_TEXTS: Final[dict[str, type[Text | Refusal | Thinking]]] = {
    "output_text": Text,
    "refusal": Refusal,
    "reasoning_summary_text": Thinking,
    "reasoning_text": Thinking,
}
_KINDS: Final = {
    "output_text": "message",
    "refusal": "message",
    "reasoning_summary_text": "reasoning",
    "reasoning_text": "reasoning",
}
_BETWEEN_THOUGHTS: Final = "\n\n"

type _Place = tuple[Any, ...]


class ResponsesReader(EventReader):
    """A stream of Responses events, or a response."""

    def __init__(self) -> None:
        super().__init__()
        self._call_at: dict[Any, int] = {}  # item → call
        self._call_of: dict[str, int] = {}  # the provider's id → call
        self._said: set[_Place] = set()  # texts of which something was streamed
        self._argued: set[int] = set()  # calls of which arguments were
        self._thought: _Place | None = None  # the newest summary or reasoning text

    def _fails(self, content: dict[str, Any]) -> Failed | None:
        response = as_dict(content.get("response"))
        if content.get("type") == "response.failed" or response.get("status") in ("failed", "cancelled"):
            return read_failure(response)
        if content.get("status") in ("failed", "cancelled") and content.get("object") == "response":
            return read_failure(content)
        # A response says that there was no error, too.
        return read_failure(content) if holds_failure(content) else None

    def _see(self, content: dict[str, Any]) -> Iterator[Event]:
        kind = as_text(content.get("type")) or ""
        if kind.endswith(".delta"):
            yield from self._delta(kind, content)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            item = as_dict(content.get("item"))
            yield from self._item(_item_of(content), item, done=kind.endswith("done"))
        elif kind.endswith(".done"):
            yield from self._done_event(kind, content)
        elif kind in BEGINNINGS:
            yield _start(as_dict(content.get("response")))
        elif kind in ENDS:
            yield from self._response(as_dict(content.get("response")))
        elif content.get("object") == "response" or isinstance(content.get("output"), list):
            yield from self._response(content)

    # --- in pieces ------------------------------------------------------------------------

    def _delta(self, kind: str, content: dict[str, Any]) -> Iterator[Event]:
        said = content.get("delta")
        if not isinstance(said, str) or not said:
            return
        name = kind.removeprefix("response.").removesuffix(".delta")
        if name in _ARGUMENTS:
            call = self._call_at.get(_item_of(content))
            if call is not None:
                self._argued.add(call)
                yield CallArguments(call, said)
        elif name in _TEXTS:
            yield from self._text(name, _place(name, content), said)

    def _done_event(self, kind: str, content: dict[str, Any]) -> Iterator[Event]:
        name = kind.removeprefix("response.").removesuffix(".done")
        if name in _ARGUMENTS:
            given = content.get("arguments", content.get("input"))
            yield from self._arguments(self._call_at.get(_item_of(content)), given)
        elif name in _TEXTS:
            yield from self._rest(name, _place(name, content), content.get("text", content.get("refusal")))

    def _text(self, name: str, place: _Place, said: str) -> Iterator[Event]:
        self._said.add(place)
        kind = _TEXTS[name]
        if kind is Thinking:
            apart = self._thought is not None and self._thought != place
            self._thought = place
            yield Thinking(_BETWEEN_THOUGHTS + said if apart else said)
        else:
            self._thought = None
            yield kind(said)

    # --- as a whole -----------------------------------------------------------------------

    def _rest(self, name: str, place: _Place, said: Any) -> Iterator[Event]:
        """A whole text, unless it was streamed."""
        if isinstance(said, str) and said and place not in self._said:
            yield from self._text(name, place, said)

    def _arguments(self, call: int | None, given: Any) -> Iterator[Event]:
        if call is not None and call not in self._argued and isinstance(given, str) and given:
            self._argued.add(call)
            yield CallArguments(call, given)

    def _item(self, place: Any, item: dict[str, Any], *, done: bool) -> Iterator[Event]:
        kind = as_text(item.get("type")) or ""
        if kind in _CALLS:
            yield from self._call_item(place, item, kind, done=done)
        elif done and kind == "message":
            for number, part in enumerate(dicts(item.get("content"))):
                name = as_text(part.get("type")) or ""
                if name in ("output_text", "refusal"):
                    yield from self._rest(name, (name, place, number), part.get("text", part.get("refusal")))
        elif done and kind == "reasoning":
            for number, part in enumerate(dicts(item.get("summary"))):
                name = "reasoning_summary_text"
                yield from self._rest(name, (name, place, number), part.get("text"))
            for number, part in enumerate(dicts(item.get("content"))):
                yield from self._rest("reasoning_text", ("reasoning_text", place, number), part.get("text"))

    def _call_item(self, place: Any, item: dict[str, Any], kind: str, *, done: bool) -> Iterator[Event]:
        call_id = as_text(item.get("call_id")) or ""
        # Another id at an old place is another call.
        call = self._call_of.get(call_id) if call_id else self._call_at.get(place)
        if call is None:
            name, custom = as_text(item.get("name")) or "", kind == "custom_tool_call"
            start = self._call(call_id, name, custom=custom)
            call = self._call_at[place] = start.index
            if call_id:
                self._call_of[call_id] = call
            self._thought = None
            yield start
        if done:
            yield from self._arguments(call, item.get(_CALLS[kind]))

    def _response(self, response: dict[str, Any]) -> Iterator[Event]:
        """The response at its end."""
        yield _start(response)
        streamed = {_KINDS[place[0]] for place in self._said}
        for number, item in enumerate(dicts(response.get("output"))):
            if as_text(item.get("type")) not in streamed:
                yield from self._item(("end", number), item, done=True)
        counts: Counts | None = read_counts(response.get("usage"))
        if counts is not None:
            yield counts
        why = as_text(as_dict(response.get("incomplete_details")).get("reason"))
        yield from self._finish(_INCOMPLETE.get(why or "", StopReason.END))


def _start(response: dict[str, Any]) -> Start:
    return Start(as_text(response.get("id")) or "", as_text(response.get("model")) or "")


def _item_of(content: dict[str, Any]) -> Any:
    """Which item an event belongs to: its place, since some gateways give it another id in each event."""
    index, item = content.get("output_index"), as_dict(content.get("item"))
    return index if isinstance(index, int) else as_text(content.get("item_id") or item.get("id"))


def _place(name: str, content: dict[str, Any]) -> _Place:
    number = content.get("summary_index" if name == "reasoning_summary_text" else "content_index")
    return name, _item_of(content), number if isinstance(number, int) else 0


def read_events(content_type: str) -> ResponsesReader:
    """What makes neutral events of an answer's bytes; the type need not be true."""
    return ResponsesReader()


def read_answer(data: bytes) -> list[Event]:
    """A whole answer as neutral events."""
    reader = ResponsesReader()
    return [*reader.feed(data), *reader.flush()]
