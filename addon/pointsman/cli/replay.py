"""`pointsman replay`: what would have been decided for saved traffic."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from pointsman.cli._replaying import Replayed

_SHOWN = (
    "at", "surface", "endpoint", "client", "turn", "credential_kind", "requested_model", "served_model",
    "previous_model", "provider", "host", "stream", "strategy", "reason", "detail", "route", "bundle",
    "knobs", "knobs_hash", "clusters", "candidates", "runner_up", "margin", "adaptations", "stripped",
    "marker", "tool_loop", "retry_count", "message_count", "input_tokens_estimate", "max_tokens",
    "request_bytes", "warnings",
)  # fmt: skip


@click.command("replay", short_help="Decide saved requests anew, and send nothing.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--bundle", default="", metavar="NAME|DIR", help="Score with this bundle.")
@click.option("--config", default="", metavar="FILE", help="router.yaml, if not the usual one.")
@click.option("--alpha", metavar="0…1", help="Weight of quality, for all clusters.")
@click.option("--quality-bias", metavar="0…1", help="Instead of alpha: 0 is the cheapest mix, 1 the best.")
@click.option("--speed-weight", metavar="0…1", help="Weight of speed; price has the rest up to 1.")
@click.option("--output-cost-ratio", metavar="0…10", help="Output tokens per input token, in the price.")
@click.option("--expected-output-tokens", metavar="N", help="Length of the answer, for the time it takes.")
@click.option("--per-model-verbosity", metavar="true|false", help="Let talkative models cost more.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(files: tuple[Path, ...], bundle: str, config: str, as_json: bool, **knobs: str | None) -> None:
    """Print what would have been decided for each request in FILE…: .mitm, HAR, or JSON lines.

    Nothing is sent and nothing is written. Conversations are followed through the files in the order
    given. Knob options replace the knobs that a request asked for.
    """
    from types import SimpleNamespace

    from pointsman import options
    from pointsman.cli._recorded import read
    from pointsman.cli._replaying import Replay

    given = {name.replace("_", "-"): text for name, text in knobs.items() if text is not None}
    _check(given)
    replay = Replay(options.build(SimpleNamespace(router_bundle=bundle, router_config=config)))
    results = [(file, item) for file in files for item in replay.all(read(file), given)]
    if as_json:
        import json

        click.echo(json.dumps(_as_json(results, replay.bundle), indent=2))
    else:
        from rich.console import Console

        _show(results, replay.bundle, Console(highlight=False))


def _check(given: dict[str, str]) -> None:
    from pointsman.errors import ClientError
    from pointsman.scoring.knobs import read

    try:
        read((f"--{name}", name, text) for name, text in given.items())
    except ClientError as error:
        raise click.UsageError(str(error)) from error


# --- for people ---------------------------------------------------------------------------


def _show(results: list[tuple[Path, Replayed]], bundle: str, console: Console) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("Session", justify="right")
    table.add_column("Turn")
    for title in ("Requested", "Served", "Why"):
        table.add_column(title, overflow="fold")
    for _, item in results:
        if (decision := item.decision) is not None:
            changed = decision.served_model != decision.requested_model
            served = f"[bold]{escape(decision.served_model)}[/]" if changed else "as asked"
            turn = decision.turn.value if decision.endpoint == "generate" else "count"
            why = decision.reason + (
                f" ({len(decision.adaptations)} adapted)" if decision.adaptations else ""
            )
            table.add_row(str(item.conversation), turn, escape(decision.requested_model), served, escape(why))
        elif item.detail:
            table.add_row("", "", f"[dim]{item.skipped}[/]", "", escape(item.detail))
    if table.row_count:
        console.print(table)
    console.print(_summary([item for _, item in results], bundle))


def _summary(results: list[Replayed], bundle: str) -> str:
    decided = [item.decision for item in results if item.decision is not None]
    routed = [d for d in decided if d.endpoint == "generate" and d.strategy != "passthrough"]
    mix = Counter(decision.served_model for decision in routed)
    lines = [f"{len(decided)} of {len(results)} requests decided with bundle {bundle}; {len(routed)} routed."]
    if mix:
        shares = ", ".join(f"{model} {count / len(routed):.0%}" for model, count in mix.most_common())
        lines.append(f"Mix: {shares}.")
    if skipped := Counter(item.skipped for item in results if item.skipped):
        lines.append("Skipped: " + ", ".join(f"{count} {why}" for why, count in skipped.most_common()) + ".")
    return "\n".join(lines)


# --- for machines -------------------------------------------------------------------------


def _as_json(results: list[tuple[Path, Replayed]], bundle: str) -> dict[str, Any]:
    """Without ids and fingerprints, which a replay makes up: the same files give the same object."""
    return {
        "bundle": bundle,
        "requests": [_request_json(file, item) for file, item in results],
        "skipped": dict(Counter(item.skipped for _, item in results if item.skipped)),
    }


def _request_json(file: Path, item: Replayed) -> dict[str, Any]:
    import msgspec

    start = {"file": str(file), "path": item.request.path.partition("?")[0]}
    if item.decision is None:
        return start | {"skipped": item.skipped, "detail": item.detail}
    decision = item.decision
    fields = {name: getattr(decision, name) for name in _SHOWN} | {"knobs": dict(decision.knobs)}
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    return start | {"conversation": item.conversation} | plain
