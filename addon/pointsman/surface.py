"""What every surface module offers, and the surfaces there are.

A surface is one provider API that clients speak. Every module of `wire` with a `SURFACE` is one; it has these
names at top level, and the module itself is the object. So adding a surface is adding a module.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol, TypeGuard, cast

from pointsman import wire
from pointsman.values import Adaptation, Changes, Credential, Facts, Model
from pointsman.wire import neutral
from pointsman.wire.json_spans import Body
from pointsman.wire.model_names import Listed
from pointsman.wire.neutral import Request, Target, Written
from pointsman.wire.observation import Observation
from pointsman.wire.rejoining import Rejoin
from pointsman.wire.translation.losses import Reading, Writing
from pointsman.wire.translation.names import NameRule
from pointsman.wire.translation.reading import EventReader
from pointsman.wire.translation.writing import EventWriter


class Transform(Protocol):
    """Follows one streamed answer; see `wire/transform.py`."""

    dirty: bool

    @property
    def observation(self) -> Observation: ...

    @property
    def pending(self) -> bytes: ...

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def flush(self) -> list[bytes]: ...

    def fail(self, status: int, message: str) -> bytes: ...

    def mark(self) -> bytes: ...


class Surface(Protocol):
    """Headers come with names in lower case; `path` may have a query. Only BodyError is ever raised.

    `wire/anthropic` has in its docstrings what each function promises.
    """

    SURFACE: str
    """Its name: in router.yaml, logs and the database."""

    HOSTS: tuple[str, ...]
    """The provider's own hosts; router.yaml may add others."""

    PROVIDER: str
    """Whose models these hosts serve, by the catalogue's name."""

    PATH: str
    """Where a request for an answer goes there; {model} in it for `set_model`, where that is its place."""

    MODEL_HEADERS: tuple[str, ...]
    """Response headers that name the model."""

    def outline(self, body: Body) -> tuple[str, ...] | None:
        """What in a body only this API has, for a body that comes without host and path.

        None where it is none of this API's requests. Raises BodyError.
        """

    def recognise(self, method: str, path: str) -> str | None:
        """The endpoint, "generate" or "count_tokens"; None for everything that is left alone."""

    def credential(self, headers: Mapping[str, str], path: str, salt: bytes) -> Credential:
        """Whose account pays."""

    def read_facts(self, body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> Facts:
        """What the request says. Raises BodyError."""

    def strip(self, body: Body) -> int:
        """Take echoed markers out; how many there were."""

    def set_model(self, body: Body, path: str, name: str) -> str:
        """Name the model to serve; returns the path to send."""

    def marker_modes(self, body: Body, facts: Facts, model: Model | None) -> tuple[str, ...]:
        """How the answer may show a marker ("text", "comment"), best first."""

    def ineligible(self, facts: Facts, model: Model) -> str:
        """Why this model cannot take the request, "" if it can (perhaps adapted)."""

    def adapt(self, body: Body, facts: Facts, model: Model) -> list[Adaptation]:
        """Make the request fit a model that was not asked for."""

    def ask(self, body: Body, facts: Facts) -> list[Adaptation]:
        """Add what the router needs to know of the answer."""

    def set_parameters(
        self, body: Body, parameters: Mapping[str, Any], model: Model | None
    ) -> list[Adaptation]:
        """Ask for what the router wants in place of the client (see wire/asked.py). Raises BodyError."""

    def remedy(self, body: Body, refusal: bytes) -> list[Adaptation]:
        """Take out of the client's own body what a 400 complains about; nothing where that is not known."""

    def estrange(self, body: Body) -> int:
        """Take out of the history what only the account that it was written for can read; how much it was."""

    def error_body(self, status: int, message: str) -> bytes:
        """An error in this surface's shape."""

    def error_message(self, data: bytes) -> str:
        """What an error body says to a person; "" where it is none of this surface's."""

    def stream(self, content_type: str, facts: Facts, changes: Changes) -> Transform | None:
        """What follows a streamed answer; None for an answer that is read as a whole."""

    def observe_body(self, data: bytes) -> Observation:
        """What a whole answer says."""

    def rewrite_body(self, data: bytes, changes: Changes) -> bytes:
        """A whole answer as the client gets it."""

    def models_asked(self, method: str, path: str) -> str | None:
        """The name of the model that a request is about, "" for the list of all; None for other requests."""

    def model_list(self, data: bytes, path: str, listed: Iterable[Listed]) -> bytes | None:
        """The provider's list with the names that it lacks; None where it stays as it is."""

    def model_card(self, listed: Listed) -> bytes:
        """What the provider would say of one model."""

    def unrepeatable(self, body: Body) -> str:
        """Why an answer to this request must not be given again, "" if it may be. Raises BodyError."""

    def is_plain(self, data: bytes) -> bool:
        """Whether a kept answer, streamed or whole, is nothing but words, and ended of itself."""

    # What a prelude needs.

    def opening(self, answer_id: str, model: str, created: int) -> bytes:
        """What a stream starts with before anything is known of the answer; b"" where nothing may be said."""

    def rejoin(self, answer_id: str, model: str, created: int) -> Rejoin:
        """What makes a provider's own stream the continuation of `opening` with the same arguments."""


class Translating(Surface, Protocol):
    """A surface that is translated from and to. One that lacks these is served by its own API alone.

    See `wire/translate_request.py` and `wire/neutral.py`.
    """

    READING: Reading
    """What reading its requests loses and refuses."""

    WRITING: Writing
    """What its requests cannot say."""

    NAME_RULE: NameRule
    """What it wants of the names of tools; for `translation.names.tool_names`."""

    def read_request(self, body: Body, path: str, headers: Mapping[str, str]) -> Request:
        """What a client says. Raises BodyError."""

    def untranslatable(self, request: Request, target: Target) -> str:
        """Why this API cannot say the request, "" if it can."""

    def write_request(self, request: Request, target: Target) -> Written:
        """The request in this API's words, for a provider that speaks it."""

    def authorize(self, secret: str) -> Mapping[str, str]:
        """Headers that carry a key, in lower case, and fixed ones; "" for a provider without keys."""

    def disown(self, body: Body) -> int:
        """Take out of the history what translated answers made up; before a native provider gets it."""

    def imitate(self, body: Body, quirks: Collection[str]) -> list[Adaptation]:
        """Make a client's own request fit a copy of this API; `quirks` are what that does otherwise."""

    def read_events(self, content_type: str) -> EventReader:
        """What makes neutral events of an answer's bytes, streamed or whole."""

    def read_answer(self, data: bytes) -> list[neutral.Event]:
        """A whole answer as neutral events."""

    def write_events(self, request: Request, answer_id: str, created: int) -> EventWriter:
        """What makes a stream of neutral events; `request` is the client's, `created` unix seconds."""

    def write_answer(
        self, events: Iterable[neutral.Event], request: Request, answer_id: str, created: int
    ) -> bytes:
        """Neutral events as a whole answer."""

    def write_count(self, tokens: int) -> bytes:
        """An answer to the endpoint "count_tokens"; b"" where `recognise` knows none."""


def translates(surface: Surface) -> TypeGuard[Translating]:
    """Whether its requests can be translated, and others into them."""
    return hasattr(surface, "read_request") and hasattr(surface, "write_request")


@cache
def surfaces() -> Mapping[str, Surface]:
    """All surfaces by name."""
    found: dict[str, Surface] = {}
    for module in pkgutil.iter_modules(wire.__path__):
        candidate = importlib.import_module(f"{wire.__name__}.{module.name}")
        if hasattr(candidate, "SURFACE"):
            surface = cast(Surface, candidate)
            found[surface.SURFACE] = surface
    return MappingProxyType(found)
