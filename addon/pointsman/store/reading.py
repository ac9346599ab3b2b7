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
from pointsman.store.decisions import CLASSIFICATION_COLUMNS, UNSTORED, USAGE_COLUMNS
from pointsman.store.opening import as_store_error, open_for_reading
from pointsman.values import (
    Adaptation,
    Candidate,
    Classification,
    CredentialKind,
    Decision,
    Outcome,
    TurnKind,
    Usage,
)


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Which conversation an answer belongs to."""

    credential_fingerprint: str
    host: str
    message_id: str
    session: str


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
class Spent:
    """What one action took. Token counts are None where there was no answer."""

    at: float  # unix seconds
    provider: str
    strategy: str
    requested_model: str
    served_model: str
    usage: Usage
    cost_usd: float | None
    requested_cost_usd: float | None
    failed: bool  # an error, or a status of 400 and more
    repeated: bool = False  # a kept answer was given again: no tokens, no cost
    classified: bool = False  # a classifier was asked about it
    classifier_cost_usd: float | None = None  # of that, and not in `cost_usd`

    @property
    def answered(self) -> bool:
        return self.usage.output_tokens is not None


@dataclass(frozen=True, slots=True)
class Expected:
    """What scored actions that were asked of one model and served by one expected of a candidate."""

    provider: str
    requested_model: str
    served_model: str
    model: str  # the candidate
    actions: int
    allowed: int  # in how many of them it could be picked
    quality_sum: float  # of the expected qualities, each 0…1


class Reader:
    """A read-only view of the file; use it as a context manager.

    Raises:
        StoreError: on opening or from any method: missing, unreadable, damaged, or from another version.
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

    def answers(self, *, limit: int, since: float) -> list[AnswerRow]:
        """Answers of conversations begun since then (unix seconds) that have an id, newest first."""
        rows = self._rows(
            """
            SELECT credential_fingerprint, host, message_id, session FROM decisions
            WHERE at >= ? AND message_id IS NOT NULL ORDER BY at DESC LIMIT ?
            """,
            (since, limit),
        )
        return [AnswerRow(*row) for row in rows]

    def actions(self, *, since: float | None = None, until: float | None = None) -> Iterator[Spent]:
        """Actions (token counts left out) from `since` up to but not including `until`, oldest first."""
        rows = self._rows(
            f"""
            SELECT at, provider, strategy, requested_model, served_model, {", ".join(USAGE_COLUMNS)},
                   cost_usd, requested_cost_usd,
                   error IS NOT NULL OR coalesce(status, 0) >= 400 AS failed, cache = 'hit' AS repeated,
                   classifier_ms IS NOT NULL AS classified, classifier_cost_usd
            FROM decisions WHERE {_PERIOD} ORDER BY at
            """,
            (since, since, until, until),
        )
        for row in rows:
            yield Spent(
                at=row["at"],
                provider=row["provider"],
                strategy=row["strategy"],
                requested_model=row["requested_model"],
                served_model=row["served_model"],
                usage=_usage(row),
                cost_usd=row["cost_usd"],
                requested_cost_usd=row["requested_cost_usd"],
                failed=bool(row["failed"]),
                repeated=bool(row["repeated"]),
                classified=bool(row["classified"]),
                classifier_cost_usd=row["classifier_cost_usd"],
            )

    def expectations(self, *, since: float | None = None, until: float | None = None) -> list[Expected]:
        """Expected qualities of the candidates of all scored actions of the period."""
        rows = self._rows(
            f"""
            SELECT provider, requested_model, served_model, json_extract(item.value, '$.model') AS model,
                   count(*) AS actions, sum(json_extract(item.value, '$.excluded') = '') AS allowed,
                   sum(json_extract(item.value, '$.quality')) AS quality_sum
            FROM decisions, json_each(decisions.candidates) AS item
            WHERE {_PERIOD} AND json_extract(item.value, '$.quality') IS NOT NULL
            GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
            """,
            (since, since, until, until),
        )
        return [Expected(*row) for row in rows]

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[sqlite3.Row]:
        try:
            yield from self._connection.execute(sql, parameters)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise as_store_error(self.path, error) from error


_PERIOD = "endpoint = 'generate' AND (? IS NULL OR at >= ?) AND (? IS NULL OR at < ?)"


def _usage(row: sqlite3.Row) -> Usage:
    return Usage(*(row[name] for name in USAGE_COLUMNS))


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
    decision = {
        name: _DECODE.get(name, _same)(row[name])
        for name in _names(Decision)
        if name != "classification" and name not in UNSTORED
    }
    usage = _usage(row)
    outcome = {name: row[name] for name in _names(Outcome) if name not in ("usage", "complete")}
    complete = None if row["complete"] is None else bool(row["complete"])
    return Record(
        Decision(**decision, classification=_classification(row)),
        Outcome(**outcome, complete=complete, usage=None if usage == Usage() else usage),
    )


def _classification(row: sqlite3.Row) -> Classification | None:
    values = {
        field.name: row[column]
        for field, column in zip(fields(Classification), CLASSIFICATION_COLUMNS, strict=True)
    }
    if values["tier"] is None:
        return None
    return Classification(**values | {"vision_fallback": bool(values["vision_fallback"])})


def _names(value: type[Decision] | type[Outcome]) -> list[str]:
    return [field.name for field in fields(value)]


def _same(value: Any) -> Any:
    return value
