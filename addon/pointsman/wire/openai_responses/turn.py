"""What an action is for: a person's turn, or work that the client does for itself; and whose words are whose.

Codex 0.169 says what a request is for (`x-codex-turn-metadata`, `x-openai-subagent`) and labels each part of
a message with where it comes from; older versions and other clients are told by their words. As everywhere,
taking a person's turn for background work only loses a saving; the reverse puts a marker where a program
reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import TurnKind
from pointsman.wire.loose import as_dict, as_int, as_list, as_text

_METADATA: Final = "x-codex-turn-metadata"
_SUBAGENT: Final = "x-openai-subagent"
_PARENTS: Final = ("x-codex-parent-thread-id", "x-parent-session-id")
_METADATA_LIMIT: Final = 64 << 10  # characters; Codex bounds the header

# What Codex asks of a model for itself: `request_kind` of the metadata, the sub-agent's name, the model.
_KINDS: Final = {
    "prewarm": TurnKind.PROBE,
    "compaction": TurnKind.COMPACTION,
    "memory": TurnKind.CLASSIFIER,
}
_AGENTS: Final = {
    "compact": TurnKind.COMPACTION,
    "memory_consolidation": TurnKind.CLASSIFIER,
    "guardian": TurnKind.CLASSIFIER,
}
_REVIEWER_MODEL: Final = "codex-auto-review"

_TITLE: Final = "Generate a title for this conversation"  # opencode 1.18
_COMPACTION: Final = re.compile(
    r"You are performing a CONTEXT CHECKPOINT COMPACTION"  # Codex, where the provider cannot compact
    r"|Provide a detailed (?:prompt|summary) for continuing our conversation"  # opencode
)
_LEAST_OUTPUT: Final = 16  # the API's lower bound of max_output_tokens: who asks for so little asks nothing


def turn_kind(
    members: Mapping[str, Any], newest_kind: str, newest_texts: list[str], headers: Mapping[str, str]
) -> TurnKind:
    """In this order: probe, compaction and other work for itself, title, sub-agent, main.

    `members` are the decoded members of the request, `newest_kind` the type of its last item, `newest_texts`
    the texts of the user's messages at its end.
    """
    said = codex_metadata(members, headers)
    agent = _agent(members, headers)
    limit = as_int(members.get("max_output_tokens"))
    if members.get("generate") is False or (limit is not None and limit <= _LEAST_OUTPUT):
        return TurnKind.PROBE
    if own := _KINDS.get(said.get("request_kind", "")) or _AGENTS.get(agent):
        return own
    if newest_kind == "compaction_trigger" or any(_COMPACTION.match(text.lstrip()) for text in newest_texts):
        return TurnKind.COMPACTION
    if members.get("model") == _REVIEWER_MODEL:
        return TurnKind.CLASSIFIER
    source = said.get("thread_source")
    titled = any(text.lstrip().startswith(_TITLE) for text in newest_texts)
    if source == "thread_title" or (titled and not as_list(members.get("tools"))):
        return TurnKind.TITLE
    if agent or source == "subagent" or any(headers.get(name) for name in _PARENTS):
        return TurnKind.SUBAGENT
    return TurnKind.MAIN


def codex_metadata(members: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, str]:
    """The texts in what Codex says of a request; {} where it says nothing."""
    for source in (headers.get(_METADATA), as_dict(members.get("client_metadata")).get(_METADATA)):
        if not isinstance(source, str) or not source or len(source) > _METADATA_LIMIT:
            continue
        try:
            said = as_dict(json.loads(source))
        except (ValueError, RecursionError):
            continue
        return {key: value for key, value in said.items() if isinstance(value, str)}
    return {}


def _agent(members: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """What kind of sub-agent asks; "" for none."""
    said = headers.get(_SUBAGENT) or as_text(as_dict(members.get("client_metadata")).get(_SUBAGENT)) or ""
    return said.strip().lower()


# --- whose words --------------------------------------------------------------------------

# How messages of the role user begin that Codex writes itself (0.169 and before).
INJECTED: Final = (
    "# AGENTS.md instructions",
    "<INSTRUCTIONS>",
    "<codex_internal_context",
    "<command_sessions>",
    "<context_window_guidance>",
    "<current_time_reminder>",
    "<environment_context>",
    "<environments>",
    "<goal_context>",
    "<hook_prompt",
    "<permissions instructions>",
    "<persistent_mode>",
    "<recommended_plugins>",
    "<rollout_budget>",
    "<skill>",
    "<subagent_notification>",
    "<system-reminder>",
    "<turn_aborted>",
    "<user_instructions>",
    "<user_shell_command>",
    "Another language model started to solve this problem and produced a summary of its thinking process.",
)
# The editor's context before a request: what the person wrote follows a heading of its own.
_CONTEXT: Final = ("# Context from my IDE setup:", "# Files mentioned by the user:")
_REQUEST: Final = re.compile(r"^## My request(?: for Codex)?:[ \t]*\n?", re.MULTILINE)
TEXT_PARTS: Final = ("input_text", "text")
_LABELS: Final = "internal_chat_message_metadata_passthrough"


def own_texts(item: Mapping[str, Any]) -> list[str]:
    """The texts of an item that a person wrote; none for another role than the user's."""
    if item.get("role") != "user":
        return []
    content = item.get("content")
    if isinstance(content, str):
        parts: list[Any] = [{"type": "input_text", "text": content}]
    else:
        parts = as_list(content)
    labels = as_list(as_dict(item.get(_LABELS)).get("content_item_kinds"))
    if len(labels) != len(parts):
        labels = [None] * len(parts)
    texts = []
    for part, label in zip(map(as_dict, parts), labels, strict=True):
        text = part.get("text") if part.get("type") in TEXT_PARTS else None
        if isinstance(text, str) and _is_own(text, label):
            texts.append(_request(text))
    return texts


def _is_own(text: str, label: Any) -> bool:
    """Codex's label where it knows it, else the text's beginning."""
    if isinstance(label, str) and label != "unknown":
        return label.startswith("user.")
    return not text.lstrip().startswith(INJECTED)


def _request(text: str) -> str:
    if not text.lstrip().startswith(_CONTEXT):
        return text
    *_, heading = (None, *_REQUEST.finditer(text))
    return text[heading.end() :] if heading else text
