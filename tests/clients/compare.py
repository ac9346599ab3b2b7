"""What two lines must have in common, and what a router must leave alone on its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

from clients import asked
from clients.client import MARKER, unmarked
from clients.line import Line
from clients.play import Seen
from clients.provider import is_main
from clients.recorder import Exchange
from mitmproxy import http
from provider.inspection import SENTINEL
from provider.record import Record
from provider.server import Request

ROUTER = "x-router-"
FRAMING = frozenset({"connection", "content-length", "content-encoding", "transfer-encoding"})
VOLATILE = frozenset(
    {
        "date",
        "request-id",
        "x-request-id",
        "cf-ray",
        "openai-processing-ms",
        "x-codex-turn-state",
        "server-timing",
    }
)
VOLATILE_STARTS = ("anthropic-", "x-ratelimit-")
MODEL_HEADERS = frozenset({"openai-model"})  # an answer's, which a router has to keep at what was asked for
OURS = frozenset({"content-length", "accept-encoding", "transfer-encoding"})  # in requests


def facts(seen: Seen) -> dict[str, Any]:
    """All that may not depend on the line. Model, marker and x-router-* are left out."""
    sent = asked_records(seen)
    arrived = _unmarked_records(sent, seen.main)
    return {
        "exit code": [run.code for run in seen.runs],
        "final text": [unmarked(run.text) for run in seen.runs],
        "ending": [run.ending for run in seen.runs],
        "shown": [_without_markers(run.shown) for run in seen.runs],
        "models": [run.models for run in seen.runs],
        "status": [record.status for record in seen.main],
        "retry count": [record.request.header("x-stainless-retry-count") for record in seen.main],
        "retries": _retries(arrived),
        "streamed": [asked.streams(record) for record in sent],
        "ended": [_ended(record) for record in seen.main],
        "asked model": [record.model for record in sent],
        "messages": [len(asked.history(record)) for record in arrived],
        "background": sum(record.generates and not is_main(record) for record in seen.all),
        "unused answers": seen.unused,
    }


def heads(seen: Seen) -> list[tuple[int, list[tuple[str, str]]]]:
    """Status and stable headers of each answer in the conversation, as the client saw them."""
    assert seen.exchanges is not None
    found = [exchange.response for exchange, _ in main_exchanges(seen) if exchange.response]
    return [(response.status_code, _stable(response.headers.items(multi=True))) for response in found]


def main_exchanges(seen: Seen) -> list[tuple[Exchange, Record]]:
    """Each exchange of the conversation, with what its request says."""
    read = [(exchange, asked.read(exchange.request)) for exchange in seen.exchanges or ()]
    return [(exchange, record) for exchange, record in read if is_main(record)]


def asked_records(seen: Seen) -> list[Record]:
    """What the client itself sent; on the direct line that is what arrived."""
    if seen.exchanges is None:
        return list(seen.main)
    return [record for _, record in main_exchanges(seen)]


def cached_before(records: Sequence[Record]) -> list[int | None]:
    """For each prompt the index of the last one before it that the same model served: what it can read."""
    last: dict[str, int] = {}
    found = []
    for index, record in enumerate(records):
        found.append(last.get(record.model))
        last[record.model] = index
    return found


def lost_prefix(records: Sequence[Record], before: Sequence[int | None]) -> list[int]:
    """For each prompt: how many blocks of the one `before` it are not its beginning, so cannot be read."""
    prompts = [asked.blocks(record) for record in records]
    return [
        0 if index is None else len(prompts[index]) - _common(prompts[index], prompt)
        for index, prompt in zip(before, prompts, strict=True)
    ]


def losses(records: Sequence[Record], before: Sequence[int | None]) -> list[str]:
    """For a failure's message: where each prompt leaves the one `before` it."""
    found = []
    for number, index in enumerate(before):
        one = asked.blocks(records[number if index is None else index])
        other = asked.blocks(records[number])
        at = _common(one, other)
        for left, right in list(zip(one, [*other, b""], strict=False))[at : at + 1]:
            begin = max(_common(left, right) - 40, 0)
            found.append(f"{number}, block {at}: {left[begin:][:200]!r} → {right[begin:][:200]!r}")
    return found


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def check_line(line: Line, seen: Seen) -> None:
    """Nothing of the router's arrived, and nothing was changed that is not the router's to change."""
    line.provider.check()
    if seen.exchanges is None:
        return
    for (exchange, wanted), record in zip(main_exchanges(seen), seen.main, strict=True):
        _check_request(exchange.request, wanted, record)
        if exchange.response is not None:
            _check_head(exchange.response, line.provider.heads[record.request_id], wanted.model)
    _check_others(line)


def _check_head(response: http.Response, sent: Sequence[tuple[str, str]], model: str) -> None:
    """The client saw the provider's head, whole and as it was, but for the name of the model."""
    expected = [(name, model if name in MODEL_HEADERS else value) for name, value in _carried(sent)]
    assert _carried(response.headers.items(multi=True)) == expected


