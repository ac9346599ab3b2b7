"""`pointsman preflight`: does everything that the configuration leads to answer?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pointsman.options import Settings
    from pointsman.preflight import Checked, Group


@click.command("preflight", short_help="Ask every configured model for a word.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--config", metavar="FILE", default="", help="router.yaml, if not the usual one.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0.1, 3600),
    help="How long one answer may take.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(names: tuple[str, ...], config: str, timeout: float, as_json: bool) -> None:
    """Send one tiny request to everything that the configuration can lead to.

    Each route and virtual model, each of its tiers or models, each provider where that is had: with the
    parameters it would be served with, and with your keys, so that it costs a few tokens each. NAMEs are of
    routes and virtual models; without any, all are checked, but of those that are shipped only what has all
    its keys. Exits with status 1 if anything fails.
    """
    import asyncio
    from types import SimpleNamespace

    from pointsman import options, preflight

    settings = options.build(SimpleNamespace(router_config=config))
    if unknown := sorted(set(names) - set(preflight.known(settings))):
        raise click.UsageError(f"there is no {unknown[0]}; there are {', '.join(preflight.known(settings))}")
    found = preflight.groups(settings, _scored(settings), names)
    if not found and not as_json:
        click.echo("There is nothing to check: no route or virtual model leads to a provider with a key.")
    result = asyncio.run(_check(found, timeout, quiet=as_json))
    failed = not all(group["ok"] for group in result)
    if as_json:
        import json

        click.echo(json.dumps({"ok": not failed, "routes": result}, indent=2, ensure_ascii=False))
    sys.exit(1 if failed else 0)


def _scored(settings: Settings) -> tuple[str, ...]:
    """The models of the default bundle."""
    from pointsman.shelf import default_bundle

    return tuple(default_bundle(settings).models)


async def _check(found: list[Group], timeout: float, *, quiet: bool) -> list[dict[str, Any]]:
    from pointsman.preflight import Checks, as_json

    checks, result = Checks(timeout), []
    checks.start(found)
    for group in found:
        if not quiet and not group.why:
            what = "tier model(s)" if group.classified else "model(s)"
            click.echo(f"{group.title}: validating {len(group.targets)} {what}...")
        checked = []
        for target in group.targets:
            checked.append(await checks.check(target))
            if not quiet:
                _show(group, checked[-1])
        result.append(as_json(group, checked))
        if not quiet:
            click.echo(_outcome(group, checked, ok=result[-1]["ok"]))
    return result


def _show(group: Group, checked: Checked) -> None:
    target = checked.target
    start = f"{group.title} :: {target.id}"
    if target.left_out:
        click.echo(f"  - {start}: {target.why}")
        return
    mark, said = ("✗", checked.error) if checked.error else ("✓", "OK")
    click.echo(f"  {mark} {start}: {said}")
    if len(checked.found) > 1:
        for one in checked.found:
            mark, said = ("✗", one.error) if one.error else ("✓", f"OK, {one.ms or 0:.0f} ms")
            click.echo(f"    {mark} {one.name}: {said}")


def _outcome(group: Group, checked: list[Checked], *, ok: bool) -> str:
    if group.why:
        return f"✗ {group.title}: {group.why}"
    if not ok:
        return f"✗ {group.title}: one or more {'tiers' if group.classified else 'models'} failed"
    counted = f"{len(checked)} {'tier' if group.classified else 'model'}(s)"
    return f"✓ {group.title}: OK ({counted})"
