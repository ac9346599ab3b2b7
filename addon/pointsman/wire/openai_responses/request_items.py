"""Items of a Responses request as neutral messages.

Codex (0.169) has its tools in an item of the input and its instructions in messages of the role `developer`.
Calls of the shells and the patch tool that OpenAI's models know of themselves are read as calls of functions
with these names: a history may hold them, though such a tool itself is not translated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pointsman.wire.json_spans import encode
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
from pointsman.wire.openai_responses.items import ROLES_OF_PROGRAMS, kind_of
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.made import REASONING_ID
from pointsman.wire.translation.values import Content, from_data_url, image_from

_TEXTS: Final = ("input_text", "output_text", "text")
# Calls with a member of their own for what they want, and the names of the functions that stand for them.
_PROGRAMS: Final = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
}
_OUTPUTS: Final = frozenset({
    "function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output",
    "apply_patch_call_output",
})  # fmt: skip


class Items:
    """`system`: instructions before anything else; `tools`: as they stand in the input."""

    def __init__(self, notes: Notes) -> None:
        self.system: list[str] = []
        self.messages: list[Message] = []
        self.tools: list[dict[str, Any]] = []
        self._notes = notes
        self._calls: dict[str, CallPart] = {}

    def read(self, given: Any) -> None:
        """Items in the order of the conversation; a string is the user's message."""
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        for item in dicts(given):
            self._read(item, kind_of(item))

    def _read(self, item: Mapping[str, Any], kind: str) -> None:
        if kind in ("message", "agent_message"):
            self._message(item, as_text(item.get("role")) or "user")
        elif kind == "additional_tools":
            self.tools += dicts(item.get("tools"))
        elif kind == "configuration_update":
            self._notes.lose("input[].configuration_update")
        elif kind == "reasoning":
            self._add("assistant", self._thinking(item))
        elif kind in _OUTPUTS:
            self._add("user", [self._result(item)])
        elif call := _call(item, kind):
            self._calls[call.id] = call
            self._add("assistant", [call])
        else:
            self._notes.refuse("input[].type", kind)

    def _add(self, role: str, parts: list[Part]) -> None:
        if parts:
            self.messages.append(Message(role, tuple(parts)))

    def _message(self, item: Mapping[str, Any], role: str) -> None:
        parts: list[Part] = list(self._content(item.get("content")))
        if role not in ROLES_OF_PROGRAMS:
            self._add("assistant" if role == "assistant" else "user", parts)
        elif self.messages:
            self._add("system", parts)
        else:
            self.system += [part.text for part in parts if isinstance(part, TextPart)]

    def _thinking(self, item: Mapping[str, Any]) -> list[Part]:
        """Our own only; what a model of OpenAI's has thought is encrypted, or but a summary."""
        if not str(item.get("id")).startswith(REASONING_ID):
            self._notes.lose("reasoning items")
            return []
        shown = [*dicts(item.get("content")), *dicts(item.get("summary"))]
        texts = [as_text(part.get("text")) for part in shown]
        return [ThinkingPart(text) for text in texts if text]

    def _result(self, item: Mapping[str, Any]) -> ResultPart:
        call_id = as_text(item.get("call_id")) or ""
        call = self._calls.get(call_id)
        parts = tuple(self._output(item.get("output")))
        return ResultPart(call_id, call.name if call else "", parts, custom=call.custom if call else False)

    def _output(self, output: Any) -> Iterator[Content]:
        if isinstance(output, list) and all("stdout" in as_dict(part) for part in output):
            for part in output:  # of a shell, one for each command
                said = (as_text(part.get(name)) for name in ("stdout", "stderr"))
                yield TextPart("\n".join(text for text in said if text))
        else:
            yield from self._content(output)

    def _content(self, content: Any) -> Iterator[Content]:
        if isinstance(content, str):
            yield TextPart(as_text(content) or "")
        for part in dicts(content):
            kind = as_text(part.get("type")) or ""
            if kind in _TEXTS:
                yield TextPart(as_text(part.get("text")) or "")
            elif kind == "refusal":
                yield TextPart(as_text(part.get("refusal")) or "")
            elif kind == "input_image":
                yield from self._image(part)
            elif kind == "input_file":
                yield from self._file(part)
            else:
                self._notes.refuse("input[].content[].type", kind)

    def _image(self, part: Mapping[str, Any]) -> Iterator[ImagePart]:
        if part.get("detail") not in (None, "auto"):
            self._notes.lose("input_image.detail")
        if url := as_text(part.get("image_url")):
            yield image_from(url)
        else:
            self._notes.refuse("files")

    def _file(self, part: Mapping[str, Any]) -> Iterator[DocumentPart | ImagePart]:
        name = as_text(part.get("filename")) or ""
        found = from_data_url(as_text(part.get("file_data")) or "")
        if url := as_text(part.get("file_url")):
            yield DocumentPart("application/pdf", url=url, name=name)
        elif found is None:
            self._notes.refuse("files")
        elif found[0].startswith("image/"):
            yield ImagePart(*found)
        else:
            yield DocumentPart(*found, name=name)


def _call(item: Mapping[str, Any], kind: str) -> CallPart | None:
    call_id = as_text(item.get("call_id")) or as_text(item.get("id")) or ""
    name, namespace = as_text(item.get("name")) or "", as_text(item.get("namespace")) or ""
    if kind == "function_call":
        return CallPart(call_id, name, as_text(item.get("arguments")) or "", namespace=namespace)
    if kind == "custom_tool_call":
        return CallPart(call_id, name, as_text(item.get("input")) or "", custom=True, namespace=namespace)
    if kind not in _PROGRAMS:
        return None
    name, member = _PROGRAMS[kind]
    wanted = {key: value for key, value in as_dict(item.get(member)).items() if value not in (None, {})}
    return CallPart(call_id, name, encode(wanted).decode())
