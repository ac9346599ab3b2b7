"""What Pointsman itself asks: said in the provider's own API, with the parameters that a tier has."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pointsman import own_calls
from pointsman.catalogue import Catalogue
from pointsman.errors import UpstreamError
from pointsman.own_calls import Said, ask
from pointsman.values import Binding, Provider, Usage
from pointsman.wire.neutral import Message, Request, TextPart
from provider.background import serving
from provider.certs import make_authority
from provider.server import Reply
from provider.server import Request as Asked

KEY = "sk-planted-0123456789abcdef"
ENVIRON = {"TEST_KEY": KEY}
HELLO = Request("", (Message("user", (TextPart("1+1="),)),), system=("Be brief.",), max_tokens=100)

ANSWERS: dict[str, Any] = {
    "openai_chat": {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": "2", "reasoning_content": "one and one"}}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35,
                  "prompt_tokens_details": {"cached_tokens": 10}},
    },
    "openai_responses": {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "2", "annotations": []}]}],
        "usage": {"input_tokens": 30, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 10}},
    },
    "anthropic": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "2"}],
        "usage": {"input_tokens": 20, "output_tokens": 5, "cache_read_input_tokens": 10},
    },
    "gemini": {
        "candidates": [{"index": 0, "finishReason": "STOP",
                        "content": {"role": "model", "parts": [{"text": "2"}]}}],
        "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 5, "totalTokenCount": 35,
                          "cachedContentTokenCount": 10},
        "modelVersion": "m",
    },
}  # fmt: skip
PATHS = {
    "openai_chat": "/base/chat/completions",
    "openai_responses": "/base/responses",
    "anthropic": "/base/v1/messages",
    "gemini": "/base/models/m:generateContent",
}


@contextlib.contextmanager
def answering(body: Any, status: int = 200) -> Iterator[tuple[str, list[Asked]]]:
    seen: list[Asked] = []
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(request: Asked, reply: Reply) -> None:
        seen.append(request)
        await reply.start(status, [("content-type", "application/json")])
        await reply.send(data)
        await reply.end()

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}/base", seen


def binding(surface: str, url: str, **more: Any) -> Binding:
    headers, extra = {"x-title": "pointsman"}, {"service_tier": "flex"}
    provider = Provider("test", surface, url, key_env="TEST_KEY", headers=headers, extra=extra)
    return Binding(provider, "m", **more)


def said(where: Binding, **more: Any) -> Said:
    return asyncio.run(ask(where, HELLO, timeout_s=5, environ=ENVIRON, **more))


def failure(where: Binding) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        said(where)
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("surface", ANSWERS)
def test_an_answer_of_each_api(surface: str) -> None:
    with answering(ANSWERS[surface]) as (url, seen):
        answer = said(binding(surface, url))
    assert (answer.text, answer.usage) == ("2", Usage(20, 5, 10, answer.usage.cache_write_tokens))
    assert answer.thinking == ("one and one" if surface == "openai_chat" else "")
    assert answer.ms > 0
    (request,) = seen
    assert request.path == PATHS[surface]
    sent = {request.header("authorization"), request.header("x-api-key"), request.header("x-goog-api-key")}
    assert sent & {KEY, f"Bearer {KEY}"}
    assert KEY not in request.target
    assert (request.header("x-title"), request.header("accept-encoding")) == ("pointsman", "identity")
    body = json.loads(request.body)
    assert body["service_tier"] == "flex"
    assert not body.get("stream")
    assert "1+1=" in request.body.decode()


def test_a_tiers_parameters_are_in_it() -> None:
    row = Catalogue.load().resolve("minimax-m2.7")
    where = {"parameters": {"temperature": 1.0, "top_p": 0.95}, "extra": {"reasoning_split": True}}
    with answering(ANSWERS["openai_chat"]) as (url, seen):
        said(binding("openai_chat", url, **where), model=row)
        said(binding("openai_chat", url, parameters={"reasoning_effort": "high", "max_tokens": 7}))
    first, second = (json.loads(request.body) for request in seen)
    assert (first["model"], first["temperature"], first["top_p"]) == ("m", 1.0, 0.95)
    assert (first["reasoning_split"], first["service_tier"]) == (True, "flex")
    assert second["reasoning_effort"] == "high"
    assert 7 in (second.get("max_tokens"), second.get("max_completion_tokens"))


@pytest.mark.parametrize(
    ("surface", "status", "body", "kind", "message"),
    [
        ("openai_chat", 401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "status",
         "401 Incorrect API key provided: [secret]"),
        ("openai_chat", 404, b"<html>no</html>", "status", "404"),
        ("anthropic", 529, {"type": "error", "error": {"type": "busy", "message": "Over\nloaded"}},
         "status", "529 Over loaded"),
        ("gemini", 400, {"error": {"code": 400, "message": "API key not valid", "status": "INVALID"}},
         "status", "400 API key not valid"),
        ("openai_chat", 302, b"", "status", "302"),
        ("openai_chat", 200, b"<html>welcome</html>", "answer", "the answer is not understood"),
        ("openai_chat", 200, {"object": "list", "data": []}, "answer", "the answer is not understood"),
        ("openai_responses", 200, b"", "answer", "the answer is not understood"),
        ("gemini", 200, b"\xff\xfe", "answer", "the answer is not understood"),
        ("openai_chat", 200, {"error": {"message": f"no {KEY}", "code": 429}}, "status", "429 no [secret]"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_said_without_the_key(
    surface: str, status: int, body: Any, kind: str, message: str
) -> None:
    with answering(body, status) as (url, _):
        error = failure(binding(surface, url))
    assert (error.kind, str(error)) == (kind, message)


def test_who_cannot_be_asked() -> None:
    with pytest.raises(UpstreamError, match="only a client's own credential reaches it"):
        said(Binding(None, "m"))
    keyless = Provider("test", "openai_chat", "http://127.0.0.1:9", key_env="OTHER_KEY")
    error = failure(Binding(keyless, "m"))
    assert (error.kind, str(error)) == ("key", "OTHER_KEY is not set")
    assert str(failure(binding("openai_chat", ""))) == "has no base_url"
    assert failure(binding("openai_chat", "http://127.0.0.1:9/base")).kind == "network"


def test_the_roots_of_the_machine_and_a_further_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person's other programs trust counts, but for the CA with which Pointsman itself signs."""
    home = tmp_path / "home"
    for name in ("further", "environment", "own"):
        (tmp_path / name).mkdir()
    own = tmp_path / "own" / "mitmproxy-ca-cert.pem"
    files = {
        name: make_authority(tmp_path / name, ["localhost"]).ca_file
        for name in ("further", "environment", "own")
    }
    files["own"].rename(own)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSL_CERT_FILE", str(files["environment"]))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(own))
    monkeypatch.setattr(own_calls.paths, "certs_dir", lambda: own.parent)
    found = own_calls._roots(str(files["further"]))
    assert files["further"].read_text().strip() in found
    assert files["environment"].read_text().strip() in found
    assert own.read_text().strip() not in found
