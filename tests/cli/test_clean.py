"""Cleaning a transcript takes out what was injected and nothing else.

The lines are shaped like those of Claude Code 2.1.197.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pointsman import transcripts
from pointsman.cli.main import main
from pointsman.transcripts import claude_code, files
from pointsman.wire import marker

MARK = marker.make("claude-haiku-4-5", "best for this kind of prompt")


def line(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    role = "assistant" if kind == "assistant" else "user"
    return {
        "parentUuid": "24785aa7",
        "isSidechain": False,
        "message": {"id": "msg_1", "role": role, "content": content, "usage": {"output_tokens": 1}},
        "type": kind,
        "uuid": "7a8a9e11",
    } | more


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def transcript(*entries: Any, ascii: bool = False) -> bytes:
    lines = (json.dumps(entry, separators=(",", ":"), ensure_ascii=ascii) + "\n" for entry in entries)
    return "".join(lines).encode()


TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "echo hi"}}


OURS = {"type": "thinking", "thinking": "Hm.", "signature": "pointsman_01a2_0"}  # of a translated answer


def marked_and_clean() -> list[tuple[str, dict[str, Any], dict[str, Any], int]]:
    def result(content: Any) -> list[Any]:
        return [{"type": "tool_result", "tool_use_id": "toolu_1", "content": content}]

    return [
        ("a block of its own", line("assistant", [text(MARK)]), line("assistant", []), 1),
        ("before text", line("assistant", [text(MARK + "Hi.")]), line("assistant", [text("Hi.")]), 1),
        ("two blocks", line("assistant", [text(MARK), TOOL_USE]), line("assistant", [TOOL_USE]), 1),
        (
            "repeated",
            line("assistant", [text(MARK * 2), text(MARK + "x")]),
            line("assistant", [text("x")]),
            3,
        ),
        ("nobody's thinking", line("assistant", [OURS, text("Hi.")]), line("assistant", [text("Hi.")]), 1),
        ("nothing but that", line("assistant", [OURS]), line("assistant", []), 1),
        ("string content", line("assistant", MARK + "Hi."), line("assistant", "Hi."), 1),
        ("string of only a marker", line("assistant", MARK), line("assistant", []), 1),
        (
            "a sub-agent's words, and their copy",
            line(
                "user", result([text(MARK), text("Done.")]), toolUseResult={"content": [text(MARK + "Done.")]}
            ),
            line("user", result([text("Done.")]), toolUseResult={"content": [text("Done.")]}),
            2,
        ),
    ]


UNTOUCHED = [
    ("a person's words", line("user", f"{MARK}what is this?")),
    ("a person's blocks", line("user", [text(MARK)])),
    ("quoted further inside", line("assistant", [text(f"You mean {MARK}?")])),
    ("in a tool's input", line("assistant", [{**TOOL_USE, "input": {"command": MARK}}])),
    ("in another field", {"type": "last-prompt", "lastPrompt": MARK}),
    ("a summary", {"type": "summary", "summary": MARK}),
    ("thinking of a provider's", line("assistant", [{**OURS, "signature": "EqoB"}])),
    ("a name", line("user", "What is pointsman?")),
    ("message is no object", {"type": "assistant", "message": MARK}),
    ("tool result is a string", line("user", "x", toolUseResult=MARK)),
    ("no object", [MARK]),
]


@pytest.mark.parametrize("ascii", [False, True], ids=["raw", "escaped"])
@pytest.mark.parametrize(
    ("name", "marked", "clean", "count"), marked_and_clean(), ids=lambda value: str(value)[:20]
)
def test_markers_go(name: str, marked: Any, clean: Any, count: int, ascii: bool) -> None:
    assert transcripts.clean(transcript(marked, ascii=ascii)) == (transcript(clean, ascii=ascii), count)


@pytest.mark.parametrize(("name", "entry"), UNTOUCHED, ids=[name for name, _ in UNTOUCHED])
def test_everything_else_stays(name: str, entry: Any) -> None:
    assert transcripts.clean(transcript(entry)) == (transcript(entry), 0)


def test_other_lines_keep_their_bytes() -> None:
    odd = b'{"type" : "user",\t"n":1.50e3,"u":"\\u00e9\\/\xc3\xa9"}\r\n\n  \n' + f"not json {MARK}\n".encode()
    odd += b'{"cut": "' + marker.SENTINEL.encode() + b"\n\xff\xfe\x00\n"
    start = b'{ "type":"assistant", "message": {"role":"assistant", "content":['
    block = json.dumps(text(MARK)).encode()
    data = odd + start + block + b' ]} , "x":1.0}\r\n' + odd + start + b"]}}"
    assert transcripts.clean(data) == (odd + start + b']} , "x":1.0}\r\n' + odd + start + b"]}}", 1)


@given(st.lists(st.one_of(st.text(), st.sampled_from([MARK, marker.SENTINEL, "\u2063\u2060"])), max_size=4))
def test_cleaning_undoes_marking(words: list[str]) -> None:
    plain = [line("assistant", [text("said: " + word)]) for word in words]
    marked = [line("assistant", [text(MARK + "said: " + word)]) for word in words]
    assert transcripts.clean(transcript(*marked, ascii=True)) == (transcript(*plain, ascii=True), len(words))


@given(st.binary(max_size=200))
def test_any_bytes_pass(data: bytes) -> None:
    assert transcripts.clean(data) == (data, 0)
    assert transcripts.clean(data + MARK.encode() + data)[1] == 0


# --- files --------------------------------------------------------------------------------

MARKED = transcript(
    line("user", "hi"), line("assistant", [text(MARK)]), line("assistant", [text(MARK + "x")])
)
CLEAN = transcript(line("user", "hi"), line("assistant", []), line("assistant", [text("x")]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A configuration directory of Claude Code with one marked transcript, a sub-agent's and a clean one."""
    folder = tmp_path / "projects" / "-home-me-work"
    (folder / "577f716b" / "subagents").mkdir(parents=True)
    (folder / "577f716b.jsonl").write_bytes(MARKED)
    (folder / "577f716b" / "subagents" / "agent-1.jsonl").write_bytes(MARKED)
    (folder / "0104563b.jsonl").write_bytes(CLEAN)
    (folder / "notes.txt").write_bytes(MARKED)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No conversation of the person who runs the tests is read or written."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    for client in ("CODEX_HOME", "CODEX_SQLITE_HOME", "GEMINI_CLI_HOME", "OPENCODE_DB", "XDG_DATA_HOME"):
        monkeypatch.delenv(client, raising=False)
    return folder


