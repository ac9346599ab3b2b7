"""What a provider's API has to supply to be played by the stand-in.

The stand-in has the sockets, the script, the pacing and the faults of delivery; a family has the
rules, the words and the shapes. It gets each request for its hosts in this order:

    admit       who asks, and for what? Raises `Refusal`, answers side traffic at once, or lets it through
    compose     the scripted `Answer` as bytes: one frame, or the events of a stream
    failure     a `Fault` of the script, or a `Refusal`, in the family's words
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from provider import encodings
from provider.answers import Answer, Fault, Step
from provider.record import Record
from provider.refusal import Refusal
from provider.server import Request

Headers = list[tuple[str, str]]
Trouble = Fault | Refusal
MAX_BODY_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Ready:
    """What the client gets: a head (without content-length), and the body as the frames it is sent in."""

    headers: Headers
    frames: list[bytes]
    status: int = 200
    streamed: bool = False


class Family(Protocol):
    """One provider. Its state (prompt cache, stored answers) lasts until `reset`."""

    name: str
    hosts: tuple[str, ...]

    def reset(self) -> None: ...

    def generates(self, request: Request) -> bool:
        """Does its method and path ask a model for an answer? Only then a step of the script is used."""
        ...

    def admit(self, record: Record) -> Ready | None:
        """Authenticate, read, check; sets account, body, model of `record`. None: let a model answer."""
        ...

    def aside(self, record: Record) -> Answer | None:
        """The answer to a real client's title or probe, which must not take a step of the script."""
        ...

    def compose(self, record: Record, answer: Answer) -> Ready:
        """Sets `record.message` and `record.counted`. An error inside the stream is already in the frames."""
        ...

    def failure(self, record: Record, trouble: Trouble) -> Ready: ...


@runtime_checkable
class Listener(Family, Protocol):
    """A family that also talks over WebSockets."""

    def hears(self, record: Record) -> bool:
        """Does it accept this upgrade? If not, `admit` refuses it. Raises Refusal."""
        ...

    def hear(self, record: Record, step: Callable[[Record], Step]) -> list[dict[str, Any]]:
        """What it says to one message, the body of `record`; `step` takes one from the script."""
        ...


def read_json(request: Request, limit: int = MAX_BODY_BYTES) -> Any:
    """The decoded body. Raises a plain Refusal; a family may word it anew."""
    if len(request.body) > limit:
        raise Refusal("Request exceeds the maximum size", 413)
    try:
        data = encodings.decompress(request.body, request.header("content-encoding") or "", limit)
    except OverflowError:
        raise Refusal("Request exceeds the maximum size", 413) from None
    except encodings.ERRORS:
        raise Refusal("The request body could not be decompressed") from None
    try:
        return json.loads(data.decode("utf-8", "strict"))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"The request body is not valid JSON: {error}") from None


def ready_json(headers: Headers, value: Any, status: int = 200) -> Ready:
    return Ready(headers, [json.dumps(value).encode()], status)
