"""`pointsman stats`: actions, tokens and cost, beside what two alternatives would have cost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pointsman.savings import Comparison, Group, Money, Savings

_TITLES = ("Actions", "Input", "Cached", "Output", "Cost", "Requested", "Best one")
_NAMED = 6  # groups with unknown costs that are named
_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Since(click.ParamType[float]):
    """A moment in the past: an age such as 7d, 12h, 30m, 2w, or a date such as 2026-11-20."""

    name = "age or date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Unix seconds."""
        import datetime
        import time

        if isinstance(value, float):
            return value
        if match := re.fullmatch(r"(\d{1,6})([mhdw])", value.strip()):
            return time.time() - int(match[1]) * _UNITS_S[match[2]]
        try:
            return datetime.datetime.fromisoformat(value.strip()).astimezone().timestamp()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither an age (7d, 12h, 30m, 2w) nor a date (2026-11-20)", param, ctx)


@click.command("stats", short_help="Show actions, tokens, cost and saving.")
@click.option("--since", type=Since(), help="Only actions since then: 7d, 12h, 30m, 2w, or a date.")
@click.option("--until", type=Since(), help="Only actions before then.")
@click.option(
    "--by", type=click.Choice(["model", "day"]), default="model", show_default=True, help="Group by."
)
@click.option("--db", metavar="FILE", default="", help="The database, if not the configured one.")
@click.option("--config", metavar="FILE", default="", help="router.yaml, if not the usual one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def command(since: float | None, until: float | None, by: str, db: str, config: str, as_json: bool) -> None:
    """Show what was served, what it cost, and what it would have cost otherwise.

    "Requested" is the cost had everything gone to the requested model. "Best single" is the cost had
    everything that Pointsman may route gone to one model: of those that could have served, the one with
    the highest expected quality. Both assume the tokens and cache hits that were recorded.
    """
    from types import SimpleNamespace

    from pointsman import options
    from pointsman.savings import summarise
    from pointsman.store import Reader

    settings = options.build(SimpleNamespace(router_db=db, router_config=config))
    with Reader(settings.db) as reader:
        savings = summarise(
            reader.actions(since=since, until=until),
            reader.expectations(since=since, until=until),
            settings.catalogue,
            by,
        )
    if as_json:
        import json

        click.echo(json.dumps(_as_json(savings, by), indent=2))
    else:
        from rich.console import Console

        if not savings.total.actions and since is None and until is None:
            click.echo(f"No actions yet in {settings.db}.")
        else:
            _show(savings, by, Console(highlight=False))


# --- for people ---------------------------------------------------------------------------


def _show(savings: Savings, by: str, console: Console) -> None:
    total = savings.total
    if not total.actions:
        console.print("No actions in this period.")
        return
    failed = f", {total.failed} failed" if total.failed else ""
    console.print(f"{_count(total.actions, 'action')}, {total.answered} answered{failed}\n")
    console.print(_table(savings, by))
    _alternatives(savings, console)
    if total.classifying.known or total.classifying.unknown:
        console.print(_classifying(total.classifying))
    _quality(savings, console)
    if _unknown(total):
        where = [f"{group.name} {_unknown(group)}" for group in savings.groups if _unknown(group)]
        more = ", …" if len(where) > _NAMED else ""
        console.print(
            f"{_count(_unknown(total), 'answered action')} without a cost, or without one to compare it with,"
            f" in no saving: {', '.join(where[:_NAMED])}{more}."
        )
    console.print(
        "[dim]Alternatives assume the recorded tokens and cache hits; one model alone would have hit its"
        " prompt cache more often, so savings may be overstated.[/]"
    )


def _table(savings: Savings, by: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=0, show_footer=True, pad_edge=False)
    table.add_column("Served model" if by == "model" else "Day", "Total", overflow="fold", min_width=18)
    for title, figure in zip(_TITLES, _figures(savings.total), strict=True):
        table.add_column(title, figure, justify="right", no_wrap=True)
    for group in savings.groups:
        table.add_row(group.name, *_figures(group))
    return table


def _figures(group: Group) -> tuple[str, ...]:
    """In the order of _TITLES; they fit into 80 columns beside a model's name."""
    prompt = group.input_tokens + group.cache_read_tokens + group.cache_write_tokens
    return (
        str(group.actions),
        _tokens(prompt),
        f"{group.cache_read_tokens / prompt:.0%}" if prompt else "–",
        _tokens(group.output_tokens),
        _money(group.cost),
        _money(group.requested.cost),
        _money(group.best.cost),
    )


def _unknown(group: Group) -> int:
    return max(group.cost.unknown, group.requested.cost.unknown, group.best.cost.unknown)


def _alternatives(savings: Savings, console: Console) -> None:
    total = savings.total
    console.print(_verdict("the requested model", total.requested, total.answered))
    if total.repeated:
        console.print(_repeats(total))
    if savings.best:
        names = ", ".join(sorted(set(savings.best.values())))
        console.print(_verdict(f"the best single model ({names})", total.best, total.answered))
    else:
        console.print("The best single model is unknown: no action was scored in this period.")


def _repeats(total: Group) -> str:
    """How much of the saving against the requested model is the cache's."""
    saved = total.repeats.saved_usd
    worth = "unknown" if saved is None else f"[bold]{usd(saved)}[/]"
    answers = _count(total.repeated, "answer")
    return f"Of this saving {worth} is the cache's: {answers} came from it, without a token."


def _classifying(money: Money) -> str:
    asked = _count(money.known + money.unknown, "conversation")
    unknown = f" ({money.unknown} of unknown cost)" if money.unknown else ""
    return f"Classifying {asked}{unknown} cost [bold]{usd(money.usd)}[/], which is in no other figure."


def _verdict(what: str, comparison: Comparison, answered: int) -> str:
    start = f"Had everything gone to {what}: "
    if comparison.saved_usd is None:
        return start + "unknown, no action has both costs."
    verb = "saved" if comparison.saved_usd >= 0 else "cost more by"
    share = f" ({abs(comparison.saved_share):.0%})" if comparison.saved_share is not None else ""
    part = "" if comparison.both == answered else f", over {comparison.both} of {answered} answered actions"
    return (
        f"{start}[bold]{usd(comparison.alternative_usd)}[/] instead of {usd(comparison.served_usd)}:"
        f" routing {verb} [bold]{usd(abs(comparison.saved_usd))}[/]{share}{part}."
    )


def _quality(savings: Savings, console: Console) -> None:
    quality = savings.quality
    if not quality.scored:
        return
    parts = [
        f"{label} {value:.3f}"
        for label, value in (
            ("served", quality.served),
            ("requested", quality.requested),
            ("best single", quality.best),
        )
        if value is not None
    ]
    console.print(
        f"Expected quality over {_count(quality.scored, 'scored action')} (the bundle's estimate,"
        f" not measured): {', '.join(parts)}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tokens(count: int) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.1f}{unit}"
    return str(count)


def usd(amount: float) -> str:
    """Two decimals from a dollar up; below it three digits that count, so that differences add up."""
    import math

    size = abs(amount)
    if amount == 0 or size >= 0.9995:
        return f"${amount:,.2f}"
    if size < 0.00001:
        return "<$0.00001"
    return f"${amount:.{min(5, 2 - math.floor(math.log10(size)))}f}"


def _money(money: Money) -> str:
    if not money.known:
        return "unknown" if money.unknown else "–"
    return usd(money.usd)


# --- for machines -------------------------------------------------------------------------


def _as_json(savings: Savings, by: str) -> dict[str, Any]:
    quality = savings.quality
    return {
        "total": _group_json(savings.total),
        f"by_{by}": [{by: group.name} | _group_json(group) for group in savings.groups],
        "best_single_model": dict(savings.best),
        "expected_quality": {
            "scored_actions": quality.scored,
            "served": quality.served,
            "requested": quality.requested,
            "best_single": quality.best,
        },
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "actions": group.actions,
        "answered": group.answered,
        "failed": group.failed,
        "repeated": group.repeated,
        "repeated_saved_usd": group.repeats.saved_usd,
        "input_tokens": group.input_tokens,
        "cache_read_tokens": group.cache_read_tokens,
        "cache_write_tokens": group.cache_write_tokens,
        "output_tokens": group.output_tokens,
        "cost": _money_json(group.cost),
        "requested": _comparison_json(group.requested),
        "best_single": _comparison_json(group.best),
        "classifying": _money_json(group.classifying),
    }


def _money_json(money: Money) -> dict[str, Any]:
    return {"usd": money.usd if money.known else None, "unknown_actions": money.unknown}


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    return _money_json(comparison.cost) | {
        "compared_actions": comparison.both,
        "saved_usd": comparison.saved_usd,
        "saved_share": comparison.saved_share,
    }
