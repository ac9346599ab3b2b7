"""A Chat Completions answer as neutral events, of OpenAI and of the many that copy it.

A whole completion is read like a chunk that has everything in it. What is tolerated: reasoning under any of
its names, content in parts, calls without an index or an id or under one index, the old `function_call`, the
reason for the end beside content, usage anywhere, no `[DONE]`. The first choice counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pointsman.wire.loose import as_dict, as_int, as_text, dicts
from pointsman.wire.neutral import CallArguments, Event, Failed, Refusal, Start, StopReason, Text, Thinking
from pointsman.wire.openai.counts import read_counts
from pointsman.wire.translation.free_text import as_json
from pointsman.wire.translation.reading import EventReader

_REASONS: Final = {
    "stop": StopReason.END,
    "length": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.CALLS,
    "function_call": StopReason.CALLS,
    "content_filter": StopReason.REFUSAL,
    "model_length": StopReason.CONTEXT,  # Mistral
}
# DeepSeek ends an answer that it could not finish with this reason.
_BROKEN: Final = "insufficient_system_resource"


class ChatReader(EventReader):
    """A stream of completion chunks, or a completion."""

    def __init__(self) -> None:
        super().__init__()
        self._reason: StopReason | None = None
        self._sequence: str | None = None
        self._call_at: dict[Any, int] = {}  # the provider's index → call
        self._call_of: dict[str, int] = {}  # the provider's id → call
        self._latest: int | None = None  # call
        self._unnamed: dict[Any, list[str]] = {}  # arguments that came before the name

    def _see(self, content: dict[str, Any]) -> Iterator[Event]:
        if not isinstance(content.get("choices"), list):
            return
        if not self.started:
            yield Start(as_text(content.get("id")) or "", as_text(content.get("model")) or "")
        usage = content.get("usage")
        if usage is None and "x_groq" in content:
            usage = as_dict(content["x_groq"]).get("usage")
        for choice in dicts(content["choices"]):
            if (as_int(choice.get("index")) or 0) == 0:
                usage = usage or choice.get("usage")  # Moonshot
                yield from self._choice(choice)
        if (counts := read_counts(usage)) is not None:
            yield counts

    def _choice(self, choice: dict[str, Any]) -> Iterator[Event]:
        whole = "delta" not in choice and isinstance(choice.get("message"), dict)
        yield from self._delta(as_dict(choice["message"] if whole else choice.get("delta")))
        reason = as_text(choice.get("finish_reason"))
        if reason == _BROKEN:
            yield Failed(503, "The provider ran out of resources.", reason)
        elif reason or whole:
            self._reason = _REASONS.get(reason or "stop", StopReason.END)
            self._sequence = as_text(choice.get("stop_reason"))  # vLLM names the stop sequence here
            if self._reason is StopReason.END and self._sequence:
                self._reason = StopReason.STOP_SEQUENCE

    def _done(self) -> Iterator[Event]:
        if self._reason is not None:
            yield from self._finish(self._reason, self._sequence)

    def _close(self) -> Iterator[Event]:
        return self._done()  # some gateways end without `[DONE]`

    # --- what a delta says ----------------------------------------------------------------

    def _delta(self, delta: dict[str, Any]) -> Iterator[Event]:
        if "content" not in delta or len(delta) > 1:
            yield Thinking(_reasoning(delta))
        content = delta.get("content")
        if isinstance(content, str):
            yield Text(content)
        elif content is not None:
            yield from _of_parts(content)
        if isinstance(delta.get("refusal"), str):
            yield Refusal(delta["refusal"])
        for call in dicts(delta.get("tool_calls")):
            yield from self._tool_call(call)
        if isinstance(delta.get("function_call"), dict):
            yield from self._tool_call({"index": "function_call", "function": delta["function_call"]})

    def _tool_call(self, call: dict[str, Any]) -> Iterator[Event]:
        custom = isinstance(call.get("custom"), dict)
        said = as_dict(call["custom"] if custom else call.get("function"))
        given = said.get("input" if custom else "arguments")
        # Some gateways give whole arguments as an object.
        fragment = given if isinstance(given, str) else "" if given is None else as_json(given)
        call_id, name = as_text(call.get("id")) or "", as_text(said.get("name")) or ""
        place = call.get("index")
        known = self._known(place, call_id, name)
        if known is None and not name:
            if place is not None or self._latest is None:
                self._unnamed.setdefault(_key(place), []).append(fragment)
                return
            known = self._latest
        if known is None:
            start = self._call(call_id, name, custom=custom)
            known = start.index
            yield start
            fragment = "".join(self._unnamed.pop(_key(place), [])) + fragment
        self._latest = known
        if place is not None:
            self._call_at[_key(place)] = known
        if call_id:
            self._call_of[call_id] = known
        if fragment:
            yield CallArguments(known, fragment)

    def _known(self, place: Any, call_id: str, name: str) -> int | None:
        """The call that a fragment goes on with. A new id under an old index, with a name, is a new call."""
        if call_id in self._call_of:
            return self._call_of[call_id]
        at = None if place is None else self._call_at.get(_key(place))
        named = at is not None and at in self._call_of.values()
        return None if call_id and name and named else at


def _key(place: Any) -> Any:
    return place if isinstance(place, int | str) else None


def _reasoning(delta: dict[str, Any]) -> str:
    """DeepSeek's name for it, OpenRouter's and newer vLLM's, and OpenRouter's details; they say the same."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(delta.get(name), str) and delta[name]:
            return str(delta[name])
    details = dicts(delta.get("reasoning_details"))
    said = (detail.get("text") or detail.get("summary") for detail in details)
    return "".join(text for text in said if isinstance(text, str))


def _of_parts(content: Any) -> Iterator[Event]:
    """Content in parts: Mistral's, with its thinking."""
    for part in dicts(content):
        text = part.get("text")
        if part.get("type") == "thinking":
            inner = (piece.get("text") for piece in dicts(part.get("thinking")))
            yield Thinking("".join(piece for piece in inner if isinstance(piece, str)))
        elif isinstance(text, str):
            yield Text(text)


def read_events(content_type: str) -> ChatReader:
    """What makes neutral events of an answer's bytes; the type need not be true."""
    return ChatReader()


def read_answer(data: bytes) -> list[Event]:
    """A whole answer as neutral events."""
    reader = ChatReader()
    return [*reader.feed(data), *reader.flush()]
