"""Streams as their providers send them, and what clients of the others get for them.

    SURFACE/SITUATION.sse         the same answer of each provider, in its own words
    FROM_to_TO/SITUATION.sse      what a client that speaks TO gets for it; of the same API, behind an opening

`python tests/streams/translated/golden.py` writes the latter anew: look at all differences before keeping it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).parent
SURFACES = ("anthropic", "gemini", "openai_chat", "openai_responses")
SITUATIONS = ("broken", "cut", "mixed", "refused", "text")
CREATED = 1_795_000_001
ANSWER = "01a1"
ASKED = "asked-model"


def request() -> Any:
    from pointsman.wire.neutral import Reasoning, Request, Tool

    tools = (Tool("get_signal"), Tool("set_point"))
    return Request(ASKED, (), tools=tools, reasoning=Reasoning(on=True, shown=True))


def source(surface: str, situation: str) -> bytes:
    """A provider's own stream."""
    return (HERE / surface / f"{situation}.sse").read_bytes()


def golden(provider: str, client: str, situation: str) -> Path:
    return HERE / f"{provider}_to_{client}" / f"{situation}.sse"


def machine(provider: str, client: str) -> Any:
    """What takes the provider's bytes and gives the client's, as a translation does."""
    from pointsman.surface import surfaces
    from pointsman.wire.translate import translation

    both: Any = surfaces()
    if provider != client:
        return translation(both[provider], both[client], request(), ANSWER, CREATED)
    rejoin = both[client].rejoin(ANSWER, ASKED, CREATED)
    opening = both[client].opening(ANSWER, ASKED, CREATED)
    return SimpleNamespace(feed=rejoin.feed, flush=rejoin.flush, begin=lambda: opening, failed=None)


def run(provider: str, client: str, chunks: Iterable[bytes]) -> bytes:
    """All that the client gets; where the provider fails, with the error that then ends the stream."""
    made = machine(provider, client)
    out = [made.begin()] if provider == client else []
    for chunk in chunks:
        out += made.feed(chunk)
    out += made.flush()
    if made.failed is not None:
        out.append(made.fail(made.failed.status, made.failed.message))
    return b"".join(out)


def record() -> None:
    for provider in SURFACES:
        for client in SURFACES:
            for situation in SITUATIONS:
                path = golden(provider, client, situation)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(run(provider, client, [source(provider, situation)]))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[2] / "addon"))
    record()
