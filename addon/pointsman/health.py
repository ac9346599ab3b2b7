"""What `pointsman doctor` looks at, one function per question, each with what to do about a failure."""

from __future__ import annotations

import datetime
import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography import x509

from pointsman import clients, engine, options, paths, probe, trust
from pointsman.embedding import Embedder
from pointsman.errors import BundleError, ConfigError, PointsmanError
from pointsman.options import Settings
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.inert import dormant_knobs, inert_knobs
from pointsman.shelf import check as check_shelf
from pointsman.shelf import open_shelf
from pointsman.store import Store

OK, NOTE, WARN, FAIL, SKIP = "ok", "note", "warn", "fail", "skip"
FOREIGN_HOST = "example.com"  # speaks TLS, belongs to no provider, and is meant to be asked


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `advice` says what to do, "" where there is nothing to do."""

    name: str
    status: str
    found: str
    advice: str = ""


def run(port: int, config: str = "", foreign_host: str = FOREIGN_HOST) -> Iterator[Check]:
    """All checks, in the order in which a request meets what they look at."""
    settings, first = configuration(config)
    yield first
    proxy = ("127.0.0.1", port)
    up = probe.answers(proxy)
    yield listening(port, up)
    yield addresses(port, up)
    hosts = _with_tls(settings) if settings else [trust.KNOWN_HOSTS[0]]
    authority = probe.authority_in_use(proxy, hosts[0])
    yield from certificates(authority, hosts)
    yield from interception(proxy, up, authority, hosts)
    yield tunnel(proxy, up, foreign_host)
    yield environment(port, hosts)
    yield providers(settings)
    yield from routing(settings)
    yield database(settings)


def _with_tls(settings: Settings) -> list[str]:
    """Hosts on the port of https: a server on another may well be one without TLS."""
    return sorted({name for pairs in settings.hosts.values() for name, port in pairs if port == 443})


def configuration(path: str) -> tuple[Settings | None, Check]:
    """Options at their defaults and router.yaml, as the proxy would read them in this directory."""
    try:
        settings = options.build(SimpleNamespace(router_config=path))
    except ConfigError as error:
        return None, Check("configuration", FAIL, str(error), "mend it; the proxy would not start")
    where = str(settings.config) if settings.config else "no router.yaml, defaults only"
    return settings, Check("configuration", OK, where)


def providers(settings: Settings | None) -> Check:
    """Which providers can be asked with keys of this shell, and what is named and cannot be had from any."""
    if settings is None:
        return Check("providers", SKIP, "needs a valid configuration")
    able = ", ".join(name for name in settings.catalogue.providers if name in settings.available)
    found = f"can be asked: {able}" if able else "none has a key here; requests stay with their own provider"
    if settings.unreachable:
        advice = "set the key where the proxy runs, or take the name out"
        return Check("providers", WARN, "; ".join((*settings.unreachable, found)), advice)
    return Check("providers", OK, found)


def listening(port: int, up: bool) -> Check:
    """Whether something accepts connections on the port."""
    if up:
        return Check("proxy", OK, f"answers on 127.0.0.1:{port}")
    return Check(
        "proxy",
        FAIL,
        f"nothing answers on 127.0.0.1:{port}",
        f"start scripts/run, or name the port it runs on: {paths.command()} doctor --port PORT",
    )


def addresses(port: int, up: bool) -> Check:
    """Whether only this machine can reach the proxy."""
    name = "addresses"
    if not up:
        return Check(name, SKIP, "no proxy is running")
    found = probe.listening_addresses(port)
    if not found:
        return Check(name, SKIP, "this system does not say which addresses are listened on (lsof would)")
    open_ones = [address for address in found if not probe.is_loopback(address)]
    if open_ones:
        return Check(
            name,
            WARN,
            f"other machines can connect: {', '.join(open_ones)}",
            "start it with --listen-host 127.0.0.1, as scripts/run does; until then Pointsman turns "
            "away what comes from other machines, unless block_private was switched off",
        )
    return Check(name, OK, f"only this machine can connect ({', '.join(found)})")


def certificates(authority: trust.Authority | None, hosts: list[str]) -> Iterator[Check]:
    """The CA in use: there, constrained, not about to expire, its key private."""
    if authority is None:
        yield _no_authority()
        return
    if not authority.constrained:
        yield Check(
            "certificates",
            WARN,
            f"the CA in {authority.confdir} can imitate any host",
            f"start the proxy with scripts/run, or --set confdir={shlex.quote(str(paths.certs_dir()))}",
        )
    elif missing := [host for host in hosts if not authority.permits(host)]:
        yield Check(
            "certificates",
            FAIL,
            f"the CA may not sign for {', '.join(missing)}",
            "start scripts/run again: it makes a new one for the hosts in router.yaml",
        )
    else:
        yield Check("certificates", OK, f"{authority.name}, for {len(authority.hosts)} hosts only")
    yield _validity(authority)
    if not trust.key_is_private(authority.confdir):
        yield Check(
            "key",
            FAIL,
            f"others can read {authority.confdir / trust.CA_FILE}",
            f"chmod 600 {shlex.quote(str(authority.confdir / trust.CA_FILE))}",
        )


def _no_authority() -> Check:
    if not probe.known_authorities():
        advice = "start scripts/run once; it makes one"
        return Check("certificates", FAIL, "there is no certificate authority yet", advice)
    return Check(
        "certificates",
        FAIL,
        "what runs on this port serves provider hosts with no certificate of ours",
        "is it Pointsman, started by you? If so, start it again; else name Pointsman's port with --port",
    )


def _validity(authority: trust.Authority) -> Check:
    left = authority.not_after - datetime.datetime.now(datetime.UTC)
    if left < datetime.timedelta():
        return Check(
            "validity",
            FAIL,
            f"the CA expired on {authority.not_after:%Y-%m-%d}",
            "start scripts/run again, then the clients",
        )
    return Check("validity", OK, f"until {authority.not_after:%Y-%m-%d} ({left.days} days)")


def interception(
    proxy: tuple[str, int], up: bool, authority: trust.Authority | None, hosts: list[str]
) -> Iterator[Check]:
    """A real handshake with each provider host, verified as a client verifies it."""
    for host in hosts:
        name = f"intercepts {host}"
        if not up:
            yield Check(name, SKIP, "no proxy is running")
            continue
        try:
            leaf = probe.certificate(proxy, host, verify_with=authority.cert_file if authority else None)
        except probe.ProbeError as error:
            yield Check(
                name,
                FAIL,
                str(error),
                "is the proxy on this port Pointsman, started by you? If it was started before the CA "
                "was made, start it again",
            )
        else:
            yield _issued(name, authority, leaf)


def _issued(name: str, authority: trust.Authority | None, leaf: x509.Certificate) -> Check:
    if authority is None:
        issuer = leaf.issuer.rfc4514_string()
        return Check(name, FAIL, f"a certificate of {issuer}, which is not ours", "see certificates")
    return Check(name, OK, f"a certificate of {authority.name}" if authority.signed(leaf) else "verified")


def tunnel(proxy: tuple[str, int], up: bool, host: str) -> Check:
    """Whether a host that is no provider's keeps its own certificate."""
    name = f"leaves {host} alone"
    if not up:
        return Check(name, SKIP, "no proxy is running")
    try:
        leaf = probe.certificate(proxy, host)
    except probe.ProbeError as error:
        return Check(name, SKIP, f"cannot be told from here, the host is not reached: {error}")
    if any(authority.signed(leaf) for authority in probe.known_authorities()):
        return Check(
            name, FAIL, f"the proxy decrypts {host}", "is router.py loaded? Only provider hosts should be"
        )
    return Check(name, OK, f"its own certificate, issued by {leaf.issuer.rfc4514_string()}")


