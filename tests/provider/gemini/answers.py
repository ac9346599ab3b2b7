"""Scripted answers as Gemini sends them: one body, server-sent events, or a JSON array in pieces."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provider.answers import Answer, Call, Fault, Given, Part, Text, Think, parts_of, pieces
from provider.gemini import rules, shape
from provider.gemini.cache import BYTES_PER_TOKEN, Counted
from provider.gemini.capabilities import Takes
from provider.gemini.errors import error_value, quota_details
from provider.gemini.signatures import sign

Json = Mapping[str, Any]
BUSY = "The model is overloaded. Please try again later."
QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)


def blocked(reason: str = "PROHIBITED_CONTENT") -> Answer:
    """The prompt was refused: no candidate, only promptFeedback."""
    return Answer((Given({"promptFeedback": {"blockReason": reason}}),))


def unavailable() -> Fault:
    return Fault(503, BUSY)


def exhausted(retry_seconds: float = 1) -> Fault:
    """A 429 that says when to come back: in its body, Google sends no header."""
    return Fault(429, QUOTA, kind=f"RetryInfo {retry_seconds:g}")


def fault_value(fault: Fault, model: str) -> dict[str, Any]:
    """The error body of a scripted fault; `kind` may be a status name or "RetryInfo SECONDS".

    A fault in another provider's words is put into Google's: a bare 429, and Anthropic's 529.
    """
    kind, _, seconds = (fault.kind or "").partition(" ")
    if fault.status == 429 and kind in ("", "RetryInfo"):
        given = seconds or fault.headers.get("retry-after", "1")
        wait = float(given) if given.replace(".", "").isdigit() else 1.0  # else it is a date
        return error_value(429, f"{QUOTA}\nPlease retry in {wait:g}s.", quota_details(model, wait))
    if fault.status == 529:
        return error_value(503, BUSY)
    message = BUSY if fault.status == 503 and fault.message == "Overloaded" else fault.message
    return error_value(fault.status, message, name=kind)


@dataclass(frozen=True, slots=True)
class Message:
    """A finished answer of one model to one request; `parts` with the pieces in which each is streamed."""

    id: str
    model: str
    parts: tuple[dict[str, Any], ...]
    pieces: tuple[tuple[dict[str, Any], ...], ...]
    finish_reason: str
    candidates: int
    counted: Counted
    thought_tokens: int
    feedback: Json | None = None

    @property
    def blocks(self) -> tuple[dict[str, Any], ...]:
        return self.parts

    @property
    def stop_reason(self) -> str:
        return self.finish_reason

    @property
    def output_tokens(self) -> int:
        """All that is billed as output: candidates and thoughts."""
        return self.candidates * self._tokens(self.parts) + self.thought_tokens

    def body(self) -> dict[str, Any]:
        """The answer to generateContent."""
        candidate = self._content(self.parts) | {"finishReason": self.finish_reason}
        return self._response([candidate | {"index": index} for index in range(self.candidates)], self.parts)

    def chunks(self) -> list[dict[str, Any]]:
        """The answers of which a stream consists; counts grow, and the last ones hold."""
        if self.feedback is not None:
            return [self._response([], ())]
        streamed = [piece for part in self.pieces for piece in part] or [{"text": ""}]
        chunks = []
        for number, piece in enumerate(streamed):
            candidate = self._content([piece])
            if number == len(streamed) - 1:
                candidate["finishReason"] = self.finish_reason
            said = streamed[: number + 1]
            chunks += [
                self._response([candidate | {"index": index}], said) for index in range(self.candidates)
            ]
        return chunks

    def _content(self, parts: Sequence[Json]) -> dict[str, Any]:
        return {"content": {"parts": list(parts), "role": "model"}}

    def _response(self, candidates: list[dict[str, Any]], said: Sequence[Json]) -> dict[str, Any]:
        response: dict[str, Any] = {"candidates": candidates} if self.feedback is None else {}
        if self.feedback is not None:
            response["promptFeedback"] = dict(self.feedback)
        response |= {"usageMetadata": self._usage(said), "modelVersion": self.model, "responseId": self.id}
        return response

    def _usage(self, said: Sequence[Json]) -> dict[str, Any]:
        prompt, cached = self.counted.prompt, self.counted.cached
        output = self.candidates * self._tokens(said)
        usage: dict[str, Any] = {"promptTokenCount": prompt}
        if output:
            usage["candidatesTokenCount"] = output
        usage["totalTokenCount"] = prompt + output + self.thought_tokens
        if cached:
            usage["cachedContentTokenCount"] = cached
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
        if cached:
            usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
        if self.thought_tokens:
            usage["thoughtsTokenCount"] = self.thought_tokens
        return usage | {"serviceTier": "standard"}

    @staticmethod
    def _tokens(parts: Sequence[Json]) -> int:
        said = [part for part in parts if not part.get("thought")]
        sizes = (len(part.get("text", json.dumps(part.get("functionCall", part)))) for part in said)
        return math.ceil(sum(sizes) / BYTES_PER_TOKEN)


def frames(message: Message, answer: Answer, *, sse: bool) -> list[bytes]:
    """The pieces of a stream. `overload_kind` "bare" ends it in an error of several lines without data:."""
    chunks = message.chunks()
    if answer.overload_after is None:
        return [shape.event(chunk) for chunk in chunks] if sse else shape.array(chunks)
    chunks, error = chunks[: answer.overload_after], error_value(503, BUSY)
    if not sse:
        return shape.array([*chunks, error])
    last = shape.pretty(error).encode() if answer.overload_kind == "bare" else shape.event(error)
    return [*(shape.event(chunk) for chunk in chunks), last]


def compose(
    answer: Answer, body: Json, *, model: Takes, account: str, counted: Counted, number: int
) -> Message:
    """Turn a scripted answer into a message: signatures are made, calls get ids, tokens are counted."""
    given = [part for part in answer.blocks if isinstance(part, Given) and "promptFeedback" in part.block]
    maker = _Maker(model, account, number, thinks=rules.is_thinking(body, model), shown=_shown(body))
    for part in () if given else parts_of(answer, maker.thinks):
        maker.add(part)
    maker.finish()
    return Message(
        id=_identity("response", number)[:22],
        model=model.name,
        parts=tuple(maker.parts),
        pieces=tuple(maker.pieces),
        finish_reason=answer.stop_reason or "STOP",
        candidates=int(rules.config_of(body).get("candidateCount") or 1),
        counted=counted,
        thought_tokens=maker.thought_tokens,
        feedback=given[0].block["promptFeedback"] if given else None,
    )


class _Maker:
    """Collects parts, whole and in the pieces of a stream."""

    def __init__(self, model: Takes, account: str, number: int, *, thinks: bool, shown: bool) -> None:
        self.model, self.account, self.number = model, account, number
        self.thinks, self.shown = thinks, shown
        self.parts: list[dict[str, Any]] = []
        self.pieces: list[tuple[dict[str, Any], ...]] = []
        self.thought_tokens = 0
        self.called = False

    def add(self, part: Part) -> None:
        if isinstance(part, Think):
            self.thought_tokens += max(1, len(part.text) // BYTES_PER_TOKEN)
            if self.shown and not part.redacted:
                self._whole({"text": part.text, "thought": True})
        elif isinstance(part, Text):
            self.parts.append({"text": part.text})
            self.pieces.append(tuple({"text": text} for text in pieces(part.text, part.piece)))
        elif isinstance(part, Call):
            self._whole(self._call(part))
        else:
            self._whole(dict(part.block))

    def finish(self) -> None:
        """Without a call the last part is signed; in a stream that is an empty text of its own."""
        last = self.parts[-1] if self.parts else {}
        if not self.model.signatures_required or self.called or "text" not in last or last.get("thought"):
            return
        signature = sign(last, account=self.account, model=self.model.name)
        self.parts[-1] = last | {"thoughtSignature": signature}
        self.pieces.append(({"text": "", "thoughtSignature": signature},))

    def _whole(self, part: dict[str, Any]) -> None:
        self.parts.append(part)
        self.pieces.append((part,))

    def _call(self, part: Call) -> dict[str, Any]:
        given = {"input": part.input} if isinstance(part.input, str) else dict(part.input)
        call: dict[str, Any] = {"name": part.name, "args": given}
        if self.model.call_ids:
            call["id"] = _identity(f"call {len(self.parts)}", self.number).lower().translate(_PLAIN)[:8]
        made: dict[str, Any] = {"functionCall": call}
        if not self.called and (self.thinks or self.model.signatures_required):
            made["thoughtSignature"] = sign(made, account=self.account, model=self.model.name)
        self.called = True
        return made


_PLAIN = str.maketrans("-_", "00")


def _shown(body: Json) -> bool:
    return bool((rules.config_of(body).get("thinkingConfig") or {}).get("includeThoughts"))


def _identity(what: str, number: int) -> str:
    digest = hashlib.sha256(f"{what} {number}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
