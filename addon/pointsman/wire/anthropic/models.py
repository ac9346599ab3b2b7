"""Anthropic's list of models, with routers in it: GET /v1/models, GET /v1/models/NAME."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.model_names import Listed, added, asked

_PATH: Final = re.compile(r"(?:/[\w.~-]+)*/v1/models(?:/(.+))?")


def models_asked(method: str, path: str) -> str | None:
    """The name of the model that a request is about, "" for all of them; None for other requests."""
    return asked(method, path, _PATH)


def model_card(listed: Listed) -> bytes:
    """What the provider would say of one model."""
    created = datetime.fromtimestamp(listed.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return encode({"type": "model", "id": listed.name, "display_name": listed.title, "created_at": created})


def model_list(data: bytes, path: str, listed: Iterable[Listed]) -> bytes | None:
    """The provider's list with what it lacks; None where it stays as it is: all pages but the last do.

    Read backwards, from an id that lies behind the page, no page is the last one.
    """
    if "before_id" in parse_qs(path.partition("?")[2]):
        return None
    try:
        if Body.parse(data).get("has_more") is not False:
            return None
    except BodyError:
        return None
    items = list(listed)
    body = added(data, "data", "id", items, model_card)
    if body is None:
        return None
    models = body.get("data")
    body.set("last_id", models[-1]["id"])
    if body.get("first_id") is None:
        body.set("first_id", models[0]["id"])
    return body.render()
