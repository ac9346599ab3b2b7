"""A secret in bytes of any split."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire.withheld import MASK, Withheld

SECRET = b"sk-aab"


def run(secret: bytes, chunks: list[bytes]) -> bytes:
    withheld = Withheld(secret)
    return b"".join(withheld.feed(chunk) for chunk in chunks) + withheld.flush()


def test_it_is_found_at_every_split() -> None:
    data = b"key sk-aab, again sk-asksk-aab and sk-aa"
    whole = data.replace(SECRET, MASK)
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            assert run(SECRET, [data[:first], data[first:second], data[second:]]) == whole


def test_nothing_is_held_back_that_cannot_begin_it() -> None:
    withheld = Withheld(SECRET)
    assert withheld.feed(b"data: {}\n\n") == b"data: {}\n\n"
    assert withheld.feed(b"x sk-a") == b"x "
    assert withheld.feed(b"x") == b"sk-ax"


def test_no_secret_changes_nothing() -> None:
    assert run(b"", [b"a", b"", b"b"]) == b"ab"


@given(st.lists(st.text("abk-", max_size=6)), st.text("abk-", min_size=1, max_size=4))
def test_no_split_lets_it_through(chunks: list[str], secret: str) -> None:
    """The mask may end in what begins a secret: then another place is masked, and still none is left."""
    given_ = [chunk.encode() for chunk in chunks]
    assert secret.encode() not in run(secret.encode(), given_).replace(MASK, b"\n")
