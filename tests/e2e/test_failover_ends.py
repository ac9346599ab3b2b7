"""How an action with two bindings ends where neither answers, or one breaks off, or the client leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from e2e.asking import ASKED, QUESTION, Asker
from e2e.bound import FIRST, SECOND, forced, meet
from e2e.support import Rows, deserted, message_of, settled
from e2e.test_abort import H2, leave_by_reset, leave_politely, post, wait_for
from e2e.test_abort import connect as open_h1
from e2e.troubles import GOOD, SURFACES
from provider.answers import Answer, Break, Fault, How, Pace, Page, Step, Text, rate_limited
from provider.proxy import InProcessProxy, trust
from provider.standin import StandIn
from provider.traps import Trap

LONG = Answer((Text("Platform nine and three quarters, at eleven o'clock sharp. " * 3),))
ADDRESSES: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": (
        "https://api.anthropic.com/v1/messages",
        {"model": ASKED["anthropic"], "max_tokens": 50, "messages": [{"role": "user", "content": QUESTION}]},
    ),
    "openai_chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": ASKED["openai_chat"], "messages": [{"role": "user", "content": QUESTION}]},
    ),
    "openai_responses": (
        "https://api.openai.com/v1/responses",
        {"model": ASKED["openai_responses"], "input": QUESTION},
    ),
    "gemini": (
        f"https://generativelanguage.googleapis.com/v1beta/models/{ASKED['gemini']}:",
        {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
    ),
}
surfaces = pytest.mark.parametrize(
    "surface",
    [
        pytest.param(name, marks=() if name in ("anthropic", "openai_chat") else pytest.mark.slow)
        for name in SURFACES
    ],
)
both_ways = pytest.mark.parametrize("streamed", [True, False], ids=["stream", "body"])


@pytest.fixture
def plain(bindings: InProcessProxy, web: httpx2.Client) -> Callable[..., httpx2.Response]:
    """Asks without an SDK, to see every byte."""

    def ask(surface: str, streamed: bool) -> httpx2.Response:
        url, body = ADDRESSES[surface]
        if surface == "gemini":
            url += "streamGenerateContent?alt=sse" if streamed else "generateContent"
        else:
            body = {**body, "stream": streamed}
        return web.post(url, json=body, headers=forced(surface))

    return ask


# --- nobody answers -------------------------------------------------------------------------------

LAST: dict[str, tuple[Step, int]] = {
    "reset": (Answer(broken=Break(How.RESET)), 502),
    "reset after the head": (Answer(broken=Break(How.RESET, events=0)), 502),
    "silence": (Answer(broken=Break(How.STALL)), 504),
    "500": (Fault(500, "a trouble of theirs"), 500),
    "429": (rate_limited(7), 429),
    "HTML": (Page(b"<html>"), 502),
    "no events": (Page(b"", headers={"content-type": "text/event-stream"}), 502),
}


@surfaces
@both_ways
@pytest.mark.parametrize("name", LAST)
def test_when_all_fail_the_error_is_native_and_without_a_marker(
    plain: Callable[..., httpx2.Response],
    provider: StandIn,
    rows: Rows,
    surface: str,
    streamed: bool,
    name: str,
) -> None:
    step, status = LAST[name]
    if not streamed and name == "silence":
        pytest.skip("a body may take as long as it likes")
    meet(provider, surface, Fault(503, "no time"), step)
    answer = plain(surface, streamed)
    assert answer.status_code == status, answer.text
    assert message_of(answer, surface)
    assert "Pointsman" not in answer.text and "\u2063" not in answer.text
    assert [who for who, _ in provider.attempts] == [FIRST[surface], SECOND]
    if name == "429":
        assert answer.headers["retry-after"] == "7"
    row = rows.wait(lambda found: len(found) == 1 and bool(found[0]["error"]))[0]
    assert (len(json.loads(row["attempts"])) == 2 and not row["complete"]) or row["status"] == status


@surfaces
def test_an_error_that_the_last_binding_streams_reaches_the_client_without_a_marker(
    plain: Callable[..., httpx2.Response], provider: StandIn, rows: Rows, surface: str
) -> None:
    meet(provider, surface, Fault(503, "no time"), Answer(overload_after=0))
    answer = plain(surface, True)
    assert "Pointsman" not in answer.text and "\u2063" not in answer.text
    assert '"error"' in answer.text.replace("event: error", "")
    row = rows.wait(lambda found: len(found) == 1 and bool(found[0]["error"]))[0]
    assert len(json.loads(row["attempts"])) == 2 and (row["status"] == 502 or not row["complete"])


@surfaces
@both_ways
def test_a_connection_that_is_refused_is_tried_three_times_where_there_is_no_other(
    plain: Callable[..., httpx2.Response], provider: StandIn, surface: str, streamed: bool
) -> None:
    meet(provider, surface, Trap.REFUSED, Trap.REFUSED, Trap.RESET, Trap.REFUSED)
    answer = plain(surface, streamed)
    assert answer.status_code == 502 and "Pointsman" not in answer.text
    assert message_of(answer, surface)
    assert [who for who, _ in provider.attempts] == [FIRST[surface], *[SECOND] * 3]


@pytest.mark.parametrize("surface", ["anthropic", "openai_chat", "gemini"])
def test_after_the_prelude_the_end_of_all_attempts_is_an_error_in_the_stream(
    bindings: InProcessProxy,
    plain: Callable[..., httpx2.Response],
    provider: StandIn,
    account: str,
    surface: str,
) -> None:
    late = Fault(503, "no time", pace=Pace(head=0.2))
    meet(provider, surface, late, Fault(500, "a trouble of theirs"))
    with bindings.setting(router_prelude_grace_ms="0"):
        answer = plain(surface, True)
        assert answer.status_code == 200 and "Pointsman" in answer.text
        assert '"error"' in answer.text.replace("event: error", "")
        meet(provider, surface, late, Fault(500, "a trouble of theirs"))
        heard = Asker(surface, bindings, account)(True, forced(surface))
    assert heard.error and heard.text == "", heard
    assert len(provider.attempts) == 4


@pytest.mark.parametrize("surface", ["anthropic", "openai_chat", "gemini"])
def test_after_the_prelude_the_next_binding_still_answers(
    bindings: InProcessProxy,
    provider: StandIn,
    rows: Rows,
    account: str,
    surface: str,
) -> None:
    meet(provider, surface, Fault(503, "no time", pace=Pace(head=0.2)), GOOD)
    with bindings.setting(router_prelude_grace_ms="0"):
        heard = Asker(surface, bindings, account)(True, forced(surface))
    assert (heard.text, heard.markers, heard.error) == (GOOD.blocks[0].text, 1, "")  # type: ignore[union-attr]
    row = rows.wait(lambda found: len(found) == 1 and found[0]["complete"] is not None)[0]
    assert (row["status"], row["complete"], row["fallback_from"]) == (200, 1, "origin")


@surfaces
def test_a_fast_429_inside_the_grace_keeps_status_and_retry_after(
    bindings: InProcessProxy,
    provider: StandIn,
    account: str,
    surface: str,
) -> None:
    meet(provider, surface, rate_limited(9), rate_limited(7))
    with bindings.setting(router_prelude_grace_ms="2000"):
        heard = Asker(surface, bindings, account)(True, forced(surface))
    assert (heard.status, heard.markers) == (429, 0)
    assert heard.retry_after == "7"


# --- after the first bytes ------------------------------------------------------------------------


@surfaces
@pytest.mark.parametrize("how", [How.RESET, How.CLOSE, How.STALL])
@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
def test_after_bytes_of_an_answer_nothing_is_asked_again(
    bindings: InProcessProxy,
    provider: StandIn,
    rows: Rows,
    account: str,
    surface: str,
    how: How,
    second: bool,
) -> None:
    size = {"anthropic": 1100, "openai_chat": 1500, "openai_responses": 3500, "gemini": 1500}[surface]
    breaking = Answer(
        LONG.blocks, broken=Break(how, size=3000 if second and surface != "anthropic" else size)
    )
    meet(provider, surface, Fault(503) if second else breaking, breaking if second else GOOD)
    heard = Asker(surface, bindings, account)(True, forced(surface))
    assert heard.error and heard.markers == 1, heard
    said = LONG.blocks[0].text  # type: ignore[union-attr]
    assert heard.text and said.startswith(heard.text) and heard.text != said
    assert len(provider.attempts) == (2 if second else 1), provider.attempts
    row = rows.wait(lambda found: len(found) == 1 and found[0]["complete"] is not None)[0]
    assert row["error"] and not row["complete"]


# --- the client leaves ----------------------------------------------------------------------------

SLOW = Pace(head=30)
STATES: dict[str, tuple[Step | Trap, Step | Trap, int]] = {
    # what the bindings do, and how many attempts there have been when the client leaves
    "connecting": (Trap.SILENT, GOOD, 1),
    "waiting for the first": (Answer(pace=SLOW), GOOD, 1),
    "between head and event of the first": (Answer(pace=Pace(first=30)), GOOD, 1),
    "connecting to the second": (Fault(500), Trap.SILENT, 2),
    "waiting for the second": (Fault(500), Answer(pace=SLOW), 2),
    "between head and event of the second": (Fault(500), Answer(pace=Pace(first=30)), 2),
    "in the stream of the second": (Fault(500), Answer(LONG.blocks, broken=Break(How.STALL, size=900)), 2),
}


@pytest.mark.parametrize("grace", ["off", "0"])
@pytest.mark.parametrize("leave", [leave_politely, leave_by_reset, None], ids=["close", "reset", "h2 reset"])
@pytest.mark.parametrize("state", STATES)
def test_a_client_that_leaves_in_any_state_leaves_nothing_behind(
    bindings: InProcessProxy,
    provider: StandIn,
    rows: Rows,
    key: str,
    state: str,
    leave: Callable[[Any], None] | None,
    grace: str,
) -> None:
    first, second, attempts = STATES[state]
    meet(provider, "anthropic", first, second)
    asked = {"model": ASKED["anthropic"], "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}
    with bindings.setting(router_prelude_grace_ms=grace, router_first_byte_timeout_s=20):
        client = None
        if leave is None:
            client = H2(bindings)
            stream = client.post(key, {**asked, "stream": True})
        else:
            connection = open_h1(bindings)
            post(connection, key, json.dumps({**asked, "stream": True}).encode())
        wait_for(lambda: len(provider.attempts) == attempts)
        time.sleep(0.1)  # into the state
        if leave is not None:
            leave(connection)
        else:
            assert client is not None
            client.h2.reset_stream(stream)
            client.flush()
        settled(bindings)
        wait_for(lambda: all(each.gone or each.status == 500 for each in provider.messages))
        if client is not None:
            client.socket.close()
        deserted(bindings)
    assert len(provider.attempts) == attempts
    for row in rows.all():
        assert row["error"] and not row["complete"]


# --- the first byte -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_the_prelude_leaves_when_it_is_said_to(
    bindings: InProcessProxy,
    provider: StandIn,
    key: str,
    tmp_path: Path,
    http2: bool,
) -> None:
    asked = {"model": ASKED["anthropic"], "max_tokens": 50, "stream": True}
    asked["messages"] = [{"role": "user", "content": QUESTION}]
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01", **forced("anthropic")}
    took: dict[str, float] = {}
    with httpx2.Client(
        proxy=bindings.url, verify=trust(bindings.ca_file), headers=headers, http2=http2, timeout=10
    ) as http:
        http.post("https://api.anthropic.com/v1/messages", json=asked)
        for grace in ("0", "250", "off"):
            provider.script_at("anthropic", Answer(GOOD.blocks, pace=Pace(head=2.0)))
            with bindings.setting(router_prelude_grace_ms=grace, router_first_byte_timeout_s=20):
                before = time.monotonic()
                with http.stream("POST", "https://api.anthropic.com/v1/messages", json=asked) as answer:
                    next(answer.iter_raw())
                    took[grace] = time.monotonic() - before
                    assert GOOD.blocks
    assert took["0"] < 0.5 and 0.2 < took["250"] < 1.0 and took["off"] >= 2.0, took
