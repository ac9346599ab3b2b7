"""A provider that does anything but answer well: the client's SDK understands what it would without a router.

Each trouble meets the same question twice, through bare mitmproxy and routed to another model. What the SDK
makes of it is of the same kind, the row says what happened, and nothing is left behind.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from e2e.asking import SERVED, Asker, Heard
from e2e.support import Rows
from e2e.troubles import GOOD, STREAMS, SURFACES, TROUBLES, Trouble
from provider.answers import Text
from provider.proxy import InProcessProxy, SubprocessProxy
from provider.record import Record
from provider.standin import StandIn

WAIT_S = 0.4
assert isinstance(GOOD.blocks[0], Text)
GOOD_TEXT = GOOD.blocks[0].text
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using Claude:UserWarning", "ignore:The model:DeprecationWarning"
)
ALL = [
    (name, surface, streamed, http2)
    for name, surface, streamed, http2 in itertools.product(TROUBLES, SURFACES, (True, False), (False, True))
    if streamed or name not in STREAMS
]
# All of them take minutes; by default these, each on one of the surfaces.
USUAL = {
    (name, SURFACES[number % 4], streamed, http2)
    for number, (name, streamed, http2) in enumerate(
        [
            ("reset before the head", True, False),
            ("close before the head", False, True),
            ("goaway after the head", True, True),
            ("reset after the head", True, False),
            ("close in an event", True, False),
            ("reset after 150 bytes", True, True),
            ("refuse after 150 bytes", False, True),
            ("stall in the stream", True, False),
            ("429 with a date", True, False),
            ("529 not to be retried", False, True),
            ("503 with HTML", True, False),
            ("HTML", False, False),
            ("no events", True, False),
            ("an empty body", False, True),
            ("JSON for a stream", True, True),
            ("a stream for JSON", False, False),
            ("octets", True, False),
            ("gzip", True, True),
            ("40 kB of headers", True, False),
            ("nothing said", True, False),
            ("an error after the start", True, True),
            ("an error after text", True, False),
            ("two events swapped", True, False),
            ("unknown event", True, False),
            ("unknown block", True, True),
            ("index twice", True, False),
        ]
    )
}


def cases() -> list[Any]:
    return [
        pytest.param(
            *case,
            id=f"{case[0]}-{case[1]}-{'stream' if case[2] else 'body'}-{'h2' if case[3] else 'h1'}",
            marks=() if case in USUAL else pytest.mark.slow,
        )
        for case in ALL
    ]


@pytest.mark.parametrize(("name", "surface", "streamed", "http2"), cases())
def test_the_client_is_told_what_it_would_be_told_without_a_router(
    bare_proxy: SubprocessProxy,
    proxy: InProcessProxy,
    provider: StandIn,
    rows: Rows,
    account: str,
    name: str,
    surface: str,
    streamed: bool,
    http2: bool,
) -> None:
    trouble = TROUBLES[name]
    provider.script(trouble.at(surface), trouble.at(surface))
    timeout = WAIT_S if trouble.waits else 10.0
    plain = Asker(surface, bare_proxy, account, http2, timeout)(streamed)
    expected = provider.last
    forced = {"x-router-model": SERVED[surface], "x-router-marker": "text"}
    routed = Asker(surface, proxy, account, http2, timeout)(streamed, forced)

    assert len(provider.messages) == 2
    assert same(plain, routed), (plain, routed)
    assert routed.markers <= 1
    assert (provider.last.status, provider.last.model) == (expected.status, SERVED[surface])
    found = rows.wait(lambda found: len(found) == 1 and found[0]["complete"] is not None)
    agrees(found[0], provider.last, trouble)


def same(plain: Heard, routed: Heard) -> bool:
    """Where a connection broke, a proxy that still held the head says 502. Better than that is good too."""
    if broke(plain) or broke(routed):
        return broke(plain) and (broke(routed) or routed.text == GOOD_TEXT)
    if (plain.kind, plain.status, plain.retry_after) != (routed.kind, routed.status, routed.retry_after):
        return False
    return plain.text == routed.text


def broke(heard: Heard) -> bool:
    return heard.kind == "lost" or heard.status == 502


def agrees(row: dict[str, Any], record: Record, trouble: Trouble) -> None:
    """The row says what the provider did."""
    if row["status"] is None:  # the head was never read to its end
        assert record.gone or record.broken or trouble is TROUBLES["1 MB of headers"], row
        assert row["error"] and not row["complete"]
        return
    assert row["status"] == record.status
    if record.broken:
        assert row["error"] and not row["complete"]
    elif record.status != 200:
        assert row["error"]
    elif trouble.whole is not None:
        assert bool(row["complete"]) == trouble.whole, row
        assert not (trouble.whole and row["error"]), row
    elif trouble.fails:
        assert row["error"]
    if row["message_id"] and record.message is not None:
        assert row["message_id"] == record.message.id
