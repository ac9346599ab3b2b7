"""Neutral events as the Responses API would send them.

Every block is an item of its own: a text is a message, thoughts are a reasoning item with a summary, a call
is what the client's tool is. The events of an item, the response at the end and the numbers agree. Reasoning
items carry nothing sealed, and ids that say that they are ours: no provider knows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pointsman.wire import sse
from pointsman.wire.json_spans import encode
from pointsman.wire.neutral import Counts, Event, Request, StopReason
from pointsman.wire.openai.counts import entire_input, input_details
from pointsman.wire.openai_responses.errors import failed_event
from pointsman.wire.openai_responses.items import text_part
from pointsman.wire.rejoining import Rejoin, Unchanged
from pointsman.wire.translation.blocks import Block, id_of
from pointsman.wire.translation.writing import Collector, EventWriter

_INCOMPLETE: Final = {
    StopReason.MAX_TOKENS: "max_output_tokens",
    StopReason.CONTEXT: "max_output_tokens",
}
_DEFAULT_NAMESPACE: Final = "functions"  # goes without saying in a call

Json = dict[str, Any]


class ResponsesWriter(EventWriter):
    """A stream of Responses events."""

    def __init__(self, request: Request, answer_id: str, created: int) -> None:
        super().__init__(request, answer_id, created, thoughts=request.reasoning.shown)
        self._number = 0
        self._output: list[Json] = []
        self._refused = False

    def _opening(self) -> bytes:
        response = self._response("in_progress", [])
        return self._event("created", response=response) + self._event("in_progress", response=response)

    def _status(self) -> tuple[str, str | None]:
        return _status(self.stop.reason, refused=self._refused)

    def _start(self, block: Block) -> bytes:
        self._refused = self._refused or block.kind == "refusal"
        item = item_of(block, self._answer_id, "in_progress")
        added = self._event("output_item.added", output_index=block.number, item=item)
        if block.kind == "call":
            return added
        if block.kind == "thinking":
            place: Json = {**self._place(block), "summary_index": 0}
            return added + self._event("reasoning_summary_part.added", **place, part=_summary(""))
        place = {**self._place(block), "content_index": 0}
        return added + self._event("content_part.added", **place, part=_part(block, ""))

    def _more(self, block: Block, fragment: str) -> bytes:
        if block.kind == "call":
            name = "custom_tool_call_input" if block.custom else "function_call_arguments"
            return self._event(f"{name}.delta", **self._place(block), delta=fragment)
        if block.kind == "thinking":
            place: Json = {**self._place(block), "summary_index": 0}
            return self._event("reasoning_summary_text.delta", **place, delta=fragment)
        place = {**self._place(block), "content_index": 0}
        if block.kind == "refusal":
            return self._event("refusal.delta", **place, delta=fragment)
        return self._event("output_text.delta", **place, delta=fragment, logprobs=[])

    def _finish(self, block: Block) -> bytes:
        # A block that is open at the end of an answer that was cut, was cut itself.
        text, item = block.text, item_of(block, self._answer_id, self._status()[0])
        self._output.append(item)
        if block.kind == "call":
            done = self._call_done(block, text)
        elif block.kind == "thinking":
            place: Json = {**self._place(block), "summary_index": 0}
            done = self._event("reasoning_summary_text.done", **place, text=text)
            done += self._event("reasoning_summary_part.done", **place, part=_summary(text))
        else:
            place = {**self._place(block), "content_index": 0}
            said = {"refusal": text} if block.kind == "refusal" else {"text": text, "logprobs": []}
            name = "refusal" if block.kind == "refusal" else "output_text"
            done = self._event(f"{name}.done", **place, **said)
            done += self._event("content_part.done", **place, part=_part(block, text))
        return done + self._event("output_item.done", output_index=block.number, item=item)

    def _call_done(self, block: Block, text: str) -> bytes:
        place = self._place(block)
        if block.custom:
            return self._event("custom_tool_call_input.done", **place, input=text)
        return self._event("function_call_arguments.done", **place, name=block.name, arguments=text)

    def _end(self) -> bytes:
        status, why = self._status()
        response = self._response(status, self._output, counts=self.counts, incomplete=why)
        return self._event(status, response=response)

    def _failure(self, status: int, message: str) -> bytes:
        before = b"" if self._begun else self._opening()
        failed = failed_event(self._response("failed", self._output), self._number, status, message)
        return before + failed

    def _response(self, status: str, output: list[Json], **known: Any) -> Json:
        return response_of(self._request, self._answer_id, self._created, status, output, **known)

    def _place(self, block: Block) -> Json:
        return {"item_id": item_id(block, self._answer_id), "output_index": block.number}

    def _event(self, name: str, /, **members: Any) -> bytes:
        kind = f"response.{name}"
        data = encode({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        return sse.write(kind, data)


def opening(answer_id: str, model: str, created: int) -> bytes:
    """Nothing: an id of ours would come back to the provider as `previous_response_id`."""
    return b""


def rejoin(answer_id: str, model: str, created: int) -> Rejoin:
    """What follows that opening: the provider's own stream."""
    return Unchanged()


