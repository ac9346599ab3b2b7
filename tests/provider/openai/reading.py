"""The bytes of a request body."""

from __future__ import annotations

from typing import Any

from provider.family import read_json
from provider.openai.errors import Refused
from provider.refusal import Refusal
from provider.server import Request

UNREADABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
    "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
)


def read_body(request: Request) -> Any:
    """Decoded and parsed; gzip, deflate, br and zstd are taken."""
    try:
        return read_json(request)
    except Refusal as refusal:
        text = refusal.message if refusal.status == 413 else UNREADABLE
        raise Refused(text, refusal.status) from None
