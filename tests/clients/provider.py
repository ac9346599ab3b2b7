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
    """The answer to what is no part of the conversation; opencode asks for titles in words only."""
    said = [record.body.get(key) for key in ("system", "instructions")]
    said += [turn for key in ("messages", "input") for turn in (record.body.get(key) or [])[:1]]
    return TITLE if "You are a title generator" in json.dumps(said) else family.aside(record)


class _Cache(PromptCache):
    def count(self, body: Mapping[str, Any], model: Takes, account: str) -> Counted:
        return super().count(without_billing(body), model, account)


class Provider(standin.StandIn):
    """The stand-in with answers to what clients ask besides; it remembers the heads that it sent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, hosts=tuple(dict.fromkeys((*standin.HOSTS, *HOSTS))))
        anthropic = self.families["anthropic"]
        assert isinstance(anthropic, Anthropic)
        anthropic.cache = _Cache()
        self.heads: dict[str, list[tuple[str, str]]] = {}
        self.pages.update(PAGES)

    async def _start(self, record: Record, reply: Reply, status: int, headers: list[tuple[str, str]]) -> None:
        self.heads[record.request_id] = headers
        await super()._start(record, reply, status, headers)

    async def _write(self, record: Record, reply: Reply, data: bytes, tear: int) -> None:
        if record.request.method != "HEAD":  # Claude Code's early connection, where there is no proxy
            await super()._write(record, reply, data, tear)

    def _next_step(self, record: Record, family: Family) -> Step:
        aside = aside_of(record, family)
        record.notes[ASIDE] = aside is not None
        return aside or super()._next_step(record, family)

    def main(self, since: int = 0) -> list[Record]:
        """Requests of the conversation itself, from the record with that index on."""
        return [each for each in self.records[since:] if each.generates and not each.notes.get(ASIDE)]

