"""`pointsman doctor` beside a real proxy, and for each thing that can be wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mitmproxy.certs import CertStore
from pointsman import health, paths, probe, trust
from pointsman.cli.main import main
from pointsman.surface import surfaces
from provider.proxy import InProcessProxy
from provider.standin import StandIn

FOREIGN = "plain.example"


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    trust.ensure(folder, trust.provider_hosts())
    return folder


@pytest.fixture(scope="module")
def proxy(confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessProxy]:
    """Pointsman before the stand-in, with the CA that scripts/run makes."""
    from pointsman.addon import Pointsman

    database = tmp_path_factory.mktemp("db") / "pointsman.sqlite"
    with (
        StandIn(tmp_path_factory.mktemp("standin")) as provider,
        provider.reachable(),
        InProcessProxy(provider, confdir, [Pointsman()], {"router_db": str(database)}) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def places(confdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "certs_dir", lambda: confdir)
    monkeypatch.setattr(paths, "mitmproxy_confdir", lambda: tmp_path / "by hand")
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    for variable in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)


def doctor(port: int, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit status and the checks by name."""
    command = ["doctor", "--json", "--port", str(port), "--tunnel-host", FOREIGN, *arguments]
    result = CliRunner().invoke(main, command)
    report = json.loads(result.stdout)
    assert report["ok"] == (result.exit_code == 0)
    return result.exit_code, {check["name"]: check for check in report["checks"]}


def statuses(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["status"] for name, check in checks.items()}


def test_all_is_well(proxy: InProcessProxy, confdir: Path) -> None:
    code, checks = doctor(proxy.port)
    assert code == 0
    assert statuses(checks) == {
        "configuration": "ok",
        "proxy": "ok",
        "addresses": "ok",
        "certificates": "ok",
        "validity": "ok",
        **{f"intercepts {host}": "ok" for surface in surfaces().values() for host in surface.HOSTS},
        f"leaves {FOREIGN} alone": "ok",
        "this shell": "skip",
        "providers": "ok",
        "encoder": "ok",
        "bundle": "ok",
        "knobs": checks["knobs"]["status"],  # the shipped bundle's business
        "database": "ok",
    }
    assert "Stand-in provider CA" in checks[f"leaves {FOREIGN} alone"]["found"]


def test_it_is_told_in_words_too(proxy: InProcessProxy) -> None:
    result = CliRunner().invoke(main, ["doctor", "--port", str(proxy.port), "--tunnel-host", FOREIGN])
    assert result.exit_code == 0
    assert f"ok     proxy: answers on 127.0.0.1:{proxy.port}" in result.stdout


def test_no_proxy() -> None:
    code, checks = doctor(1)
    assert code == 1
    assert checks["proxy"]["status"] == "fail"
    assert "scripts/run" in checks["proxy"]["advice"]
    assert checks["intercepts api.anthropic.com"]["status"] == "skip"
    assert checks["database"]["status"] == "ok", "what needs no proxy is looked at all the same"


def test_a_proxy_that_is_another_one(confdir: Path) -> None:
    """Something listens there, and hangs up on whoever asks for a tunnel."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=[listener], daemon=True).start()
        code, checks = doctor(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    assert code == 1
    assert checks["proxy"]["status"] == "ok"
    assert checks["intercepts api.anthropic.com"]["status"] == "fail"
    assert "with no certificate of ours" in checks["certificates"]["found"]


def hang_up(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


def test_no_certificate_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "certs_dir", lambda: tmp_path / "nothing")
    code, checks = doctor(1)
    assert code == 1
    assert checks["certificates"]["status"] == "fail"


def test_an_authority_that_is_not_ours(
    proxy: InProcessProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another proxy decrypts on that port."""
    other = tmp_path / "other"
    trust.ensure(other, trust.provider_hosts())
    monkeypatch.setattr(paths, "certs_dir", lambda: other)
    code, checks = doctor(proxy.port)
    assert code == 1
    assert checks["certificates"]["status"] == "fail"
    assert "which is not ours" in checks["intercepts api.anthropic.com"]["found"]


