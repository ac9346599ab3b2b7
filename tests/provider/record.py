"""What the stand-in remembers of each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from provider.server import Request


class Counted(Protocol):
    """Tokens of one prompt, in each family's own counting."""

    @property
    def input(self) -> int: ...  # at the full price
    @property
    def read(self) -> int: ...  # from the prompt cache
    @property
    def total(self) -> int: ...


@dataclass
class Record:
    """One request as it arrived, and what became of it."""

    number: int
    request: Request
    request_id: str
    at: float
    family: str = ""  # "" for a host that is no provider's
    generates: bool = False  # asks a model for an answer, by its method and path
    account: str = ""
    subscription: bool = False
    body: Any = None
    model: str = ""
    foreign_thinking: int = 0
    counted: Any = None  # a Counted
    status: int | None = None
    error: str = ""
    message: Any = None  # the family's own; all have id, model, blocks, stop_reason, output_tokens
    sent: int = 0  # body bytes handed to the socket
    complete: bool = False
    broken: str = ""  # how the delivery was broken off, as the script said
    events: int = 0  # events handed to the socket as a whole; a body that is no stream is one
    gone: bool = False  # the peer left before the end
    notes: dict[str, Any] = field(default_factory=dict)  # the family's own

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def host(self) -> str:
        return self.request.host.partition(":")[0]

    @property
    def outcome(self) -> str:
        """The status, if there was one, and what came between: "200", "200 reset", "stall", "200 gone"."""
        between = self.broken or ("gone" if self.gone else "")
        return " ".join(str(part) for part in (self.status, between) if part) or "under way"
