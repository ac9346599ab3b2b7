"""What every surface module offers, and the list of surfaces there are.

A surface is one provider API that clients speak. Its module in `wire` has these
functions at top level; the module itself is the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pointsman.values import Adaptation, Credential, Facts, Model
from pointsman.wire import anthropic
from pointsman.wire.json_spans import Body


class Surface(Protocol):
    """See the docstrings in `wire/anthropic.py` for what each function promises."""

    StreamTransform: Any

    def recognise(self, method: str, path: str) -> str | None: ...

    def credential(self, headers: Mapping[str, str], salt: bytes) -> Credential: ...

    def read_facts(self, body: Body, headers: Mapping[str, str], endpoint: str) -> Facts: ...

    def strip(self, body: Body) -> int: ...

    def set_model(self, body: Body, name: str) -> None: ...

    def marker_allowed(self, facts: Facts) -> bool: ...

    def thinks(self, body: Body, default: str | None) -> bool: ...

    def ineligible(self, facts: Facts, model: Model) -> str: ...

    def adapt(self, body: Body, facts: Facts, model: Model) -> list[Adaptation]: ...

    def error_body(self, status: int, message: str) -> bytes: ...

    def error_message(self, data: bytes) -> str: ...

    def observe_body(self, data: bytes) -> Any: ...

    def rewrite_body(
        self, data: bytes, requested_model: str, marker_text: str | None, x_router: dict[str, Any] | None
    ) -> bytes: ...


SURFACES: Mapping[str, Surface] = {"anthropic": anthropic}
