"""The kinds of items that a Responses request and answer are lists of, and the item that a marker is.

Kinds are those of openai-python 3.52 (`types/responses`) and of Codex 0.169.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pointsman.wire.json_spans import encode

MARKER_ID: Final = "msg_pointsman_"
"""How the id of a marker's item begins; the API wants `msg_` for a message, and 64 characters at most."""

_NOT_ID: Final = re.compile(r"[^A-Za-z0-9]")
_ID_TAIL: Final = 40

# What stands in the input without being a word of the conversation.
SETTINGS: Final = frozenset({"additional_tools", "configuration_update", "compaction_trigger"})
COMPACTIONS: Final = frozenset({"compaction", "compaction_summary", "context_compaction"})
ROLES_OF_PROGRAMS: Final = ("system", "developer")


def kind_of(item: dict[str, Any]) -> str:
    """The item's type; a message may leave it out, and so may a reference, which has nothing but an id."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return "message" if "role" in item else "item_reference" if "id" in item else ""


def is_output(kind: str) -> bool:
    """Whether the client answers a model's call with it, of whatever tool."""
    return kind.endswith(("_call_output", "tool_search_output", "mcp_approval_response"))


def marker_id(response_id: Any) -> str:
    """An id for the marker of one answer: no other answer of the conversation has the same."""
    tail = _NOT_ID.sub("", response_id.partition("_")[2]) if isinstance(response_id, str) else ""
    return MARKER_ID + (tail[-_ID_TAIL:] or "0")


def marker_item(text: str, response_id: Any) -> dict[str, Any]:
    """The message that shows a marker, finished."""
    return {
        "id": marker_id(response_id),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [text_part(text)],
    }


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def encoded_marker(text: str, response_id: Any) -> bytes:
    return encode(marker_item(text, response_id))
