"""Prompt caching as Gemini bills it: implicit prefixes per account and model, and contents cached by name.

Counting stands in for a tokenizer: four bytes are one token.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider.gemini.capabilities import Takes
from provider.gemini.errors import Refusal
from provider.gemini.rules import find_model

BYTES_PER_TOKEN = 4
PROPOSAL = "Proposed fix: move those values to CachedContent from GenerateContent request."

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of one prompt. As on the wire, `prompt` includes those that were read from the cache."""

    prompt: int
    cached: int

    @property
    def input(self) -> int:
        """Tokens at the full price."""
        return self.prompt - self.cached

    @property
    def read(self) -> int:
        return self.cached

    @property
    def total(self) -> int:
        return self.prompt


@dataclass(frozen=True, slots=True)
class Kept:
    """A cachedContents resource."""

    name: str
    model: str
    account: str
    tokens: int


@dataclass
class PromptCache:
    """What (account, model) pairs have sent, and what was cached by name. Nothing expires within a test."""

    seen: set[tuple[str, str, str]] = field(default_factory=set)
    kept: dict[str, Kept] = field(default_factory=dict)

    def count(self, body: Json, model: Takes, account: str) -> Counted:
        """Count a prompt, and read the longest prefix that this account sent to this model before."""
        named = self._named(body, model, account)
        size, read, keys = 0, 0, []
        running = hashlib.sha256()
        for data in _segments(body):
            running.update(data)
            size += len(data)
            key = (account, model.name, running.hexdigest())
            keys.append(key)
            if key in self.seen and _tokens(size) >= model.cache_minimum_tokens:
                read = _tokens(size)
        self.seen.update(keys)
        return Counted(max(1, _tokens(size)) + named, named or read)

    def keep(self, body: Json, account: str, version: str) -> Kept:
        """Create a cachedContents resource."""
        if "model" not in body:
            raise Refusal("* CreateCachedContentRequest.cached_content.model: model is required.\n")
        model = find_model(body["model"].removeprefix("models/"), version, "createCachedContent")
        tokens = sum(_tokens(len(data)) for data in _segments(body))
        if tokens < model.cache_minimum_tokens:
            raise Refusal(
                f"Cached content is too small. total_token_count={tokens}, "
                f"min_total_token_count={model.cache_minimum_tokens}"
            )
        kept = Kept(f"cachedContents/standin{len(self.kept):08d}", model.name, account, tokens)
        self.kept[kept.name] = kept
        return kept

    def find(self, name: str, account: str) -> Kept:
        kept = self.kept.get(name)
        if kept is None or kept.account != account:
            raise Refusal("CachedContent not found (or permission denied)", 403)
        return kept

    def _named(self, body: Json, model: Takes, account: str) -> int:
        name = body.get("cachedContent")
        if not name:
            return 0
        kept = self.find(name, account)
        if kept.model != model.name:
            raise Refusal(
                f"Model used by GenerateContent request (models/{model.name}) and CachedContent "
                f"(models/{kept.model}) has to be the same."
            )
        if any(body.get(key) for key in ("systemInstruction", "tools", "toolConfig")):
            raise Refusal(
                "CachedContent can not be used with GenerateContent request setting system_instruction, "
                f"tools or tool_config.\n\n{PROPOSAL}"
            )
        return kept.tokens


def _tokens(size: int) -> int:
    return math.ceil(size / BYTES_PER_TOKEN)


def _segments(body: Json) -> Iterator[bytes]:
    """The prompt in the order in which the model reads it: system, tools, contents; part by part."""
    parts: list[Any] = list((body.get("systemInstruction") or {}).get("parts") or [])
    parts += body.get("tools") or []
    for content in body.get("contents") or []:
        parts += [[content.get("role", "user"), part] for part in content.get("parts") or []]
    for part in parts:
        yield json.dumps(part, ensure_ascii=True, sort_keys=True).encode()
