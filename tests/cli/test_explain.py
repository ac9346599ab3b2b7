"""`pointsman explain` tells one decision so that a person can follow it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pointsman.cli.main import main
from pointsman.store import Store
from pointsman.values import (
    Adaptation,
    Candidate,
    Classification,
    Decision,
    Outcome,
    Usage,
)
from samples import DECISION

ROUTED = dataclasses.replace(
    DECISION,
    id="abc123",
    at=1_795_000_000.0,
    session="0123456789abcdef",
    previous_model="claude-haiku-4-5",
    route="code",
    bundle="v0.1",
    knobs={"alpha": [0.25, 0.75], "per_model_verbosity": False, "speed_weight": 0.0},
    knobs_hash="0011",
    clusters=((7, 0.625),),
    candidates=(
        Candidate("claude-haiku-4-5", excluded="context window", score=0.9, quality=0.5),
        Candidate("claude-opus-4-8", score=0.4, quality=0.9),
        Candidate("claude-sonnet-5", score=0.5, quality=0.8),
    ),
    runner_up="claude-opus-4-8",
    margin=0.1,
    adaptations=(
        Adaptation("metadata", "lose", "", "", "translation"),
        Adaptation("thinking", "map", '{"type":"enabled"}', '{"type":"adaptive"}', "thinking"),
    ),
    warnings=("x-router-alpha: [bold]odd[/bold]",),
    stripped=2,
    marker="text",
    message_count=3,
    input_tokens_estimate=1200,
    decide_ms=0.4,
    embed_ms=8.25,
)
ANSWER = Outcome(
    status=200,
    message_id="msg_1",
    stop_reason="end_turn",
    usage=Usage(1000, 200, 50_000),
    cost_usd=0.0123,
    requested_cost_usd=0.0456,
    ttfb_ms=812.0,
    total_ms=5012.0,
    complete=True,
)
FAILED = dataclasses.replace(
    ROUTED,
    id="abd999",
    at=1_795_000_001.0,
    strategy="passthrough",
    reason="routing failed",
    detail="TimeoutError: too slow",
    served_model="claude-opus-4-8",
    previous_model=None,
    candidates=(),
    clusters=(),
    prompt="why [is] this?",
    embedding=b"\0\0\x80?",
)


CLASSIFIED = dataclasses.replace(
    FAILED,
    id="classified1",
    at=4.0,
    strategy="classified",
    reason="the task's category",
    requested_model="router-classified-3tier",
    served_model="gpt-5.5",
    prompt=None,
    classification=Classification(
        category="Frontend",
        tier="gpt-5.5",
        classifier="minimax-m2.7",
        reason="minimax-m2.7 cannot see images",
        raw="frontend.",
        vision_fallback=True,
        ms=1240.0,
        input_tokens=1310,
        output_tokens=4,
        cost_usd=0.0004,
    ),
)
REMEMBERED = Classification("", "gpt-5.5", "minimax-m2.7", "timeout")
FELL_BACK = dataclasses.replace(
    ANSWER,
    upstream_provider="openrouter",
    fallback_from="openai",
    attempts=json.dumps([
        {"provider": "openai", "status": 503, "error": None, "ms": 12.5},
        {"provider": "groq", "status": None, "error": "refused the connection", "ms": 1.5},
        {"provider": "openrouter", "status": 200, "error": None, "ms": 1800},
    ]),
)  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explain") / "pointsman.sqlite"
    store = Store(path)
    for future in (
        store.record(ROUTED),
        store.update("abc123", ANSWER),
        store.record(FAILED),
        store.update("abd999", Outcome(status=529, error="overloaded_error: Overloaded", complete=False)),
        store.record(dataclasses.replace(ROUTED, id="old", at=1.0)),
        store.record(
            dataclasses.replace(ROUTED, id="hit", at=2.0, cache="hit", cache_detail="the answer to abc")
        ),
        store.update("hit", dataclasses.replace(ANSWER, usage=Usage(0, 0, 0, 0, 0), cost_usd=0.0)),
        store.record(CLASSIFIED),
        store.update(CLASSIFIED.id, FELL_BACK),
        store.record(dataclasses.replace(CLASSIFIED, id="classified2", classification=REMEMBERED)),
        store.record(dataclasses.replace(ROUTED, id="left", at=3.0, cache_detail="mid tool loop")),
    ):
        future.result()
    store.close()
    return path


def run(database: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", "--db", str(database), *arguments], env={"COLUMNS": "80"})


def told(database: Path, id: str) -> str:
    result = run(database, id)
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.output.splitlines()) <= 80
    return " ".join(result.output.split())


def test_a_routed_action(database: Path) -> None:
    text = told(database, "abc")
    for part in (
        "claude-code asked api.anthropic.com for claude-opus-4-8 (main turn, streamed, 3 messages,"
        " about 1,200 tokens), with an API key.",
        "It was served by claude-sonnet-5: best for this kind of prompt.",
        "It scored highest of 2 that could serve; the next was claude-opus-4-8, 0.1000 behind.",
        'Route "code" of router.yaml applied.',
        "Conversation 01234567: before it was claude-haiku-4-5.",
        "claude-sonnet-5 0.8000 0.5000 served",
        "claude-opus-4-8 0.9000 0.4000 runner-up",
        "claude-haiku-4-5 0.5000 0.9000 excluded: context window",
        "Clusters 7 (cosine 0.625)",
        "Knobs alpha 0.25…0.75 over 2 clusters, per model verbosity off, speed weight 0 · hash 0011",
        "Adapted metadata: lost in translation",
        'Adapted thinking: {"type":"enabled"} → {"type":"adaptive"} (map)',
        "Stripped 2 echoed markers from the history",
        "Answer status 200, stopped by end_turn · msg_1",
        "Tokens 1,000 in, 200 out, 50,000 read from cache",
        "Cost $0.0123; with claude-opus-4-8: $0.0456, so $0.0333 saved",
        "Time decided in 0.4 ms (embedding 8.2 ms), first byte after 812 ms, all after 5.0 s",
        "Warning x-router-alpha: [bold]odd[/bold]",
    ):
        assert part in text


def test_an_answer_from_the_cache(database: Path) -> None:
    text = told(database, "hit")
    assert "Cache hit: the answer to abc" in text
    assert "Tokens 0 in, 0 out" in text
    assert "Cost $0.00; with claude-opus-4-8: $0.0456, so $0.0456 saved" in text
    assert "Cache neither looked for nor kept: mid tool loop" in told(database, "left")
    assert "Cache" not in told(database, "old").split("Clusters")[1]


def test_a_classified_action_that_another_provider_answered(database: Path) -> None:
    text = told(database, "classified1")
    for part in (
        "Category Frontend → gpt-5.5 (minimax-m2.7 cannot see images)",
        "minimax-m2.7 said 'frontend.' in 1.2 s, for 1,310 tokens in, 4 out, $0.0004",
        "Provider openrouter, after openai had failed",
        "Tried openai: status 503, 12 ms",
        "Tried groq: refused the connection, 2 ms",
        "Tried openrouter: status 200, 1.8 s",
    ):
        assert part in text
    again = told(database, "classified2")
    assert "Category none → gpt-5.5 (timeout) as remembered of this conversation" in again
    assert "Provider" not in again


def test_the_last_action_and_what_went_wrong(database: Path) -> None:
    text = told(database, "last")
    for part in (
        "Decision abd999",
        "served by claude-opus-4-8 as asked: routing failed.",
        "TimeoutError: too slow.",
        "Answer status 529, cut short",
        "Error overloaded_error: Overloaded",
        "why [is] this?",
    ):
        assert part in text
    assert "Candidate" not in text


def test_an_action_without_an_answer(database: Path) -> None:
    assert "Answer none was recorded (yet)" in told(database, "old")


def test_json_has_every_field(database: Path) -> None:
    record = json.loads(run(database, "abd999", "--json").output)
    assert set(record["decision"]) == {field.name for field in dataclasses.fields(Decision)}
    assert set(record["outcome"]) == {field.name for field in dataclasses.fields(Outcome)}
    assert record["decision"]["knobs"]["alpha"] == [0.25, 0.75]
    assert record["decision"]["embedding"] == "AACAPw=="


@pytest.mark.parametrize(
    ("id", "message"),
    [("ab", "several decisions start with ab: abc123, abd999"), ("zzz", "no decision starts with 'zzz'")],
)
def test_an_id_that_fits_none_or_several(database: Path, id: str, message: str) -> None:
    result = run(database, id)
    assert result.exit_code == 1
    assert message in result.output


def test_an_empty_database(tmp_path: Path) -> None:
    Store(tmp_path / "p.sqlite").close()
    result = run(tmp_path / "p.sqlite", "last")
    assert result.exit_code == 1
    assert "there is no decision yet" in result.output


# --- a request in a file ----------------------------------------------------------------------

BODY = {
    "model": "claude-opus-4-8",
    "max_tokens": 500,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Why is the night train late?"}],
}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Why is the night train late?"}]}]}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without configuration; whatever is written would lie in it."""
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "POINTSMAN_HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.chdir(home)
    return home


