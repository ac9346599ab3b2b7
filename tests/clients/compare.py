"""What two lines must have in common, and what a router must leave alone on its own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any

from clients.line import Exchange, Provider, without_billing
from clients.scenarios import Seen
from mitmproxy import http
from provider.anthropic.cache import _segments
from provider.anthropic.family import is_background
from provider.standin import SENTINEL, Record

ROUTER = "x-router-"
FRAMING = frozenset({"connection", "content-length", "content-encoding", "transfer-encoding"})
VOLATILE = frozenset({"date", "request-id", "cf-ray"})
OURS = frozenset({"content-length", "accept-encoding", "transfer-encoding"})  # in requests


def facts(seen: Seen) -> dict[str, Any]:
    """All that may not depend on the line. Model, marker and x-router-* are left out."""
    asked = asked_bodies(seen)
    return {
        "exit code": [run.code for run in seen.runs],
        "final text": [run.text for run in seen.runs],
        "ending": [run.ending for run in seen.runs],
        "shown": [_shown(run.blocks) for run in seen.runs],
        "status": [record.status for record in seen.main],
        "retry count": [record.request.header("x-stainless-retry-count") for record in seen.main],
        "retries": _retries(asked),
        "streamed": [body.get("stream") is True for body in asked],
        "ended": [_ended(record) for record in seen.main],
        "asked model": [body["model"] for body in asked],
        "messages": [len(body["messages"]) for body in asked],
        "background": sum(record.body is not None and is_background(record.body) for record in seen.all),
        "unused answers": seen.unused,
    }


def heads(seen: Seen) -> list[tuple[int, list[tuple[str, str]]]]:
    """Status and stable headers of each answer in the conversation, as the client saw them."""
    assert seen.exchanges is not None
    found = [exchange.response for exchange in main_exchanges(seen.exchanges) if exchange.response]
    return [(response.status_code, _stable(response.headers.items(multi=True))) for response in found]


def main_exchanges(exchanges: Iterable[Exchange]) -> list[Exchange]:
    return [each for each in exchanges if _is_main(each)]


def asked_bodies(seen: Seen) -> list[Mapping[str, Any]]:
    """What the client itself sent; on the direct line that is what arrived."""
    if seen.exchanges is None:
        return [record.body for record in seen.main]
    return [_json(exchange.request) for exchange in main_exchanges(seen.exchanges)]


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
    prompts = [_blocks(record) for record in records]
    return [
        0 if index is None else len(prompts[index]) - _common(prompts[index], prompt)
        for index, prompt in zip(before, prompts, strict=True)
    ]


def _blocks(record: Record) -> list[str]:
    return [hashlib.sha256(data).hexdigest() for data, _ in _segments(without_billing(record.body))]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def check_line(provider: Provider, seen: Seen) -> None:
    """Nothing of the router's arrived, and nothing was changed that is not the router's to change."""
    provider.check()
    if seen.exchanges is None:
        return
    for exchange in seen.exchanges:
        _check_head(provider, exchange)
    pairs = list(zip(main_exchanges(seen.exchanges), seen.main, strict=True))
    for exchange, record in pairs:
        _check_request(exchange.request, record)
    _check_others(seen)


def _check_head(provider: Provider, exchange: Exchange) -> None:
    """The client saw the provider's head, whole and as it was."""
    response = exchange.response
    if response is None or "request-id" not in response.headers:
        return
    sent = provider.heads[response.headers["request-id"]]
    assert _carried(response.headers.items(multi=True)) == _carried(sent)


def _check_request(asked: http.Request, record: Record) -> None:
    assert _request_headers(asked.headers.items(multi=True)) == _request_headers(record.request.headers)
    data = asked.raw_content or b""
    if _json(asked)["model"] == record.model and SENTINEL.encode() not in data:
        assert record.request.body == data


def _check_others(seen: Seen) -> None:
    """What is no part of the conversation (titles, telemetry, …) arrived as it was sent."""
    assert seen.exchanges is not None
    others = [each.request for each in seen.exchanges if not _is_main(each)]
    sent = Counter(
        (each.method, each.path, _frozen(each.headers.items(multi=True)), each.raw_content or b"")
        for each in others
    )
    main = {id(record) for record in seen.main}
    arrived = Counter(
        (each.request.method, each.request.target, _frozen(each.request.headers), each.request.body)
        for each in seen.all
        if id(each) not in main
    )
    assert not arrived - sent


def _frozen(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers)


def _request_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in OURS]


def _carried(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    lowered = ((name.lower(), value) for name, value in headers)
    return [each for each in lowered if each[0] not in FRAMING and not each[0].startswith(ROUTER)]


def _stable(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names of all, values of those that are not another one each time."""
    volatile = VOLATILE | {name for name, _ in headers if name.lower().startswith("anthropic-")}
    return [(name, "" if name in volatile else value) for name, value in _carried(headers)]


def _retries(asked: Sequence[Mapping[str, Any]]) -> int:
    """Requests with the same history as the one before."""
    histories = [json.dumps(body["messages"], sort_keys=True) for body in asked]
    return sum(one == other for one, other in pairwise(histories))


def _ended(record: Record) -> str:
    return "whole" if record.complete else "client left" if record.gone else "cut by the provider"


def _shown(blocks: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a program that reads stream-json sees of the answers, without ids, signatures and markers."""
    seen = [(block["type"], block.get("text", "") or json.dumps(block.get("input", ""))) for block in blocks]
    return [f"{kind} {text}" for kind, text in seen if SENTINEL not in text]


def _is_main(exchange: Exchange) -> bool:
    """Is it a request of the conversation itself?"""
    messages = exchange.request.path.partition("?")[0] == "/v1/messages"
    return messages and not is_background(_json(exchange.request))


def _json(request: http.Request) -> dict[str, Any]:
    value = json.loads(request.raw_content or b"{}")
    assert isinstance(value, dict)
    return value


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
