"""What a request has that not every API can say, by the words of the writers' tables of losses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    Message,
    Request,
    ResultPart,
    TextPart,
    ThinkingPart,
)
from pointsman.wire.translation.conversation import begins_answer, says_something, settled

_MEMBERS: Final = ("top_k", "presence_penalty", "frequency_penalty", "seed", "stop", "verbosity", "cache_key")


def features(request: Request) -> frozenset[str]:
    """All of them; a member has its own name."""
    return frozenset(_of_conversation(request)) | frozenset(_of_members(request))


def documents(request: Request) -> Iterator[DocumentPart]:
    """Every document, those in results too."""
    for message in request.messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ResultPart) else (part,)
            yield from (each for each in inner if isinstance(each, DocumentPart))


def _of_members(request: Request) -> Iterator[str]:
    yield from (name for name in _MEMBERS if getattr(request, name) not in (None, "", ()))
    if any(tool.custom for tool in request.tools):
        yield "custom tools"
    if any(tool.strict for tool in request.tools):
        yield "strict tools"
    if request.parallel_calls is False and request.tools:
        yield "parallel_calls"
    if request.json is not None and request.json.schema is None:
        yield "json without a schema"
    if request.json is not None and request.json.strict:
        yield "strict answers"
    if (request.temperature or 0) > 1:
        yield "temperature above 1"


def _of_conversation(request: Request) -> Iterator[str]:
    if begins_answer(settled(request, fold=True)):
        yield "prefill"
    for message in request.messages:
        if message.role == "system":
            yield "instructions in the middle"
        for part in message.parts:
            if isinstance(part, ThinkingPart):
                yield "thinking"
            elif isinstance(part, ResultPart):
                yield from _of_result(part)
            elif isinstance(part, ImagePart | DocumentPart) and part.url:
                yield _by_address(part)
        yield from _of_order(message)


def _of_result(result: ResultPart) -> Iterator[str]:
    if result.error:
        yield "failed results"
    for part in result.parts:
        if isinstance(part, ImagePart):
            yield "images in results"
        if isinstance(part, ImagePart | DocumentPart) and part.url:
            yield _by_address(part)


def _by_address(part: ImagePart | DocumentPart) -> str:
    return "images by address" if isinstance(part, ImagePart) else "documents by address"


def _of_order(message: Message) -> Iterator[str]:
    said = [part for part in message.parts if not isinstance(part, TextPart) or says_something(part.text)]
    for part, following in pairwise(said):
        if isinstance(part, TextPart) and isinstance(following, TextPart):
            yield "separate texts"
        if isinstance(part, CallPart) and isinstance(following, TextPart):
            yield "order of texts and calls"
