"""`pointsman doctor`: the whole way of a request, looked at from the client's side."""

from __future__ import annotations

import json
import sys

import click


@click.command("doctor", short_help="Say what is wrong, and what to do about it.")
@click.option(
    "-p", "--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The proxy's port."
)
@click.option("--config", metavar="FILE", default="", help="router.yaml, if not the usual one.")
@click.option("--tunnel-host", metavar="HOST", default="", help="Host to try an untouched tunnel with.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(port: int, config: str, tunnel_host: str, as_json: bool) -> None:
    """Check everything between a client and its provider, and say what to do about what is wrong.

    Exits with status 1 if anything fails. Sends no request to a provider.
    """
    from pointsman import health
    from pointsman.cli._words import wrapped

    found = list(health.run(port, config, tunnel_host or health.FOREIGN_HOST))
    failed = any(check.status == health.FAIL for check in found)
    if as_json:
        click.echo(
            json.dumps({"ok": not failed, "checks": [health.as_json(check) for check in found]}, indent=2)
        )
    else:
        for check in found:
            wrapped(f"{_MARKS[check.status]} {check.name}: {check.found}", _INDENT)
            if check.advice:
                wrapped(_INDENT + check.advice, _INDENT)
    sys.exit(1 if failed else 0)


_MARKS = {"ok": "ok    ", "note": "note  ", "warn": "WARN  ", "fail": "FAIL  ", "skip": "-     "}
_INDENT = " " * 7
