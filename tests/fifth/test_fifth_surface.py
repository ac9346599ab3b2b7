"""A fifth surface is one more file in wire/, and no other file knows of it.

The package is copied, the file is added, and a real mitmdump routes the made-up provider's traffic.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from pointsman.wire import marker
from provider.background import serving
from provider.certs import make_authority
from provider.proxy import SubprocessProxy, trust
from provider.server import Reply, Request

ROOT = Path(__file__).resolve().parents[2]
HOST = "api.telegraph.example"
PAID = {"sent": 30, "got": 4}
CONFIG = """
models:
  morse-large:
    {provider: telegraph, quality_tier: 4, context_tokens: 9000, prices: {input: 5, output: 25}}
  morse-small:
    {provider: telegraph, quality_tier: 2, context_tokens: 9000, prices: {input: 1, output: 5}}
routes:
  - {name: save on wires, surface: telegraph, requested: morse-large, strategy: fixed, model: morse-small}
"""


class Office:
    """The made-up provider: it answers "stop" and keeps what it was sent."""

    def __init__(self, folder: Path) -> None:
        authority = make_authority(folder, [HOST])
        self.ca_file = authority.ca_file
        self.context = authority.server_context(("http/1.1",))
        self.addresses: dict[str, int] = {}
        self.requests: list[Request] = []

    @contextlib.contextmanager
    def open(self) -> Iterator[Office]:
        with serving(self.answer, self.context) as port:
            self.addresses[HOST] = port
            yield self

    async def answer(self, request: Request, reply: Reply) -> None:
        self.requests.append(request)
        asked = json.loads(request.body)
        line = asked["line"]
        if not asked.get("live"):
            body = json.dumps({"line": line, "words": "stop", "paid": PAID}).encode()
            head = [("content-type", "application/json"), ("content-length", str(len(body)))]
            await reply.start(200, [*head, ("telegraph-line", line)])
            await reply.send(body)
        else:
            await reply.start(200, [("content-type", "text/event-stream"), ("telegraph-line", line)])
            for said in ({"line": line, "words": "st"}, {"line": line, "words": "op"}):
                await reply.send(b"data: " + json.dumps(said).encode() + b"\n\n")
            await reply.send(b"data: " + json.dumps({"stop": True, "paid": PAID}).encode() + b"\n\n")
        await reply.end()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")).open() as made:
        yield made


@pytest.fixture(scope="module")
def line(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A client over mitmdump with a copy of the product that has one file more."""
    folder = tmp_path_factory.mktemp("line")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "addon", folder / "addon", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "bundles").symlink_to(ROOT / "bundles")
    shutil.copy(Path(__file__).with_name("telegraph.py"), folder / "addon" / "pointsman" / "wire")
    (folder / "router.yaml").write_text(CONFIG)
    database = folder / "decisions.sqlite"
    settings: dict[str, Any] = {"router_db": database, "router_config": folder / "router.yaml"}
    proxy = SubprocessProxy(office, folder, folder / "addon" / "router.py", settings)  # type: ignore[arg-type]
    with proxy:
        context = trust(proxy.ca_file)
        with httpx2.Client(
            proxy=proxy.url, verify=context, headers={"telegraph-key": "k1"}, base_url=f"https://{HOST}"
        ) as client:
            yield SimpleNamespace(client=client, database=database, proxy=proxy)


def wires(*said: str, live: bool = False) -> dict[str, Any]:
    sides = ("us", "them")
    return {
        "line": "morse-large",
        "wires": [{"from": sides[index % 2], "words": words} for index, words in enumerate(said)],
        "live": live,
    }


def test_a_whole_answer_is_routed_marked_and_stripped_again(line: SimpleNamespace, office: Office) -> None:
    answer = line.client.post("/wire/send", json=wires("all clear?"))
    said = answer.json()
    assert (answer.status_code, said["line"], answer.headers["telegraph-line"]) == (
        200,
        "morse-large",
        "morse-large",
    )
    assert answer.headers["x-router-model"] == "morse-small"
    assert said["words"] == marker.make("morse-small", "fixed by route") + "stop"

    line.client.post("/wire/send", json=wires("all clear?", said["words"], "and now?"))
    sent = json.loads(office.requests[-1].body)
    assert sent == {**wires("all clear?", "stop", "and now?"), "line": "morse-small"}


def test_a_stream_is_followed_to_its_end(line: SimpleNamespace) -> None:
    with line.client.stream("POST", "/wire/send", json=wires("go?", live=True)) as answer:
        events = [json.loads(row[6:]) for row in answer.iter_lines() if row]
    assert [event.get("words") for event in events] == [
        marker.make("morse-small", "fixed by route"),
        "st",
        "op",
        None,
    ]
    assert {event.get("line") for event in events[:3]} == {"morse-large"}
    with contextlib.closing(sqlite3.connect(f"file:{line.database}?mode=ro", uri=True)) as store:
        row = store.execute(
            "SELECT surface, requested_model, served_model, complete, input_tokens, output_tokens, cost_usd "
            "FROM decisions ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
    assert row == ("telegraph", "morse-large", "morse-small", 1, 30, 4, pytest.approx(50e-6))


def test_what_is_wrong_is_said_in_its_own_shape(line: SimpleNamespace, office: Office) -> None:
    before = len(office.requests)
    answer = line.client.post("/wire/send", json=wires("go?"), headers={"x-router-alpha": "2"})
    assert answer.status_code == 400
    assert "x-router-alpha" in answer.json()["fault"]["words"]
    assert len(office.requests) == before
