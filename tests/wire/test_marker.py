from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire.marker import SENTINEL, comment, make, present, strip, strip_result

MARKER = make("claude-haiku-4-5", "cluster")


def literal(text: str, *, ensure_ascii: bool = False, upper: bool = False) -> bytes:
    raw = json.dumps(text, ensure_ascii=ensure_ascii)
    if upper:
        raw = "\\u".join(
            part[:4].upper() + part[4:] if i else part for i, part in enumerate(raw.split("\\u"))
        )
    return raw.encode("utf-8", "surrogatepass")


FORMS = [{}, {"ensure_ascii": True}, {"ensure_ascii": True, "upper": True}]


def test_what_people_see() -> None:
    assert f"{SENTINEL}✦ **Pointsman** → claude-haiku-4-5 · cluster{SENTINEL}\n\n" == MARKER
    assert comment("claude-haiku-4-5", "cluster") == "✦ Pointsman → claude-haiku-4-5 · cluster"


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(), count=st.integers(1, 3))
def test_strip_undoes_a_prefix_in_every_spelling(form: dict[str, bool], text: str, count: int) -> None:
    assert strip(literal(MARKER * count + text, **form)) == (literal(text, **form), count)


@given(st.text(), st.sampled_from(FORMS))
def test_other_texts_keep_their_bytes(text: str, form: dict[str, bool]) -> None:
    raw = literal(text, **form)
    assert strip(raw) == (raw, 0)


@given(st.text(), st.text())
def test_whatever_make_is_given_can_be_stripped(served: str, reason: str) -> None:
    marked = literal(make(served, reason) + "answer")
    assert strip(marked) == (b'"answer"', 1)
    assert present(marked)


@pytest.mark.parametrize("trimmed", [MARKER.rstrip("\n"), MARKER[:-1], MARKER])
def test_trimmed_ends(trimmed: str) -> None:
    assert strip(literal(trimmed)) == (b'""', 1)
    assert strip(literal(trimmed + "answer")) == (b'"answer"', 1)


def test_only_the_injected_newlines_go() -> None:
    assert strip(literal(MARKER + "\n\nanswer")) == (literal("\n\nanswer"), 1)
    assert strip(literal(MARKER[:-2] + "\\n")) == (literal("\\n"), 1)
    assert strip(literal(MARKER[:-2]).replace(b'"', b'"', 1)[:-1] + b'\\u000A\\u000a"') == (b'""', 1)


@pytest.mark.parametrize(
    "text",
    [
        "See: " + MARKER,
        "\n" + MARKER,
        MARKER.replace(SENTINEL, ""),
        SENTINEL + "hello" + SENTINEL + "\n\n",
        MARKER.replace("cluster", "x" * 97),
        MARKER.replace("cluster", "two\nlines"),
        MARKER.replace("cluster", 'a "quoted" reason'),
        MARKER.replace("**Pointsman**", "Pointsman"),
        SENTINEL + "✦ **Pointsman** → a" + SENTINEL,
        SENTINEL * 3,
        "✦ **Pointsman** → claude-haiku-4-5 · cluster",
    ],
)
def test_a_quotation_is_never_touched(text: str) -> None:
    for form in FORMS:
        raw = literal(text, **form)
        assert strip(raw) == (raw, 0)


def test_a_result_may_hold_what_opencode_wraps_a_sub_agents_words_into() -> None:
    head = '<task id="ses_1" title="a \\ b">\n<task_result>\n'
    for form in FORMS:
        plain = literal(head + "Nine.\n</task_result>", **form)
        marked = literal(head + MARKER * 2 + "Nine.\n</task_result>", **form)
        assert strip_result(marked) == (plain, 2)
        assert strip_result(plain) == (plain, 0)
        assert strip_result(literal(MARKER + "x", **form)) == (literal("x", **form), 1)
        assert strip(marked) == (marked, 0)
        quoted = literal("He said: " + head + MARKER, **form)
        assert strip_result(quoted) == (quoted, 0)


def test_names_with_slashes_escaped_as_some_encoders_do() -> None:
    marked = literal(make("openrouter/auto", "fixed") + "a/b").replace(b"/", b"\\/")
    assert strip(marked) == (b'"a\\/b"', 1)


def test_a_body_without_sentinel_is_known_at_once() -> None:
    assert not present("✦ **Pointsman** → a · b".encode())
    assert present(literal(MARKER, ensure_ascii=True))
