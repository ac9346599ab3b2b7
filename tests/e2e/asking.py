"""One question through each provider's own SDK, and what the SDK makes of whatever comes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from e2e.sdks import MARKER
from provider.proxy import InProcessProxy, SubprocessProxy, trust

Proxy = InProcessProxy | SubprocessProxy
ASKED = {
    "anthropic": "claude-opus-4-8",
    "openai_chat": "gpt-5.4",
    "openai_responses": "gpt-5.4",
    "gemini": "gemini-3.8-flash",
}
SERVED = {
    "anthropic": "claude-haiku-4-5",
    "openai_chat": "gpt-5.4-mini",
    "openai_responses": "gpt-5.4-mini",
    "gemini": "gemini-3.5-flash-lite",
}
QUESTION = "Which platform does the night train leave from?"
TOOL = {"type": "object", "properties": {"where": {"type": "string"}}}
_ADDRESS = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the SDK gave: text without markers, how often one was shown, the exception that ended it."""

    text: str = ""
    markers: int = 0
    error: str = ""
    status: int | None = None
    message: str = ""
    retry_after: str | None = None

    @property
    def kind(self) -> str:
        """The exception's class; connections that break or wait too long are told by many names."""
        return "lost" if self.error in LOST else "late" if self.error in LATE else self.error


LOST = {
    *("APIConnectionError", "RemoteProtocolError", "ReadError", "ConnectError", "LocalProtocolError"),
    *("WriteError", "StreamReset", "DecodingError"),
}
LATE = {"APITimeoutError", "ReadTimeout", "ConnectTimeout", "PoolTimeout"}


@dataclass(frozen=True, slots=True)
class Asker:
    """`timeout` is in seconds, for the connection and between two pieces of an answer."""

    surface: str
    proxy: Proxy
    account: str
    http2: bool = False
    timeout: float = 10.0
    model: str = ""  # "" is the surface's own

    def __call__(self, streamed: bool, headers: dict[str, str] | None = None) -> Heard:
        texts: list[str] = []
        caught: Exception | None = None
        try:
            for text in WAYS[self.surface](self, streamed, headers or {}):
                texts.append(text)
        except Exception as error:
            caught = error
        return _heard("".join(texts), caught)

    @property
    def name(self) -> str:
        return self.model or ASKED[self.surface]


def _heard(text: str, error: Exception | None) -> Heard:
    markers = len(MARKER.findall(text))
    text = MARKER.sub("", text)
    if error is None:
        return Heard(text, markers)
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    response = getattr(error, "response", None)
    retry_after = getattr(response, "headers", {}).get("retry-after")
    said = _ADDRESS.sub("", str(error))
    number = status if isinstance(status, int) else None
    return Heard(text, markers, type(error).__name__, number, said, retry_after)


def _anthropic(asker: Asker, streamed: bool, headers: dict[str, str]) -> Iterator[str]:
    http = anthropic.DefaultHttpxClient(
        proxy=asker.proxy.url, verify=trust(asker.proxy.ca_file), http2=asker.http2
    )
    key = f"sk-ant-api03-{asker.account}"
    asked: Any = {"model": asker.name, "max_tokens": 500, "extra_headers": headers}
    asked["messages"] = [{"role": "user", "content": QUESTION}]
    asked["tools"] = [{"name": "look", "input_schema": TOOL}]
    with anthropic.Anthropic(api_key=key, http_client=http, max_retries=0, timeout=asker.timeout) as client:
        if streamed:
            with client.messages.stream(**asked) as stream:
                yield from stream.text_stream
                message = stream.get_final_message()
                assert message.stop_reason or not message.content
        else:
            for block in client.messages.create(**asked).content:
                yield block.text if block.type == "text" else ""


def _openai(asker: Asker) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(
        proxy=asker.proxy.url, verify=trust(asker.proxy.ca_file), http2=asker.http2
    )
    key = f"sk-proj-{asker.account}"
    return openai.OpenAI(api_key=key, http_client=http, max_retries=0, timeout=asker.timeout)


def _chat(asker: Asker, streamed: bool, headers: dict[str, str]) -> Iterator[str]:
    asked: Any = {"model": asker.name, "extra_headers": headers, "stream": streamed}
    asked["messages"] = [{"role": "user", "content": QUESTION}]
    asked["tools"] = [{"type": "function", "function": {"name": "look", "parameters": TOOL}}]
    with _openai(asker) as client:
        answer: Any = client.chat.completions.create(**asked)
        if not streamed:
            yield answer.choices[0].message.content or ""
            return
        for chunk in answer:
            for choice in chunk.choices:
                yield choice.delta.content or ""


def _responses(asker: Asker, streamed: bool, headers: dict[str, str]) -> Iterator[str]:
    asked: Any = {"model": asker.name, "extra_headers": headers, "stream": streamed, "input": QUESTION}
    asked["tools"] = [{"type": "function", "name": "look", "parameters": TOOL, "strict": False}]
    with _openai(asker) as client:
        answer: Any = client.responses.create(**asked)
        if not streamed:
            yield answer.output_text
            return
        for event in answer:
            if event.type == "response.output_text.delta":
                yield event.delta
            elif event.type in ("response.failed", "error"):
                raise Failed(event.type)


class Failed(Exception):
    """An event of the Responses API that says so."""


def _gemini(asker: Asker, streamed: bool, headers: dict[str, str]) -> Iterator[str]:
    genai = pytest.importorskip("google.genai")
    arguments = {"proxy": asker.proxy.url, "verify": trust(asker.proxy.ca_file), "http2": asker.http2}
    options = {"client_args": arguments, "headers": headers, "timeout": int(asker.timeout * 1000)}
    asked: Any = {"model": asker.name, "contents": QUESTION}
    with genai.Client(api_key=f"AIza-{asker.account}", http_options=options) as client:
        if streamed:
            for chunk in client.models.generate_content_stream(**asked):
                yield chunk.text or ""
        else:
            yield client.models.generate_content(**asked).text or ""


WAYS: dict[str, Callable[[Asker, bool, dict[str, str]], Iterator[str]]] = {
    "anthropic": _anthropic,
    "openai_chat": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
}
