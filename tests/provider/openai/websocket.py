"""What Codex says over the WebSocket at /v1/responses, and what it is told.

A message is a request body with "type": "response.create"; the answer is the stream's events, one
message each. With "generate": false nothing is generated: the response has an id to go on from. What
is not stored is known for as long as the connection lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from provider.answers import Answer, Fault, Step
from provider.family import Trouble
from provider.openai.errors import Refused, error_value
from provider.openai.reading import read_body
from provider.openai.said import BUSY
from provider.record import Record
from provider.refusal import Refusal
from provider.websocket import MESSAGE

if TYPE_CHECKING:
    from provider.openai.family import OpenAI

__all__ = ["MESSAGE", "hear"]
NOTHING = Answer((), think=None)


def hear(family: OpenAI, record: Record, step: Callable[[Record], Step]) -> list[dict[str, Any]]:
    try:
        return _answer(family, record, step)
    except Refusal as refusal:
        record.error, record.status = refusal.message, refusal.status
        return [_error(refusal)]


def _answer(family: OpenAI, record: Record, step: Callable[[Record], Step]) -> list[dict[str, Any]]:
    body = read_body(record.request)
    if not isinstance(body, dict) or body.get("type") != "response.create":
        raise Refused("Invalid type of message: expected 'response.create'.", param="type")
    connection = record.request.connection
    asked = {key: value for key, value in body.items() if key not in ("type", "generate")}
    generate = body.get("generate") is not False
    record.generates = generate
    family.take(record, asked, connection, generate=generate)
    given = step(record) if generate else NOTHING
    if isinstance(given, Fault):
        record.error, record.status = given.message, given.status
        return [_error(given)]
    if not isinstance(given, Answer):
        raise Refused("A page cannot be sent over a WebSocket.", 500)
    message = family.say(record, given, connection)
    record.status = 200
    said: list[dict[str, Any]] = message.values()
    if not generate:
        return [said[0], {**said[-1], "sequence_number": 1, "response": _unused(said[-1]["response"])}]
    if given.overload_after is not None:
        after = given.overload_after
        said = [*said[:after], message.error_event(after, given.overload_kind)]
    if given.cut_after is not None:
        record.notes["cut"], said = True, said[: given.cut_after]
    return said


def _unused(response: dict[str, Any]) -> dict[str, Any]:
    """A warm-up costs nothing."""
    usage: dict[str, Any] = dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), 0)
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {**response, "usage": usage | details}


def _error(trouble: Trouble) -> dict[str, Any]:
    status = 503 if trouble.status == 529 else trouble.status
    text = BUSY if trouble.message == "Overloaded" else trouble.message
    param, code = getattr(trouble, "param", None), getattr(trouble, "code", None)
    code = trouble.kind if isinstance(trouble, Fault) else code
    return {"type": "error", "status": status, "error": error_value(status, text, param, code)}
