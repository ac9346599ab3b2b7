"""A decision and its outcome as one row of SQL, and back.

Invariant: every field of `Decision` and `Outcome` is a column, or several where the field is a value of
its own; only UNSTORED ones are not. Lists and maps are JSON text, truth values 0 or 1, unknown is NULL.
"""

# ruff: noqa: S608 - only this module's own constants are put into SQL

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pointsman.errors import StoreError
from pointsman.values import Classification, Decision, Outcome

CLASSIFICATION_COLUMNS = (
    "category", "tier", "classifier", "classifier_reason", "classifier_raw", "vision_fallback",
    "classifier_ms", "classifier_input_tokens", "classifier_output_tokens", "classifier_cost_usd",
)  # fmt: skip
"""In the order of the fields of `Classification`."""

DECISION_COLUMNS = (
    "id", "at", "surface", "endpoint", "client", "turn", "session", "session_hint", "credential_kind",
    "credential_fingerprint", "requested_model", "served_model", "previous_model", "provider", "host",
    "stream", "strategy", "reason", "detail", "route", "bundle", "knobs", "knobs_hash", "clusters",
    "candidates", "runner_up", "margin", "propensity", "adaptations", "warnings", "stripped", "marker",
    "tool_loop", "retry_count", "message_count", "input_tokens_estimate", "max_tokens", "request_bytes",
    "decide_ms", "embed_ms", "prompt", "embedding", "cache", "cache_detail",
    *CLASSIFICATION_COLUMNS,
)  # fmt: skip
UNSTORED = frozenset({"bindings"})  # where it was to be asked for; where it was is in `attempts`
USAGE_COLUMNS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
)  # fmt: skip
OUTCOME_COLUMNS = (
    "status", "message_id", "request_id", "answered_model", "stop_reason", *USAGE_COLUMNS, "cost_usd",
    "requested_cost_usd", "ttfb_ms", "total_ms", "error", "complete", "retried", "attempts",
    "fallback_from", "upstream_provider",
)  # fmt: skip
JSON_COLUMNS = frozenset({"knobs", "clusters", "candidates", "adaptations", "warnings"})

_INSERT = (
    f"INSERT INTO decisions ({', '.join(DECISION_COLUMNS)}) VALUES ({', '.join('?' * len(DECISION_COLUMNS))})"
)
_CHANGES = ", ".join(f"{name} = coalesce(?, {name})" for name in OUTCOME_COLUMNS)
_UPDATE = f"UPDATE decisions SET {_CHANGES} WHERE id = ?"
_UPSERT_SESSION = """
    INSERT INTO sessions (key, credential_fingerprint, surface, client, session_hint, requested_model,
                          model, actions, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        actions = sessions.actions + 1,
        requested_model = CASE WHEN excluded.updated_at >= sessions.updated_at
                               THEN excluded.requested_model ELSE sessions.requested_model END,
        model = CASE WHEN excluded.updated_at >= sessions.updated_at
                     THEN excluded.model ELSE sessions.model END,
        updated_at = max(excluded.updated_at, sessions.updated_at)
"""
_LARGEST = 2**63 - 1

Parameters = Sequence[Any]


def insert(connection: sqlite3.Connection, decision: Decision, *, served: bool) -> None:
    """Write the row and, where the action was `served` and holds a conversation, its last served model."""
    _execute(connection, _INSERT, lambda: decision_row(decision))
    if served and decision.holds_session:
        _execute(connection, _UPSERT_SESSION, lambda: _session_row(decision))


def update(connection: sqlite3.Connection, decision_id: str, outcome: Outcome) -> None:
    """Add what is known of the outcome. Raises StoreError if the decision was never written."""
    if _execute(connection, _UPDATE, lambda: (*outcome_row(outcome), decision_id)) == 0:
        raise StoreError(f"decision {decision_id} is not in the database, so its outcome is lost")


def decision_row(d: Decision) -> tuple[Any, ...]:
    """Values in the order of DECISION_COLUMNS."""
    return (
        d.id, d.at, d.surface, d.endpoint, d.client, d.turn.value, d.session, d.session_hint,
        d.credential_kind.value, d.credential_fingerprint, d.requested_model, d.served_model,
        d.previous_model, d.provider, d.host, d.stream, d.strategy, d.reason, d.detail, d.route, d.bundle,
        _json(dict(d.knobs)), d.knobs_hash, _json(d.clusters), _json(d.candidates), d.runner_up, d.margin,
        d.propensity, _json(d.adaptations), _json(d.warnings), d.stripped, d.marker, d.tool_loop,
        d.retry_count, d.message_count, d.input_tokens_estimate, d.max_tokens, d.request_bytes, d.decide_ms,
        d.embed_ms, d.prompt, d.embedding, d.cache, d.cache_detail,
        *_classification_row(d.classification),
    )  # fmt: skip


def outcome_row(o: Outcome) -> tuple[Any, ...]:
    """Values in the order of OUTCOME_COLUMNS."""
    u = o.usage
    usage = (None,) * len(USAGE_COLUMNS) if u is None else (
        u.input_tokens, u.output_tokens, u.cache_read_tokens, u.cache_write_tokens, u.cache_write_1h_tokens,
    )  # fmt: skip
    return (
        o.status, o.message_id, o.request_id, o.answered_model, o.stop_reason, *usage, o.cost_usd,
        o.requested_cost_usd, o.ttfb_ms, o.total_ms, o.error, o.complete, o.retried,
        o.attempts, o.fallback_from, o.upstream_provider,
    )  # fmt: skip


def _classification_row(c: Classification | None) -> tuple[Any, ...]:
    """Values in the order of CLASSIFICATION_COLUMNS."""
    if c is None:
        return (None,) * len(CLASSIFICATION_COLUMNS)
    return (
        c.category, c.tier, c.classifier, c.reason, c.raw, c.vision_fallback, c.ms, c.input_tokens,
        c.output_tokens, c.cost_usd,
    )  # fmt: skip


def _session_row(d: Decision) -> tuple[Any, ...]:
    return (
        d.session, d.credential_fingerprint, d.surface, d.client, d.session_hint, d.requested_model,
        d.served_model, d.at, d.at,
    )  # fmt: skip


def _execute(connection: sqlite3.Connection, sql: str, row: Callable[[], Parameters]) -> int:
    """Run one statement and return how many rows it touched.

    A client decides some of the values (model names, max_tokens), so a lone surrogate or an integer
    beyond 64 bits must not cost the row: such values are tamed and the statement is tried again.
    """
    parameters = row()
    try:
        return connection.execute(sql, parameters).rowcount
    except (UnicodeEncodeError, OverflowError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        return connection.execute(sql, [_tame(value) for value in parameters]).rowcount


def _tame(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return max(-_LARGEST, min(_LARGEST, value))
    if value is None or isinstance(value, float | bytes):
        return value
    return value.item() if hasattr(value, "item") else str(value)  # a numpy scalar


def _json(value: Any) -> str:
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    try:
        return msgspec.json.encode(value, enc_hook=_unwrap).decode()
    except (UnicodeEncodeError, OverflowError):  # msgspec has neither lone surrogates nor long integers
        return json.dumps(_finite(msgspec.to_builtins(value, enc_hook=_unwrap)), ensure_ascii=True)


def _unwrap(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.item() if hasattr(value, "item") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
