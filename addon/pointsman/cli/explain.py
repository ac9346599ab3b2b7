"""`pointsman explain`: one decision in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pointsman.values import Adaptation, Candidate, Classification, Decision, Outcome, Usage


@click.command("explain", short_help="Tell why an action was served by its model.")
@click.argument("id", metavar="[ID|last]", default="")
@click.option("--db", metavar="FILE", default="", help="The database, if not the configured one.")
@click.option("--config", metavar="FILE", default="", help="router.yaml, if not the usual one.")
@click.option(
    "--file",
    metavar="BODY|-",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Decide this body of a request instead, and send nothing.",
)
@click.option("--surface", metavar="NAME", default="", help="The API that BODY is for, if it does not say.")
@click.option("--model", metavar="NAME", default="", help="The model that BODY is for, if it does not say.")
@click.option("--header", metavar="'NAME: VALUE'", multiple=True, help="A header sent with BODY; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every field.")
def command(
    id: str,
    db: str,
    config: str,
    file: str | None,
    surface: str,
    model: str,
    header: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell why an action was served by the model it was served by.

    ID is a decision's id (the x-router-decision header of the answer), or as many of its first
    characters as make it unique; `last` is the newest action. With --file, tell what would be decided
    for a request that nobody has sent: outside of every conversation, and by this configuration.
    """
    if bool(file) == bool(id.strip()):
        raise click.UsageError("give the ID of a decision, or `last`, or --file with the body of a request")
    decision: Decision
    outcome: Outcome | None = None
    if file:
        if db:
            raise click.UsageError("--db goes with an ID: what is in a file is decided without a database")
        decision = _decided(file, surface, model, header, config)
    elif surface or model or header:
        raise click.UsageError("--surface, --model and --header go with --file")
    else:
        decision, outcome = _recorded(id.strip(), db, config)
    if as_json:
        import json

        from pointsman.plain import plain

        parts = {"decision": replace(decision, bindings=())} | ({"outcome": outcome} if outcome else {})
        told = plain(parts)
        told["decision"]["bindings"] = [{"provider": b.name, "model": b.model} for b in decision.bindings]
        click.echo(json.dumps(told, indent=2))
    else:
        from rich.console import Console

        show(decision, outcome, Console(highlight=False, soft_wrap=False))


def _recorded(id: str, db: str, config: str) -> tuple[Decision, Outcome]:
    from types import SimpleNamespace

    from pointsman import options
    from pointsman.store import Reader

    path = options.build(SimpleNamespace(router_db=db, router_config=config)).db
    with Reader(path) as reader:
        record = reader.last() if id == "last" else reader.get(id)
    if record is None:
        known = "there is no decision yet" if id == "last" else f"no decision starts with {id!r}"
        raise click.ClickException(f"{known} in {path}")
    return record.decision, record.outcome


def _decided(file: str, surface: str, model: str, headers: Sequence[str], config: str) -> Decision:
    from types import SimpleNamespace

    from mitmproxy import http

    from pointsman import options
    from pointsman.cli._replaying import decide
    from pointsman.dry_run import Asking
    from pointsman.errors import BodyError, ClientError

    pairs = [_header(text) for text in headers]
    with click.open_file(file, "rb") as opened:
        data = opened.read()
    settings = options.build(SimpleNamespace(router_config=config))
    try:
        return decide(data, http.Headers(pairs), Asking(surface, model, "--surface ", "--model "), settings)
    except (BodyError, ClientError) as error:
        name = "standard input" if file == "-" else file
        raise click.ClickException(f"{name}: {error}") from error


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError("--header takes 'name: value', such as 'x-router-alpha: 0.7'")
    return name.strip().encode(), value.strip().encode()


# --- for people ---------------------------------------------------------------------------


def show(decision: Decision, outcome: Outcome | None, console: Console) -> None:
    """Print the whole story to the console; without an outcome it is one that has not happened."""
    from rich.markup import escape

    if outcome is None:
        console.print("[bold]Dry run[/] · nothing was sent\n")
    else:
        console.print(f"[bold]Decision {escape(decision.id)}[/] · {_when(decision.at)}\n")
    console.print(escape(f"{_asked(decision)} {_served(decision, outcome)}") + "\n")
    if decision.candidates:
        console.print(_candidates(decision))
    console.print(_sheet(decision, outcome))
    if decision.prompt is not None:
        console.print(f"\n[bold]Prompt[/] (stored because of router_log_prompts)\n{escape(decision.prompt)}")


