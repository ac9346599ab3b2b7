"""What the generated CA can do and, above all, what it cannot: asked of OpenSSL, Node and Python."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from mitmproxy.certs import CertStore
from pointsman import roots, trust
from provider.certs import make_authority

PROVIDER = "api.anthropic.com"
STRANGER = "bank.example"
ADDRESS = "192.0.2.7"
NOW = datetime.datetime.now(datetime.UTC)

Leaf = Callable[[str], Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> trust.Authority:
    return trust.ensure(tmp_path_factory.mktemp("ca"), trust.provider_hosts()).authority


@pytest.fixture(scope="module")
def leaf(authority: trust.Authority, tmp_path_factory: pytest.TempPathFactory) -> Leaf:
    """Signs a certificate for any host with the CA's key, as mitmproxy does; gives a file with its key."""
    folder = tmp_path_factory.mktemp("leaves")
    store = CertStore.from_store(authority.confdir, "mitmproxy", 2048)

    def sign(host: str) -> Path:
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        entry = store.get_cert(host, [name])
        key = entry.privatekey.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / f"{host}.pem"
        file.write_bytes(entry.cert.to_pem() + key)
        return file

    return sign


@contextmanager
def serving(leaf_file: Path) -> Iterator[int]:
    """A TLS server on loopback that shows the certificate, hand-shakes, and hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf_file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:  # the client refused the certificate: what the tests are after
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


# --- what it cannot sign for ---------------------------------------------------------------


def openssl_verify(authority: trust.Authority, leaf_file: Path) -> subprocess.CompletedProcess[str]:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-no-CApath"]
    command += ["-CAfile", str(authority.cert_file), str(leaf_file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_openssl_accepts_a_provider_host(authority: trust.Authority, leaf: Leaf) -> None:
    done = openssl_verify(authority, leaf(PROVIDER))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (STRANGER, "permitted subtree violation"),
        ("anthropic.com", "permitted subtree violation"),  # the parent of what is permitted
        ("xapi.anthropic.com", "permitted subtree violation"),
        ("api.anthropic.com.bank.example", "permitted subtree violation"),
        (ADDRESS, "excluded subtree violation"),
        ("::1", "excluded subtree violation"),
    ],
)
def test_openssl_refuses_every_other_name(
    authority: trust.Authority, leaf: Leaf, host: str, why: str
) -> None:
    done = openssl_verify(authority, leaf(host))
    assert done.returncode != 0
    assert why in done.stderr


NODE = """
const [port, servername] = process.argv.slice(1);
const socket = require("tls").connect({host: "127.0.0.1", port: Number(port), servername});
const say = found => { console.log(JSON.stringify(found)); socket.destroy(); };
socket.on("secureConnect", () => say({accepted: socket.authorized}));
socket.on("error", error => say({accepted: false, why: error.message}));
"""


def node_connect(authority: trust.Authority, leaf_file: Path, host: str) -> dict[str, object]:
    """Whether Node, told about the CA as its users are told, accepts the server."""
    if not shutil.which("node"):
        pytest.skip("needs node")
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(authority.cert_file)}
    with serving(leaf_file) as port:
        command = ["node", "-e", NODE, str(port), host]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=30, check=True
        )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_node_accepts_a_provider_host(authority: trust.Authority, leaf: Leaf) -> None:
    assert node_connect(authority, leaf(PROVIDER), PROVIDER) == {"accepted": True}


def test_node_refuses_every_other_host(authority: trust.Authority, leaf: Leaf) -> None:
    refused = {"accepted": False, "why": "permitted subtree violation"}
    assert node_connect(authority, leaf(STRANGER), STRANGER) == refused


@pytest.mark.parametrize(("host", "accepted"), [(PROVIDER, True), (STRANGER, False), (ADDRESS, False)])
def test_python_with_the_combined_bundle(
    authority: trust.Authority, leaf: Leaf, host: str, accepted: bool
) -> None:
    context = ssl.create_default_context(cafile=str(authority.confdir / trust.BUNDLE_FILE))
    with serving(leaf(host)) as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        try:
            context.wrap_socket(connection, server_hostname=host).close()
        except ssl.SSLCertVerificationError as error:
            assert not accepted
            assert "subtree violation" in error.verify_message
        else:
            assert accepted


def test_a_certificate_authority_below_it_is_refused(authority: trust.Authority, tmp_path: Path) -> None:
    """A thief of the key cannot get rid of the constraints by signing a CA without any."""
    below = make_authority(tmp_path, [STRANGER])
    key = serialization.load_pem_private_key((authority.confdir / trust.CA_FILE).read_bytes(), None)
    child = x509.load_pem_x509_certificate(below.ca_file.read_bytes())
    signed = (
        x509.CertificateBuilder()
        .subject_name(child.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(child.public_key())
        .serial_number(7)
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    pem = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]
    (tmp_path / "child.pem").write_bytes(pem)
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    command = ["openssl", "verify", "-no-CApath", "-CAfile", str(authority.cert_file)]
    command += ["-untrusted", str(tmp_path / "child.pem"), str(below.leaf_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "path length constraint exceeded" in done.stderr or "subtree violation" in done.stderr


# --- its files ------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_the_owners_and_replaced_in_one_step(tmp_path: Path) -> None:
    trust.ensure(tmp_path, [PROVIDER])
    assert mode(tmp_path / trust.CA_FILE) == 0o600
    assert mode(tmp_path / trust.CERT_FILE) == 0o644
    assert not list(tmp_path.glob(".*")), "temporary files are gone"
    assert b"PRIVATE KEY" not in (tmp_path / trust.CERT_FILE).read_bytes()
    assert b"PRIVATE KEY" not in (tmp_path / trust.BUNDLE_FILE).read_bytes()


def test_a_readable_key_is_closed_again(tmp_path: Path) -> None:
    trust.ensure(tmp_path, [PROVIDER])
    (tmp_path / trust.CA_FILE).chmod(0o644)
    assert not trust.key_is_private(tmp_path)
    assert trust.ensure(tmp_path, [PROVIDER]).renewed == ""
    assert trust.key_is_private(tmp_path)


def test_two_are_never_called_the_same(tmp_path: Path) -> None:
    names = {trust.ensure(tmp_path / str(number), [PROVIDER]).authority.name for number in range(3)}
    assert len(names) == 3


def test_mitmproxy_takes_it_for_its_own(authority: trust.Authority) -> None:
    before = (authority.confdir / trust.CA_FILE).read_bytes()
    store = CertStore.from_store(authority.confdir, "mitmproxy", 2048)
    assert store.default_ca.to_pem() == authority.cert_file.read_bytes()
    assert (authority.confdir / trust.CA_FILE).read_bytes() == before


# --- when it is made anew -------------------------------------------------------------------


def test_it_is_kept_while_it_fits(tmp_path: Path) -> None:
    first = trust.ensure(tmp_path, [PROVIDER, "llm.example"])
    again = trust.ensure(tmp_path, ["llm.example", PROVIDER])
    assert first.renewed == trust.FIRST
    assert again.renewed == ""
    assert again.authority.name == first.authority.name


def test_a_changed_list_of_hosts_makes_a_new_one(tmp_path: Path) -> None:
    trust.ensure(tmp_path, [PROVIDER])
    changed = trust.ensure(tmp_path, [PROVIDER, "llm.example"])
    assert "list of provider hosts" in changed.renewed
    assert changed.authority.hosts == {PROVIDER, "llm.example"}
    assert changed.authority.cert_file.read_bytes().strip() in (tmp_path / trust.BUNDLE_FILE).read_bytes()


def test_it_is_renewed_a_month_before_it_expires(tmp_path: Path) -> None:
    made = NOW - trust.LIFETIME + datetime.timedelta(days=31)
    trust.ensure(tmp_path, [PROVIDER], made)
    assert trust.ensure(tmp_path, [PROVIDER], NOW).renewed == ""
    assert "expires on" in trust.ensure(tmp_path, [PROVIDER], NOW + datetime.timedelta(days=2)).renewed


def test_mitmproxys_own_in_our_directory_is_replaced(tmp_path: Path) -> None:
    CertStore.create_store(tmp_path, "mitmproxy", 2048)
    found = trust.load(tmp_path)
    assert found is not None
    assert not found.constrained
    assert "not constrained" in trust.ensure(tmp_path, [PROVIDER]).renewed


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"]
)
def test_what_cannot_be_read_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / trust.CA_FILE).write_bytes(content)
    assert trust.load(tmp_path) is None
    assert trust.ensure(tmp_path, [PROVIDER]).renewed == "it cannot be read"


def test_a_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    trust.ensure(tmp_path / "a", [PROVIDER])
    trust.ensure(tmp_path / "b", [PROVIDER])
    certificate = (tmp_path / "a" / trust.CERT_FILE).read_bytes()
    both = (tmp_path / "b" / trust.CA_FILE).read_bytes()
    (tmp_path / "a" / trust.CA_FILE).write_bytes(both.partition(b"-----BEGIN CERT")[0] + certificate)
    assert trust.ensure(tmp_path / "a", [PROVIDER]).renewed == "its key does not fit"


# --- hosts and roots ------------------------------------------------------------------------


def test_provider_hosts_are_names_each_once() -> None:
    hosts = trust.provider_hosts(["LLM.Example.", PROVIDER, "127.0.0.1", "[::1]", ""])
    assert hosts == tuple(sorted({*trust.KNOWN_HOSTS, "llm.example"}))


def test_what_it_may_sign_for(authority: trust.Authority) -> None:
    assert authority.permits(PROVIDER)
    assert authority.permits("ab.chatgpt.com")
    assert not authority.permits("anthropic.com")
    assert not authority.permits("xchatgpt.com")


def test_the_combined_bundle_has_what_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = trust.ensure(tmp_path / "company", ["company.example"]).authority
    for variable in roots.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    ours = trust.ensure(tmp_path / "ours", [PROVIDER]).authority
    plain = (tmp_path / "ours" / trust.BUNDLE_FILE).read_bytes()
    monkeypatch.setenv("SSL_CERT_FILE", str(company.cert_file))
    trust.write_bundle(ours, ours.confdir)
    with_company = (tmp_path / "ours" / trust.BUNDLE_FILE).read_bytes()
    assert company.cert_file.read_bytes().strip() not in plain
    assert company.cert_file.read_bytes().strip() in with_company
    assert with_company.rstrip().endswith(ours.cert_file.read_bytes().strip())
    monkeypatch.delenv("SSL_CERT_FILE")
    trust.write_bundle(ours, ours.confdir)
    assert (tmp_path / "ours" / trust.BUNDLE_FILE).read_bytes() == with_company, (
        "kept for clients that need it"
    )


def test_our_own_bundle_is_not_a_foreign_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = trust.ensure(tmp_path, [PROVIDER]).authority
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / trust.BUNDLE_FILE))
    assert roots.foreign_file("SSL_CERT_FILE", own=[ours.confdir]) is None
    assert roots.foreign_file("SSL_CERT_FILE", own=[]) == tmp_path / trust.BUNDLE_FILE
