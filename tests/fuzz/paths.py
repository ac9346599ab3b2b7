"""Paths and headers: a fuzzed path is recognised or not, and a secret in either stays secret.

The input is the path, and after the first line end the headers, one a line. What the client puts where a
credential belongs is up to the input too; the planted secret is tried in every such place.
"""

from __future__ import annotations

import re
from dataclasses import replace

from fuzz.ground import Ground, Head
from fuzz.oracle import SECRET, Choice, require
from fuzz.requests import check_facts
from pointsman.errors import BodyError
from pointsman.values import CredentialKind
from pointsman.wire.json_spans import Body

_HEX = re.compile(r"[0-9a-f]{16}")
_PLACES = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_BROKEN = (b"", b"[]", b'{"a":', b'{"model":1e999,"messages":[{"role":"user","content":"x"}]}')


def check(ground: Ground, data: bytes, choice: Choice) -> None:
    """One path with headers."""
    # Seeds hold the planted secret; moved elsewhere it would be no secret any more.
    path, _, rest = data.replace(SECRET.encode(), b"x").decode("utf-8", "surrogateescape").partition("\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in _split(rest)}
    surface = ground.surface
    for method in ("POST", "GET", "post", ""):
        endpoint = surface.recognise(method, path)
        require(endpoint in (None, "generate", "count_tokens"), "no such endpoint", endpoint)
    _check_credential(ground, headers, path)
    for place in choice.some(_PLACES, 2):
        for value in (SECRET, f"Bearer {SECRET}", f"bearer  {SECRET} "):
            _check_credential(ground, {**headers, place: value}, path)
    joint = "&" if "?" in path else "?"
    keyed = f"{path}{joint}key={SECRET}"
    _check_credential(ground, headers, keyed)
    _check_model(ground, path, choice)
    _check_model(ground, keyed, choice)
    if endpoint := surface.recognise("POST", path):
        _check_facts(ground, Head(path, headers, endpoint), choice)
    for head in choice.some(ground.heads, 1):
        _check_facts(ground, replace(head, headers={**headers, **head.headers}), choice)


def _split(rest: str) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in rest.splitlines() if line.partition(":")[0].strip()]


def _check_credential(ground: Ground, headers: dict[str, str], path: str) -> None:
    credential = ground.surface.credential(headers, path, b"salt")
    require(SECRET not in repr(credential), "a secret in a credential", credential)
    none = credential.kind is CredentialKind.NONE
    fits = credential.fingerprint == "" if none else _HEX.fullmatch(credential.fingerprint)
    require(fits, "no fingerprint", credential)
    require(credential == ground.surface.credential(headers, path, b"salt"), "two fingerprints for a secret")
    other = ground.surface.credential(headers, path, b"other salt")
    require(none or credential.fingerprint != other.fingerprint, "a fingerprint without salt")


def _check_model(ground: Ground, path: str, choice: Choice) -> None:
    surface = ground.surface
    endpoint = surface.recognise("POST", path)
    for model in choice.some(ground.rows, 1):
        body = Body.parse(b'{"model":"x"}')
        sent = surface.set_model(body, path, model.name)
        require(sent.partition("?")[2] == path.partition("?")[2], "another query", path, sent)
        require(surface.recognise("POST", sent) == endpoint, "another endpoint for another model", path, sent)
        if not endpoint:
            continue
        facts = surface.read_facts(Body.parse(body.render()), {}, sent, endpoint)
        require(facts.requested_model == model.name, "the model's name is not set", path, facts)


def _check_facts(ground: Ground, head: Head, choice: Choice) -> None:
    for body in (*choice.some(ground.bodies, 1), *_BROKEN):
        try:
            facts = ground.surface.read_facts(Body.parse(body), head.headers, head.path, head.endpoint)
        except BodyError as error:
            require(body in _BROKEN, "BodyError for a body that is JSON", error)
            require(SECRET not in f"{error!r}{error.__cause__!r}", "a secret in an error", error)
        else:
            if SECRET not in head.path:
                check_facts(facts, head)