def _when(at: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _asked(d: Decision) -> str:
    about = [
        f"{d.turn.value} turn",
        "streamed" if d.stream else "not streamed",
        f"{d.message_count} message{'' if d.message_count == 1 else 's'}",
        f"about {d.input_tokens_estimate:,} tokens",
    ]
    if d.tool_loop:
        about.append("mid tool loop")
    if d.retry_count:
        about.append(f"repeat {d.retry_count} of the client")
    credential = {
        "api_key": "with an API key",
        "subscription": "with a subscription login",
        "none": "without a credential",
    }[d.credential_kind.value]
    client = "A client" if d.client == "unknown" else d.client
    return f"{client} asked {d.host} for {d.requested_model} ({', '.join(about)}), {credential}."


def _served(d: Decision, o: Outcome | None) -> str:
    same = " as asked" if d.served_model == d.requested_model else ""
    parts = [f"It {'was' if o else 'would be'} served by {d.served_model}{same}: {d.reason or d.strategy}."]
    if d.strategy == "cluster" and d.runner_up:
        eligible = sum(not candidate.excluded for candidate in d.candidates)
        behind = f", {d.margin:.4f} behind" if d.margin is not None else ""
        parts.append(f"It scored highest of {eligible} that could serve; the next was {d.runner_up}{behind}.")
    if d.bindings:
        places = ", then ".join(f"{binding.name} as {binding.model}" for binding in d.bindings)
        parts.append(f"It would be asked for at {places}.")
    if d.route:
        asked = d.requested_model.lower().rpartition("/")[2].partition("[")[0]
        virtual = f"{d.route} stands for other models."
        parts.append(virtual if d.route == asked else f'Route "{d.route}" of router.yaml applied.')
    if d.previous_model:
        change = "as before" if d.previous_model == d.served_model else f"before it was {d.previous_model}"
        parts.append(f"Conversation {d.session[:8]}: {change}.")
    if d.detail:
        parts.append(f"{d.detail}.")
    return " ".join(parts)


def _candidates(d: Decision) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Candidate", overflow="fold", min_width=12)
    table.add_column("Quality", justify="right")
    table.add_column("Score", justify="right")
    table.add_column("", overflow="fold")
    for candidate in sorted(d.candidates, key=_rank):
        style = "bold" if _is_served(candidate, d) else "dim" if candidate.excluded else ""
        note = "served" if _is_served(candidate, d) else "runner-up" if candidate.model == d.runner_up else ""
        table.add_row(
            escape(candidate.model),
            _figure(candidate.quality),
            _figure(candidate.score),
            f"excluded: {escape(candidate.excluded)}" if candidate.excluded else note,
            style=style,
        )
    return table


def _sheet(d: Decision, o: Outcome | None) -> Table:
    from rich.markup import escape
    from rich.table import Table

    sheet = Table.grid(padding=(0, 1, 0, 0))
    sheet.add_column(style="bold", min_width=9)
    sheet.add_column(overflow="fold")
    for name, line in _lines(d, o):
        sheet.add_row(name, escape(line))
    return sheet


def _rank(candidate: Candidate) -> tuple[bool, float, str]:
    return bool(candidate.excluded), -(candidate.score or 0.0), candidate.model


def _is_served(candidate: Candidate, d: Decision) -> bool:
    """A dated name, such as claude-haiku-4-5-20251001, is sent as the client wrote it."""
    return not candidate.excluded and (
        candidate.model == d.served_model or d.served_model.startswith(f"{candidate.model}-20")
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _lines(d: Decision, o: Outcome | None) -> Iterator[tuple[str, str]]:
    """Name and text of each line below the table; only what there is something to say about."""
    if d.clusters:
        yield "Clusters", ", ".join(f"{cluster} (cosine {cosine:.3f})" for cluster, cosine in d.clusters)
    if d.knobs:
        yield "Knobs", _knobs(d.knobs) + (f" · hash {d.knobs_hash}" if d.knobs_hash else "")
    if d.bundle:
        yield "Bundle", d.bundle
    for change in d.adaptations:
        yield "Adapted", _adapted(change)
    if d.stripped:
        yield "Stripped", f"{d.stripped} echoed marker{'' if d.stripped == 1 else 's'} from the history"
    if d.cache != "off":
        yield "Cache", d.cache + (f": {d.cache_detail}" if d.cache_detail else "")
    elif d.cache_detail:
        yield "Cache", f"neither looked for nor kept: {d.cache_detail}"
    if d.classification:
        yield "Category", _classified(d.classification)
        yield from _classifier(d.classification)
    if d.marker != "off":
        yield "Marker", f"shown as {d.marker}"
    if o is not None:
        yield from _outcome_lines(d, o)
    for warning in d.warnings:
        yield "Warning", warning


def _adapted(change: Adaptation) -> str:
    """`thinking: not given → {"type":"adaptive"} (map, by its rule for thinking)`."""
    if change.verb == "lose":
        return f"{change.parameter}: lost in translation"
    before, after = change.before or "not given", change.after or "dropped"
    rule = "" if change.rule == change.parameter else f", by its rule for {change.rule}"
    return f"{change.parameter}: {before} → {after} ({change.verb}{rule})"


def _classified(c: Classification) -> str:
    """`Frontend → kimi-k2.6`, and why it is another tier than the category's."""
    why = f" ({c.reason})" if c.reason else ""
    return f"{c.category or 'none'} → {c.tier}{why}"


def _classifier(c: Classification) -> Iterator[tuple[str, str]]:
    from pointsman.cli.stats import usd

    if not c.classifier:
        return
    if c.ms is None:
        yield "", "as remembered of this conversation"
        return
    cost = "unknown cost (no price)" if c.cost_usd is None else usd(c.cost_usd)
    took = f"{c.classifier} said {c.raw!r} in {_duration(c.ms)}"
    if c.output_tokens is not None:
        took += f", for {c.input_tokens or 0:,} tokens in, {c.output_tokens:,} out, {cost}"
    yield "", took


def _knobs(knobs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_knob(value)}" for name, value in knobs.items())


def _knob(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, list | tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if not value:
        return "–"
    low, high = min(value), max(value)
    return f"{low:g}" if low == high else f"{low:g}…{high:g} over {len(value)} clusters"


def _outcome_lines(d: Decision, o: Outcome) -> Iterator[tuple[str, str]]:
    if o.status is None and o.error is None:
        yield "Answer", "none was recorded (yet)"
    else:
        ids = [name for name in (o.message_id, o.request_id) if name]
        stop = f", stopped by {o.stop_reason}" if o.stop_reason else ""
        cut = ", cut short" if o.complete is False else ""
        yield "Answer", f"status {o.status or 'none'}{stop}{cut}" + (f" · {' · '.join(ids)}" if ids else "")
    if o.answered_model and o.answered_model != d.served_model:
        yield "Answered", f"the provider says {o.answered_model}"
    if o.retried:
        yield "Retried", o.retried
    if o.upstream_provider:
        first = f", after {o.fallback_from} had failed" if o.fallback_from else ""
        yield "Provider", o.upstream_provider + first
    for attempt in _attempts(o.attempts):
        yield "Tried", attempt
    if o.usage:
        yield "Tokens", _usage(o.usage)
        yield "Cost", _cost(d, o)
    yield "Time", _times(d, o)
    if o.error:
        yield "Error", o.error


def _attempts(told: str | None) -> Iterator[str]:
    """One line for each binding that was tried, unless the first one answered."""
    import json

    try:
        attempts = [item for item in json.loads(told or "[]") if isinstance(item, dict)]
    except ValueError:
        return
    if len(attempts) < 2:
        return
    for item in attempts:
        what = item.get("error") or f"status {item.get('status') or 'none'}"
        took = f", {_duration(item['ms'])}" if isinstance(item.get("ms"), int | float) else ""
        yield f"{item.get('provider')}: {what}{took}"


def _usage(usage: Usage) -> str:
    parts = (
        ("in", usage.input_tokens),
        ("out", usage.output_tokens),
        ("read from cache", usage.cache_read_tokens),
        ("written to cache", usage.cache_write_tokens),
        ("written to the 1-hour cache", usage.cache_write_1h_tokens),
    )
    always = ("in", "out")
    return ", ".join(
        f"{count:,} {what}" for what, count in parts if count or (what in always and count is not None)
    )


def _cost(d: Decision, o: Outcome) -> str:
    from pointsman.cli.stats import usd

    served = "unknown (no price)" if o.cost_usd is None else usd(o.cost_usd)
    if d.cache == "hit" and d.served_model == d.requested_model and o.requested_cost_usd:
        return f"{served}, so {usd(o.requested_cost_usd)} saved"
    if d.served_model == d.requested_model:
        return served
    if o.requested_cost_usd is None:
        return f"{served}; with {d.requested_model}: unknown (no price)"
    text = f"{served}; with {d.requested_model}: {usd(o.requested_cost_usd)}"
    if o.cost_usd is None:
        return text
    saved = o.requested_cost_usd - o.cost_usd
    return f"{text}, so {usd(abs(saved))} {'saved' if saved >= 0 else 'more'}"


def _times(d: Decision, o: Outcome) -> str:
    embedded = f" (embedding {d.embed_ms:.1f} ms)" if d.embed_ms is not None else ""
    parts = [f"decided in {d.decide_ms:.1f} ms{embedded}"]
    if o.ttfb_ms is not None:
        parts.append(f"first byte after {_duration(o.ttfb_ms)}")
    if o.total_ms is not None:
        parts.append(f"all after {_duration(o.total_ms)}")
    return ", ".join(parts)


def _duration(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.0f} ms"
