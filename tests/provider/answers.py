"""What the stand-in says: scripted answers, and how they look as one JSON body or as server-sent events."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import brotli  # type: ignore[import-untyped]
import zstandard
from provider import thinking
from provider.cache import Counted


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    piece: int = 13  # characters per delta


@dataclass(frozen=True, slots=True)
class Think:
    text: str = "Let me look at the timetable first."
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; its JSON arguments arrive in pieces that break inside words."""

    name: str
    input: Mapping[str, Any]
    piece: int = 7


@dataclass(frozen=True, slots=True)
class Given:
    """Any other block, streamed whole in its content_block_start."""

    block: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds before the response head, before the first event, and between events."""

    head: float = 0.0
    first: float = 0.0
    between: float = 0.0


REALISTIC = Pace(head=0.3, first=0.1, between=0.02)

Mangle = Callable[[list[bytes]], list[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One good answer, and the ways in which its delivery may go wrong.

    `think` is prepended whenever the request has thinking on and no block of its own says so.
    Counts are of stream events: after `overload_after` of them an error event ends the stream,
    after `cut_after` the connection breaks in the middle of an event, after `hang_after` nothing comes.
    """

    blocks: tuple[Text | Think | Call | Given, ...] = (Text("Hello from the stand-in provider."),)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    think: str | None = "Let me look at the timetable first."
    pace: Pace = Pace()
    encoding: str = ""  # sent compressed although nobody may have asked
    tear: int = 0  # bytes per write; 0 = one event per write
    overload_after: int | None = None
    cut_after: int | None = None
    hang_after: int | None = None
    mangle: Mangle | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error instead of an answer."""

    status: int
    message: str = "Overloaded"
    kind: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class Page:
    """Exact bytes, whatever was asked: an HTML page with status 200, say."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/html"})
    pace: Pace = Pace()
    cut: bool = False  # the connection breaks in the middle


Step = Answer | Fault | Page


def overloaded(retry_after: int | None = None) -> Fault:
    return Fault(529, "Overloaded", headers={} if retry_after is None else {"retry-after": str(retry_after)})


def rate_limited(retry_after: int = 1) -> Fault:
    message = "This request would exceed your organization's rate limit of 50 requests per minute"
    return Fault(429, message, headers={"retry-after": str(retry_after)})


@dataclass(frozen=True, slots=True)
class Message:
    """A finished answer of one model to one request."""

    id: str
    model: str
    blocks: tuple[dict[str, Any], ...]
    pieces: tuple[int, ...]
    stop_reason: str
    stop_sequence: str | None
    counted: Counted
    output_tokens: int

    def body(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": list(self.blocks),
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "usage": self.counted.usage(self.output_tokens),
        }

    def events(self) -> list[bytes]:
        start = self.body() | {"content": [], "stop_reason": None, "stop_sequence": None}
        start["usage"] = self.counted.usage(1)
        frames = [event("message_start", message=start)]
        for index, block in enumerate(self.blocks):
            frames += _block_events(index, block, self.pieces[index])
            if index == 0:
                frames.insert(2, event("ping"))
        delta = {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence}
        usage = self.counted.usage(self.output_tokens)
        cumulative = {key: usage[key] for key in usage if key not in ("cache_creation", "service_tier")}
        frames.append(event("message_delta", delta=delta, usage=cumulative))
        return [*frames, event("message_stop")]


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def error_event(kind: str, message: str) -> bytes:
    return event("error", error={"type": kind, "message": message})


