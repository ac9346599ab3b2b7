"""The request's schema: names, types and enumerations, as Google's JSON reader checks them first of all.

`read` also gives every known field its JSON spelling, since Google reads `top_p` as well as `topP`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from provider.gemini.errors import bad_request
from provider.gemini.shape import camel, snake

# A field's kind is the name of a scalar, a message or an enumeration, [kind] for a list, {kind} for a map.
Kind = str | list[str] | set[str]
Fields = Mapping[str, Kind]

_SCALARS = frozenset({"string", "int", "float", "bool", "bytes", "any", "struct"})

MESSAGES: dict[str, Fields] = {
    "GenerateContentRequest": {
        "model": "string",
        "contents": ["Content"],
        "systemInstruction": "Content",
        "tools": ["Tool"],
        "toolConfig": "ToolConfig",
        "safetySettings": ["SafetySetting"],
        "generationConfig": "GenerationConfig",
        "cachedContent": "string",
        "serviceTier": "ServiceTier",
        "store": "bool",
    },
    "CountTokensRequest": {
        "model": "string",
        "contents": ["Content"],
        "generateContentRequest": "GenerateContentRequest",
    },
    "CachedContent": {
        "model": "string",
        "displayName": "string",
        "contents": ["Content"],
        "systemInstruction": "Content",
        "tools": ["Tool"],
        "toolConfig": "ToolConfig",
        "ttl": "string",
        "expireTime": "string",
    },
    "Content": {"role": "string", "parts": ["Part"]},
    "Part": {
        "text": "string",
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        "executableCode": "ExecutableCode",
        "codeExecutionResult": "CodeExecutionResult",
        "toolCall": "struct",
        "toolResponse": "struct",
        "thought": "bool",
        "thoughtSignature": "bytes",
        "partMetadata": "struct",
        "videoMetadata": "struct",
        "mediaResolution": "struct",
        "mediaProcessing": "struct",
        "audioTranscription": "struct",
    },
    "Blob": {"mimeType": "string", "data": "bytes"},
    "FileData": {"mimeType": "string", "fileUri": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "struct",
        "parts": ["FunctionResponsePart"],
        "willContinue": "bool",
        "scheduling": "string",
    },
    "FunctionResponsePart": {"inlineData": "Blob", "fileData": "FileData"},
    "ExecutableCode": {"id": "string", "language": "string", "code": "string"},
    "CodeExecutionResult": {"id": "string", "outcome": "string", "output": "string"},
    "Tool": {
        "functionDeclarations": ["FunctionDeclaration"],
        "googleSearch": "struct",
        "googleSearchRetrieval": "struct",
        "googleMaps": "struct",
        "codeExecution": "struct",
        "urlContext": "struct",
        "fileSearch": "struct",
        "computerUse": "struct",
        "mcpServers": ["any"],
    },
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "behavior": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "any",
        "response": "Schema",
        "responseJsonSchema": "any",
    },
    "Schema": {
        "type": "Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": ["string"],
        "items": "Schema",
        "properties": {"Schema"},
        "required": ["string"],
        "anyOf": ["Schema"],
        "propertyOrdering": ["string"],
        "additionalProperties": "any",
        "defs": {"Schema"},
        "ref": "string",
        "default": "any",
        "example": "any",
        "pattern": "string",
        "minimum": "float",
        "maximum": "float",
        "minItems": "int",
        "maxItems": "int",
        "minLength": "int",
        "maxLength": "int",
        "minProperties": "int",
        "maxProperties": "int",
    },
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "retrievalConfig": "struct",
        "includeServerSideToolInvocations": "bool",
    },
    "FunctionCallingConfig": {"mode": "Mode", "allowedFunctionNames": ["string"]},
    "SafetySetting": {"category": "string", "threshold": "string"},
    "GenerationConfig": {
        "candidateCount": "int",
        "stopSequences": ["string"],
        "maxOutputTokens": "int",
        "temperature": "float",
        "topP": "float",
        "topK": "int",
        "seed": "int",
        "presencePenalty": "float",
        "frequencyPenalty": "float",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "responseJsonSchema": "any",
        "responseModalities": ["string"],
        "responseLogprobs": "bool",
        "logprobs": "int",
        "enableEnhancedCivicAnswers": "bool",
        "speechConfig": "struct",
        "imageConfig": "struct",
        "mediaResolution": "string",
        "audioTranscriptionConfig": "struct",
        "thinkingConfig": "ThinkingConfig",
    },
    "ThinkingConfig": {"includeThoughts": "bool", "thinkingBudget": "int", "thinkingLevel": "ThinkingLevel"},
}
ENUMS: dict[str, tuple[str, frozenset[str]]] = {
    "ThinkingLevel": (
        "ThinkingConfig.ThinkingLevel",
        frozenset({"THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"}),
    ),
    "Mode": (
        "FunctionCallingConfig.Mode",
        frozenset({"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"}),
    ),
    "Type": (
        "Type",
        frozenset({"TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}),
    ),
    "ServiceTier": ("ServiceTier", frozenset({"SERVICE_TIER_UNSPECIFIED", "STANDARD", "FLEX", "PRIORITY"})),
}


class _Reader:
    def __init__(self, version: str) -> None:
        self.version = version
        self.problems: list[tuple[str, str]] = []

    def message(self, kind: str, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self.wrong(path, f"google.ai.generativelanguage.{self.version}.{kind}", value)
        fields, read = MESSAGES[kind], {}
        for name, item in value.items():
            known = camel(name)
            if known not in fields:
                at = f" at '{path}'" if path else ""
                self.problem(path, f'Unknown name "{name}"{at}: Cannot find field.')
            elif known in read:
                self.problem(path, f'Field "{name}" is set more than once.')
            elif item is not None:
                read[known] = self.value(fields[known], item, f"{path}.{snake(known)}".lstrip("."))
        return read

    def value(self, kind: Kind, value: Any, path: str) -> Any:
        if isinstance(kind, list):
            items = value if isinstance(value, list) else [value]
            return [self.value(kind[0], item, f"{path}[{index}]") for index, item in enumerate(items)]
        if isinstance(kind, set):
            (inner,) = kind
            if not isinstance(value, dict):
                return self.wrong(path, "map", value)
            return {
                key: self.value(inner, item, f"{path}[{index}].value")
                for index, (key, item) in enumerate(value.items())
            }
        if kind in ENUMS:
            return self.enum(kind, value, path)
        return self.scalar(kind, value, path) if kind in _SCALARS else self.message(kind, value, path)

    def enum(self, kind: str, value: Any, path: str) -> Any:
        name, allowed = ENUMS[kind]
        if isinstance(value, str) and value.upper() in allowed:
            return value.upper()
        return self.wrong(path, f"google.ai.generativelanguage.{self.version}.{name}", value, types=True)

    def scalar(self, kind: str, value: Any, path: str) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            "string": isinstance(value, str),
            "bool": isinstance(value, bool),
            "int": number and float(value).is_integer(),
            "float": number,
            "struct": isinstance(value, dict),
            "bytes": isinstance(value, str),
            "any": True,
        }[kind]
        if not fits:
            return self.wrong(path, f"TYPE_{kind.upper()}", value)
        if kind == "bytes" and decode(value) is None:
            self.problem(
                path, f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{value[:40]}\""
            )
        return value

    def wrong(self, path: str, kind: str, value: Any, *, types: bool = False) -> Any:
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        prefix = "type.googleapis.com/" if types or kind.startswith("google") else ""
        self.problem(path, f"Invalid value at '{path}' ({prefix}{kind}), {shown[:80]}")
        return value

    def problem(self, path: str, text: str) -> None:
        start = "" if text.startswith("Invalid value") else "Invalid JSON payload received. "
        self.problems.append((path, start + text))


def read(body: Any, kind: str, version: str) -> dict[str, Any]:
    """The body in JSON spelling without nulls, or a Refusal that names every field that does not fit."""
    reader = _Reader(version)
    value = reader.message(kind, body, "")
    if reader.problems:
        raise bad_request(reader.problems)
    assert isinstance(value, dict)
    return value


def decode(text: str) -> bytes | None:
    """Base64 as Google reads it: either alphabet, with or without padding. None if it is neither."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
