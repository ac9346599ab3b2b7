from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.errors import BodyError
from pointsman.wire.json_spans import MAX_MEMBERS, Body, array_spans, decode, edit_array, encode, prepend

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)
STYLES: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaces": {"ensure_ascii": True},
    "indent": {"indent": 2, "ensure_ascii": False},
}


def dump(value: Any, style: str) -> bytes:
    return json.dumps(value, **STYLES[style]).encode("utf-8", "surrogatepass")


@given(OBJECTS, st.sampled_from(sorted(STYLES)))
def test_untouched_objects_render_as_they_came(value: dict[str, Any], style: str) -> None:
    data = dump(value, style)
    body = Body.parse(data)
    assert not body.changed
    assert body.render() is data
    assert {key: body.get(key) for key in body.names()} == json.loads(data)


@given(OBJECTS, st.sampled_from(sorted(STYLES)), st.data())
def test_deleting_leaves_what_the_encoder_would_have_written(
    value: dict[str, Any], style: str, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(value)))) if value else set()
    body = Body.parse(dump(value, style))
    for key in gone:
        body.delete(key)
    kept = {key: item for key, item in value.items() if key not in gone}
    assert body.render() == dump(kept, style)
    assert body.names() == list(kept)


@given(OBJECTS, st.sampled_from(["compact", "spaces"]), st.sampled_from(["", "a", "model", "0"]), VALUES)
def test_setting_changes_one_member_only(value: dict[str, Any], style: str, key: str, new: Any) -> None:
    body = Body.parse(dump(value, style))
    body.set_raw(key, dump(new, style))
    expected = dump({**value, key: new}, style)
    if len(value) > 1:  # a lone member does not show how its encoder separates two
        assert body.render() == expected
    assert json.loads(body.render()) == json.loads(expected)
    assert body.get(key) == json.loads(dump(new, style))


@given(st.lists(VALUES, max_size=6), st.sampled_from(sorted(STYLES)), st.data())
def test_array_edits_leave_what_the_encoder_would_have_written(
    items: list[Any], style: str, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(range(len(items))))) if items else set()
    raw = dump(items, style)
    kept = [item for index, item in enumerate(items) if index not in gone]
    assert edit_array(raw, dict.fromkeys(gone)) == dump(kept, style)
    assert [decode(raw[start:end]) for start, end in array_spans(raw)] == json.loads(raw)


@given(st.lists(VALUES, max_size=4), st.sampled_from(sorted(STYLES)), VALUES)
def test_prepend_is_undone_by_removal(items: list[Any], style: str, new: Any) -> None:
    raw = dump(items, style)
    longer = prepend(raw, encode(new))
    assert json.loads(longer) == [json.loads(encode(new)), *json.loads(raw)]
    assert edit_array(longer, {0: None}) == raw


@pytest.mark.parametrize(
    "data",
    [
        b'{"model":"a","model":"b","x":1}',
        b'{"a":12,"a":1,"model":"b"}',
        '{"model":"b","text":"\\ud800","ü":"é"}'.encode(),
        b' \r\n{"model" :\t"b" }\n ',
        b'{"mod\\u0065l":"b"}',
        b'{"model":"b","n":1e400,"big":%s}' % (b"9" * 5000),
        b'{"big":%s,"t":"\\udfff","model":"b"}' % (b"9" * 5000),
    ],
)
def test_odd_but_legal_objects(data: bytes) -> None:
    body = Body.parse(data)
    assert body.get("model") == "b"
    assert body.render() == data
    body.set("model", "b")
    assert body.get("model") == "b"
    body.set("model", "c")
    again = Body.parse(body.render())
    assert again.get("model") == "c"
    assert again.render().count(b'"c"') == data.count(b'"b"') + data.count(b'"a",')
    again.set("model", "b")
    if data.count(b'"b"') == 1 and b'"a",' not in data:
        assert again.render() == data


def test_numbers_that_no_machine_type_holds_can_be_read() -> None:
    body = Body.parse(b'{"n":1e400,"big":%s,"exact":123456789012345678901234567890}' % (b"9" * 5000))
    assert body.get("n") == float("inf")
    assert body.get("big") == float("inf")
    assert body.get("exact") == 123456789012345678901234567890


def test_a_new_member_goes_before_the_closing_brace_in_the_same_style() -> None:
    for before, after in (
        (b"{}", b'{"k":1}'),
        (b"{ }", b'{"k":1}'),
        (b'{"a":1}', b'{"a":1,"k":1}'),
        (b'{"a": 1, "b": 2}', b'{"a": 1, "b": 2, "k": 1}'),
        (b'{\n  "a": 1\n}\n', b'{\n  "a": 1,\n  "k": 1\n}\n'),
    ):
        body = Body.parse(before)
        body.set("k", 1)
        assert body.render() == after


def test_set_after_delete_and_delete_after_set() -> None:
    body = Body.parse(b'{"a":1,"b":2}')
    body.delete("a")
    assert not body.has("a")
    body.set("a", 3)
    body.set("c", 4)
    body.delete("c")
    body.delete("never there")
    assert body.render() == b'{"a":3,"b":2}'
    body.set("a", 1)
    assert not body.changed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1,}',
        b'{"a":1}{}',
        b'{"a" 1}',
        b'{"a":NaN}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\x01"}',
        b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":1,"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":"\\ud800","b":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":"\\ud800","b":Infinity}',
        b'{"a":"\\ud800"',
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_object_is_a_body_error(data: bytes) -> None:
    with pytest.raises(BodyError):
        Body.parse(data)


@given(st.binary(max_size=60))
def test_garbage_raises_nothing_else(data: bytes) -> None:
    for read in (Body.parse, array_spans, decode):
        try:
            read(data)
        except BodyError:
            pass


def test_an_absurd_number_of_members_is_a_body_error() -> None:
    for member in (b'"k%d":1', b'"k":%d'):
        data = b"{" + b",".join(member % number for number in range(MAX_MEMBERS + 1)) + b"}"
        with pytest.raises(BodyError, match="more than"):
            Body.parse(data)


def test_arrays_that_are_none() -> None:
    for raw in (b"{}", b"[1", b"", b'["\\ud800"', b'{"a":"\\ud800"}'):
        with pytest.raises(BodyError):
            array_spans(raw)
    assert array_spans('["é","\\ud800", 2]'.encode()) == [(1, 5), (6, 14), (16, 17)]


def test_a_line_end_before_the_object_is_not_its_indentation() -> None:
    body = Body.parse(b'\n{"a":{}}')
    body.set("m", "x")
    assert body.render() == b'\n{"a":{},"m":"x"}'
    assert prepend(b"\n[1]", b"0") == b"\n[0,1]"
    indented = Body.parse(b'\n{\n  "a": 1\n}')
    indented.set("m", 2)
    assert indented.render() == b'\n{\n  "a": 1,\n  "m": 2\n}'


def test_what_no_json_can_hold_becomes_null_beside_a_lone_surrogate_too() -> None:
    assert encode(decode(b'["\\ud800",1e999,{"a":-1e999}]')) == b'["\\ud800",null,{"a":null}]'
