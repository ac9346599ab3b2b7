"""Taking echoed markers out of arrays of messages, items or parts; each surface knows its own shapes."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pointsman.wire import marker
from pointsman.wire.json_spans import Body, array_spans, edit_array

# What is left of an element (None: nothing, it goes with its separator) and the markers cut.
type Stripped = tuple[bytes | None, int]
# marker.strip or marker.strip_result: a string without its markers, and how many they were.
type Cut = Callable[[bytes], tuple[bytes, int]]

# --- patterns of JSON, for elements that are cut without being parsed -----------------------

SPACE = rb"[ \t\n\r]*+"


def member(name: bytes, value: bytes) -> bytes:
    """A pattern for one member of an object; `value` is a pattern."""
    return b'"' + name + b'"' + SPACE + b":" + SPACE + value


def whole_object(*members: bytes) -> bytes:
    """A pattern for an object with exactly these members, in this order."""
    return rb"\{" + SPACE + (SPACE + b"," + SPACE).join(members) + SPACE + rb"\}"


# --- stripping ----------------------------------------------------------------------------


def strip_array(
    array: bytes,
    strip_one: Callable[[bytes], Stripped],
    suspect: Callable[[bytes], bool] = marker.present,
) -> tuple[bytes, int]:
    """`array` with `strip_one` done to each object that is a suspect. Raises BodyError."""
    edits: dict[int, bytes | None] = {}
    total = 0
    for index, (start, end) in enumerate(array_spans(array)):
        element = array[start:end]
        if not (element.startswith(b"{") and suspect(element)):
            continue
        edited, count = strip_one(element)
        if count:
            edits[index] = edited
            total += count
    return edit_array(array, edits), total


def strip_text(
    block: Body, kinds: Collection[str] | None = ("text",), key: str = "text", cut: Cut = marker.strip
) -> Stripped:
    """One block of text; None if it said nothing but markers. `kinds`: its `type` must be one of these."""
    text = block.raw(key)
    if text is None or not text.startswith(b'"') or (kinds is not None and block.get("type") not in kinds):
        return block.render(), 0
    stripped, count = cut(text)
    if stripped == b'""' and count:
        return None, count
    block.set_raw(key, stripped)
    return block.render(), count


def strip_content(
    owner: Body,
    strip_one: Callable[[bytes], Stripped],
    *,
    required: bool,
    key: str = "content",
    cut: Cut = marker.strip,
) -> Stripped:
    """`owner` with its string or array content stripped; None if `required` content is all gone."""
    content = owner.raw(key) or b""
    if content.startswith(b'"'):
        stripped, count = cut(content)
    elif content.startswith(b"["):
        stripped, count = strip_array(content, strip_one)
    else:
        return owner.render(), 0
    if count and required and stripped in (b'""', b"[]"):
        return None, count
    owner.set_raw(key, stripped)
    return owner.render(), count
