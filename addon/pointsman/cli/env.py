"""`pointsman env`: what to paste so that a client goes through the proxy and trusts it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pointsman import clients, paths, probe, trust
from pointsman.cli._words import wrapped
from pointsman.errors import ConfigError


@click.command("env", short_help="Print the variables that a client needs.")
@click.argument("client", required=False, metavar="[CLIENT]", type=click.Choice(list(clients.CLIENTS)))
@click.option(
    "-p", "--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The proxy's port."
)
@click.option(
    "--shell",
    default="sh",
    show_default=True,
    type=click.Choice(["sh", "fish", "powershell"]),
    help="Whose syntax to print; sh suits bash and zsh too.",
)
def command(client: str | None, port: int, shell: str) -> None:
    """Print the variables that CLIENT needs, for all known clients if none is named.

    CLIENT is claude, codex, gemini, opencode, python, node or curl.

    \b
    In bash or zsh:  eval "$(pointsman env claude)"
    In fish:         pointsman env claude --shell fish | source
    In PowerShell:   pointsman env claude --shell powershell | Out-String | iex

    Only commands go to standard output; notes and warnings go to standard error.
    """
    chosen = [clients.CLIENTS[client]] if client else list(clients.CLIENTS.values())
    authority = authority_or_error(port)
    for line in clients.lines(clients.exports(chosen, port, authority, bundle_of(authority)), shell):
        click.echo(line)
    for note in notes(chosen, authority):
        wrapped(f"note: {note}", "      ", err=True)


def authority_or_error(port: int) -> trust.Authority:
    """The CA in use, else the one that would be. Raises ConfigError if there is none."""
    found = probe.authority_in_use(("127.0.0.1", port), trust.KNOWN_HOSTS[0])
    if found:
        return found
    known = probe.known_authorities()
    if not known:
        raise ConfigError(
            "there is no certificate authority yet; start the proxy once (scripts/run), then ask again"
        )
    wrapped(
        f"warning: what runs on port {port} does not serve provider hosts with a certificate of ours. Is it "
        f"Pointsman? `{paths.command()} doctor --port {port}` says more. The lines are for "
        f"{known[0].confdir}.",
        "         ",
        err=True,
    )
    return known[0]


def bundle_of(authority: trust.Authority) -> Path:
    """The combined bundle, with what this environment names. mitmproxy's own directory is left alone."""
    own = authority.confdir == paths.certs_dir()
    return trust.write_bundle(authority, authority.confdir if own else paths.data_dir())


def notes(chosen: list[clients.Client], authority: trust.Authority) -> list[str]:
    """What the user of these clients should know."""
    found = [f"{client.title}: {client.note}" for client in chosen if client.note]
    if not authority.constrained:
        found.append(
            f"the certificate authority in use ({authority.confdir}) can impersonate any host. The one that "
            "scripts/run makes can only sign for provider hosts: start the proxy with it, or with "
            f"--set confdir={shlex.quote(str(paths.certs_dir()))}"
        )
    for host in sorted({client.host for client in chosen}):
        if entry := clients.bypassed(host):
            found.append(f"NO_PROXY has {entry!r}, so requests to {host} will not reach the proxy")
    return found
