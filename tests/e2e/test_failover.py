"""A binding that fails before its answer begins: the next one answers, and the client sees that alone."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from e2e.asking import Asker, Heard
from e2e.bound import FIRST, SECOND, forced, meet
from e2e.support import Rows
from e2e.troubles import BREAKS, CONTENTS, STALLS, STATUSES, STREAMS, SURFACES, Trouble
from provider.answers import Answer, Fault, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn
from provider.traps import Trap

ELSEWHERE = "Served elsewhere, on time."
THERE = Answer((Text(ELSEWHERE),))
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using Claude:UserWarning", "ignore:The model:DeprecationWarning"
)


NOT_MOVING = {"400", "429 not to be retried", "529 not to be retried"}
UNTIMED = {"silence", "silence after the head", "silent handshake"}  # a body may take as long as it likes


def unsaid(trouble: Trouble) -> Trouble:
    """Without the header by which Anthropic wishes not to be asked again: that wish is another test's."""
    step = trouble.step
    if not isinstance(step, Fault) or "x-should-retry" in step.headers:
        return trouble
    return replace(trouble, step=replace(step, headers={**step.headers, "x-should-retry": ""}))


MOVING: dict[str, Trouble | Trap] = {
    **{trap.value: trap for trap in Trap},
    **{name: trouble for name, trouble in BREAKS.items() if name.endswith("the head")},
    **{name: STALLS[name] for name in ("silence", "silence after the head")},
    **{name: unsaid(trouble) for name, trouble in STATUSES.items() if name not in NOT_MOVING},
    **{name: CONTENTS[name] for name in ("HTML", "HTML for a stream", "no events", "only a comment")},
    **{name: CONTENTS[name] for name in ("an empty body", "JSON that is cut", "nothing said")},
    "an error at once": STREAMS["an error at once"],
}
ALL = [
    (name, surface, streamed, client, upstream)
    for name, surface, streamed, client, upstream in itertools.product(
        MOVING, SURFACES, (True, False), ("h1", "h2"), ("h1", "h2")
    )
    if streamed or (name not in STREAMS and name not in UNTIMED and name != "nothing said")
]
USUAL = {
    (name, SURFACES[number % 4], number % 3 > 0 or name in STREAMS, client, upstream)
    for number, (name, (client, upstream)) in enumerate(
        zip(
            [
                *("refused", "connection reset", "no TLS", "strange certificate", "reset before the head"),
                *("goaway before the head", "refuse before the head", "close after the head", "silence"),
                *("401", "403", "429 with seconds", "500", "529", "503 with HTML", "429 with half a body"),
                *("HTML", "no events", "an empty body", "nothing said", "an error at once"),
            ],
            itertools.cycle(itertools.product(("h1", "h2"), ("h1", "h2"))),
            strict=False,
        )
    )
}


def cases() -> list[Any]:
    found = []
    for case in ALL:
        name, surface, streamed, client, upstream = case
        words = f"{name}-{surface}-{'stream' if streamed else 'body'}-{client}-{upstream}"
        found.append(pytest.param(*case, id=words, marks=() if case in USUAL else pytest.mark.slow))
    return found


@pytest.mark.parametrize(("name", "surface", "streamed", "client", "upstream"), cases())
def test_the_next_binding_answers_once_and_cleanly(
    bindings: InProcessProxy,
    provider: StandIn,
    rows: Rows,
    account: str,
    name: str,
    surface: str,
    streamed: bool,
    client: str,
    upstream: str,
) -> None:
    failing = MOVING[name]
    first = FIRST[surface]
    meet(provider, surface, failing if isinstance(failing, Trap) else failing.at(surface), THERE)
    with provider.speaking(upstream):
        heard = Asker(surface, bindings, account, client == "h2", 5.0)(streamed, forced(surface))
    assert heard == Heard(ELSEWHERE, 1), heard
    assert [who for who, _ in provider.attempts] == [first, SECOND], provider.attempts
    agrees(rows, provider, fallback="origin")


def agrees(rows: Rows, provider: StandIn, fallback: str | None) -> None:
    """The row says what was tried, who served, and what it counted."""
    row = rows.wait(lambda found: len(found) == 1 and found[0]["complete"] is not None)[0]
    last = provider.last
    assert (row["status"], row["complete"], row["error"]) == (200, 1, None), row
    assert row["fallback_from"] == fallback
    tried = json.loads(row["attempts"]) if row["attempts"] else [{}]
    assert len(tried) == len(provider.attempts)
    assert (row["upstream_provider"] or "origin").startswith("openrouter" if fallback else "origin")
    assert row["output_tokens"] == last.message.output_tokens
    cached = (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0)
    assert row["input_tokens"] + cached == last.counted.total


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("name", sorted(NOT_MOVING))
def test_what_no_other_binding_would_mend_is_the_clients_to_see(
    bindings: InProcessProxy, provider: StandIn, account: str, surface: str, streamed: bool, name: str
) -> None:
    provider.script_at(FIRST[surface], STATUSES[name].at(surface))
    heard = Asker(surface, bindings, account)(streamed, forced(surface))
    assert heard.status == (503 if name.startswith("529") and surface != "anthropic" else int(name[:3]))
    assert heard.markers == 0 and heard.text == ""
    assert len(provider.attempts) == 1
