"""What the end-to-end tests share: the routed proxy, the rows it writes, requests as bytes."""

from __future__ import annotations

import json
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx2
from provider.proxy import InProcessProxy
from provider.standin import StandIn

Sdk = Callable[..., anthropic.Anthropic]

QUIET_SECONDS = 5.0

HELLO = "Which platform does the night train leave from?"
MESSAGES = [{"role": "user", "content": HELLO}]
GPT, GEMINI = "gpt-5.5", "gemini-3.8-flash"

# Each surface: where a real request goes, its body, and what the body does not say of itself.
REQUESTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "anthropic": (
        "https://api.anthropic.com/v1/messages",
        {"model": "claude-opus-4-8", "max_tokens": 50, "system": "Be brief.", "messages": MESSAGES},
        "",
    ),
    "openai_chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": GPT, "messages": MESSAGES, "max_completion_tokens": 50},
        "",
    ),
    "openai_responses": ("https://api.openai.com/v1/responses", {"model": GPT, "input": HELLO}, ""),
    "gemini": (
        f"https://generativelanguage.googleapis.com/v1beta/models/{GEMINI}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": HELLO}]}]},
        f"?model={GEMINI}",
    ),
}


def routed(provider: StandIn, confdir: Path, database: Path, **settings: Any) -> InProcessProxy:
    """mitmproxy with Pointsman, not yet started."""
    from pointsman.addon import Pointsman

    config = database.with_name("router.yaml")
    config.touch()  # named, so that no other is looked for
    given = {"router_db": str(database), "router_config": str(config), **settings}
    return InProcessProxy(provider, confdir, [Pointsman()], given)


def settled(proxy: InProcessProxy) -> None:
    """Wait until the addon's tables are empty; fail if they stay, or if a traceback was logged."""
    addon = proxy.addons[0]
    deadline = time.monotonic() + QUIET_SECONDS
    while (addon.actions or addon.routes or addon.own) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not addon.actions, addon.actions
    assert not addon.routes, addon.routes
    assert not addon.own, addon.own
    tracebacks = [line for line in proxy.warnings if "Traceback" in line]
    assert not tracebacks, "\n".join(tracebacks)


def deserted(proxy: InProcessProxy) -> None:
    """Wait until no connection and no task of one is left in the proxy; all clients have closed theirs."""
    deadline = time.monotonic() + QUIET_SECONDS
    while (left := proxy.left()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, left


@dataclass(frozen=True, slots=True)
class Rows:
    """The decisions of one test, newest last."""

    path: Path
    after: int

    def all(self) -> list[dict[str, Any]]:
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(
                "SELECT rowid AS rowid_, * FROM decisions WHERE rowid > ? ORDER BY rowid", (self.after,)
            ).fetchall()
        connection.close()
        return [dict(row) for row in found]

    @property
    def last(self) -> dict[str, Any]:
        return self.all()[-1]

    def wait(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The rows, once they are as expected: for what is written after the client has gone."""
        deadline = time.monotonic() + QUIET_SECONDS
        while not condition(rows := self.all()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert condition(rows), rows
        return rows


def rows_of(database: Path) -> Rows:
    before = Rows(database, 0).all()
    return Rows(database, before[-1]["rowid_"] if before else 0)


def tunnel(proxy: InProcessProxy, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", proxy.port), 10)
    plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    assert plain.recv(4096).startswith(b"HTTP/1.1 200")
    return context.wrap_socket(plain, server_hostname=host)


def member(body: bytes, name: str) -> bytes:
    """The bytes of one top-level member's value, exactly as sent."""
    text, decoder = body.decode(), json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        key, at = decoder.raw_decode(text, _skip(text, at))
        start = _skip(text, _skip(text, at) + 1)
        _, at = decoder.raw_decode(text, start)
        if key == name:
            return text[start:at].encode()
        at = _skip(text, at)
        if text[at] == "}":
            raise KeyError(name)
        at += 1


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def message_of(answer: httpx2.Response, surface: str) -> str:
    """The message of an error, which has the surface's own shape."""
    body = answer.json()
    if surface == "anthropic":
        assert (body["type"], set(body["error"])) == ("error", {"type", "message"})
    elif surface == "gemini":
        assert set(body["error"]) == {"code", "message", "status"}
        assert body["error"]["code"] == answer.status_code
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
    said: str = body["error"]["message"]
    return said