def test_an_unconstrained_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CertStore.create_store(tmp_path / "by hand", "mitmproxy", 2048)
    monkeypatch.setattr(paths, "certs_dir", lambda: tmp_path / "nothing")
    _, checks = doctor(1)
    assert checks["certificates"]["status"] == "warn"
    assert "any host" in checks["certificates"]["found"]


def test_a_key_that_others_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "it's"
    trust.ensure(folder, trust.provider_hosts())
    (folder / trust.CA_FILE).chmod(0o640)
    monkeypatch.setattr(paths, "certs_dir", lambda: folder)
    code, checks = doctor(1)
    assert code == 1
    assert checks["key"]["advice"].startswith("chmod 600")


def test_hosts_that_the_authority_may_not_sign_for(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text("hosts:\n  anthropic: [llm.example.com]\n")
    code, checks = doctor(1)
    assert code == 1
    assert "llm.example.com" in checks["certificates"]["found"]
    assert "intercepts llm.example.com" in checks


def test_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text("marker: loud\n")
    code, checks = doctor(1)
    assert code == 1
    assert "router.yaml:1" in checks["configuration"]["found"]
    assert checks["bundle"]["status"] == "skip"


def test_a_route_that_the_bundle_cannot_serve(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text("routes: [{name: fast, knobs: {speed_weight: 0.9}}]\n")
    code, checks = doctor(1)
    assert code == 1
    assert checks["routes"]["status"] == "fail"
    assert "fast: knobs" in checks["routes"]["found"]


def test_providers_and_what_is_named_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk_planted")
    path = tmp_path / "router.yaml"
    path.write_text("routes: [{name: away, strategy: fixed, model: xai/grok-4.3}]")
    monkeypatch.delenv("XAI_API_KEY", raising=False)
    settings, _ = health.configuration(str(path))
    check = health.providers(settings)
    assert check.status == "warn"
    lacking = "away: grok-4.3 cannot be had at xai: XAI_API_KEY is not set"
    assert check.found.startswith(f"{lacking}; can be asked: ")
    assert "groq" in check.found and "planted" not in check.found
    assert health.providers(None).status == "skip"


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text("bundle: v9.9\n")
    code, checks = doctor(1)
    assert code == 1
    assert checks["bundle"]["status"] == "fail"
    assert "v9.9" in checks["bundle"]["found"]


def test_a_missing_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "bundles_dir", lambda: tmp_path)
    code, checks = doctor(1)
    assert code == 1
    assert checks["encoder"]["status"] == "fail"
    assert "model.onnx" in checks["encoder"]["found"]


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all, but long enough to look at" * 30)
    (tmp_path / "router.yaml").write_text("db: notes.txt\n")
    code, checks = doctor(1)
    assert code == 1
    assert "is not a SQLite database" in checks["database"]["found"]


def test_a_proxy_open_to_other_machines(monkeypatch: pytest.MonkeyPatch, proxy: InProcessProxy) -> None:
    monkeypatch.setattr(probe, "listening_addresses", lambda port: ["0.0.0.0"])
    code, checks = doctor(proxy.port)
    assert code == 0
    assert checks["addresses"]["status"] == "warn"
    assert "--listen-host 127.0.0.1" in checks["addresses"]["advice"]


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({}, "skip"),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080"}, "ok"),
        ({"HTTPS_PROXY": "http://localhost:8080/"}, "ok"),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080", "https_proxy": "http://u:secret@old.example:3128"}, "warn"),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080", "NO_PROXY": "*"}, "warn"),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080", "NODE_EXTRA_CA_CERTS": "/nothing/here.pem"}, "warn"),
    ],
)
def test_the_shell_it_is_asked_in(
    variables: dict[str, str], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = health.environment(8080, ["api.anthropic.com"])
    assert found.status == status
    assert "secret" not in found.found
