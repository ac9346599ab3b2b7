"""What Gemini CLI keeps on disk: JSON lines for each conversation, and JSON documents of saved ones.

In `chats/`, a line is a message, or a change (`$set`) that can hold all messages once more; a later line
takes the place of an earlier one with its `id`, so no message goes. The text of an answer is a string
there, of which Gemini CLI 0.61 trims both ends, or the list of parts as it is sent. Older versions wrote
one document per conversation. `checkpoint-TAG.json` holds what a person saved under a name, and
`checkpoints/` what can be restored after a tool has changed a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pointsman.wire import marker
from pointsman.wire.json_spans import Body, array_spans, edit_array
from pointsman.wire.stripping import Stripped, strip_array, strip_content, strip_text

NAME = "Gemini CLI"

# White space at the start of a JSON string literal, as JavaScript's trim() knows it.
_SPACE: Final = re.compile(
    rb'"(?:[ ]|\\[nrtf]|\\u(?:000[9-dA-D]|0020|00[aA]0|[fF][eE][fF][fF])|\xc2\xa0|\xef\xbb\xbf)*'
)
_SHOWN: Final = ("gemini", "gemini_content")


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where transcripts are, if there are any: one folder for each project."""
    return [Path(environ.get("GEMINI_CLI_HOME") or home) / ".gemini" / "tmp"]


def clean_line(line: bytes) -> tuple[bytes, int]:
    """The line without markers, and how many there were. Raises BodyError where it is no JSON object."""
    entry = Body.parse(line)
    changed = entry.raw("$set") or b""
    if not changed.startswith(b"{"):
        return _clean_message(line)
    values = Body.parse(changed)
    count = _clean_list(values, "messages", _clean_message)
    entry.set_raw("$set", values.render())
    return entry.render(), count


def clean_document(data: bytes) -> tuple[bytes, int]:
    """A document without markers, and how many there were. Raises BodyError where it is not JSON."""
    if data.lstrip().startswith(b"["):
        return _strip_contents(data)
    document = Body.parse(data)
    count = _clean_list(document, "messages", _clean_message)
    for key in ("history", "clientHistory"):
        raw = document.raw(key) or b""
        if raw.startswith(b"["):
            stripped, more = _strip_contents(raw)
            document.set_raw(key, stripped)
            count += more
    return document.render(), count


def _clean_list(owner: Body, key: str, clean: Callable[[bytes], Stripped]) -> int:
    raw = owner.raw(key) or b""
    if not raw.startswith(b"["):
        return 0
    stripped, count = strip_array(raw, clean)
    owner.set_raw(key, stripped)
    return count


# --- messages -----------------------------------------------------------------------------


def _clean_message(raw: bytes) -> tuple[bytes, int]:
    message = Body.parse(raw)
    kind = message.get("type")
    if kind == "user":
        count = _clean_parts(message, "content", b'"user"')
    elif kind == "gemini":
        count = _clean_answer(message)
    else:
        count = 0
    return message.render(), count


def _clean_answer(message: Body) -> int:
    count = sum(_clean_parts(message, key, b'"model"') for key in ("content", "displayContent"))
    text = message.raw("content") or b""
    if text.startswith(b'"'):
        stripped, cut = marker.strip(text)
        if cut:
            message.set_raw("content", _SPACE.sub(b'"', stripped, count=1))
            count += cut
    return count + _clean_list(message, "toolCalls", _clean_call)


def _clean_call(raw: bytes) -> Stripped:
    call = Body.parse(raw)
    count = _clean_parts(call, "result", b'"user"')
    return call.render(), count


def _clean_parts(owner: Body, key: str, role: bytes) -> int:
    """A list of parts as the wire strips it."""
    parts = owner.raw(key) or b""
    if not parts.startswith(b"["):
        return 0
    contents, count = _strip_wire(b'[{"role":' + role + b',"parts":' + parts + b"}]")
    if count:
        spans = array_spans(contents)
        left = Body.parse(contents[slice(*spans[0])]).raw("parts") if spans else None
        owner.set_raw(key, left or b"[]")
    return count


# --- what is sent, and what is shown, as lists --------------------------------------------


def _strip_contents(contents: bytes) -> tuple[bytes, int]:
    """Contents as they are sent, with or without an `id` around each; or texts as they are shown."""
    edits: dict[int, bytes | None] = {}
    total = 0
    for index, (start, end) in enumerate(array_spans(contents)):
        raw = contents[start:end]
        if raw.startswith(b"{") and marker.present(raw):
            stripped, count = _strip_content(raw)
            if count:
                edits[index] = stripped
                total += count
    return edit_array(contents, edits), total


def _strip_content(raw: bytes) -> Stripped:
    entry = Body.parse(raw)
    if entry.has("type"):
        return strip_text(entry, _SHOWN)
    inner = entry.raw("content") or b""
    contents, count = _strip_wire(b"[" + (inner if inner.startswith(b"{") else raw) + b"]")
    spans = array_spans(contents)
    left = contents[slice(*spans[0])] if spans else None
    if left is None or not inner.startswith(b"{"):
        return left, count
    entry.set_raw("content", left)
    return entry.render(), count


def _strip_wire(contents: bytes) -> tuple[bytes, int]:
    return strip_array(contents, _temporary)


def _temporary(raw: bytes) -> Stripped:
    content = Body.parse(raw)
    if content.get("role") != "model":
        return raw, 0
    return strip_content(content, lambda part: strip_text(Body.parse(part), None), required=True, key="parts")
