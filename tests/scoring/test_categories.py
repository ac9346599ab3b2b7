"""A classifier's prompt and the strict reading of what it answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman.scoring import categories
from pointsman.scoring.categories import RAW_LIMIT, TASK_LIMIT, Why, instructions, question, read, shortened
from pointsman.scoring.tiers import DEFAULT_ROUTING

TABLE = tuple(DEFAULT_ROUTING)
ISSUE = "Issue Resolution (other)"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Frontend", "Frontend"),
        ("  frontend\n", "Frontend"),
        ("FRONTEND.", "Frontend"),
        ('"Frontend".', "Frontend"),
        ("**Information   Gathering**", "Information Gathering"),
        ("`Testing`", "Testing"),
        (ISSUE, ISSUE),
        ("issue resolution", ISSUE),
        ("Issue Resolution (Other).", ISSUE),
        ("Category: Greenfield", "Greenfield"),
        ("The task is best described as Testing, since the fixtures are broken.", "Testing"),
        ("I would say issue resolution: issue resolution (other)", ISSUE),
        ("<think>Is it Frontend or Testing?</think>\n\nTesting", "Testing"),
        ("frontend-related", "Frontend"),
    ],
)
def test_one_category(answer: str, expected: str) -> None:
    assert read(answer, TABLE) == (expected, None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", Why.EMPTY),
        (" \n\t", Why.EMPTY),
        ("...", Why.EMPTY),
        ("<think>Is it Frontend?", Why.EMPTY),
        ("<think>Frontend</think>", Why.EMPTY),
        ("Frontend or Testing", Why.UNPARSED),
        ("Not Frontend, but Greenfield", Why.UNPARSED),
        ("Frontend, Issue Resolution (other)", Why.UNPARSED),
        ("Refactoring", Why.UNPARSED),
        ("Attesting", Why.UNPARSED),
        ("frontends", Why.UNPARSED),
        ("I cannot help with that.", Why.UNPARSED),
        ("1", Why.UNPARSED),
    ],
)
def test_no_category(answer: str, why: Why) -> None:
    assert read(answer, TABLE) == ("", why)


def test_a_category_inside_a_longer_one_does_not_stand_by_itself() -> None:
    table = ("Testing", "Load Testing", "Load Testing (nightly)")
    assert read("It is load testing, I think", table) == ("Load Testing", None)
    assert read("so: Load testing (nightly)!", table) == ("Load Testing (nightly)", None)
    assert read("testing", table) == ("Testing", None)
    assert read("testing, or load testing", table) == ("", Why.UNPARSED)


def test_short_names_must_tell_categories_apart() -> None:
    table = ("Bug (ours)", "Bug (theirs)", "Other")
    assert read("a bug", table) == ("", Why.UNPARSED)
    assert read("Bug (theirs)", table) == ("Bug (theirs)", None)
    three = ("Bug (ours)", "Bug (theirs)", "Bug (nobody's)")
    assert read("a bug", three) == ("", Why.UNPARSED)


def test_signs_in_names_mean_themselves() -> None:
    assert read("C++ (modern).", ("C++ (modern)", "C (old)")) == ("C++ (modern)", None)
    assert read("it is c++", ("C++", "C")) == ("C++", None)


@given(st.text(), st.sampled_from(TABLE))
def test_whatever_is_said_gives_a_category_of_the_table_or_a_reason(said: str, category: str) -> None:
    for answer in (said, f"{said} {category}", f"{category}\n{said}"):
        found, why = read(answer, TABLE)
        assert (found in TABLE and why is None) or (found == "" and why is not None)
        line = shortened(answer)
        assert len(line) <= RAW_LIMIT
        assert line == "" or line.isprintable()


def test_the_prompt_names_every_category_and_says_what_it_means() -> None:
    said = instructions([*TABLE, "Own"], {"Own": "what is ours", "Testing": "tests of bridges"})
    lines = said.splitlines()
    for category in TABLE:
        about = "tests of bridges" if category == "Testing" else categories.DESCRIPTIONS[category]
        assert f"- {category}: {about}" in lines
    assert "- Own: what is ours" in lines
    assert "Answer with exactly one category" in said
    assert "- Bare\n" in instructions(["Bare"], {})


def test_of_a_long_task_both_ends_are_asked_about() -> None:
    assert question("mend the points").startswith("<task>\nmend the points\n</task>")
    long = question("a" * TASK_LIMIT + "middle" + "z" * TASK_LIMIT)
    assert len(long) < TASK_LIMIT + 200
    assert "aaa\n[…]\nzzz" in long
    assert "middle" not in long


def test_an_answer_in_a_log_is_one_short_line() -> None:
    assert shortened("Front\nend\r\n\t\x1b[31mred\u2028x") == "Front end �[31mred x"
    assert shortened("<think>secret</think> Testing") == "Testing"
    assert len(shortened("word " * 1000)) == RAW_LIMIT
