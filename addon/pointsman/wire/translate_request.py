"""A request to one API as a request to another: the reader of the one, the writer of the other.

    request = source.read_request(body, path, headers)        what is said, once per action
    refusal(request, target's surface, target)                why it cannot go there; "" if it can
    facts_at(request, target's surface, target)               for the surface's `ineligible`, before scoring
    translated(request, target's surface, target, model)      path and bytes, per attempt

All are pure, and the same request gives the same bytes. A surface that has no `read_request` is translated
neither from nor to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import DocumentPart, ImagePart, Request, ResultPart, Target, Written

_GENERATE = "generate"
_RULE = "translation"
# Facts of Gemini's are read with the path, which a provider's base URL begins otherwise.
_BASE = "/v1beta"


class Writer(Protocol):
    """What is needed here of the surface that the target speaks; see `surface.py`."""

    def untranslatable(self, request: Request, target: Target) -> str: ...

    def write_request(self, request: Request, target: Target) -> Written: ...

    def read_facts(self, body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> Facts: ...

    def ineligible(self, facts: Facts, model: Model) -> str: ...

    def adapt(self, body: Body, facts: Facts, model: Model) -> list[Adaptation]: ...


@dataclass(frozen=True, slots=True)
class Translated:
    """What an attempt sends. `path` goes behind the provider's base URL.

    `adaptations` are what was lost (the reader's paths and the writer's features), and what the model could
    not take.
    """

    path: str
    body: bytes
    adaptations: tuple[Adaptation, ...] = ()


def refusal(request: Request, surface: Writer, target: Target) -> str:
    """Why the request cannot be translated for this target, in words; "" if it can."""
    if request.refused:
        return "cannot be translated: " + "; ".join(request.refused)
    why = surface.untranslatable(request, target) or _lacks_input(request, target)
    return f"cannot be translated: {why}" if why else ""


def _lacks_input(request: Request, target: Target) -> str:
    parts = [part for message in request.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ResultPart) for inner in part.parts]
    if not target.images and any(isinstance(part, ImagePart) for part in parts):
        return "images: the target takes none"
    if not target.documents and any(isinstance(part, DocumentPart) for part in parts):
        return "documents: the target takes none"
    return ""


def facts_at(request: Request, surface: Writer, target: Target) -> Facts:
    """What the target's surface will see. Only for a request without a refusal."""
    written = surface.write_request(request, target)
    return _facts(Body.parse(encode(written.body)), surface, written)


def translated(request: Request, surface: Writer, target: Target, model: Model | None = None) -> Translated:
    """The request as the target gets it, fitted to `model` where its row says what it takes."""
    written = surface.write_request(request, target)
    data = encode(written.body)
    done: list[Adaptation] = []
    if model is not None:
        body = Body.parse(data)
        facts = _facts(body, surface, written)
        if not surface.ineligible(facts, model):
            done = surface.adapt(body, facts, model)
            data = body.render()
    lost = (Adaptation(word, "lose", "", "", _RULE) for word in (*request.losses, *written.losses))
    return Translated(written.path, data, (*lost, *done))


def _facts(body: Body, surface: Writer, written: Written) -> Facts:
    return surface.read_facts(body, {}, _BASE + written.path, _GENERATE)


def counted(facts: Facts, model: Model | None) -> int:
    """How many tokens a request is held to have at `model`, where its provider cannot be asked."""
    factor = model.token_factor if model else 1.0
    return max(1, round(facts.input_tokens_estimate * factor))
