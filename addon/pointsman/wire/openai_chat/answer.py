"""What a Chat Completions answer says, gathered chunk by chunk or from a body; and the body rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire import observation as base
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array, encode
from pointsman.wire.loose import as_dict, as_int, as_text, dicts
from pointsman.wire.openai.usage import see_usage

# What a message has besides a text and calls of tools.
_CONTENT = ("content", "reasoning_content", "reasoning", "reasoning_details", "refusal", "audio")


@dataclass(slots=True)
class Observation(base.Observation):
    """A Chat Completions answer: as many choices as were asked for, each with its own end."""

    unfinished: set[int] = field(default_factory=set)  # choices seen that have not ended
    finished: set[int] = field(default_factory=set)

    def see(self, chunk: Mapping[str, Any]) -> bool:
        """One chunk of a stream. Whether it tells what is worth storing."""
        if chunk.get("error") is not None:
            self._see_error(chunk["error"])
            return True
        news = self._see_head(chunk)
        for choice in dicts(chunk.get("choices")):
            news = self._see_choice(choice) or news
        counted = self.output_tokens is not None
        if see_usage(self, chunk.get("usage")):
            # Some gateways count up in every chunk: what matters is that it began, and the last one.
            news = news or not counted or not self.unfinished
        return news

    def knows(self, index: int) -> bool:
        """Whether a choice of this index was seen."""
        return index in self.unfinished or index in self.finished

    def see_done(self) -> bool:
        """`[DONE]`, or the end of the stream of a gateway that omits it. Whether it completes the answer."""
        done = bool(self.finished) and not self.unfinished and self.error is None and not self.complete
        self.complete = self.complete or done
        return done

    def see_body(self, body: Mapping[str, Any]) -> None:
        """A whole answer: a completion, or an error."""
        if body.get("error") is not None:
            self._see_error(body["error"])
        elif isinstance(body.get("choices"), list):
            self._see_head(body)
            self.complete = True
            for choice in dicts(body["choices"]):
                self._see_choice(choice)
            see_usage(self, body.get("usage"))

    def _see_head(self, chunk: Mapping[str, Any]) -> bool:
        known = (self.started, self.message_id is not None, self.answered_model is not None)
        self.started = True
        # The first of each: chunks that hold nothing else to see are not looked at.
        self.message_id = self.message_id or as_text(chunk.get("id"))
        self.answered_model = self.answered_model or as_text(chunk.get("model"))
        return known != (True, self.message_id is not None, self.answered_model is not None)

    def _see_choice(self, choice: dict[str, Any]) -> bool:
        index, reason = as_int(choice.get("index")) or 0, as_text(choice.get("finish_reason"))
        self.begun = self.begun or reason == "content_filter" or _begins(choice)
        if reason is None:
            if index not in self.finished:
                self.unfinished.add(index)
            return False
        self.unfinished.discard(index)
        self.finished.add(index)
        if index == 0 or self.stop_reason is None:
            self.stop_reason = reason
        return True

    def _see_error(self, error: Any) -> None:
        if isinstance(error, str):
            self.fail("error", error)
            return
        error = as_dict(error)
        kind = as_text(error.get("type")) or as_text(error.get("code")) or "error"
        self.fail(kind, as_text(error.get("message")) or "")


# --- answers that are not streamed --------------------------------------------------------


def observe_body(data: bytes) -> Observation:
    """What a whole answer says; an empty observation if it cannot be read."""
    observation = Observation()
    observation.see_body(base.read_answer(data))
    return observation


def rewrite_body(data: bytes, changes: Changes) -> bytes:
    """A completion with the requested model, a marker before each choice's text, and `x_router` as a member.

    Anything but a completion comes back as it is, and so does a choice that says nothing as far as the
    marker goes: an answer must never consist of a marker alone.
    """
    try:
        body = Body.parse(data)
        choices = body.raw("choices")
        if choices is None or not choices.startswith(b"[") or body.get("error") is not None:
            return data
        rename(body, changes)
        if changes.x_router is not None:
            body.set("x_router", changes.x_router)
        if changes.marker_text is not None:
            body.set_raw("choices", _mark_choices(choices, changes.marker_text))
        return body.render()
    except BodyError:
        return data


def rename(body: Body, changes: Changes) -> None:
    """Puts the requested model into a completion or a chunk of one."""
    model, given = changes.requested_model, body.get("model")
    if model is not None and given and given != model:  # "" is no name: Azure's chunk about the prompt
        body.set("model", model)


def says(message: Mapping[str, Any]) -> bool:
    """Whether a message, or the delta of one, holds text or a call of a tool."""
    content = message.get("content")
    return bool(
        (isinstance(content, str) and content)
        or dicts(message.get("tool_calls"))
        or isinstance(message.get("function_call"), dict)
    )


def _begins(choice: Mapping[str, Any]) -> bool:
    """Whether a choice holds any content, be it what no marker waits for."""
    said = as_dict(choice.get("delta") or choice.get("message"))
    return says(said) or any(said.get(name) for name in _CONTENT)


def _mark_choices(choices: bytes, text: str) -> bytes:
    edits: dict[int, bytes | None] = {}
    for at, (start, end) in enumerate(array_spans(choices)):
        choice = choices[start:end]
        if choice.startswith(b"{") and (marked := _mark_choice(Body.parse(choice), text)) is not None:
            edits[at] = marked
    return edit_array(choices, edits)


def _mark_choice(choice: Body, text: str) -> bytes | None:
    """None where no marker may stand."""
    raw = choice.raw("message")
    if raw is None or not raw.startswith(b"{"):
        return None
    message = Body.parse(raw)
    given = message.get("content")
    if message.get("audio") is not None or not says(as_dict(decode(raw))):
        return None
    if isinstance(given, str):
        content = message.raw("content") or b'""'
        message.set_raw("content", encode(text)[:-1] + content[1:])
    elif given is None:
        message.set("content", text)
    else:
        return None
    choice.set_raw("message", message.render())
    return choice.render()
