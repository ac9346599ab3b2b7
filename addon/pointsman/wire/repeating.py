"""What every surface needs to tell whether an answer may be given again: its objects, however it was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman.errors import BodyError
from pointsman.wire import sse
from pointsman.wire.json_spans import decode
from pointsman.wire.loose import dicts

_DONE = b"[DONE]"


def objects(data: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a whole answer, of a JSON array, or of server-sent events. Raises BodyError."""
    if data.lstrip(b" \t\r\n\xef\xbb\xbf").startswith((b"{", b"[")):
        value = decode(data)
        yield from dicts(value if isinstance(value, list) else [value])
        return
    reader = sse.Reader()
    for event in [*reader.feed(data), *reader.flush()]:
        said = event.data
        if said is None or said.strip() == _DONE:
            continue
        value = decode(said)
        if not event.whole or not isinstance(value, dict):
            raise BodyError("The stream holds something that is no event of an answer.")
        yield value


def says_more(owner: Mapping[str, Any], known: frozenset[str]) -> bool:
    """Whether an object has a member besides the known ones that is not empty."""
    return any(value not in (None, "", [], {}) for name, value in owner.items() if name not in known)


def varies(temperature: Any) -> bool:
    """Whether a request asks for answers that differ from one time to the next."""
    return temperature is not None and temperature != 0
