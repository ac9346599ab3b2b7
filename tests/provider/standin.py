"""The stand-in for the providers' APIs: strict, scripted, and it remembers everything.

    with StandIn(folder) as provider, provider.reachable():
        provider.script(Answer((Text("hi"),)), overloaded())
        provider.script_at("openrouter", Trap.REFUSED, Fault(500), Answer())
        ...
        provider.check()

It answers on 127.0.0.1 in a thread and an event loop of its own; the host of a request says which
provider it is for (`families.py`). Requests that ask for nothing scripted get a default answer, so
that background calls of real programs cannot eat a step. A key that comes to another host than its
own is a violation, whatever the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from provider import delivery, inspection, keys
from provider.answers import Answer, Page, Step
from provider.certs import make_authority
from provider.delivery import Manner, deliver
from provider.families import all_families
from provider.family import Family, Listener, Ready
from provider.record import Record
from provider.refusal import Refusal
from provider.resolve import Addresses
from provider.server import Cut, HttpServer, Reply, Request
from provider.traps import Connect, Trap, Traps
from provider.websocket import converse, upgrades

LOCAL = "local"
HOSTS = ("plain.example", *(h for family in all_families() if family.name != LOCAL for h in family.hosts))
PLAIN = Page(b"plain host\n", headers={"content-type": "text/plain"})


@dataclass
class StandIn:
    """See the module.

    `responder` answers what `script` does not; it runs in the stand-in's loop. `connecting` says, for each
    look-up of a host, whether it leads into a trap; it runs in any thread.
    """

    folder: Path
    hosts: tuple[str, ...] = HOSTS
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    responder: Callable[[Record], Step] | None = None
    connecting: Callable[[str], Trap | None] | None = None
    default: Step = field(default_factory=Answer)
    pages: dict[str, Page] = field(default_factory=dict)  # "GET /v1/models", "GET host/path" → exact answer
    records: list[Record] = field(default_factory=list)
    connects: list[Connect] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)  # the stand-in's own

    def __post_init__(self) -> None:
        self.steps: deque[Step] = deque()
        self.queues: dict[str, deque[Step | Trap]] = {}  # by provider
        self.secrets: dict[str, str] = {}  # keys that were seen or made → whose they are
        self.families: dict[str, Family] = {family.name: family for family in all_families()}
        self.numbers = itertools.count(1)
        self.authority = make_authority(self.folder, self.hosts)
        self.ca_file = self.authority.ca_file
        self.server = HttpServer(self._serve, self.authority.server_context(self.alpn))
        self.local = HttpServer(self._serve_locally, None)
        self.traps = Traps(self.folder)
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._odd)
        self.thread = threading.Thread(target=self.loop.run_forever, name="stand-in", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        for part in (self.server, self.local, self.traps):
            asyncio.run_coroutine_threadsafe(part.start(), self.loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _stop(self) -> None:
        for part in (self.server, self.local, self.traps):
            await part.stop()
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

    @property
    def local_url(self) -> str:
        """Of the server on loopback that takes no key, in plain HTTP."""
        return f"http://127.0.0.1:{self.local.port}"

    def reachable(self) -> Addresses:
        """In this process, its host names lead to it while the context is open, or into a trap."""
        return Addresses(self.addresses, self._lead)

    @contextlib.contextmanager
    def speaking(self, protocol: str) -> Iterator[None]:
        """New connections are offered "h1" or "h2" only until the block ends; those that idle are closed."""
        context = self.server.context
        assert context is not None
        self.drop_idle()
        context.set_alpn_protocols(["http/1.1" if protocol == "h1" else "h2"])
        try:
            yield
        finally:
            context.set_alpn_protocols(list(self.alpn))

    def key(self, provider: str, account: str) -> str:
        """A key that `provider` takes, and that nobody else may ever see."""
        made = keys.key_of(provider, account)
        self.secrets[made] = provider
        return made

    def script(self, *steps: Step) -> None:
        """Queue answers for the next requests that ask a model for one, whichever provider they are for."""
        self.steps.extend(steps)

    def script_at(self, provider: str, *steps: Step | Trap) -> None:
        """Queue what the next attempts at one provider meet. Needs the process that resolves its name here.

        An open connection would lead past a trap: those that are idle are closed.
        """
        assert provider in self.families, provider
        self.queues.setdefault(provider, deque()).extend(steps)
        self.drop_idle(*self.families[provider].hosts)

    def drop_idle(self, *hosts: str) -> None:
        """End the connections over which nothing is under way, if to these hosts, or all of them."""
        for host in hosts or self.hosts:
            asyncio.run_coroutine_threadsafe(self.server.drop(host), self.loop).result(10)

    def reset(self) -> None:
        """Forget everything but the port, between tests that share one stand-in."""
        for memory in (self.steps, self.queues, self.secrets, self.pages, self.connects):
            memory.clear()
        for memory in (self.records, self.violations, self.defects):
            memory.clear()
        for family in self.families.values():
            family.reset()
        self.responder = self.connecting = None
        self.numbers = itertools.count(1)

    @property
    def messages(self) -> list[Record]:
        """All requests that asked a model for an answer, in the order of their arrival."""
        return [record for record in self.records if record.generates]

    @property
    def last(self) -> Record:
        return self.messages[-1]

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """All that was tried: (provider, outcome), oldest first. An outcome is a trap's, or a record's."""
        tried: list[tuple[float, str, str]] = [(each.at, each.family, each.outcome) for each in self.messages]
        tried += [(each.at, each.provider, each.trap.value) for each in self.connects if each.trap]
        return [(provider, outcome) for _, provider, outcome in sorted(tried, key=lambda each: each[0])]

    def check(self) -> None:
        """Fail if anything reached a provider that must not, or the stand-in itself broke."""
        assert not self.violations, self.violations
        assert not self.defects, self.defects

    # ------------------------------------------------------------ serving

    def _lead(self, host: str) -> int | None:
        """Where a look-up of `host` leads. Raises LookupError if there is to be no such name."""
        family = self._family_of(host)
        queue = self.queues.get(family.name) if family else None
        trap = self.connecting(host) if self.connecting else None
        if trap is None and queue and isinstance(queue[0], Trap):
            trap = Trap(queue.popleft())
        self.connects.append(Connect(time.time(), host, family.name if family else "", trap))
        if trap is Trap.UNKNOWN:
            raise LookupError(host)
        return None if trap is None else self.traps.ports[trap]

    async def _serve(self, request: Request, reply: Reply) -> None:
        await self._meet(request, reply, self._family_of(request.host.partition(":")[0]))

    async def _serve_locally(self, request: Request, reply: Reply) -> None:
        await self._meet(request, reply, self.families[LOCAL])

    async def _meet(self, request: Request, reply: Reply, family: Family | None) -> None:
        record = self.note(request, family)
        try:
            await self._answer(record, reply, family)
        except (OSError, asyncio.CancelledError):
            record.gone = True
            raise
        except Cut:
            raise
        except Exception as defect:
            self.defects.append(f"{request.method} {request.target}: {defect!r}")
            raise Cut from defect

    def note(self, request: Request, family: Family | None) -> Record:
        number = next(self.numbers)
        record = Record(number, request, f"req_standin{number:08d}", time.time())
        if family is not None:
            record.family, record.generates = family.name, family.generates(request)
        self.records.append(record)
        self.violations += inspection.complaints(record, self.secrets)
        return record

    def _family_of(self, host: str) -> Family | None:
        return next((family for family in self.families.values() if host in family.hosts), None)

    async def _answer(self, record: Record, reply: Reply, family: Family | None) -> None:
        request = record.request
        page = self.pages.get(f"{request.method} {record.host}{request.path}")
        page = page or self.pages.get(f"{request.method} {request.path}")
        step: Step = Answer()
        if page is not None or family is None:
            step = page or PLAIN
            return await self._deliver(record, reply, delivery.page(record, step), step)
        try:
            if isinstance(family, Listener) and upgrades(request) and family.hears(record):
                return await converse(self, record, reply, family)
            ready = family.admit(record)
            if ready is None:
                step = self.next_step(record, family)
                if isinstance(step, Answer):
                    ready = family.compose(record, step)
                elif isinstance(step, Page):
                    ready = delivery.page(record, step)
                else:
                    record.error = step.message
                    ready = family.failure(record, step)
        except Refusal as refusal:
            record.error, step = refusal.message, Answer()
            ready = family.failure(record, refusal)
        await self._deliver(record, reply, ready, step)

    async def _deliver(self, record: Record, reply: Reply, ready: Ready, step: Step) -> None:
        await deliver(record, reply, delivery.dressed(ready, step), Manner.of(step))

    def next_step(self, record: Record, family: Family) -> Step:
        if self.responder is not None:
            return self.responder(record)
        aside = family.aside(record)
        if aside is not None:
            return aside
        queue = self.queues.get(family.name)
        if not queue:
            return self.steps.popleft() if self.steps else self.default
        step = queue.popleft()
        assert not isinstance(step, Trap), f"a connection to {family.name} was open already: no {step} met"
        return step
