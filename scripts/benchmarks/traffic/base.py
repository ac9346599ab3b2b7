"""What the traffic of all surfaces has in common; how each spells it is for its own module to say."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pointsman.wire import marker

from benchmarks.texts import CODE, output, prompt, prose

BODY_BYTES = 30_000
AGENT_BYTES = 500_000
ANSWERS = 100  # of the agent's session, each with a call of a tool
_PROMPT_EVERY = 20  # answers of the agent's session
_MARKED = 10

REASON = "best for this kind of prompt"
SAID = "The train leaves from platform nine. " * 4
DELTA, DELTAS = " the train", 20

Json = dict[str, Any]


def as_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


SCHEMA: Json = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "Path of the file, relative to the root"}},
    "required": ["path"],
}


@dataclass(frozen=True, slots=True)
class Said:
    """One answer in the session's history, which ends in a call of a tool."""

    index: int
    marker: str | None  # as the client sends it back
    words: str
    thought: bool = False

    @property
    def arguments(self) -> Json:
        return {"path": f"src/{self.index}.py"}


@dataclass(frozen=True, slots=True)
class Streamed:
    """A streamed answer, a write each. With the first of the deltas, at the latest, the marker is out."""

    head: list[bytes]
    deltas: list[bytes]
    tail: list[bytes]

    def __iter__(self) -> Iterator[bytes]:
        return iter([*self.head, *self.deltas, *self.tail])


class Traffic(ABC):
    """One client's requests to one provider, and the provider's answers, which `served` gives.

    Requests do not depend on anything but their arguments. `served` is a lesser model, to which the agent's
    request has to be adapted.
    """

    surface: ClassVar[str]
    host: ClassVar[str]
    requested: ClassVar[str]
    served: ClassVar[str]
    headers: ClassVar[dict[str, str]]
    model_member: ClassVar[str] = "model"  # which names the model in an answer
    mode: ClassVar[str] = "text"  # how an answer of `served` shows its marker; comments are for streams

    # --- how the surface spells it --------------------------------------------------------

    @abstractmethod
    def path(self, stream: bool) -> str: ...

    @abstractmethod
    def request(self, system: list[str], tools: list[Json], history: list[Json], stream: bool) -> Json:
        """A request as the client makes it, its model first. `system` may be empty."""

    def session(self, system: list[str], tools: list[Json], history: list[Json]) -> Json:
        """The request of a session that asks for much."""
        return self.request(system, tools, history, True)

    @abstractmethod
    def tool(self, name: str, description: str) -> Json: ...

    @abstractmethod
    def person(self, text: str) -> list[Json]: ...

    @abstractmethod
    def said(self, said: Said) -> list[Json]: ...

    @abstractmethod
    def result(self, index: int, text: str) -> list[Json]:
        """What the tool gave back that answer `index` had called."""

    def reminder(self) -> list[Json]:
        """What the client puts in before the newest result."""
        return []

    @abstractmethod
    def answer(self) -> bytes:
        """The whole answer."""

    @abstractmethod
    def stream(self, deltas: int = DELTAS) -> Streamed: ...

    # --- what the provider reads ----------------------------------------------------------

    def takes(self, path: str) -> bool:
        return path == self.path(False)

    def streams(self, path: str, body: bytes) -> bool:
        return b'"stream":true' in body

    def asked_model(self, path: str, body: bytes) -> str:
        """The model that a request to the provider names."""
        found = _MODEL.search(body)
        return found[1].decode() if found else ""

    def names(self, model: str, answer: bytes) -> bool:
        """Whether an answer, or any piece of a streamed one, says that it is this model's."""
        said = rf'"{self.model_member}":\s*"{re.escape(model)}"'
        return re.search(said.encode(), answer) is not None

    def shows_marker(self, answer: bytes, stream: bool) -> bool:
        """Whether an answer shows its marker in the way that is due."""
        if self.mode == "text":
            return marker.SENTINEL.encode() in answer
        comment = marker.comment(self.served, REASON).removesuffix(REASON)
        return not stream or f"\n: {comment}".encode() in answer

    # --- requests -------------------------------------------------------------------------

    def turn(self, text: str, *, stream: bool, size: int = BODY_BYTES) -> bytes:
        """The first turn of a conversation: tools and a system prompt fill it up to `size` bytes."""
        return self._filled(self.person(text), stream, size)

    def tool_loop(self, text: str, *, stream: bool) -> bytes:
        """The same conversation a moment later: the newest message carries a tool's result."""
        said = Said(0, None, "Let me look.")
        return self._filled([*self.person(text), *self.said(said), *self.result(0, CODE)], stream, BODY_BYTES)

    def short(self, text: str) -> bytes:
        """As little as a conversation can start with; without a tool it may pass for a background call."""
        return as_bytes(self.request([], self._tools(1, 300), self.person(text), True))

    def agent(self, marked: int = _MARKED) -> bytes:
        """A long coding session of about 500 KB: 30 tools, 200 messages with calls, results and thinking.

        The newest `marked` of its 100 answers carry an echoed marker.
        """
        bare = len(self._session(marked, 0))
        return self._session(marked, (AGENT_BYTES - bare) // (ANSWERS - ANSWERS // _PROMPT_EVERY))

    def _session(self, marked: int, size: int) -> bytes:
        """The same with `size` bytes for each result."""
        history: list[Json] = []
        for index in range(ANSWERS):
            asks = index % _PROMPT_EVERY == 0
            history += self.person(prompt(index)) if asks else self.result(index - 1, output(size))
            shown = marker.make(self.served, REASON) if index >= ANSWERS - marked else None
            words = f"Let me look at block {index} before I go on."
            history += self.said(Said(index, shown, words, thought=index % 4 == 0))
        history += [*self.reminder(), *self.result(ANSWERS - 1, output(400))]
        return as_bytes(self.session([prose(6_000), prose(9_000)], self._tools(30, 1_500), history))

    def _filled(self, history: list[Json], stream: bool, size: int) -> bytes:
        tools = self._tools(8, 1_200)
        room = size - len(as_bytes(self.request([""], tools, history, stream)))
        return as_bytes(self.request([prose(room)], tools, history, stream))

    def _tools(self, count: int, size: int) -> list[Json]:
        return [self.tool(f"tool_{index}", prose(size - 150)) for index in range(count)]


_MODEL = re.compile(rb'"model":"([^"]+)"')
