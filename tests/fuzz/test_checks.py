"""Each promise that the fuzzer checks, broken on purpose: the check has to see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from fuzz import targets
from fuzz.ground import Ground, ground
from fuzz.oracle import SECRET, Every, Finding
from pointsman.surface import surfaces
from pointsman.values import Adaptation, Credential, CredentialKind
from pointsman.wire.json_spans import Body
from pointsman.wire.transform import SseTransform

SURFACE = "anthropic"
REAL = surfaces()[SURFACE]
DONE = Adaptation("max_tokens", "clamp", "9", "1", "test")


class Broken:
    """The real surface but for one function."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        return getattr(REAL, name)


def strip_all(body: Body) -> int:
    body.set("messages", [])
    return 1


def adapt_silently(body: Body, facts: object, model: object) -> list[Adaptation]:
    body.set("max_tokens", 1)
    return []


def adapt_forever(body: Body, facts: object, model: object) -> list[Adaptation]:
    body.set("max_tokens", 1)
    return [DONE]


def adapt_more(body: Body, facts: object, model: object) -> list[Adaptation]:
    body.set("max_tokens", 1)
    body.delete("stream")
    return [DONE]


def render_no_json(body: Body, path: str, name: str) -> str:
    body.set_raw("model", f'"{name}'.encode())
    return path


def forget_model(body: Body, path: str, name: str) -> str:
    return path


def facts_with(**changes: Any) -> Callable[..., Any]:
    return lambda *arguments: dataclasses.replace(REAL.read_facts(*arguments), **changes)


def tell_secret(headers: dict[str, str], path: str, salt: bytes) -> Credential:
    return Credential(CredentialKind.API_KEY, next(iter(headers.values()), ""))


def one_salt(headers: dict[str, str], path: str, salt: bytes) -> Credential:
    return REAL.credential(headers, path, b"")


def raise_type_error(*arguments: Any) -> Any:
    raise TypeError("a defect")


def stream_with(method: str, function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A transform of the surface with one method that does something to what the real one gives."""

    def stream(*arguments: Any) -> Any:
        made = REAL.stream(*arguments)
        real = getattr(SseTransform, method)
        broken = {method: lambda self, *given: function(self, real(self, *given))}
        made.__class__ = type("Broken", (type(made),), broken)
        return made

    return stream


def lose_a_byte(transform: Any, pieces: list[bytes]) -> list[bytes]:
    return [piece[:-1] or b"x" for piece in pieces]


def count_chunks(transform: Any, pieces: list[bytes]) -> list[bytes]:
    transform.observation.output_tokens = (transform.observation.output_tokens or 0) + 1
    return pieces


def keep_clean(transform: Any, pieces: list[bytes]) -> list[bytes]:
    transform.dirty = False
    return pieces


def cut_body(data: bytes, changes: Any) -> bytes:
    return b"{}" if changes else data


def observe_nonsense(data: bytes) -> Any:
    seen = REAL.observe_body(data)
    seen.output_tokens = -1
    return seen


BREAKS: dict[str, tuple[str, str, Callable[..., Any], str]] = {
    "strips what is no marker": ("requests", "strip", strip_all, "stripped"),
    "changes in silence": ("requests", "adapt", adapt_silently, "without saying so"),
    "never has enough": ("requests", "adapt", adapt_forever, "twice"),
    "changes more than it says": ("requests", "adapt", adapt_more, "without being named"),
    "renders no JSON": ("requests", "set_model", render_no_json, "no JSON"),
    "does not set the model": ("requests", "set_model", forget_model, "not set"),
    "raises": ("requests", "marker_modes", raise_type_error, "a defect"),
    "a surrogate in the facts": ("requests", "read_facts", facts_with(effort="\ud800"), "surrogate"),
    "a secret in the facts": ("requests", "read_facts", facts_with(effort=SECRET), "secret"),
    "a negative count": ("requests", "read_facts", facts_with(images=-1), "no count"),
    "a secret in a credential": ("paths", "credential", tell_secret, "secret|fingerprint"),
    "no salt": ("paths", "credential", one_salt, "without salt"),
    "raises for a path": ("paths", "recognise", raise_type_error, "a defect"),
    "loses a byte": ("streams", "stream", stream_with("feed", lose_a_byte), "cut|changed|split"),
    "depends on the split": ("streams", "stream", stream_with("feed", count_chunks), "observed"),
    "keeps what it learnt": ("streams", "stream", stream_with("feed", keep_clean), "not dirty"),
    "cuts a body": ("bodies", "rewrite_body", cut_body, "says something else|changed|lost"),
    "observes nonsense": ("bodies", "observe_body", observe_nonsense, "no count"),
    "loses a message": ("bodies", "error_message", lambda data: "", "message is lost"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_promise_is_found(what: str) -> None:
    target, name, function, said = BREAKS[what]
    real = ground(SURFACE)
    standing: Ground = dataclasses.replace(real, surface=Broken(name, function))
    with pytest.raises((Finding, TypeError), match=said):
        for data in targets.seeds(target, real):
            targets.OF_SURFACES[target](standing, data, Every(data))
