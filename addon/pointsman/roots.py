"""Root certificates in one file, for clients whose variable replaces the roots instead of adding to them."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Collection, Iterator
from pathlib import Path

import certifi

# Where systems keep all roots in one file, should Python's own OpenSSL have been built to look elsewhere.
SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)

# Variables with which people already add a root of their own, such as a company's.
VARIABLES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "CODEX_CA_CERTIFICATE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
)

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def system_file() -> Path:
    """The system's roots in one file; certifi's where the system has none."""
    default = ssl.get_default_verify_paths().openssl_cafile  # not .cafile, which SSL_CERT_FILE overrides
    candidates = [Path(path) for path in (default, *SYSTEM_FILES)]
    return next((path for path in candidates if path.is_file()), Path(certifi.where()))


def foreign_file(variable: str, own: Collection[Path]) -> Path | None:
    """The file that the environment names in `variable`; None if there is none or it lies in one of `own`."""
    value = os.environ.get(variable)
    if not value:
        return None
    path = Path(value)
    ours = {folder.resolve() for folder in own}
    return path if path.is_file() and path.resolve().parent not in ours else None


def combined(ours: bytes, own: Collection[Path]) -> bytes:
    """PEM of the system's roots, those that the environment names, and `ours` last; each certificate once."""
    files = [system_file(), *filter(None, (foreign_file(variable, own) for variable in VARIABLES))]
    blocks = dict.fromkeys(block for path in files for block in _certificates(path.read_bytes()))
    return b"\n".join([*blocks, ours.strip()]) + b"\n"


def contains(path: Path, wanted: bytes) -> bool:
    """Whether the file has every certificate of `wanted`, its last one last, and is newer than the system."""
    if not path.is_file() or path.stat().st_mtime < system_file().stat().st_mtime:
        return False
    present, needed = list(_certificates(path.read_bytes())), list(_certificates(wanted))
    return set(needed) <= set(present) and present[-1] == needed[-1]


def _certificates(pem: bytes) -> Iterator[bytes]:
    for match in _CERTIFICATE.finditer(pem):
        yield match.group().replace(b"\r\n", b"\n")
