"""What real clients sent passes the stand-in's rules, and its answers have the members that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provider.answers import Answer
from provider.gemini import checks, routes
from provider.gemini.answers import compose
from provider.gemini.cache import Counted
from provider.gemini.capabilities import BY_NAME
from provider.server import Request

HOST = "generativelanguage.googleapis.com"


def recorded(folder: Path) -> Iterator[tuple[Request, Any, Any]]:
    """(request, its body, the answer's body) of every request to the service."""
    for file in sorted((folder / "captures").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry.get("host") != HOST:
                continue
            headers = tuple((name.lower(), value) for name, value in entry["headers"])
            request = Request("1.1", entry["method"], entry["path"], HOST, headers, b"", 1)
            yield request, entry["body"], entry["response"]["body"]


def test_captured_requests_are_accepted(shared: Path) -> None:
    seen = 0
    for request, body, _ in recorded(shared):
        route = routes.find_route(request)
        assert route is not None, request.target
        routes.check_query(route)
        account, subscription = routes.authenticate(request, route)
        assert (account, subscription) == ("gemini", False)
        checks.check(body, route.name, account, version=route.version, verb=route.verb, repeated_results=True)
        seen += 1
    assert seen > 20


def test_answers_have_the_members_that_were_recorded(shared: Path) -> None:
    model = BY_NAME["gemini-3.8-flash"]
    made = compose(Answer(), {}, model=model, account="a", counted=Counted(9, 3), number=1).body()
    for request, _, answer in recorded(shared):
        if isinstance(answer, dict) and "candidates" in answer:
            assert answer.keys() <= made.keys(), request.target
            assert answer["candidates"][0].keys() <= made["candidates"][0].keys()
            assert answer["usageMetadata"].keys() <= made["usageMetadata"].keys()
