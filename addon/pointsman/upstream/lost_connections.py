"""Connections of which mitmproxy loses sight: it is told that they are closed.

mitmproxy ends a connection whose peer has reset it by cancelling the task that reads from it. If that task
is waiting for its turn to handle what it has read, which happens where much goes on at once, it dies there
and then (12.2): the connection stays open in mitmproxy's books with nobody to read from it, and each
further request that is sent over it waits until its client gives up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.utils import asyncio_utils

ending: set[Connection] = set()
"""Those of which the layers are about to hear that they have ended."""


def install() -> Callable[[], None]:
    """Let every connection end in the books as well; returns what undoes it."""
    original = ConnectionHandler.handle_connection

    @wraps(original)
    async def handle_connection(self: ConnectionHandler, connection: Connection) -> None:
        try:
            await original(self, connection)
        finally:
            _forget(self, connection)

    ConnectionHandler.handle_connection = handle_connection  # type: ignore[method-assign]

    def restore() -> None:
        ConnectionHandler.handle_connection = original  # type: ignore[method-assign]

    return restore


def _forget(handler: ConnectionHandler, connection: Connection) -> None:
    """What mitmproxy does at the end of a connection, if it has not."""
    lost = handler.transports.pop(connection, None)
    if lost is None:
        return
    connection.state = ConnectionState.CLOSED
    if lost.writer is not None:
        lost.writer.close()
    ending.add(connection)
    # In a task of its own: this one may be cancelled once more.
    asyncio_utils.create_task(
        _tell(handler, connection), name="a lost connection", keep_ref=True, client=handler.client.peername
    )


async def _tell(handler: ConnectionHandler, connection: Connection) -> None:
    try:
        await handler.server_event(events.ConnectionClosed(connection))
    finally:
        ending.discard(connection)
