"""What a Responses answer says, gathered event by event or from a whole body; and the body rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire import observation as base
from pointsman.wire.json_spans import Body, array_spans, prepend
from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.openai.usage import see_usage
from pointsman.wire.openai_responses.items import encoded_marker

BEGINNINGS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ENDED: Final = frozenset({"completed", "incomplete", "failed"})


class Observation(base.Observation):
    """A Responses answer."""

    __slots__ = ()

    def see(self, event: Mapping[str, Any]) -> None:
        """One stream event's data."""
        kind = as_text(event.get("type"))
        if kind in BEGINNINGS or kind in ENDS:
            self.see_response(as_dict(event.get("response")))
            self.complete = self.complete or kind in ENDS
        elif kind == "error":
            self._see_error(event.get("error") or event)
            self.complete = True
        elif not self.begun and kind is not None:
            self.begun = _begins(kind, event)

    def see_body(self, body: Mapping[str, Any]) -> None:
        """A whole answer: a response, or an error."""
        if body.get("object") == "response":
            self.see_response(body)
            self.complete = as_text(body.get("status")) in _ENDED
        elif isinstance(body.get("error"), dict):
            self._see_error(body["error"])

    def see_response(self, response: Mapping[str, Any]) -> None:
        """The response object as it stands in a body and in the first and last events of a stream."""
        self.started = True
        self.message_id = as_text(response.get("id")) or self.message_id
        self.answered_model = as_text(response.get("model")) or self.answered_model
        status = as_text(response.get("status"))
        if status in _ENDED:
            why = as_text(as_dict(response.get("incomplete_details")).get("reason"))
            self.stop_reason = why or ("refusal" if _refuses(response) else status)
        if isinstance(response.get("error"), dict):
            self._see_error(response["error"])
        see_usage(self, response.get("usage"))
        self.begun = (
            self.begun
            or self.stop_reason in ("content_filter", "refusal")
            or any(map(is_content, dicts(response.get("output"))))
        )

    def _see_error(self, error: Any) -> None:
        error = as_dict(error)
        kind = as_text(error.get("code")) or as_text(error.get("type")) or "error"
        self.fail(kind, as_text(error.get("message")) or "")


def _begins(kind: str, event: Mapping[str, Any]) -> bool:
    """Whether an event is the first content: a piece of a text, or an item that is more than a text."""
    if kind == "response.output_item.added":
        return is_content(as_dict(event.get("item")))
    return kind.endswith(".delta") and bool(event.get("delta"))


def is_content(item: Mapping[str, Any]) -> bool:
    """Whether an item says anything by now. A message may begin empty; other kinds mean something."""
    if item.get("type") == "message":
        return any(part.get("text") or part.get("refusal") for part in dicts(item.get("content")))
    return bool(item)


def _refuses(response: Mapping[str, Any]) -> bool:
    parts = (part for item in dicts(response.get("output")) for part in dicts(item.get("content")))
    return any(part.get("type") == "refusal" for part in parts)


# --- answers that are not streamed --------------------------------------------------------


def observe_body(data: bytes) -> Observation:
    """What a whole answer says; an empty observation if it cannot be read."""
    observation = Observation()
    observation.see_body(base.read_answer(data))
    return observation


def rewrite_body(data: bytes, changes: Changes) -> bytes:
    """A response with the requested model, the marker as first item, and `x_router` as a member.

    Anything but a response comes back as it is, and so does a response without output as far as the marker
    goes: an answer must never consist of a marker alone.
    """
    try:
        body = Body.parse(data)
        if body.get("object") != "response":
            return data
        rename(body, changes)
        name_decision(body, changes)
        if changes.marker_text is not None:
            mark(body, encoded_marker(changes.marker_text, body.get("id")))
        return body.render()
    except BodyError:
        return data


def rename(response: Body, changes: Changes) -> None:
    """Puts the requested model into a response object."""
    model = changes.requested_model
    if model is not None and response.has("model") and response.get("model") != model:
        response.set("model", model)


def name_decision(response: Body, changes: Changes) -> None:
    """Puts `x_router` into a response object."""
    if changes.x_router is not None:
        response.set("x_router", changes.x_router)


def mark(response: Body, item: bytes) -> None:
    """Puts `item` before the others of a response object that has any. Raises BodyError."""
    output = response.raw("output")
    if output is not None and output.startswith(b"[") and array_spans(output):
        response.set_raw("output", prepend(output, item))