def run(*arguments: str | Path, config: Path | None = None) -> Result:
    env = {"CLAUDE_CONFIG_DIR": str(config) if config else None}
    return CliRunner().invoke(main, ["clean", *map(str, arguments)], env=env)


def test_all_transcripts_of_claude_code(project: Path, tmp_path: Path) -> None:
    result = run(config=tmp_path)
    assert result.exit_code == 0, result.output
    assert "4 markers removed from 2 transcripts (3 looked at)." in result.output
    assert (project / "577f716b.jsonl").read_bytes() == CLEAN
    assert (project / "577f716b" / "subagents" / "agent-1.jsonl").read_bytes() == CLEAN
    assert (project / "577f716b.jsonl.bak").read_bytes() == MARKED
    assert (project / "notes.txt").read_bytes() == MARKED
    assert not (project / "0104563b.jsonl.bak").exists()
    assert "0 markers removed from 0 transcripts (3 looked at)." in run(config=tmp_path).output


def test_mode_and_times_stay_and_nothing_is_left_lying_about(project: Path) -> None:
    file = project / "577f716b.jsonl"
    file.chmod(0o640)
    os.utime(file, ns=(1_700_000_000_000_000_000, 1_700_000_000_123_456_789))
    assert run(file, "--no-backup").exit_code == 0
    after = file.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_mtime_ns) == (0o640, 1_700_000_000_123_456_789)
    assert sorted(entry.name for entry in project.iterdir()) == [
        "0104563b.jsonl",
        "577f716b",
        "577f716b.jsonl",
        "notes.txt",
    ]


def test_dry_run_changes_nothing(project: Path) -> None:
    result = run(project, "--dry-run")
    assert "4 markers would be removed from 2 transcripts (3 looked at)." in result.output
    assert (project / "577f716b.jsonl").read_bytes() == MARKED
    assert list(project.glob("*.bak*")) == []


def test_a_backup_is_never_written_over(project: Path) -> None:
    file = project / "577f716b.jsonl"
    file.with_name("577f716b.jsonl.bak").write_bytes(b"precious")
    run(file)
    assert file.with_name("577f716b.jsonl.bak").read_bytes() == b"precious"
    assert file.with_name("577f716b.jsonl.bak2").read_bytes() == MARKED


