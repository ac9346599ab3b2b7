"""OpenAI's list of models, with routers in it: GET …/models, GET …/models/NAME."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.model_names import OWNER, Listed, added, asked

_PATH: Final = re.compile(r"(?:/[\w.~-]+)*/(?:v\d+[a-z]*\d*|openai)/models(?:/(.+))?")


def models_asked(method: str, path: str) -> str | None:
    """The name of the model that a request is about, "" for all of them; None for other requests."""
    return asked(method, path, _PATH)


def model_card(listed: Listed) -> bytes:
    """What the provider would say of one model."""
    return encode({"id": listed.name, "object": "model", "created": listed.created, "owned_by": OWNER})


def model_list(data: bytes, path: str, listed: Iterable[Listed]) -> bytes | None:
    """The provider's list with what it lacks; None where it stays as it is. There is one page."""
    try:
        if Body.parse(data).get("object") != "list":
            return None
    except BodyError:
        return None
    body = added(data, "data", "id", listed, model_card)
    return body.render() if body else None
