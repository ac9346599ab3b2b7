"""Scripted answers as the Responses API sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provider.answers import Answer, Call, Given, Part, Text, Think, pieces
from provider.openai.said import BUSY, CREATED, DOWN, Situation, arguments_of, tokens_of
from provider.openai.sealed import seal

Json = Mapping[str, Any]
Item = dict[str, Any]
Raw = tuple[str, dict[str, Any]]  # kind of an event without "response.", and its members
PREFIXES = {"compaction": "cmp", "web_search_call": "ws", "function_call": "fc", "custom_tool_call": "ctc"}
EMPTY: dict[str, Item] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}
INCOMPLETE = ("max_output_tokens", "content_filter")


@dataclass(frozen=True, slots=True)
class Message:
    """A finished response. `sizes` are the lengths of the pieces in which each item is streamed."""

    id: str
    model: str
    items: tuple[Item, ...]
    sizes: tuple[int, ...]
    stop_reason: str  # "completed", or why it is incomplete
    reasoning_tokens: int
    situation: Situation

    @property
    def blocks(self) -> tuple[Item, ...]:
        return self.items

    @property
    def output_tokens(self) -> int:
        shown = [item for item in self.items if item["type"] != "reasoning"]
        return tokens_of(shown) + self.reasoning_tokens if self.items else 0

    @property
    def status(self) -> str:
        return "incomplete" if self.stop_reason in INCOMPLETE else "completed"

    def body(self) -> dict[str, Any]:
        details = {"reason": self.stop_reason} if self.status == "incomplete" else None
        return self._response(self.status, list(self.items), self.usage(), incomplete=details)

    def usage(self) -> dict[str, Any]:
        counted, output = self.situation.counted, self.output_tokens
        return {
            "input_tokens": counted.prompt,
            "input_tokens_details": counted.details(),
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": counted.prompt + output,
        }

    def values(self) -> list[dict[str, Any]]:
        """The events as JSON values, as a WebSocket carries them."""
        begun = self._response("in_progress", [], None)
        raw: list[Raw] = [("created", {"response": begun}), ("in_progress", {"response": begun})]
        for index, item in enumerate(self.items):
            raw += _item_events(index, item, self.sizes[index])
        raw.append((self.status, {"response": self.body()}))
        return [self._numbered(number, *event) for number, event in enumerate(raw)]

    def events(self) -> list[bytes]:
        return [self.event(value) for value in self.values()]

    def event(self, value: Json) -> bytes:
        text = f"event: {value['type']}\ndata: {self.situation.dumps(value)}\n\n"
        return text.encode("utf-8", "surrogatepass")

    def error_event(self, number: int, kind: str | None) -> dict[str, Any]:
        """The event that ends a stream too early: "failed:CODE" is a failed response, "CODE" an error."""
        failed, _, code = (kind or "server_is_overloaded").rpartition(":")
        text = BUSY if code == "server_is_overloaded" else DOWN
        if failed:
            response = self._response("failed", [], None, error={"code": code, "message": text})
            return {"type": "response.failed", "sequence_number": number, "response": response}
        return {"type": "error", "sequence_number": number, "code": code, "message": text, "param": None}

    def _numbered(self, number: int, kind: str, members: dict[str, Any]) -> dict[str, Any]:
        value = {"type": f"response.{kind}", "sequence_number": number, **members}
        padded = (self.situation.body.get("stream_options") or {}).get("include_obfuscation") is not False
        if padded and kind.endswith(".delta"):
            value["obfuscation"] = self.situation.obfuscation(members["delta"])
        return value

    def _response(
        self,
        status: str,
        output: list[Item],
        usage: dict[str, Any] | None,
        *,
        error: dict[str, Any] | None = None,
        incomplete: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        asked = self.situation.body
        text = {"format": {"type": "text"}} | dict(asked.get("text") or {})
        effort = (asked.get("reasoning") or {}).get("effort") or self.situation.model.effort or None
        summary = (asked.get("reasoning") or {}).get("summary")
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED + self.situation.number,
            "status": status,
            "error": error,
            "incomplete_details": incomplete,
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "model": self.model,
            "output": output,
            "parallel_tool_calls": asked.get("parallel_tool_calls", True),
            "previous_response_id": asked.get("previous_response_id"),
            "reasoning": {"effort": effort, "summary": summary},
            "store": asked.get("store", True),
            "temperature": asked.get("temperature", 1.0),
            "text": text,
            "tool_choice": asked.get("tool_choice", "auto"),
            "tools": asked.get("tools") or [],
            "top_p": asked.get("top_p", 1.0),
            "truncation": asked.get("truncation", "disabled"),
            "usage": usage,
            "user": asked.get("user"),
            "metadata": asked.get("metadata") or {},
        }


def compose(answer: Answer, situation: Situation) -> Message:
    parts = situation.parts(answer)
    reason = answer.stop_reason or "completed"
    return Message(
        id=situation.id("resp"),
        model=situation.model.answers_as,
        items=tuple(_item(part, index, situation) for index, part in enumerate(parts)),
        sizes=tuple(getattr(part, "piece", 16) for part in parts),
        stop_reason=reason,
        reasoning_tokens=sum(tokens_of(part.text) for part in parts if isinstance(part, Think)),
        situation=situation,
    )


def _item(part: Part, index: int, situation: Situation) -> Item:
    if isinstance(part, Think):
        return _reasoning(part, index, situation)
    if isinstance(part, Text):
        content = {"type": "output_text", "annotations": [], "text": part.text}
        return _message(situation.id("msg", index), content)
    if isinstance(part, Call):
        return _call(part, index, situation)
    if part.block.get("type") == "refusal":
        return _message(situation.id("msg", index), dict(part.block))
    return _given(part, index, situation)


def _message(item_id: str, content: Item) -> Item:
    made = {"type": "message", "id": item_id, "role": "assistant", "status": "completed"}
    return made | {"content": [content]}


def _reasoning(part: Think, index: int, situation: Situation) -> Item:
    asked = situation.body.get("reasoning") or {}
    shown = (asked.get("summary") or asked.get("generate_summary")) and not part.redacted
    summary = [{"type": "summary_text", "text": part.text}] if shown else []
    made: Item = {"type": "reasoning", "id": situation.id("rs", index), "summary": summary}
    if "reasoning.encrypted_content" in (situation.body.get("include") or []):
        made["encrypted_content"] = seal(f"{index} {part.text}", situation.account)
    return made


def _call(part: Call, index: int, situation: Situation) -> Item:
    custom = isinstance(part.input, str)
    prefix, value = ("ctc", "input") if custom else ("fc", "arguments")
    made: Item = {
        "type": "custom_tool_call" if custom else "function_call",
        "id": situation.id(prefix, index),
        "call_id": situation.call_id(index),
        "name": part.name,
        value: arguments_of(part),
    }
    space = _namespace(part.name, situation.body)
    return made | ({"namespace": space} if space else {}) | {"status": "completed"}


def _namespace(name: str, body: Json) -> str:
    """In which of the request's namespaces a tool stands; Codex' "functions" goes without saying."""
    given = [item["tools"] for item in _items(body) if item.get("type") == "additional_tools"]
    for tool in [*(body.get("tools") or []), *(tool for tools in given for tool in tools)]:
        inner = [each.get("name") for each in tool.get("tools") or []]
        if tool.get("type") == "namespace" and name in inner and tool["name"] != "functions":
            return str(tool["name"])
    return ""


def _items(body: Json) -> list[Json]:
    given = body.get("input")
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []


def _given(part: Given, index: int, situation: Situation) -> Item:
    made = dict(part.block)
    kind = str(made["type"])
    made.setdefault("id", situation.id(PREFIXES.get(kind, kind[:3]), index))
    if kind == "compaction":
        made.setdefault("encrypted_content", seal(f"compaction {index}", situation.account))
    return made


def _item_events(index: int, item: Item, size: int) -> Iterator[Raw]:
    """Added empty, filled piece by piece, done."""
    kind = item["type"]
    inner = {
        "message": _message_events,
        "reasoning": _reasoning_events,
        "function_call": _function_events,
        "custom_tool_call": _custom_events,
    }.get(kind)
    empty = item | EMPTY.get(kind, {}) | ({"status": "in_progress"} if "status" in item else {})
    yield "output_item.added", {"output_index": index, "item": empty}
    if inner is not None:
        yield from inner({"item_id": item["id"], "output_index": index}, item, size)
    yield "output_item.done", {"output_index": index, "item": item}


def _message_events(where: Item, item: Item, size: int) -> Iterator[Raw]:
    for number, part in enumerate(item["content"]):
        place = {**where, "content_index": number}
        key = "refusal" if part["type"] == "refusal" else "text"
        kind = "refusal" if key == "refusal" else "output_text"
        more: Item = {} if key == "refusal" else {"logprobs": []}
        yield "content_part.added", {**place, "part": {**part, key: ""}}
        for piece in pieces(part[key], size):
            yield f"{kind}.delta", {**place, "delta": piece, **more}
        yield f"{kind}.done", {**place, key: part[key], **more}
        yield "content_part.done", {**place, "part": part}


def _reasoning_events(where: Item, item: Item, size: int) -> Iterator[Raw]:
    for number, part in enumerate(item["summary"]):
        place = {**where, "summary_index": number}
        yield "reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}
        for piece in pieces(part["text"], size):
            yield "reasoning_summary_text.delta", {**place, "delta": piece}
        yield "reasoning_summary_text.done", {**place, "text": part["text"]}
        yield "reasoning_summary_part.done", {**place, "part": part}


def _function_events(where: Item, item: Item, size: int) -> Iterator[Raw]:
    for piece in pieces(item["arguments"], size):
        yield "function_call_arguments.delta", {**where, "delta": piece}
    yield "function_call_arguments.done", {**where, "name": item["name"], "arguments": item["arguments"]}


def _custom_events(where: Item, item: Item, size: int) -> Iterator[Raw]:
    for piece in pieces(item["input"], size):
        yield "custom_tool_call_input.delta", {**where, "delta": piece}
    yield "custom_tool_call_input.done", {**where, "input": item["input"]}
