"""What an answer consists of, whatever carries it: server-sent events, a JSON array, or one JSON body.

A provider's `content-type` may be wrong or absent, so the first byte decides: a JSON text begins with a
brace or a bracket, and no line of an event stream does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.wire import sse
from pointsman.wire.json_pieces import PieceReader
from pointsman.wire.json_spans import decode

BODY_CAP_BYTES: Final = 64 << 20

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = b"[DONE]"


# An event as nearly all are, told apart in one go: its name and its data.
_USUAL: Final = re.compile(rb"(?:event: ?([^\r\n]*)\r?\n)?data: ?([^\r\n]*)(?:\r?\n){2}")


class Done:
    """The end that a stream of the Chat Completions API announces."""


DONE: Final = Done()
Frame = dict[str, Any] | Done


class Frames:
    """Bytes in any split in, decoded objects out. What is no JSON, or no object, is passed over."""

    def __init__(self) -> None:
        self._head = b""  # blanks before the first byte that decides
        self._sse: sse.Reader | None = None
        self._json: PieceReader | None = None

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """What `chunk` completes."""
        if self._sse is not None:
            return _of_events(self._sse.feed(chunk))
        if self._json is None:
            chunk = self._head + chunk
            self._head = b""
            start = chunk.removeprefix(_BOM).lstrip(_BLANK)
            if not start or _BOM.startswith(chunk):
                self._head = chunk
                return iter(())
            if not start.startswith((b"{", b"[")):
                self._sse = sse.Reader()
                return _of_events(self._sse.feed(chunk))
            self._json = PieceReader(BODY_CAP_BYTES)
        return self._of_json(self._json, chunk)

    def flush(self) -> Iterator[Frame]:
        """The end of the bytes: an event without its empty line counts, if it is whole."""
        if self._sse is not None:
            yield from _of_events(sse.Event(event.raw) for event in self._sse.flush())
            return

    @staticmethod
    def _of_json(reader: PieceReader, chunk: bytes) -> Iterator[Frame]:
        for piece in reader.feed(chunk):
            if piece.element:
                yield from _decoded(piece.raw)


def _of_events(events: Iterable[sse.Event]) -> Iterator[Frame]:
    for event in events:
        found = _USUAL.fullmatch(event.raw) if event.whole else None
        data = found[2] if found else event.data
        if data is None:
            # Google's errors can be bare JSON between the events.
            bare = event.raw.strip() if event.whole else b""
            if bare.startswith((b"{", b"[")):
                yield from _decoded(bare)
        elif data.strip() == _DONE:
            yield DONE
        else:
            for content in _decoded(data):
                if "type" not in content and (found is None or found[1]) and (name := event.name):
                    content["type"] = name
                yield content


def _decoded(data: bytes) -> Iterator[dict[str, Any]]:
    try:
        value = decode(data)
    except BodyError:
        return
    yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))
