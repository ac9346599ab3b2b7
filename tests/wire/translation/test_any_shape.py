"""Requests with anything anywhere: a reader and the writers make of it what they can, and never break."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman.wire import translate_request
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import Target
from wire.translation.said import asking, members, tidy
from wire.translation.strict import CHECKS, writer

KEYS = st.sampled_from(["type", "text", "content", "parts", "name", "id"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "text", "content", "parts", "name", "id"]), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    made = copy.deepcopy(value)
    owner = made
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = other
    return made


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=50)
@given(data=st.data())
def test_anything_anywhere(name: str, data: st.DataObject) -> None:
    turns, offered = data.draw(tidy())
    request = asking(*(message for turn in turns for message in turn), **data.draw(members(offered)))
    written = writer(name).write_request(request, Target("m"))
    body = json.loads(encode(written.body))
    for _ in range(data.draw(st.integers(1, 3))):
        body = put(body, data.draw(st.sampled_from(list(places(body)))), data.draw(JSON))
    headers = {"x-claude-code-session-id": "s"}
    found = writer(name).read_request(Body.parse(encode(body)), f"/v1beta{written.path}", headers)
    for other in CHECKS:
        target = Target("m")
        translate_request.refusal(found, writer(other), target)
        sent = translate_request.translated(found, writer(other), target)
        assert isinstance(json.loads(sent.body), dict)
        translate_request.facts_at(found, writer(other), target)
