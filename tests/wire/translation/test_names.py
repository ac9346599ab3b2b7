"""Names of tools and ids of calls, as targets take them and as clients get them back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from pointsman.wire.neutral import CallPart, Request, Tool
from pointsman.wire.translation.names import NameRule, fitting_id, names_for, tool_names
from wire.translation.said import model, tools, user

RULE = NameRule(64)
FIT = re.compile(r"[A-Za-z0-9_-]{1,64}")


def there(*offered: Tool, rule: NameRule = RULE) -> list[str]:
    return list(tool_names(Request("m", (user("x"),), tools=offered), rule))


def test_a_name_that_fits_stays() -> None:
    assert there(Tool("ls"), Tool("mcp__docs__find"), Tool("x" * 64)) == ["ls", "mcp__docs__find", "x" * 64]


def test_namespaces_come_before_the_name() -> None:
    """As Codex 0.169 has them; the default one is left away, and so it is in Codex' calls."""
    exec_, sleep = Tool("exec", custom=True, namespace="functions"), Tool("sleep", namespace="clock")
    mcp = Tool("find", namespace="mcp__docs__")
    request = Request("m", (user("x"), model(CallPart("c", "exec", "x", True))), tools=(exec_, sleep, mcp))
    assert dict(tool_names(request, RULE)) == {"exec": exec_, "clock__sleep": sleep, "mcp__docs__find": mcp}
    names = names_for(request, RULE)
    assert names.of("functions", "exec") == names.of("", "exec") == "exec"
    assert names.of("clock", "sleep") == "clock__sleep"


def test_what_does_not_fit_ends_in_a_hash() -> None:
    long, dotted = there(Tool("y" * 100), Tool("with.dot"))
    assert re.fullmatch(r"y{55}_[0-9a-f]{8}", long) and re.fullmatch(r"with_dot_[0-9a-f]{8}", dotted)
    (first,) = there(Tool("2nd"), rule=NameRule(64, letter_first=True))
    assert re.fullmatch(r"_2nd_[0-9a-f]{8}", first) and there(Tool("2nd")) == ["2nd"]


def test_two_tools_never_share_a_name() -> None:
    flat, nested = there(Tool("clock__sleep"), Tool("sleep", namespace="clock"))
    assert flat == "clock__sleep" and re.fullmatch(r"clock__sleep_[0-9a-f]{8}", nested)


def test_a_tool_of_the_history_that_is_not_offered_has_a_name_too() -> None:
    names = names_for(Request("m", (model(CallPart("c", "old.tool", "{}")),), tools=(Tool("ls"),)), RULE)
    assert re.fullmatch(r"old_tool_[0-9a-f]{8}", names.of("", "old.tool"))
    assert {tool.name for tool in names.back.values()} == {"ls", "old.tool"}


@given(offered=tools())
def test_every_tool_has_one_name_and_comes_back(offered: tuple[Tool, ...]) -> None:
    request = Request("m", (user("x"),), tools=offered)
    found = tool_names(request, RULE)
    assert sorted(map(repr, found.values())) == sorted(map(repr, offered))
    assert all(FIT.fullmatch(name) for name in found)
    names = names_for(request, RULE)
    assert [found[names.of(tool.namespace, tool.name)] for tool in offered] == list(offered)


@given(st.lists(st.text(min_size=1, max_size=60), unique=True), st.sampled_from([40, 64]))
def test_ids_fit_and_stay_apart(ids: list[str], limit: int) -> None:
    fitting = [fitting_id(each, limit) for each in ids]
    assert len(set(fitting)) == len(ids)
    assert all(re.fullmatch(rf"[A-Za-z0-9_-]{{1,{limit}}}", each) for each in fitting)
    assert [fitting_id(each, limit) for each in fitting] == fitting


def test_an_id_that_fits_stays() -> None:
    assert fitting_id("toolu_01ABC-x", 40) == "toolu_01ABC-x"
