"""What an action is for: a person's turn, or work that the client does for itself.

Everybody speaks Chat Completions, so there are no headers to go by but opencode's: words tell, those of
opencode 1.18 and Open WebUI, and what all titles have in common. As everywhere, taking a person's turn for
background work only loses a saving; the reverse puts a marker where a program reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import TurnKind
from pointsman.wire.loose import as_int, as_list

_PROBE_TOKENS: Final = 4
_BEGINNING: Final = 400  # characters of a text in which it says what it wants
_PARENT_HEADER: Final = "x-parent-session-id"

_TITLE: Final = re.compile(
    r"(?:### Task:\s+)?(?:Please )?(?:Generate|Write|Create|Provide|Suggest|Come up with)\b"
    r"[^.\n]{0,80}\btitle\b[^\n]{0,80}\b(?:conversation|chat|session|thread)\b",
    re.IGNORECASE,
)
_TITLE_AGENT: Final = re.compile(r"You are a (?:\w+ ){0,2}title generator\b", re.IGNORECASE)
_TASK: Final = "### Task:"  # Open WebUI's: tags, follow-up questions, search queries, with the whole chat
_CHAT_HISTORY: Final = "<chat_history>"
_COMPACTION: Final = re.compile(
    r"Your task is to create a (?:detailed|comprehensive)[^.\n]{0,40} summary of [^.\n]{0,60}conversation"
    r"|Provide a detailed (?:prompt|summary) for continuing our conversation",
    re.IGNORECASE,
)


def turn_kind(
    members: Mapping[str, Any], system_text: str, newest_texts: list[str], headers: Mapping[str, str]
) -> TurnKind:
    """In this order: probe, title, compaction, other work for itself, sub-agent, main.

    `members` are the decoded members of the request, `system_text` the first system message, `newest_texts`
    the texts of the user's messages at its end.
    """
    limits = (as_int(members.get(name)) for name in ("max_completion_tokens", "max_tokens"))
    if any(limit is not None and limit <= _PROBE_TOKENS for limit in limits):
        return TurnKind.PROBE
    texts = [text.lstrip() for text in newest_texts]
    bare = not (as_list(members.get("tools")) or as_list(members.get("functions")))
    if bare and (
        _TITLE_AGENT.match(system_text.lstrip()) or any(_TITLE.match(text[:_BEGINNING]) for text in texts)
    ):
        return TurnKind.TITLE
    if any(_COMPACTION.search(text[:_BEGINNING]) for text in texts):
        return TurnKind.COMPACTION
    if any(text.startswith(_TASK) and _CHAT_HISTORY in text for text in texts):
        return TurnKind.CLASSIFIER
    return TurnKind.SUBAGENT if headers.get(_PARENT_HEADER) else TurnKind.MAIN
