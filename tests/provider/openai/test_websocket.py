"""Codex' conversation over a WebSocket: refused, or held as the service holds it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import wsproto
from provider.answers import Answer, Call, overloaded
from provider.openai.family import OpenAI
from provider.proxy import trust
from provider.standin import StandIn
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

ENDS = ("response.completed", "response.failed", "error")


class Client:
    """A WebSocket client: `say` sends one message and gives all that answers it."""

    def __init__(self, provider: StandIn, key: str = "sk-one") -> None:
        plain = socket.create_connection(("127.0.0.1", provider.port), timeout=10)
        self.socket = trust(provider.ca_file).wrap_socket(plain, server_hostname="api.openai.com")
        self.wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        headers = [(b"authorization", f"Bearer {key}".encode())]
        self.send(Request(host="api.openai.com", target="/v1/responses", extra_headers=headers))

    def send(self, event: Event) -> None:
        self.socket.sendall(self.wire.send(event))

    def events(self) -> Iterator[Event]:
        while data := self.socket.recv(1 << 16):
            self.wire.receive_data(data)
            yield from self.wire.events()

    def say(self, **message: Any) -> list[Any]:
        whole = {"type": "response.create", "model": "gpt-6.1-sol", **message}
        self.send(TextMessage(data=json.dumps(whole)))
        said: list[Any] = []
        for event in self.events():
            if isinstance(event, TextMessage):
                said.append(json.loads(event.data))
            if said and said[-1]["type"] in ENDS:
                break
        return said


@pytest.fixture
def dial(provider: StandIn) -> Iterator[Callable[[], Client]]:
    made: list[Client] = []

    def connect() -> Client:
        made.append(Client(provider))
        return made[-1]

    yield connect
    for each in made:
        each.socket.close()


def test_an_upgrade_is_refused_unless_a_test_wants_it(provider: StandIn, dial: Callable[[], Client]) -> None:
    client = dial()
    answer, *body = [next(client.events()), *client.wire.events()]
    assert isinstance(answer, RejectConnection) and answer.status_code == 404
    assert all(isinstance(part, RejectData) for part in body)
    assert provider.records[0].request.header("upgrade") == "websocket" and not provider.messages


def test_a_conversation(provider: StandIn, family: OpenAI, dial: Callable[[], Client]) -> None:
    family.websockets = True
    client = dial()
    assert isinstance(next(client.events()), AcceptConnection)
    warm = client.say(input=[], generate=False, store=False)
    assert [event["type"] for event in warm] == ["response.created", "response.completed"]
    assert warm[-1]["response"]["usage"]["total_tokens"] == 0
    provider.script(Answer((Call("exec", "ls"),)))
    first = client.say(input="hi", store=False, previous_response_id=warm[-1]["response"]["id"])
    call = first[-1]["response"]["output"][-1]
    result = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "ok"}
    more: dict[str, Any] = {"input": [result], "store": False}
    more["previous_response_id"] = first[-1]["response"]["id"]
    second = client.say(**more)
    assert [event["sequence_number"] for event in second] == list(range(len(second)))
    assert second[-1]["response"]["output"][-1]["type"] == "message"
    assert [record.complete for record in provider.messages] == [True, True]
    other = dial()
    assert isinstance(next(other.events()), AcceptConnection)
    assert other.say(**more)[-1]["error"]["code"] == "previous_response_not_found"
    client.send(CloseConnection(code=1000))
    assert isinstance(next(client.events()), CloseConnection)


def test_errors_are_messages(provider: StandIn, family: OpenAI, dial: Callable[[], Client]) -> None:
    family.websockets = True
    client = dial()
    assert isinstance(next(client.events()), AcceptConnection)
    refused = client.say(input="hi", x_router=1)[-1]
    assert (refused["status"], refused["error"]["param"]) == (400, "x_router")
    assert len(provider.violations) == 1
    provider.violations.clear()
    provider.script(overloaded())
    assert client.say(input="hi")[-1]["status"] == 503
    lite = {"ws_request_header_x_openai_internal_codex_responses_lite": "true"}
    assert client.say(input="hi", model="gpt-5.5", client_metadata=lite)[-1]["error"]["param"] == "model"


def test_a_handshake_wants_a_key(provider: StandIn, family: OpenAI) -> None:
    family.websockets = True
    client = Client(provider, "nonsense")
    answer = next(client.events())
    client.socket.close()
    assert isinstance(answer, RejectConnection) and answer.status_code == 401
