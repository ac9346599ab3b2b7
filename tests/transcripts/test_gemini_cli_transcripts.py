"""Chats and checkpoints, shaped like those of Gemini CLI 0.61.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pointsman import transcripts
from pointsman.transcripts import gemini_cli
from pointsman.wire import marker

MARK = marker.make("gemini-3.5-flash-lite", "best for this kind of prompt")
TRIMMED = MARK.strip()  # as Gemini CLI keeps a text with nothing after the marker
CALL = {"functionCall": {"id": "read_1", "name": "read_file", "args": {"file_path": MARK}}}
RESULT = {"functionResponse": {"id": "read_1", "name": "read_file", "response": {"output": "09:12"}}}
TOOL_CALLS = [{"id": "read_1", "name": "read_file", "args": {}, "result": [RESULT], "status": "success"}]


def message(content: Any, kind: str = "gemini", **more: Any) -> dict[str, Any]:
    head = {"id": "9cfd09c1", "timestamp": "2026-11-21T10:02:28.947Z", "type": kind}
    return {**head, "content": content, "thoughts": [], **more}


def text(words: str) -> dict[str, str]:
    return {"text": words}


def lines(*entries: Any) -> bytes:
    return "".join(
        json.dumps(each, separators=(",", ":"), ensure_ascii=False) + "\n" for each in entries
    ).encode()


CASES = {
    "before text": (message(MARK + "Hi."), message("Hi."), 1),
    "before an empty line": (message(MARK + "\n\u00a0 Hi.\n\n."), message("Hi.\n\n."), 1),
    "nothing but the marker": (message(MARK), message(""), 1),
    "trimmed, before a call": (
        message(TRIMMED, toolCalls=TOOL_CALLS),
        message("", toolCalls=TOOL_CALLS),
        1,
    ),
    "in parts": (message([text(MARK), text("Hi."), CALL]), message([text("Hi."), CALL]), 1),
    "merged in parts": (message([text(MARK + "\nHi."), CALL]), message([text("\nHi."), CALL]), 1),
    "the only part": (message([text(MARK)]), message([]), 1),
    "all messages once more": (
        {"$set": {"messages": [message("x", "user"), message([text(TRIMMED), CALL])], "lastUpdated": "…"}},
        {"$set": {"messages": [message("x", "user"), message([CALL])], "lastUpdated": "…"}},
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_markers_go(name: str) -> None:
    marked, expected, count = CASES[name]
    assert transcripts.clean(lines({"sessionId": "1"}, marked)) == (
        lines({"sessionId": "1"}, expected),
        count,
    )
    session = {"sessionId": "1", "messages": [marked.get("$set", {}).get("messages", [marked])[-1]]}
    clean = {"sessionId": "1", "messages": [expected.get("$set", {}).get("messages", [expected])[-1]]}
    assert transcripts.clean_document(lines(session)) == (lines(clean), count)


@pytest.mark.parametrize(
    "entry",
    [
        message([text(MARK)], "user"),
        message(MARK, "user"),
        message(MARK, "info"),
        message(f"You mean {MARK}?"),
        message([CALL]),
        message([{"inlineData": {"data": MARK}}]),
        message(None, toolCalls=MARK),
        {"$set": {"summary": MARK}},
        {"$set": MARK},
        {"$rewindTo": MARK},
    ],
    ids=str,
)
def test_everything_else_stays(entry: dict[str, Any]) -> None:
    assert transcripts.clean(lines(entry)) == (lines(entry), 0)


# --- documents ----------------------------------------------------------------------------


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


MARKED_HISTORY = [user(text("hello")), model(text(MARK + "Hi."), CALL), user(RESULT), model(text(MARK))]
CLEAN_HISTORY = [user(text("hello")), model(text("Hi."), CALL), user(RESULT)]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_conversation_saved_under_a_name(indent: int | None) -> None:
    def written(history: list[Any]) -> bytes:
        saved = {"history": history, "authType": "gemini-api-key"}
        return json.dumps(saved, indent=indent, ensure_ascii=False).encode()

    assert transcripts.clean_document(written(MARKED_HISTORY)) == (written(CLEAN_HISTORY), 2)
    assert transcripts.clean_document(lines(MARKED_HISTORY)) == (lines(CLEAN_HISTORY), 2)


def test_with_an_id_around_each_content() -> None:
    def wrapped(history: list[dict[str, Any]]) -> bytes:
        return lines({"history": [{"id": "1", "content": content} for content in history]})

    assert transcripts.clean_document(wrapped(MARKED_HISTORY)) == (wrapped(CLEAN_HISTORY), 2)


def test_a_restorable_change_of_a_file() -> None:
    """What was shown is in `history`; a text that is still arriving goes on in `gemini_content`."""
    shown = [
        {"type": "user", "text": MARK, "id": 1},
        {"type": "gemini", "text": MARK + "Hi.", "id": 2},
        {"type": "gemini", "text": MARK, "id": 3},
        {"type": "gemini_content", "text": "Hello.", "id": 4},
        {"type": "tool_group", "tools": [MARK], "id": 5},
    ]
    left = [shown[0], {**shown[1], "text": "Hi."}, *shown[3:]]
    marked = {"history": shown, "clientHistory": MARKED_HISTORY, "toolCall": {"name": MARK}, "messageId": "1"}
    clean = {**marked, "history": left, "clientHistory": CLEAN_HISTORY}
    assert transcripts.clean_document(lines(marked)) == (lines(clean), 4)


@pytest.mark.parametrize("data", [b"", b"[", b'{"history":1}', lines(MARK), lines({"history": [MARK, 1]})])
def test_any_document_passes(data: bytes) -> None:
    broken = data + MARK.encode()
    assert transcripts.clean_document(data) == (data, 0)
    assert transcripts.clean_document(broken) == (broken, 0)


def test_where_gemini_cli_keeps_them(tmp_path: Path) -> None:
    assert gemini_cli.places({}, tmp_path) == [tmp_path / ".gemini" / "tmp"]
    assert gemini_cli.places({"GEMINI_CLI_HOME": "/elsewhere"}, tmp_path) == [Path("/elsewhere/.gemini/tmp")]
