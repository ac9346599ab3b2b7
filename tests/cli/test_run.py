"""`pointsman run` reads mitmdump's arguments as mitmdump does, and starts it open to this machine only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from pointsman import paths, probe, trust
from pointsman.cli.main import main
from pointsman.cli.run import Arguments, read_arguments
from pointsman.options import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = "api.anthropic.com"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], Arguments()),
        (["-p", "9000"], Arguments(port=9000)),
        (["-p9000"], Arguments(port=9000)),
        (["--listen-port", "9000"], Arguments(port=9000)),
        (["--listen-port=9000"], Arguments(port=9000)),
        (["--set", "listen_port=9000"], Arguments(port=9000)),
        (["--set=listen_port=9000"], Arguments(port=9000)),
        (["-p", "9000", "--listen-port", "9001"], Arguments(port=9001)),
        (["--mode", "regular@9000"], Arguments(port=9000)),
        (["-m", "regular@127.0.0.1:9000"], Arguments(port=9000)),
        (["--mode", "upstream:http://proxy.example:3128"], Arguments()),
        (["--listen-host", "0.0.0.0"], Arguments(host="0.0.0.0")),
        (["-q", "--set", "listen_host=::1"], Arguments(host="::1")),
        (["--set", "confdir=/tmp/x y"], Arguments(confdir=Path("/tmp/x y"))),
        (["--set", "ssl_verify_upstream_trusted_ca=/x"], Arguments(upstream_roots=True)),
        (["--set", "router_config=a=b.yaml"], Arguments(router={"router_config": "a=b.yaml"})),
        (
            ["--set", "router_hosts=anthropic=a.example", "--set", "router_hosts=anthropic=b.example"],
            Arguments(router={"router_hosts": ["anthropic=a.example", "anthropic=b.example"]}),
        ),
        (["~u", "-p", "7", "--set"], Arguments(port=7)),
    ],
)
def test_arguments_are_read_as_mitmdump_reads_them(arguments: list[str], wanted: Arguments) -> None:
    assert read_arguments(arguments) == wanted


@pytest.mark.parametrize("port", ["abc", "70000", "-1", ""])
def test_a_port_that_is_none_is_said_before_anything_is_done(port: str) -> None:
    result = CliRunner().invoke(main, ["run", "-p", port])
    assert result.exit_code == 1
    assert "a port is a number" in result.stderr
    assert "Traceback" not in result.output


def test_help_says_what_can_be_given_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "certs_dir", lambda: tmp_path / "certs")
    result = CliRunner().invoke(main, ["run", "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert [option.name for option in OPTIONS if f"  {option.name}" not in result.stdout] == []
    assert not (tmp_path / "certs").exists()


def test_a_mistake_in_the_configuration_is_said_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "certs_dir", lambda: tmp_path / "certs")
    (tmp_path / "router.yaml").write_text("marker: loud\n")
    result = CliRunner().invoke(main, ["run", "--set", f"router_config={tmp_path / 'router.yaml'}"])
    assert result.exit_code == 1
    assert "router.yaml:1" in result.stderr
    assert not (tmp_path / "certs").exists()


# --- real processes -------------------------------------------------------------------------


@dataclass
class Running:
    """A proxy that listens, and what it said so far."""

    port: int
    log: Path
    certificate: Path

    @property
    def said(self) -> str:
        return self.log.read_text()


@contextlib.contextmanager
def started(command: Sequence[str], port: int, folder: Path) -> Iterator[Running]:
    """Run a proxy in `folder` until the block ends."""
    environment = {**os.environ, "POINTSMAN_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT / "addon")}
    environment |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 60
        while "proxy listening" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Running(port, log, folder / "conf" / trust.CERT_FILE)
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def by_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("run")
    trust.ensure(folder / "conf", trust.provider_hosts())
    port = free_port()
    command = [sys.executable, "-m", "pointsman", "run", "-p", str(port)]
    with started([*command, "--set", f"confdir={folder / 'conf'}"], port, folder) as found:
        yield found


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`mitmdump -s addon/router.py` as the README says, from another directory."""
    folder = tmp_path_factory.mktemp("hand")
    port = free_port()
    program = str(Path(sys.executable).with_name("mitmdump"))
    command = [program, "-s", str(ROOT / "addon" / "router.py"), "-p", str(port)]
    with started([*command, "--set", f"confdir={folder / 'conf'}"], port, folder) as found:
        yield found


@pytest.fixture(scope="module")
def own_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
        try:
            probing.connect(("192.0.2.1", 9))  # sends nothing: it only asks for the route
            found: str = probing.getsockname()[0]
        except OSError:
            pytest.skip("this machine has no other address than loopback")
    if probe.is_loopback(found):
        pytest.skip("this machine has no other address than loopback")
    return found


def test_the_lines_to_paste_name_the_port_and_every_client(by_run: Running) -> None:
    assert by_run.said.count(f"export HTTPS_PROXY=http://127.0.0.1:{by_run.port}\n") == 7
    for title in ("Claude Code", "Codex", "Gemini CLI", "opencode", "Python SDKs", "JavaScript SDKs", "curl"):
        assert re.search(rf"^# {title}", by_run.said, re.MULTILINE)


def test_claude_codes_users_are_told_of_the_status_line(by_run: Running) -> None:
    (line,) = re.findall(r'^#   "statusLine": (\{.*\})$', by_run.said, re.MULTILINE)
    setting = json.loads(line)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "addon"), "HOME": str(by_run.log.parent)}
    shown = subprocess.run(
        setting["command"], shell=True, input=b"{}", capture_output=True, check=True, env=environment
    )
    assert setting["type"] == "command"
    assert shown.stdout == b"\n"


def test_started_by_run_only_this_machine_can_connect(by_run: Running, own_address: str) -> None:
    assert probe.answers(("127.0.0.1", by_run.port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own_address, by_run.port), 5)


def test_started_by_hand_other_machines_are_turned_away(by_hand: Running, own_address: str) -> None:
    """mitmproxy listens on every interface, which an addon cannot change, so `block_private` is set."""
    assert probe.certificate(("127.0.0.1", by_hand.port), PROVIDER, verify_with=by_hand.certificate)
    with pytest.raises(probe.ProbeError):
        probe.certificate((own_address, by_hand.port), PROVIDER)
    assert "block_private" in by_hand.said


@pytest.mark.parametrize("how", ["by_run", "by_hand"])
def test_provider_hosts_get_a_certificate_of_the_confdirs_authority(
    how: str, request: pytest.FixtureRequest
) -> None:
    running: Running = request.getfixturevalue(how)
    leaf = probe.certificate(("127.0.0.1", running.port), PROVIDER, verify_with=running.certificate)
    authority = trust.load(running.certificate.parent)
    assert authority is not None
    assert authority.signed(leaf)
    assert authority.constrained == (how == "by_run")
