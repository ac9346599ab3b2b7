"""Requests to the OpenAI family without a socket, for its tests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from provider.answers import Answer
from provider.openai.errors import Refused
from provider.openai.family import OpenAI
from provider.record import Record
from provider.server import Request

HI = {"role": "user", "content": "hi"}
LS = {"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}}
CHAT_LS = {"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
_numbers = itertools.count(1)


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [HI], **more}


def responses(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "input": [HI], **more}


def ask(
    family: OpenAI,
    body: Mapping[str, Any],
    answer: Answer | None = None,
    *,
    account: str = "a",
    **headers: str,
) -> Record:
    """Send `body` to the API that it is made for. The record has the message, or Refused is raised."""
    path = "/v1/chat/completions" if "messages" in body else "/v1/responses"
    given = {"authorization": f"Bearer sk-{account}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    host = given.pop("host", "api.openai.com")
    path = given.pop("path", path)
    data = json.dumps(body).encode()
    request = Request("1.1", "POST", path, host, tuple(given.items()), data, 1)
    record = Record(next(_numbers), request, "req", 0.0, generates=True)
    assert family.admit(record) is None
    record.notes["ready"] = family.compose(record, answer or Answer())
    return record


def refused(body: Mapping[str, Any], family: OpenAI | None = None, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        ask(family or OpenAI(), body, **more)
    return caught.value
