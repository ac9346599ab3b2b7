"""Small things that all readers and writers of requests do alike."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import decode, encode
from pointsman.wire.loose import as_dict
from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    JsonAnswer,
    Reasoning,
    Request,
    Target,
    TextPart,
    Tool,
)
from pointsman.wire.translation.names import CUSTOM_INPUT

type Content = TextPart | ImagePart | DocumentPart

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_UNNAMED: Final = re.compile(r"[^A-Za-z0-9_-]")

# --- numbers ------------------------------------------------------------------------------

# Budgets and efforts have no documented correspondence; as in anthropic/rules.py.
BUDGET_OF: Final = {
    "minimal": 1_024, "low": 4_000, "medium": 10_000, "high": 16_000, "xhigh": 24_000, "max": 32_000,
}  # fmt: skip
_EFFORT_FROM: Final = ((10_000, "high"), (4_096, "medium"), (0, "low"))
_UNSAID_EFFORT: Final = "medium"


def effort_of(reasoning: Reasoning) -> str | None:
    """In OpenAI's words; None where nothing is said."""
    if reasoning.on is False or reasoning.effort == "none":
        return "none"
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget_tokens is not None:
        return next(effort for least, effort in _EFFORT_FROM if max(0, reasoning.budget_tokens) >= least)
    return _UNSAID_EFFORT if reasoning.on else None


def most_tokens(request: Request, target: Target) -> int | None:
    """How long the answer may be; None where neither side says it."""
    if request.max_tokens is None:
        return None
    return request.max_tokens if target.most_tokens is None else min(request.max_tokens, target.most_tokens)


def number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


# --- data ---------------------------------------------------------------------------------


def data_url(media_type: str, data: str) -> str:
    return f"data:{media_type or 'application/octet-stream'};base64,{data}"


def from_data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64) of a data URL; None for any other address."""
    found = _DATA_URL.match(url)
    return (found[1].lower(), url[found.end() :]) if found else None


def image_from(url: str) -> ImagePart:
    found = from_data_url(url)
    return ImagePart(media_type=found[0], data=found[1]) if found else ImagePart(url=url)


def text_of(document: DocumentPart) -> str | None:
    """The words of a plain-text document; None for any other, and for one that is not UTF-8."""
    if document.text or not document.data:
        return document.text or None
    if not document.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(document.data).decode()
    except (binascii.Error, ValueError):
        return None


def as_text_part(document: DocumentPart) -> TextPart | None:
    """A plain-text document as a text of the conversation."""
    text = text_of(document)
    if text is None:
        return None
    name = f' name="{document.name}"' if document.name else ""
    return TextPart(f"<document{name}>\n{text}\n</document>")


# --- tools --------------------------------------------------------------------------------


def arguments_object(call: CallPart) -> dict[str, Any]:
    """Arguments where the API has an object for them. What is no object becomes its one member."""
    if call.custom:
        return {CUSTOM_INPUT: call.arguments}
    if not call.arguments.strip():
        return {}
    try:
        value = decode(call.arguments.encode("utf-8", "replace"))
    except BodyError:
        return {CUSTOM_INPUT: call.arguments}
    return value if isinstance(value, dict) else {CUSTOM_INPUT: value}


def arguments_text(call: CallPart) -> str:
    """Arguments where the API has a text for them. What is a JSON object already keeps its bytes."""
    if call.custom:
        return encode({CUSTOM_INPUT: call.arguments}).decode()
    try:
        if isinstance(decode(call.arguments.encode("utf-8", "replace")), dict):
            return call.arguments
    except BodyError:
        pass
    return encode(arguments_object(call)).decode()


def custom_schema() -> dict[str, Any]:
    """Of the function that stands for a custom tool."""
    return {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string", "description": "The whole input, as plain text."}},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }


def description_of(tool: Tool) -> str:
    """With the grammar of a custom tool, where that cannot be told otherwise."""
    given = as_dict(tool.format)
    grammar = as_dict(given.get("grammar")) or given  # Chat Completions has it one level deeper
    definition = grammar.get("definition")
    if not isinstance(definition, str) or not definition:
        return tool.description
    said = f"The text in `{CUSTOM_INPUT}` must follow this {grammar.get('syntax') or 'lark'} grammar:"
    return f"{tool.description}\n\n{said}\n{definition}".lstrip()


# --- answers in JSON ----------------------------------------------------------------------


def format_name(answer: JsonAnswer) -> str:
    return _UNNAMED.sub("_", answer.name)[:64] or "answer"


def json_instruction(answer: JsonAnswer) -> str:
    """What a model is told where the API cannot make it answer in JSON."""
    told = "Answer with one JSON value and nothing else: no other words, no code fence."
    if answer.schema is None:
        return told.replace("value", "object")
    return f"{told} It must fit this JSON Schema:\n{encode(answer.schema).decode()}"


def joined(texts: Iterable[str]) -> str:
    """Several texts where the API has room for one."""
    return "\n\n".join(texts)
