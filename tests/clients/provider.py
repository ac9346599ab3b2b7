"""The stand-in provider as real clients need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.kinds import HOSTS, PAGES
from provider import standin
from provider.answers import Answer, Step, Text
from provider.anthropic import family as anthropic
from provider.anthropic.cache import Counted, PromptCache
from provider.anthropic.capabilities import Takes
from provider.family import Family, Ready
from provider.gemini import background as gemini
from provider.gemini.family import Gemini
from provider.record import Record
from provider.server import Channel, Reply

BILLING = "x-anthropic-billing-header:"
TITLE = Answer((Text("Trains"),))


def without_billing(body: Mapping[str, Any]) -> dict[str, Any]:
    """Claude Code's first system block is a checksum of the request, which the provider does not cache."""
    system = body.get("system")
    if not isinstance(system, list):
        return dict(body)
    kept = [block for block in system if not str(block.get("text", "")).startswith(BILLING)]
    return {**body, "system": kept}


def is_main(record: Record) -> bool:
    """Is it a request of the conversation itself, and no title, probe or classifier?"""
    return record.generates and not (isinstance(record.body, dict) and _is_aside(record))


def _is_aside(record: Record) -> bool:
    if record.family == "gemini" and gemini.is_background(record.request, record.body):
        return True
    if record.family == "anthropic" and anthropic.is_background(record.body):
        return True
    return _wants_title(record.body) or _wants_json_title(record.body)


def _wants_json_title(body: Mapping[str, Any]) -> bool:
    """Claude Code asks for one in JSON, and says so in its instructions, whoever answers."""
    text = body.get("text")
    wanted = body.get("response_format") or (text.get("format") if isinstance(text, dict) else None)
    config = body.get("generationConfig") or {}
    wanted = wanted or config.get("responseJsonSchema") or config.get("responseSchema")
    return isinstance(wanted, dict) and "title" in json.dumps(wanted)


def _wants_title(body: Mapping[str, Any]) -> bool:
    """opencode asks for one in a user's words. Codex describes a tool with the same words."""
    turns = (body.get("messages") or body.get("input") or [])[:2]
    said = [turn.get("content") for turn in turns if turn.get("role") == "user"]
    return "Generate a title for this conversation:" in json.dumps(said)


def lenient(family: Family) -> None:
    """Let it take what the service takes from these clients, though not from everybody for sure."""
    if isinstance(family, anthropic.Anthropic):
        family.cache = _Cache()
    if isinstance(family, Gemini):
        family.repeated_results = True  # Gemini CLI sends them twice after --resume


class _Cache(PromptCache):
    def count(self, body: Mapping[str, Any], model: Takes, account: str) -> Counted:
        return super().count(without_billing(body), model, account)


@dataclass(frozen=True, slots=True)
class _Noted:
    """A reply whose head is noted, and which has no body where none may be."""

    reply: Reply
    record: Record
    heads: dict[str, list[tuple[str, str]]]

    async def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.heads[self.record.request_id] = headers
        await self.reply.start(status, headers)

    async def send(self, data: bytes) -> None:
        if self.record.request.method != "HEAD":  # Claude Code's early connection, where there is no proxy
            await self.reply.send(data)

    async def half(self, data: bytes, whole: int) -> None:
        await self.reply.half(data, whole)

    async def end(self) -> None:
        await self.reply.end()

    async def upgrade(self, headers: list[tuple[str, str]]) -> Channel:
        return await self.reply.upgrade(headers)


class Provider(standin.StandIn):
    """The stand-in with answers to what clients ask besides; it remembers the heads that it sent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, hosts=tuple(dict.fromkeys((*standin.HOSTS, *HOSTS))))
        for family in self.families.values():
            lenient(family)
        self.heads: dict[str, list[tuple[str, str]]] = {}
        self.pages.update(PAGES)

    async def _deliver(self, record: Record, reply: Reply, ready: Ready, step: Step) -> None:
        await super()._deliver(record, _Noted(reply, record, self.heads), ready, step)

    def next_step(self, record: Record, family: Family) -> Step:
        if is_main(record):
            return self.steps.popleft() if self.steps else self.default
        if _wants_json_title(record.body):
            return anthropic.TITLE
        return TITLE if _wants_title(record.body) else family.aside(record) or self.default

    def main(self, since: int = 0) -> list[Record]:
        """Requests of the conversation itself, from the record with that index on."""
        return [record for record in self.records[since:] if is_main(record)]