def _block_events(index: int, block: dict[str, Any], piece: int) -> Iterator[bytes]:
    kind = block["type"]
    empty: dict[str, Any] = dict(block)
    deltas: list[dict[str, Any]] = []
    if kind == "text":
        empty["text"] = ""
        deltas = [{"type": "text_delta", "text": part} for part in _pieces(block["text"], piece)]
    elif kind == "thinking":
        empty |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": part} for part in _pieces(block["thinking"], piece)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        empty["input"] = {}
        arguments = json.dumps(block["input"], ensure_ascii=False)
        parts = ["", *_pieces(arguments, piece)]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    yield event("content_block_start", index=index, content_block=empty)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def compose(
    answer: Answer,
    body: Mapping[str, Any],
    *,
    model: str,
    account: str,
    thinks: bool,
    counted: Counted,
    number: int,
) -> Message:
    """Turn a scripted answer into a message: thinking is signed, calls get ids, tokens are counted."""
    prefix = thinking.prefix_of(body)
    blocks: list[dict[str, Any]] = []
    pieces: list[int] = []
    for part in _parts(answer, thinks):
        if isinstance(part, Think):
            shown = "" if part.redacted or _omitted(body) else part.text
            seal = thinking.sign(shown, account=account, model=model, position=len(blocks), prefix=prefix)
            prefix = thinking.extend_prefix(prefix, seal)
            hidden = {"type": "redacted_thinking", "data": seal}
            blocks.append(
                hidden if part.redacted else {"type": "thinking", "thinking": shown, "signature": seal}
            )
        elif isinstance(part, Text):
            blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, Call):
            call_id = f"toolu_{number:06d}{len(blocks):02d}"
            blocks.append({"type": "tool_use", "id": call_id, "name": part.name, "input": dict(part.input)})
        else:
            blocks.append(dict(part.block))
        pieces.append(getattr(part, "piece", 16))
    calls = any(block["type"] == "tool_use" for block in blocks)
    return Message(
        id=f"msg_standin{number:08d}",
        model=model,
        blocks=tuple(blocks),
        pieces=tuple(pieces),
        stop_reason=answer.stop_reason or ("tool_use" if calls else "end_turn"),
        stop_sequence=answer.stop_sequence,
        counted=counted,
        output_tokens=max(1, len(json.dumps(blocks)) // 4),
    )


def _parts(answer: Answer, thinks: bool) -> list[Text | Think | Call | Given]:
    if not thinks:
        return [part for part in answer.blocks if not isinstance(part, Think)]
    if answer.think is None or any(isinstance(part, Think) for part in answer.blocks):
        return list(answer.blocks)
    return [Think(answer.think), *answer.blocks]


def _omitted(body: Mapping[str, Any]) -> bool:
    return bool((body.get("thinking") or {}).get("display") == "omitted")


class Compressor(Protocol):
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


@dataclass
class _Identity:
    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _Zlib:
    def __init__(self, bits: int) -> None:
        self.machine = zlib.compressobj(wbits=bits)

    def feed(self, data: bytes) -> bytes:
        return self.machine.compress(data) + self.machine.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self.machine.flush()


class _Brotli:
    def __init__(self) -> None:
        self.machine = brotli.Compressor(quality=4)

    def feed(self, data: bytes) -> bytes:
        return bytes(self.machine.process(data) + self.machine.flush())

    def finish(self) -> bytes:
        return bytes(self.machine.finish())


class _Zstd:
    def __init__(self) -> None:
        self.machine = zstandard.ZstdCompressor().compressobj()

    def feed(self, data: bytes) -> bytes:
        return self.machine.compress(data) + self.machine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self.machine.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


def compressor(encoding: str) -> Compressor:
    makers: dict[str, Callable[[], Compressor]] = {
        "": _Identity,
        "gzip": lambda: _Zlib(31),
        "deflate": lambda: _Zlib(15),
        "br": _Brotli,
        "zstd": _Zstd,
    }
    return makers[encoding]()


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Decode a request body as the provider would: ValueError if broken, OverflowError if too large."""
    if encoding in ("", "identity"):
        return data
    if encoding == "gzip" or encoding == "deflate":
        machine = zlib.decompressobj(31 if encoding == "gzip" else 15)
        out = machine.decompress(data, limit + 1)
        if len(out) > limit:
            raise OverflowError
        if not machine.eof:
            raise ValueError("truncated")
        return out
    if encoding == "br":
        out = brotli.decompress(data)
    elif encoding == "zstd":
        out = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    else:
        raise ValueError(f"unknown content-encoding {encoding}")
    if len(out) > limit:
        raise OverflowError
    return out


def compress(data: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(data)
    machine = compressor(encoding)
    return machine.feed(data) + machine.finish()