def test_a_link_stays_a_link(project: Path) -> None:
    link = project / "link.jsonl"
    link.symlink_to(project / "577f716b.jsonl")
    run(link, "--no-backup")
    assert link.is_symlink()
    assert (project / "577f716b.jsonl").read_bytes() == CLEAN


def test_a_file_that_grows_meanwhile_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project / "577f716b.jsonl"
    write_beside = files._write_beside

    def grow(path: Path, data: bytes, like: os.stat_result) -> Path:
        with file.open("ab") as out:
            out.write(b'{"type":"user"}\n')
        return write_beside(path, data, like)

    monkeypatch.setattr(files, "_write_beside", grow)
    result = run(file)
    assert result.exit_code == 1
    assert "it is in use; end the client first" in result.output
    assert file.read_bytes() == MARKED + b'{"type":"user"}\n' * 3
    assert list(project.glob(".577*")) == []


def test_no_transcripts(tmp_path: Path) -> None:
    result = run(config=tmp_path)
    assert result.exit_code == 1
    assert "no transcripts of any client found" in result.output


def test_where_claude_code_keeps_them(tmp_path: Path) -> None:
    own = [tmp_path / ".claude" / "projects", tmp_path / ".config" / "claude" / "projects"]
    assert claude_code.places({}, tmp_path) == own
    other = {"CLAUDE_CONFIG_DIR": str(tmp_path / "other")}
    assert claude_code.places(other, tmp_path) == [tmp_path / "other" / "projects"]


# --- all clients --------------------------------------------------------------------------


def test_every_client_is_looked_for_and_named(project: Path, tmp_path: Path, home: Path) -> None:
    rollout = home / ".codex" / "sessions" / "2026" / "11" / "21" / "rollout-2026-11-21T10-00-00-x.jsonl"
    chat = home / ".gemini" / "tmp" / "work" / "chats" / "session-2026-11-21T10-00-1a0b576b.jsonl"
    for file in (rollout, chat):
        file.parent.mkdir(parents=True)
    event = {"type": "event_msg", "payload": {"type": "agent_message", "message": MARK + "Hi."}}
    rollout.write_bytes(transcript(event))
    chat.write_bytes(transcript({"id": "1", "type": "gemini", "content": MARK + "Hi."}))
    result = run(config=tmp_path)
    assert result.exit_code == 0, result.output
    said = [line for line in result.output.splitlines() if not line.startswith("/")]
    assert said == [
        "Claude Code: 4 markers removed from 2 transcripts (3 looked at).",
        "Codex: 1 marker removed from 1 transcript (1 looked at).",
        "Gemini CLI: 1 marker removed from 1 transcript (1 looked at).",
        "opencode: no transcripts.",
        "The old files are beside the new ones as *.bak.",
    ]
    assert marker.SENTINEL not in rollout.read_text() + chat.read_text()


def test_a_directory_with_transcripts_of_several_clients(tmp_path: Path) -> None:
    names = ["a/1.jsonl", "b/session-1.json", "c/checkpoint-x.json", "d/checkpoints/2.json"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        answer = {"id": "1", "type": "gemini", "content": MARK + "Hi."}
        document = answer if name.endswith("l") else {"messages": [answer]}
        (tmp_path / name).write_bytes(transcript(document))
    (tmp_path / "settings.json").write_bytes(transcript({"messages": [{"type": "gemini", "content": MARK}]}))
    assert "4 markers removed from 4 transcripts (4 looked at)." in run(tmp_path).output
    assert marker.SENTINEL in (tmp_path / "settings.json").read_text()


def test_what_a_client_has_open_is_left_alone_and_how_to_end_it_is_said(home: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    thread = "01a1fd8e-31ef-7750-8f4b-3cf81dce6ded"
    lock = home / ".codex" / "thread-writer-locks" / f"{thread}.lock"
    rollout = home / ".codex" / "sessions" / f"rollout-2026-11-21T10-01-56-{thread}.jsonl"
    for file in (lock, rollout):
        file.parent.mkdir(parents=True)
    marked = transcript({"type": "event_msg", "payload": {"type": "agent_message", "message": MARK + "Hi."}})
    rollout.write_bytes(marked)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = run()
    assert result.exit_code == 1
    assert "it is in use; end it first, and its server: codex app-server daemon stop" in result.output
    assert "Codex: 0 markers removed from 0 transcripts (1 looked at)." in result.output
    assert rollout.read_bytes() == marked
    assert list(rollout.parent.iterdir()) == [rollout]
