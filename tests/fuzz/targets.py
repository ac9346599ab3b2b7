"""The targets by name: what each is a check of, and how its seeds and cases are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fuzz import bodies, parsers, paths, requests, streams
from fuzz.ground import Ground
from fuzz.oracle import Choice

type Check = Callable[[Ground, bytes, Choice], None]

OF_SURFACES: Mapping[str, Check] = MappingProxyType(
    {"requests": requests.check, "streams": streams.check, "bodies": bodies.check, "paths": paths.check}
)
PARSERS: Mapping[str, Check] = MappingProxyType({"parsers": parsers.check})


def seeds(target: str, ground: Ground) -> list[bytes]:
    """What a target begins from."""
    if target == "requests":
        return list(ground.bodies)
    if target == "streams":
        return list(ground.streams)
    if target == "bodies":
        return [*ground.answers, *ground.refusals, *(ground.surface.error_body(s, "no") for s in (400, 529))]
    return [
        "\n".join([head.path, *(f"{name}: {value}" for name, value in head.headers.items())]).encode()
        for head in ground.heads
    ]
