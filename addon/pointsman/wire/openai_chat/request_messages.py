"""Messages of a Chat Completions request as neutral ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ResultPart,
    TextPart,
    ThinkingPart,
)
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.values import Content, from_data_url, image_from

_SYSTEM: Final = ("system", "developer")
THOUGHTS: Final = ("reasoning_content", "reasoning")  # DeepSeek's name for it and others', OpenRouter's


class Messages:
    """Reads messages in the order of the conversation. Remembers the names of calls for their results."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._calls: dict[str, CallPart] = {}

    def read(self, given: Any) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        """(instructions before anything else, the messages)."""
        system: list[str] = []
        messages: list[Message] = []
        for message in dicts(given):
            role = message.get("role")
            if message.get("name"):
                self._notes.lose("messages[].name")
            if role in _SYSTEM:
                parts = self._content(message.get("content"))
                texts = [part.text for part in parts if isinstance(part, TextPart)]
                if messages:
                    messages.append(Message("system", tuple(TextPart(text) for text in texts)))
                else:
                    system += texts
            elif said := tuple(self._parts(message, role)):
                messages.append(Message("assistant" if role == "assistant" else "user", said))
        return tuple(system), tuple(messages)

    def _parts(self, message: Mapping[str, Any], role: Any) -> Iterator[Part]:
        if role == "user":
            yield from self._content(message.get("content"))
        elif role == "assistant":
            yield from self._assistant(message)
        elif role == "tool":
            call_id = as_text(message.get("tool_call_id")) or ""
            call = self._calls.get(call_id)
            parts = tuple(self._content(message.get("content")))
            name = call.name if call else ""
            yield ResultPart(call_id, name, parts, custom=call.custom if call else False)
        elif role == "function":
            self._notes.refuse("functions")
        else:
            self._notes.refuse("messages[].role", str(role))

    def _assistant(self, message: Mapping[str, Any]) -> Iterator[Part]:
        thought = next((text for name in THOUGHTS if (text := as_text(message.get(name)))), "")
        if thought.strip():
            yield ThinkingPart(thought)
        yield from self._content(message.get("content"))
        if refusal := as_text(message.get("refusal")):
            yield TextPart(refusal)
        if message.get("audio"):
            self._notes.refuse("audio")
        if message.get("function_call"):
            self._notes.refuse("functions")
        for call in dicts(message.get("tool_calls")):
            made = _call(call)
            self._calls[made.id] = made
            yield made

    def _content(self, content: Any) -> Iterator[Content]:
        if isinstance(content, str):
            yield TextPart(as_text(content) or "")
        for part in dicts(content):
            kind = as_text(part.get("type")) or ""
            if kind in ("text", "output_text", "input_text"):
                yield TextPart(as_text(part.get("text")) or "")
            elif kind == "refusal":
                yield TextPart(as_text(part.get("refusal")) or "")
            elif kind == "image_url":
                image = as_dict(part.get("image_url"))
                if image.get("detail") not in (None, "auto"):
                    self._notes.lose("image_url.detail")
                yield image_from(as_text(image.get("url")) or "")
            elif kind == "file":
                yield from self._file(as_dict(part.get("file")))
            elif kind == "input_audio":
                self._notes.refuse("audio")
            else:
                self._notes.refuse("messages[].content[].type", kind)

    def _file(self, file: Mapping[str, Any]) -> Iterator[DocumentPart | ImagePart]:
        found = from_data_url(as_text(file.get("file_data")) or "")
        if found is None:
            self._notes.refuse("files")
        elif found[0].startswith("image/"):
            yield ImagePart(*found)
        else:
            yield DocumentPart(*found, name=as_text(file.get("filename")) or "")


def _call(call: Mapping[str, Any]) -> CallPart:
    call_id = as_text(call.get("id")) or ""
    if call.get("type") == "custom":
        inner = as_dict(call.get("custom"))
        return CallPart(call_id, as_text(inner.get("name")) or "", as_text(inner.get("input")) or "", True)
    inner = as_dict(call.get("function"))
    return CallPart(call_id, as_text(inner.get("name")) or "", as_text(inner.get("arguments")) or "")
