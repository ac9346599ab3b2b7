"""Blocks of an Anthropic request's messages as neutral parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman.wire.json_spans import encode
from pointsman.wire.loose import as_dict, as_text, clean, dicts
from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    Part,
    ResultPart,
    TextPart,
    ThinkingPart,
)
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.made import SIGNATURE
from pointsman.wire.translation.values import Content


class Blocks:
    """Reads blocks in the order of the conversation. Remembers the names of calls for their results."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._names: dict[str, str] = {}

    def parts(self, content: Any) -> Iterator[Part]:
        for block in dicts(content):
            if "cache_control" in block:
                self._notes.lose("cache_control")
            kind = as_text(block.get("type")) or ""
            if kind in ("thinking", "redacted_thinking"):
                yield from self._thinking(block)
            elif kind == "tool_use":
                yield self._call(block)
            elif kind == "tool_result":
                yield self._result(block)
            else:
                yield from self._content(block, kind)

    def _thinking(self, block: Mapping[str, Any]) -> Iterator[ThinkingPart]:
        signature, text = block.get("signature"), as_text(block.get("thinking"))
        if isinstance(signature, str) and signature.startswith(SIGNATURE):
            if text:
                yield ThinkingPart(text)
        else:
            self._notes.lose("thinking blocks")

    def _call(self, block: Mapping[str, Any]) -> CallPart:
        call_id, name = as_text(block.get("id")) or "", as_text(block.get("name")) or ""
        self._names[call_id] = name
        return CallPart(call_id, name, encode(as_dict(block.get("input"))).decode())

    def _result(self, block: Mapping[str, Any]) -> ResultPart:
        call_id, content = as_text(block.get("tool_use_id")) or "", block.get("content")
        parts: tuple[Content, ...]
        if isinstance(content, str):
            parts = (TextPart(clean(content)),)
        else:
            parts = tuple(
                part
                for inner in dicts(content)
                for part in self._content(inner, as_text(inner.get("type")) or "")
            )
        error = block.get("is_error") is True
        return ResultPart(call_id, self._names.get(call_id, ""), parts, error=error)

    def _content(self, block: Mapping[str, Any], kind: str) -> Iterator[Content]:
        if kind == "text":
            if block.get("citations"):
                self._notes.lose("citations")
            yield TextPart(as_text(block.get("text")) or "")
        elif kind == "image":
            yield from self._image(as_dict(block.get("source")))
        elif kind == "document":
            yield from self._document(block)
        elif kind == "search_result":
            yield from self._search_result(block)
        elif kind == "tool_reference":
            yield TextPart(f"(The tool `{as_text(block.get('tool_name')) or ''}` was found.)")
        else:
            self._notes.refuse("messages[].content[].type", kind)

    def _image(self, source: Mapping[str, Any]) -> Iterator[ImagePart]:
        kind = source.get("type")
        if kind == "base64":
            yield ImagePart(as_text(source.get("media_type")) or "", as_text(source.get("data")) or "")
        elif kind == "url":
            yield ImagePart(url=as_text(source.get("url")) or "")
        else:
            self._notes.refuse("files")

    def _document(self, block: Mapping[str, Any]) -> Iterator[Content]:
        if as_dict(block.get("citations")).get("enabled") is True:
            self._notes.refuse("citations.enabled")
        source, name = as_dict(block.get("source")), as_text(block.get("title")) or ""
        kind, data = source.get("type"), as_text(source.get("data")) or ""
        if context := as_text(block.get("context")):
            yield TextPart(context)
        if kind == "base64":
            yield DocumentPart(as_text(source.get("media_type")) or "", data, name=name)
        elif kind == "text":
            yield DocumentPart("text/plain", text=data, name=name)
        elif kind == "url":
            yield DocumentPart("application/pdf", url=as_text(source.get("url")) or "", name=name)
        elif kind == "content":
            inner = source.get("content")
            if isinstance(inner, str):
                yield TextPart(clean(inner))
            for item in dicts(inner):
                yield from self._content(item, as_text(item.get("type")) or "")
        else:
            self._notes.refuse("files")

    def _search_result(self, block: Mapping[str, Any]) -> Iterator[TextPart]:
        if as_dict(block.get("citations")).get("enabled") is True:
            self._notes.refuse("citations.enabled")
        head = [as_text(block.get(name)) or "" for name in ("title", "source")]
        texts = [as_text(inner.get("text")) or "" for inner in dicts(block.get("content"))]
        yield TextPart("\n".join(line for line in (*head, *texts) if line))
