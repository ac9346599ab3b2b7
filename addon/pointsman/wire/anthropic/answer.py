"""What an Anthropic answer says, gathered event by event or from a whole body; and the body rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire import observation as base
from pointsman.wire.json_spans import Body, array_spans, encode, prepend
from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.observation import as_count

_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}


class Observation(base.Observation):
    """An Anthropic answer."""

    __slots__ = ()

    def see(self, event: Mapping[str, Any]) -> None:
        """One stream event's data."""
        kind = event.get("type")
        if kind == "message_start":
            self.started = True
            self._see_message(as_dict(event.get("message")))
        elif kind == "message_delta":
            self._see_end(as_dict(event.get("delta")))
            self._see_usage(event.get("usage"))
        elif kind == "message_stop":
            self.complete = True
        elif kind == "content_block_start" and not self.begun:
            self.begun = _says(as_dict(event.get("content_block")))
        elif kind == "content_block_delta" and not self.begun:
            self.begun = _says(as_dict(event.get("delta")))
        elif kind == "error":
            self._see_error(event.get("error"))

    def see_body(self, body: Mapping[str, Any]) -> None:
        """A whole answer: a message, or an error."""
        if body.get("type") == "error":
            self._see_error(body.get("error"))
        elif body.get("type") == "message":
            self.started = self.complete = True
            self._see_message(body)

    def _see_message(self, message: Mapping[str, Any]) -> None:
        self.message_id = as_text(message.get("id")) or self.message_id
        self.answered_model = as_text(message.get("model")) or self.answered_model
        self._see_end(message)
        self._see_usage(message.get("usage"))
        self.begun = self.begun or any(map(_says, dicts(message.get("content"))))

    def _see_end(self, delta: Mapping[str, Any]) -> None:
        self.stop_reason = as_text(delta.get("stop_reason")) or self.stop_reason
        self.begun = self.begun or self.stop_reason == "refusal"

    def _see_usage(self, usage: Any) -> None:
        """Counts are cumulative: each one given replaces the one before."""
        usage = as_dict(usage)
        for name, ours in _COUNTS.items():
            if (count := as_count(usage.get(name))) is not None:
                setattr(self, ours, count)
        long = as_count(as_dict(usage.get("cache_creation")).get("ephemeral_1h_input_tokens"))
        if long is not None:
            self.cache_write_1h_tokens = long

    def _see_error(self, error: Any) -> None:
        error = as_dict(error)
        self.fail(as_text(error.get("type")) or "error", as_text(error.get("message")) or "")


def _says(block: Mapping[str, Any]) -> bool:
    """Whether a block or a delta is content. A text may begin empty, other kinds not."""
    return bool(block.get("text")) if block.get("type") in ("text", "text_delta") else bool(block)


# --- answers that are not streamed --------------------------------------------------------


def observe_body(data: bytes) -> Observation:
    """What a whole answer says; an empty observation if it cannot be read."""
    observation = Observation()
    observation.see_body(base.read_answer(data))
    return observation


def rewrite_body(data: bytes, changes: Changes) -> bytes:
    """A message with the requested model, the marker as first text block, and `x_router` as a member.

    Anything but a message comes back as it is, and so does a message without content as far as
    the marker goes: an answer must never consist of a marker alone.
    """
    try:
        body = Body.parse(data)
        if body.get("type") != "message":
            return data
        rename(body, changes)
        content = body.raw("content")
        if changes.marker_text is not None and content is not None and array_spans(content):
            block = encode({"type": "text", "text": changes.marker_text})
            body.set_raw("content", prepend(content, block))
        return body.render()
    except BodyError:
        return data


def rename(message: Body, changes: Changes) -> None:
    """Puts the requested model and `x_router` into a message object."""
    model = changes.requested_model
    if model is not None and message.has("model") and message.get("model") != model:
        message.set("model", model)
    if changes.x_router is not None:
        message.set("x_router", changes.x_router)
