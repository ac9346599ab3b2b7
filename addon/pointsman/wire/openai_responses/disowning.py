"""Items that no provider knows, mended before one gets the input.

A translated answer has reasoning items and ids of ours (`wire/translation/made.py`), and clients send these
back. Such reasoning goes; an item with such an id stays without it, and a bare reference to one goes.
"""

from __future__ import annotations

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, array_spans, edit_array
from pointsman.wire.openai_responses.items import kind_of
from pointsman.wire.translation.made import ITEM_IDS, NAME, REASONING_ID


def disown(body: Body) -> int:
    """Mends `input`, in place, and says how many items it was.

    The same history has the same bytes in every turn; an unreadable one stays.
    """
    items = body.raw("input")
    if items is None or NAME not in items or not items.startswith(b"["):
        return 0
    try:
        edits = _edits(items)
        if edits:
            body.set_raw("input", edit_array(items, edits))
    except BodyError:
        return 0
    return len(edits)


def _edits(items: bytes) -> dict[int, bytes | None]:
    edits: dict[int, bytes | None] = {}
    for index, (start, end) in enumerate(array_spans(items)):
        raw = items[start:end]
        if NAME not in raw or not raw.startswith(b"{"):
            continue
        item = Body.parse(raw)
        name = item.get("id")
        if not isinstance(name, str):
            continue
        if name.startswith(REASONING_ID):
            edits[index] = None
        elif name.startswith(ITEM_IDS):
            edits[index] = _nameless(item)
    return edits


def _nameless(item: Body) -> bytes | None:
    fields = {key: item.get(key) for key in ("type", "role", "id") if item.has(key)}
    if kind_of(fields) == "item_reference":
        return None
    item.delete("id")
    return item.render()
