"""What a Gemini answer says, gathered chunk by chunk or from a whole body; and the answer rewritten.

A stream consists of answers of the same shape as a body, each with a piece of the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.values import Changes
from pointsman.wire import observation as base
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array, encode
from pointsman.wire.loose import as_dict, as_list, as_text, dicts
from pointsman.wire.observation import as_count

_RESPONSE: Final = ("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId")
REFUSALS: Final = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR",
})  # fmt: skip
"""Reasons for an end that are the provider's will."""
_ASIDE: Final = ("thought", "thoughtSignature", "partMetadata")  # what a part has besides its content

# The end of an answer as Google writes it. Only strings stand between the name and the closing brace, which
# is the last one: so the member is one of the answer itself and not of something inside it. What is replaced
# is a string that can be read, lest broken JSON is mended.
_MODEL: Final = b'"modelVersion"'
_TAIL: Final = re.compile(
    rb'"modelVersion"[ \t]*:[ \t]*"([ !#-\[\]-~]*)"(?:\s*,\s*"\w+"\s*:\s*"[^"\\]*")*\s*\}\s*\Z'
)


@dataclass(slots=True)
class Observation(base.Observation):
    """A Gemini answer of as many candidates as were asked for, each with its own end."""

    expected: int = 1
    ends: dict[int, bool] = field(default_factory=dict)  # candidates by index; whether each has ended
    blocked: bool = False

    @property
    def ending(self) -> bool:
        """Nothing but counts can follow: every candidate seen has ended, or there was an error."""
        return self.error is not None or self.blocked or (bool(self.ends) and all(self.ends.values()))

    def see(self, answer: Any) -> bool:
        """One decoded answer or error, or a list of them; False where it is neither."""
        if isinstance(answer, list):
            return bool([item for item in answer if self.see(item)])
        if not isinstance(answer, dict):
            return False
        if (error := answer.get("error")) is not None:
            self._see_error(error)
            return True
        if not is_response(answer):
            return False
        self.started = True
        self.message_id = as_text(answer.get("responseId")) or self.message_id
        self.answered_model = as_text(answer.get("modelVersion")) or self.answered_model
        for candidate in dicts(answer.get("candidates")):
            self._see_candidate(candidate)
        feedback = answer.get("promptFeedback")
        if feedback is not None and (reason := as_text(as_dict(feedback).get("blockReason"))):
            self.stop_reason, self.blocked = reason, True
            self.begun = True
        usage = answer.get("usageMetadata")
        if isinstance(usage, dict):
            self._see_usage(usage)
        self._settle(self.expected)
        return True

    def end(self) -> None:
        """The answer is over. It has no last frame of its own."""
        self._settle(1)

    def _settle(self, expected: int) -> None:
        ended = len(self.ends) >= expected and all(self.ends.values())
        self.complete = self.error is None and (self.blocked or ended)

    def _see_candidate(self, candidate: Mapping[str, Any]) -> None:
        index = index_of(candidate)
        reason = as_text(candidate.get("finishReason"))
        self.begun = self.begun or reason in REFUSALS or any(map(_shows, _parts(candidate)))
        self.ends[index] = self.ends.get(index, False) or reason is not None
        if reason is not None and (self.stop_reason is None or index == 0):
            self.stop_reason = reason

    def _see_usage(self, usage: Mapping[str, Any]) -> None:
        """The newest counts hold. The prompt's include what was cached, thoughts are counted apart."""
        prompt = as_count(usage.get("promptTokenCount"))
        cached = as_count(usage.get("cachedContentTokenCount"))
        tools = as_count(usage.get("toolUsePromptTokenCount"))
        said = as_count(usage.get("candidatesTokenCount"))
        thought = as_count(usage.get("thoughtsTokenCount"))
        self.cache_read_tokens = cached
        self.input_tokens = None if prompt is None else max(0, prompt - (cached or 0)) + (tools or 0)
        nothing = said is None and thought is None
        self.output_tokens = None if nothing else (said or 0) + (thought or 0)

    def _see_error(self, error: Any) -> None:
        error = as_dict(error)
        code = error.get("code")
        kind = as_text(error.get("status")) or (str(code) if as_count(code) is not None else "error")
        self.fail(kind, as_text(error.get("message")) or "")
        self.complete = False


def is_response(answer: Mapping[str, Any]) -> bool:
    """Whether a decoded object is an answer or a piece of one, and no error."""
    return answer.get("error") is None and any(name in answer for name in _RESPONSE)


