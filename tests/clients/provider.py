"""The stand-in provider as real clients need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.kinds import HOSTS, PAGES
from provider import standin
from provider.answers import Answer, Step, Text
from provider.anthropic.cache import Counted, PromptCache
from provider.anthropic.capabilities import Takes
from provider.anthropic.family import Anthropic
from provider.family import Family
from provider.gemini.family import Gemini
from provider.record import Record
from provider.server import Reply

BILLING = "x-anthropic-billing-header:"
ASIDE = "aside"  # a note on a record: a title, a probe, a classifier
TITLE = Answer((Text("Trains"),))


def without_billing(body: Mapping[str, Any]) -> dict[str, Any]:
    """Claude Code's first system block is a checksum of the request, which the provider does not cache."""
    system = body.get("system")
    if not isinstance(system, list):
        return dict(body)
    kept = [block for block in system if not str(block.get("text", "")).startswith(BILLING)]
    return {**body, "system": kept}


def aside_of(record: Record, family: Family) -> Answer | None:
    """The answer to what is no part of the conversation."""
    if _wants_title(record.body):
        return TITLE
    return None if family.name == "openai" else family.aside(record)


def _wants_title(body: Mapping[str, Any]) -> bool:
    """opencode asks for one in a user's words. Codex describes a tool with the same words."""
    turns = (body.get("messages") or body.get("input") or [])[:2]
    said = [turn.get("content") for turn in turns if turn.get("role") == "user"]
    return "Generate a title for this conversation:" in json.dumps(said)


def lenient(family: Family) -> None:
    """Let it take what the service takes from these clients, though not from everybody for sure."""
    if isinstance(family, Anthropic):
        family.cache = _Cache()
    if isinstance(family, Gemini):
        family.repeated_results = True  # Gemini CLI sends them twice after --resume


class _Cache(PromptCache):
    def count(self, body: Mapping[str, Any], model: Takes, account: str) -> Counted:
        return super().count(without_billing(body), model, account)


class Provider(standin.StandIn):
    """The stand-in with answers to what clients ask besides; it remembers the heads that it sent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, hosts=tuple(dict.fromkeys((*standin.HOSTS, *HOSTS))))
        for family in self.families.values():
            lenient(family)
        self.heads: dict[str, list[tuple[str, str]]] = {}
        self.pages.update(PAGES)

    async def _start(self, record: Record, reply: Reply, status: int, headers: list[tuple[str, str]]) -> None:
        self.heads[record.request_id] = headers
        await super()._start(record, reply, status, headers)

    async def _write(self, record: Record, reply: Reply, data: bytes, tear: int) -> None:
        if record.request.method != "HEAD":  # Claude Code's early connection, where there is no proxy
            await super()._write(record, reply, data, tear)

    def next_step(self, record: Record, family: Family) -> Step:
        aside = aside_of(record, family)
        record.notes[ASIDE] = aside is not None
        return aside or (self.steps.popleft() if self.steps else self.default)

    def main(self, since: int = 0) -> list[Record]:
        """Requests of the conversation itself, from the record with that index on."""
        return [each for each in self.records[since:] if each.generates and not each.notes.get(ASIDE)]

