"""What an action is for: a person's turn, or work that the client does for itself.

A wrong guess is cheap in one direction only: taking a person's turn for background work loses a saving, the
reverse puts a marker where a program reads. Gemini CLI 0.61 streams the turns of its agents and nothing else;
what it asks without streaming is its own: which model to take, who speaks next, whether it goes round in
circles, summaries, mended edits, searches and pages. The other words are opencode's 1.18.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Final

from pointsman.values import TurnKind

CLI: Final = "gemini-cli"

_PROBE_TOKENS = 4
_SMALL_TOKENS = 256
_TITLES = (
    "Summarize the user's primary intent or goal in this conversation",
    "Generate a title for this conversation",
)
_COMPACTION = re.compile(
    r"[Gg]enerate (?:the|a new|a FINAL, improved) (?:updated )?<state_snapshot>"
    r"|\ACritically evaluate the <state_snapshot>"
    r"|\AA previous <state_snapshot> exists"
    r"|\AFirst, reason in your scratchpad"
    r"|\AProvide a detailed (?:prompt|summary) for continuing our conversation"
)
_COMPACTION_WITHIN = 4_000  # characters
# The tool with which a sub-agent of Gemini CLI hands its work in; the main agent has none of that name.
_HAND_IN = "complete_task"
_AGENT_HEADER = "x-parent-session-id"


def turn_kind(
    headers: Mapping[str, str],
    client: str,
    texts: Sequence[str],
    functions: Set[str],
    max_tokens: int | None,
    *,
    stream: bool,
    short: bool,
) -> TurnKind:
    """In this order: probe, title, compaction, sub-agent, classifier, main.

    `texts` are those of the newest content if that is the user's, `functions` the names of what is declared;
    `short` is a history of three contents at most.
    """
    if max_tokens is not None and max_tokens <= _PROBE_TOKENS:
        return TurnKind.PROBE
    newest = [text.lstrip() for text in texts]
    agent = client == CLI or client == "opencode"
    if agent and any(text.startswith(_TITLES) for text in newest):
        return TurnKind.TITLE
    if agent and any(_COMPACTION.search(text[:_COMPACTION_WITHIN]) for text in newest):
        return TurnKind.COMPACTION
    if client == CLI and not stream:
        return TurnKind.CLASSIFIER
    if (client == CLI and _HAND_IN in functions) or headers.get(_AGENT_HEADER):
        return TurnKind.SUBAGENT
    small = max_tokens is not None and max_tokens <= _SMALL_TOKENS
    if client == "opencode" and short and small and not functions:
        return TurnKind.CLASSIFIER
    return TurnKind.MAIN