def explain(*arguments: str | Path, body: object = None) -> Result:
    given = json.dumps(body).encode() if body is not None else None
    return CliRunner().invoke(main, ["explain", *map(str, arguments)], input=given, env={"COLUMNS": "80"})


def test_a_file_is_decided_and_nothing_is_written(elsewhere: Path, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text(json.dumps(BODY))
    result = explain("--file", file, "--header", "x-api-key: sk-ant-api03-x", "--header", "X-Router-Alpha: 0")
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert text.startswith("Dry run · nothing was sent")
    assert "with an API key. It would be served by" in text
    assert "Knobs alpha 0," in text
    assert "Answer" not in text
    assert "sk-ant" not in text
    assert list(elsewhere.iterdir()) == []


def test_json_of_a_file_has_the_fields_of_a_stored_decision(elsewhere: Path) -> None:
    result = explain("--file", "-", "--json", "--model", "gemini-3.8-flash", body=GEMINI)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert list(found) == ["decision"]
    assert set(found["decision"]) == {field.name for field in dataclasses.fields(Decision)}
    assert found["decision"]["surface"] == "gemini"
    assert found["decision"]["requested_model"] == "gemini-3.8-flash"


@pytest.mark.parametrize(
    ("arguments", "body", "message", "code"),
    [
        ((), GEMINI, "standard input: a gemini body does not say for which model it is: add --model NAME", 1),
        ((), {"messages": []}, "say which with --surface anthropic or --surface openai_chat", 1),
        ((), [1], "standard input: The body is not a JSON object.", 1),
        (("--surface", "claude"), BODY, "--surface 'claude' is not one of anthropic, gemini", 1),
        (("--header", "x-router-alpha: 2"), BODY, "x-router-alpha must be a finite number from 0 to 1", 1),
        (("--header", "x-router-alpha"), BODY, "--header takes 'name: value'", 2),
        (("--db", "p.sqlite"), BODY, "--db goes with an ID", 2),
        (("last",), BODY, "give the ID of a decision, or `last`, or --file", 2),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    elsewhere: Path, arguments: tuple[str, ...], body: object, message: str, code: int
) -> None:
    result = explain("--file", "-", *arguments, body=body)
    assert result.exit_code == code
    assert message in result.output


def test_options_of_a_file_need_one(elsewhere: Path) -> None:
    assert "--header go with --file" in " ".join(explain("last", "--surface", "gemini").output.split())
    assert "give the ID of a decision" in explain().output
    assert explain("--file", "nowhere.json").exit_code == 2


def test_where_a_model_would_be_asked_for_is_told_without_what_the_provider_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", "sk-planted")
    (tmp_path / "router.yaml").write_text(
        "providers: {mine: {base_url: http://localhost:1, surface: anthropic, key: {env: PLANTED_KEY}, "
        "headers: {x-team: secretive}}}\n"
        "routers: {mine-too: {model: mine/claude-haiku-4-5}}\n"
    )
    (tmp_path / "body.json").write_text(
        '{"model": "mine-too", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}'
    )
    given = ["explain", "--file", str(tmp_path / "body.json"), "--surface", "anthropic"]
    given += ["--config", str(tmp_path / "router.yaml")]
    told = CliRunner().invoke(main, [*given, "--json"])
    assert told.exit_code == 0, told.output
    decision = json.loads(told.stdout)["decision"]
    assert decision["bindings"] == [{"provider": "mine", "model": "claude-haiku-4-5"}]
    assert "secretive" not in told.stdout and "PLANTED" not in told.stdout
    words = " ".join(CliRunner().invoke(main, given).stdout.split())
    assert "It would be asked for at mine as claude-haiku-4-5. mine-too stands for other models." in words
