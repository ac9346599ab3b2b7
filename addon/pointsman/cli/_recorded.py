"""Requests out of saved traffic: mitmproxy's flows, HAR files, or JSON lines.

A JSON line is one request: `{"kind": "http", "method", "scheme", "host", "path", "headers":
[[name, value], …], "body": the decoded JSON (or a string, or null), "response": {"status", and the
same "headers" and "body"}}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitmproxy import exceptions, http
from mitmproxy.io import FlowReader

from pointsman.errors import PointsmanError
from pointsman.wire.json_spans import encode


class RecordingError(PointsmanError):
    """A file of saved traffic cannot be read."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One saved request. `at` is in unix seconds; None where the file does not say.

    `answer` is what the provider said, its body decoded or empty where it was not kept.
    """

    request: http.Request
    at: float | None
    answer: http.Response | None

    @property
    def status(self) -> int | None:
        return self.answer.status_code if self.answer else None


def read(path: Path) -> Iterator[Recorded]:
    """Every HTTP request in the file, in its order; other kinds of flow are left out.

    Raises RecordingError that says what is wrong where.
    """
    try:
        if _is_json_lines(path):
            yield from _read_lines(path)
        else:
            yield from _read_flows(path)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error


def _is_json_lines(path: Path) -> bool:
    """A HAR file is one JSON object with `log`; a line of ours is one with `host`."""
    with path.open("rb") as file:
        if file.read(1) != b"{":
            return False
        file.seek(0)
        try:
            first = json.loads(file.readline())
        except ValueError:
            return False
    return isinstance(first, dict) and "log" not in first


def _read_flows(path: Path) -> Iterator[Recorded]:
    with path.open("rb") as file:
        try:
            for flow in FlowReader(file).stream():
                if isinstance(flow, http.HTTPFlow) and flow.websocket is None:
                    yield Recorded(flow.request, flow.request.timestamp_start or None, flow.response)
        except (exceptions.FlowReadException, exceptions.OptionsError) as error:
            raise RecordingError(f"{path} is neither flows, nor HAR, nor JSON lines: {error}") from error


def _read_lines(path: Path) -> Iterator[Recorded]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if entry.get("kind", "http") == "http":
                    yield _from_entry(entry)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise RecordingError(f"{path}:{number} is not a saved request: {what}") from error


def _from_entry(entry: dict[str, Any]) -> Recorded:
    headers = _headers(entry["headers"])
    url = f"{entry.get('scheme', 'https')}://{entry['host']}{entry['path']}"
    request = http.Request.make(entry["method"], url, _content(entry), headers)
    said = entry.get("response")
    answer = None
    if said and said.get("status"):
        answer = http.Response.make(said["status"], _content(said), _headers(said.get("headers") or []))
    return Recorded(request, entry.get("at"), answer)


def _headers(given: list[list[Any]]) -> http.Headers:
    headers = http.Headers([(str(name).encode(), str(value).encode()) for name, value in given])
    # The body was saved decoded, so these say something about bytes that are gone.
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    return headers


def _content(entry: dict[str, Any]) -> bytes:
    body = entry.get("body")
    return b"" if body is None else body.encode() if isinstance(body, str) else encode(body)