def write_events(request: Request, answer_id: str, created: int) -> ResponsesWriter:
    """What makes a stream of neutral events; `created` is unix seconds."""
    return ResponsesWriter(request, answer_id, created)


def write_answer(events: Iterable[Event], request: Request, answer_id: str, created: int) -> bytes:
    """Neutral events as a whole response."""
    answer = Collector(events, request, answer_id, thoughts=request.reasoning.shown)
    output = [item_of(block, answer_id, "completed") for block in answer.blocks]
    refused = any(block.kind == "refusal" for block in answer.blocks)
    status, why = _status(answer.stop.reason, refused=refused)
    if output and "status" in output[-1]:
        output[-1]["status"] = status
    counts = answer.counts
    return encode(
        response_of(request, answer_id, created, status, output, counts=counts, incomplete=why)
    )


# --- response objects ---------------------------------------------------------------------


def response_of(
    request: Request,
    answer_id: str,
    created: int,
    status: str,
    output: list[Json],
    *,
    counts: Counts | None = None,
    incomplete: str | None = None,
) -> Json:
    """A response object with all that the SDKs demand of one."""
    effort = request.reasoning.effort
    return {
        "id": id_of("resp", answer_id),
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "model": request.model,
        "output": output,
        "parallel_tool_calls": request.parallel_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": effort, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": request.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": request.top_p,
        "truncation": "disabled",
        "usage": None if counts is None else _usage(counts),
        "user": None,
        "metadata": {},
    }


def _status(reason: StopReason, *, refused: bool) -> tuple[str, str | None]:
    """The response's status, and why it is incomplete. One that says that it declines is complete."""
    why = _INCOMPLETE.get(reason)
    if reason is StopReason.REFUSAL and not refused:
        why = "content_filter"
    return ("completed" if why is None else "incomplete"), why


def _usage(counts: Counts) -> Json:
    entire, output = entire_input(counts), counts.output or 0
    return {
        "input_tokens": entire,
        "input_tokens_details": input_details(counts),
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning or 0},
        "total_tokens": entire + output,
    }


# --- items --------------------------------------------------------------------------------


def item_id(block: Block, answer_id: str) -> str:
    prefix = {"thinking": "rs", "call": "ctc" if block.custom else "fc"}.get(block.kind, "msg")
    return id_of(prefix, answer_id, block.number)


def item_of(block: Block, answer_id: str, status: str) -> Json:
    """The item that a block is: empty while it is in progress, else with all that was said."""
    done = status != "in_progress"
    text = block.text if done else ""
    made: Json = {"id": item_id(block, answer_id)}
    if block.kind == "thinking":
        return made | {"type": "reasoning", "summary": [_summary(text)] if done else []}
    if block.kind == "call":
        kind, key = ("custom_tool_call", "input") if block.custom else ("function_call", "arguments")
        call = {"type": kind, "status": status, key: text, "call_id": block.id, "name": block.name}
        space = block.namespace
        return made | call | ({"namespace": space} if space not in ("", _DEFAULT_NAMESPACE) else {})
    content = [_part(block, text)] if done else []
    return made | {"type": "message", "status": status, "content": content, "role": "assistant"}


def _part(block: Block, text: str) -> Json:
    return {"type": "refusal", "refusal": text} if block.kind == "refusal" else text_part(text)


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}
