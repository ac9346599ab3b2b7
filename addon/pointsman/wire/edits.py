"""Small edits that the rules of every surface are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from pointsman.values import Adaptation
from pointsman.wire.json_spans import Body, encode


def edit(body: Body, key: str, changes: Mapping[str, Any]) -> None:
    """Set members of an object in the body, None deletes; an object left empty goes too."""
    inner = Body.parse(body.raw(key) or b"{}")
    for name, value in changes.items():
        if value is None:
            inner.delete(name)
        else:
            inner.set(name, value)
    if inner.names():
        body.set_raw(key, inner.render())
    else:
        body.delete(key)


def clamp_output(
    body: Body, name: str, limit: int | None, done: list[Adaptation], parameter: str = ""
) -> bool:
    """Bound the wanted length of the answer, the member `name`, by the model's own; whether that was needed.

    `limit` is the row's `max_output_tokens`; `parameter` is the member's full name where `body` is a part.
    """
    wanted = body.get(name)
    if limit is None or not is_count(wanted) or wanted <= limit:
        return False
    body.set(name, limit)
    done.append(Adaptation(parameter or name, "clamp", short(wanted), short(limit), "max_output_tokens"))
    return True


def is_count(value: Any) -> TypeGuard[int]:
    """Whether a decoded value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def short(value: Any) -> str:
    """A value as it stands in an adaptation: JSON of at most 120 characters, "" for None."""
    if value is None:
        return ""
    text = encode(value).decode(errors="replace")
    return text if len(text) <= 120 else text[:117] + "…"
