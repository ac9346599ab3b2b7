"""How an answer goes out: how fast, how compressed, in what pieces, and how far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from provider.answers import Answer, Break, How, Pace, Page, Step
from provider.encodings import compressor
from provider.family import Headers, Ready
from provider.record import Record
from provider.server import Cut, Reply

FOREVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Manner:
    """What a step of the script says of the delivery."""

    pace: Pace
    encoding: str = ""
    tear: int = 0
    broken: Break | None = None

    @classmethod
    def of(cls, step: Step) -> Manner:
        if isinstance(step, Answer):
            return cls(step.pace, step.encoding, step.tear, step.where_broken)
        return cls(step.pace, broken=step.broken)


def dressed(ready: Ready, step: Step) -> Ready:
    """With the headers and the oddities of the step."""
    headers = merged(ready.headers, step.headers)
    if not isinstance(step, Answer):
        return replace(ready, headers=headers)
    frames = ready.frames if step.mangle is None else step.mangle(ready.frames)
    headers += [("content-encoding", step.encoding)] if step.encoding else []
    return replace(ready, headers=headers, frames=frames)


def page(record: Record, step: Page) -> Ready:
    return Ready([("request-id", record.request_id)], [step.body], step.status)


def merged(headers: Headers, more: Mapping[str, str]) -> Headers:
    """`more` replaces what has the same name; a value of "" leaves it out."""
    names = {name.lower() for name in more}
    kept = [(name, value) for name, value in headers if name.lower() not in names]
    return [*kept, *((name, value) for name, value in more.items() if value)]


async def deliver(record: Record, reply: Reply, ready: Ready, manner: Manner) -> None:
    """Send it. Raises Cut where the script breaks it off, after noting so."""
    broken, machine, headers = manner.broken, compressor(manner.encoding), ready.headers
    frames = ready.frames
    if not ready.streamed:
        frames = [machine.feed(b"".join(frames)) + machine.finish()]
        headers = [*headers, ("content-length", str(len(frames[0])))]
        machine = compressor("")
    await asyncio.sleep(manner.pace.head)
    if broken is not None and broken.before_head:
        await _break_off(record, broken)
    record.status = ready.status
    await reply.start(ready.status, headers)
    await asyncio.sleep(manner.pace.first)
    for index, frame in enumerate(frames):
        data = machine.feed(frame)
        if broken is not None:
            room = _room(broken, index, len(frame), record.sent, streamed=ready.streamed)
            if room is not None and room < len(data):
                await _half(record, reply, data[:room], len(data))
                await _break_off(record, broken)
        await _write(record, reply, data, manner.tear)
        record.events += 1
        await asyncio.sleep(manner.pace.between if ready.streamed else 0)
    await _write(record, reply, machine.finish(), manner.tear)
    if broken is not None and (broken.events == len(frames) or broken.events is None):
        await _break_off(record, broken)
    await _end(record, reply)


def _room(broken: Break, event: int, length: int, sent: int, *, streamed: bool) -> int | None:
    """How many bytes of this event are still sent; None: it does not end here."""
    if broken.size is not None:
        return broken.size - sent
    if event == broken.events or not streamed:
        return length // 2 if broken.half else 0
    return None


async def _end(record: Record, reply: Reply) -> None:
    record.complete = True  # before the peer can know
    try:
        await reply.end()
    except BaseException:
        record.complete = False
        raise


async def _half(record: Record, reply: Reply, data: bytes, whole: int) -> None:
    if data:
        await reply.half(data, whole)
        record.sent += len(data)


async def _break_off(record: Record, broken: Break) -> None:
    record.broken = broken.how.value
    if broken.how is How.STALL:
        await asyncio.sleep(FOREVER_S)
    raise Cut(broken.how)


async def _write(record: Record, reply: Reply, data: bytes, tear: int) -> None:
    for at in range(0, len(data), tear or len(data) or 1):
        part = data[at : at + (tear or len(data))]
        await reply.send(part)
        record.sent += len(part)
        if tear:
            await asyncio.sleep(0)
