"""The certificate authority that clients are asked to trust, and how little it can do.

Whoever holds a CA's key can impersonate any host to a client that trusts it. So the CA made here is
name-constrained (RFC 5280, 4.2.1.10): it can sign for provider hosts and nothing else, not for any IP
address, not for another CA, and for nothing but TLS servers. A stolen key is worth no more than the
conversations that Pointsman reads anyway.

Files lie as mitmproxy expects them in its confdir. mitmproxy makes an unconstrained CA of its own in a
confdir that has none, so `ensure` comes before mitmproxy starts.
"""

from __future__ import annotations

import datetime
import getpass
import ipaddress
import os
import secrets
import socket
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pointsman import roots
from pointsman.surface import surfaces

# Hosts of every surface; router.local is for Pointsman's own pages.
KNOWN_HOSTS = (*sorted({host for surface in surfaces().values() for host in surface.HOSTS}), "router.local")

LIFETIME = datetime.timedelta(days=730)
RENEW_BEFORE = datetime.timedelta(days=30)
BACKDATE = datetime.timedelta(days=2)  # as mitmproxy does, for clients whose clock is slow
ALL_ADDRESSES = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))

FIRST = "there was none"

CA_FILE = "mitmproxy-ca.pem"  # key and certificate, 0600
CERT_FILE = "mitmproxy-ca-cert.pem"  # what clients may read
BUNDLE_FILE = "combined-ca.pem"  # system roots and ours, for variables that replace the roots


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA on disk, as its certificate describes it. `hosts` is empty for an unconstrained one."""

    confdir: Path
    certificate: x509.Certificate
    hosts: frozenset[str]
    constrained: bool

    @property
    def cert_file(self) -> Path:
        return self.confdir / CERT_FILE

    @property
    def not_after(self) -> datetime.datetime:
        return self.certificate.not_valid_after_utc

    @property
    def name(self) -> str:
        return self.certificate.subject.rfc4514_string()

    def permits(self, host: str) -> bool:
        """Whether the constraints let this CA sign for the host: it or a parent domain is listed."""
        return any(host == name or host.endswith("." + name) for name in self.hosts)

    def signed(self, leaf: x509.Certificate) -> bool:
        """Whether this CA's key signed the certificate."""
        try:
            leaf.verify_directly_issued_by(self.certificate)
        except Exception:  # cryptography raises ValueError, TypeError or InvalidSignature
            return False
        return True


@dataclass(frozen=True, slots=True)
class Ensured:
    """What `ensure` found or made. `renewed` says why a CA was made, "" if the old one is kept."""

    authority: Authority
    renewed: str = ""


def provider_hosts(configured: Iterable[str] = ()) -> tuple[str, ...]:
    """The one list of hosts that may be decrypted: the known ones and those in the configuration, sorted.

    Configured IP addresses are left out: the CA signs for none, they can only be reached over http.
    """
    names = {host.lower().rstrip(".") for host in (*KNOWN_HOSTS, *configured)}
    return tuple(sorted(name for name in names if name and not _is_address(name)))


def ensure(confdir: Path, hosts: Iterable[str], now: datetime.datetime | None = None) -> Ensured:
    """A CA in `confdir` that is constrained to exactly `hosts` and good for a month, made if there is none.

    Also repairs what can be repaired without a new CA: the key's permissions, and the files derived from it.
    Raises OSError when the directory cannot be written.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    wanted = frozenset(hosts)
    confdir.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = load(confdir)
    renewed = _why_renew(confdir, authority, wanted, now)
    if authority is None or renewed:
        _write(confdir / CA_FILE, _make(sorted(wanted), now), 0o600)
        authority = load(confdir)
        assert authority is not None
    _protect(confdir / CA_FILE)
    pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
    _write_if_changed(authority.cert_file, pem)
    write_bundle(authority, confdir)
    return Ensured(authority, renewed)


def load(confdir: Path) -> Authority | None:
    """The CA that mitmproxy uses with this confdir; None where there is none or it cannot be read."""
    try:
        certificate = x509.load_pem_x509_certificate((confdir / CA_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    hosts = _permitted(certificate)
    return Authority(confdir, certificate, hosts, bool(hosts))


def write_bundle(authority: Authority, folder: Path) -> Path:
    """Write system roots, roots that the environment's variables name, and ours, into one file in `folder`.

    Kept if it has all of them already: another environment may have named more.
    """
    path = folder / BUNDLE_FILE
    ours = authority.certificate.public_bytes(serialization.Encoding.PEM)
    wanted = roots.combined(ours, own=(authority.confdir, folder))
    if not roots.contains(path, wanted):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, wanted, 0o644)
    return path


def key_is_private(confdir: Path) -> bool:
    """Whether only the owner can read the CA's key."""
    return not (confdir / CA_FILE).stat().st_mode & 0o077


def _why_renew(
    confdir: Path, authority: Authority | None, hosts: frozenset[str], now: datetime.datetime
) -> str:
    if authority is None:
        return "it cannot be read" if (confdir / CA_FILE).exists() else FIRST
    if not _key_fits(confdir, authority):
        return "its key does not fit"
    if not authority.constrained:
        return "the old one was not constrained to provider hosts"
    if authority.hosts != hosts:
        return "the list of provider hosts changed"
    if authority.not_after - now < RENEW_BEFORE:
        return f"the old one expires on {authority.not_after:%Y-%m-%d}"
    return ""


def _key_fits(confdir: Path, authority: Authority) -> bool:
    try:
        key = serialization.load_pem_private_key((confdir / CA_FILE).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    return key.public_key() == authority.certificate.public_key()


def _make(hosts: list[str], now: datetime.datetime) -> bytes:
    """PEM of a fresh key and its self-signed certificate, in the order that mitmproxy reads."""
    key = ec.generate_private_key(ec.SECP256R1())  # mitmproxy's leaves share it: cheap handshakes
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, _common_name()),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Pointsman"),
        ]
    )
    constraints = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(host) for host in hosts],
        excluded_subtrees=[x509.IPAddress(network) for network in ALL_ADDRESSES],
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(constraints, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name() -> str:
    """Unique, so that two CAs are never mistaken for each other in a trust store; at most 64 characters."""
    try:
        owner = f"{getpass.getuser()}@{socket.gethostname().partition('.')[0]}"
    except (OSError, KeyError):  # a user without a name, as in some containers
        owner = "local"
    return f"Pointsman {secrets.token_hex(4)} for {owner}"[:64]


def _permitted(certificate: x509.Certificate) -> frozenset[str]:
    """The DNS names a CA may sign for, if it can sign for nothing else; empty otherwise."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    names = [name for name in extension.value.permitted_subtrees or () if isinstance(name, x509.DNSName)]
    excluded = {
        name.value for name in extension.value.excluded_subtrees or () if isinstance(name, x509.IPAddress)
    }
    tight = extension.critical and excluded >= set(ALL_ADDRESSES) and all(name.value for name in names)
    return frozenset(name.value for name in names) if tight else frozenset()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _protect(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _write_if_changed(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        _write(path, data, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file in one step; it never exists with other permissions or with half its content."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
