"""Echoed markers in the input of a Responses request.

Clients send a marker back as they got it: as an assistant's item of its own (Codex with its id, opencode
without), as a part of a message, as the beginning of a text, or as a reference to its id. Agents also hand
the last words of another agent on as the output of the tool that started it. A person's own text is never
looked at, and neither is an item that stands for a model's reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire import marker
from pointsman.wire.json_spans import Body, Span, array_spans, decode, edit_array
from pointsman.wire.loose import as_dict
from pointsman.wire.openai_responses.items import MARKER_ID, is_output, kind_of
from pointsman.wire.stripping import Stripped, strip_content, strip_text

_PARTS: Final = ("output_text", "input_text", "text")
_OUR_ID: Final = MARKER_ID.encode()
_REFERENCE: Final = re.compile(rb'"id"[ \t\n\r]*:[ \t\n\r]*"' + _OUR_ID)


def strip(body: Body) -> int:
    """Cuts markers out of `input` and says how many there were.

    A part or an assistant's message left empty goes altogether, so that the input has the bytes of an
    unmarked conversation. An input that cannot be read stays as it is.
    """
    items = body.raw("input")
    if items is None or not items.startswith(b"["):
        return 0
    if not (marker.present(items) or _OUR_ID in items):
        return 0
    try:
        stripped, count = _strip_items(items)
    except BodyError:
        return 0
    if count:
        body.set_raw("input", stripped)
    return count


def _strip_items(items: bytes) -> tuple[bytes, int]:
    edits: dict[int, bytes | None] = {}
    total = 0
    for index, (start, end) in enumerate(array_spans(items)):
        raw = items[start:end]
        if not raw.startswith(b"{"):
            continue
        if marker.present(raw):
            edited, count = _strip_item(raw)
        elif _REFERENCE.search(raw):
            edited, count = _strip_reference(raw)
        else:
            continue
        if count:
            edits[index] = edited
            total += count
    edits |= dict.fromkeys(_left_alone(items, edits))
    return edit_array(items, edits), total


def _left_alone(items: bytes, edits: dict[int, bytes | None]) -> Iterator[int]:
    """Reasoning that only a marker kept in the history, and that a provider refuses by itself.

    opencode forgets an answer that was cancelled before its first words, but a marker is words. Its markers
    come back without an id; Codex, whose do not, keeps such reasoning in any case.
    """
    gone = [index for index, edited in edits.items() if edited is None]
    spans = array_spans(items) if gone else []
    for index in gone:
        start, end = spans[index]
        if b'"id"' in items[start:end]:
            continue
        after = index + 1
        while after < len(spans) and _item(items, spans[after]).get("type") == "reasoning":
            after += 1
        following = _item(items, spans[after]) if after < len(spans) else {"role": "nobody"}
        if following.get("role", "assistant") != "assistant":
            yield from range(index + 1, after)


def _item(items: bytes, span: Span) -> dict[str, Any]:
    return as_dict(decode(items[span[0] : span[1]]))


def _strip_item(raw: bytes) -> Stripped:
    item = Body.parse(raw)
    kind = kind_of({name: item.get(name) for name in ("type", "role", "id") if item.has(name)})
    if kind == "message" and item.get("role") == "assistant":
        return strip_content(item, _strip_part, required=True)
    if is_output(kind):
        _, count = strip_content(item, _strip_output, required=False, key="output", cut=marker.strip_result)
        if count and item.raw("output") == b"[]":
            item.set_raw("output", b'""')  # the API takes no empty array
        return item.render(), count
    return raw, 0


def _strip_part(raw: bytes) -> Stripped:
    return strip_text(Body.parse(raw), _PARTS)


def _strip_output(raw: bytes) -> Stripped:
    return strip_text(Body.parse(raw), _PARTS, cut=marker.strip_result)


def _strip_reference(raw: bytes) -> Stripped:
    """An item with a marker's id and no marker in it: a reference, or one that the client has emptied."""
    item = Body.parse(raw)
    name = item.get("id")
    if not (isinstance(name, str) and name.startswith(MARKER_ID)):
        return raw, 0
    empty = item.raw("content") in (None, b"[]", b'""', b"null")
    return (None, 1) if empty else (raw, 0)


