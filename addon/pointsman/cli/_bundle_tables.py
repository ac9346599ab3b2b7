"""What `pointsman bundle` prints: tables for people, at 80 columns and wider, and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pointsman.scoring.bundle import Bundle
    from pointsman.training.compare import Change, Comparison
    from pointsman.training.contents import Cluster, Mix
    from pointsman.training.gate import Gate

_FIGURES = 12  # changes of one kind that are shown; --json has all of them
_BEST = 2
_MIXED = 3
_SMALL = 0.005  # of a mix: a share that is not worth a line


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for title in columns:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    return table


def _print(*things: object) -> None:
    console = Console(highlight=False)
    for thing in things:
        console.print(thing)


# --- list ---------------------------------------------------------------------------------------


def versions(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ("Version", "Format", "Status", "Created", "Clusters", "Models", "")
    table = _table(*columns, right=("Format", "Clusters", "Models"))
    for row in rows:
        latest = "latest" if row["latest"] else ""
        if row["error"]:
            table.add_row(row["version"], "", "[red]broken[/]", "", "", "", latest)
            continue
        texts = (
            str(row[key] or "–") for key in ("version", "format", "status", "created", "clusters", "models")
        )
        table.add_row(*texts, latest)
    _print(table)
    for row in rows:
        if row["error"]:
            click.echo(f"{row['version']}: {row['error']}")


# --- inspect ------------------------------------------------------------------------------------


def contents(bundle: Bundle, clusters: Sequence[Cluster], mixes: Sequence[Mix], basis: str) -> None:
    providers = len(set(bundle.providers.values()))
    _print(
        f"[bold]{bundle.version}[/]: format {bundle.format}, {bundle.k} clusters, {len(bundle.models)} models"
        f" of {_count(providers, 'provider')}, top {bundle.top_p}, for the encoder {bundle.embedder or '?'}",
        _cluster_table(bundle, clusters),
        f"Who serves main turns that ask for a provider's strongest model, {basis}:",
        _mix_table(mixes),
    )


def _cluster_table(bundle: Bundle, clusters: Sequence[Cluster]) -> Table:
    total = sum(cluster.about.size for cluster in clusters)
    best = "Best expected" if bundle.format == 2 else "Best ranked"
    table = _table("#", "Share", "Alpha", "Typical words", "Sources", best, right=("#", "Share", "Alpha"))
    table.columns[3].ratio, table.columns[4].ratio, table.columns[5].ratio = 6, 4, 6
    table.expand = True
    for cluster in clusters:
        table.add_row(
            str(cluster.number),
            f"{cluster.about.size / total:.1%}" if total else "–",
            f"{cluster.alpha:.2f}",
            " ".join(cluster.about.words[:6]) or "–",
            _sources(cluster.about.prompts, 2) or "–",
            "\n".join(f"{model} {quality:.2f}" for model, quality in cluster.best[:_BEST]),
        )
    return table


def _sources(prompts: Mapping[str, float], most: int = 100) -> str:
    total = sum(prompts.values())
    ordered = sorted(prompts.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{source} {count / total:.0%}" for source, count in ordered if count / total >= 0.01)


def _mix_table(mixes: Sequence[Mix]) -> Table:
    table = _table("Provider", "Preset", "Mix")
    last = ""
    for mix in mixes:
        new = mix.family != last
        if new and last:
            table.add_section()
        last = mix.family
        table.add_row(mix.family if new else "", mix.preset, _mixed(mix.shares))
    return table


def _mixed(shares: Mapping[str, float]) -> str:
    shown = [f"{model} {share:.0%}" for model, share in shares.items() if share >= _SMALL]
    more = f", {len(shown) - _MIXED} more" if len(shown) > _MIXED else ""
    return ", ".join(shown[:_MIXED]) + more


def contents_json(bundle: Bundle, clusters: Sequence[Cluster], mixes: Sequence[Mix], basis: str) -> None:
    _json(
        {
            "version": bundle.version,
            "path": str(bundle.path),
            "format": bundle.format,
            "embedder": bundle.embedder,
            "top_p": bundle.top_p,
            "models": {model: bundle.providers[model] for model in bundle.models},
            "clusters": [_cluster_object(cluster) for cluster in clusters],
            "mix_basis": basis,
            "mixes": [asdict(mix) for mix in mixes],
        }
    )


def cluster(found: Cluster, bundle: Bundle) -> None:
    """One cluster, with every model."""
    title = "Expected" if bundle.format == 2 else "Ranking"
    table = _table("Model", "Provider", title, right=(title,))
    for model, value in found.best:
        table.add_row(model, bundle.providers[model], f"{value:.4f}")
    _print(
        f"[bold]Cluster {found.number}[/] of {bundle.version}: {found.about.size:g} weighted prompts, "
        f"alpha {found.alpha:.4f}, {found.chosen} scores best at the default knobs",
        f"Words: {' '.join(found.about.words) or '–'}",
        f"Sources: {_sources(found.about.prompts) or '–'}",
        table,
    )


def cluster_json(found: Cluster, bundle: Bundle) -> None:
    _json({"version": bundle.version} | _cluster_object(found))


def _cluster_object(found: Cluster) -> dict[str, Any]:
    return {
        "cluster": found.number,
        "prompts": dict(found.about.prompts),
        "words": list(found.about.words),
        "alpha": found.alpha,
        "chosen": found.chosen,
        "models": dict(found.best),
    }


# --- diff ---------------------------------------------------------------------------------------


def diff(before: Bundle, after: Bundle, found: Comparison, basis: str) -> None:
    names = _names(before, after)
    _print("[bold]{}[/] → [bold]{}[/]\n".format(*names))
    if found.empty:
        click.echo("They choose alike: no difference in models, prices, qualities or knobs.")
        return
    for word, models in (("Added", found.added), ("Removed", found.removed)):
        if models:
            _print(f"{word}, {_count(len(models), 'model')}: {', '.join(models)}")
    if not found.same_centroids:
        click.echo("The clusters are other ones, so qualities are compared over prompts only.")
    _changes("Knob", found.knobs, "g")
    _changes("Price per million tokens, USD", found.prices, "g")
    _changes("Alpha", found.alpha, ".4f")
    form = (
        "Quality of a cell"
        if before.quality is not None and after.quality is not None
        else "Ranking of a cell"
    )
    _changes(form, found.cells, ".4f")
    _changes(f"Expected quality, {basis}", found.quality, ".4f")
    table = _table("Provider", "Moved", *names, right=("Moved",))
    for shift in found.shifts:
        table.add_row(shift.family, f"{shift.moved:.1%}", _mixed(shift.before), _mixed(shift.after))
    if found.shifts:
        _print(f"Who serves main turns that ask for a provider's strongest model, {basis}:", table)


def _names(before: Bundle, after: Bundle) -> tuple[str, str]:
    """Versions; directories where the two have one version."""
    if before.version != after.version:
        return before.version, after.version
    return str(before.path), str(after.path)


def _changes(title: str, changes: Sequence[Change], form: str) -> None:
    if not changes:
        return
    table = _table(title, "Before", "After", right=("Before", "After"))
    for change in changes[:_FIGURES]:
        old, new = (
            ("–" if value is None else format(value, form)) for value in (change.before, change.after)
        )
        table.add_row(change.what, old, new)
    _print(table)
    if len(changes) > _FIGURES:
        click.echo(f"and {len(changes) - _FIGURES} more, each by less.")


def diff_json(before: Bundle, after: Bundle, found: Comparison, basis: str) -> None:
    _json({"before": before.version, "after": after.version, "basis": basis} | asdict(found))


# --- gate ---------------------------------------------------------------------------------------


def gate(found: Gate) -> None:
    click.echo(
        f"{found.version}: v1 and v2 agree on {found.prompts - len(found.divergences)} of {found.prompts} "
        f"prompts ({found.agreement:.1%}), which reach {found.reached} of {len(found.nearest)} clusters."
    )
    if found.divergences:
        table = _table("Prompt", "Clusters", "v1", "v2", "Margins", right=("Prompt", "Margins"))
        for divergence in found.divergences[:_FIGURES]:
            row = divergence.row()
            margins = f"{row['v1_margin']:.4f}\n{row['v2_margin']:.4f}"
            table.add_row(str(row["number"]), row["clusters"], row["v1_model"], row["v2_model"], margins)
        _print(table)
        if len(found.divergences) > _FIGURES:
            click.echo(f"and {len(found.divergences) - _FIGURES} more; --csv FILE writes all of them.")
    for problem in found.problems:
        click.echo(f"Not passed: {problem}.")
    if not found.problems:
        click.echo("Passed.")


def gate_json(found: Gate) -> None:
    _json(
        {
            "version": found.version,
            "prompts": found.prompts,
            "agreement": found.agreement,
            "clusters": len(found.nearest),
            "reached": found.reached,
            "most_used": found.most_used,
            "passed": not found.problems,
            "problems": list(found.problems),
            "divergences": [divergence.row() for divergence in found.divergences],
        }
    )


def _json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
