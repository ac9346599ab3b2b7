"""A whole answer: observed, rewritten, and read as an error."""

from __future__ import annotations

import dataclasses

from fuzz.ground import MARKER, Ground
from fuzz.oracle import Choice, Finding, require, strict, strings, without_keys
from fuzz.streams import RENAMED, check_observation
from pointsman.values import NO_CHANGES, Changes


def check(ground: Ground, data: bytes, choice: Choice) -> None:
    """One body, for each kind of change that is chosen."""
    surface = ground.surface
    seen = surface.observe_body(data)
    check_observation(seen)
    require(seen == surface.observe_body(data), "observed otherwise the second time", seen)
    require(surface.rewrite_body(data, NO_CHANGES) == data, "nothing to change, and changed", data)
    for changes in choice.some(ground.changes, 2):
        _check_rewrite(ground, data, changes)
    _check_errors(ground, data, choice)


def _check_rewrite(ground: Ground, data: bytes, changes: Changes) -> None:
    surface = ground.surface
    out = surface.rewrite_body(data, changes)
    try:
        before = strict(data)
    except ValueError:
        _check_unread(data, out)
        return
    try:
        after = strict(out)
    except ValueError as error:
        raise Finding(f"an answer that is no JSON any more: {out[:400]!r}") from error
    then, now = (dataclasses.replace(surface.observe_body(text), answered_model=None) for text in (data, out))
    require(then == now, "a rewritten answer says something else", then, now, out)
    if changes.marker_text is None and not changes.added:
        same = without_keys(before, RENAMED) == without_keys(after, RENAMED)
        require(same, "more than names changed", data, out)
        require(surface.rewrite_body(out, changes) == out, "rewriting twice changes more", out)
    elif not changes.added:
        _require_all_there(list(strings(before, RENAMED)), list(strings(after, RENAMED)), out)


def _check_unread(data: bytes, out: bytes) -> None:
    """What the standard library refuses may still be changed (numbers out of range), but nothing is lost."""
    require(len(out) >= len(data) - 200, "an unreadable answer is cut", data, out)


def _require_all_there(before: list[str], after: list[str], out: bytes) -> None:
    at = 0
    for text in after:
        if at < len(before) and text in (before[at], MARKER + before[at]):
            at += 1
    require(at == len(before), "a text is lost or changed", before[at : at + 1], out)


def _check_errors(ground: Ground, data: bytes, choice: Choice) -> None:
    surface = ground.surface
    message = surface.error_message(data)
    require(type(message) is str, "an error's message is no text", message)
    said = data[:200].decode("utf-8", "replace")
    for status in choice.some((400, 401, 403, 404, 413, 429, 500, 503, 529), 2):
        made = surface.error_body(status, said)
        strict(made)
        require(surface.error_message(made) == said, "an error's message is lost", made)
        require(surface.observe_body(made).error is not None, "an error is not observed as one", made)
