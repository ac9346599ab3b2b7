"""Thinking blocks: signing them, and the checks when they come back.

A signature names the account, the model, where in its message the block stood, and a hash of all
thinking that stood before it. So a block that was altered, that another account or provider made,
that was moved, or that misses one of its predecessors is refused, whichever model is asked now.
What another model of the same account made is valid, and is dropped unread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from provider.anthropic.capabilities import BY_NAME, Takes
from provider.anthropic.structure import Block, blocks_of
from provider.refusal import Refusal

THINKING = ("thinking", "redacted_thinking")
KEY = b"the stand-in's signing key"


def sign(text: str, *, account: str, model: str, position: int, prefix: str) -> str:
    claim = json.dumps([account, model, position, prefix, _digest(text.encode())]).encode()
    return base64.b64encode(hmac.digest(KEY, claim, "sha256") + claim).decode()


def prefix_of(body: Mapping[str, Any]) -> str:
    """The hash of all thinking in a request's history, which the next block is signed over."""
    chain = ""
    for _, _, block in _thinking_blocks(body):
        chain = extend_prefix(chain, _signature(block))
    return chain


def extend_prefix(prefix: str, signature: str) -> str:
    return _digest((prefix + signature).encode())


def check_thinking(body: Mapping[str, Any], model: Takes, account: str) -> int:
    """Refuse what the account's own models did not write in this order; count what `model` must drop."""
    chain, foreign = "", 0
    for index, position, block in _thinking_blocks(body):
        where = f"messages.{index}.content.{position}"
        claim = _open(_signature(block))
        text = block.get("thinking", "") if block["type"] == "thinking" else ""
        if claim is None or claim[0] != account or claim[4] != _digest(text.encode()):
            raise Refusal(f"{where}: Invalid `signature` in `{block['type']}` block")
        if claim[3] != chain or claim[2] != position:
            raise Refusal(
                f"{where}: `thinking` or `redacted_thinking` blocks in the conversation cannot be modified, "
                "moved or removed. These blocks must remain as they were in the original response."
            )
        chain = extend_prefix(chain, _signature(block))
        maker = BY_NAME.get(str(claim[1]))
        foreign += maker is None or maker.name != model.name
    _check_tool_loop(body)
    return foreign


def _check_tool_loop(body: Mapping[str, Any]) -> None:
    """With a thinking budget, the assistant's message in an open tool loop starts with its thinking."""
    messages = [message for message in body["messages"] if message["role"] != "system"]
    if (body.get("thinking") or {}).get("type") != "enabled" or len(messages) < 2:
        return
    last, before = messages[-1], messages[-2]
    in_loop = any(block["type"] == "tool_result" for block in blocks_of(last))
    if in_loop and before["role"] == "assistant" and blocks_of(before)[0]["type"] not in THINKING:
        raise Refusal(
            f"messages.{len(messages) - 2}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
            f"found `{blocks_of(before)[0]['type']}`. When `thinking` is enabled, a final `assistant` "
            "message must start with a thinking block (preceding the last set of `tool_use` and "
            "`tool_result` blocks)."
        )


def _thinking_blocks(body: Mapping[str, Any]) -> Iterator[tuple[int, int, Block]]:
    for index, message in enumerate(body["messages"]):
        for position, block in enumerate(blocks_of(message)):
            if block["type"] in THINKING:
                yield index, position, block


def _signature(block: Block) -> str:
    return str(block.get("signature", "") if block["type"] == "thinking" else block.get("data", ""))


def _open(signature: str) -> list[Any] | None:
    try:
        raw = base64.b64decode(signature, validate=True)
        seal, claim = raw[:32], raw[32:]
        if not hmac.compare_digest(seal, hmac.digest(KEY, claim, "sha256")):
            return None
        values = json.loads(claim)
    except ValueError:
        return None
    return values if isinstance(values, list) and len(values) == 5 else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]
