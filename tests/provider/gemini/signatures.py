"""Thought signatures: making them, and the checks when they come back.

A signature names the account, the model, and what it was put on: a function call with its arguments,
or a text. So one that was made up, that another account was given, or that was moved to another call is
refused, whichever model is asked. Another model of the same account is refused within the current turn,
and before it only if the stand-in was told so, since what the provider does there is not documented.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provider.gemini.capabilities import Takes
from provider.gemini.errors import Refusal
from provider.gemini.schema import decode
from provider.gemini.structure import current_turn

Json = Mapping[str, Any]

KEY = b"the stand-in's signing key for Gemini"
# Google documents both words for calls that no model of theirs made; some clients encode them once more.
SKIPS = frozenset(
    form
    for word in ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
    for form in (word, base64.b64encode(word.encode()).decode())
)
CORRUPTED = "Corrupted thought signature."
INVALID = "Invalid thought signature."


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature of this provider says."""

    account: str
    model: str
    subject: str


def sign(part: Json, *, account: str, model: str) -> str:
    claim = json.dumps([account, model, _subject(part)]).encode()
    return base64.b64encode(hmac.digest(KEY, claim, "sha256") + claim).decode()


def open_claim(signature: str) -> Claim | None:
    """None for anything that this provider did not sign."""
    raw = decode(signature) or b""
    seal, claim = raw[:32], raw[32:]
    if not hmac.compare_digest(seal, hmac.digest(KEY, claim, "sha256")):
        return None
    account, model, subject = json.loads(claim)
    return Claim(account, model, subject)


def check_signatures(body: Json, model: Takes, account: str, *, strict_history: bool) -> int:
    """Refuse what may not stand there. How many signatures of other models stand before the current turn."""
    contents = body["contents"]
    start, foreign = current_turn(contents), 0
    for index, content in enumerate(contents):
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            if signature is None or signature in SKIPS:
                continue
            claim = open_claim(signature)
            if claim is None or claim.account != account or claim.subject != _subject(part):
                raise Refusal(CORRUPTED)
            if claim.model != model.name:
                if index >= start or strict_history:
                    raise Refusal(INVALID)
                foreign += 1
    if model.signatures_required:
        _check_presence(contents, start)
    return foreign


def _check_presence(contents: Sequence[Json], start: int) -> None:
    """Within the current turn, the first call of every step of the model carries a signature."""
    called = False
    for index in range(start, len(contents)):
        content = contents[index]
        if content.get("role", "user") != "model":
            called = False
            continue
        for part in content["parts"]:
            call = part.get("functionCall")
            if call is not None and not called and not part.get("thoughtSignature"):
                raise Refusal(
                    "Function call is missing a thought_signature in functionCall parts. This is required "
                    "for tools to work correctly, and missing thought_signature may lead to degraded model "
                    f"performance. Additional data, function call `default_api:{call['name']}` , position "
                    f"{index + 1}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures "
                    "for more details."
                )
            called = called or call is not None


def _subject(part: Json) -> str:
    call = part.get("functionCall")
    if call is None:
        return "text"
    named = json.dumps([call.get("name"), call.get("args") or {}], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:24]
