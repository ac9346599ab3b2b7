"""What an action is for: a person's turn, or work that the client does for itself.

Background work is passed on unrouted, unmarked, and writes no session, so a wrong guess is cheap
in one direction only: taking a person's turn for background work loses a saving, the reverse puts
a marker where a program reads. The words are Claude Code's 2.1.197 and opencode's 1.18; Claude Code 2.1.329
says it in a header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pointsman.values import TurnKind
from pointsman.wire.loose import as_dict, as_int, as_list, dicts

# How background work begins, each in a text of the newest message. Forks of a conversation carry its
# whole history and tools, so nothing but these words tells them from the person's next question.
_TITLES = (
    "Generate a title for this conversation",
    "Generate a short kebab-case name (2-4 words) that captures the main topic",
    "You are coming up with a succinct title and git branch name",
    "Please write a 5-10 word title",  # Claude Code before 2.0
)
_TITLE_END = re.compile(r"</session>\s+Write the title in [^\n]{1,200}\Z")
_CLASSIFIERS = (
    "<transcript>",
    "[SUGGESTION MODE:",
    "The user stepped away and is coming back. Recap in under",
    "Describe your most recent action in 3-5 words",
)
_COMPACTION = re.compile(
    r"Your task is to create a detailed summary of [^.\n]{0,60}conversation"
    r"|Provide a detailed (?:prompt|summary) for continuing our conversation",
    re.IGNORECASE,
)
_AGENT_HEADERS = ("x-claude-code-agent-id", "x-claude-code-parent-agent-id", "x-parent-session-id")
_AGENT_BILLING = re.compile(r"\Ax-anthropic-billing-header:[^\n]*\bcc_is_subagent=true\b")
_CLASS_HEADER = "x-claude-code-request-class"
_CLASSES = {
    "main": TurnKind.MAIN,
    "subagent": TurnKind.SUBAGENT,
    "workflow": TurnKind.SUBAGENT,
    "compaction": TurnKind.COMPACTION,
    "auxiliary": TurnKind.CLASSIFIER,
    "side_reply": TurnKind.CLASSIFIER,  # a question aside, on a copy of the conversation
}
_AGENTS = ("claude-code", "opencode")  # clients that make small calls of their own


def turn_kind(
    members: Mapping[str, Any],
    newest_texts: list[str],
    headers: Mapping[str, str],
    client: str,
    *,
    short: bool,
    cached: bool,
) -> TurnKind:
    """In this order: probe, title, compaction, sub-agent, classifier, main; where the client says it, that.

    `members` are the decoded members of the request, `newest_texts` the texts of its newest message
    if that is the user's. `short` is a history of three messages at most, `cached` a request that
    marks anything for the prompt cache.
    """
    max_tokens = as_int(members.get("max_tokens"))
    texts = [text.lstrip() for text in newest_texts]
    if max_tokens is not None and max_tokens <= 4:
        return TurnKind.PROBE
    said = _CLASSES.get(headers.get(_CLASS_HEADER) or "") if client == "claude-code" else None
    if said is not None and said is not TurnKind.CLASSIFIER:
        return said
    if any(text.startswith(_TITLES) or _TITLE_END.search(text[-400:]) for text in texts):
        return TurnKind.TITLE
    if _title_schema(members):
        return TurnKind.TITLE
    if said is not None:
        return said
    if any(_COMPACTION.search(text[:4000]) for text in texts):
        return TurnKind.COMPACTION
    if any(headers.get(name) for name in _AGENT_HEADERS) or _bills_sub_agent(members.get("system")):
        return TurnKind.SUBAGENT
    if any(text.startswith(_CLASSIFIERS) for text in texts) or (
        short and _small_call(members, client, cached)
    ):
        return TurnKind.CLASSIFIER
    return TurnKind.MAIN


def _small_call(members: Mapping[str, Any], client: str, cached: bool) -> bool:
    """A call that an agent makes for itself: no tools, and nothing to be cached or little to be said.

    Only for clients known to make such calls: an SDK user's short question is a main turn.
    """
    if client not in _AGENTS or as_list(members.get("tools")):
        return False
    max_tokens = as_int(members.get("max_tokens"))
    uncached = client == "claude-code" and not cached
    return uncached or (max_tokens is not None and max_tokens <= 256)


def _bills_sub_agent(system: Any) -> bool:
    blocks = dicts(system)
    first = blocks[0].get("text") if blocks else None
    return isinstance(first, str) and _AGENT_BILLING.match(first) is not None


def _title_schema(members: Mapping[str, Any]) -> bool:
    """No tools, and an answer schema with a title and hardly anything else, as Claude Code asks for."""
    if as_list(members.get("tools")):
        return False
    shape = as_dict(members.get("output_config")).get("format") or members.get("output_format")
    properties = as_dict(as_dict(as_dict(shape).get("schema")).get("properties"))
    return "title" in properties and set(properties) <= {"title", "isNewTopic", "branch"}
