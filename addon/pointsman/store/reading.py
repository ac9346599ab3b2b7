"""What people and commands ask of the database, through a connection that cannot write."""

# ruff: noqa: S608 - only this module's own constants are put into SQL

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from pointsman.errors import StoreError
from pointsman.store.decisions import USAGE_COLUMNS
from pointsman.store.opening import as_store_error, open_for_reading
from pointsman.values import (
    Adaptation,
    Candidate,
    CredentialKind,
    Decision,
    Outcome,
    TurnKind,
    Usage,
)

_GROUPS = {"model": "served_model", "day": "date(at, 'unixepoch', 'localtime')"}


@dataclass(frozen=True, slots=True)
class SessionRow:
    """What is remembered of a conversation."""

    key: str
    credential_fingerprint: str
    requested_model: str
    model: str  # last served
    updated_at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Record:
    """One action as stored."""

    decision: Decision
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Totals:
    """Actions of one group added up. Only known figures are added; `unknown_*` count the others."""

    group: str  # a model, a day, or "" for everything
    actions: int
    answered: int  # with usage
    failed: int  # with an error, or a status of 400 and more
    usage: Usage
    cost_usd: float | None  # None if no action's cost is known
    unknown_cost: int  # answered, but the served model's price is unknown
    requested_cost_usd: float | None
    unknown_requested_cost: int
    compared_cost_usd: float | None  # cost of those actions where both costs are known
    compared_requested_cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Spend:
    """Tokens of answered actions that were asked of one model and served by one."""

    requested_model: str
    served_model: str
    actions: int
    usage: Usage
    cost_usd: float | None
    unknown_cost: int


