from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire.sse import Event, Reader, comment, is_event_stream, write

PIECES = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"data: a",
            b"data:b",
            b"data",
            b"event: ping",
            b"event:x",
            b": c",
            b"id: 7",
            b"\xef\xbb\xbf",
            b"datax: no",
            "data: é\u2028".encode(),
            b"\xff",
            b" ",
        ]
    ),
    max_size=14,
)


def read(*chunks: bytes, cap: int = 1 << 20) -> list[Event]:
    reader = Reader(cap)
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.flush()


def meaning(events: list[Event]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events if event.data is not None]


CASES: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
    "lf": (b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", [("a", b"1"), ("b", b"2")]),
    "crlf": (b"event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n", [("a", b"1"), ("b", b"2")]),
    "cr": (b"event: a\rdata: 1\r\revent: b\rdata: 2\r\r", [("a", b"1"), ("b", b"2")]),
    "mixed": (b"event: a\r\ndata: 1\n\r\nevent: b\ndata: 2\r\n\n", [("a", b"1"), ("b", b"2")]),
    "comments": (b": hello\n\n:\ndata: 1\n: inside\n\n", [("", b"1")]),
    "multi-line": (b"data: 1\ndata:2\ndata\ndata:  3\n\n", [("", b"1\n2\n\n 3")]),
    "no space": (b"event:a\ndata:1\n\n", [("a", b"1")]),
    "blank lines": (b"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n\n", [("", b"1"), ("", b"2")]),
    "bom": (b"\xef\xbb\xbfdata: 1\n\n", [("", b"1")]),
    "no final blank line": (b"data: 1\n\ndata: 2\n", [("", b"1")]),
    "cut in a line": (b"data: 1\n\nevent: b\nda", [("", b"1")]),
    "last event name": (b"event: a\nevent: b\ndata: 1\n\n", [("b", b"1")]),
    "other fields": (b"id: 1\nretry: 5\nfoo\ndatum: 3\ndata: 1\n\n", [("", b"1")]),
    "line separators": ("data: a\u2028b\x0b\x85\n\n".encode(), [("", "a\u2028b\x0b\x85".encode())]),
}


@pytest.mark.parametrize("case", CASES)
def test_events_whole_at_every_split_and_byte_by_byte(case: str) -> None:
    stream, expected = CASES[case]
    whole = read(stream)
    assert meaning(whole) == expected
    assert b"".join(event.raw for event in whole) == stream
    for cut in range(len(stream) + 1):
        assert read(stream[:cut], stream[cut:]) == whole
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == whole


@given(PIECES, st.data())
def test_the_cuts_never_depend_on_the_chunks(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = read(stream)
    assert read(*chunks) == whole
    assert b"".join(event.raw for event in whole) == stream


def test_an_event_leaves_as_soon_as_its_empty_line_is_there() -> None:
    reader = Reader()
    assert reader.feed(b"data: 1\n") == []
    assert reader.pending == b"data: 1\n"
    assert reader.feed(b"\n") == [Event(b"data: 1\n\n")]
    assert reader.feed(b"data: 2\r\n\r") == []  # an LF may follow, and must then be part of this event
    assert reader.feed(b"\n") == [Event(b"data: 2\r\n\r\n")]
    assert reader.flush() == []


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_an_event_over_the_cap_passes_in_pieces(eol: bytes) -> None:
    big = b"event: big" + eol + b"data: " + b"x" * 100 + eol + b"data: " + b"y" * 100 + eol + eol
    small = b"data: 1" + eol + eol + b"data: 2" + eol + eol
    stream = small + big + small
    for size in (1, 7, 50):
        chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
        reader, events, held = Reader(40), [], 0
        for chunk in chunks:
            events += reader.feed(chunk)
            held = max(held, len(reader.pending))
        events += reader.flush()
        assert b"".join(event.raw for event in events) == stream
        assert meaning(events) == [("", b"1"), ("", b"2")] * 2
        assert held <= 40 + size


def test_a_cut_inside_an_oversized_event() -> None:
    events = read(b"data: " + b"x" * 100 + b"\n", cap=10)
    assert [event.whole for event in events] == [False, False]
    assert meaning(events) == []


def test_other_data_leaves_all_other_lines_alone() -> None:
    for raw, expected in (
        (b"event: a\ndata: 1\n\n", b"event: a\ndata: {}\n\n"),
        (b"data:1\r\n: note\r\nevent:a\r\n\r\n", b"data:{}\r\n: note\r\nevent:a\r\n\r\n"),
        (b"\xef\xbb\xbfdata: 1\n\n", b"\xef\xbb\xbfdata: {}\n\n"),
        (b"data: 1\rid: 4\rdata: 2\r\r", b"data: {}\rid: 4\r\r"),
    ):
        assert Event(raw).with_data(b"{}") == expected
    assert Event(Event(b"data: 1\n\n").with_data(b"{\n}")).data == b"{\n}"


def test_what_the_writer_writes_is_read_back() -> None:
    assert meaning(read(write("ping", b'{"type":"ping"}'))) == [("ping", b'{"type":"ping"}')]
    assert meaning(read(comment("a\nb\r\ndata: 1"))) == []
    assert comment("a\nb") == b": a b\n\n"


def test_an_answer_without_a_type_is_what_was_asked_for() -> None:
    assert is_event_stream("Text/Event-Stream; charset=utf-8", asked=False)
    for nothing in ("", "text/plain; charset=utf-8", "application/octet-stream"):
        assert is_event_stream(nothing, asked=True)
        assert not is_event_stream(nothing, asked=False)
    assert not is_event_stream("text/html", asked=True)
    assert not is_event_stream("application/json", asked=True)