def index_of(candidate: Mapping[str, Any]) -> int:
    """A candidate's number; the first one's may be left out."""
    return as_count(candidate.get("index")) or 0


# --- answers that are not streamed --------------------------------------------------------


def observe_body(data: bytes) -> Observation:
    """What a whole answer says; an empty observation if it cannot be read."""
    observation = Observation()
    try:
        observation.see(decode(data))
    except BodyError:
        pass  # the client gets it as it is and is the one to complain
    observation.end()
    return observation


def rewrite_body(data: bytes, changes: Changes) -> bytes:
    """An answer with the requested model, a marker in each candidate that says anything, and `x_router`.

    Anything else comes back as it is, and so does a candidate without content: an answer must never consist
    of a marker alone.
    """
    try:
        body = Body.parse(data)
        if body.get("error") is not None or not any(body.has(name) for name in _RESPONSE):
            return data
        rename(body, changes)
        candidates = body.raw("candidates") or b""
        if changes.marker_text is not None and candidates.startswith(b"["):
            told = decode(candidates)
            numbers = [at for at, item in enumerate(told) if isinstance(item, dict) and says(item)]
            body.set_raw("candidates", mark(candidates, changes.marker_text, numbers))
        return body.render()
    except BodyError:
        return data


def rename(answer: Body, changes: Changes) -> None:
    """Puts the requested model and `x_router` into an answer."""
    model = changes.requested_model
    if model is not None and answer.has("modelVersion") and answer.get("modelVersion") != model:
        answer.set("modelVersion", model)
    if changes.x_router is not None:
        answer.set("x_router", changes.x_router)


def renamed(raw: bytes, model: bytes) -> bytes | None:
    """Bytes that end in an answer, with another model in it; None where they are not as Google writes them.

    `model` is the inside of a JSON string.
    """
    at = raw.rfind(_MODEL)
    found = _TAIL.match(raw, at) if at >= 0 else None
    return raw[: found.start(1)] + model + raw[found.end(1) :] if found else None


def mark(candidates: bytes, text: str, numbers: Collection[int]) -> bytes:
    """The array with a marker in each of these candidates, which all say something. Raises BodyError."""
    edits: dict[int, bytes | None] = {}
    for number, (start, end) in enumerate(array_spans(candidates)):
        if number not in numbers:
            continue
        candidate = Body.parse(candidates[start:end])
        content = Body.parse(candidate.raw("content") or b"{}")
        content.set_raw("parts", _with_marker(content.raw("parts") or b"[]", text))
        candidate.set_raw("content", content.render())
        edits[number] = candidate.render()
    return edit_array(candidates, edits)


def _with_marker(parts: bytes, text: str) -> bytes:
    """The parts with a marker before the first words: a part, or the beginning of a text that is signed."""
    for number, (start, end) in enumerate(array_spans(parts)):
        part = decode(parts[start:end])
        if _says(part) and _is_signed_text(part):
            body = Body.parse(parts[start:end])
            literal = body.raw("text") or b'""'
            body.set_raw("text", encode(text)[:-1] + literal[1:])
            return edit_array(parts, {number: body.render()})
        if _says(part):
            return parts[:start] + encode({"text": text}) + b"," + parts[start:]
    return parts


def says(candidate: Mapping[str, Any]) -> bool:
    """Whether a candidate holds anything for the user: a text that is not blank, a call, an image, …"""
    return _first_words(candidate) is not None


def begins_signed(candidate: Mapping[str, Any]) -> bool:
    """Whether the first words carry a signature.

    Gemini CLI merges a text into the text part before it, and the signature is lost: so a marker must not be
    that part.
    """
    return _is_signed_text(_first_words(candidate))


def _first_words(candidate: Mapping[str, Any]) -> Any:
    return next(filter(_says, _parts(candidate)), None)


def _parts(candidate: Mapping[str, Any]) -> list[Any]:
    return as_list(as_dict(candidate.get("content")).get("parts"))


def _shows(part: Any) -> bool:
    """Whether a part holds any content, thoughts and blanks included."""
    return isinstance(part, dict) and any(part[name] not in ("", None) for name in part if name not in _ASIDE)


def _is_signed_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str) and bool(part.get("thoughtSignature"))


def _says(part: Any) -> bool:
    if not isinstance(part, dict) or part.get("thought") is True:
        return False
    text = part.get("text")
    return bool(text.strip()) if isinstance(text, str) else any(name not in _ASIDE for name in part)
