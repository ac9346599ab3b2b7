"""A small server of a test's own, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator

from provider.server import Application, HttpServer


@contextlib.contextmanager
def serving(application: Application, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port on loopback at which `application` answers until the block ends."""
    server, loop = HttpServer(application, context), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server.port
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