def _check_request(sent: http.Request, wanted: Record, record: Record) -> None:
    assert _request_headers(sent.headers.items(multi=True)) == _request_headers(record.request.headers)
    data = sent.raw_content or b""
    assert sent.path.replace(wanted.model, record.model) == record.request.target
    if wanted.model == record.model and SENTINEL.encode() not in data:
        assert record.request.body == data


def _check_others(line: Line) -> None:
    """What is no part of the conversation (titles, telemetry, …) arrived as it was sent, up to now.

    Not scenario by scenario: a client's telemetry may arrive when it has ended. A marker that it
    repeats is taken out; then the body is another one.
    """
    others = [each for each in list(line.exchanges or ()) if not is_main(asked.read(each.request))]
    sent = [_Other.of(each.request) for each in others]
    left = [_Other.of(each.request) for each in list(line.provider.records) if not is_main(each)]
    marked = {each.head for each in sent if SENTINEL.encode() in each.body}
    arrived = Counter(each.told(marked) for each in left)
    assert not arrived - Counter(each.told(marked) for each in sent)
    for response in (each.response for each in others if each.response is not None):
        if (number := response.headers.get("request-id")) is not None:
            _check_head(response, line.provider.heads[number], "")


@dataclass(frozen=True, slots=True)
class _Other:
    """A request that is no part of the conversation, at either end."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, request: http.Request | Request) -> _Other:
        """HTTP/2 has no host header; its own field for it is not among the headers."""
        if isinstance(request, Request):
            path, body, headers = request.target, request.body, iter(request.headers)
        else:
            path, body, headers = request.path, request.raw_content or b"", request.headers.items(multi=True)
        kept = tuple((name.lower(), value) for name, value in headers if name.lower() != "host")
        return cls(request.method, path, kept, body)

    @property
    def head(self) -> tuple[Any, ...]:
        kept = tuple(each for each in self.headers if each[0] != "content-length")
        return self.method, self.path, kept

    def told(self, marked: set[tuple[Any, ...]]) -> tuple[Any, ...]:
        """What has to be the same; where clients repeat markers that is not the body."""
        return self.head if self.head in marked else (*self.head, self.body)


def _request_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in OURS]


def _carried(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    lowered = ((name.lower(), value) for name, value in headers)
    return [each for each in lowered if each[0] not in FRAMING and not each[0].startswith(ROUTER)]


def _stable(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names of all, values of those that are not another one each time."""
    return [(name, "" if _is_volatile(name) else value) for name, value in _carried(headers)]


def _is_volatile(name: str) -> bool:
    return name in VOLATILE or name.startswith(VOLATILE_STARTS)


def _unmarked_records(sent: Sequence[Record], arrived: Sequence[Record]) -> list[Record]:
    """What was sent; where markers are in it, what arrived: one may be a message of its own."""
    pairs = [(record, SENTINEL.encode() in record.request.body) for record in sent]
    return [other if marked else one for (one, marked), other in zip(pairs, arrived, strict=True)]


def _without_markers(shown: Iterable[str]) -> list[str]:
    """A text goes where nothing but the name of its kind is left of it."""
    cut = [(text, MARKER.sub("", text)) for text in shown]
    return [left for text, left in cut if left == text or len(left.split()) > 1]


def _retries(sent: Sequence[Record]) -> int:
    """Requests with the same history as the one before."""
    histories = [json.dumps(asked.history(record), sort_keys=True) for record in sent]
    return sum(one == other for one, other in pairwise(histories))


def _ended(record: Record) -> str:
    return "whole" if record.complete else "client left" if record.gone else "cut by the provider"


def table(rows: Sequence[tuple[str, str, Seen]]) -> str:
    """(scenario, line, what was seen) as lines of text."""
    head = ("scenario", "line", "exit", "statuses", "retries", "lost prefix", "read", "served")
    lines = [head, *[_row(*row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in text)


def _row(scenario: str, line: str, seen: Seen) -> tuple[str, ...]:
    models = list(dict.fromkeys(record.model.removeprefix("claude-") for record in seen.main))
    told = facts(seen)
    return (
        scenario,
        line,
        _shortly([str(code) for code in told["exit code"]]),
        _shortly([str(status) for status in told["status"]]),
        str(told["retries"]),
        _shortly([str(count) for count in lost_prefix(seen.main, cached_before(seen.main))]),
        f"{sum(record.counted.read for record in seen.main if record.counted) / 1000:.1f}k",
        ", ".join(models),
    )


def _shortly(words: Sequence[str]) -> str:
    """Like "2×529 200": runs of the same word are counted."""
    runs: list[list[Any]] = []
    for word in words:
        if runs and runs[-1][0] == word:
            runs[-1][1] += 1
        else:
            runs.append([word, 1])
    return " ".join(word if count == 1 else f"{count}×{word}" for word, count in runs)
