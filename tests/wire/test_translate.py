"""Answers of one API as answers of another: what the joined reader and writer promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pointsman.surface import surfaces
from pointsman.wire.neutral import Failed, Reasoning, Request
from pointsman.wire.translate import Translation, error_of, translate_body, translate_error

STREAMS = Path(__file__).parents[1] / "streams"
REQUEST = Request("asked-model", (), reasoning=Reasoning(on=True, shown=True))
ANSWERING = sorted(name for name, surface in surfaces().items() if hasattr(surface, "read_events"))


def translation(provider: str, client: str, request: Request = REQUEST) -> Translation:
    surface = surfaces()
    return Translation(
        surface[provider].read_events("text/event-stream"),
        surface[client].write_events(request, "a1", 1_795_000_000),
    )


def data_of(stream: bytes) -> list[Any]:
    lines = (line[6:] for line in stream.splitlines() if line.startswith(b"data: "))
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def test_an_answer_that_says_nothing_has_not_begun() -> None:
    """That is for the caller to judge; what has been written can be dropped."""
    made = translation("openai_chat", "anthropic")
    out = made.feed((STREAMS / "openai_chat" / "empty_answer.sse").read_bytes()) + made.flush()
    assert made.ended and not made.begun and made.failed is None
    assert b"content_block" not in b"".join(out)


@pytest.mark.parametrize("content", [b"", b"<html>Bad gateway</html>", b": ping\n\n", b"[]", b"{}", b"null"])
@pytest.mark.parametrize("provider", ANSWERING)
def test_what_is_no_answer_is_a_failure(provider: str, content: bytes) -> None:
    made = translation(provider, "anthropic")
    assert made.feed(content) + made.flush() == []
    assert made.failed is not None and made.failed.status == 502
    assert not made.begun and not made.ended


def test_an_error_is_told_and_not_written() -> None:
    made = translation("openai_chat", "anthropic")
    out = b"".join(made.feed((STREAMS / "openai_chat" / "error_midstream.sse").read_bytes()))
    assert made.failed is not None and made.failed.kind == "server_error" and b"error" not in out
    frame = made.fail(529, "All providers failed.")
    assert data_of(frame) == [
        {"type": "error", "error": {"type": "overloaded_error", "message": "All providers failed."}}
    ]
    assert made.fail(500, "again") == b""


def test_the_beginning_can_be_sent_first() -> None:
    made, late = translation("openai_chat", "anthropic"), translation("openai_chat", "anthropic")
    stream = (STREAMS / "openai_chat" / "text.sse").read_bytes()
    out = made.begin() + b"".join(made.feed(stream) + made.flush())
    assert out == b"".join(late.feed(stream) + late.flush())
    assert out.count(b"event: message_start") == 1


ERRORS = [
    (b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}', "Busy", "overloaded_error"),
    (b'{"error":{"message":"Busy","type":"server_error","code":null}}', "Busy", "server_error"),
    (b'{"error":{"message":"Busy","type":"x","code":"rate_limit_exceeded"}}', "Busy", "rate_limit_exceeded"),
    (b'[{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}]', "Busy", "UNAVAILABLE"),
    (b'{"error":"Busy"}', "Busy", ""),
    (b'{"message":"Busy"}', "Busy", ""),
    (b'{"detail":[{"loc":["body"],"msg":"Busy"}]}', "Busy", ""),
    (b"Busy", "Busy", ""),
    (b"<html><h1>503</h1></html>", "The provider answered with status 503.", ""),
    (b"", "The provider answered with status 503.", ""),
]


@pytest.mark.parametrize(("data", "message", "kind"), ERRORS)
def test_error_bodies_keep_their_message(data: bytes, message: str, kind: str) -> None:
    assert error_of(data, 503) == Failed(503, message, kind)
    body = json.loads(translate_error(data, 503, surfaces()["anthropic"]))
    assert body == {"type": "error", "error": {"type": "api_error", "message": message}}


def test_an_error_that_repeats_a_key_is_told_without_it() -> None:
    data = b'{"error":{"message":"Incorrect API key: sk-proj-0123456789abcdef"}}'
    assert error_of(data, 401).message == "Incorrect API key: [secret]"


@pytest.mark.parametrize("data", [b"", b"<html>", b"[1]", b'{"choices":[]}', b'{"error":{"message":"no"}}'])
def test_a_body_that_is_no_answer_is_a_failure(data: bytes) -> None:
    both = surfaces()
    whole = translate_body(data, both["openai_chat"], both["anthropic"], REQUEST, "a1", 1)
    assert whole.failed is not None and whole.data == b"" and not whole.begun
    assert whole.failed.message == ("no" if b"error" in data else "The provider's answer ended too early.")