class Reader:
    """A read-only view of the file; use it as a context manager.

    Raises:
        StoreError: on opening or from any method: missing, unreadable, damaged, or from a newer version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()
        self._connection = open_for_reading(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def last(self, *, endpoint: str = "generate") -> Record | None:
        """The newest decision about an action; token counts do not count."""
        rows = self._rows(
            "SELECT * FROM decisions WHERE endpoint = ? ORDER BY at DESC, rowid DESC LIMIT 1", (endpoint,)
        )
        return next((_record(row) for row in rows), None)

    def get(self, prefix: str) -> Record | None:
        """The decision whose id is or starts with this; None if there is none.

        Raises:
            StoreError: several ids start with it; the message names some.
        """
        # A range instead of LIKE: it uses the index, and % and _ mean nothing in it.
        rows = list(
            self._rows(
                "SELECT * FROM decisions WHERE id >= ? AND id < ? ORDER BY id LIMIT 6",
                (prefix, prefix + "\U0010ffff"),
            )
        )
        exact = [row for row in rows if row["id"] == prefix]
        if len(rows) > 1 and not exact:
            some = ", ".join(row["id"] for row in rows[:5])
            raise StoreError(f"several decisions start with {prefix}: {some}{', …' if len(rows) > 5 else ''}")
        return next((_record(row) for row in exact or rows), None)

    def by_session_hint(self, hint: str, limit: int = 1000) -> list[Record]:
        """The newest decisions of one client conversation, newest first."""
        rows = self._rows(
            "SELECT * FROM decisions WHERE session_hint = ? ORDER BY at DESC, rowid DESC LIMIT ?",
            (hint, limit),
        )
        return [_record(row) for row in rows]

    def sessions(self, *, limit: int, since: float) -> list[SessionRow]:
        """Sessions used since then (unix seconds), newest first."""
        names = [column.name for column in fields(SessionRow)]
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM sessions WHERE updated_at >= ? ORDER BY updated_at DESC LIMIT ?",
            (since, limit),
        )
        return [SessionRow(*row) for row in rows]

    def totals(
        self, *, since: float | None = None, until: float | None = None, by: str | None = None
    ) -> list[Totals]:
        """Sums over actions (token counts left out) from `since` up to but not including `until`.

        `by` is "model" (served), "day" (local time) or None for one group of everything.
        Groups by name; by model the most frequent first.
        """
        group = "''" if by is None else _GROUPS[by]
        order = "actions DESC, 1" if by == "model" else "1"
        rows = self._rows(
            f"""
            SELECT {group} AS name, count(*) AS actions,
                   sum({_ANSWERED}) AS answered,
                   sum(error IS NOT NULL OR coalesce(status, 0) >= 400) AS failed,
                   {_sums(USAGE_COLUMNS)},
                   sum(cost_usd) AS cost_usd,
                   sum({_ANSWERED} AND cost_usd IS NULL) AS unknown_cost,
                   sum(requested_cost_usd) AS requested_cost_usd,
                   sum({_ANSWERED} AND requested_cost_usd IS NULL) AS unknown_requested_cost,
                   sum(CASE WHEN requested_cost_usd IS NOT NULL THEN cost_usd END) AS compared,
                   sum(CASE WHEN cost_usd IS NOT NULL THEN requested_cost_usd END) AS compared_requested
            FROM decisions WHERE {_PERIOD} GROUP BY name ORDER BY {order}
            """,
            (since, since, until, until),
        )
        return [_totals(row) for row in rows if row["actions"]]

    def spends(self, *, since: float | None = None, until: float | None = None) -> list[Spend]:
        """Answered actions by (requested, served) model."""
        rows = self._rows(
            f"""
            SELECT requested_model, served_model, count(*) AS actions, {_sums(USAGE_COLUMNS)},
                   sum(cost_usd) AS cost_usd, sum(cost_usd IS NULL) AS unknown_cost
            FROM decisions WHERE {_PERIOD} AND {_ANSWERED}
            GROUP BY requested_model, served_model ORDER BY actions DESC, requested_model, served_model
            """,
            (since, since, until, until),
        )
        return [_spend(row) for row in rows]

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[sqlite3.Row]:
        try:
            yield from self._connection.execute(sql, parameters)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise as_store_error(self.path, error) from error


_ANSWERED = "(output_tokens IS NOT NULL)"
_PERIOD = "endpoint = 'generate' AND (? IS NULL OR at >= ?) AND (? IS NULL OR at < ?)"


def _sums(columns: tuple[str, ...]) -> str:
    return ", ".join(f"sum({name}) AS {name}" for name in columns)


def _usage(row: sqlite3.Row) -> Usage:
    return Usage(*(row[name] for name in USAGE_COLUMNS))


def _spend(row: sqlite3.Row) -> Spend:
    return Spend(
        requested_model=row["requested_model"],
        served_model=row["served_model"],
        actions=row["actions"],
        usage=_usage(row),
        cost_usd=row["cost_usd"],
        unknown_cost=row["unknown_cost"],
    )


def _totals(row: sqlite3.Row) -> Totals:
    return Totals(
        group=row["name"] or "",
        actions=row["actions"],
        answered=row["answered"],
        failed=row["failed"],
        usage=_usage(row),
        cost_usd=row["cost_usd"],
        unknown_cost=row["unknown_cost"],
        requested_cost_usd=row["requested_cost_usd"],
        unknown_requested_cost=row["unknown_requested_cost"],
        compared_cost_usd=row["compared"],
        compared_requested_cost_usd=row["compared_requested"],
    )


_DECODE: Mapping[str, Any] = {
    "turn": TurnKind,
    "credential_kind": CredentialKind,
    "stream": bool,
    "tool_loop": bool,
    "knobs": json.loads,
    "clusters": lambda text: tuple((int(cluster), float(cosine)) for cluster, cosine in json.loads(text)),
    "candidates": lambda text: tuple(Candidate(**item) for item in json.loads(text)),
    "adaptations": lambda text: tuple(Adaptation(**item) for item in json.loads(text)),
    "warnings": lambda text: tuple(json.loads(text)),
}


def _record(row: sqlite3.Row) -> Record:
    decision = {name: _DECODE.get(name, _same)(row[name]) for name in _names(Decision)}
    usage = _usage(row)
    outcome = {name: row[name] for name in _names(Outcome) if name not in ("usage", "complete")}
    complete = None if row["complete"] is None else bool(row["complete"])
    return Record(
        Decision(**decision),
        Outcome(**outcome, complete=complete, usage=None if usage == Usage() else usage),
    )


def _names(value: type[Decision] | type[Outcome]) -> list[str]:
    return [field.name for field in fields(value)]


def _same(value: Any) -> Any:
    return value
