"""What real clients sent passes the stand-in's rules, and its answers have the members that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provider.answers import Answer, Call, Text
from provider.openai.errors import Refused
from provider.openai.family import OpenAI
from provider.openai.samples import ask, chat, responses

Entry = dict[str, Any]


def recorded(folder: Path) -> Iterator[tuple[str, Entry]]:
    for file in sorted((folder / "captures").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["host"] == "api.openai.com" and entry["method"] == "POST":
                yield file.name, entry


def test_recorded_requests_are_accepted(shared: Path) -> None:
    """All but two, which go on from a response that this stand-in did not make."""
    family, seen, refusals = OpenAI(), [], []
    for name, entry in recorded(shared):
        headers = {key.lower(): value for key, value in entry["headers"] if key.lower() != "content-encoding"}
        try:
            record = ask(family, entry["body"], account="fake", **headers)
        except Refused as refusal:
            refusals.append(refusal.code)
            continue
        seen.append((name, family.aside(record) is not None))
    assert len(seen) > 30
    assert set(refusals) == {"previous_response_not_found"} and len(refusals) == 2
    titles = [name for name, title in seen if title]
    assert titles == ["opencode-basic.jsonl", "opencode-oai-mark-lead_block.jsonl"]


def parts(stream: str) -> list[Any]:
    """(name of the event or "", its data) of each."""
    found = []
    for frame in stream.strip().split("\n\n"):
        name, _, data = frame.rpartition("data: ")
        found.append((name, "[DONE]" if data == "[DONE]" else json.loads(data)))
    return found


def shape(value: Any) -> Any:
    """Members in their order, and the types of what they hold; strings of a closed set by value."""
    if isinstance(value, dict):
        return {
            key: inner if key in ("type", "object", "role", "status") else shape(inner)
            for key, inner in value.items()
            if key not in ("obfuscation", "reasoning", "store")
        }
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__.replace("int", "float")


def pairs_of(shaped: Any) -> str:
    """With the order of members: equal dicts may differ in that."""
    return json.dumps(shaped)


def stream(entry: Entry) -> str | None:
    body = entry["response"]["body"]
    marked = isinstance(body, str) and "✦" in body
    return body if isinstance(body, str) and not marked else None


def test_streams_are_as_recorded(shared: Path) -> None:
    """Event by event, for answers of the same parts; the recorded ones did not reason."""
    compared = set()
    for _, entry in recorded(shared):
        was = stream(entry)
        if was is None:
            continue
        step = Answer((_same_part(was),), think=None)
        asked = {"stream_options": entry["body"].get("stream_options"), "stream": True}
        body = chat("gpt-4o", **asked) if "chat" in entry["path"] else responses("gpt-5", stream=True)
        made = b"".join(ask(OpenAI(), body, step).notes["ready"].frames).decode()
        before, now = parts(was), parts(made)
        assert [name for name, _ in before] == [name for name, _ in now]
        for (_, one), (_, other) in zip(before, now, strict=True):
            _check_same(one, other)
        compared.add((entry["path"], "custom_tool_call" in was))
    assert compared == {("/v1/chat/completions", False), ("/v1/responses", False), ("/v1/responses", True)}


def _check_same(one: Any, other: Any) -> None:
    if one == "[DONE]":
        assert other == "[DONE]"
        return
    if other.get("usage", 0) is None:
        del other["usage"]  # the recorded provider left it away where it is null
    assert pairs_of(shape(one)) == pairs_of(shape(other))


def _same_part(stream: str) -> Text | Call:
    """What makes as many deltas as were recorded."""
    if "custom_tool_call" in stream:
        return Call("exec", 'text(await tools.exec_command({cmd: "echo hi"}))', piece=16)
    count = stream.count(".delta\n") or stream.count('"delta": {"content"')
    return Text("x" * 13 * count)
