"""What a translation loses and what it refuses, as data beside each reader and writer.

A reader's words are paths in its API's requests, a writer's are features of a neutral request. Nothing can be
lost or refused that is not in these tables, and docs/translation.md is made of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

OTHERS: Final = "*"
"""The word for members that the reader does not know."""
PERSONAL: Final = "whose request it is stays with the provider it was meant for"
"""Why a member is lost that names a person, an account or a program to one provider."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one surface. `lost`: path → what that means. `refused`: path → why no other API can do it.

    `says`: those of the writers' features that its requests can have at all.
    """

    lost: Mapping[str, str]
    refused: Mapping[str, str]
    says: frozenset[str]


@dataclass(frozen=True, slots=True)
class Writing:
    """Of one surface. `lost`: feature → what becomes of it. `refused`: feature → why it cannot be said."""

    lost: Mapping[str, str]
    refused: Mapping[str, str]


@dataclass(slots=True)
class Notes:
    """Gathered while one request is read or written; each word once, in the order of its first use."""

    table: Reading | Writing
    losses: dict[str, None] = field(default_factory=dict)
    refusals: dict[str, None] = field(default_factory=dict)

    def lose(self, word: str, name: str = "") -> None:
        """`name`: of a member that the table knows as OTHERS only."""
        assert word in self.table.lost, word
        self.losses[name or word] = None

    def refuse(self, word: str, detail: str = "") -> None:
        why = self.table.refused[word]
        self.refusals[f"{word}{f' ({detail})' if detail else ''}: {why}"] = None

    def lose_all(self, words: Collection[str]) -> None:
        """Those of the words that are in the table, in its order."""
        for word in self.table.lost:
            if word in words:
                self.lose(word)

    def refuse_all(self, words: Collection[str]) -> None:
        """The same of what is refused."""
        for word in self.table.refused:
            if word in words:
                self.refuse(word)

    def lose_members(self, names: Iterable[str], known: Iterable[str]) -> None:
        """All members that are none of the `known` ones, by the table's word for each or as one of OTHERS."""
        known = frozenset(known)
        for name in names:
            if name not in known:
                self.lose(name if name in self.table.lost else OTHERS, name)


def pair(reading: Reading, writing: Writing) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What a request loses from one API to another, and what is refused: (lost, refused), by their words."""
    lost = {**reading.lost, **{word: why for word, why in writing.lost.items() if word in reading.says}}
    refused = {
        **reading.refused,
        **{word: why for word, why in writing.refused.items() if word in reading.says},
    }
    return lost, refused
