"""A stream of completion chunks behind a first one that was sent before it.

Its chunks get the id and the time of that one, and tell no role: that was told, and some clients join what is
told twice.
"""

from __future__ import annotations

from typing import Final

from pointsman.errors import BodyError
from pointsman.wire import sse
from pointsman.wire.json_scan import member_spans
from pointsman.wire.json_spans import Body, array_spans, edit_array
from pointsman.wire.openai_chat.events_writer import chat_id
from pointsman.wire.rejoining import Rejoin, SseRejoin

_ROLE: Final = b'"role"'


class ChatRejoin(SseRejoin):
    def __init__(self, answer_id: str, created: int) -> None:
        super().__init__()
        self._id = chat_id(answer_id)
        self._created = created
        self._head = b""  # how the chunks of this stream begin, up to their choices
        self._new_head = b""  # the same with the id and the time of the opening

    def _change(self, event: sse.Event) -> bytes:
        raw, head = event.raw, self._head
        if head and raw.startswith(head) and _ROLE not in raw:
            return self._new_head + raw[len(head) :]
        data = event.data
        if data is None or not data.lstrip().startswith(b"{"):
            return raw
        body = Body.parse(data)
        choices = body.raw("choices")
        if choices is None:
            return raw
        for name, value in (("id", self._id), ("created", self._created)):
            if body.has(name):
                body.set(name, value)
        self._learn(raw, data, body)
        if _ROLE in choices:
            body.set_raw("choices", _without_roles(choices))
        return event.with_data(body.render())

    def _learn(self, raw: bytes, data: bytes, changed: Body) -> None:
        """Remember how this chunk begins, if all that is changed in it stands before its choices."""
        self._head = b""
        start, members = raw.find(data), member_spans(data)
        names = [member.key for member in members]
        at = names.index("choices")
        if raw[:start] not in (b"data: ", b"data:") or {"id", "created", "choices"} & set(names[at + 1 :]):
            return
        rest = data[members[at].value :]
        new = changed.render()
        if new.endswith(rest):
            self._head = raw[: start + members[at].value]
            self._new_head = raw[:start] + new[: -len(rest)]


def _without_roles(choices: bytes) -> bytes:
    edits: dict[int, bytes | None] = {}
    for at, (start, end) in enumerate(array_spans(choices)):
        try:
            choice = Body.parse(choices[start:end])
            delta = Body.parse(choice.raw("delta") or b"")
        except BodyError:
            continue
        if (choice.get("index") or 0) != 0:
            continue  # the opening is the first choice's only
        delta.delete("role")
        choice.set_raw("delta", delta.render())
        edits[at] = choice.render()
    return edit_array(choices, edits)


def rejoin(answer_id: str, model: str, created: int) -> Rejoin:
    """What makes the provider's stream the continuation of `opening` with the same arguments."""
    return ChatRejoin(answer_id, created)
