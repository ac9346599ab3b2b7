"""What `pointsman env` prints is run by real shells, with paths that need quoting."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mitmproxy.certs import CertStore
from pointsman import clients, paths, trust
from pointsman.cli.main import main

UNUSED_PORT = "1"  # nothing may listen there, so the CA on disk is taken for the one in use
VARIABLES = (
    "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE",
    "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CODEX_CA_CERTIFICATE", "NODE_USE_ENV_PROXY",
)  # fmt: skip


@pytest.fixture(autouse=True)
def confdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for certificates whose name needs quoting in every shell, and none of the tester's settings."""
    folder = tmp_path / 'it\'s a "place" for $HOME'
    monkeypatch.setattr(paths, "certs_dir", lambda: folder)
    monkeypatch.setattr(paths, "mitmproxy_confdir", lambda: tmp_path / "by hand")
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path / "data")
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def authority(confdir: Path) -> trust.Authority:
    return trust.ensure(confdir, trust.provider_hosts()).authority


def env(*arguments: str, port: str = UNUSED_PORT) -> Result:
    return CliRunner().invoke(main, ["env", "--port", port, *arguments])


def in_shell(result: Result, shell: str = "sh") -> dict[str, str]:
    """The variables a shell has after evaluating what was printed."""
    assert result.exit_code == 0, result.output
    script = 'eval "$1"; env -0' if shell != "fish" else "eval $argv[1]; env -0"
    command = [shell, "-c", script, *(["sh"] if shell != "fish" else []), result.stdout]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stderr == ""
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def ours(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if name in VARIABLES}


PROXY = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "localhost,127.0.0.1,::1"}


@pytest.mark.parametrize("client", ["claude", "gemini", "opencode"])
def test_clients_that_add_a_root_get_ours_alone(authority: trust.Authority, client: str) -> None:
    wanted = {**PROXY, "NODE_EXTRA_CA_CERTS": str(authority.cert_file)}
    assert ours(in_shell(env(client))) == wanted


@pytest.mark.parametrize(
    ("client", "variable"),
    [("codex", "SSL_CERT_FILE"), ("python", "SSL_CERT_FILE"), ("curl", "CURL_CA_BUNDLE")],
)
def test_clients_whose_variable_replaces_the_roots_get_all(
    authority: trust.Authority, client: str, variable: str
) -> None:
    found = ours(in_shell(env(client)))
    bundle = Path(found.pop(variable))
    assert found == PROXY
    assert bundle.read_bytes().count(b"BEGIN CERTIFICATE") > 50
    assert bundle.read_bytes().rstrip().endswith(authority.cert_file.read_bytes().strip())


def test_node_is_told_to_read_the_proxy_and_its_user_about_old_versions(authority: trust.Authority) -> None:
    result = env("node")
    assert in_shell(result)["NODE_USE_ENV_PROXY"] == "1"
    assert "Node 20" in result.stderr
    assert "EnvHttpProxyAgent" in result.stderr


def test_without_a_client_all_variables_are_printed(authority: trust.Authority) -> None:
    found = ours(in_shell(env()))
    assert found.keys() == {
        *PROXY,
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "NODE_USE_ENV_PROXY",
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash", "fish"])
def test_other_shells(authority: trust.Authority, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    result = env("claude", *(["--shell", "fish"] if shell == "fish" else []))
    assert in_shell(result, shell)["NODE_EXTRA_CA_CERTS"] == str(authority.cert_file)


def test_something_else_on_the_port_is_warned_about(authority: trust.Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        result = env("claude", port=port)
    assert ours(in_shell(result))["HTTPS_PROXY"] == f"http://127.0.0.1:{port}"
    assert "warning: what runs on port" in result.stderr


def test_powershell_syntax() -> None:
    names = {"A": "it's", "B": "a \u2018b\u2019 $c"}
    assert clients.lines(names, "powershell") == [
        "$env:A = 'it''s'",
        "$env:B = 'a \u2018\u2018b\u2019\u2019 $c'",
    ]


def test_fish_syntax() -> None:
    assert clients.lines({"A": "it's \\ $b"}, "fish") == ["set -gx A 'it\\'s \\\\ $b';"]


def test_only_commands_go_to_standard_output(authority: trust.Authority) -> None:
    for name in clients.CLIENTS:
        assert all(line.startswith("export ") for line in env(name).stdout.splitlines())


def test_a_companys_root_is_kept(
    authority: trust.Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = trust.ensure(tmp_path / "company", ["company.example"]).authority.cert_file
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(company))
    named = Path(in_shell(env("claude"))["NODE_EXTRA_CA_CERTS"])
    assert company.read_bytes().strip() in named.read_bytes()
    assert authority.cert_file.read_bytes().strip() in named.read_bytes()


def test_asking_twice_changes_nothing(authority: trust.Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    first = in_shell(env())
    for name, value in ours(first).items():
        monkeypatch.setenv(name, value)
    assert ours(in_shell(env())) == ours(first)


def test_the_list_of_hosts_without_a_proxy_is_kept(
    authority: trust.Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example, 127.0.0.1")
    assert in_shell(env("claude"))["NO_PROXY"] == "intranet.example,127.0.0.1,localhost,::1"


def test_lower_case_variables_cannot_lead_elsewhere(
    authority: trust.Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://old.example:3128")
    monkeypatch.setenv("no_proxy", "intranet.example")
    found = in_shell(env("claude"))
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://127.0.0.1:1"
    assert found["no_proxy"].startswith("intranet.example,")


@pytest.mark.parametrize(
    "entry", ["*", "anthropic.com", ".anthropic.com", "*.anthropic.com", "API.anthropic.com"]
)
def test_a_host_kept_from_the_proxy_is_noticed(
    authority: trust.Authority, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("NO_PROXY", f"intranet.example,{entry}")
    assert repr(entry) in env("claude").stderr


@pytest.mark.parametrize("entry", ["other.com", "c.com", "pi.anthropic.com"])
def test_other_hosts_in_the_list_are_not_noticed(
    authority: trust.Authority, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("NO_PROXY", entry)
    assert env("claude").stderr == ""


def test_without_a_certificate_authority_nothing_is_printed() -> None:
    result = env("claude")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "scripts/run" in result.stderr


def test_the_unconstrained_one_of_mitmproxy_is_used_with_a_warning(tmp_path: Path) -> None:
    CertStore.create_store(tmp_path / "by hand", "mitmproxy", 2048)
    before = sorted((tmp_path / "by hand").iterdir())
    result = env("python")
    assert "can impersonate any host" in result.stderr
    assert in_shell(result)["SSL_CERT_FILE"] == str(tmp_path / "data" / trust.BUNDLE_FILE)
    assert sorted((tmp_path / "by hand").iterdir()) == before, "mitmproxy's directory is left alone"
