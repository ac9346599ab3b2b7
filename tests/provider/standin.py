"""The stand-in for api.anthropic.com: strict, scripted, and it remembers everything.

    with StandIn(folder) as provider, provider.reachable():
        provider.script(Answer((Text("hi"),)), overloaded())
        ...
        provider.check()

It answers on 127.0.0.1 in a thread and an event loop of its own. Requests that ask for nothing
scripted get a default answer, so that background calls of real programs cannot eat a step.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import brotli  # type: ignore[import-untyped]
import zstandard
from provider import betas, rules, structure, thinking
from provider.answers import (
    Answer,
    Fault,
    Message,
    Page,
    Step,
    Text,
    compose,
    compressor,
    decompress,
    error_event,
)
from provider.cache import Counted, PromptCache
from provider.capabilities import MODELS, Takes
from provider.certs import make_authority
from provider.refusal import Refusal, error_body
from provider.resolve import Addresses
from provider.server import Cut, HttpServer, Reply, Request

HOSTS = ("api.anthropic.com", "plain.example")
MAX_BODY_BYTES = 32 << 20
ROUTER_HEADERS = re.compile(r"^(x-router-|x-weave-|x-litellm-|x-pointsman)", re.IGNORECASE)
SENTINEL = "\u2063\u2060\u2063"
SENTINELS = (SENTINEL.encode(), rb"\u2063\u2060\u2063")


@dataclass
class Record:
    """One request as it arrived, and what became of it."""

    number: int
    request: Request
    request_id: str
    at: float
    account: str = ""
    subscription: bool = False
    body: Any = None
    model: str = ""
    foreign_thinking: int = 0
    counted: Counted | None = None
    status: int | None = None
    error: str = ""
    message: Message | None = None
    sent: int = 0  # body bytes handed to the socket
    complete: bool = False
    gone: bool = False  # the peer left before the end

    @property
    def path(self) -> str:
        return self.request.path


@dataclass
class StandIn:
    """See the module. `responder` answers what `script` does not; it runs in the stand-in's loop."""

    folder: Path
    hosts: tuple[str, ...] = HOSTS
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    zero_retention: bool = False
    responder: Callable[[Record], Step] | None = None
    default: Step = field(default_factory=Answer)
    pages: dict[str, Page] = field(default_factory=dict)  # "GET /v1/models" → exact answer
    records: list[Record] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)  # the stand-in's own

    def __post_init__(self) -> None:
        self.steps: deque[Step] = deque()
        self.cache = PromptCache()
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
        """Queue answers for the next POSTs to /v1/messages."""
        self.steps.extend(steps)

    def reset(self) -> None:
        """Forget everything but the port, between tests that share one stand-in."""
        self.steps.clear()
        for memory in (self.records, self.violations, self.defects, self.pages):
            memory.clear()
        self.cache, self.responder, self.zero_retention = PromptCache(), None, False
        self.numbers = itertools.count(1)

    @property
    def messages(self) -> list[Record]:
        """All POSTs to /v1/messages, in the order of their arrival."""
        return [r for r in self.records if r.path == "/v1/messages" and r.request.method == "POST"]

    @property
    def last(self) -> Record:
        return self.messages[-1]

    def check(self) -> None:
        """Fail if anything of the router's reached the provider, or the stand-in itself broke."""
        assert not self.violations, self.violations
        assert not self.defects, self.defects

    # ------------------------------------------------------------ serving

    async def _serve(self, request: Request, reply: Reply) -> None:
        number = next(self.numbers)
        record = Record(number, request, f"req_standin{number:08d}", time.time())
        self.records.append(record)
        self._look_for_router(record)
        try:
            await self._answer(record, reply)
            record.complete = True
        except Refusal as refusal:
            await self._fail(record, reply, Fault(refusal.status, str(refusal)))
            record.complete = True
        except (OSError, asyncio.CancelledError):
            record.gone = True
            raise
        except Cut:
            raise
        except Exception as defect:
            self.defects.append(f"{request.method} {request.target}: {defect!r}")
            raise

    def _look_for_router(self, record: Record) -> None:
        for name, _ in record.request.headers:
            if ROUTER_HEADERS.match(name):
                self.violations.append(f"request {record.number} carries the header {name}")
        data = record.request.body
        if any(mark in data.lower() for mark in SENTINELS) or b'"x_router"' in data:
            self.violations.append(f"request {record.number} carries a marker")

    async def _answer(self, record: Record, reply: Reply) -> None:
        request = record.request
        page = self.pages.get(f"{request.method} {request.path}")
        if page is not None:
            return await self._page(record, reply, page)
        if request.host.partition(":")[0] != "api.anthropic.com":
            return await self._page(
                record, reply, Page(b"plain host\n", headers={"content-type": "text/plain"})
            )
        record.account, record.subscription = _authenticate(request)
        if not request.path.startswith("/v1/"):
            return await self._json(record, reply, {"ok": True})
        rules.check_version(request.header("anthropic-version"))
        if request.path in ("/v1/messages", "/v1/messages/count_tokens") and request.method == "POST":
            return await self._messages(record, reply)
        await self._elsewhere(record, reply)

    async def _messages(self, record: Record, reply: Reply) -> None:
        counting = record.path.endswith("/count_tokens")
        record.body = body = _decode(record.request)
        rules.check_schema(body, counting=counting)
        model = rules.find_model(body)
        record.model = body["model"]
        structure.check_structure(body)
        betas.check_betas(body, record.request.header("anthropic-beta"))
        rules.check_parameters(body, model, zero_retention=self.zero_retention)
        record.foreign_thinking = thinking.check_thinking(body, model, record.account)
        if counting:
            prompt = PromptCache().count(body, model, record.account)
            return await self._json(record, reply, {"input_tokens": prompt.total})
        step = self._next_step(record)
        if isinstance(step, Fault):
            return await self._fail(record, reply, step)
        if isinstance(step, Page):
            return await self._page(record, reply, step)
        record.counted = self.cache.count(body, model, record.account)
        if record.counted.total > model.context_tokens:
            raise Refusal(
                f"prompt is too long: {record.counted.total} tokens > {model.context_tokens} maximum"
            )
        record.message = self._compose(record, model, step)
        if body.get("stream"):
            return await self._stream(record, reply, step, record.message)
        await self._whole(record, reply, step, record.message)

    def _next_step(self, record: Record) -> Step:
        if self.responder is not None:
            return self.responder(record)
        if self.steps and not is_background(record.body):
            return self.steps.popleft()
        return Answer((Text('{"title":"Stand-in"}'),)) if is_background(record.body) else self.default

    def _compose(self, record: Record, model: Takes, step: Answer) -> Message:
        assert record.counted is not None
        return compose(
            step,
            record.body,
            model=model.aliases[0] if model.aliases else model.name,
            account=record.account,
            thinks=rules.thinking_is_on(record.body, model),
            counted=record.counted,
            number=record.number,
        )

    async def _stream(self, record: Record, reply: Reply, step: Answer, message: Message) -> None:
        frames = message.events()
        if step.overload_after is not None:
            frames = [*frames[: step.overload_after], error_event("overloaded_error", "Overloaded")]
        if step.mangle is not None:
            frames = step.mangle(frames)
        machine = compressor(step.encoding)
        headers = [*self._head(record, "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]
        await asyncio.sleep(step.pace.head)
        await self._start(record, reply, 200, [*headers, *_encoding(step.encoding), *step.headers.items()])
        await asyncio.sleep(step.pace.first)
        for index, frame in enumerate(frames):
            if index == step.hang_after:
                await asyncio.sleep(3600)
            if index == step.cut_after:
                await self._write(record, reply, machine.feed(frame)[: len(frame) // 2], step.tear)
                raise Cut
            await self._write(record, reply, machine.feed(frame), step.tear)
            await asyncio.sleep(step.pace.between)
        await self._write(record, reply, machine.finish(), step.tear)
        await reply.end()

    async def _whole(self, record: Record, reply: Reply, step: Answer, message: Message) -> None:
        frames = [json.dumps(message.body(), ensure_ascii=False).encode()]
        if step.mangle is not None:
            frames = step.mangle(frames)
        machine = compressor(step.encoding)
        data = machine.feed(b"".join(frames)) + machine.finish()
        await asyncio.sleep(step.pace.head)
        headers = [*self._head(record, "application/json"), ("content-length", str(len(data)))]
        await self._start(record, reply, 200, [*headers, *_encoding(step.encoding), *step.headers.items()])
        if step.hang_after is not None:
            await asyncio.sleep(3600)
        if step.cut_after is not None:
            await self._write(record, reply, data[: len(data) // 2], step.tear)
            raise Cut
        await self._write(record, reply, data, step.tear)
        await reply.end()

    async def _fail(self, record: Record, reply: Reply, fault: Fault) -> None:
        record.error = fault.message
        await asyncio.sleep(fault.pace.head)
        data = error_body(fault.status, fault.message, record.request_id, fault.kind)
        retry = "true" if fault.status in (429, 529) or fault.status >= 500 else "false"
        headers = [*self._head(record, "application/json"), ("content-length", str(len(data)))]
        headers += [("x-should-retry", retry), *fault.headers.items()]
        await self._finish(record, reply, fault.status, headers, data)

    async def _page(self, record: Record, reply: Reply, page: Page) -> None:
        await asyncio.sleep(page.pace.head)
        own = [("request-id", record.request_id), ("content-length", str(len(page.body)))]
        if page.cut:
            await self._start(record, reply, page.status, [*page.headers.items(), *own])
            await self._write(record, reply, page.body[: len(page.body) // 2], 0)
            raise Cut
        await self._finish(record, reply, page.status, [*page.headers.items(), *own], page.body)

    async def _json(self, record: Record, reply: Reply, value: Any) -> None:
        data = json.dumps(value).encode()
        headers = [*self._head(record, "application/json"), ("content-length", str(len(data)))]
        await self._finish(record, reply, 200, headers, data)

    async def _elsewhere(self, record: Record, reply: Reply) -> None:
        if record.request.method == "GET" and record.path == "/v1/models":
            listed = [{"type": "model", "id": model.name, "display_name": model.name} for model in MODELS]
            more = {"has_more": False, "first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
            return await self._json(record, reply, {"data": listed, **more})
        raise Refusal(f"Not found: {record.path}", 404)

    # ------------------------------------------------------------ bytes

    def _head(self, record: Record, content_type: str) -> list[tuple[str, str]]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        head = [
            ("date", datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")),
            ("content-type", content_type),
        ]
        head += [
            ("request-id", record.request_id),
            ("server", "cloudflare"),
            ("cf-ray", f"{record.number:016x}-FRA"),
        ]
        head += [("anthropic-organization-id", f"org-{record.account}"), ("via", "1.1 google")]
        if record.subscription:
            unified = {"status": "allowed", "reset": "1795305600", "representative-claim": "five_hour"}
            return head + [(f"anthropic-ratelimit-unified-{name}", value) for name, value in unified.items()]
        for what, limit in (("requests", 4000), ("input-tokens", 2_000_000), ("output-tokens", 400_000)):
            head += [(f"anthropic-ratelimit-{what}-limit", str(limit))]
            head += [(f"anthropic-ratelimit-{what}-remaining", str(limit - record.number))]
            head += [(f"anthropic-ratelimit-{what}-reset", now)]
        return head

    async def _start(self, record: Record, reply: Reply, status: int, headers: list[tuple[str, str]]) -> None:
        record.status = status
        await reply.start(status, headers)

    async def _finish(
        self, record: Record, reply: Reply, status: int, headers: list[tuple[str, str]], data: bytes
    ) -> None:
        await self._start(record, reply, status, headers)
        await self._write(record, reply, data, 0)
        await reply.end()

    async def _write(self, record: Record, reply: Reply, data: bytes, tear: int) -> None:
        for at in range(0, len(data), tear or len(data) or 1):
            part = data[at : at + (tear or len(data))]
            await reply.send(part)
            record.sent += len(part)
            if tear:
                await asyncio.sleep(0)


def is_background(body: Any) -> bool:
    """A real client's title, probe or warm-up call, which must not take a scripted answer."""
    if body.get("max_tokens") == 1:
        return True
    text = json.dumps(body.get("system") or "") + json.dumps(body["messages"][-1:])
    asks_json = "format" in (body.get("output_config") or {})
    return asks_json and ("title" in text.lower())


_KEY = re.compile(r"sk-ant-(?:api03-|oat01-|)([a-z0-9]+)")


def _authenticate(request: Request) -> tuple[str, bool]:
    """The account a credential belongs to, and whether it is a subscription's."""
    bearer = request.header("authorization")
    secret = request.header("x-api-key") or (bearer or "").removeprefix("Bearer ")
    if not secret:
        raise Refusal("x-api-key header is required", 401)
    match = _KEY.fullmatch(secret)
    if match is None:
        raise Refusal("invalid x-api-key" if request.header("x-api-key") else "Invalid bearer token", 401)
    subscription = secret.startswith("sk-ant-oat01-")
    if subscription and "oauth-2025-04-20" not in (request.header("anthropic-beta") or ""):
        raise Refusal("OAuth authentication is currently not supported.", 401)
    return match[1], subscription


def _decode(request: Request) -> Any:
    if len(request.body) > MAX_BODY_BYTES:
        raise Refusal("Request exceeds the maximum size", 413)
    try:
        data = decompress(request.body, request.header("content-encoding") or "", MAX_BODY_BYTES)
    except OverflowError:
        raise Refusal("Request exceeds the maximum size", 413) from None
    except (ValueError, zlib.error, brotli.error, zstandard.ZstdError):
        raise Refusal("The request body could not be decompressed") from None
    try:
        return json.loads(data.decode("utf-8", "strict"))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"The request body is not valid JSON: {error}") from None


def _encoding(encoding: str) -> list[tuple[str, str]]:
    return [("content-encoding", encoding)] if encoding else []
