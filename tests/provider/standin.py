"""The stand-in for the providers' APIs: strict, scripted, and it remembers everything.

    with StandIn(folder) as provider, provider.reachable():
        provider.script(Answer((Text("hi"),)), overloaded())
        ...
        provider.check()

It answers on 127.0.0.1 in a thread and an event loop of its own; the host of a request says which
family of APIs it is for (`families.py`). Requests that ask for nothing scripted get a default
answer, so that background calls of real programs cannot eat a step.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from provider.answers import Answer, Fault, Page, Step
from provider.certs import make_authority
from provider.encodings import ERRORS, compressor, decompress
from provider.families import all_families
from provider.family import MAX_BODY_BYTES, Family, Listener, Ready
from provider.record import Record
from provider.refusal import Refusal
from provider.resolve import Addresses
from provider.server import Cut, HttpServer, Reply, Request
from provider.websocket import converse, upgrades

HOSTS = ("plain.example", *(host for family in all_families() for host in family.hosts))
ROUTER_HEADERS = re.compile(r"^(x-router-|x-weave-|x-litellm-|x-pointsman)", re.IGNORECASE)
SENTINEL = "\u2063\u2060\u2063"
SENTINELS = (SENTINEL.encode(), rb"\u2063\u2060\u2063")
PLAIN = Page(b"plain host\n", headers={"content-type": "text/plain"})


@dataclass
class StandIn:
    """See the module. `responder` answers what `script` does not; it runs in the stand-in's loop."""

    folder: Path
    hosts: tuple[str, ...] = HOSTS
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    responder: Callable[[Record], Step] | None = None
    default: Step = field(default_factory=Answer)
    pages: dict[str, Page] = field(default_factory=dict)  # "GET /v1/models", "GET host/path" → exact answer
    records: list[Record] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)  # the stand-in's own

    def __post_init__(self) -> None:
        self.steps: deque[Step] = deque()
        self.families: dict[str, Family] = {family.name: family for family in all_families()}
        self.numbers = itertools.count(1)
        self.authority = make_authority(self.folder, self.hosts)
        self.ca_file = self.authority.ca_file
        self.server = HttpServer(self._serve, self.authority.server_context(self.alpn))
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._odd)
        self.thread = threading.Thread(target=self.loop.run_forever, name="stand-in", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _stop(self) -> None:
        await self.server.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _odd(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A peer may break off at any moment, also amid a handshake; anything else is a defect."""
        if not isinstance(context.get("exception"), OSError):
            self.defects.append(str(context))

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def addresses(self) -> dict[str, int]:
        """Host name → port on loopback, for the patched resolver."""
        return dict.fromkeys(self.hosts, self.port)

    def reachable(self) -> Addresses:
        """In this process, its host names lead to it while the context is open."""
        return Addresses(self.addresses)

    def script(self, *steps: Step) -> None:
        """Queue answers for the next requests that ask a model for one, whichever family they are of."""
        self.steps.extend(steps)

    def reset(self) -> None:
        """Forget everything but the port, between tests that share one stand-in."""
        self.steps.clear()
        for memory in (self.records, self.violations, self.defects, self.pages):
            memory.clear()
        for family in self.families.values():
            family.reset()
        self.responder = None
        self.numbers = itertools.count(1)

    @property
    def messages(self) -> list[Record]:
        """All requests that asked a model for an answer, in the order of their arrival."""
        return [record for record in self.records if record.generates]

    @property
    def last(self) -> Record:
        return self.messages[-1]

    def check(self) -> None:
        """Fail if anything of the router's reached the provider, or the stand-in itself broke."""
        assert not self.violations, self.violations
        assert not self.defects, self.defects

    # ------------------------------------------------------------ serving

    async def _serve(self, request: Request, reply: Reply) -> None:
        family = self._family_of(request)
        record = self.note(request, family)
        try:
            await self._answer(record, reply, family)
            record.complete = True
        except (OSError, asyncio.CancelledError):
            record.gone = True
            raise
        except Cut:
            raise
        except Exception as defect:
            self.defects.append(f"{request.method} {request.target}: {defect!r}")
            raise

    def note(self, request: Request, family: Family | None) -> Record:
        number = next(self.numbers)
        record = Record(number, request, f"req_standin{number:08d}", time.time())
        if family is not None:
            record.family, record.generates = family.name, family.generates(request)
        self.records.append(record)
        self._look_for_router(record)
        return record

    def _family_of(self, request: Request) -> Family | None:
        host = request.host.partition(":")[0]
        return next((family for family in self.families.values() if host in family.hosts), None)

    def _look_for_router(self, record: Record) -> None:
        for name, _ in record.request.headers:
            if ROUTER_HEADERS.match(name):
                self.violations.append(f"request {record.number} carries the header {name}")
        data = _decoded(record.request)
        if any(mark in data.lower() for mark in SENTINELS) or b'"x_router"' in data:
            self.violations.append(f"request {record.number} carries a marker")

    async def _answer(self, record: Record, reply: Reply, family: Family | None) -> None:
        request = record.request
        host = request.host.partition(":")[0]
        page = self.pages.get(f"{request.method} {host}{request.path}")
        page = page or self.pages.get(f"{request.method} {request.path}")
        if page is not None or family is None:
            return await self._page(record, reply, page or PLAIN)
        try:
            if isinstance(family, Listener) and upgrades(request) and family.hears(record):
                return await converse(self, record, reply, family)
            ready = family.admit(record)
            step = self.next_step(record, family) if ready is None else Answer()
            if ready is None and isinstance(step, Answer):
                ready = family.compose(record, step)
        except Refusal as refusal:
            record.error = refusal.message
            return await self._deliver(record, reply, family.failure(record, refusal), Answer())
        if ready is not None:
            assert isinstance(step, Answer)
            await self._deliver(record, reply, ready, step)
        elif isinstance(step, Fault):
            record.error = step.message
            await self._deliver(record, reply, family.failure(record, step), Answer(pace=step.pace))
        else:
            assert isinstance(step, Page)
            await self._page(record, reply, step)

    def next_step(self, record: Record, family: Family) -> Step:
        if self.responder is not None:
            return self.responder(record)
        aside = family.aside(record)
        if aside is not None:
            return aside
        return self.steps.popleft() if self.steps else self.default

    # ------------------------------------------------------------ bytes

    async def _deliver(self, record: Record, reply: Reply, ready: Ready, step: Answer) -> None:
        """Send it as `step` says: how fast, how compressed, and how far."""
        frames = ready.frames if step.mangle is None else step.mangle(ready.frames)
        headers = [*ready.headers, *step.headers.items()]
        headers += [("content-encoding", step.encoding)] if step.encoding else []
        if ready.streamed:
            return await self._stream(record, reply, Ready(headers, frames, ready.status), step)
        machine = compressor(step.encoding)
        data = machine.feed(b"".join(frames)) + machine.finish()
        await asyncio.sleep(step.pace.head)
        await self._start(record, reply, ready.status, [*headers, ("content-length", str(len(data)))])
        if step.hang_after is not None:
            await asyncio.sleep(3600)
        if step.cut_after is not None:
            await self._write(record, reply, data[: len(data) // 2], step.tear)
            raise Cut
        await self._write(record, reply, data, step.tear)
        await reply.end()

    async def _stream(self, record: Record, reply: Reply, ready: Ready, step: Answer) -> None:
        machine = compressor(step.encoding)
        await asyncio.sleep(step.pace.head)
        await self._start(record, reply, ready.status, ready.headers)
        await asyncio.sleep(step.pace.first)
        for index, frame in enumerate(ready.frames):
            if index == step.hang_after:
                await asyncio.sleep(3600)
            if index == step.cut_after:
                await self._write(record, reply, machine.feed(frame)[: len(frame) // 2], step.tear)
                raise Cut
            await self._write(record, reply, machine.feed(frame), step.tear)
            await asyncio.sleep(step.pace.between)
        await self._write(record, reply, machine.finish(), step.tear)
        await reply.end()

    async def _page(self, record: Record, reply: Reply, page: Page) -> None:
        await asyncio.sleep(page.pace.head)
        headers = [*page.headers.items(), ("request-id", record.request_id)]
        headers.append(("content-length", str(len(page.body))))
        await self._start(record, reply, page.status, headers)
        await self._write(record, reply, page.body[: len(page.body) // 2] if page.cut else page.body, 0)
        if page.cut:
            raise Cut
        await reply.end()

    async def _start(self, record: Record, reply: Reply, status: int, headers: list[tuple[str, str]]) -> None:
        record.status = status
        await reply.start(status, headers)

    async def _write(self, record: Record, reply: Reply, data: bytes, tear: int) -> None:
        for at in range(0, len(data), tear or len(data) or 1):
            part = data[at : at + (tear or len(data))]
            await reply.send(part)
            record.sent += len(part)
            if tear:
                await asyncio.sleep(0)


def _decoded(request: Request) -> bytes:
    """The body without its content-encoding, as far as it can be read."""
    try:
        return decompress(request.body, request.header("content-encoding") or "", MAX_BODY_BYTES)
    except (OverflowError, *ERRORS):
        return request.body
