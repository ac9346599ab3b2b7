"""Look at a running proxy from a client's side: what it serves, and where it listens."""

from __future__ import annotations

import ipaddress
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from pointsman import paths, trust
from pointsman.errors import PointsmanError

TIMEOUT_S = 5.0


class ProbeError(PointsmanError):
    """The proxy did not do what a client expects of it; the message says what happened instead."""


def certificate(proxy: tuple[str, int], host: str, verify_with: Path | None = None) -> x509.Certificate:
    """The certificate that a client is shown for https://host through the proxy.

    With `verify_with`, a file of roots, the handshake verifies chain, constraints and host name as Python
    clients do. Raises ProbeError.
    """
    try:
        with socket.create_connection(proxy, TIMEOUT_S) as connection:
            _connect(connection, host)
            with _context(verify_with).wrap_socket(connection, server_hostname=host) as tls:
                der = tls.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError as error:
        raise ProbeError(f"the certificate for {host} is refused: {error.verify_message}") from error
    except OSError as error:
        reason = str(error) or type(error).__name__
        raise ProbeError(f"no TLS connection to {host} through the proxy: {reason}") from error
    if not der:
        raise ProbeError(f"no certificate was served for {host}")
    return x509.load_der_x509_certificate(der)


def answers(proxy: tuple[str, int]) -> bool:
    """Whether anything accepts connections there."""
    try:
        with socket.create_connection(proxy, TIMEOUT_S):
            return True
    except OSError:
        return False


def authority_in_use(proxy: tuple[str, int], host: str) -> trust.Authority | None:
    """The CA that signs what the running proxy serves; where none runs, the one to expect.

    That is the CA of `scripts/run`, else mitmproxy's own, which is in use where mitmdump is started by hand.
    None if there is no CA yet, or if what runs there uses another one or is no proxy.
    """
    found = known_authorities()
    try:
        leaf = certificate(proxy, host)
    except ProbeError:
        return found[0] if found and not answers(proxy) else None
    return next((authority for authority in found if authority.signed(leaf)), None)


def known_authorities() -> list[trust.Authority]:
    """Every CA that a proxy of this user may be using."""
    loaded = (trust.load(folder) for folder in (paths.certs_dir(), paths.mitmproxy_confdir()))
    return [authority for authority in loaded if authority]


def listening_addresses(port: int) -> list[str] | None:
    """Local addresses with a listening TCP socket on the port; None where that cannot be found out.

    Linux tells in /proc/net, other systems through lsof if it is there.
    """
    if sys.platform == "linux":
        tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
        lines = [line for table in tables if table.is_file() for line in table.read_text().splitlines()[1:]]
        return sorted(set(from_proc(lines, port)))
    lsof = shutil.which("lsof")
    if not lsof:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fn"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False).stdout
    return sorted(set(from_lsof(output)))


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _connect(connection: socket.socket, host: str) -> None:
    """Ask the proxy for a tunnel to port 443 of the host."""
    connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece or len(head) > 65536:
            raise ProbeError("what listens there is no HTTP proxy")
        head += piece
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if not status or status.group(1) != b"200":
        raise ProbeError(f"the proxy refuses a tunnel to {host}: {head.splitlines()[0].decode('latin-1')}")


def _context(verify_with: Path | None) -> ssl.SSLContext:
    if verify_with:
        return ssl.create_default_context(cafile=str(verify_with))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at: nothing is sent through this connection
    return context


def from_proc(lines: Iterable[str], port: int, byteorder: str = sys.byteorder) -> Iterable[str]:
    """Addresses from lines of /proc/net/tcp and tcp6, whose words are 32-bit in the machine's byte order."""
    for line in lines:
        fields = line.split()
        address, _, hex_port = fields[1].partition(":")
        if fields[3] != "0A" or int(hex_port, 16) != port:  # 0A: LISTEN
            continue
        words = [bytes.fromhex(address[at : at + 8]) for at in range(0, len(address), 8)]
        packed = b"".join(word[::-1] if byteorder == "little" else word for word in words)
        yield str(ipaddress.ip_address(packed))


def from_lsof(output: str) -> Iterable[str]:
    """Addresses from lsof's field output: lines such as `n127.0.0.1:8080`, `n*:8080`, `n[::1]:8080`."""
    for line in output.splitlines():
        if line.startswith("n"):
            address = line[1:].rpartition(":")[0].strip("[]")
            yield "0.0.0.0" if address == "*" else address  # noqa: S104
