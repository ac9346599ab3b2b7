"""A request on its way: parsed, stripped, read, fitted to a model, asked for more, mended, and rendered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from fuzz.ground import MARKER, Ground, Head
from fuzz.oracle import (
    SECRET,
    Choice,
    Finding,
    maybe_marked,
    only_markers_gone,
    repeats_a_key,
    require,
    require_declared,
    storable,
    strict,
    understood,
    walk,
    without_keys,
)
from pointsman.errors import BodyError
from pointsman.surface import translates
from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.json_spans import Body

_INT64 = 1 << 63
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"(\s*:)?')
_MODEL_LIMIT = 200
FIT = {"drop", "clamp", "map"}
TEXT_MODES = {"text", "comment"}


def check(ground: Ground, data: bytes, choice: Choice) -> None:
    """One body, under each head that is chosen."""
    clear = understood(data)
    try:
        Body.parse(data)
        for head in choice.some(ground.heads, 1):
            _check(ground, data, head, choice, clear)
        if clear and not maybe_marked(data) and not repeats_a_key(data):
            _check_echo(ground, data, choice)
    except BodyError as error:
        if clear:
            raise Finding("BodyError for a body that is JSON") from error
        require(SECRET not in f"{error!r}", "a secret in an error", error)


def _check(ground: Ground, data: bytes, head: Head, choice: Choice, clear: bool) -> None:
    stripped = _strip(ground, data, clear)
    surface = ground.surface
    body = Body.parse(stripped)
    facts = surface.read_facts(body, head.headers, head.path, head.endpoint)
    require(not body.changed, "reading facts changed the body")
    check_facts(facts, head)
    again = surface.read_facts(Body.parse(stripped), head.headers, head.path, head.endpoint)
    require(facts == again, "facts differ from reading to reading", facts, again)
    _modes(ground, body, facts, None)
    for model in choice.some(ground.every_row, 1):
        require(isinstance(surface.ineligible(facts, model), str), "ineligible says no text")
    for model in choice.some(ground.rows, 2):
        _fit(ground, stripped, facts, head, model)
    _name(ground, stripped, head, choice)
    _translate(ground, stripped, head)
    _amend(stripped, lambda body: surface.ask(body, facts), {"add"})
    if clear:
        for refusal in choice.some(_refusals(ground, data), 2):
            _amend(stripped, lambda body, refusal=refusal: surface.remedy(body, refusal), FIT)


# --- translation --------------------------------------------------------------------------


def _translate(ground: Ground, stripped: bytes, head: Head) -> None:
    """What a request says is read without a change, the same each time; what was made up goes at once."""
    surface = ground.surface
    assert translates(surface)
    body = Body.parse(stripped)
    said = surface.read_request(body, head.path, head.headers)
    require(not body.changed, "reading what is said changed the body")
    again = surface.read_request(Body.parse(stripped), head.path, head.headers)
    require(said == again, "what is said differs from reading to reading", said, again)
    count = surface.disown(body)
    require((count > 0) == (body.render() != stripped), f"{count} things disowned", stripped)
    require(not count or surface.disown(Body.parse(body.render())) == 0, "a second look finds more", stripped)


# --- markers ------------------------------------------------------------------------------


def _strip(ground: Ground, data: bytes, clear: bool) -> bytes:
    body = Body.parse(data)
    require(body.render() == data, "an untouched body renders otherwise")
    count = ground.surface.strip(body)
    stripped = body.render()
    require((count > 0) == (stripped != data), f"{count} markers stripped", data, stripped)
    if not count:
        return stripped
    require(maybe_marked(data), "stripped what cannot be a marker", data)
    again = Body.parse(stripped)
    require(ground.surface.strip(again) == 0, "a second strip finds more", stripped)
    if clear:
        require(only_markers_gone(strict(data), strict(stripped)), "stripped too much", data, stripped)
    return stripped


def _check_echo(ground: Ground, data: bytes, choice: Choice) -> None:
    """A marker before any text is taken out again without a trace, or left where it is."""
    literals = [found for found in _STRING.finditer(data) if not found[1] and len(found[0]) > 2]
    for found in choice.some(literals, 2) if len(literals) < 40 else choice.random.sample(literals, 3):
        for ascii_only in (False, True):
            text = json.dumps(MARKER, ensure_ascii=ascii_only)[1:-1].encode()
            at = found.start() + 1
            marked = data[:at] + text + data[at:]
            result = _stripped(ground, marked)
            require(result in (data, marked), "a marker before a text, stripped", marked, result)
    value = strict(data)
    if not understood(json.dumps(value).encode()):
        return  # numbers that JSON does not have
    lists = [inner for inner in walk(value) if isinstance(inner, list)]
    places = [(inner, at, key) for inner in lists for at, key in _leaves(inner)]
    for inner, at, key in choice.random.sample(places, min(2, len(places))):
        _check_block(ground, value, inner, at, key)


def _leaves(array: list[Any]) -> list[tuple[int, str]]:
    """Elements of an array that hold no other container, with the keys of their texts."""
    return [
        (at, key)
        for at, item in enumerate(array)
        if isinstance(item, dict) and not any(isinstance(value, dict | list) for value in item.values())
        for key, value in item.items()
        if isinstance(value, str) and value
    ]


def _check_block(ground: Ground, value: Any, array: list[Any], at: int, key: str) -> None:
    """The same for an element of its own that says nothing but the marker."""
    whole = json.dumps(value)
    twin = array[at]
    results = []
    for text in (MARKER, ""):
        array.insert(at, {**twin, key: text})
        results.append(json.dumps(value))
        del array[at]
    marked, emptied = results
    result = _stripped(ground, marked.encode()).decode()
    require(result in (whole, marked, emptied), "a marker alone in an element, stripped", marked, result)


def _stripped(ground: Ground, data: bytes) -> bytes:
    body = Body.parse(data)
    ground.surface.strip(body)
    return body.render()


# --- facts --------------------------------------------------------------------------------


def check_facts(facts: Facts, head: Head) -> None:
    """They can be hashed, stored and compared, and hold no secret."""
    hash(facts)
    require(all(storable(text) for text in _texts(facts)), "facts with a lone surrogate", facts)
    require(SECRET not in repr(facts), "a secret in the facts", facts)
    require(facts.endpoint == head.endpoint, "facts of another endpoint")
    for field in fields(facts):
        value = getattr(facts, field.name)
        if isinstance(value, int) and not isinstance(value, bool):
            # Numbers that are the client's own may be any; the store clips them.
            own = field.name in ("max_tokens", "thinking_budget_tokens", "choices")
            require(own or 0 <= value < _INT64, f"{field.name} is no count", value)
        elif isinstance(value, frozenset | tuple):
            require(all(isinstance(item, str) for item in value), f"{field.name} holds no texts", value)
        elif value is not None and not isinstance(value, bool):
            require(isinstance(value, str), f"{field.name} is no text", value)
    name = facts.requested_model
    require(len(name) <= _MODEL_LIMIT and name.isascii() and (not name or name.isprintable()), "model", name)
    require(facts.choices >= 1, "no answer asked for", facts.choices)


def _texts(facts: Facts) -> Iterator[str]:
    for field in fields(facts):
        value = getattr(facts, field.name)
        yield from (value if isinstance(value, frozenset | tuple) else [str(value)])


# --- models -------------------------------------------------------------------------------


def _modes(ground: Ground, body: Body, facts: Facts, model: Model | None) -> None:
    modes = ground.surface.marker_modes(body, facts, model)
    require(set(modes) <= TEXT_MODES and len(set(modes)) == len(modes), "marker modes", modes)
    require(not modes or facts.endpoint == "generate", "a marker where nothing is generated", modes)
    require(not modes or not facts.turn.background, "a marker for background work", modes)


def _fit(ground: Ground, data: bytes, facts: Facts, head: Head, model: Model) -> None:
    surface = ground.surface
    for default in {model.capabilities.get("thinking_default"), None, "on"}:
        told = replace(facts, thinking_default=default)
        if surface.ineligible(told, model):
            continue
        body = Body.parse(data)
        try:
            done = surface.adapt(body, told, model)
        except BodyError:
            continue  # what no provider would take need not be adapted
        fitted = body.render()
        require_declared(data, fitted, done, FIT)
        strict_if(data, fitted)
        require(surface.adapt(body, told, model) == [], "adapting twice changes more", data, fitted, done)
        require(body.render() == fitted, "adapting twice changes the bytes", fitted)
        read = Body.parse(fitted)
        require(surface.adapt(read, told, model) == [], "adapting what was sent changes more", fitted, model)
        now = surface.read_facts(read, head.headers, head.path, head.endpoint)
        now = replace(now, thinking_default=default, input_tokens_estimate=facts.input_tokens_estimate)
        # A system message after a prefilled answer becomes the user's, and the answer an earlier one.
        why = surface.ineligible(now, model) if now.prefill == facts.prefill else ""
        require(not why, f"what was adapted to {model.name} does not fit it: {why}", data, fitted, done)
        _modes(ground, read, told, model)


def _name(ground: Ground, data: bytes, head: Head, choice: Choice) -> None:
    surface = ground.surface
    for model in choice.some(ground.rows, 1):
        body = Body.parse(data)
        path = surface.set_model(body, head.path, model.name)
        sent = body.render()
        strict_if(data, sent)
        _require_named_only(data, sent)
        require(surface.recognise("POST", path) == head.endpoint, "another endpoint", path)
        require(path.partition("?")[2] == head.path.partition("?")[2], "another query", path)
        facts = surface.read_facts(Body.parse(sent), head.headers, path, head.endpoint)
        require(facts.requested_model == model.name, "the model's name is not set", facts.requested_model)
        require(surface.set_model(body, path, model.name) == path, "naming it twice", path)
        require(body.render() == sent, "naming it twice changes the bytes", sent)


def _require_named_only(before: bytes, after: bytes) -> None:
    """Members that name no model are there byte for byte; in those that do (a whole request) all else is."""
    old, new = Body.parse(before), Body.parse(after)
    for name in [name for name in old.names() if name != "model"]:
        if all("model" not in inner for inner in walk(old.get(name))):
            require(old.raw(name) == new.raw(name), "naming a model changes more", name, after)
    if understood(before):
        same = without_keys(strict(before), _NAMED) == without_keys(strict(after), _NAMED)
        require(same, "naming a model changes more", before, after)


_NAMED = frozenset({"model"})


# --- what is added and mended -------------------------------------------------------------


def _amend(data: bytes, amend: Callable[[Body], list[Adaptation]], verbs: set[str]) -> None:
    body = Body.parse(data)
    done = amend(body)
    sent = body.render()
    require_declared(data, sent, done, verbs)
    strict_if(data, sent)
    require(not done or sent != data, "says that it changed something, and did not", done)
    require(amend(Body.parse(sent)) == [], "amending twice changes more", data, sent, done)


def _refusals(ground: Ground, data: bytes) -> list[bytes]:
    texts = ("", "x", "thinking", "reasoning", "signature")
    errors = [ground.surface.error_body(400, text) for text in texts]
    return [*ground.refusals, *errors, b"", b"null", data[:200]]


def strict_if(before: bytes, after: bytes) -> None:
    """JSON in, JSON out."""
    if not understood(before):
        return
    try:
        strict(after)
    except ValueError as error:
        raise Finding(f"rendered what is no JSON: {after[:400]!r}") from error
