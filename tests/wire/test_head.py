"""Fields of a head, some set, some taken out, the others as they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from pointsman.wire.head import edited

NAMES = st.sampled_from(
    [b"Host", b"host", b"Accept", b"ACCEPT", b"x-router-model", b"X-Router-Marker", b"Via"]
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=3)), max_size=8)
CHANGES = st.dictionaries(st.sampled_from([b"host", b"accept", b"new"]), st.none() | st.binary(max_size=3))


def test_what_is_set_takes_the_place_of_the_first() -> None:
    fields = [(b"Host", b"a"), (b"Accept", b"1"), (b"accept", b"2"), (b"TE", b"x")]
    changed = edited(fields, {b"accept": b"3", b"te": None, b"length": b"0"})
    assert changed == ((b"Host", b"a"), (b"Accept", b"3"), (b"length", b"0"))


def test_what_is_left_out_may_still_be_set() -> None:
    fields = [(b"X-A", b"1"), (b"b", b"2")]
    assert edited(fields, {b"x-a": b"3"}, lambda name: True) == ((b"X-A", b"3"),)
    assert edited(fields, {}, lambda name: name == b"x-a") == ((b"b", b"2"),)


@given(FIELDS, CHANGES)
def test_it_is_what_mitmproxys_headers_do(
    fields: list[tuple[bytes, bytes]], changes: dict[bytes, bytes | None]
) -> None:
    headers = http.Headers(fields)
    for name, value in changes.items():
        if value is None:
            headers.pop(name, None)
        else:
            headers[name] = value
    for name in [name for name in headers if name.lower().startswith("x-router-")]:
        headers.pop(name, None)
    assert edited(fields, changes, lambda name: name.startswith(b"x-router-")) == headers.fields
