"""Contents of a Gemini request as neutral messages.

Calls need no id here: without one, the results of a step belong to its calls by name, in order. Ids are then
made of the place where a call stands, which stays the same from turn to turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.wire.gemini.spelling import given, items
from pointsman.wire.json_spans import encode
from pointsman.wire.loose import as_dict, as_text
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
from pointsman.wire.translation.values import Content

_TEXT_MEMBERS: Final = ("output", "result")
_OWN: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


class Contents:
    """Reads contents in the order of the conversation."""

    def __init__(self, notes: Notes) -> None:
        self.messages: list[Message] = []
        self._notes = notes
        self._open: list[CallPart] = []  # calls of the newest step that have no result yet

    def read(self, value: Any) -> None:
        for index, content in enumerate(items(value)):
            role = "assistant" if content.get("role") == "model" else "user"
            if role == "assistant" and self.messages and self.messages[-1].role == "user":
                self._open = []
            parts = tuple(
                part
                for number, given_part in enumerate(items(content.get("parts")))
                for part in self._parts(given_part, f"call_{index}_{number}")
            )
            if parts:
                self.messages.append(Message(role, parts))

    def texts(self, value: Any) -> Iterator[str]:
        """The texts of one content, which may be a bare text or a list of parts."""
        if isinstance(value, str):
            yield value
            return
        parts = value if isinstance(value, list) else as_dict(value).get("parts")
        for part in items(parts):
            if text := as_text(part.get("text")):
                yield text

    def _parts(self, part: Mapping[str, Any], place: str) -> Iterator[Part]:
        if given(part, "thoughtSignature") is not None:
            self._notes.lose("thoughtSignature")
        for name in _OWN:
            if given(part, name) is not None:
                self._notes.refuse("parts[]", name)
        if given(part, "mediaResolution") is not None:
            self._notes.lose("mediaResolution")
        text = as_text(part.get("text"))
        if call := as_dict(given(part, "functionCall")):
            yield self._call(call, place)
        elif response := as_dict(given(part, "functionResponse")):
            yield self._result(response, place)
        elif text is not None:
            yield ThinkingPart(text) if part.get("thought") is True else TextPart(text)
        else:
            yield from self._data(part)

    # --- calls and results ----------------------------------------------------------------

    def _call(self, call: Mapping[str, Any], place: str) -> CallPart:
        call_id = as_text(call.get("id")) or place
        made = CallPart(call_id, as_text(call.get("name")) or "", encode(as_dict(call.get("args"))).decode())
        self._open.append(made)
        return made

    def _result(self, response: Mapping[str, Any], place: str) -> ResultPart:
        name, call_id = as_text(response.get("name")) or "", as_text(response.get("id"))
        if call_id is None:
            found = next((call for call in self._open if call.name == name), None)
            if found is not None:
                self._open.remove(found)
            call_id = found.id if found else place
        said, error = _said(as_dict(response.get("response")))
        inside = (part for inner in items(response.get("parts")) for part in self._data(inner))
        return ResultPart(call_id, name, (TextPart(said), *inside), error=error)

    # --- data -----------------------------------------------------------------------------

    def _data(self, part: Mapping[str, Any]) -> Iterator[Content]:
        inline, file = as_dict(given(part, "inlineData")), as_dict(given(part, "fileData"))
        kind = (as_text(given(inline or file, "mimeType")) or "").lower()
        name = as_text(given(inline or file, "displayName")) or ""
        if not inline and not file:
            return
        if kind.startswith(("audio/", "video/")):
            self._notes.refuse("media", kind)
        elif inline:
            data = as_text(inline.get("data")) or ""
            yield ImagePart(kind, data) if kind.startswith("image/") else DocumentPart(kind, data, name=name)
        else:
            yield from self._file(as_text(given(file, "fileUri")) or "", kind, name)

    def _file(self, address: str, kind: str, name: str) -> Iterator[Content]:
        """What is kept at Google has an address there; all can follow that of another host."""
        kept = "generativelanguage.googleapis.com" in address or not address.startswith("https://")
        if kept or not kind:
            self._notes.refuse("files")
        elif kind.startswith("image/"):
            yield ImagePart(kind, url=address)
        else:
            yield DocumentPart(kind, url=address, name=name)


def _said(response: Mapping[str, Any]) -> tuple[str, bool]:
    """(text of a result, whether it is a failure). A lone text comes out of its member, all else is JSON."""
    if len(response) == 1:
        (name, value), *_ = response.items()
        if isinstance(value, str) and name in _TEXT_MEMBERS:
            return as_text(value) or "", False
        if name == "error":
            return as_text(value) or encode(value).decode(), True
    return encode(response).decode(), False