def environment(port: int, hosts: list[str]) -> Check:
    """Whether a client started from this shell would come to the proxy."""
    name, fix = "this shell", f'eval "$({paths.command()} env --port {port})"'
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if not proxy:
        return Check(name, SKIP, "HTTPS_PROXY is not set here", f"clients of this shell need: {fix}")
    if not proxy.rstrip("/").endswith((f"127.0.0.1:{port}", f"localhost:{port}")):
        return Check(
            name, WARN, f"HTTPS_PROXY leads to {_without_secret(proxy)}", f"clients of this shell need: {fix}"
        )
    for host in hosts:
        if entry := clients.bypassed(host):
            return Check(
                name, WARN, f"NO_PROXY has {entry!r}: {host} is asked directly", "take it out of NO_PROXY"
            )
    for variable in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        if (path := os.environ.get(variable)) and not Path(path).is_file():
            return Check(name, WARN, f"{variable} names a file that is not there", fix)
    return Check(name, OK, "clients started here come through the proxy")


def routing(settings: Settings | None) -> Iterator[Check]:
    """The encoder and the bundle, loaded and used as the proxy does."""
    embedder: Embedder | None = None
    try:
        embedder = engine.open_embedder()
        vector = embedder.embed("Does the encoder run?")
    except Exception as error:
        yield Check(
            "encoder", FAIL, f"{type(error).__name__}: {error}", "reinstall, or restore bundles/embedder"
        )
    else:
        yield Check("encoder", OK, f"{embedder.id}, {vector.shape[0]} dimensions")
    if embedder is None or settings is None:
        yield Check("bundle", SKIP, "needs the encoder and a valid configuration")
        return
    try:
        shelf = open_shelf(settings, embedder)
    except PointsmanError as error:
        yield Check("bundle", FAIL, str(error), "name another one with router_bundle, or restore bundles/")
        return
    bundle = shelf.default
    others = f"; on request {', '.join(other.version for other in shelf.others)}" if shelf.others else ""
    yield Check("bundle", OK, f"{bundle.version}: {len(bundle.models)} models, {bundle.k} clusters{others}")
    try:
        check_shelf(settings, shelf)
    except BundleError as error:
        yield Check("catalogue", FAIL, str(error), "mend it; the proxy would not start")
    except ConfigError as error:
        yield Check("routes", FAIL, str(error), "mend it; the proxy would not start")
    yield knobs(bundle)


def knobs(bundle: Bundle) -> Check:
    """Knobs that a client may turn without anything happening."""
    inert = inert_knobs(bundle)
    if inert:
        return Check(
            "knobs",
            NOTE,
            f"{', '.join(inert)} change nothing with {bundle.version}, which has no data for them",
        )
    if dormant := dormant_knobs(bundle):
        return Check("knobs", OK, f"all act; {', '.join(dormant)} only together with another knob")
    return Check("knobs", OK, "all act")


def database(settings: Settings | None) -> Check:
    """Whether decisions can be written, by opening the file as the proxy does."""
    if settings is None:
        return Check("database", SKIP, "needs a valid configuration")
    path = settings.db
    try:
        Store(path).close()
    except PointsmanError as error:
        return Check("database", FAIL, str(error), "see there, or name another file with router_db")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Check("database", WARN, f"others can read {path}", f"chmod 600 {shlex.quote(str(path))}")
    return Check("database", OK, str(path))


def as_json(check: Check) -> dict[str, Any]:
    return {"name": check.name, "status": check.status, "found": check.found, "advice": check.advice}


def _without_secret(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
