"""Requests and answers that look like an agent's, made from a seed: the same bytes in every run."""

from __future__ import annotations

import json
import random
from typing import Any

from pointsman.wire import marker

REQUESTED, SERVED = "claude-opus-4-8", "claude-haiku-4-5"
BODY_BYTES = 30_000
PROMPT_TOKENS = 128
AGENT_BYTES = 500_000
AGENT_MESSAGES = 200

# Each is one token of the encoder, so that a prompt's length in tokens is known.
_WORDS = """
    train track signal platform engine driver station bridge river night winter city road music paper
    table window garden school market letter number method function value error result test server client
    query data file build change update remove create find read write call return check run open close
    small large fast slow new old first last next same other good bad long short high low left right the a
    of in to for with on at by from as is was are be has had it this that and or but if then when where
""".split()  # noqa: SIM905 - ninety literals read worse
_CODE = (
    "def advance(train: Train, signal: Signal) -> Position:\n"
    '    """Moves to the next block if \\"signal\\" is clear."""\n'
    "    if signal.aspect is not Aspect.CLEAR:\n\t\treturn train.position  # waits\n"
    "    return track.blocks[train.position.index + 1].start\n"
)

Json = dict[str, Any]


def prompt(seed: int, tokens: int = PROMPT_TOKENS) -> str:
    """A text of about that many tokens, unlike every other seed's."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(_WORDS) for _ in range(tokens - 2))


def turn(text: str, *, stream: bool, size: int = BODY_BYTES) -> bytes:
    """The first turn of a conversation: tools and a system prompt fill it up to `size` bytes."""
    return _filled({"messages": [{"role": "user", "content": text}]}, stream, size)


def tool_loop(text: str, *, stream: bool) -> bytes:
    """The same conversation a moment later: the newest message carries a tool's result."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "tool_0", "input": {"path": "src/track.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": _CODE}
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, call]},
        {"role": "user", "content": [result]},
    ]
    return _filled({"messages": messages}, stream, BODY_BYTES)


def short(text: str) -> bytes:
    """As little as a conversation can start with; without a tool it may pass for a background call."""
    body = {"model": REQUESTED, "max_tokens": 4_096, "stream": True, "tools": _tools(1, 300)}
    return _bytes({**body, "messages": [{"role": "user", "content": text}]})


def agent(marked: int) -> bytes:
    """A long coding session of about 500 KB: 30 tools, 200 messages with calls, results and thinking.

    The newest `marked` of its 100 answers carry an echoed marker; a reminder stands in a message of role
    "system", and thinking is adaptive with an effort, so that a model without them needs adaptations.
    """
    body = {
        "model": REQUESTED,
        "max_tokens": 32_000,
        "system": [_cached({"type": "text", "text": _prose(6_000)}), {"type": "text", "text": _prose(9_000)}],
        "tools": _tools(30, 1_500),
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": json.dumps({"session_id": "8b6f2f3e-0000-4000-8000-000000000001"})},
        "stream": True,
    }
    answers = AGENT_MESSAGES // 2
    room = AGENT_BYTES - len(_bytes(body)) - answers * 62
    messages = [_user_message(index, room // answers) for index in range(answers)]
    said = [_assistant_message(index, index >= answers - marked) for index in range(answers)]
    history = [message for pair in zip(messages, said, strict=True) for message in pair]
    history.append({"role": "user", "content": [_tool_result(answers, 400)]})
    history.insert(-1, {"role": "system", "content": "The user opened src/track.py in the editor."})
    return _bytes({**body, "messages": history})


def stream_events(deltas: int = 20) -> list[bytes]:
    """An answer as server-sent events, in the provider's spelling."""
    start = {**message(""), "content": [], "stop_reason": None}
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    pieces = [{"index": 0, "delta": {"type": "text_delta", "text": " the train"}}] * deltas
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    end = {"delta": stop, "usage": {"output_tokens": 2 * deltas}}
    return [
        _event("message_start", {"message": start}),
        _event("content_block_start", block),
        _event("ping", {}),
        *(_event("content_block_delta", piece) for piece in pieces),
        _event("content_block_stop", {"index": 0}),
        _event("message_delta", end),
        _event("message_stop", {}),
    ]


def message(text: str) -> Json:
    """An answer that is not streamed."""
    usage = {"input_tokens": 7_500, "cache_read_input_tokens": 0, "output_tokens": 40}
    return {
        "id": "msg_01BenchBenchBenchBench",
        "type": "message",
        "role": "assistant",
        "model": SERVED,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def _event(name: str, data: Json) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _bytes({"type": name, **data}) + b"\n\n"


def _filled(body: Json, stream: bool, size: int) -> bytes:
    body = {"model": REQUESTED, "max_tokens": 4_096, "stream": stream, "tools": _tools(8, 1_200), **body}
    room = size - len(_bytes(body)) - len(',"system":""')
    return _bytes({"system": _prose(room), **body})


def _prose(size: int) -> str:
    chosen = random.Random(size)
    text = "You are an agent that looks after a railway. "
    while len(text) < size:
        text += f"{chosen.choice(_WORDS)} "
    return text[: max(size, 0)]


def _tools(count: int, size: int) -> list[Json]:
    path = {"type": "string", "description": "Path of the file, relative to the root"}
    schema = {"type": "object", "properties": {"path": path}, "required": ["path"]}
    return [
        {"name": f"tool_{index}", "description": _prose(size - 150), "input_schema": schema}
        for index in range(count)
    ]


def _user_message(index: int, size: int) -> Json:
    if index % 20 == 0:
        return {"role": "user", "content": [{"type": "text", "text": prompt(index)}]}
    return {"role": "user", "content": [_tool_result(index, size)]}


def _tool_result(index: int, size: int) -> Json:
    # A result's text grows by about an eighth when it is written as JSON.
    text = (_CODE * (size // len(_CODE) + 1))[: size * 8 // 9]
    return {"type": "tool_result", "tool_use_id": f"toolu_{index - 1:04d}", "content": f"{text} — né, 列車"}


def _assistant_message(index: int, marked: bool) -> Json:
    thinking = {"type": "thinking", "thinking": prompt(index, 40), "signature": "EqQBCkYIBxgCKkA" * 20}
    given = {"path": f"src/{index}.py"}
    call = {"type": "tool_use", "id": f"toolu_{index:04d}", "name": "tool_3", "input": given}
    shown = {"type": "text", "text": marker.make(SERVED, "best for this kind of prompt")}
    words = {"type": "text", "text": f"Let me look at block {index} before I go on."}
    # Half of the clients' histories keep the marker as the block it was, half merge it with what follows.
    merged = {"type": "text", "text": shown["text"] + words["text"]}
    blocks = ([merged] if index % 2 else [shown, words]) if marked else [words]
    thoughts = [thinking] if index % 4 == 0 else []
    return {"role": "assistant", "content": [*thoughts, *blocks, _last(call, index)]}


def _last(block: Json, index: int) -> Json:
    return _cached(block) if index == AGENT_MESSAGES // 2 - 1 else block


def _cached(block: Json) -> Json:
    return {**block, "cache_control": {"type": "ephemeral"}}


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
