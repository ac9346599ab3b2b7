"""`pointsman run`: certificates, then the lines for each client, then mitmdump in this process's place."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import click

from pointsman import clients, options, paths, probe, trust
from pointsman.cli import env
from pointsman.cli._words import wrapped
from pointsman.errors import ConfigError

HOST = "127.0.0.1"
ASKING = {"--version", "--options", "--commands"}  # mitmdump answers and ends
_HELP = """\
Usage: scripts/run [ARGUMENTS]    (or: pointsman run [ARGUMENTS])

  Make the certificates, print what to paste for each client, and start
  mitmdump with Pointsman on 127.0.0.1:8080. ARGUMENTS go to mitmdump. The
  most useful ones:

  -p PORT            listen on another port
  -m upstream:URL    go out through another proxy
  -w FILE            save the traffic, keys and prompts too, for replay
  -q                 say less
  --set NAME=VALUE   set an option; --options prints all of them

  Options of Pointsman, for --set; docs/configuration.md says more:
"""


@dataclass(slots=True)
class Arguments:
    """What mitmdump's arguments say about things that have to be known before it starts."""

    host: str | None = None  # None: not said, and then this machine only
    port: int = 8080
    confdir: Path | None = None  # None: not said, and then ours
    upstream_roots: bool = False  # the user says which roots the providers' certificates are checked with
    router: dict[str, str | list[str]] = field(default_factory=dict)


@click.command(
    "run",
    short_help="Start the proxy.",
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
    },
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Start the proxy. ARGUMENTS go to mitmdump: -p 9000, --set router_marker=off, …"""
    if {"-h", "--help"} & set(arguments):
        click.echo(_help())
        return
    told = read_arguments(arguments)
    settings = options.build(SimpleNamespace(**told.router))
    authority = _certificates(told, trust.provider_hosts(settings.provider_hosts))
    if authority and not ASKING & set(arguments):
        _instruct(told, authority, settings)
    _start(told, arguments)


def _help() -> str:
    width = min(shutil.get_terminal_size().columns, 100)
    found = [_HELP]
    for option in options.OPTIONS:
        words = f" ({', '.join(option.choices)})" if option.choices else ""
        found.append(f"  {option.name}{words}")
        found.append(textwrap.fill(option.help, width, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return "\n".join(found)


def read_arguments(arguments: Sequence[str]) -> Arguments:
    """Read host, port, confdir and Pointsman's options as mitmproxy will. The last one of each wins."""
    found = Arguments()
    pending = list(arguments)
    while pending:
        name, value = _take(pending)
        if name in ("-p", "--listen-port"):
            found.port = _port(value)
        elif name == "--listen-host":
            found.host = value
        elif name in ("-m", "--mode") and (match := re.search(r"@(?:.*:)?(\d+)$", value)):
            found.port = _port(match.group(1))
        elif name == "--set":
            _set(found, *value.split("=", 1))
    return found


def _take(pending: list[str]) -> tuple[str, str]:
    """The next option and its value, written `-p 1`, `-p1`, `--listen-port 1` or `--listen-port=1`."""
    word = pending.pop(0)
    if word.startswith("--") and "=" in word:
        name, _, value = word.partition("=")
        return name, value
    if re.match(r"-[pm].", word):
        return word[:2], word[2:].removeprefix("=")
    if word in ("-p", "--listen-port", "--listen-host", "-m", "--mode", "--set") and pending:
        return word, pending.pop(0)
    return word, ""


def _set(found: Arguments, name: str, value: str = "") -> None:
    if name == "listen_port":
        found.port = _port(value)
    elif name == "listen_host":
        found.host = value
    elif name == "confdir":
        found.confdir = Path(value).expanduser()
    elif name == "ssl_verify_upstream_trusted_ca":
        found.upstream_roots = True
    elif name in (options.CONFIG.name, "router_db"):
        found.router[name] = value
    elif name == "router_hosts":
        listed = found.router.setdefault(name, [])
        assert isinstance(listed, list)
        listed.append(value)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise ConfigError(f"a port is a number up to 65535, not {text!r}", key="-p")
    return int(text)


def _certificates(told: Arguments, hosts: Sequence[str]) -> trust.Authority | None:
    """The CA that mitmdump will use, made if it is ours to make."""
    if told.confdir:
        return trust.load(told.confdir)
    confdir = paths.certs_dir()
    try:
        ensured = trust.ensure(confdir, hosts)
    except OSError as error:
        raise ConfigError(f"certificates cannot be written: {error}", file=str(confdir)) from error
    if ensured.renewed:
        click.echo(f"New certificate authority in {confdir} ({ensured.renewed}).", err=True)
        if ensured.renewed != trust.FIRST:
            click.echo("Restart clients that are running: they read it when they start.", err=True)
    return ensured.authority


def _instruct(told: Arguments, authority: trust.Authority, settings: options.Settings) -> None:
    """Print what to paste for each client, by the same code as `pointsman env`."""
    if told.port == 0:
        wrapped(
            "Port 0: mitmdump picks a port and says which; then ask "
            f"`{paths.command()} env CLIENT --port PORT`.",
            err=True,
        )
        return
    bundle = env.bundle_of(authority)
    wrapped("In the shell where a client will be started, paste the lines below its name.", err=True)
    for name, client in clients.CLIENTS.items():
        click.echo(f"\n# {client.title}", err=True)
        for line in clients.lines(clients.exports([client], told.port, authority, bundle), "sh"):
            click.echo(line, err=True)
        if name == "claude":
            click.echo(_status_line(settings), err=True)
    click.echo(err=True)
    for note in env.notes(list(clients.CLIENTS.values()), authority):
        wrapped(f"note: {note}", "      ", err=True)
    if told.host is not None and not probe.is_loopback(told.host):
        whom = told.host or "every interface"
        wrapped(f"warning: the proxy will listen on {whom}, for other machines too.", err=True)


def _status_line(settings: options.Settings) -> str:
    """How Claude Code's users see the choice: what to put into its settings, as comments of a shell."""
    shown = f"{paths.command()} statusline"
    if settings.db != paths.default_database():
        shown += f" --db {shlex.quote(str(settings.db))}"
    setting = json.dumps({"type": "command", "command": shown}, ensure_ascii=False)
    return (
        "# Its status line shows which model answers, with this in ~/.claude/settings.json:\n"
        f'#   "statusLine": {setting}'
    )


def _start(told: Arguments, arguments: Sequence[str]) -> None:
    """Become mitmdump: signals, exit status and the terminal are its own."""
    command = [*_mitmdump(), "-s", str(paths.router_script())]
    # mitmdump refuses an option that is set twice, so what the user says is not said here.
    if told.host is None:
        command += ["--listen-host", HOST]
    if told.confdir is None:
        command += ["--set", f"confdir={paths.certs_dir()}"]
    roots = os.environ.get("SSL_CERT_FILE", "")
    if roots and not told.upstream_roots and Path(roots).is_file():
        # mitmproxy knows certifi's roots only; behind a company's proxy the environment names the right ones.
        command += ["--set", f"ssl_verify_upstream_trusted_ca={roots}"]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], [*command, *arguments])  # noqa: S606


def _mitmdump() -> list[str]:
    """The command beside this Python; where dependencies are installed elsewhere, the function it calls."""
    program = Path(sys.executable).with_name("mitmdump")
    if program.is_file():
        return [str(program)]
    return [sys.executable, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()"]
