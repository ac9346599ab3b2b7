"""What the service remembers of its answers: stored responses, and which item belonged to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provider.openai.errors import Refused

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """One item of an answer. `reasoning` stood before it; `follower` came after it, if it is reasoning."""

    account: str
    stored: bool
    item: Json
    reasoning: str = ""
    follower: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """One response, with the conversation that led to it. `connection` is the one it came over."""

    account: str
    stored: bool
    connection: int
    conversation: tuple[Json, ...]
    body: Json


@dataclass
class Store:
    responses: dict[str, Kept] = field(default_factory=dict)
    items: dict[str, Made] = field(default_factory=dict)
    resources: set[tuple[str, str]] = field(default_factory=set)  # (account, conv_… or pmpt_…) that exist

    def keep(
        self, body: Json, conversation: Sequence[Json], account: str, *, stored: bool, connection: int = 0
    ) -> None:
        output = body["output"]
        whole = (*conversation, *output)
        self.responses[body["id"]] = Kept(account, stored, connection, whole, body)
        reasoning = ""
        for item, after in zip(output, [*output[1:], {}], strict=False):
            if item["type"] == "reasoning":
                reasoning = item["id"]
                self.items[item["id"]] = Made(account, stored, item, follower=after.get("id", ""))
            else:
                needs = "" if item["type"] == "compaction" else reasoning
                self.items[item["id"]] = Made(account, stored, item, needs)

    def item(self, item_id: object, account: str) -> Made | None:
        made = self.items.get(item_id) if isinstance(item_id, str) else None
        return made if made is not None and made.account == account else None

    def conversation(self, response_id: str, account: str, connection: int = 0) -> tuple[Json, ...]:
        """What came before, for previous_response_id; only what the same account stored, or got just now."""
        kept = self.responses.get(response_id)
        if kept is None or kept.account != account or not (kept.stored or kept.connection == connection > 0):
            text = f"Previous response with id '{response_id}' not found."
            raise Refused(text, param="previous_response_id", code="previous_response_not_found")
        return kept.conversation

    def find(self, response_id: str, account: str) -> Json:
        kept = self.responses.get(response_id)
        if kept is None or kept.account != account or not kept.stored:
            raise Refused(f"Response with id '{response_id}' not found.", 404)
        return kept.body

    def need(self, what: str, resource: object, account: str) -> None:
        """A conversation or a prompt that the request refers to has to exist."""
        if resource is not None and (account, resource) not in self.resources:
            raise Refused(f"{what} with id '{resource}' not found.", 404, param=what.lower())
