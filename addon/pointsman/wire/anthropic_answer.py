"""What an Anthropic answer says, gathered event by event or from a whole body; and the body rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import Usage
from pointsman.wire.json_spans import Body, array_spans, decode, encode, prepend
from pointsman.wire.loose import as_dict, as_list, as_text

ERROR_LIMIT = 500  # characters kept of an error's message

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(slots=True)
class Observation:
    """One answer as far as it has been seen. `complete` means that it ended as it should."""

    message_id: str | None = None
    answered_model: str | None = None
    stop_reason: str | None = None
    complete: bool = False
    error: str | None = None  # "type: message"
    blocks: int = 0
    tool_uses: int = 0
    started: bool = False  # message_start, or a body that is a message
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None  # of every life
    cache_creation_1h_tokens: int | None = None

    def to_usage(self) -> Usage:
        written, long = self.cache_creation_input_tokens, self.cache_creation_1h_tokens
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_tokens=self.cache_read_input_tokens,
            cache_write_tokens=None if written is None else max(0, written - (long or 0)),
            cache_write_1h_tokens=long,
        )

    def see(self, event: Mapping[str, Any]) -> None:
        """One stream event's data."""
        kind = event.get("type")
        if kind == "message_start":
            self.started = True
            self._see_message(as_dict(event.get("message")))
        elif kind == "content_block_start":
            self._see_block(event.get("content_block"))
        elif kind == "message_delta":
            self._see_end(as_dict(event.get("delta")))
            self._see_usage(event.get("usage"))
        elif kind == "message_stop":
            self.complete = True
        elif kind == "error":
            self._see_error(event.get("error"))

    def see_body(self, body: Mapping[str, Any]) -> None:
        """A whole answer: a message, or an error."""
        if body.get("type") == "error":
            self._see_error(body.get("error"))
        elif body.get("type") == "message":
            self.started = self.complete = True
            self._see_message(body)
            for block in as_list(body.get("content")):
                self._see_block(block)

    def _see_message(self, message: Mapping[str, Any]) -> None:
        self.message_id = as_text(message.get("id")) or self.message_id
        self.answered_model = as_text(message.get("model")) or self.answered_model
        self._see_end(message)
        self._see_usage(message.get("usage"))

    def _see_end(self, delta: Mapping[str, Any]) -> None:
        self.stop_reason = as_text(delta.get("stop_reason")) or self.stop_reason

    def _see_block(self, block: Any) -> None:
        self.blocks += 1
        self.tool_uses += as_dict(block).get("type") == "tool_use"

    def _see_usage(self, usage: Any) -> None:
        """Counts are cumulative: each one given replaces the one before."""
        usage = as_dict(usage)
        for name in _COUNTS:
            count = usage.get(name)
            if _is_count(count):
                setattr(self, name, count)
        long = as_dict(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")
        if _is_count(long):
            self.cache_creation_1h_tokens = long

    def _see_error(self, error: Any) -> None:
        error = as_dict(error)
        kind, message = as_text(error.get("type")) or "error", as_text(error.get("message")) or ""
        self.error = f"{kind}: {message}"[:ERROR_LIMIT]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


# --- answers that are not streamed --------------------------------------------------------


def observe_body(data: bytes) -> Observation:
    """What a whole answer says; an empty observation if it cannot be read."""
    observation = Observation()
    try:
        observation.see_body(as_dict(decode(data)))
    except BodyError:
        pass  # the client gets it as it is and is the one to complain
    return observation


def rewrite_body(
    data: bytes,
    requested_model: str | None,
    marker_text: str | None = None,
    x_router: Mapping[str, Any] | None = None,
) -> bytes:
    """A message with the requested model, the marker as first text block, and `x_router` as a member.

    Anything but a message comes back as it is, and so does a message without content as far as
    the marker goes: an answer must never consist of a marker alone.
    """
    try:
        body = Body.parse(data)
        if body.get("type") != "message":
            return data
        rename(body, requested_model, x_router)
        content = body.raw("content")
        if marker_text is not None and content is not None and array_spans(content):
            body.set_raw("content", prepend(content, encode({"type": "text", "text": marker_text})))
        return body.render()
    except BodyError:
        return data


def rename(message: Body, requested_model: str | None, x_router: Mapping[str, Any] | None) -> None:
    """Puts the requested model and `x_router` into a message object; None leaves either alone."""
    if requested_model is not None and message.has("model") and message.get("model") != requested_model:
        message.set("model", requested_model)
    if x_router is not None:
        message.set("x_router", x_router)
