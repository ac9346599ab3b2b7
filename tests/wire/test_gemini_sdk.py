"""What google-genai itself makes of marked streams and bodies, over a transport within this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from pointsman.values import Changes
from pointsman.wire import marker
from pointsman.wire.gemini import ArrayTransform, StreamTransform, error_body, rewrite_body, strip
from pointsman.wire.json_spans import Body

STREAMS = Path(__file__).parents[1] / "streams" / "gemini"
SERVED, REQUESTED = "gemini-3.5-flash-lite", "gemini-3.8-flash"
MARKER = marker.make(SERVED, "best for this kind of prompt")
CHANGES = Changes(REQUESTED, MARKER, None, {"decision": "d1", "model": SERVED})
# What raises: errors, and what is cut.
BROKEN = (
    "error_first", "error_midstream", "error_bare", "error_bare_first", "error_bare_list", "cut_mid_event",
)  # fmt: skip
# Shapes that Google does not send and the SDK does not read, marked or not.
FOREIGN = ("odd_events", "other_order", "several_data_lines", "cr")
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse") if path.stem not in (*BROKEN, *FOREIGN))


class Provider:
    """Answers every request with the same bytes, and keeps what it was sent."""

    def __init__(self, data: bytes, content_type: str, status: int = 200) -> None:
        self.sent: list[bytes] = []
        self._answer = (status, {"content-type": content_type}, data)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request.content)
        status, headers, data = self._answer
        return httpx2.Response(status, headers=headers, content=data)

    def client(self) -> genai.Client:
        http = httpx2.Client(transport=httpx2.MockTransport(self))
        return genai.Client(api_key="none", http_options=types.HttpOptions(httpx_client=http))


def marked(name: str) -> bytes:
    machine = StreamTransform(CHANGES, 2 if "candidate" in name else 1)
    return b"".join(machine.feed((STREAMS / f"{name}.sse").read_bytes()) + machine.flush())


def chunks(stream: bytes) -> list[types.GenerateContentResponse]:
    provider = Provider(stream, "text/event-stream")
    return list(provider.client().models.generate_content_stream(model=REQUESTED, contents="hi"))


def parts(answers: list[types.GenerateContentResponse]) -> list[dict[str, Any]]:
    found = (
        part
        for answer in answers
        for candidate in answer.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or []
    )
    return [part.model_dump(exclude_none=True) for part in found]


def ends(answers: list[types.GenerateContentResponse]) -> list[tuple[int | None, types.FinishReason]]:
    return [(c.index, c.finish_reason) for a in answers for c in a.candidates or [] if c.finish_reason]


@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_reads_a_marked_stream(name: str) -> None:
    before, after = chunks((STREAMS / f"{name}.sse").read_bytes()), chunks(marked(name))
    assert {answer.model_version for answer in after} == {REQUESTED}
    assert after[-1].usage_metadata == before[-1].usage_metadata
    said = "".join(part.get("text", "") for part in parts(after)).replace(MARKER, "")
    assert said == "".join(part.get("text", "") for part in parts(before))
    assert [p for p in parts(after) if "text" not in p] == [p for p in parts(before) if "text" not in p]
    assert ends(after) == ends(before)


def test_the_marker_is_the_first_text_of_the_answer() -> None:
    assert chunks(marked("text"))[0].text == MARKER


@pytest.mark.parametrize("name", ["error_first", "error_midstream", "error_bare"])
def test_the_sdk_sees_the_same_error(name: str) -> None:
    found = []
    for stream in ((STREAMS / f"{name}.sse").read_bytes(), marked(name)):
        with pytest.raises(errors.ServerError) as caught:
            chunks(stream)
        found.append((caught.value.code, caught.value.message))
    assert found[0] == found[1]
    assert found[0][0] == 503


def test_a_chat_sends_back_what_strips_to_an_unmarked_one() -> None:
    """Its history has a content for each chunk of the stream."""
    sent = []
    for stream in ((STREAMS / "tool_call.sse").read_bytes(), marked("tool_call")):
        provider = Provider(stream, "text/event-stream")
        chat = provider.client().chats.create(model=REQUESTED)
        for _ in chat.send_message_stream("hi"):
            pass
        for _ in chat.send_message_stream("again"):
            pass
        sent.append(provider.sent[-1])
    body = Body.parse(sent[1])
    assert strip(body) == 1
    assert body.render() == sent[0]


@pytest.mark.parametrize("name", ["text", "thinking", "tool_call"])
def test_the_sdk_reads_a_marked_body(name: str) -> None:
    for whole in json.loads((STREAMS / f"{name}.json").read_bytes()):
        data = json.dumps(whole).encode()
        answers = []
        for body in (data, rewrite_body(data, CHANGES)):
            provider = Provider(body, "application/json")
            answers.append(provider.client().models.generate_content(model=REQUESTED, contents="hi"))
        assert answers[1].model_version == REQUESTED
        rest = [part for part in parts(answers[1:]) if part != {"text": MARKER}]
        assert rest == parts(answers[:1])


def test_our_own_error_is_one_to_the_sdk() -> None:
    provider = Provider(error_body(429, "No provider is left."), "application/json", 429)
    with pytest.raises(errors.ClientError, match="No provider is left") as caught:
        provider.client().models.generate_content(model=REQUESTED, contents="hi")
    assert caught.value.status == "RESOURCE_EXHAUSTED"


def test_an_array_stays_one_for_programs_that_read_it_whole() -> None:
    machine = ArrayTransform(CHANGES)
    out = json.loads(b"".join(machine.feed((STREAMS / "text.json").read_bytes()) + machine.flush()))
    read = [types.GenerateContentResponse._from_response(response=item, kwargs={}) for item in out]
    assert {answer.model_version for answer in read} == {REQUESTED}
