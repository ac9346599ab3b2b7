"""Google's Python SDK and the Gemini API. The model stands in the path; answers are printed as Google's."""

from __future__ import annotations

import re
from typing import ClassVar

from provider.gemini import shape

from benchmarks.traffic.base import DELTA, DELTAS, SAID, SCHEMA, Json, Said, Streamed, Traffic

_MODEL = re.compile(r"/models/([^:]+):")
_AGENT = "google-genai-sdk/3.4.0 gl-python/3.13.0"


class Gemini(Traffic):
    surface, host = "gemini", "generativelanguage.googleapis.com"
    requested, served = "gemini-2.5-pro", "gemini-3.1-flash-lite"
    model_member = "modelVersion"
    headers: ClassVar = {
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "connection": "keep-alive",
        "content-type": "application/json",
        "user-agent": _AGENT,
        "x-goog-api-client": _AGENT,
        "x-goog-api-key": "AIzaBench",
    }

    def path(self, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{self.requested}:{method}"

    def array_path(self) -> str:
        """Where the same stream comes as one JSON array."""
        return self.path(True).removesuffix("?alt=sse")

    def takes(self, path: str) -> bool:
        return "enerateContent" in path

    def streams(self, path: str, body: bytes) -> bool:
        return ":stream" in path

    def asked_model(self, path: str, body: bytes) -> str:
        found = _MODEL.search(path)
        return found[1] if found else ""

    def request(self, system: list[str], tools: list[Json], history: list[Json], stream: bool) -> Json:
        """Thinking has a budget, where the lesser model has levels."""
        thinking = {"includeThoughts": True, "thinkingBudget": 8_192}
        leading = {"systemInstruction": {"parts": [{"text": text} for text in system]}} if system else {}
        return {
            "contents": history,
            **leading,
            "tools": [{"functionDeclarations": tools}],
            "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": thinking},
        }

    def tool(self, name: str, description: str) -> Json:
        return {"name": name, "description": description, "parametersJsonSchema": SCHEMA}

    def person(self, text: str) -> list[Json]:
        return [{"parts": [{"text": text}], "role": "user"}]

    def said(self, said: Said) -> list[Json]:
        """Half of the clients keep the marker as the part it was, half merge it with the words.

        Not all calls are signed, and the lesser model wants those of the current turn to be.
        """
        words = [said.words]
        if said.marker is not None:
            words = [said.marker + said.words] if said.index % 2 else [said.marker, said.words]
        call: Json = {
            "functionCall": {"id": f"call_{said.index:04d}", "args": said.arguments, "name": "tool_3"}
        }
        if said.thought:
            call["thoughtSignature"] = "CiQBVKhc7nF1gVb9" * 20
        return [{"parts": [*({"text": text} for text in words), call], "role": "model"}]

    def result(self, index: int, text: str) -> list[Json]:
        given = {"id": f"call_{index:04d}", "name": "tool_3", "response": {"output": text}}
        return [{"parts": [{"functionResponse": given}], "role": "user"}]

    def answer(self) -> bytes:
        return shape.pretty(self._chunk(SAID, "STOP")).encode()

    def stream(self, deltas: int = DELTAS) -> Streamed:
        pieces = [shape.event(chunk) for chunk in self._chunks(deltas)]
        return Streamed([], pieces[:-1], pieces[-1:])

    def array(self, deltas: int) -> Streamed:
        """The stream as one JSON array."""
        pieces = shape.array(self._chunks(deltas))
        return Streamed(pieces[:1], pieces[1:-2], pieces[-2:])

    def _chunks(self, deltas: int) -> list[Json]:
        return [*([self._chunk(DELTA)] * deltas), self._chunk("", "STOP")]

    def _chunk(self, text: str, finish_reason: str | None = None) -> Json:
        candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}}
        if finish_reason is not None:
            candidate["finishReason"] = finish_reason
        usage = {
            "promptTokenCount": 7_500,
            "candidatesTokenCount": 40,
            "totalTokenCount": 7_660,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7_500}],
            "thoughtsTokenCount": 120,
        }
        return {
            "candidates": [candidate | {"index": 0}],
            "usageMetadata": usage,
            "modelVersion": self.served,
            "responseId": "BenchBenchBenchBenchBe",
        }
