"""WebSockets: the handshake and the frames. What is said in them is a family's matter."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import wsproto.events
from provider.family import Listener
from provider.record import Record
from provider.server import Channel, Cut, Reply, Request
from wsproto.connection import Connection, ConnectionType
from wsproto.utilities import generate_accept_token

if TYPE_CHECKING:
    from provider.standin import StandIn

MESSAGE = "MESSAGE"  # the method of a request that came as a message


def upgrades(request: Request) -> bool:
    return (request.header("upgrade") or "").lower() == "websocket"


async def converse(standin: StandIn, record: Record, reply: Reply, family: Listener) -> None:
    """Answer message after message until the peer closes. Each is a record of its own."""
    token = generate_accept_token((record.request.header("sec-websocket-key") or "").encode())
    record.status = 101
    channel = await reply.upgrade(
        [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", token.decode())]
    )
    frames, text = Connection(ConnectionType.SERVER), ""
    while data := await channel.receive():
        frames.receive_data(data)
        for event in frames.events():
            if isinstance(event, wsproto.events.TextMessage):
                text += event.data
                if event.message_finished:
                    await _answer(standin, record, text, family, frames, channel)
                    text = ""
            elif isinstance(event, wsproto.events.Ping):
                await channel.send(frames.send(event.response()))
            elif isinstance(event, wsproto.events.CloseConnection):
                return await channel.send(frames.send(event.response()))


async def _answer(
    standin: StandIn, opening: Record, text: str, family: Listener, frames: Connection, channel: Channel
) -> None:
    request = replace(opening.request, method=MESSAGE, body=text.encode("utf-8", "surrogatepass"))
    record = standin.note(request, family)
    record.account, record.subscription = opening.account, opening.subscription
    said = family.hear(record, lambda asked: standin.next_step(asked, family))
    for number, value in enumerate(said, 1):
        message = json.dumps(value, ensure_ascii=False)
        record.complete = number == len(said) and not record.notes.get("cut")  # before the peer can know
        await channel.send(frames.send(wsproto.events.TextMessage(data=message)))
        record.sent += len(message)
        await asyncio.sleep(0)
    if record.notes.get("cut"):
        raise Cut
