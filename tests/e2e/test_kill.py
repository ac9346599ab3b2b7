"""kill -9 loses nothing that a client has seen: the row is on disk before the bytes leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from provider.answers import Answer, Call, Pace, Text
from provider.proxy import SubprocessProxy, trust
from provider.standin import Record, StandIn

CLIENTS = 50
ENDINGS = ("input_tokens", "output_tokens", "cache_read_input_tokens")


@dataclass
class Seen:
    """What one client has received of one answer, byte by byte: nothing here may be missing on disk."""

    decision: str
    message: str = ""
    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    whole: bool = False


def answer(record: Record) -> Answer:
    pace = Pace(head=0.01, first=0.02, between=0.02 * (record.number % 4))
    return Answer((Text(f"Platform {record.number}. " * 3), Call("t", {"n": record.number})), pace=pace)


async def client(number: int, proxy: SubprocessProxy, seen: list[Seen]) -> None:
    """Ask again and again, streamed and not, until the proxy is gone."""
    headers = {"x-api-key": f"sk-ant-api03-c{number}", "anthropic-version": "2023-06-01"}
    if number % 3:
        headers["x-router-model"] = "claude-haiku-4-5"
    async with httpx2.AsyncClient(
        proxy=proxy.url, verify=trust(proxy.ca_file), headers=headers, timeout=20, http2=number % 2 == 0
    ) as http:
        with contextlib.suppress(httpx2.HTTPError):
            for turn in range(1000):
                await ask(http, number, turn, seen)


async def ask(http: httpx2.AsyncClient, number: int, turn: int, seen: list[Seen]) -> None:
    body = {
        "model": "claude-opus-4-8",
        "max_tokens": 100,
        "stream": bool((number + turn) % 4),
        "messages": [{"role": "user", "content": f"Client {number % 7} asks about train {turn}"}],
    }
    async with http.stream("POST", "https://api.anthropic.com/v1/messages", json=body) as got:
        assert got.status_code == 200, got.status_code
        now = Seen(got.headers["x-router-decision"])
        seen.append(now)
        data = b""
        async for chunk in got.aiter_bytes():
            data += chunk
            if body["stream"]:
                data = read_events(data, now)
        if not body["stream"]:
            said = json.loads(data)
            now.message, now.end, now.whole = said["id"], said["usage"], True


def read_events(data: bytes, seen: Seen) -> bytes:
    """Note the ids and counts of the whole events in `data`; what is left is returned."""
    *events, rest = data.split(b"\n\n")
    for event in events:
        value = json.loads(event.partition(b"data: ")[2] or b"{}")
        if value.get("type") == "message_start":
            seen.message, seen.start = value["message"]["id"], value["message"]["usage"]
        elif value.get("type") == "message_delta":
            seen.end = value["usage"]
        elif value.get("type") == "message_stop":
            seen.whole = True
    return rest


async def crowd(proxy: SubprocessProxy, seconds: float, seen: list[Seen]) -> None:
    """Fifty at once; the kill falls while they are under way."""
    clients = [asyncio.create_task(client(number, proxy, seen)) for number in range(CLIENTS)]
    while not seen and not all(one.done() for one in clients):
        await asyncio.sleep(0.005)  # until the first answer's head has arrived
    await asyncio.sleep(seconds)
    proxy.kill()
    for done in await asyncio.gather(*clients, return_exceptions=True):
        assert done is None or isinstance(done, (OSError, RuntimeError)), repr(done)


def missing(database: Path, seen: list[Seen]) -> list[str]:
    """What clients know and the database does not."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    rows = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM decisions")}
    connection.close()
    lost = []
    for one in seen:
        row = rows.get(one.decision)
        if row is None:
            lost.append(f"decision {one.decision}")
            continue
        if one.message and row["message_id"] != one.message:
            lost.append(f"message {one.message}: {row['message_id']}")
        if one.start and row["input_tokens"] != one.start["input_tokens"]:
            lost.append(f"input of {one.decision}: {row['input_tokens']}")
        if one.end and row["output_tokens"] != one.end["output_tokens"]:
            lost.append(f"output of {one.decision}: {row['output_tokens']}")
        if one.whole and not row["complete"]:
            lost.append(f"completion of {one.decision}")
    return lost


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_nothing_that_a_client_received_is_lost(tmp_path: Path, rounds: int) -> None:
    luck = random.Random(20261121 + rounds)
    database = tmp_path / "pointsman.sqlite"
    counts = {"answers": 0, "with an id": 0, "with final usage": 0, "whole": 0}
    (tmp_path / "standin").mkdir()
    with StandIn(tmp_path / "standin", responder=answer) as provider:
        proxy = SubprocessProxy(provider, tmp_path, settings={"router_db": database, "flow_detail": 0})
        for number in range(rounds):
            seen: list[Seen] = []
            proxy.start()
            asyncio.run(crowd(proxy, luck.uniform(0.0, 1.5), seen))
            lost = missing(database, seen)
            assert not lost, (number, lost[:10], len(lost), len(seen))
            counts["answers"] += len(seen)
            counts["with an id"] += sum(bool(one.message) for one in seen)
            counts["with final usage"] += sum(bool(one.end) for one in seen)
            counts["whole"] += sum(one.whole for one in seen)
        provider.check()
    print(f"{rounds} kills, {CLIENTS} clients: {counts}")
    assert counts["with an id"] > rounds * 3
    assert counts["answers"] > counts["whole"] > 0
