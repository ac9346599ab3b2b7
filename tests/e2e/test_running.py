"""The proxy as something that runs: many clients, kept-alive connections, restarts, saved flows, secrets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import Rows, Sdk
from provider.answers import Answer, Pace, Text
from provider.proxy import InProcessProxy, SubprocessProxy, trust
from provider.resolve import Addresses
from provider.standin import Record, StandIn

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
ASK: dict[str, Any] = {
    "model": OPUS,
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Which platform?"}],
}
TO_HAIKU = {"x-router-model": HAIKU}


def echo(record: Record) -> Answer:
    words = record.body["messages"][-1]["content"]
    return Answer((Text(f"{words} {record.model}"),), pace=Pace(head=0.01, between=0.002))


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_sixty_clients_at_once_get_their_own_answers(
    proxy: InProcessProxy, provider: StandIn, rows: Rows, key: str, http2: bool
) -> None:
    provider.responder = echo
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}

    async def one(http: httpx2.AsyncClient, number: int) -> None:
        target = (HAIKU, OPUS, "claude-sonnet-5")[number % 3]
        body = {
            **ASK,
            "stream": bool(number % 2),
            "messages": [{"role": "user", "content": f"train {number}"}],
        }
        answer = await http.post("/v1/messages", json=body, headers={"x-router-model": target})
        assert f"train {number} {target}" in "".join(texts(answer))
        assert answer.headers["x-router-model"] == target
        row = next(row for row in rows.all() if row["id"] == answer.headers["x-router-decision"])
        assert row["served_model"] == target and row["message_id"].encode() in answer.content

    async def all_at_once() -> None:
        async with httpx2.AsyncClient(
            proxy=proxy.url,
            verify=trust(proxy.ca_file),
            http2=http2,
            timeout=30,
            headers=headers,
            base_url="https://api.anthropic.com",
        ) as http:
            await asyncio.gather(*(one(http, number) for number in range(60)))

    asyncio.run(all_at_once())
    assert len(rows.all()) == 60


def texts(answer: httpx2.Response) -> list[str]:
    if answer.headers["content-type"].startswith("application/json"):
        return [block["text"] for block in answer.json()["content"]]
    data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    return [item["delta"].get("text", "") for item in data if item["type"] == "content_block_delta"]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_connections_are_kept_alive_on_both_sides(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, http2: bool
) -> None:
    client = connect(proxy, http2=http2)
    before = provider.server.connections
    for number in range(12):
        client.messages.create(**ASK, extra_headers=TO_HAIKU if number % 2 else {"x-router-model": OPUS})
    assert provider.server.connections - before == 1


def test_events_are_not_held_back(raw: httpx2.Client, provider: StandIn) -> None:
    """What the provider has sent reaches the client while the provider is silent, compressed or not."""
    for encoding in ("", "gzip", "br", "zstd"):
        provider.script(Answer((Text("Platform nine"),), hang_after=4, encoding=encoding))
        with raw.stream("POST", "/v1/messages", json={**ASK, "stream": True}, headers=TO_HAIKU) as answer:
            got = b""
            for chunk in answer.iter_bytes():
                got += chunk
                if b"Platform" in got:
                    break
        assert b"message_start" in got


def test_a_provider_that_cannot_be_reached_is_a_502_with_a_row(
    raw: httpx2.Client, provider: StandIn, rows: Rows
) -> None:
    with Addresses({"api.anthropic.com": 1}):
        answer = raw.post("/v1/messages", json=ASK, headers=TO_HAIKU)
    assert answer.status_code == 502
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert row["message_id"] is None and not row["complete"]
    assert raw.post("/v1/messages", json=ASK, headers=TO_HAIKU).status_code == 200


def test_a_provider_that_is_back_is_reached_over_the_clients_old_connection(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, rows: Rows
) -> None:
    """mitmproxy remembers a failed connection as long as the client's own lasts: with HTTP/2, for hours."""
    client = connect(proxy, http2=True, max_retries=0)
    with Addresses({"api.anthropic.com": 1}), pytest.raises(anthropic.InternalServerError):
        client.messages.create(**ASK, extra_headers=TO_HAIKU)
    client.messages.create(**ASK, extra_headers=TO_HAIKU)
    client.models.list()


def test_a_certificate_that_is_not_the_providers_is_refused(
    raw: httpx2.Client, provider: StandIn, tmp_path: Path
) -> None:
    with StandIn(tmp_path) as impostor, impostor.reachable():
        answer = raw.post("/v1/messages", json=ASK, headers=TO_HAIKU)
        assert impostor.records == []
    assert answer.status_code == 502


def test_no_secret_is_in_the_database_or_the_log(
    client: anthropic.Anthropic, raw: httpx2.Client, proxy: InProcessProxy, provider: StandIn, key: str
) -> None:
    client.messages.create(**ASK, extra_headers=TO_HAIKU)
    raw.post("/v1/messages", json=ASK, headers={"x-router-model": "nonesuch", "cookie": "c00kie"})
    database = Path(proxy.settings["router_db"])
    stored = b"".join(file.read_bytes() for file in database.parent.iterdir())
    assert HAIKU.encode() in stored
    for secret in (key, key.rpartition("-")[2] + "-", "c00kie", "sk-ant", ASK["messages"][0]["content"]):
        assert secret.encode() not in stored
        assert secret not in "".join(proxy.warnings)


