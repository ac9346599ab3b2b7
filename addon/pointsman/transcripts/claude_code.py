"""What Claude Code keeps on disk: a file of JSON lines for each conversation.

A line of type `assistant` holds one content block of an answer (the lines of one answer share
`message.id`); one of type `user` holds what a person said or what a tool returned, with a copy of a
sub-agent's words in `toolUseResult.content`.

A text block that said nothing but the marker goes, and leaves `"content":[]`. The line itself stays:
the next one names it as its parent. Claude Code 2.1.197 sends such a line as nothing, or as
"(no content)" where the whole answer was a marker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pointsman.wire import anthropic
from pointsman.wire.json_spans import Body, array_spans

NAME = "Claude Code"
TO_END = "end it first"


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where transcripts are, if there are any."""
    configured = environ.get("CLAUDE_CONFIG_DIR")
    roots = [Path(configured)] if configured else [home / ".claude", home / ".config" / "claude"]
    return [root / "projects" for root in roots]


def clean_line(line: bytes) -> tuple[bytes, int]:
    """The line without markers, and how many there were. Raises BodyError where it is no JSON object."""
    entry = Body.parse(line)
    count = _clean_message(entry) + _clean_tool_result(entry)
    return (entry.render(), count) if count else (line, 0)


def _clean_message(entry: Body) -> int:
    raw = entry.raw("message")
    if raw is None or not raw.startswith(b"{"):
        return 0
    messages, count = _strip(raw)
    if count:
        entry.set_raw("message", messages if messages is not None else _emptied(raw))
    return count


def _emptied(raw: bytes) -> bytes:
    message = Body.parse(raw)
    message.set_raw("content", b"[]")
    return message.render()


def _clean_tool_result(entry: Body) -> int:
    """The copy of a sub-agent's words, stripped as the tool result that it is a copy of."""
    raw = entry.raw("toolUseResult")
    if raw is None or not raw.startswith(b"{"):
        return 0
    result = Body.parse(raw)
    content = result.raw("content")
    if content is None:
        return 0
    wrapped = b'{"role":"user","content":[{"type":"tool_result","content":' + content + b"}]}"
    stripped, count = _strip(wrapped)
    if count and stripped is not None:
        blocks = Body.parse(stripped).raw("content") or b"[]"
        start, end = array_spans(blocks)[0]
        result.set_raw("content", Body.parse(blocks[start:end]).raw("content") or b"[]")
        entry.set_raw("toolUseResult", result.render())
    return count


def _strip(message: bytes) -> tuple[bytes | None, int]:
    """One message as the wire strips it; None if nothing is left of it.

    Thinking that a translated answer made up goes too: without Pointsman its signature is refused.
    """
    body = Body.parse(b'{"messages":[' + message + b"]}")
    count = anthropic.strip(body) + anthropic.disown(body)
    messages = body.raw("messages") or b"[]"
    spans = array_spans(messages)
    return (messages[spans[0][0] : spans[0][1]] if spans else None), count
