"""The pieces of an answer that is being written, and the ids that they get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pointsman.wire.translation.free_text import Arguments
from pointsman.wire.translation.made import OURS

Kind = Literal["text", "refusal", "thinking", "call"]


@dataclass(slots=True)
class Block:
    """A piece of an answer; `number` is its place. `id`, `name`, `namespace`, `custom`: a call's."""

    kind: Kind
    number: int
    id: str = ""
    name: str = ""
    namespace: str = ""
    custom: bool = False
    arguments: Arguments | None = None
    waiting: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)  # as they were written
    closed: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def finished(self) -> bool:
        return self.arguments is None or self.arguments.complete


def id_of(prefix: str, answer_id: str, number: int | None = None) -> str:
    """An id that a writer makes up, of an answer or of one thing in it."""
    tail = "" if number is None else f"_{number}"
    return f"{prefix}_{OURS}_{answer_id}{tail}"
