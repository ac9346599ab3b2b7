"""What real clients ask besides the conversation. Such a request must not take a scripted answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider.gemini import rules
from provider.server import Request

# Fields that Gemini CLI 0.61.0 asks for in its classifier, its check for loops, and who speaks next.
FIELDS = frozenset({"complexity_score", "unproductive_state_confidence", "next_speaker"})
CLIENT = "GeminiCLI"


def is_background(request: Request, body: Mapping[str, Any]) -> bool:
    """A classifier of any client, or whatever Gemini CLI does not stream: its conversation always streams."""
    config = rules.config_of(body)
    schema = config.get("responseJsonSchema") or config.get("responseSchema") or {}
    asked = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(asked, Mapping) and FIELDS & asked.keys():
        return True
    streams = ":streamGenerateContent" in request.path
    return not streams and (request.header("user-agent") or "").startswith(CLIENT)
