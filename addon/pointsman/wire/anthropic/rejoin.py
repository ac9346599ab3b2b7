"""An Anthropic stream behind a `message_start` that was sent before it.

Its own goes, and the counts that it told go into the first `message_delta`, whose usage is cumulative and may
hold them.
"""

from __future__ import annotations

from typing import Any, Final

from pointsman.wire import sse
from pointsman.wire.anthropic.stream import DELTA
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict
from pointsman.wire.rejoining import Rejoin, SseRejoin
from pointsman.wire.transform import typed

_TOLD: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
)


class AnthropicRejoin(SseRejoin):
    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}

    def _change(self, event: sse.Event) -> bytes:
        if DELTA.match(event.raw):
            return event.raw
        kind, content = typed(event)
        if kind == "message_start":
            self._usage |= as_dict(as_dict(content.get("message")).get("usage"))
            return b""
        if kind != "message_delta":
            return event.raw
        self._passing = True
        body = Body.parse(event.data or b"")
        usage = Body.parse(body.raw("usage") or b"{}")
        for name in _TOLD:
            if self._usage.get(name) is not None and usage.get(name) is None:
                usage.set(name, self._usage[name])
        body.set_raw("usage", usage.render())
        return event.with_data(body.render())


def rejoin(answer_id: str, model: str, created: int) -> Rejoin:
    """What makes the provider's stream the continuation of `opening` with the same arguments."""
    return AnthropicRejoin()
