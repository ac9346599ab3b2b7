"""Every word of the tables of losses and refusals, with a request that has it; and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from pointsman.surface import surfaces, translates
from pointsman.wire import translate_request
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.neutral import (
    Choice,
    DocumentPart,
    ImagePart,
    JsonAnswer,
    Message,
    Reasoning,
    Request,
    Target,
    TextPart,
    ThinkingPart,
    Tool,
)
from wire.translation.said import IMAGE, PDF, SCHEMA, asking, call, model, result, user
from wire.translation.strict import writer
from wire.translation.tables import DOCUMENT, rewritten

Json = dict[str, Any]
BASES: Mapping[str, Json] = {
    "anthropic": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "openai_responses": {"model": "m", "input": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
PATHS = {
    "anthropic": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}


def said(name: str, *blocks: Json) -> Json:
    if name == "gemini":
        return {"contents": [{"role": "user", "parts": list(blocks)}]}
    history = "input" if name == "openai_responses" else "messages"
    return {history: [{"role": "user", "content": list(blocks)}]}


def read(name: str, more: Json) -> Request:
    body = Body.parse(encode({**BASES[name], **more}))
    return writer(name).read_request(body, PATHS[name], {})


ANTHROPIC_IMAGE: Json = {"type": "image", "source": {"type": "file", "file_id": "f"}}
ANTHROPIC_SYSTEM: Json = {"role": "system", "content": "be quick"}
READ_LOST: Mapping[str, Mapping[str, Json]] = {
    "anthropic": {
        "cache_control": said(
            "anthropic", {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
        ),
        "thinking blocks": {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "Eq"}]},
            ]
        },
        "system[0]": {"system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}]},
        "metadata": {"metadata": {"user_id": "u"}},
        "citations": said("anthropic", {"type": "text", "text": "hi", "citations": [{"type": "x"}]}),
        "context_management": {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}},
        "messages[].output_config": {"messages": [{**ANTHROPIC_SYSTEM, "output_config": {"effort": "low"}}]},
        "messages[].clear_at": {"messages": [{**ANTHROPIC_SYSTEM, "clear_at": "next_user_message"}]},
        "tools[] hints": {"tools": [{"name": "ls", "input_schema": SCHEMA, "eager_input_streaming": True}]},
        "service_tier": {"service_tier": "auto"},
        "speed": {"speed": "fast"},
    },
    "openai_chat": {
        "metadata": {"metadata": {"a": "b"}},
        "user": {"user": "u"},
        "safety_identifier": {"safety_identifier": "u"},
        "store": {"store": True},
        "service_tier": {"service_tier": "flex"},
        "prediction": {"prediction": {"type": "content", "content": "x"}},
        "prompt_cache_retention": {"prompt_cache_retention": "24h"},
        "prompt_cache_options": {"prompt_cache_options": {"ttl": "30m"}},
        "image_url.detail": said(
            "openai_chat", {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}
        ),
        "messages[].name": {"messages": [{"role": "user", "content": "hi", "name": "ann"}]},
        "stream_options": {"stream": True, "stream_options": {"include_obfuscation": False}},
    },
    "openai_responses": {
        "reasoning items": {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
        "include": {"include": ["reasoning.encrypted_content"]},
        "store": {"store": True},
        "metadata": {"metadata": {"a": "b"}},
        "client_metadata": {"client_metadata": {"a": "b"}},
        "user": {"user": "u"},
        "safety_identifier": {"safety_identifier": "u"},
        "service_tier": {"service_tier": "flex"},
        "truncation": {"truncation": "auto"},
        "max_tool_calls": {"max_tool_calls": 3},
        "stream_options": {"stream": True, "stream_options": {"include_obfuscation": False}},
        "prompt_cache_retention": {"prompt_cache_retention": "24h"},
        "prompt_cache_options": {"prompt_cache_options": {"ttl": "30m"}},
        "reasoning.context": {"reasoning": {"effort": "low", "context": "all_turns"}},
        "input_image.detail": said(
            "openai_responses", {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"}
        ),
        "input[].configuration_update": {"input": [{"type": "configuration_update", "reasoning": {}}]},
    },
    "gemini": {
        "thoughtSignature": said("gemini", {"text": "hi", "thoughtSignature": "Eq"}),
        "safetySettings": {"safetySettings": [{"category": "c", "threshold": "t"}]},
        "labels": {"labels": {"a": "b"}},
        "store": {"store": False},
        "serviceTier": {"service_tier": "FLEX"},
        "mediaResolution": {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}},
        "functionDeclarations[].response": {
            "tools": [{"functionDeclarations": [{"name": "ls", "response": {"type": "STRING"}}]}]
        },
        "retrievalConfig": {"toolConfig": {"retrievalConfig": {"languageCode": "de"}}},
    },
}
READ_REFUSED: Mapping[str, Mapping[str, Json]] = {
    "anthropic": {
        "tools[].type": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "tools[].allowed_callers": {
            "tools": [{"name": "ls", "input_schema": SCHEMA, "allowed_callers": ["code_execution_20250825"]}]
        },
        "messages[].content[].type": said("anthropic", {"type": "server_tool_use", "id": "s"}),
        "files": said("anthropic", ANTHROPIC_IMAGE),
        "citations.enabled": said(
            "anthropic",
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                "citations": {"enabled": True},
            },
        ),
        "mcp_servers": {"mcp_servers": [{"type": "url", "url": "https://a", "name": "a"}]},
        "container": {"container": "c"},
        "inference_geo": {"inference_geo": "eu"},
        "compaction": {"context_management": {"edits": [{"type": "compact_20260112"}]}},
    },
    "openai_chat": {
        "n": {"n": 2},
        "logprobs": {"logprobs": True},
        "logit_bias": {"logit_bias": {"1": 2}},
        "audio": {"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "mp3"}},
        "functions": {"functions": [{"name": "ls"}]},
        "web_search_options": {"web_search_options": {}},
        "moderation": {"moderation": {"a": 1}},
        "files": said("openai_chat", {"type": "file", "file": {"file_id": "f"}}),
        "messages[].content[].type": said("openai_chat", {"type": "video_url", "video_url": {"url": "u"}}),
        "messages[].role": {"messages": [{"role": "critic", "content": "hm"}]},
        "tools[].type": {"tools": [{"type": "retrieval"}]},
    },
    "openai_responses": {
        "previous_response_id": {"previous_response_id": "resp_1"},
        "conversation": {"conversation": {"id": "conv_1"}},
        "prompt": {"prompt": {"id": "pmpt_1"}},
        "background": {"background": True},
        "generate": {"generate": False},
        "context_management": {"context_management": [{"type": "compaction"}]},
        "files": said("openai_responses", {"type": "input_file", "file_id": "f"}),
        "logprobs": {"include": ["message.output_text.logprobs"]},
        "input[].type": {"input": [{"type": "compaction", "encrypted_content": "g"}]},
        "input[].content[].type": said(
            "openai_responses", {"type": "encrypted_content", "encrypted_content": "g"}
        ),
        "tools[].type": {"tools": [{"type": "web_search"}]},
        "tool_choice": {"tool_choice": {"type": "file_search"}},
    },
    "gemini": {
        "cachedContent": {"cachedContent": "cachedContents/c"},
        "candidateCount": {"generationConfig": {"candidateCount": 2}},
        "responseModalities": {"generationConfig": {"responseModalities": ["AUDIO"]}},
        "responseMimeType": {"generationConfig": {"responseMimeType": "text/x.enum"}},
        "logprobs": {"generationConfig": {"responseLogprobs": True}},
        "tools[]": {"tools": [{"googleSearch": {}}]},
        "parts[]": said("gemini", {"executableCode": {"language": "PYTHON", "code": "1"}}),
        "files": said(
            "gemini",
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f"}},
        ),
        "media": said("gemini", {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}}),
    },
}

ASKED = user("look")
CUSTOM = Tool("patch", custom=True, format={"type": "grammar", "syntax": "lark", "definition": "start: x"})
OPEN = {"type": "object", "properties": {"n": {"type": "integer"}}}
BOUNDED = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
FORCED = {"choice": Choice("any"), "reasoning": Reasoning(on=True, effort="high")}
WRITE: Mapping[str, Request] = {
    "instructions in the middle": asking(ASKED, Message("system", (TextPart("be quick"),))),
    "thinking": asking(ASKED, model(ThinkingPart("hm"), "there"), user("and?")),
    "separate texts": asking(user("look", "here")),
    "order of texts and calls": asking(ASKED, model(call("a"), "there"), user(result("a", "x"))),
    "images in results": asking(ASKED, model(call("a")), user(result("a", IMAGE))),
    "failed results": asking(ASKED, model(call("a")), user(result("a", "no such file", error=True))),
    "custom tools": asking(ASKED, tools=(CUSTOM,)),
    "strict tools": asking(ASKED, tools=(Tool("ls", "", SCHEMA, strict=True),)),
    "strict answers": asking(ASKED, json=JsonAnswer(OPEN, strict=True)),
    "parallel_calls": asking(ASKED, parallel_calls=False),
    "top_k": asking(ASKED, top_k=4),
    "presence_penalty": asking(ASKED, presence_penalty=0.5),
    "frequency_penalty": asking(ASKED, frequency_penalty=0.5),
    "seed": asking(ASKED, seed=4),
    "verbosity": asking(ASKED, verbosity="low"),
    "cache_key": asking(ASKED, cache_key="c"),
    "json without a schema": asking(ASKED, json=JsonAnswer()),
    "sampling while thinking": asking(ASKED, top_p=0.5, reasoning=Reasoning(on=True)),
    "temperature above 1": asking(ASKED, temperature=1.5),
    "thinking with a forced tool": asking(ASKED, **FORCED),
    "bounds in answers": asking(ASKED, json=JsonAnswer(BOUNDED)),
    "keywords in schemas": asking(ASKED, tools=(Tool("ls", "", {"type": "object", "$comment": "x"}),)),
    "documents": asking(user(DocumentPart("application/zip", PDF))),
    "documents by address": asking(user(DocumentPart("application/pdf", url="https://a/b.pdf"))),
    "images by address": asking(user(ImagePart(url="https://a/b.png"))),
    "many stop sequences": asking(ASKED, stop=tuple("abcdef")),
    "stop": asking(ASKED, stop=("a",)),
    "prefill": asking(ASKED, model("I see")),
}
HELD = {"many stop sequences": "stop"}  # these requests have the other as well
QUIRKS = {"parallel_calls": frozenset({"no_parallel"})}
NAMES = list(BASES)


def rows(tables: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    found = [(name, word) for name, table in tables.items() for word in table]
    return [pytest.param(name, word, id=f"{name}: {word}") for name, word in found]


@pytest.mark.parametrize(("name", "word"), rows(READ_LOST))
def test_a_reader_names_what_it_loses(name: str, word: str) -> None:
    request = read(name, READ_LOST[name][word])
    assert word in request.losses and request.refused == ()
    assert word not in read(name, {}).losses


@pytest.mark.parametrize(("name", "word"), rows(READ_REFUSED))
def test_a_reader_names_what_it_refuses(name: str, word: str) -> None:
    request = read(name, READ_REFUSED[name][word])
    assert [re.match(r"[^(]*?(?= \(|: )", why)[0] for why in request.refused] == [word]  # type: ignore[index]
    assert translate_request.refusal(request, writer("anthropic"), Target("m")).endswith(request.refused[-1])
    assert read(name, {}).refused == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_readers_tables_are_whole(name: str) -> None:
    reading = writer(name).READING
    assert {*READ_LOST[name], "*"} == reading.lost.keys()
    assert READ_REFUSED[name].keys() == reading.refused.keys()
    assert read(name, {"somethingNew": 1}).losses == ("somethingNew",)


@pytest.mark.parametrize("name", NAMES)
def test_a_writer_names_what_it_loses_and_nothing_else(name: str) -> None:
    writing = writer(name).WRITING
    assert writing.lost.keys() | writing.refused.keys() <= WRITE.keys()
    for word, request in WRITE.items():
        target = Target("m", quirks=QUIRKS.get(word, frozenset()))
        why = writer(name).untranslatable(request, target)
        assert bool(why) == (HELD.get(word, word) in writing.refused or word in writing.refused), word
        if why:
            assert translate_request.refusal(request, writer(name), target) == f"cannot be translated: {why}"
            continue
        losses = writer(name).write_request(request, target).losses
        assert (word in losses) == (word in writing.lost), word
        assert set(losses) <= {word, "separate texts", "strict tools"}, word


def test_what_readers_can_say_is_what_writers_can_lose() -> None:
    found = [surface for surface in surfaces().values() if translates(surface)]
    writable = {word for s in found for word in (*s.WRITING.lost, *s.WRITING.refused)}
    assert writable == {word for s in found for word in s.READING.says}


def test_the_document_has_all_of_it() -> None:
    """After a change: python tests/wire/translation/tables.py"""
    assert DOCUMENT.read_text(encoding="utf-8") == rewritten(DOCUMENT.read_text(encoding="utf-8"))
