"""Frozen values as what JSON can hold: for `explain --json`, and for the answers of a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def plain(value: Any) -> Any:
    """Every field under its own name; bytes in base64."""
    return msgspec.to_builtins(value, enc_hook=_as_dict)


def _as_dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):  # msgspec knows dict only
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
