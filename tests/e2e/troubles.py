"""Everything that a provider may do instead of answering well, as steps for the stand-in, by name.

Where the bytes differ from surface to surface there is a step for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider.answers import Answer, Break, Call, Fault, Given, How, Page, Step, Text, big_headers

SURFACES = ("anthropic", "openai_chat", "openai_responses", "gemini")
GOOD = Answer((Text("Platform nine and three quarters."),))
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
DATE = "Sun, 29 Nov 2099 02:00:00 GMT"
HTML = b"<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A step, or one per surface. `whole` says whether a stream so sent is an answer that ended as it should.

    None: nobody can say, or the surfaces differ. `waits`: the client has to give up by itself.
    `fails`: the stream says so itself.
    """

    step: Step | Mapping[str, Step]
    whole: bool | None = False
    waits: bool = False
    fails: bool = False

    def at(self, surface: str) -> Step:
        return self.step[surface] if isinstance(self.step, Mapping) else self.step


def _broken(how: How, **where: Any) -> Trouble:
    return Trouble(replace(GOOD, broken=Break(how, **where)), waits=how is How.STALL)


def _status(status: int, **headers: str) -> Trouble:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Trouble(Fault(status, f"trouble number {status}", headers=names))


def _mangled(mangle: Callable[[list[bytes]], list[bytes]], whole: bool | None = None) -> Trouble:
    return Trouble(replace(GOOD, mangle=mangle), whole)


def _changed(old: Mapping[str, str], new: str) -> Trouble:
    """With another text in the place of one, in every event."""

    def change(before: str) -> Step:
        return replace(
            GOOD,
            blocks=(Text("Platform nine."), Call("look", {"where": "there"})),
            mangle=lambda frames: [frame.replace(before.encode(), new.encode()) for frame in frames],
        )

    return Trouble({surface: change(before) for surface, before in old.items()}, None)


def _inserted(events: Mapping[str, Any]) -> Trouble:
    """With an event that nobody knows in the middle."""

    def insert(event: Any) -> Step:
        name = f"event: {event['type']}\n" if "type" in event else ""
        frame = f"{name}data: {json.dumps(event)}\n\n".encode()
        return replace(GOOD, mangle=lambda frames: [*frames[:3], frame, *frames[3:]])

    return Trouble({surface: insert(event) for surface, event in events.items()}, None)


def _per_surface(**steps: Step) -> Trouble:
    return Trouble(steps, None)


UNKNOWN = {"type": "hologram", "beams": [1, 2]}
BREAKS: dict[str, Trouble] = {
    f"{how.value} {where}": _broken(how, **given)
    for how in (How.RESET, How.CLOSE, How.GOAWAY, How.REFUSE)
    for where, given in {
        "before the head": {},
        "after the head": {"events": 0},
        "in an event": {"events": 2, "half": True},
        "after 150 bytes": {"size": 150},
    }.items()
}
STALLS = {
    "silence": _broken(How.STALL),
    "silence after the head": _broken(How.STALL, events=0),
    "stall in the stream": _broken(How.STALL, size=150),
}
STATUSES = {
    **{
        str(status): _status(status)
        for status in (400, 401, 402, 403, 404, 408, 409, 425, 500, 502, 503, 529)
    },
    "429": _status(429),
    "429 with seconds": _status(429, retry_after="7"),
    "429 with a date": _status(429, retry_after=DATE),
    "429 not to be retried": _status(429, retry_after="7", x_should_retry="false"),
    "500 to be retried": _status(500, x_should_retry="true"),
    "529 not to be retried": _status(529, x_should_retry="false"),
    "503 with HTML": Trouble(Page(HTML, 503)),
    "500 without a body": Trouble(Page(b"", 500, JSON)),
    "429 with half a body": Trouble(Fault(429, "trouble number 429", broken=Break(How.RESET, size=20))),
}
CONTENTS = {
    "HTML": Trouble(Page(HTML)),
    "HTML for a stream": Trouble(Page(HTML, headers=SSE)),
    "no events": Trouble(Page(b"", headers=SSE)),
    "only a comment": Trouble(Page(b": busy\n\n", headers=SSE)),
    "an empty body": Trouble(Page(b"", headers=JSON)),
    "JSON that is cut": Trouble(Page(b'{"id":"x","content":[', headers=JSON)),
    "JSON for a stream": Trouble(replace(GOOD, streamed=False), None),
    "a stream for JSON": Trouble(replace(GOOD, streamed=True), None),
    "plain text": Trouble(replace(GOOD, headers={"content-type": "text/plain"}), None),
    "octets": Trouble(replace(GOOD, headers={"content-type": "application/octet-stream"}), None),
    "no content type": Trouble(replace(GOOD, headers={"content-type": ""}), None),
    **{coding: Trouble(replace(GOOD, encoding=coding), True) for coding in ("gzip", "deflate", "br")},
    "called gzip": Trouble(replace(GOOD, headers={"content-encoding": "gzip"}), None),
    "1 MB of headers": Trouble(replace(GOOD, headers=big_headers(1 << 20)), None),
    "40 kB of headers": Trouble(replace(GOOD, headers=big_headers(40_000)), True),
    "nothing said": Trouble(replace(GOOD, blocks=(), think=None), None),
}
STREAMS = {
    "an error at once": Trouble(replace(GOOD, overload_after=0), None, fails=True),
    "an error after the start": Trouble(replace(GOOD, overload_after=1), None, fails=True),
    "an error after text": Trouble(replace(GOOD, overload_after=4), None, fails=True),
    "no start": _mangled(lambda frames: frames[1:]),
    "no end": _mangled(lambda frames: frames[:-1]),
    "no two ends": _mangled(lambda frames: frames[:-2]),
    "all twice": _mangled(lambda frames: [frame for frame in frames for _ in range(2)]),
    "backwards": _mangled(lambda frames: frames[::-1]),
    "two events swapped": _mangled(lambda frames: [*frames[:2], frames[3], frames[2], *frames[4:]]),
    "the end first": _mangled(lambda frames: [frames[-1], *frames[:-1]]),
    "not JSON": _mangled(lambda frames: [*frames[:3], b"data: {nonsense\n\n", *frames[3:]]),
    "data is a list": _mangled(lambda frames: [*frames[:3], b"data: [1]\n\n", *frames[3:]]),
    "index twice": _changed(
        {
            "anthropic": '"index":1',
            "openai_chat": '"index": 1',
            "openai_responses": '"output_index": 1',
            "gemini": '"index": 1',
        },
        '"index":0',
    ),
    "unknown event": _inserted(
        {**dict.fromkeys(SURFACES[:1], UNKNOWN), "openai_chat": {"beams": 1}}
        | {"openai_responses": UNKNOWN | {"sequence_number": 3}, "gemini": {"beams": 1}}
    ),
    "unknown block": _per_surface(
        anthropic=Answer((Given(UNKNOWN), Text("Nine."))),
        openai_chat=Answer((Given({"hologram": [1, 2]}), Text("Nine."))),
        openai_responses=Answer((Given(UNKNOWN | {"id": "hg_1"}), Text("Nine."))),
        gemini=Answer((Given({"hologram": {"beams": 2}}), Text("Nine."))),
    ),
}
TROUBLES: dict[str, Trouble] = {**BREAKS, **STALLS, **STATUSES, **CONTENTS, **STREAMS}
