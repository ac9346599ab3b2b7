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

from pointsman.wire import gemini, marker
from pointsman.wire.json_spans import Body, array_spans
from pointsman.wire.stripping import Stripped, strip_array, strip_text

NAME = "Gemini CLI"
TO_END = "end it first"

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
        return strip_array(data, _strip_entry)
    document = Body.parse(data)
    count = _clean_list(document, "messages", _clean_message)
    count += sum(_clean_list(document, key, _strip_entry) for key in ("history", "clientHistory"))
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
    content, count = strip_content(b'{"role":' + role + b',"parts":' + parts + b"}")
    if count:
        owner.set_raw(key, (Body.parse(content).raw("parts") if content else None) or b"[]")
    return count


# --- what is sent, and what is shown ------------------------------------------------------


def _strip_entry(raw: bytes) -> Stripped:
    """A content as it is sent, with or without an `id` around it; or a text as it is shown."""
    entry = Body.parse(raw)
    if entry.has("type"):
        return strip_text(entry, _SHOWN)
    inner = entry.raw("content") or b""
    if not inner.startswith(b"{"):
        return strip_content(raw)
    stripped, count = strip_content(inner)
    if stripped is None:
        return None, count
    entry.set_raw("content", stripped)
    return entry.render(), count


def strip_content(raw: bytes) -> Stripped:
    """One content as the wire strips it, which leaves no request without any; so this one is not alone."""
    body = Body.parse(b'{"contents":[' + raw + b",{}]}")
    count = gemini.strip(body)
    contents = body.raw("contents") or b"[]"
    spans = array_spans(contents)
    return (contents[spans[0][0] : spans[0][1]] if len(spans) > 1 else None), count
