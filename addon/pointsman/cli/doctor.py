"""`pointsman doctor`: the whole way of a request, looked at from the client's side."""

from __future__ import annotations

import json
import sys

import click


@click.command("doctor")
@click.option(
    "-p", "--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The proxy's."
)
@click.option(
    "--config", default="", help="router.yaml to check; where it is looked for otherwise: see the docs."
)
@click.option("--tunnel-host", default="", help="Host to try an untouched tunnel with.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(port: int, config: str, tunnel_host: str, as_json: bool) -> None:
    """Check everything between a client and its provider, and say what to do about what is wrong.

    Exits with status 1 if anything fails. Sends no request to a provider.
    """
    from pointsman import health

    found = list(health.run(port, config, tunnel_host or health.FOREIGN_HOST))
    failed = any(check.status == health.FAIL for check in found)
    if as_json:
        click.echo(
            json.dumps({"ok": not failed, "checks": [health.as_json(check) for check in found]}, indent=2)
        )
    else:
        for check in found:
            click.echo(f"{_MARKS[check.status]} {check.name}: {check.found}")
            if check.advice:
                click.echo(f"       {check.advice}")
    sys.exit(1 if failed else 0)


_MARKS = {"ok": "ok    ", "warn": "WARN  ", "fail": "FAIL  ", "skip": "-     "}
