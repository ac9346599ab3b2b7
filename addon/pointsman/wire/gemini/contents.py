"""What the conversation of a Gemini request holds, gathered in one pass.

Gemini CLI puts words of its own into the person's contents: where it runs, what the editor shows, nudges, the
files that a prompt refers to. They are told by how they begin, since nothing else marks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.wire.gemini.spelling import given, items
from pointsman.wire.loose import as_dict
from pointsman.wire.texts import BYTES_PER_TOKEN, FIRST_TEXT_LIMIT, IMAGE_TOKENS, newest

FOREIGN: Final = (
    "<session_context>",
    "<hook_context>",
    "<state_snapshot>",
    "This is the Gemini CLI. We are setting up the context for our chat.",  # before 0.40
    "Here is the user's editor context as a JSON object",
    "Here is a summary of changes in the user's editor context",
    "System: Potential loop detected.",
    "[System: You previously ",
    "[Continuing from previous AI thoughts...]",
)
"""How texts begin that Gemini CLI (0.61) writes into the user's contents."""

_FILES, _FILES_END = "--- Content from referenced files ---", "--- End of content ---"
_NUDGE = "Please continue."

# A page of a PDF is about 100 KB in base64; Gemini counts 258 to 560 tokens for it. A second of sound is 32
# tokens, one of video about 300, and some 16 and 160 KB in base64.
_DOCUMENT_BYTES_PER_TOKEN = 200
_MEDIA_BYTES_PER_TOKEN = 500


@dataclass(slots=True)
class Contents:
    """Counts; `…_bytes` are base64 characters."""

    count: int = 0
    images: int = 0
    documents: int = 0
    image_bytes: int = 0
    document_bytes: int = 0
    media_bytes: int = 0
    tool_loop: bool = False
    prefill: bool = False
    needs: set[str] = field(default_factory=set)
    user_texts: list[str] = field(default_factory=list)
    first_user_text: str = ""
    newest_texts: list[str] = field(default_factory=list)  # of the newest content, if it is the user's

    def tokens(self, size: int) -> int:
        """An estimate for a request of `size` bytes: text at four bytes each, every image alike."""
        text = max(0, size - self.image_bytes - self.document_bytes - self.media_bytes)
        documents = self.document_bytes // _DOCUMENT_BYTES_PER_TOKEN
        media = self.media_bytes // _MEDIA_BYTES_PER_TOKEN
        return text // BYTES_PER_TOKEN + IMAGE_TOKENS * self.images + documents + media


def read_contents(value: Any) -> Contents:
    """`value` is the decoded member `contents`, of any shape."""
    contents = items(value)
    found = Contents(count=len(contents))
    for content in contents:
        for part in items(content.get("parts")):
            _count_part(part, found)
    found.user_texts = newest(text for c in reversed(contents) for text in reversed(_own_texts(c)))
    found.first_user_text = next((text for c in contents for text in _own_texts(c)), "")[:FIRST_TEXT_LIMIT]
    if contents and is_model(contents[-1]):
        found.prefill = True
    elif contents:
        found.tool_loop = _is_mid_turn(contents)
        found.newest_texts = [
            text for part in items(contents[-1].get("parts")) if isinstance(text := part.get("text"), str)
        ]
    return found


def is_model(content: dict[str, Any]) -> bool:
    """Contents without a role are the user's."""
    return content.get("role") == "model"


def _is_mid_turn(contents: list[dict[str, Any]]) -> bool:
    """Whether the newest content of the user's is a result, what Gemini CLI says in between left out."""
    for content in reversed(contents):
        if is_model(content):
            continue
        parts = items(content.get("parts"))
        if any(given(part, "functionResponse") is not None for part in parts):
            return True
        if _own_texts(content) or any("text" not in part for part in parts):
            return False
    return False


def _own_texts(content: dict[str, Any]) -> list[str]:
    """What a person wrote in a content, oldest first."""
    return list(_without_files(content)) if content.get("role", "user") == "user" else []


def _without_files(content: dict[str, Any]) -> Iterator[str]:
    inside = False
    for part in items(content.get("parts")):
        text = part.get("text")
        if not isinstance(text, str) or part.get("thought") is True:
            continue
        start = text.strip()
        if start.startswith(_FILES):
            inside = True
        elif inside:
            inside = not start.startswith(_FILES_END)
        elif start and start != _NUDGE and not start.startswith(FOREIGN):
            yield text


# --- what stands in parts besides text ----------------------------------------------------


def _count_part(part: dict[str, Any], found: Contents) -> None:
    _count_data(part, found)
    if given(part, "mediaResolution") is not None:
        found.needs.add("part_media_resolution")
    if given(part, "toolCall") is not None or given(part, "toolResponse") is not None:
        found.needs.add("functions_with_tools")
    response = as_dict(given(part, "functionResponse"))
    for inner in items(response.get("parts")):
        found.needs.add("media_in_function_response")
        _count_data(inner, found)


def _count_data(part: dict[str, Any], found: Contents) -> None:
    inline, file = as_dict(given(part, "inlineData")), as_dict(given(part, "fileData"))
    if not inline and not file:
        return
    data = inline.get("data")
    size = len(data) if isinstance(data, str) else 0
    kind = given(inline or file, "mimeType")
    family = kind.lower().partition("/")[0] if isinstance(kind, str) else ""
    if family == "image":
        found.images += 1
        found.image_bytes += size
    elif family in ("audio", "video"):
        found.needs.add(f"{family}_input")
        found.media_bytes += size
    elif not family and not inline:
        found.needs.add("video_input")  # a link to a public video has no type
    else:
        found.documents += 1
        found.document_bytes += size
