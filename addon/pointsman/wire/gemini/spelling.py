"""Names of members as Google reads them: `generationConfig` and `generation_config` are one and the same.

Its JSON is that of protocol buffers, which take the camel-case name and the original one. Google also takes a
lone object where a list is due; its own examples write `"parts": {"text": …}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from pointsman.wire.json_spans import Body
from pointsman.wire.loose import dicts

_CAPITAL = re.compile(r"[A-Z]")


@cache
def snake(name: str) -> str:
    """`topP` → `top_p`."""
    return _CAPITAL.sub(lambda found: "_" + found[0].lower(), name)


@lru_cache(maxsize=256)  # bounded, since these names are the client's
def camel(name: str) -> str:
    """`top_p` → `topP`."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def given(owner: Mapping[str, Any], name: str) -> Any:
    """The member `name` (in camel case) of a decoded object, in whichever spelling; None if absent."""
    return owner[name] if name in owner else owner.get(snake(name))


def spelled(body: Body, name: str) -> str:
    """The spelling in which `body` has the member, or would have it: that of its other members."""
    if body.has(name):
        return name
    other = snake(name)
    return other if body.has(other) or any("_" in key[1:] for key in body.names()) else name


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of a list that may be written as one object."""
    return [value] if isinstance(value, dict) else dicts(value)
