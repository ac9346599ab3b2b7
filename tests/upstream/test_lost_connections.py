"""A connection that ends while its reader waits for its turn is closed for those who wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from mitmproxy import options
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy import commands, context, events
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO
from pointsman.upstream import lost_connections


class Handler(ConnectionHandler):
    """Remembers what its layer is told."""

    def __init__(self) -> None:
        client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0.0)
        chosen = options.Options()
        chosen.add_option("tcp_timeout", int, 600, "")
        super().__init__(context.Context(client, chosen))
        self.told: list[events.Event] = []
        self.layer = mock.Mock(handle_event=self.hear)

    def hear(self, event: events.Event) -> list[commands.Command]:
        self.told.append(event)
        return []

    async def handle_hook(self, hook: commands.StartHook) -> None: ...


@pytest.fixture
def mended() -> Iterator[None]:
    restore = lost_connections.install()
    yield
    restore()


async def lose(handler: Handler, server: Server) -> None:
    """Cancel the reader of a connection while it waits to handle what it has read."""
    reader = asyncio.StreamReader()
    task = asyncio.create_task(handler.handle_connection(server))
    handler.transports[server] = ConnectionIO(handler=task, reader=reader, writer=mock.Mock())
    async with handler._server_event_lock:
        reader.feed_data(b"x")
        await asyncio.sleep(0.01)
        task.cancel("Error sending data")
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.01)


def open_server() -> Server:
    server = Server(address=("api.anthropic.com", 443))
    server.state = ConnectionState.OPEN
    return server


def run(case: Any) -> tuple[Handler, Server]:
    async def go() -> tuple[Handler, Server]:
        handler, server = Handler(), open_server()
        await case(handler, server)
        return handler, server

    return asyncio.run(go())


def test_it_is_closed_in_the_books(mended: None) -> None:
    handler, server = run(lose)
    assert server.state is ConnectionState.CLOSED and not handler.transports
    assert [type(event) for event in handler.told] == [events.ConnectionClosed]


def test_this_mitmproxy_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, mitmproxy ends such connections by itself, and the file can go."""
    # A proxy of other tests may be running in this process, with the remedy.
    own = inspect.unwrap(ConnectionHandler.handle_connection)
    monkeypatch.setattr(ConnectionHandler, "handle_connection", own)
    handler, server = run(lose)
    assert server.state is ConnectionState.OPEN and handler.transports and not handler.told


def test_an_ordinary_end_is_told_once(mended: None) -> None:
    async def end(handler: Handler, server: Server) -> None:
        reader = asyncio.StreamReader()
        writer = mock.Mock(drain=mock.AsyncMock())
        task = asyncio.create_task(handler.handle_connection(server))
        handler.transports[server] = ConnectionIO(handler=task, reader=reader, writer=writer)
        reader.feed_data(b"x")
        await asyncio.sleep(0.01)
        task.cancel("closed by command")
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)

    handler, server = run(end)
    assert server.state is ConnectionState.CLOSED and not handler.transports
    assert [type(event) for event in handler.told] == [events.DataReceived, events.ConnectionClosed]
