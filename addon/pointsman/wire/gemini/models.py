"""Gemini's list of models, with routers in it: GET /v1beta/models, GET /v1beta/models/NAME."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.model_names import OWNER, Listed, added, asked

_PATH: Final = re.compile(r"/(?:v1|v1beta|v1alpha)/models(?:/([^/:]+))?")
_METHODS: Final = ["generateContent", "countTokens"]
_LIMITS: Final = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}  # clients expect some


def models_asked(method: str, path: str) -> str | None:
    """The name of the model that a request is about, "" for all of them; None for other requests."""
    return asked(method, path, _PATH)


def model_card(listed: Listed) -> bytes:
    """What the provider would say of one model. Its limits are those of the models of this API."""
    return encode(
        {
            "name": f"models/{listed.name}",
            "version": OWNER,
            "displayName": listed.title,
            **_LIMITS,
            "supportedGenerationMethods": _METHODS,
        }
    )


def model_list(data: bytes, path: str, listed: Iterable[Listed]) -> bytes | None:
    """The provider's list with what it lacks; None where it stays as it is: all pages but the last do."""
    try:
        if Body.parse(data).get("nextPageToken"):
            return None
    except BodyError:
        return None
    body = added(data, "models", "name", listed, model_card)
    return body.render() if body else None
