"""Routers beside the models in a provider's list of models: what every surface does alike.

list     the provider's own list, with what is added after its last page
card     what the provider would say of one model
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, append
from pointsman.wire.loose import dicts

OWNER: Final = "pointsman"


@dataclass(frozen=True, slots=True)
class Listed:
    """A name that clients may ask for as if it were a model. `created` in unix seconds."""

    name: str
    title: str
    created: int


def asked(method: str, path: str, pattern: re.Pattern[str]) -> str | None:
    """What a request wants to know: "" for the list, else the name of one model; None for none of both.

    `pattern` matches the path of the list, and has the name of a model, if there is one, in its first group.
    """
    found = pattern.fullmatch(path.partition("?")[0]) if method.upper() == "GET" else None
    return unquote(found[1] or "") if found else None


def added(
    data: bytes, member: str, key: str, listed: Iterable[Listed], card: Callable[[Listed], bytes]
) -> Body | None:
    """The list in `data` with what is not in it yet; None where there is nothing to add, or no such list.

    `member` is what holds the models, `key` their name there.
    """
    try:
        body = Body.parse(data)
        models = body.get(member)
        raw = body.raw(member)
        if raw is None or not isinstance(models, list):
            return None
        known = {model.get(key) for model in dicts(models)}
        new = [(item, card(item)) for item in listed]
        cards = [said for item, said in new if Body.parse(said).get(key) not in known]
        if not cards:
            return None
        body.set_raw(member, append(raw, cards))
    except BodyError:
        return None
    return body
