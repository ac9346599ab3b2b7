"""Small requests for the tests of the Gemini family, and how it takes them."""

from __future__ import annotations

from typing import Any

import pytest
from provider.gemini.checks import Accepted, check
from provider.gemini.errors import Refusal
from provider.gemini.signatures import sign

HI: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}
SAID: dict[str, Any] = {"role": "model", "parts": [{"text": "hello"}]}
ASK: dict[str, Any] = {"contents": [HI]}
CALL = {"functionCall": {"name": "ls", "args": {"path": "/é"}, "id": "c1"}}
RESULT = {"functionResponse": {"name": "ls", "response": {"output": "a"}, "id": "c1"}}
TOOLS = {"tools": [{"functionDeclarations": [{"name": "ls", "parametersJsonSchema": {"type": "object"}}]}]}
SKIP = "skip_thought_signature_validator"


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


def thinking(**fields: Any) -> dict[str, Any]:
    return config(thinkingConfig=fields)


def signed(
    model: str = "gemini-3.8-flash", account: str = "a", part: dict[str, Any] | None = None
) -> dict[str, Any]:
    part = CALL if part is None else part
    return part | {"thoughtSignature": sign(part, account=account, model=model)}


def step(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def results(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def accept(body: dict[str, Any], model: str = "gemini-3.8-flash", **how: Any) -> Accepted:
    return check(body, model, "a", **how)


def refused(body: Any, model: str = "gemini-3.8-flash", **how: Any) -> str:
    with pytest.raises(Refusal) as caught:
        check(body, model, "a", **how)
    return str(caught.value)
