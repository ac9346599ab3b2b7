"""A streamed Chat Completions answer, observed and changed as little as possible.

1. Every chunk names the requested model; the first with a choice in it has `x_router`, and a comment follows
   it directly.
2. Right before the first chunk in which a choice says something, a text or a call of a tool, stands the
   marker: a chunk for that choice alone, made of the upstream's own. If the role has not been told yet, it
   goes first, with the marker, and is not told again. What a choice thinks, refuses or speaks aloud gets no
   marker, and neither does one that says nothing.
3. Where the router asked for the usage, its chunk is taken out again, and the `null` that all other chunks
   then have. A usage on a chunk with choices comes unasked, and stays.
4. All other bytes stay as they are, in particular comments, errors, chunks without choices and `[DONE]`. Once
   nothing remains to be changed, chunks pass as they come and are only read.

An answer is complete when every choice that was seen has ended and `[DONE]` or, from gateways that do not
send it, the end of the stream has come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire import sse
from pointsman.wire.json_scan import member_spans
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array, encode
from pointsman.wire.loose import as_dict, as_int, dicts
from pointsman.wire.openai.errors import error_frame
from pointsman.wire.openai_chat.answer import Observation, rename, says
from pointsman.wire.transform import SseTransform

ASKED_USAGE: Final = "stream_options.include_usage"
_DONE: Final = b"[DONE]"
_BOM: Final = b"\xef\xbb\xbf"

# A chunk of which there are thousands, from its choices on, in the spellings of OpenAI and the gateways after
# it: texts of one choice, all else null. There is nothing in it to observe. (No group stands inside a repeat:
# the re module of Python 3.13 loses count of such groups.)
_STRING: Final = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
_TEXT: Final = rb'"(?:role|content|refusal|reasoning|reasoning_content)": ?(?:null|' + _STRING + rb")"
_CALL: Final = (
    rb'"tool_calls": ?\[\{"index": ?[0-9]{1,4}, ?"function": ?\{"arguments": ?' + _STRING + rb"\}\}\]"
)
_NULL: Final = rb', ?"(?:logprobs|finish_reason|native_finish_reason|stop_reason|token_ids)": ?null'
_PLAIN: Final = re.compile(
    rb'\[\{"index": ?(?P<index>0|[1-9][0-9]{0,3}), ?"delta": ?\{'
    rb"(?P<delta>(?:(?:" + _TEXT + rb"|" + _CALL + rb')(?:, ?(?=")|(?=\})))*+)'
    rb"\}(?:" + _NULL + rb")*+\}\]"
    rb'(?P<usage>, ?"usage": ?null)?(?:, ?"obfuscation": ?' + _STRING + rb")?\}(?:\r?\n){2}"
)  # fmt: skip
# What a marker waits for: a role, a text, a call. Inside a string no quote stands without a backslash.
_NEWS: Final = re.compile(rb'"(?:role"|refusal": ?"|content": ?"[^"]|tool_calls")')
_MODEL: Final = re.compile(rb'"model"[ \t]*:[ \t]*("[^"\\\x00-\x1f]*+")')
# What a marker's chunk takes from the chunk that it stands before.
_OWN: Final = ("id", "object", "created", "model", "service_tier", "system_fingerprint")


class StreamTransform(SseTransform[Observation]):
    """A stream of completion chunks. `choices` is how many were asked for."""

    def __init__(self, changes: Changes, choices: int = 1) -> None:
        super().__init__(changes, Observation())
        self._changes = changes
        self._usage_is_ours = ASKED_USAGE in changes.added
        self._unmarked = choices if changes.marker_text is not None else 0  # choices still to be marked
        self._marked: set[int] = set()
        self._roles: set[int] = set()  # choices whose role the client knows
        self._first_chunk: dict[str, Any] = {}  # of the stream
        self._sent = False  # the client has got the first chunk of a choice
        self._head = b""  # how the chunks of this stream begin, up to their choices
        self._new_head = b""  # the same with the requested model

    def flush(self) -> list[bytes]:
        """The end of the stream, which is as good as `[DONE]`."""
        out = super().flush()
        self.dirty = self.observation.see_done() or self.dirty
        return out

    # --- reading --------------------------------------------------------------------------

    def _silent(self, event: sse.Event) -> bool:
        return self.observation.begun and self._plain(event.raw) is not None

    def _plain(self, raw: bytes) -> re.Match[bytes] | None:
        """The match of a chunk like those before it, with nothing to be observed and of a known choice."""
        head = self._head
        found = _PLAIN.fullmatch(raw, len(head)) if head and raw.startswith(head) else None
        return found if found and self.observation.knows(int(found["index"])) else None

    def _see(self, event: sse.Event) -> dict[str, Any] | None:
        """The chunk; None for comments, errors, `[DONE]` and the like."""
        data = event.data
        if data is None:
            return None
        if data.strip() == _DONE:
            self.dirty = self.observation.see_done() or self.dirty
            return None
        try:
            chunk = decode(data)
        except BodyError:
            return None
        if not isinstance(chunk, dict):
            return None
        self.dirty = self.observation.see(chunk) or self.dirty
        if not isinstance(chunk.get("choices"), list):
            return None
        self._learn_head(event.raw, data)
        return chunk

    def _learn_head(self, raw: bytes, data: bytes) -> None:
        """Remember how this chunk begins, for those after it that begin alike."""
        start = raw.find(data)
        if raw[:start] not in (b"data: ", b"data:") or (self._head and raw.startswith(self._head)):
            return
        self._head = b""
        members = member_spans(data)
        names = [member.key for member in members]
        before = names[: names.index("choices")]
        # A second name behind the choices would be renamed too, and shift what is cut off below.
        twice = names.count("choices") > 1 or names.count("model") > 1
        if twice or "usage" in before or "model" not in before:
            return
        at, body = members[len(before)].value, Body.parse(data)
        rename(body, self._changes)
        renamed = body.render()
        self._head = raw[: start + at]
        self._new_head = raw[:start] + renamed[: len(renamed) - (len(data) - at)]

    def _failure(self, status: int, message: str) -> bytes:
        return error_frame(status, message)

    # --- changing -------------------------------------------------------------------------

    def _change(self, event: sse.Event) -> bytes:
        found = self._plain(event.raw)
        if found and self._unheard(found):
            if not self.observation.begun:
                self._see(event)
            return self._renamed(event.raw, found)
        chunk = self._see(event)
        if chunk is None:
            return event.raw
        self._first_chunk = self._first_chunk or chunk
        begun = dict(self._begun(chunk))
        pieces = [self._marker_chunk(chunk, index, delta) for index, delta in begun.items()]
        if not (self._usage_is_ours and chunk["choices"] == [] and chunk.get("usage") is not None):
            pieces.append(self._own(event, chunk, {at for at, delta in begun.items() if "role" in delta}))
        if chunk["choices"] and not self._sent:
            pieces[0] = self._first(pieces[0])
            self._sent = True
        self._note_end(chunk)
        out = b"".join(pieces)
        if begun and event.raw.startswith(_BOM):
            out = _BOM + out.replace(_BOM, b"", 1)
        return out

    def _unheard(self, found: re.Match[bytes]) -> bool:
        """Whether a plain chunk has nothing that a marker waits for."""
        settled = not self._unmarked or int(found["index"]) in self._marked
        return settled or _NEWS.search(found["delta"]) is None

    def _renamed(self, raw: bytes, found: re.Match[bytes]) -> bytes:
        """A plain chunk with the requested model, by its bytes alone."""
        if self._usage_is_ours and found["usage"] is not None:
            start, end = found.span("usage")
            return self._new_head + raw[len(self._head) : start] + raw[end:]
        return self._new_head + raw[len(self._head) :]

    def _begun(self, chunk: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The choices that begin to say something in this chunk, each with the delta of its marker.

        Also notes the roles that this chunk tells.
        """
        for choice in dicts(chunk["choices"]):
            delta, index = as_dict(choice.get("delta")), as_int(choice.get("index")) or 0
            told, role = index in self._roles, delta.get("role")
            if isinstance(role, str):
                self._roles.add(index)
            if not self._unmarked or index in self._marked or not says(delta):
                continue
            self._marked.add(index)
            self._unmarked -= 1
            self._roles.add(index)
            text = {"content": self._changes.marker_text}
            yield index, text if told else {"role": role or "assistant", **text}

    def _own(self, event: sse.Event, chunk: dict[str, Any], retold: set[int]) -> bytes:
        """The upstream's own chunk as the client gets it; roles of choices in `retold` are known by now."""
        unasked = self._usage_is_ours and "usage" in chunk and chunk["usage"] is None
        if not (unasked or retold) and (renamed := self._renamed_once(event.raw, chunk)) is not None:
            return renamed
        body = Body.parse(event.data or b"")
        rename(body, self._changes)
        if unasked:
            body.delete("usage")
        if retold:
            body.set_raw("choices", _without_roles(body.raw("choices") or b"[]", retold))
        return event.with_data(body.render()) if body.changed else event.raw

    def _renamed_once(self, raw: bytes, chunk: dict[str, Any]) -> bytes | None:
        """The chunk with the requested model, by its bytes; None where they do not tell which is the name.

        Inside a string no quote stands without a backslash, so what looks like this member is one.
        """
        requested, given = self._changes.requested_model, chunk.get("model")
        if requested is None or not given or given == requested:
            return raw
        named = list(_MODEL.finditer(raw))
        if len(named) != 1 or named[0][1] != encode(given):
            return None
        start, end = named[0].span(1)
        return raw[:start] + encode(requested) + raw[end:]

    def mark(self) -> bytes:
        """The marker's chunk, after a beginning of ours and before anything of the provider's."""
        if not (self._unmarked and self._first_chunk and self.observation.started):
            return b""
        self._marked.add(0)
        self._unmarked -= 1
        self._roles.add(0)
        return self._marker_chunk(self._first_chunk, 0, {"content": self._changes.marker_text})

    def _marker_chunk(self, chunk: dict[str, Any], index: int, delta: dict[str, Any]) -> bytes:
        own = {name: chunk[name] for name in _OWN if name in chunk}
        if own.get("model") and self._changes.requested_model is not None:
            own["model"] = self._changes.requested_model
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        usage = {} if self._usage_is_ours or "usage" not in chunk else {"usage": None}
        return b"data: " + encode({**own, "choices": [choice], **usage}) + b"\n\n"

    def _first(self, raw: bytes) -> bytes:
        """The first chunk of a choice, with what is said once."""
        event = sse.Event(raw)
        if self._changes.x_router is not None:
            body = Body.parse(event.data or b"")
            body.set("x_router", self._changes.x_router)
            raw = event.with_data(body.render())
        comment = self._changes.comment
        return raw if comment is None else raw + sse.comment(comment)

    def _note_end(self, chunk: dict[str, Any]) -> None:
        """Whether all that follows stays as it is: the model is the requested one, and all is said."""
        requested = self._changes.requested_model
        same = requested is None or chunk.get("model") == requested
        self._passing = self._sent and same and not (self._unmarked or self._usage_is_ours)


def _without_roles(choices: bytes, indices: set[int]) -> bytes:
    """The choices, those of these indices without the role in their delta."""
    edits: dict[int, bytes | None] = {}
    for at, (start, end) in enumerate(array_spans(choices)):
        choice = Body.parse(choices[start:end])
        if (as_int(choice.get("index")) or 0) not in indices:
            continue
        delta = Body.parse(choice.raw("delta") or b"{}")
        delta.delete("role")
        choice.set_raw("delta", delta.render())
        edits[at] = choice.render()
    return edit_array(choices, edits)
