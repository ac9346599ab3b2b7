"""`pointsman clean`: take markers out of the conversations that clients keep on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click


@click.command("clean", short_help="Take markers out of saved conversations.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--no-backup", is_flag=True, help="Do not keep the old content as FILE.bak.")
def command(paths: tuple[Path, ...], dry_run: bool, no_backup: bool) -> None:
    """Remove Pointsman's markers from saved conversations.

    PATHs are transcripts or directories of them; without any, those of Claude Code, Codex, Gemini CLI and
    opencode (CLAUDE_CONFIG_DIR, CODEX_HOME, GEMINI_CLI_HOME and XDG_DATA_HOME are honoured). Needed only once
    Pointsman is no longer used: while it runs, it strips markers from what is sent. Everything else in the
    files keeps its bytes; mode and times stay. End the clients first.
    """
    found = [_Found(paths)] if paths else _of_clients()
    if not any(one.places for one in found):
        raise click.ClickException("no transcripts of any client found; name a file or directory")
    sums = [_clean(one, dry_run, not no_backup) for one in found]
    if any(one.changed for one in sums) and not dry_run and not no_backup:
        from pointsman import transcripts

        click.echo(f"The old files are beside the new ones as *{transcripts.BACKUP}.")
    if any(one.failed for one in sums):
        raise SystemExit(1)


@dataclass
class _Found:
    """What may hold transcripts; if they are those of one client, its name, and how it is ended."""

    places: Sequence[Path]
    client: str = ""
    to_end: str = "end the client first"


def _of_clients() -> list[_Found]:
    import os

    from pointsman import transcripts

    found = []
    for client in transcripts.CLIENTS:
        places = [place for place in client.places(os.environ, Path.home()) if place.exists()]
        found.append(_Found(places, client.NAME, client.TO_END))
    return found


@dataclass
class _Sum:
    """What was done for one client."""

    markers: int = 0
    changed: int = 0
    looked_at: int = 0
    failed: int = 0


def _clean(found: _Found, dry_run: bool, backup: bool) -> _Sum:
    from pointsman import transcripts

    done = _Sum()
    for file in (file for place in found.places for file in transcripts.find(place)):
        done.looked_at += 1
        try:
            count = transcripts.clean_file(file, backup=backup, dry_run=dry_run)
        except transcripts.TranscriptBusy:
            done.failed += 1
            click.echo(f"{file}: left alone, it is in use; {found.to_end}", err=True)
        except OSError as error:
            done.failed += 1
            click.echo(f"{file}: left alone, {error.strerror or error}", err=True)
        else:
            if count:
                click.echo(f"{file}: {_plural(count, 'marker')}")
                done.markers, done.changed = done.markers + count, done.changed + 1
    click.echo((f"{found.client}: " if found.client else "") + _summary(done, dry_run))
    return done


def _summary(done: _Sum, dry_run: bool) -> str:
    verb = "would be removed from" if dry_run else "removed from"
    changed = f"{_plural(done.markers, 'marker')} {verb} {_plural(done.changed, 'transcript')}"
    return f"{changed} ({done.looked_at} looked at)." if done.looked_at else "no transcripts."


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