@pytest.fixture
def standin(tmp_path: Path) -> Any:
    folder = tmp_path / "standin"
    folder.mkdir()
    with StandIn(folder) as made:
        yield made
    made.check()


def test_a_key_in_an_address_is_shown_in_no_terminal(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mitmdump prints each address, as far as the terminal is wide, and Gemini takes its key there."""
    monkeypatch.setenv("COLUMNS", "400")
    settings = {"router_db": tmp_path / "p.sqlite", "termlog_verbosity": "debug"}
    key = "AIza-terminal"
    with SubprocessProxy(standin, tmp_path, settings=settings) as proxy:
        url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:generateContent"
        ask = {"contents": [{"role": "user", "parts": [{"text": "Which platform?"}]}]}
        with httpx2.Client(proxy=proxy.url, verify=trust(proxy.ca_file), timeout=30) as client:
            for model in ("gemini-3.8-flash", "nonesuch"):
                client.post(url.replace("gemini-3.8-flash", model), params={"key": key}, json=ask)
            client.post(url, params={"key": key}, content=b"no JSON")
        assert proxy.stop() == 0
        log = proxy.log
    assert "gemini-3.8-flash" in log
    assert key not in log
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("p.sqlite*"))
    assert b"gemini-3.8-flash" in stored and key.encode() not in stored


def test_a_conversation_survives_a_restart(standin: StandIn, connect: Sdk, tmp_path: Path) -> None:
    """Mid tool loop the model stays, even if the proxy was killed in between."""
    tool = {"name": "look", "input_schema": {"type": "object"}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    loop = [
        *ASK["messages"],
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "nine"}]},
    ]
    proxy = SubprocessProxy(standin, tmp_path, settings={"router_db": tmp_path / "p.sqlite"})
    with proxy:
        connect(proxy).messages.create(**ASK, tools=[tool], extra_headers=TO_HAIKU)
        proxy.kill()
        proxy.start()
        connect(proxy).messages.create(**{**ASK, "messages": loop}, tools=[tool])
    assert [record.model for record in standin.messages] == [HAIKU, HAIKU]


def test_saved_flows_hold_what_the_client_asked(standin: StandIn, connect: Sdk, tmp_path: Path) -> None:
    from mitmproxy.io import FlowReader

    saved = tmp_path / "flows.mitm"
    settings = {"router_db": tmp_path / "p.sqlite"}
    with SubprocessProxy(standin, tmp_path, settings=settings, arguments=["-w", str(saved)]) as proxy:
        client = connect(proxy)
        with client.messages.stream(**ASK, extra_headers=TO_HAIKU) as stream:
            stream.get_final_message()
        client.messages.create(**ASK, extra_headers=TO_HAIKU)
        client.close()
        assert proxy.stop() == 0
    flows = list(FlowReader(io.BytesIO(saved.read_bytes())).stream())
    assert [json.loads(flow.request.content)["model"] for flow in flows] == [OPUS, OPUS]
    assert [record.model for record in standin.messages] == [HAIKU, HAIKU]
    assert all(flow.request.headers["x-router-model"] == HAIKU for flow in flows)
    assert all(HAIKU in flow.comment for flow in flows)


def test_the_script_can_be_reloaded_while_it_runs(standin: StandIn, connect: Sdk, tmp_path: Path) -> None:
    """mitmproxy executes a changed script again: the old instance must let go, the new one take over."""
    script = tmp_path / "router.py"
    addon = Path(__file__).resolve().parents[2] / "addon"
    source = (addon / "router.py").read_text().replace("__file__", repr(str(addon / "router.py")))
    script.write_text(source)
    database = tmp_path / "p.sqlite"
    with SubprocessProxy(standin, tmp_path, script, {"router_db": database}) as proxy:
        client = connect(proxy)
        client.messages.create(**ASK, extra_headers=TO_HAIKU)
        script.write_text(source + "\n# changed\n")
        deadline = time.monotonic() + 20
        while proxy.log.count("Loading script") < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        client.messages.create(**ASK, extra_headers=TO_HAIKU)
        connect(proxy).messages.create(**ASK, extra_headers=TO_HAIKU)
        log = proxy.log
    assert log.count("Loading script") == 2
    assert "Traceback" not in log
    assert [record.model for record in standin.messages] == [HAIKU] * 3
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*) FROM decisions WHERE complete").fetchone() == (3,)
    connection.close()


def test_a_start_that_fails_is_one_clear_error(standin: StandIn, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.sqlite"
    wrong.write_bytes(b"this is no database, and much longer than a header of a hundred bytes" * 20)
    proxy = SubprocessProxy(standin, tmp_path, settings={"router_db": wrong})
    with contextlib.suppress(RuntimeError):  # it may have gone before or after it listened
        proxy.start()
    assert proxy.process and proxy.process.wait(20) == 1
    assert "Traceback" not in proxy.log
    assert proxy.log.count(str(wrong)) == 1
