"""What a client sent, read as the provider reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clients.provider import lenient, without_billing
from mitmproxy import http
from provider.anthropic.cache import _segments
from provider.families import all_families
from provider.record import Record
from provider.refusal import Refusal
from provider.server import Request

HISTORY = ("messages", "input", "contents")  # Anthropic and Chat, Responses, Gemini
FIRST = ("instructions", "systemInstruction", "system_instruction", "tools")  # what stands before it

FAMILIES = all_families()  # only for reading: none of them answers anything
for _family in FAMILIES:
    lenient(_family)


def read(request: http.Request) -> Record:
    """A record as the stand-in would have made it of this request; its body is empty if it is no JSON."""
    headers = tuple(request.headers.items(multi=True))
    made = Request(
        "1.1", request.method, request.path, request.pretty_host, headers, request.raw_content or b"", 0
    )
    record = Record(0, made, "", 0.0)
    family = next((each for each in FAMILIES if request.pretty_host in each.hosts), None)
    if family is None or not family.generates(made):
        return record
    record.family, record.generates = family.name, True
    try:
        family.admit(record)
    except Refusal:
        pass  # as the provider will, too
    return record


def streams(record: Record) -> bool:
    return (record.body or {}).get("stream") is True or ":streamGenerateContent" in record.path


def history(record: Record) -> list[Any]:
    body = record.body or {}
    return next((body[key] for key in HISTORY if isinstance(body.get(key), list)), [])


def blocks(record: Record) -> list[bytes]:
    """Each part of the prompt, in the order in which a provider caches them."""
    body = record.body or {}
    if "messages" in body:
        return [data for data, _ in _segments(without_billing(body))]
    parts = [body[key] for key in FIRST if key in body]
    parts += [part for turn in history(record) for part in _parts(turn)]
    return [json.dumps(part).encode() for part in parts]


def _parts(turn: Mapping[str, Any]) -> list[Any]:
    """Gemini CLI adds parts to a turn that it has sent before; all others add turns."""
    parts = turn.get("parts")
    return [(turn.get("role"), part) for part in parts] if isinstance(parts, list) else [turn]
