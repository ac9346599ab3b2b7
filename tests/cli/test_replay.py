"""Replaying saved traffic decides what the proxy decided, whatever the traffic was saved as."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flows.record import record
from mitmproxy import http
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.io import FlowReader
from pointsman import paths
from pointsman.cli.main import main

FLOWS = Path(__file__).resolve().parents[1] / "flows" / "anthropic-python.mitm"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration of the person who runs the tests; whatever is written would lie here."""
    folder = tmp_path / "home"
    folder.mkdir()
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "POINTSMAN_HOME"):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)], env={"COLUMNS": "80"})


def replayed(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = json.loads(result.output)
    return parsed


def decisions(*arguments: str | Path) -> list[dict[str, Any]]:
    """What was decided, without what differs between formats: name of the file, time, size of the body."""
    requests = replayed(*arguments)["requests"]
    ignored = ("file", "at", "request_bytes", "input_tokens_estimate")
    return [{key: value for key, value in item.items() if key not in ignored} for item in requests]


def flows() -> list[http.HTTPFlow]:
    with FLOWS.open("rb") as file:
        return [flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]


@pytest.mark.parametrize(
    "name",
    [
        "anthropic-python",
        pytest.param("openai-python", marks=pytest.mark.slow),
        pytest.param("genai-python", marks=pytest.mark.slow),
    ],
)
def test_a_replay_decides_what_the_proxy_decided(tmp_path: Path, name: str) -> None:
    """Every field of it; the recordings in tests/flows say less, but there is no recording to go stale."""
    if name == "genai-python":
        pytest.importorskip("google.genai", reason="Google's SDK is not installed")
    saved = tmp_path / "flows.mitm"
    database = record((name,), saved, tmp_path)
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    rows = connection.execute("SELECT * FROM decisions WHERE endpoint = 'generate' ORDER BY rowid").fetchall()
    connection.close()
    again = [item for item in decisions(saved) if item.get("endpoint") == "generate"]
    assert len(rows) == len(again) > 10
    for row, item in zip(rows, again, strict=True):
        for name in ("turn", "client", "requested_model", "served_model", "strategy", "reason", "marker"):
            assert row[name] == item[name], name
        for name in (
            "stripped",
            "tool_loop",
            "runner_up",
            "bundle",
            "knobs_hash",
            "previous_model",
            "margin",
        ):
            assert row[name] == item[name], name
        for name in ("knobs", "clusters", "candidates", "adaptations"):
            assert json.loads(row[name]) == item[name], name
    assert len({row["session"] for row in rows}) == len({item["conversation"] for item in again})


def test_recorded_flows(home: Path) -> None:
    report = replayed(FLOWS)
    assert report["skipped"] == {"other path": 1, "refused": 1}
    made = [item for item in report["requests"] if "served_model" in item]
    assert [item["endpoint"] for item in made].count("count_tokens") == 1
    reasons = {item["reason"] for item in made}
    assert {"mid tool loop", "forced by header", "subscription credential"} <= reasons
    assert [item["conversation"] for item in made][:5] == [1, 1, 1, 2, 2]
    assert made[1]["previous_model"] == made[0]["served_model"]
    refused = next(item for item in report["requests"] if item.get("skipped") == "refused")
    assert refused["detail"] == "x-router-alpha must be a finite number from 0 to 1, not 'much'"
    assert list(home.iterdir()) == []


def test_the_same_files_give_the_same_object() -> None:
    assert run(FLOWS, "--json").output == run(FLOWS, "--json").output


def test_nothing_of_a_credential_is_shown() -> None:
    assert "recorded" not in run(FLOWS, "--json").output.replace(str(FLOWS), "")
    assert "fingerprint" not in run(FLOWS, "--json").output


def test_har_says_the_same(tmp_path: Path) -> None:
    har = tmp_path / "sdk.har"
    har.write_text(json.dumps(SaveHar().make_har(flows()), indent=1))
    assert decisions(har) == decisions(FLOWS)


def test_json_lines_say_the_same(tmp_path: Path) -> None:
    lines = []
    for flow in flows():
        request, response = flow.request, flow.response
        lines.append({
            "kind": "http",
            "method": request.method,
            "scheme": request.scheme,
            "host": request.pretty_host,
            "path": request.path,
            "headers": [list(header) for header in request.headers.items(multi=True)],
            "body": json.loads(request.content) if request.content else None,
            "response": {"status": response.status_code} if response else None,
        })  # fmt: skip
    file = tmp_path / "sdk.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    assert decisions(file) == decisions(FLOWS)


def test_other_hosts_are_counted_and_skipped(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    line = {"kind": "http", "method": "POST", "host": "example.org", "path": "/v1/messages", "headers": []}
    socket = {"kind": "websocket", "method": "GET", "host": "api.openai.com", "path": "/", "headers": []}
    broken = line | {"host": "api.anthropic.com", "body": "not JSON"}
    file.write_text("\n".join(json.dumps(item) for item in (line, socket, broken)))
    assert replayed(file)["skipped"] == {"other host": 1, "unreadable": 1}
    output = run(file).output
    assert "0 of 2 requests decided" in output
    assert "Skipped: 1 other host, 1 unreadable." in output


def test_knobs_replace_those_of_the_request() -> None:
    """Quality alone and price alone pick the ends of the range for the very same prompts."""
    scored = {"1": set[str](), "0": set[str]()}
    for alpha, models in scored.items():
        for item in decisions(FLOWS, "--alpha", alpha):
            if (
                item.get("strategy") == "cluster"
                and item["requested_model"] == "claude-opus-4-8"
                and item["knobs"]
            ):
                assert item["knobs"]["alpha"] == float(alpha)
                models.add(item["served_model"])
    assert scored["1"]
    assert scored["0"]
    assert scored["1"] != scored["0"]


def test_alpha_and_a_quality_bias_replace_each_other(tmp_path: Path) -> None:
    """Whichever of the two a request asked for, the option takes its place."""
    body = {
        "model": "claude-opus-4-8",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello there"}],
    }
    saved = tmp_path / "asked.jsonl"
    with saved.open("w") as lines:
        for header in ("x-weave-routing-alpha", "x-router-quality-bias"):
            request = {
                "method": "POST",
                "host": "api.anthropic.com",
                "path": "/v1/messages",
                "headers": [[header, "0.5"], ["x-api-key", "sk-ant-api03-k"]],
                "body": body,
            }
            lines.write(json.dumps(request) + "\n")
    for option, name in (("--quality-bias", "quality_bias"), ("--alpha", "alpha")):
        made = [item["knobs"] for item in decisions(saved, option, "0.25")]
        assert [knobs[name] for knobs in made] == [0.25, 0.25]
        assert ["quality_bias" in knobs for knobs in made] == [name == "quality_bias"] * 2


def test_a_bundle_and_a_configuration_can_be_named(tmp_path: Path) -> None:
    config = tmp_path / "router.yaml"
    config.write_text("enabled: false\n")
    reasons = {item["reason"] for item in decisions(FLOWS, "--config", config) if "reason" in item}
    assert reasons == {"router is off"}
    shipped = run(FLOWS)
    directory = paths.bundles_dir() / (paths.bundles_dir() / "latest").read_text().strip()
    assert run(FLOWS, "--bundle", directory).output == shipped.output
    result = run(FLOWS, "--bundle", tmp_path / "v999")
    assert result.exit_code == 1
    assert "no such bundle directory" in result.output
    result = run(FLOWS, "--bundle", "v999")
    assert result.exit_code == 1
    assert "v999" in result.output


def test_tables_for_people() -> None:
    result = run(FLOWS)
    assert result.exit_code == 0
    assert max(len(line) for line in result.output.splitlines()) <= 80
    text = " ".join(result.output.split())
    assert "14 of 16 requests decided with bundle" in text
    assert "Skipped: 1 refused, 1 other path." in text
    assert "mid tool loop" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dear diary", "is neither flows, nor HAR, nor JSON lines"),
        (b'{"log": {"entries": [{}]}}', "is neither flows, nor HAR, nor JSON lines"),
        (b'{"method": "GET"}\n', ":1 is not a saved request: no 'headers'"),
        (b'{"method": "GET", "host": "h", "path": "/", "headers": []}\n[1]\n', ":2 is not a saved request"),
    ],
    ids=["text", "broken har", "no headers", "no object"],
)
def test_a_file_that_is_no_recording(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    result = run(file)
    assert result.exit_code == 1
    assert message in result.output


def test_a_bad_knob_is_refused_before_anything_is_read() -> None:
    result = run(FLOWS, "--alpha", "much")
    assert result.exit_code == 2
    assert "--alpha must be a finite number from 0 to 1" in result.output


def test_real_clients(shared: Path) -> None:
    """Every request of Claude Code and the SDK that was captured can be decided."""
    files = sorted((shared / "captures").glob("*claude-*.jsonl")) + sorted(
        (shared / "captures").glob("sdk-anthropic*.jsonl")
    )
    report = replayed(*files)
    assert len(files) >= 5
    assert not {"unreadable", "refused"} & set(report["skipped"])
    assert len([item for item in report["requests"] if "served_model" in item]) >= 20


def test_what_goes_on_from_an_answer_by_its_id_is_the_same_conversation(tmp_path: Path) -> None:
    """Responses keeps conversations at the provider; the second request has the tool's output and an id."""
    ask = {"model": "gpt-5.5", "input": "Write a haiku about a night train.", "tools": []}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    follow = {"model": "gpt-5.5", "input": [output], "previous_response_id": "resp_1"}
    answer = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5.5", "output": []}
    headers = [["authorization", "Bearer sk-tester"], ["content-type", "application/json"]]
    entries = [
        {
            "method": "POST",
            "host": "api.openai.com",
            "path": "/v1/responses",
            "headers": headers,
            "body": body,
            "response": {"status": 200, "headers": headers[1:], "body": answer},
        }
        for body in (ask, follow)
    ]
    saved = tmp_path / "kept.jsonl"
    saved.write_text("\n".join(json.dumps(entry) for entry in entries))
    first, second = replayed(saved)["requests"]
    assert first["served_model"] != "gpt-5.5", "nothing is shown by a model that serves anyway"
    assert (second["reason"], second["served_model"]) == ("mid tool loop", first["served_model"])
    assert second["conversation"] == first["conversation"]

    del entries[0]["response"]["body"]
    saved.write_text("\n".join(json.dumps(entry) for entry in entries))
    assert replayed(saved)["requests"][1]["served_model"] == "gpt-5.5"
